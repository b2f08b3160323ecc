"""Measure accuracy, speed, upkeep and load beside txtai: same content, same model, same vectors, same messages, one run.

    python -m scripts.benchmark [--parts accuracy public sizes] [--sizes 1000 5000 20000] [--quick] [--clients 1 8 32] [--seconds 10]
        [--crowd-seconds 60] [--messages FILE] [--out JSON]

Accuracy is measured on the sample content with the test messages (``--messages``: a file of ``scripts.evaluate`` instead), and so are the
public pages and the widget; the rest on generated articles, kept with their vectors under ``BIBLE_VAR_DIR/benchmark`` so that a second run
starts at once. Servers are started on the loopback only, and stopped. The exit status says that it ran, not that the figures are good.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from kb.errors import KbError
from kb.library import Library
from scripts.bench_content import ContentError, known_items, long_messages, write_articles
from scripts.bench_editing import measure_editing
from scripts.bench_public import Public, measure_public
from scripts.bench_report import Accuracy, Build, Latency, Report, Scale, render
from scripts.bench_serving import ServingError, measure_changes, measure_serving
from scripts.bench_systems import (
    KEYWORDS,
    OURS,
    TXTAI,
    VECTORS,
    CachedEmbedder,
    OurSystem,
    System,
    TxtaiSystem,
    answerable,
    interleaved,
    txtai_text,
)
from scripts.build_index import ProgressBars
from scripts.training_messages import messages
from search.embedder import Embedder
from search.engine import Mode, SearchEngine
from search.errors import SearchError
from search.evaluation import Query, read_queries
from search.index_store import Index, IndexStore
from search.passages import passages
from webapp.settings import SAMPLE_KB, SettingsError, load_settings

SIZES, QUICK_SIZES = (1_000, 5_000, 20_000), (1_000,)
CLIENTS = (1, 8, 32)
SECONDS, QUICK_SECONDS = 10.0, 5.0
CROWD_SECONDS, QUICK_CROWD_SECONDS = 60.0, 10.0
PARTS = ("accuracy", "public", "sizes")
LONG_MESSAGES, LONG_MESSAGE_WORDS = 200, 60
KNOWN_ITEMS = 200
_ENCODING_SAMPLE = 256


@dataclass(frozen=True)
class Bench:
    """What every part of a run needs."""

    embedder: Embedder
    cached: CachedEmbedder
    sample: Library
    folder: Path
    queries: tuple[Query, ...]
    long_messages: tuple[str, ...]
    clients: tuple[int, ...]
    seconds: float
    crowd_seconds: float
    fresh: bool
    parts: frozenset[str]


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns an exit status."""
    options = _options(arguments)
    try:
        bench = _prepare(options)
        report = run(bench, options.sizes or (QUICK_SIZES if options.quick else SIZES))
    except (SettingsError, KbError, SearchError, ContentError, ServingError) as error:
        print(error, file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"{error}: run « make setup-bench » first.", file=sys.stderr)
        return 2
    print(render(report))
    if options.out:
        options.out.write_text(json.dumps(report.as_dict(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=list(PARTS), help="what to measure; everything by default")
    parser.add_argument("--sizes", type=int, nargs="+", help=f"articles in the generated collections; {SIZES} by default")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SIZES[0]} articles and loads of {QUICK_SECONDS:.0f} s: a smoke test")
    parser.add_argument("--clients", type=int, nargs="+", default=list(CLIENTS), help="numbers of clients of the HTTP loads")
    parser.add_argument("--seconds", type=float, help=f"how long each HTTP load lasts; {SECONDS:.0f} by default")
    parser.add_argument("--crowd-seconds", type=float, help=f"how long the crowd on the public pages lasts; {CROWD_SECONDS:.0f} by default")
    parser.add_argument("--messages", type=Path, help="messages with their expected slugs, JSON lines as in scripts.evaluate")
    parser.add_argument("--out", type=Path, help="where to write the figures, as JSON")
    parser.add_argument("--fresh", action="store_true", help="write the generated articles again")
    return parser.parse_args(arguments)


def _prepare(options: argparse.Namespace) -> Bench:
    settings = load_settings()
    embedder = settings.load_embedder()
    folder = settings.var_dir.resolve() / "benchmark"
    test = [message for message in messages("test") if message.kind == "topic"]
    if options.messages:
        queries = [query for query in read_queries(options.messages) if query.expected]
    else:
        queries = [
            Query(id=f"{message.need}#{number}", message=message.text, expected=message.topics) for number, message in enumerate(test)
        ]
    return Bench(
        embedder=embedder,
        cached=CachedEmbedder(embedder, folder / "vectors"),
        sample=Library.load(SAMPLE_KB),
        folder=folder,
        queries=tuple(queries),
        long_messages=tuple(long_messages(test, LONG_MESSAGE_WORDS, LONG_MESSAGES)),
        clients=tuple(options.clients),
        seconds=options.seconds or (QUICK_SECONDS if options.quick else SECONDS),
        crowd_seconds=options.crowd_seconds or (QUICK_CROWD_SECONDS if options.quick else CROWD_SECONDS),
        fresh=options.fresh,
        parts=frozenset(options.parts),
    )


def run(bench: Bench, sizes: tuple[int, ...] | list[int]) -> Report:
    """Measure the parts that are asked for, then each size of collection."""
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run"
    _say("the sample content")
    index = IndexStore(bench.folder / "sample-index", bench.cached).open(bench.sample)
    accuracy = measure_accuracy(bench, index) if "accuracy" in bench.parts else ()
    rate = measure_encoding(bench)
    public = _measure_public(bench) if "public" in bench.parts else None
    scales = tuple(measure_scale(bench, size) for size in sorted(set(sizes))) if "sizes" in bench.parts else ()
    return Report(bench.embedder.name, machine, len(bench.queries), len(bench.long_messages), rate, accuracy, scales, public)


def measure_accuracy(bench: Bench, index: Index) -> tuple[Accuracy, ...]:
    """Send the test messages through the four systems over the sample content."""
    answers = interleaved(_systems(bench, bench.sample, index), [query.message for query in bench.queries])
    return tuple(Accuracy.of(name, bench.queries, found) for name, found in answers.items())


def _measure_public(bench: Bench) -> Public:
    _say("public pages and widget")
    questions = list(dict.fromkeys(message.question for message in messages("test") if message.kind == "topic"))
    return measure_public(bench.embedder, bench.folder / "sample-index", questions, bench.crowd_seconds, bench.folder / "public")


def measure_encoding(bench: Bench) -> float:
    """How many passages of the sample the model encodes a second, its cache left aside."""
    texts = [passage.encoded for article in bench.sample.articles.values() for passage in passages(article)][:_ENCODING_SAMPLE]
    started = time.perf_counter()
    bench.embedder.encode_passages(texts)
    return len(texts) / (time.perf_counter() - started)


def measure_scale(bench: Bench, articles: int) -> Scale:
    """Measure one size of generated collection: build, search, change, serve."""
    folder = bench.folder / str(articles)
    _say(f"{articles} articles: content and vectors")
    write_articles(bench.sample, articles, folder / "kb", fresh=bench.fresh)
    library = Library.load(folder / "kb")
    _encode(bench.cached, library)
    _say(f"{articles} articles: indexes")
    index, words_seconds, all_seconds = _build(bench, library, folder / "var" / "index")
    systems = _systems(bench, library, index)
    txtai = next(system for system in systems if isinstance(system, TxtaiSystem))
    build = Build(len(index.row_documents), words_seconds, all_seconds, txtai.build_seconds)
    _say(f"{articles} articles: messages of {LONG_MESSAGE_WORDS} words")
    answers = interleaved(systems, bench.long_messages)
    known = _known_recall([system for system in systems if system.name in (OURS, TXTAI)], library)
    del systems, txtai, index
    _say(f"{articles} articles: changes")
    changes = measure_changes(folder / "kb", folder / "var" / "index", bench.embedder, bench.long_messages, folder / "live")
    _say(f"{articles} articles: versions and proposals")
    editing = measure_editing(folder / "kb", folder / "var" / "index", bench.embedder, folder / "editing")
    _say(f"{articles} articles: service")
    serving = measure_serving(folder / "kb", folder / "var", bench.long_messages, bench.clients, bench.seconds)
    latency = {name: Latency.of(found) for name, found in answers.items()}
    return Scale(articles, build, latency, known, changes, editing, serving)


def _encode(cached: CachedEmbedder, library: Library) -> None:
    """Encode whatever of a collection was never encoded, with a progress bar."""
    texts = [passage.encoded for article in library.articles.values() for passage in passages(article)]
    texts += [txtai_text(article) for article in answerable(library)]
    done = 0
    with ProgressBars() as progress:

        def add(count: int) -> None:
            nonlocal done
            done += count
            progress("sens", done, len(texts))

        cached.encode_passages(texts, add)


def _build(bench: Bench, library: Library, folder: Path) -> tuple[Index, float, float]:
    """Build the index from nothing, words alone first: the index, and the seconds that each took."""
    aside = folder.with_name("words-only")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(aside, ignore_errors=True)
    started = time.perf_counter()
    IndexStore(aside, None).open(library)
    words_seconds = time.perf_counter() - started
    shutil.rmtree(aside, ignore_errors=True)
    started = time.perf_counter()
    index = IndexStore(folder, bench.cached).open(library)
    return index, words_seconds, time.perf_counter() - started


def _systems(bench: Bench, library: Library, index: Index) -> list[System]:
    modes: dict[str, Mode] = {OURS: "hybrid", KEYWORDS: "keywords", VECTORS: "vectors"}
    ours = [OurSystem(name, SearchEngine(library, index, bench.cached, mode=mode), bench.cached) for name, mode in modes.items()]
    return [*ours, TxtaiSystem(answerable(library), bench.cached)]


def _known_recall(systems: list[System], library: Library) -> dict[str, float]:
    """Share of disturbed questions whose article is among the first five, by system."""
    items = known_items(library, KNOWN_ITEMS)
    answers = interleaved(systems, [item.question for item in items], warm_up=0)
    return {
        name: sum(item.slug in answer.slugs[:5] for item, answer in zip(items, found, strict=True)) / len(items)
        for name, found in answers.items()
    }


def _say(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
