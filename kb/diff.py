"""What changed between two texts, as people read it: words, rendered pages, source lines, fields. No input or output.

Guarantees: what is the same and what was removed make the old text, what is the same and what was added make the new one, to the
character; a rendered difference has the structure of the new page, only text, line breaks and images inside ``<ins>`` and ``<del>``,
and passes the sanitiser unchanged; the time is bounded, and a text too different is shown as wholly replaced.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from kb.draft import CHANNEL_PREFIX, CHOICES, Draft, label_of, source_line
from kb.matching import Work, matching_blocks

CONTEXT_LINES = 3
# Islands of same text that are as short as this, between two changes, only make them harder to read.
SMALL_ISLAND_CHARS = 3
ISLAND_CHARS = 12
# Under this share of common characters, two texts are shown one after the other.
ALIKE = 0.3
MAX_PAIRS = 2500
CELL_SCORE = 0.001

Op = Literal["same", "added", "removed"]


@dataclass(frozen=True)
class Piece:
    """A run of text that is the same in both versions, added by the new one, or removed from the old one."""

    op: Op
    text: str


@dataclass(frozen=True)
class Line:
    """A line of the source, without its end: its 1-based number in each version that has it, and its words."""

    op: Op
    old_number: int | None
    new_number: int | None
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True)
class Hunk:
    """Lines that follow each other: changed ones, and those around them."""

    lines: tuple[Line, ...]


@dataclass(frozen=True)
class FieldChange:
    """A field that changed: the words of a text, what came into and left a list (nothing when only the order did), or two values."""

    field: str
    label: str
    kind: Literal["text", "list", "value"]
    pieces: tuple[Piece, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class _Edit(NamedTuple):
    """``old[i1:i2]`` becomes ``new[j1:j2]``; ``same`` when they are equal."""

    same: bool
    i1: int
    i2: int
    j1: int
    j2: int


# Words.

_TOKEN = re.compile(r"\n|[^\S\n]+|\w+|[^\w\s]")


def word_diff(old: str, new: str) -> list[Piece]:
    """Compare two texts word by word.

    Returns:
        The pieces in reading order; in a change, what was removed comes first.
    """
    work = Work()
    pieces: list[Piece] = []
    old_lines, new_lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for edit in _edits(old_lines, new_lines, work):
        before, after = "".join(old_lines[edit.i1 : edit.i2]), "".join(new_lines[edit.j1 : edit.j2])
        pieces += [Piece("same", before)] if edit.same else _words(before, after, work)
    return _joined(pieces)


def _words(old: str, new: str, work: Work) -> Iterator[Piece]:
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    for edit in _readable(_edits(before, after, work), before, after):
        removed, added = "".join(before[edit.i1 : edit.i2]), "".join(after[edit.j1 : edit.j2])
        if edit.same:
            yield Piece("same", removed)
        else:
            yield Piece("removed", removed)
            yield Piece("added", added)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Join the pieces of one kind that touch, an empty one left out; in a change, what was removed comes first."""
    joined: list[Piece] = []
    change = {"removed": "", "added": ""}

    def flush() -> None:
        joined.extend(Piece(op, change[op]) for op in ("removed", "added") if change[op])
        change.update(removed="", added="")

    for piece in pieces:
        if not piece.text:
            continue
        if piece.op != "same":
            change[piece.op] += piece.text
            continue
        flush()
        if joined and joined[-1].op == "same":
            joined[-1] = Piece("same", joined[-1].text + piece.text)
        else:
            joined.append(piece)
    flush()
    return joined


def _edits(old: Sequence[Hashable], new: Sequence[Hashable], work: Work) -> list[_Edit]:
    found = []
    at_old = at_new = 0
    for block in matching_blocks(old, new, work):
        if (block.old, block.new) != (at_old, at_new):
            found.append(_Edit(False, at_old, block.old, at_new, block.new))
        at_old, at_new = block.old + block.length, block.new + block.length
        found.append(_Edit(True, block.old, at_old, block.new, at_new))
    if (at_old, at_new) != (len(old), len(new)):
        found.append(_Edit(False, at_old, len(old), at_new, len(new)))
    return found


