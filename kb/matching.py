"""What two sequences have in common, in bounded time: the ground of differences and of merges.

Guarantees: the blocks are in order, never overlap and are equal in both sequences; beyond the work allowed, what is left in the
middle is taken as wholly different, which is never wrong, only coarser.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

# Steps of the search: a fraction of a second.
MAX_STEPS = 500_000


@dataclass(frozen=True)
class Block:
    """``length`` items that are equal from ``old`` on in one sequence and from ``new`` on in the other."""

    old: int
    new: int
    length: int


class Work:
    """The steps that several searches may share."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps


def matching_blocks(old: Sequence[Hashable], new: Sequence[Hashable], work: Work | None = None) -> list[Block]:
    """Find what is common to two sequences with the fewest insertions and deletions (Myers, 1986).

    Args:
        old: one sequence.
        new: the other.
        work: the steps left, shared between calls; a budget of its own when absent.

    Returns:
        The blocks in order, adjacent ones joined.
    """
    work = work or Work()
    shortest = min(len(old), len(new))
    head = 0
    while head < shortest and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shortest - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    pairs = _snakes(old[head : len(old) - tail], new[head : len(new) - tail], work)
    blocks = [Block(0, 0, head)] if head else []
    for start_old, start_new, length in [*pairs, (len(old) - tail - head, len(new) - tail - head, tail)]:
        last = blocks[-1] if blocks else None
        if last and (last.old + last.length, last.new + last.length) == (start_old + head, start_new + head):
            blocks[-1] = Block(last.old, last.new, last.length + length)
        elif length:
            blocks.append(Block(start_old + head, start_new + head, length))
    return blocks


def _snakes(old: Sequence[Hashable], new: Sequence[Hashable], work: Work) -> list[tuple[int, int, int]]:
    """Runs of equal items on the shortest path from one sequence to the other; none when the work runs out."""
    if not old or not new or set(old).isdisjoint(new):
        return []
    furthest = {1: 0}
    trail: list[dict[int, int]] = []
    for edits in range(len(old) + len(new) + 1):
        trail.append({})
        for diagonal in range(-edits, edits + 1, 2):
            if diagonal < -len(new) or diagonal > len(old):
                continue
            down = diagonal == -edits or (diagonal != edits and furthest.get(diagonal - 1, -1) < furthest.get(diagonal + 1, -1))
            x = start = furthest[diagonal + 1] if down else furthest[diagonal - 1] + 1
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x += 1
                y += 1
            furthest[diagonal] = trail[-1][diagonal] = x
            work.left -= 1 + x - start
            if x >= len(old) and y >= len(new):
                return _walk_back(trail, len(old), len(new))
        if work.left < 0:
            return []
    return []


def _walk_back(trail: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int, int]]:
    found = []
    for edits in range(len(trail) - 1, -1, -1):
        diagonal = x - y
        if edits == 0:
            start_x, before_x, before_y = 0, 0, 0
        else:
            before = trail[edits - 1]
            down = diagonal == -edits or (diagonal != edits and before.get(diagonal - 1, -1) < before.get(diagonal + 1, -1))
            before_x = before[diagonal + 1] if down else before[diagonal - 1]
            before_y = before_x - (diagonal + 1 if down else diagonal - 1)
            start_x = before_x if down else before_x + 1
        if x > start_x:
            found.append((start_x, start_x - diagonal, x - start_x))
        x, y = before_x, before_y
    return found[::-1]
