"""Three-way merge of an article, field by field, as the form knows them. No input or output.

Guarantees: what one side alone changed is taken; what both changed apart is joined; what both changed in the same place is a
conflict that holds the three texts, never a guess; a clean merge is a valid article; which side is which never decides whether there
is a conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kb import yaml_text
from kb.article import Article, Meta
from kb.draft import CHANNEL_PREFIX, Draft, DraftRefused, label_of
from kb.errors import ContentError
from kb.matching import Block, matching_blocks

_LISTS = ("questions", "tags", "see_also", "sources")
_DATES = ("reviewed_on", "review_by")
_TEXTS = ("title", "lead", "details", "short")
_VALUES = ("slug", "service", "audience", "kind")


@dataclass(frozen=True)
class FieldConflict:
    """A field that both sides changed in the same place: its three texts, and a draft of the answer.

    ``merged_attempt`` joins what could be joined; where the two sides meet, the proposed words stand.
    """

    field: str
    label: str
    base: str
    live: str
    proposed: str
    merged_attempt: str


@dataclass(frozen=True)
class Merged:
    """A merge: the article when nothing is left to decide, else the conflicts; ``draft`` has every field, attempts included."""

    article: Article | None
    conflicts: tuple[FieldConflict, ...]
    draft: Draft


def merge_articles(base: Article, live: Article, proposed: Article) -> Merged:
    """Merge what was proposed on an old text into the text of today.

    Args:
        base: the text that the proposal started from.
        live: the text of today; its comments, and what both sides changed of keys unknown to the software, are kept.
        proposed: the text that the proposal wants.
    """
    if _same(live, base) or _same(live, proposed):
        return Merged(proposed, (), Draft.from_article(proposed))
    if _same(proposed, base):
        return Merged(live, (), Draft.from_article(live))
    sides = _Sides(Draft.from_article(base), Draft.from_article(live), Draft.from_article(proposed))
    draft = sides.merged()
    if sides.conflicts:
        return Merged(None, tuple(sides.conflicts), draft)
    try:
        article = draft.written_on(live)
        article = article.edited(_other_keys(base, live, proposed, article))
    except (ContentError, DraftRefused):
        return Merged(None, tuple(map(sides.conflict_on, sides.joined or ("lead", "details"))), draft)
    # Each side's text was sound; joined, they may not be: a code block that one opened and the other closed.
    unsound = {error.field for error in draft.problems()} & sides.joined
    if Draft.from_article(article) != draft:
        unsound |= {"lead", "details"}
    if unsound:
        return Merged(None, tuple(sides.conflict_on(name) for name in sorted(unsound)), draft)
    return Merged(article, (), draft)


def _same(one: Article, other: Article) -> bool:
    return (one.source, one.path) == (other.source, other.path)


@dataclass
class _Sides:
    """The three drafts, and what was found on the way: conflicts, and fields where both sides changed something."""

    base: Draft
    live: Draft
    proposed: Draft
    conflicts: list[FieldConflict] = field(default_factory=list)
    joined: set[str] = field(default_factory=set)

    def merged(self) -> Draft:
        values: dict[str, Any] = {}
        rules: list[tuple[Sequence[str], Callable[[str, Any, Any, Any], Any]]] = [
            (_VALUES, self._value),
            (_TEXTS, self._text),
            (_DATES, self._date),
            (_LISTS, self._list),
        ]
        for names, rule in rules:
            values |= {name: self._merge(name, rule, *(getattr(side, name) for side in self._three)) for name in names}
        channels = {}
        for key in dict.fromkeys((*self.live.channels, *self.proposed.channels, *self.base.channels)):
            texts = (side.channels.get(key, "") for side in self._three)
            if text := self._merge(f"{CHANNEL_PREFIX}{key}", self._text, *texts):
                channels[key] = text
        return Draft(**values, channels=channels).normalised()

    @property
    def _three(self) -> tuple[Draft, Draft, Draft]:
        return self.base, self.live, self.proposed

    def _merge(self, name: str, rule: Callable[[str, Any, Any, Any], Any], base: Any, live: Any, proposed: Any) -> Any:
        if live in (base, proposed):
            return proposed
        if base == proposed:
            return live
        self.joined.add(name)
        return rule(name, base, live, proposed)

    def _value(self, name: str, base: str, live: str, proposed: str) -> str:
        self._add(name, base, live, proposed, proposed)
        return proposed

    def _text(self, name: str, base: str, live: str, proposed: str) -> str:
        lines, clean = merge_sequences(*(text.split("\n") if text else [] for text in (base, live, proposed)))
        attempt = "\n".join(lines)
        if not clean:
            # One side took the text out and the other reworked it: the words are what there is to work on.
            attempt = attempt or live
            self._add(name, base, live, proposed, attempt)
        return attempt

    def _date(self, _name: str, _base: str, live: str, proposed: str) -> str:
        return max(live, proposed)

    def _list(self, _name: str, base: Sequence[Hashable], live: Sequence[Hashable], proposed: Sequence[Hashable]) -> tuple[Hashable, ...]:
        return merge_lists(base, live, proposed)

    def conflict_on(self, name: str) -> FieldConflict:
        """Make a conflict of a field that was merged."""
        base, live, proposed = (side.to_form().get(name, "") for side in self._three)
        return FieldConflict(name, label_of(name), base, live, proposed, merged_attempt=proposed)

    def _add(self, name: str, base: str, live: str, proposed: str, attempt: str) -> None:
        self.conflicts.append(FieldConflict(name, label_of(name), base, live, proposed, attempt))


def merge_lists(base: Sequence[Hashable], live: Sequence[Hashable], proposed: Sequence[Hashable]) -> tuple[Hashable, ...]:
    """Merge lists whose items stand for themselves: the additions and the removals of both, in the order of ``live``.

    An item that only ``proposed`` adds comes after the one that it follows there.
    """
    merged = [item for item in dict.fromkeys(live) if item in proposed or item not in base]
    previous = -1
    for position, item in enumerate(dict.fromkeys(proposed)):
        if item not in base and item not in merged:
            merged.insert(previous + 1 if previous >= 0 or position == 0 else len(merged), item)
        previous = merged.index(item) if item in merged else previous
    return tuple(merged)


def merge_sequences(base: Sequence[str], live: Sequence[str], proposed: Sequence[str]) -> tuple[list[str], bool]:
    """Merge lines (diff3).

    Returns:
        The lines, those of ``proposed`` where the two sides meet, and whether they met nowhere.
    """
    merged: list[str] = []
    clean = True
    at = (0, 0, 0)
    for start, in_live, in_proposed, length in [*_unchanged(base, live, proposed), (len(base), len(live), len(proposed), 0)]:
        was, one, other = base[at[0] : start], live[at[1] : in_live], proposed[at[2] : in_proposed]
        if other in (was, one):
            merged += one
        else:
            merged += other
            clean = clean and one == was
        merged += base[start : start + length]
        at = (start + length, in_live + length, in_proposed + length)
    return merged, clean


def _unchanged(base: Sequence[str], live: Sequence[str], proposed: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Runs of lines that neither side changed: their start in each text, and their length."""
    one, other = matching_blocks(base, live), matching_blocks(base, proposed)
    found = []
    while one and other:
        left, right = one[0], other[0]
        start, end = max(left.old, right.old), min(_end(left), _end(right))
        if start < end:
            found.append((start, left.new + start - left.old, right.new + start - right.old, end - start))
        (one if _end(left) <= _end(right) else other).pop(0)
    return found


def _end(block: Block) -> int:
    return block.old + block.length


def _other_keys(base: Article, live: Article, proposed: Article, article: Article) -> dict[str, object]:
    """Changes to what a draft does not know: the aliases, and the keys of other tools, where the live text wins."""
    changes: dict[str, object] = {}
    aliases = merge_lists(base.meta.aliases, article.meta.aliases, proposed.meta.aliases)
    aliases = tuple(alias for alias in aliases if alias != article.slug)
    if aliases != article.meta.aliases:
        changes["aliases"] = list(aliases) or None
    old, kept, wanted = map(_unknown_keys, (base, live, proposed))
    for key in dict.fromkeys((*old, *wanted)):
        if kept.get(key) == old.get(key) != wanted.get(key):
            changes[key] = wanted.get(key)
    return changes


def _unknown_keys(article: Article) -> dict[str, object]:
    head = article.source[: len(article.source) - len(article.body)].rstrip()
    data = yaml_text.load(head[head.find("\n") + 1 : head.rfind("\n") + 1])
    return {key: value for key, value in data.items() if key not in Meta.model_fields}
