"""Two articles that tell citizens different things: near sentences that state different values of the same kind.

Prefers silence to a false alarm. Sentences are compared as they are read, facts filled in; only those of articles on the same subject are;
both must speak of the same thing once their figures are left out, and neither may say « mineur » or « samedi » where the other says
« majeur » or « dimanche ». Two values that both come from ``services.yml`` are two facts, said once each, and contradict nothing.
How the thresholds were chosen: docs/adr/0013.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from kb import render, replies
from kb.article import Article
from kb.errors import TemplateError
from kb.library import Library
from kb.quantities import KINDS, Kind, Quantity, quantities, sentences
from search import text
from search.embedder import Vectors
from search.engine import SearchEngine
from search.twins import related

# From here two sentences, figures left out, say the same thing: by their words, and by their words and vectors together.
SAME_WORDS = 0.60
SAME_SENTENCE = 0.53
_MIN_SHARED = 2
# The nearest pairs of articles are compared, no more: that many take some 15 seconds.
MAX_PAIRS = 20_000

# Words that tell two statements apart: a sentence with one of a group and a sentence with another of the same group speak of two cases.
_CASES: tuple[tuple[str, ...], ...] = (
    ("majeur adulte", "mineur enfant bébé nourrisson", "étudiant jeune", "senior retraité"),
    ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    ("été", "hiver"),
    ("matin", "après-midi", "soir"),
    ("naissance", "mariage", "décès", "pacs"),
    ("passeport", "carte"),
    ("premier première", "renouvellement renouveler", "perte perdu vol volé"),
    ("achat acheter", "location louer"),
    ("maternelle", "élémentaire", "collège", "lycée"),
    ("habitant résident", "extérieur visiteur"),
    ("minimum moins", "maximum plus"),
)


@dataclass(frozen=True)
class Contradiction:
    """Two sentences, of articles ``a`` and ``b``, that state different values of one kind; ``what`` names the kind in French."""

    a: str
    b: str
    sentence_a: str
    sentence_b: str
    value_a: str
    value_b: str
    what: str


@dataclass(frozen=True)
class _Statement:
    """A sentence with figures; ``facts`` are the spans of it that came from a placeholder, ``subject`` is it without its figures."""

    slug: str
    sentence: str
    found: tuple[Quantity, ...]
    facts: tuple[tuple[int, int], ...]
    subject: str
    stems: frozenset[str]
    cases: frozenset[tuple[int, int]]

    def is_fact(self, quantity: Quantity) -> bool:
        return any(start <= quantity.start and quantity.end <= end for start, end in self.facts)


def contradictions(engine: SearchEngine, pairs: Iterable[tuple[str, str]] | None = None) -> list[Contradiction]:
    """List what two articles state differently, the most alike articles first.

    Args:
        engine: the snapshot to look in.
        pairs: slugs of the articles to compare; by default, the nearest of those that speak of the same subject.
    """
    compared = list(islice(related(engine), MAX_PAIRS) if pairs is None else pairs)
    library = engine.library
    wanted = dict.fromkeys(slug for pair in compared for slug in pair)
    statements = {slug: _statements(library.articles[slug], library) for slug in wanted}
    vectors = _vectors(engine, [one.subject for of_article in statements.values() for one in of_article])
    rarity = _Rarity(statements.values())
    found = {}
    for a, b in compared:
        for one in statements[a]:
            for other in statements[b]:
                if (kinds := _kinds(one) & _kinds(other)) and _same_subject(one, other, rarity, vectors):
                    for kind in kinds:
                        contradiction = _contradiction(one, other, kind)
                        if contradiction:
                            found[a, b, contradiction.sentence_a, contradiction.sentence_b, kind] = contradiction
    return list(found.values())


def _statements(article: Article, library: Library) -> list[_Statement]:
    values = replies.values_for(article, library.context, "")
    found: dict[str, _Statement] = {}
    for part in (article.meta.short, article.lead, article.details, *article.meta.channels.values()):
        try:
            plain = render.to_plain(render.fill(part, values).markdown)
            facts = [values.get(one.name, "") for one in render.placeholders(part)]
        except TemplateError:  # such an article is left out of the library
            continue
        for sentence in sentences(plain):
            in_figures = quantities(sentence)
            if in_figures and sentence not in found:
                found[sentence] = _statement(article.slug, sentence, in_figures, facts)
    return list(found.values())


def _statement(slug: str, sentence: str, found: tuple[Quantity, ...], facts: Sequence[str]) -> _Statement:
    spans = [
        (match.start(), match.end())
        for fact in dict.fromkeys(facts)
        if fact
        for match in re.finditer(re.escape(" ".join(fact.split())), sentence)
    ]
    kept, at = [], 0
    for one in found:
        kept.append(sentence[at : one.start])
        at = one.end
    subject = " ".join("".join([*kept, sentence[at:]]).split())
    stems = frozenset(term for term in text.terms(subject) if not term.isdigit())
    cases = frozenset(case for stem in stems for case in _CASE_OF.get(stem, ()))
    return _Statement(slug, sentence, found, tuple(spans), subject, stems, cases)


_CASE_OF: dict[str, tuple[tuple[int, int], ...]] = {}
for _number, _group in enumerate(_CASES):
    for _place, _words in enumerate(_group):
        for _stem in text.terms(_words):
            _CASE_OF[_stem] = (*_CASE_OF.get(_stem, ()), (_number, _place))


class _Rarity:
    """How much each stem tells among the sentences that are compared."""

    def __init__(self, statements: Iterable[Sequence[_Statement]]) -> None:
        counts: defaultdict[str, int] = defaultdict(int)
        total = 0
        for of_article in statements:
            for one in of_article:
                total += 1
                for stem in one.stems:
                    counts[stem] += 1
        self._weights = {stem: math.log(1 + total / count) for stem, count in counts.items()}

    def alike(self, a: frozenset[str], b: frozenset[str]) -> float:
        """Cosine of two sets of stems, the rare ones counting most, 0 to 1."""
        weigh = self._weights.__getitem__
        shared = sum(weigh(stem) ** 2 for stem in a & b)
        return float(shared / max((sum(weigh(stem) ** 2 for stem in a) * sum(weigh(stem) ** 2 for stem in b)) ** 0.5, 1e-9))


def _vectors(engine: SearchEngine, subjects: Sequence[str]) -> Mapping[str, Vectors] | None:
    if engine.embedder is None or not subjects:
        return None
    distinct = list(dict.fromkeys(subjects))
    return dict(zip(distinct, engine.embedder.encode_passages(distinct), strict=True))


def _kinds(statement: _Statement) -> frozenset[Kind]:
    return frozenset(one.kind for one in statement.found)


def _same_subject(one: _Statement, other: _Statement, rarity: _Rarity, vectors: Mapping[str, Vectors] | None) -> bool:
    if len(one.stems & other.stems) < _MIN_SHARED or _are_two_cases(one, other):
        return False
    words = rarity.alike(one.stems, other.stems)
    if vectors is None:
        return words >= SAME_WORDS
    return (words + float(vectors[one.subject] @ vectors[other.subject])) / 2 >= SAME_SENTENCE


def _are_two_cases(one: _Statement, other: _Statement) -> bool:
    """Tell whether each sentence names a case of a group, and never the same."""
    for group in {number for number, _ in one.cases} & {number for number, _ in other.cases}:
        if {place for number, place in one.cases if number == group} != {place for number, place in other.cases if number == group}:
            return True
    return False


def _contradiction(one: _Statement, other: _Statement, kind: Kind) -> Contradiction | None:
    own = [quantity for quantity in one.found if quantity.kind == kind]
    others = [quantity for quantity in other.found if quantity.kind == kind]
    mine = [quantity for quantity in own if not any(quantity.agrees(theirs) for theirs in others)]
    theirs = [quantity for quantity in others if not any(quantity.agrees(ours) for ours in own)]
    # Where both say several things, all but one must agree: else they list different cases.
    if len(mine) != 1 or len(theirs) != 1 or len(own) != len(others):
        return None
    if one.is_fact(mine[0]) and other.is_fact(theirs[0]):
        return None
    return Contradiction(
        a=one.slug,
        b=other.slug,
        sentence_a=one.sentence,
        sentence_b=other.sentence,
        value_a=one.sentence[mine[0].start : mine[0].end],
        value_b=other.sentence[theirs[0].start : theirs[0].end],
        what=KINDS[kind],
    )
