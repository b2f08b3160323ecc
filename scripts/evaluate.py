"""Measure the match on a content folder and a file of messages.

    python -m scripts.evaluate --kb DIR --queries FILE.jsonl --out RESULTS.jsonl

``DIR`` is a content folder (only ``title`` is required in an article); a line of ``FILE`` is {"id", "message", "expected": [slug, …]}, an
empty list meaning that nothing should be found. Nothing is written in ``DIR``.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from kb.errors import KbError
from scripts.build_index import ProgressBars
from search.errors import SearchError
from search.evaluation import Figures, figures, read_queries, run
from search.live import LiveEngine
from webapp.settings import SettingsError, load_settings


def main(arguments: list[str] | None = None) -> int:
    """Evaluate and print; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kb", type=Path, required=True, help="content folder")
    parser.add_argument("--queries", type=Path, required=True, help="messages, JSON lines")
    parser.add_argument("--out", type=Path, required=True, help="where the results go, JSON lines")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
        queries = read_queries(options.queries)
        # An index for each content folder, kept, so that a second run starts at once.
        name = hashlib.blake2b(str(options.kb.resolve()).encode(), digest_size=8).hexdigest()
        with ProgressBars() as progress:
            live = LiveEngine(options.kb, settings.var_dir / "evaluate" / name, settings.load_embedder, progress)
        for problem in live.engine.library.problems:
            print(f"laissé de côté : {problem}", file=sys.stderr)
        if live.engine.degraded:
            print(live.engine.degraded, file=sys.stderr)
        outcomes = run(live.engine, queries)
        options.out.write_text("".join(outcome.json_line() + "\n" for outcome in outcomes), encoding="utf-8")
    except (SettingsError, KbError, SearchError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{options.out} : les résultats ne peuvent pas être écrits ({error.strerror}).", file=sys.stderr)
        return 2
    print(report(figures(queries, outcomes)))
    return 0


def report(found: Figures) -> str:
    """Lay out the figures, one a line; a figure that the set cannot give is a dash."""
    rows = [
        ("messages", f"{found.queries}"),
        ("recall@1", _number(found.recall_1)),
        ("recall@3", _number(found.recall_3)),
        ("recall@5", _number(found.recall_5)),
        ("MRR", _number(found.mrr)),
        ("good refusals", _number(found.good_refusals)),
        ("false refusals", _number(found.false_refusals)),
        ("AUROC", _number(found.auroc)),
        ("p50 / p95 / p99", f"{found.p50_ms:.1f} / {found.p95_ms:.1f} / {found.p99_ms:.1f} ms"),
    ]
    return "\n".join(f"{name:<16} {value}" for name, value in rows)


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"  # noqa: PLR0124  # the test for nan that needs no import


if __name__ == "__main__":
    sys.exit(main())
