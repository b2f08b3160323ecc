"""What the benchmark searches in and for: generated articles, messages of a given length, questions with typos.

Guarantees: everything follows from the sample content, the training messages and ``SEED``, so two runs measure the same thing; article
number ``n`` is the same in a collection of any size, so that its vectors are encoded once.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kb.article import Article
from kb.facts import FILES
from kb.library import Library
from kb.paths import ARTICLES
from scripts.training_messages import Message
from search import text

SEED = 20261122
# Raise it when generated articles change, so that folders of an older recipe are written again.
RECIPE = 1
QUESTIONS = 3
LEAD_WORDS = (30, 40)
_STAMP = ".generated.json"
_TYPO_SHARE = 0.15
_UNACCENTED_SHARE = 0.3

# fmt: off
_DISTRICT_NAMES = (
    "des Tanneurs", "du Vieux-Port", "de la Gare", "des Coteaux", "Saint-Aubin", "de la Madeleine", "des Capucins", "du Clos-Fleuri",
    "de Beauregard", "des Trois-Moulins", "de l'Hippodrome", "de la Poudrière", "des Merisiers", "du Grand-Pré", "de Bellevue",
    "Sainte-Luce", "du Pont-Neuf", "des Ardoisières", "de la Roseraie", "du Champ-de-Foire", "de Montplaisir", "des Verriers",
    "de l'Écluse", "du Petit-Bois", "des Quatre-Vents", "de la Citadelle", "du Val-Joli", "des Bateliers", "de Maison-Rouge",
    "du Haut-Chemin", "de la Fontaine", "des Cordeliers", "du Moulin-Brûlé", "de l'Arsenal", "des Peupliers", "de la Croix-Verte",
)
# fmt: on
DISTRICTS = tuple(f"quartier {name}" for name in _DISTRICT_NAMES)
PUBLICS = (
    "pour les seniors",
    "pour les étudiants",
    "pour les familles nombreuses",
    "pour les commerçants",
    "pour les associations",
    "pour les nouveaux arrivants",
)

_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")
_NEIGHBOURS = dict(zip("azertyuiopqsdfghjklmwxcvbn", "zertyuiopaqdfghjklmsxcvbnw", strict=True))


class ContentError(Exception):
    """The benchmark's content cannot be made."""


@dataclass(frozen=True)
class KnownItem:
    """A question with typos, and the slug of the one article that holds the question."""

    question: str
    slug: str


@dataclass(frozen=True)
class _Material:
    """What a sample article gives to generated ones: ``sentences`` are its own, ``others`` those of its service."""

    article: Article
    sentences: tuple[str, ...]
    others: tuple[str, ...]


def write_articles(sample: Library, count: int, folder: Path, *, fresh: bool = False) -> bool:
    """Write a content folder of generated articles, unless it is there.

    Args:
        sample: the articles to recombine.
        count: how many to write.
        folder: the content folder.
        fresh: write it again even when it is there.

    Returns:
        Whether it was written.

    Raises:
        ContentError: the sample is too small for so many distinct articles.
    """
    stamp = json.dumps({"recipe": RECIPE, "seed": SEED, "count": count})
    marker = folder / _STAMP
    if not fresh and marker.is_file() and marker.read_text(encoding="utf-8") == stamp:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    (folder / ARTICLES).mkdir(parents=True)
    for name in FILES:
        if (sample.root / name).is_file():
            shutil.copy2(sample.root / name, folder / name)
    for article in generated(sample, count):
        path = folder / article.path
        path.parent.mkdir(exist_ok=True)
        path.write_text(article.source, encoding="utf-8")
    marker.write_text(stamp, encoding="utf-8")
    return True


