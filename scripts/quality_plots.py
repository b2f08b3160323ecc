"""Draw the figures of docs/quality.md and list the worst errors, on the development split unless told otherwise.

    python -m scripts.quality_plots --results RESULTS.json [--split dev]

``RESULTS.json`` comes from ``scripts.evaluate_messages --out``. Writes ``docs/quality/*.svg`` and prints, for ``docs/quality.md``, the
``WORST`` messages whose right article is ranked lowest, the surest errors first.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from kb.library import Library
from scripts.training_messages import Message, Split, messages
from search.engine import SearchEngine
from search.evaluation import Outcome, Query, auroc, run
from search.index_store import IndexStore
from webapp.settings import PROJECT, SAMPLE_KB, load_settings

mpl.use("svg")
mpl.rcParams.update({
    "svg.hashsalt": "bible", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "axes.spines.top": False,
    "axes.spines.right": False,
})  # fmt: skip

from matplotlib import pyplot as plt  # noqa: E402  # after the settings above

FOLDER = PROJECT / "docs" / "quality"
WORST = 30
BINS = 10
COLOURS = ("#9aa5b1", "#c9b28f", "#a9805a", "#7fa99b", "#5b8fb9", "#00407a", "#8c5e9e")
SETS = ("all + off-topic", "disturbed", "mail", "pm", "note", "voice", "senior", "nonnative", "situation")

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def main(arguments: list[str] | None = None) -> int:
    """Draw and print; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--split", choices=get_args(Split), default="dev", help="the messages of the other figures")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    draw_recall(json.loads(options.results.read_text(encoding="utf-8")))
    settings = load_settings()
    library, embedder = Library.load(SAMPLE_KB), settings.load_embedder()
    engine = SearchEngine(library, IndexStore(settings.var_dir / "evaluate" / embedder.name, embedder).open(library), embedder)
    chosen = [message for message in messages(options.split) if message.kind in {"topic", "off-topic"}]
    outcomes = run(engine, [Query(id=str(number), message=one.text, expected=one.topics) for number, one in enumerate(chosen)])
    top = np.array([outcome.confidence[0] if outcome.confidence else 0.0 for outcome in outcomes])
    right = np.array([bool(outcome.ranked) and outcome.ranked[0] in one.topics for one, outcome in zip(chosen, outcomes, strict=True)])
    real = np.array([one.kind == "topic" for one in chosen])
    draw_reliability(top, right)
    draw_refusal(top, real, engine.calibration.answered_from)
    print(worst(chosen, outcomes))
    return 0


def draw_recall(lines: Sequence[dict[str, Any]]) -> None:
    """Recall@3 of every search on every set, with intervals."""
    systems = list(dict.fromkeys(line["system"] for line in lines))
    found = {(line["set"], line["system"]): (line["figures"]["recall_3"], line["margin_3"]) for line in lines}
    figure, axes = plt.subplots(figsize=(11, 4.2))
    width = 0.8 / len(systems)
    for number, system in enumerate(systems):
        at = np.arange(len(SETS)) + (number - len(systems) / 2 + 0.5) * width
        heights, margins = np.array([found[name, system] for name in SETS]).T
        axes.bar(at, heights, width, yerr=margins, color=COLOURS[number], label=system, error_kw={"lw": 0.7})
    axes.set_xticks(range(len(SETS)), SETS)
    axes.set_ylabel("recall@3")
    axes.set_ylim(0, 1)
    axes.legend(ncols=4, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.22), fontsize=9)
    _save(figure, "recall")


def draw_reliability(top: Floats, right: Bools) -> None:
    """Confidence against the share that is right, by tenths, with how many messages each tenth holds."""
    figure, (axes, counts) = plt.subplots(2, 1, figsize=(5, 5.4), height_ratios=(3, 1), sharex=True)
    bins = np.minimum((top * BINS).astype(int), BINS - 1)
    axes.plot([0, 1], [0, 1], ls=":", color="grey")
    held = [number for number in range(BINS) if (bins == number).any()]
    axes.plot([top[bins == number].mean() for number in held], [right[bins == number].mean() for number in held], "o-", color=COLOURS[5])
    gap = sum(abs(top[bins == number].mean() - right[bins == number].mean()) * np.mean(bins == number) for number in held)
    axes.set_ylabel("share that is right")
    axes.set_title(f"Reliability of the confidence (expected gap {gap:.3f})", fontsize=10)
    counts.bar((np.arange(BINS) + 0.5) / BINS, np.bincount(bins, minlength=BINS), 0.09, color=COLOURS[0])
    counts.set_xlabel("confidence of the first article")
    counts.set_ylabel("messages")
    _save(figure, "reliability")


def draw_refusal(top: Floats, real: Bools, answered_from: float) -> None:
    """Where the confidences of real and of off-topic messages lie, on both sides of the threshold."""
    figure, axes = plt.subplots(figsize=(7, 3.2))
    edges = np.linspace(0, 1, 51).tolist()
    for chosen, colour, label in ((real, COLOURS[5], "requests"), (~real, "#c0392b", "off-topic")):
        axes.hist(top[chosen], edges, weights=np.full(chosen.sum(), 1 / chosen.sum()), color=colour, alpha=0.65, label=label)
    axes.axvline(answered_from, color="black", lw=0.8, ls="--")
    axes.set_title(f"AUROC {auroc(list(top[real]), list(top[~real])):.3f}; dashed: under it, no answer is given", fontsize=10)
    axes.set_xlabel("confidence of the first article")
    axes.set_ylabel("share of the messages")
    axes.legend(frameon=False)
    _save(figure, "refusal")


def worst(chosen: Sequence[Message], outcomes: Sequence[Outcome]) -> str:
    """List the worst errors as a Markdown table: the right article out of the first ten, the surest wrong answers first."""
    errors = [
        (outcome.confidence[0], one, outcome)
        for one, outcome in zip(chosen, outcomes, strict=True)
        if outcome.ranked and outcome.answered and not set(one.topics) & set(outcome.ranked)
    ]
    rows = ["| confidence | message | expected | found | why |", "|---|---|---|---|---|"]
    for confidence, one, outcome in sorted(errors, key=lambda error: -error[0])[:WORST]:
        short = textwrap.shorten(one.text.replace("|", "/"), 160, placeholder=" …")
        rows.append(f"| {confidence:.2f} | {short} | {', '.join(one.topics) or '– (off-topic)'} | {outcome.ranked[0]} | |")
    return "\n".join(rows)


def _save(figure: Any, name: str) -> None:
    figure.tight_layout()
    # Without a date the file changes only when the figure does.
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
