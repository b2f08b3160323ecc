"""Lexical fields written for training: the words and fragments of life that point to a subject, one subject a line.

A bag-of-words model learns a word from the company it keeps, and messages are too few to meet every word: a lexical field says at once
that "deux fauteuils", "humoriste" and "billet" belong to going out. They hold no message, so no split is needed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from webapp.settings import PROJECT

FieldKind = Literal["topic", "beyond", "off-topic", "general"]

FOLDER = PROJECT / "training" / "lexicon"


@dataclass(frozen=True)
class LexicalField:
    """The expressions of a subject; ``subject`` is an article's slug for the kind ``topic``, else ``kind/name``."""

    kind: FieldKind
    subject: str
    title: str
    expressions: tuple[str, ...]

    def sample(self, chance: random.Random, fewest: int, most: int) -> str:
        """Draw some expressions in a random order, as one text."""
        count = min(chance.randint(fewest, most), len(self.expressions))
        return ", ".join(chance.sample(self.expressions, count))


def lexical_fields(folder: Path = FOLDER) -> list[LexicalField]:
    """Read the lexical fields; the lines of one subject are joined, in the order of the files."""
    titles: dict[str, str] = {}
    expressions: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                entry = json.loads(line)
                titles.setdefault(entry["topic"], entry.get("title", ""))
                expressions.setdefault(entry["topic"], []).extend(entry["words"])
    return [LexicalField(_kind(subject), subject, titles[subject], _distinct(found)) for subject, found in expressions.items()]


def _distinct(expressions: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(expressions))


def _kind(subject: str) -> FieldKind:
    prefix = subject.partition("/")[0]
    return "off-topic" if prefix == "off-topic" else "beyond" if prefix == "beyond" else "general" if prefix == "general" else "topic"