def generated(sample: Library, count: int) -> Iterable[Article]:
    """Yield ``count`` articles with distinct titles, recombined from the sample's titles, questions and sentences.

    Raises:
        ContentError: the sample is too small for so many distinct articles.
    """
    materials = _materials(sample)
    variants = [(district, public) for public in PUBLICS for district in DISTRICTS]
    random.Random(SEED).shuffle(variants)  # noqa: S311  # repeatable on purpose
    if count > len(materials) * len(variants):
        raise ContentError(f"{len(materials)} sample articles give {len(materials) * len(variants)} generated ones at most, not {count}")
    for number in range(count):
        district, public = variants[number // len(materials)]
        yield _article(materials[number % len(materials)], number, district, public)


def _materials(sample: Library) -> list[_Material]:
    own: dict[str, tuple[str, ...]] = {}
    by_service: defaultdict[str, list[str]] = defaultdict(list)
    for article in sample.articles.values():
        own[article.slug] = tuple(plain_sentences(article.body))
        by_service[article.service] += own[article.slug]
    usable = (article for article in sample.articles.values() if len(set(article.meta.questions)) >= QUESTIONS and own[article.slug])
    return [_Material(article, own[article.slug], tuple(by_service[article.service])) for article in usable]


def plain_sentences(markdown: str) -> list[str]:
    """List the plain sentences of a text that hold no placeholder, 5 to 30 words each."""
    found = (text.plain(piece) for piece in _SENTENCE.split(markdown) if "{{" not in piece and "}}" not in piece and "#" not in piece)
    return [sentence for sentence in found if 5 <= len(sentence.split()) <= 30]


def _article(material: _Material, number: int, district: str, public: str) -> Article:
    chance = random.Random(f"{SEED}-{number}")  # noqa: S311
    source = material.article
    layouts = ["{ask} {public}, {district} ?", "{district} : {ask} {public} ?", "{ask}, {district}, {public} ?"]
    asked = chance.sample(list(dict.fromkeys(source.meta.questions)), QUESTIONS)
    questions = [
        layout.format(ask=question.rstrip(" ?.!"), public=public, district=district)
        for layout, question in zip(layouts, asked, strict=True)
    ]
    meta = {
        "title": f"{source.title}, {public} ({district})",
        "questions": questions,
        "tags": [*source.meta.tags[:3], district],
        "reviewed_on": "2026-11-01",
        "review_by": "2099-11-01",
    }
    return Article.new(f"{source.slug}-{number:05d}", source.service, meta, _lead(material, chance, district, public))


def _lead(material: _Material, chance: random.Random, district: str, public: str) -> str:
    """Make a lead of ``LEAD_WORDS`` words: where it applies, a sentence of the article, and others of its service."""
    least, most = LEAD_WORDS
    words = f"Dans le {district}, {public} : {chance.choice(material.sentences)}".split()
    while len(words) <= least:  # one more, as what is trimmed may be a word of punctuation
        words += chance.choice(material.others).split()
    return " ".join(words[:most]).rstrip(" .,;:") + "."


def long_messages(messages: Sequence[Message], words: int, count: int) -> list[str]:
    """Write messages of exactly ``words`` words by joining the sentences of messages that need the same thing.

    Raises:
        ContentError: there are not enough sentences.
    """
    by_need: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for message in messages:
        by_need[message.topics].append(message.text)
    pools = [list(pool) for pool in by_need.values()]
    found: list[str] = []
    chance = random.Random(SEED)  # noqa: S311
    for _ in range(50):
        for pool in pools:
            chance.shuffle(pool)
            joined = " ".join(" ".join(pool).split()).split(" ")
            found += [" ".join(joined[start : start + words]) for start in range(0, len(joined) - words + 1, words)]
        distinct = list(dict.fromkeys(found))
        if len(distinct) >= count:
            return chance.sample(distinct, count)
    raise ContentError(f"the messages do not give {count} texts of {words} words")


def known_items(library: Library, count: int) -> list[KnownItem]:
    """Pick ``count`` questions of a library and disturb them; every question has one article."""
    chance = random.Random(SEED)  # noqa: S311
    chosen = chance.sample(list(library.articles.values()), min(count, len(library.articles)))
    return [KnownItem(disturbed(chance.choice(article.meta.questions), chance), article.slug) for article in chosen]


def disturbed(question: str, chance: random.Random) -> str:
    """Add typos: about one word in seven has a letter lost, doubled, swapped or mistyped, one in three loses its accents."""
    return " ".join(_mistyped(word, chance) for word in question.split())


def _mistyped(word: str, chance: random.Random) -> str:
    if chance.random() < _UNACCENTED_SHARE:
        word = text.fold(word)
    if len(word) < 4 or not word.isalpha() or chance.random() >= _TYPO_SHARE:
        return word
    at = chance.randrange(1, len(word) - 1)
    kind = chance.choice(["lost", "doubled", "swapped", "mistyped"])
    if kind == "lost":
        return word[:at] + word[at + 1 :]
    if kind == "doubled":
        return word[:at] + word[at] + word[at:]
    if kind == "swapped":
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + _NEIGHBOURS.get(word[at], "e") + word[at + 1 :]