def _readable(edits: list[_Edit], old: Sequence[str], new: Sequence[str]) -> list[_Edit]:
    """Merge the islands that only cut a change into confetti, and take two texts that have little in common as replaced."""
    merged: list[_Edit] = []
    for position, edit in enumerate(edits):
        following = edits[position + 1] if position + 1 < len(edits) else None
        is_confetti = edit.same and following is not None and bool(merged) and _is_small(edit, merged[-1], following, old, new)
        if merged and not merged[-1].same and (is_confetti or not edit.same):
            merged[-1] = merged[-1]._replace(i2=edit.i2, j2=edit.j2)
        else:
            merged.append(edit)
    sizes = [sum(map(_visible_chars, side)) for side in (old, new)]
    same = sum(_visible_chars(text) for edit in merged if edit.same for text in old[edit.i1 : edit.i2])
    if len(merged) > 1 and same < ALIKE * min(sizes):
        return [_Edit(False, 0, len(old), 0, len(new))]
    return merged


def _is_small(island: _Edit, before: _Edit, after: _Edit, old: Sequence[str], new: Sequence[str]) -> bool:
    if island.i2 - island.i1 > 2 * ISLAND_CHARS:
        return False
    words = old[island.i1 : island.i2]
    if "\n" in words:
        return False
    length = sum(map(_visible_chars, words))
    if length <= SMALL_ISLAND_CHARS:
        # A full stop between two changed sentences keeps them apart; a comma or an article between two words does not.
        return not any(word in _SENTENCE_ENDS for word in words)
    around = min(_size(before, old, new), _size(after, old, new))
    return length <= ISLAND_CHARS and 2 * length <= around


_SENTENCE_ENDS = frozenset(".!?…")


def _visible_chars(token: str) -> int:
    # An image or an address counts for one.
    return 1 if token.startswith("\0") else len(token.strip())


def _size(edit: _Edit, old: Sequence[str], new: Sequence[str]) -> int:
    """Characters of a change; above what matters for an island, the rest is not counted."""
    sides = (old[edit.i1 : min(edit.i2, edit.i1 + 2 * ISLAND_CHARS)], new[edit.j1 : min(edit.j2, edit.j1 + 2 * ISLAND_CHARS)])
    return max(sum(map(_visible_chars, side)) for side in sides)


# Source lines.


def source_diff(old: str, new: str) -> list[Hunk]:
    """Compare two sources line by line, with the lines around each change and the words inside it.

    Returns:
        The changes in order; none when the texts are the same.
    """
    work = Work()
    before, after = _source_lines(old), _source_lines(new)
    edits = _edits(before, after, work)
    hunks: list[Hunk] = []
    lines: list[Line] = []
    for position, edit in enumerate(edits):
        if not edit.same:
            lines += _changed_lines(edit, before, after, work)
            continue
        offset = edit.j1 - edit.i1
        same = [Line("same", i + 1, i + 1 + offset, (Piece("same", _bare(before[i])),)) for i in range(edit.i1, edit.i2)]
        is_first, is_last = position == 0, position == len(edits) - 1
        if is_first or is_last or len(same) > 2 * CONTEXT_LINES:
            if not is_first:
                hunks.append(Hunk((*lines, *same[:CONTEXT_LINES])))
            lines = [] if is_last else same[-CONTEXT_LINES:]
        else:
            lines += same
    return [*hunks, Hunk(tuple(lines))] if lines else hunks


