"""Fit the confidence on the messages that are not for testing, and print the coefficients for ``search/confidence.py``.

Every message gives its first ``CANDIDATES`` articles; the target is whether an article is one that the message expects. The refusal
threshold is the one that refuses the most off-topic messages while ``MAX_FALSE_REFUSALS`` of the real ones at most are refused.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from kb.library import Library
from scripts.training_messages import Message, messages
from search.confidence import FEATURES, Calibration
from search.engine import Mode, SearchEngine
from search.evaluation import auroc
from search.fusion import Scores
from search.index_store import IndexStore
from webapp.settings import SAMPLE_KB, load_settings

CANDIDATES = 3
MAX_FALSE_REFUSALS = 0.05
# "Sûre" promises an agent that this share of such answers is right.
SURE_PRECISION = 0.85
RIVAL = FEATURES - 1


def main(arguments: list[str] | None = None) -> int:
    """Fit and print; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", nargs="+", default=["dev"], choices=["train", "dev"])
    parser.add_argument("--index", type=Path, default=None, help="index folder; one of its own under BIBLE_VAR_DIR by default")
    options = parser.parse_args(arguments)
    settings = load_settings()
    library = Library.load(SAMPLE_KB)
    embedder = settings.load_embedder()
    index = IndexStore(options.index or settings.var_dir / "calibration", embedder).open(library)
    chosen = [message for split in options.splits for message in messages(split) if message.kind != "multi"]
    modes: tuple[Mode, ...] = ("hybrid", "keywords")
    for mode in modes:
        engine = SearchEngine(library, index, embedder, mode=mode)
        print(f"{mode}: {fit(engine, chosen)}")
    return 0


def logistic(features: Scores, right: npt.NDArray[np.bool_]) -> tuple[float, npt.NDArray[np.float64]]:
    """Fit a logistic regression whose signs make sense: more of a signal never lowers the confidence, a rival never raises it.

    Returns:
        The intercept, and one weight a feature.
    """
    signs = np.where(np.arange(features.shape[1]) == RIVAL, -1.0, 1.0)

    def loss(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        logits = parameters[0] + features @ parameters[1:]
        error = expit(logits) - right
        penalty = 0.05 * parameters[1:]
        value = float(np.logaddexp(0, logits).sum() - logits[right].sum() + penalty @ parameters[1:] / 2)
        return value, np.concatenate([[error.sum()], features.T @ error + penalty])

    bounds = [(None, None), *((0.0, None) if sign > 0 else (None, 0.0) for sign in signs)]
    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    return float(found.x[0]), np.asarray(found.x[1:], dtype=np.float64)


def fit(engine: SearchEngine, chosen: list[Message]) -> Calibration:
    """Fit the logistic function, then choose its two thresholds."""
    rows: list[tuple[float, ...]] = []
    targets: list[bool] = []
    first: list[int] = []
    for message in chosen:
        matches = engine.match(message.text, limit=CANDIDATES).matches
        first.append(len(rows) if matches else -1)
        for match in matches:
            rows.append(match.features)
            targets.append(match.slug in message.topics)
    features, right = np.array(rows), np.array(targets)
    intercept, weights = logistic(features, right)
    probabilities = expit(intercept + features @ weights)
    top = np.array([probabilities[at] if at >= 0 else 0.0 for at in first])
    top_right = np.array([bool(right[at]) if at >= 0 else False for at in first])
    real = np.array([message.kind == "topic" for message in chosen])
    off = np.array([message.kind == "off-topic" for message in chosen])
    answered_from = float(np.quantile(top[real], MAX_FALSE_REFUSALS))
    levels = np.sort(top)[::-1]
    precise = [level for level in levels if top_right[top >= level].mean() >= SURE_PRECISION]
    sure_from = float(min(precise, default=0.95))
    print(f"  refused: off-topic {np.mean(top[off] < answered_from):.2f}, real {np.mean(top[real] < answered_from):.2f}", file=sys.stderr)
    print(f"  AUROC real / off-topic {auroc(list(top[real]), list(top[off])):.3f}", file=sys.stderr)
    print(
        f"  sure: {np.mean(top[real] >= sure_from):.2f} of the real ones, right {top_right[top >= sure_from].mean():.2f}", file=sys.stderr
    )
    for level in (0.05, 0.08, 0.1, 0.12, 0.15, 0.2):
        refused = f"off-topic {np.mean(top[off] < level):.2f}, real {np.mean(top[real] < level):.2f}"
        print(f"  from {level:.2f}: refuses {refused}", file=sys.stderr)
    for low in np.arange(0, 1, 0.1):
        inside = (top >= low) & (top < low + 0.1)
        if inside.sum():
            print(f"  {low:.1f}–{low + 0.1:.1f}: {inside.sum():4d} messages, {top_right[inside].mean():.2f} right", file=sys.stderr)
    ask, body, whole, coverage, margin, rival = (round(float(value), 2) for value in weights)
    return Calibration(
        intercept=round(intercept, 2),
        ask=ask,
        body=body,
        whole=whole,
        coverage=coverage,
        margin=margin,
        rival=rival,
        answered_from=round(answered_from, 2),
        sure_from=round(sure_from, 2),
    )


if __name__ == "__main__":
    sys.exit(main())
