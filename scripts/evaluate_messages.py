"""Measure the match of the sample articles on our own messages: `make evaluate`.

One table: the full search, vectors alone and keywords alone, over all messages of the split and by style. The test split is opened by
default; use ``--split dev`` while changing anything.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import get_args

from kb.library import Library
from scripts.build_index import ProgressBars
from scripts.training_messages import Message, Split, messages
from search.engine import Mode, SearchEngine
from search.errors import SearchError
from search.evaluation import Figures, Query, figures, run
from search.index_store import IndexStore
from webapp.settings import SAMPLE_KB, SettingsError, load_settings

MODES: tuple[Mode, ...] = ("hybrid", "vectors", "keywords")
HEADER = (
    f"{'search':<10}{'messages':<14}{'n':>5}{'r@1':>7}{'r@3':>7}{'r@5':>7}{'MRR':>7}{'refused':>9}{'wrongly':>9}{'AUROC':>7}{'p50 ms':>8}"
)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=get_args(Split), default="test")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
        embedder = settings.load_embedder()
        library = Library.load(SAMPLE_KB)
        with ProgressBars() as progress:
            index = IndexStore(settings.var_dir / "evaluate" / "sample", embedder).open(library, progress)
    except (SettingsError, SearchError) as error:
        print(error, file=sys.stderr)
        return 2
    written = messages(options.split)
    print(f"{embedder.name}, split {options.split}, {len(library.articles)} articles\n{HEADER}")
    for mode in MODES:
        engine = SearchEngine(library, index, embedder, mode=mode)
        for name, chosen in _groups(written):
            queries = [Query(id=str(number), message=one.text, expected=one.topics) for number, one in enumerate(chosen)]
            print(_line(mode, name, figures(queries, run(engine, queries))), flush=True)
    return 0


def _groups(written: Sequence[Message]) -> list[tuple[str, list[Message]]]:
    """The sets that are reported: every real request with the off-topic ones, then each style, then several requests at once."""
    single = [message for message in written if message.kind == "topic"]
    off = [message for message in written if message.kind == "off-topic"]
    styles = sorted({message.style for message in single})
    groups = [("all + off-topic", single + off)]
    groups += [(style, [message for message in single if message.style == style]) for style in styles]
    groups.append(("2–3 requests", [message for message in written if message.kind == "multi"]))
    groups.append(("elsewhere", [message for message in written if message.kind == "beyond"]))
    return [(name, chosen) for name, chosen in groups if chosen]


def _line(mode: Mode, name: str, found: Figures) -> str:
    def cell(value: float, width: int = 7) -> str:
        return f"{'–' if value != value else f'{value:.3f}':>{width}}"  # noqa: PLR0124  # nan differs from itself

    cells = cell(found.recall_1) + cell(found.recall_3) + cell(found.recall_5) + cell(found.mrr)
    cells += cell(found.good_refusals, 9) + cell(found.false_refusals, 9) + cell(found.auroc)
    return f"{mode:<10}{name:<16}{found.queries:>3}{cells}{found.p50_ms:>8.1f}"


if __name__ == "__main__":
    sys.exit(main())