def _source_lines(text: str) -> list[str]:
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _bare(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _changed_lines(edit: _Edit, old: list[str], new: list[str], work: Work) -> Iterator[Line]:
    before, after = old[edit.i1 : edit.i2], new[edit.j1 : edit.j2]
    pieces = _joined(list(_words("".join(before), "".join(after), work)))
    for number, words in enumerate(_by_line(pieces, before, "removed"), edit.i1 + 1):
        yield Line("removed", number, None, words)
    for number, words in enumerate(_by_line(pieces, after, "added"), edit.j1 + 1):
        yield Line("added", None, number, words)


def _by_line(pieces: list[Piece], lines: list[str], op: Op) -> Iterator[tuple[Piece, ...]]:
    """Cut the pieces of one side where its lines end."""
    if all(piece.op != "same" for piece in pieces):
        yield from ((Piece(op, bare),) if (bare := _bare(line)) else () for line in lines)
        return
    rest = [piece for piece in pieces if piece.op in ("same", op)][::-1]
    for line in lines:
        words: list[Piece] = []
        wanted = len(line)
        while wanted:
            piece = rest.pop()
            if len(piece.text) > wanted:
                rest.append(Piece(piece.op, piece.text[wanted:]))
                piece = Piece(piece.op, piece.text[:wanted])
            wanted -= len(piece.text)
            words.append(Piece(piece.op, piece.text if wanted else _bare(piece.text)))
        yield tuple(piece for piece in words if piece.text)


# Fields.

_TEXTS = ("title", "lead", "details", "short")
_LISTS = ("questions", "tags", "see_also", "sources")


def field_changes(old: Draft | None, new: Draft | None) -> list[FieldChange]:
    """List the fields that changed, in the order of the form.

    Args:
        old: the article before, ``None`` when it is new.
        new: the article after, ``None`` when it goes.
    """
    before, after = old or Draft(), new or Draft()
    return [_field_change(name, before, after) for name in after.changed_from(before)]


def _field_change(name: str, old: Draft, new: Draft) -> FieldChange:
    label = label_of(name)
    if name in _LISTS:
        before, after = (_items(draft, name) for draft in (old, new))
        added, removed = Counter(after) - Counter(before), Counter(before) - Counter(after)
        return FieldChange(name, label, "list", added=tuple(added.elements()), removed=tuple(removed.elements()))
    if name in _TEXTS or name.startswith(CHANNEL_PREFIX):
        texts = (draft.channels.get(name.removeprefix(CHANNEL_PREFIX), "") if "." in name else getattr(draft, name) for draft in (old, new))
        return FieldChange(name, label, "text", tuple(word_diff(*texts)))
    one, other = (CHOICES.get(name, {}).get(getattr(draft, name), getattr(draft, name)) for draft in (old, new))
    return FieldChange(name, label, "value", added=(other,) if other else (), removed=(one,) if one else ())


def _items(draft: Draft, name: str) -> tuple[str, ...]:
    return tuple(map(source_line, draft.sources)) if name == "sources" else tuple(getattr(draft, name))


# Rendered pages.

_TAG = re.compile(r"""<(/?)([a-z][a-z0-9]*)((?: [a-zA-Z-]+="[^"]*")*)>""")
_HTML_TOKEN = re.compile(r"&(?:[a-z]+|#\d+);|[^\S\u00a0]+|\w+|[^\w\s]|\u00a0")
_INLINE = frozenset({"a", "abbr", "br", "code", "del", "em", "img", "mark", "strong", "sub", "sup"})
_VOID = frozenset({"br", "hr", "img"})
# Inside these a paragraph may stand; inside lists, an item.
_HOLDS_PARAGRAPHS = frozenset({"div", "blockquote", "li", "td", "th", "dd"})
_LIST_TAGS = frozenset({"ul", "ol"})
_STRUCTURE = _HOLDS_PARAGRAPHS | _LIST_TAGS | {"dl", "table", "thead", "tbody", "tr"}


@dataclass(frozen=True)
class _Token:
    """A piece of a page: a tag that is copied, or a word, an image, a line break or a link's address, which are compared."""

    raw: str
    key: str = ""
    removed: str = ""

    @property
    def is_compared(self) -> bool:
        return bool(self.key)


@dataclass(frozen=True)
class _Run:
    """Inline content between two block tags: the tokens ``start`` to ``end`` of the page, and the element it is in."""

    start: int
    end: int
    container: str
    tokens: tuple[_Token, ...]
    keys: tuple[str, ...]

    @property
    def is_cell(self) -> bool:
        return self.container in ("td", "th")


@dataclass(frozen=True)
class _Page:
    tokens: tuple[_Token, ...]
    # Names of the elements open before each token, and after the last.
    open: tuple[tuple[str, ...], ...]
    runs: tuple[_Run, ...]


def html_diff(old_html: str, new_html: str) -> str:
    """Show on the new page what was added and removed.

    Args:
        old_html: the page before, sanitised by ``render.to_html``.
        new_html: the page after, sanitised too.

    Returns:
        The new page with ``<ins>`` around what was added and ``<del>`` around what was removed; the address of a link that changed, came
        or went follows it in brackets.
    """
    work = Work()
    old, new = _page(old_html), _page(new_html)
    pairs, lost = _pair_runs(old.runs, new.runs, work)
    # Position in the new page → the removed paragraphs that stand there.
    inserted: dict[int, list[str]] = {}
    for before, runs in lost.items():
        first = new.runs[before - 1].end if before else 0
        last = new.runs[before].start if before < len(new.runs) else len(new.tokens)
        for is_row, group in groupby(runs, key=lambda run: run.is_cell):
            contents = [(_deleted(run.tokens), run.container == "li") for run in group]
            for content, is_item in [(" | ".join(text for text, _ in contents), False)] if is_row else contents:
                if content:
                    at, form = _place(new, first, last, is_item=is_item)
                    inserted.setdefault(at, []).append(form.format(content))
    out = []
    at = 0
    for index, run in enumerate(new.runs):
        for position in range(at, run.start):
            out += [*inserted.pop(position, ()), new.tokens[position].raw]
        out += inserted.pop(run.start, ())
        out.append(_run_diff(pairs.get(index), run, work))
        at = run.end
    for position in range(at, len(new.tokens)):
        out += [*inserted.pop(position, ()), new.tokens[position].raw]
    out += inserted.pop(len(new.tokens), ())
    return "".join(out)


def _page(source: str) -> _Page:
    tokens: list[_Token] = []
    opened: list[tuple[str, ...]] = []
    stack: tuple[str, ...] = ()
    links: list[str] = []
    runs: list[_Run] = []
    start = 0

    def add(token: _Token) -> None:
        tokens.append(token)
        opened.append(stack)

    def close_run() -> None:
        inside = tuple(tokens[start:])
        if any(token.is_compared and token.key != " " for token in inside):
            container = next((name for name in reversed(opened[start]) if name not in _INLINE), "")
            runs.append(_Run(start, len(tokens), container, inside, tuple(token.key for token in inside if token.is_compared)))

    at = 0
    for match in [*_TAG.finditer(source), None]:
        is_pre = "pre" in stack
        for word in _HTML_TOKEN.findall(source[at : match.start() if match else len(source)]):
            add(_Token(word, word if is_pre or word.strip() else " ", word))
        if match is None:
            break
        at = match.end()
        raw, closing, name = match.group(), match.group(1), match.group(2)
        if name not in _INLINE:
            close_run()
        if closing:
            add(_Token(raw))
            stack = stack[: len(stack) - 1 - stack[::-1].index(name)] if name in stack else stack
            if name == "a" and links:
                address = links.pop()
                # Nothing to see while it stays the same.
                add(_Token("", f"\0{address}", f" ({address})" if address else ""))
        elif name in _VOID and name in _INLINE:
            add(_Token(raw, f"\0{raw}", raw))
        else:
            add(_Token(raw))
            stack = stack if name in _VOID else (*stack, name)
            if name == "a":
                href = re.search(r' href="([^"]*)"', raw)
                links.append(href.group(1).replace("<", "&lt;").replace(">", "&gt;") if href else "")
        if name not in _INLINE:
            start = len(tokens)
    close_run()
    return _Page(tuple(tokens), (*opened, stack), tuple(runs))


def _pair_runs(old: Sequence[_Run], new: Sequence[_Run], work: Work) -> tuple[dict[int, _Run], dict[int, list[_Run]]]:
    """Pair the paragraphs of the two pages.

    Returns:
        The new one's index → the old one; the index of the new one before which old ones were lost → those.
    """
    pairs: dict[int, _Run] = {}
    lost: dict[int, list[_Run]] = {}
    for edit in _edits([run.keys for run in old], [run.keys for run in new], work):
        if edit.same:
            pairs |= dict(zip(range(edit.j1, edit.j2), old[edit.i1 : edit.i2], strict=True))
            continue
        left, before = edit.i1, edit.j1
        for i, j in [*_alike(old[edit.i1 : edit.i2], new[edit.j1 : edit.j2]), (edit.i2 - edit.i1, edit.j2 - edit.j1)]:
            if edit.i1 + i > left:
                lost[before] = list(old[left : edit.i1 + i])
            if edit.j1 + j < edit.j2:
                pairs[edit.j1 + j] = old[edit.i1 + i]
            left, before = edit.i1 + i + 1, edit.j1 + j + 1
    return pairs, lost


def _alike(old: Sequence[_Run], new: Sequence[_Run]) -> list[tuple[int, int]]:
    """Pair, in order, the paragraphs that have the most words in common."""
    if len(old) * len(new) > MAX_PAIRS:
        return []
    bags = [[Counter(key for key in run.keys if key.isalnum()) for run in side] for side in (old, new)]
    sizes = [[sum(bag.values()) for bag in side] for side in bags]
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    score = [[0.0] * len(new) for _ in old]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            common = sum((bags[0][i] & bags[1][j]).values())
            smallest = min(sizes[0][i], sizes[1][j]) or 1
            # A table keeps its cells: one that became wholly different stays in its place.
            score[i][j] = common / smallest if common >= ALIKE * smallest else CELL_SCORE * (old[i].is_cell and new[j].is_cell)
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + score[i][j])
    pairs = []
    i = j = 0
    while i < len(old) and j < len(new):
        if score[i][j] and best[i][j] == best[i + 1][j + 1] + score[i][j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _place(page: _Page, first: int, last: int, *, is_item: bool) -> tuple[int, str]:
    """Say where, from one token to another, a removed paragraph can stand, and in what form."""
    places: list[tuple[int, int, int, str]] = []
    for position in range(first, last + 1):
        around = page.open[position]
        if not _STRUCTURE.issuperset(around):
            continue
        if around and around[-1] in _LIST_TAGS:
            places.append((0 if is_item else 2, len(around), position, "<li><del>{}</del></li>"))
        elif not around or around[-1] in _HOLDS_PARAGRAPHS:
            places.append((1, len(around), position, "<p><del>{}</del></p>"))
    if places:
        _, _, position, form = min(places)
        return position, form
    return last, "<del>{}</del>"


def _deleted(tokens: Sequence[_Token]) -> str:
    return "".join(token.removed for token in tokens if token.is_compared).strip()


def _run_diff(old: _Run | None, new: _Run, work: Work) -> str:
    before = [token for token in old.tokens if token.is_compared] if old else []
    after = [token for token in new.tokens if token.is_compared]
    old_keys, new_keys = [token.key for token in before], [token.key for token in after]
    # What to write before each compared token of the new run, and whether that token is new.
    removed = [""] * (len(after) + 1)
    is_new = [False] * len(after)
    for edit in _readable(_edits(old_keys, new_keys, work), old_keys, new_keys):
        if edit.same:
            continue
        removed[edit.j1] += "".join(token.removed for token in before[edit.i1 : edit.i2])
        is_new[edit.j1 : edit.j2] = [True] * (edit.j2 - edit.j1)
    return "".join(_marked(new.tokens, removed, is_new))


def _marked(tokens: Sequence[_Token], removed: list[str], is_new: list[bool]) -> Iterator[str]:
    added = ""
    at = 0
    for token in tokens:
        if token.is_compared and is_new[at] and not removed[at]:
            added += token.removed
            at += 1
            continue
        yield _wrapped("ins", added)
        added = ""
        if not token.is_compared:
            yield token.raw
            continue
        yield _wrapped("del", removed[at])
        if is_new[at]:
            added = token.removed
        else:
            yield token.raw
        at += 1
    yield _wrapped("ins", added)
    yield _wrapped("del", removed[at])


def _wrapped(tag: str, content: str) -> str:
    return f"<{tag}>{content}</{tag}>" if content.strip() else content if tag == "ins" else ""
