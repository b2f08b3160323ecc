"""Articles that say the same thing twice: the one that a draft repeats, and the pairs of a whole collection.

The likeness of two articles is the cosine of the means of their passages' vectors, counted from where texts with nothing in common lie
for the model (0) to the same text (1). Without vectors it is the cosine of their words, weighed by field and rarity.

How the thresholds were chosen (docs/adr/0013). Twelve articles that repeat one of the sample in other words (``MEASURED`` of
tests/search/planted_twins.py) have a likeness of 0.82 or more with it; of the 12,246 pairs of sample articles the nearest of one kind have
0.69 (two advice articles) and 0.66 (birth and marriage certificates). ``TWINS_FROM`` lies between, nearer to the related so as to miss
little. A title alone has 0.59 or more with what it repeats; ``NEAR_FROM`` lies just under: of the 157 sample articles typed as if they
were new, 12 are shown a neighbour. By words alone repeated articles (0.29 to 0.53) and related ones (up to 0.44) overlap: five pairs of
the sample pass, and a quarter of the repeated are missed. An advice article and an answer are never twins: one tells agents how to answer
what the other answers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from search import text
from search.embedder import Vectors
from search.engine import MAX_READ_CHARS, SearchEngine
from search.passages import KEYWORD_BOOSTS, PASSAGE_WORDS

# From here two articles say the same thing: by their vectors, and by their words alone, which tell less.
TWINS_FROM = 0.71
TWINS_FROM_WORDS = 0.40
# From here a draft is worth comparing with an article before one writes on.
NEAR_FROM = 0.58
NEAR_FROM_WORDS = 0.28
# From here two articles speak of the same subject, and what they say may be compared.
RELATED_FROM = 0.45
RELATED_FROM_WORDS = 0.20

_NEAR_ROWS = 200
_CANDIDATES = 64
_SHARED_WORDS = 5
_BLOCK = 1024
_BOOSTS = np.array(list(KEYWORD_BOOSTS.values()), dtype=np.float64)
_TITLE, _QUESTIONS, _LEAD = KEYWORD_BOOSTS["title"], KEYWORD_BOOSTS["questions"], KEYWORD_BOOSTS["lead"]

Likenesses = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Near:
    """An article near a draft: how alike they are, 0 to 1, and words of the draft that it holds, the telling ones first."""

    slug: str
    likeness: float
    shared: tuple[str, ...]


@dataclass(frozen=True)
class Twins:
    """Two articles that say the same thing, ``a`` before ``b`` in the library, and how alike they are, 0 to 1."""

    a: str
    b: str
    likeness: float


@dataclass(frozen=True)
class _Draft:
    """What is typed of an article that may not exist yet."""

    title: str
    questions: tuple[str, ...]
    lead: str

    def passages(self) -> list[str]:
        """What the index would encode of it, so that both sides are read alike."""
        asks = [one for one in (self.title, *dict.fromkeys(self.questions)) if one]
        return [*asks, f"{self.title}. {self.lead}" if self.title else self.lead] if self.lead else asks

    def words(self) -> list[str]:
        """Its words as they are written."""
        return re.findall(r"\w+", "\n".join((self.title, *self.questions, self.lead)))


def near(
    engine: SearchEngine, title: str, questions: Sequence[str] = (), lead: str = "", exclude: Collection[str] = (), limit: int = 3
) -> list[Near]:
    """Find the articles that a draft repeats, best first.

    Args:
        engine: the snapshot to look in.
        title: of the draft; empty while nothing is typed.
        questions: of the draft, as citizens ask.
        lead: of the draft, Markdown; its first words count.
        exclude: slugs to leave out: the article itself while it is edited.
        limit: how many at most.
    """
    first_words = " ".join(text.plain(lead[:MAX_READ_CHARS]).split()[:PASSAGE_WORDS])
    draft = _Draft(title.strip(), tuple(one.strip() for one in questions if one.strip()), first_words)
    if not text.terms(" ".join(draft.words())) or not engine.index.numbers:
        return []
    by_meaning = _has_vectors(engine)
    documents, found = _near_by_meaning(engine, draft) if by_meaning else _near_by_words(engine, draft)
    least = NEAR_FROM if by_meaning else NEAR_FROM_WORDS
    slugs = [engine.index.slugs[document] for document in documents]
    close = [at for at in np.argsort(-found, kind="stable").tolist() if found[at] >= least and slugs[at] not in exclude]
    written = {stem: word for word in reversed(draft.words()) for stem in text.terms(word)}
    return [Near(slugs[at], round(float(found[at]), 4), _shared(engine, written, documents[at])) for at in close[:limit]]


def twins(engine: SearchEngine) -> list[Twins]:
    """List every pair of articles that say the same thing, best first."""
    found = related(engine, TWINS_FROM if _has_vectors(engine) else TWINS_FROM_WORDS)
    kinds = {slug: article.meta.kind for slug, article in engine.library.articles.items()}
    return [Twins(a, b, likeness) for (a, b), likeness in found.items() if kinds[a] == kinds[b]]


def related(engine: SearchEngine, least: float | None = None) -> dict[tuple[str, str], float]:
    """List the pairs of articles that are at least so alike, best first, each pair in the order of the library.

    Args:
        engine: the snapshot to look in.
        least: likeness from which a pair counts; by default, from where two articles speak of the same subject.
    """
    by_meaning = _has_vectors(engine)
    least = (RELATED_FROM if by_meaning else RELATED_FROM_WORDS) if least is None else least
    slugs = [slug for slug in engine.library.articles if slug in engine.index.numbers]
    documents = [engine.index.numbers[slug] for slug in slugs]
    profiles = _means(engine, documents) if by_meaning else _word_profiles(engine, documents)
    found: list[tuple[float, int, int]] = []
    for start in range(0, len(slugs), _BLOCK):
        # Only with what comes after: a pair is looked at once.
        products: Any = profiles[start : start + _BLOCK] @ profiles[start:].T
        block = _likeness(engine, products.toarray() if sparse.issparse(products) else products)
        rows, columns = np.nonzero(np.triu(block >= least, k=1))
        found += zip((-block[rows, columns]).tolist(), (rows + start).tolist(), (columns + start).tolist(), strict=True)
    return {(slugs[a], slugs[b]): round(-negative, 4) for negative, a, b in sorted(found)}


def _has_vectors(engine: SearchEngine) -> bool:
    return engine.embedder is not None and engine.index.vectors is not None


def _likeness(engine: SearchEngine, cosines: Likenesses) -> Likenesses:
    """Count cosines from the model's background, so that the thresholds suit another model; those of words are never below 0."""
    background = engine.embedder.background[0] if engine.embedder else 0.0
    return np.asarray(np.clip((cosines - background) / (1.0 - background), 0.0, 1.0), dtype=np.float32)


