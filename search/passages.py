"""What of an article is indexed: the passages that get a vector, and the fields that get words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from kb.article import Article
from search import text

Field = Literal["title", "question", "lead", "body"]
FIELDS: tuple[Field, ...] = ("title", "question", "lead", "body")
MAX_BODY_PASSAGES = 8
PASSAGE_WORDS = 90

_HEADING = re.compile(r"^#{1,6}[ \t]++(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Passage:
    """A piece of an article that gets one vector; ``text`` is what is shown, ``context`` goes before it when it is encoded."""

    field: Field
    text: str
    context: str = ""

    @property
    def encoded(self) -> str:
        return f"{self.context}. {self.text}" if self.context else self.text


def passages(article: Article) -> tuple[Passage, ...]:
    """Cut an article into passages: its title, each question, its lead, and its sections by some ``PASSAGE_WORDS`` words."""
    found = [Passage("title", article.title)]
    found += [Passage("question", question) for question in dict.fromkeys(article.meta.questions) if question.strip()]
    lead = text.plain(article.lead)
    pieces = _chunks(lead)
    if pieces:
        found.append(Passage("lead", pieces[0], article.title))
    body = [Passage("body", piece, article.title) for piece in pieces[1:]]
    for heading, section in _sections(article.details):
        context = f"{article.title}. {heading}" if heading else article.title
        body += [Passage("body", piece, context) for piece in _chunks(text.plain(section))]
    return (*found, *body[:MAX_BODY_PASSAGES])


def _sections(details: str) -> list[tuple[str, str]]:
    parts = _HEADING.split(details)
    sections = [("", parts[0])] if parts[0].strip() else []
    return sections + [(text.plain(parts[i].rstrip(" \t#")), parts[i + 1]) for i in range(1, len(parts) - 1, 2)]


def _chunks(words_of: str) -> list[str]:
    words = words_of.split()
    if not words:
        return []
    count = max(1, round(len(words) / PASSAGE_WORDS))
    size = -(-len(words) // count)
    return [" ".join(words[start : start + size]) for start in range(0, len(words), size)]


@dataclass(frozen=True)
class KeywordFields:
    """The text of an article by keyword field, in the order of ``KEYWORD_BOOSTS``."""

    title: str
    questions: str
    tags: str
    lead: str
    body: str
    synonyms: str

    def values(self) -> tuple[str, ...]:
        return (self.title, self.questions, self.tags, self.lead, self.body, self.synonyms)


# Field → its weight in BM25F.
KEYWORD_BOOSTS: dict[str, float] = {"title": 3.0, "questions": 2.0, "tags": 2.0, "lead": 1.0, "body": 0.7, "synonyms": 1.0}


class SynonymTable:
    """Groups of expressions that mean the same, looked up by their folded words."""

    def __init__(self, groups: Sequence[Sequence[str]]) -> None:
        self._groups = [tuple(group) for group in groups]
        self._phrases: dict[tuple[str, ...], list[int]] = {}
        for number, group in enumerate(self._groups):
            for expression in group:
                words = tuple(_words(expression))
                if words:
                    self._phrases.setdefault(words, []).append(number)
        self._longest = max((len(phrase) for phrase in self._phrases), default=0)

    def expand(self, texts: Sequence[str]) -> str:
        """List the other expressions of every group that the texts mention, one a line."""
        mentioned: dict[int, set[tuple[str, ...]]] = {}
        for one in texts:
            words = _words(one)
            for start in range(len(words)):
                for length in range(1, min(self._longest, len(words) - start) + 1):
                    phrase = tuple(words[start : start + length])
                    for number in self._phrases.get(phrase, ()):
                        mentioned.setdefault(number, set()).add(phrase)
        others = [
            expression
            for number, phrases in mentioned.items()
            for expression in self._groups[number]
            if tuple(_words(expression)) not in phrases
        ]
        return "\n".join(dict.fromkeys(others))


@lru_cache(maxsize=2)
def synonym_table(groups: tuple[tuple[str, ...], ...]) -> SynonymTable:
    """Return the table of these groups, kept: one edited article must not pay for all the synonyms."""
    return SynonymTable(groups)


def _words(expression: str) -> list[str]:
    return re.findall(r"\w+", text.fold(expression))


def keyword_fields(article: Article, synonyms: SynonymTable) -> KeywordFields:
    """Lay out the words of an article by keyword field."""
    questions, tags = "\n".join(article.meta.questions), "\n".join(article.meta.tags)
    return KeywordFields(
        title=article.title,
        questions=questions,
        tags=tags,
        lead=text.plain(article.lead),
        body=text.plain(article.details),
        synonyms=synonyms.expand((article.title, *article.meta.questions, *article.meta.tags)),
    )