def _shared(engine: SearchEngine, written: Mapping[str, str], document: int) -> tuple[str, ...]:
    given = engine.index.terms.contributions(list(written), document)
    return tuple(written[stem].lower() for stem in sorted(given, key=lambda stem: -given[stem])[:_SHARED_WORDS])


# ---- by meaning ----
def _near_by_meaning(engine: SearchEngine, draft: _Draft) -> tuple[list[int], Likenesses]:
    """Compare a draft with the articles that have a passage near one of its own: the others cannot be near."""
    assert engine.embedder is not None and engine.index.vectors is not None
    own = engine.embedder.encode_passages(draft.passages())
    centre = _unit(own.mean(axis=0))
    rows = engine.index.vectors.search(np.stack([centre, own[0]]), _NEAR_ROWS)
    documents = sorted({int(one) for one in engine.index.row_documents[rows[rows >= 0]] if one >= 0}, key=engine.index.slugs.__getitem__)
    return documents, _likeness(engine, _means(engine, documents) @ centre)


def _means(engine: SearchEngine, documents: Sequence[int]) -> Vectors:
    """The mean of the vectors of each document's passages, of length 1: shape (documents, dimensions)."""
    assert engine.index.vectors is not None
    means = np.zeros((len(documents), engine.index.meta.dimensions), dtype=np.float32)
    for start in range(0, len(documents), _BLOCK):
        spans = [engine.index.rows_of(document) for document in documents[start : start + _BLOCK]]
        starts = np.cumsum([0, *(len(span) for span in spans[:-1])])
        chosen = engine.index.vectors.vectors[np.concatenate(spans)].astype(np.float32)
        means[start : start + _BLOCK] = np.add.reduceat(chosen, starts, axis=0)
    return _unit(means)


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), dtype=np.float32)


# ---- by words ----
def _near_by_words(engine: SearchEngine, draft: _Draft) -> tuple[list[int], Likenesses]:
    scores = engine.index.terms.scores(text.terms(" ".join(draft.words())))
    best = [int(document) for document in np.argsort(-scores, kind="stable")[:_CANDIDATES] if scores[document] > 0]
    documents = sorted(best, key=engine.index.slugs.__getitem__)
    rarity = _rarity(engine)
    numbers = {term: number for number, term in enumerate(engine.index.terms.postings.vocabulary)}
    weights = np.zeros(len(rarity))
    unknown = 0.0
    for boost, part in ((_TITLE, draft.title), (_QUESTIONS, "\n".join(draft.questions)), (_LEAD, draft.lead)):
        for term, count in Counter(text.terms(part)).items():
            if term in numbers:
                weights[numbers[term]] += boost * (1 + np.log(count)) * rarity[numbers[term]]
            else:
                unknown += (boost * rarity.max(initial=0.0)) ** 2
    weights /= max(float(np.sqrt(weights @ weights + unknown)), 1e-9)
    return documents, _likeness(engine, _word_profiles(engine, documents) @ weights)


def _rarity(engine: SearchEngine) -> npt.NDArray[np.float64]:
    """How much each term of the vocabulary tells: the rarer, the more."""
    postings = engine.index.terms.postings
    occurrences = np.bincount(postings.terms, minlength=len(postings.vocabulary))
    return np.asarray(np.log(1 + len(engine.index.numbers) * len(_BOOSTS) / np.maximum(occurrences, 1)))


def _word_profiles(engine: SearchEngine, documents: Sequence[int]) -> sparse.csr_matrix:
    """The own words of each document, weighed by field and rarity, of length 1: shape (documents, vocabulary)."""
    postings = engine.index.terms.postings
    places = np.full(len(engine.index.slugs), -1, dtype=np.int64)
    places[documents] = np.arange(len(documents))
    kept = (places[postings.documents] >= 0) & (postings.fields != list(KEYWORD_BOOSTS).index("synonyms"))
    terms = postings.terms[kept]
    weights = _BOOSTS[postings.fields[kept]] * (1 + np.log(postings.counts[kept])) * _rarity(engine)[terms]
    profiles = sparse.csr_matrix((weights, (places[postings.documents[kept]], terms)), shape=(len(documents), len(postings.vocabulary)))
    lengths = np.sqrt(np.asarray(profiles.multiply(profiles).sum(axis=1)).ravel())
    return sparse.diags_array(1 / np.maximum(lengths, 1e-9)) @ profiles
