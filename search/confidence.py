"""From a score to the probability that an article answers: a logistic function of a few raw signals.

Raw cosines and coverage tell "nothing fits" better than a normalised score does, and they mean the same on any collection. The
coefficients were fitted on the development split of ``training/messages`` (``scripts/calibrate.py``, docs/adr/0005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from search.fusion import Scores, Signals

Level = Literal["sure", "check", "none"]


@dataclass(frozen=True)
class Calibration:
    """Coefficients of the logistic function, and the two probabilities that separate its three levels."""

    intercept: float
    ask: float
    body: float
    coverage: float
    margin: float
    answered_from: float
    sure_from: float


HYBRID = Calibration(intercept=-7.0, ask=7.0, body=3.0, coverage=4.0, margin=6.0, answered_from=0.30, sure_from=0.70)
KEYWORDS = Calibration(intercept=-3.0, ask=0.0, body=0.0, coverage=7.0, margin=4.0, answered_from=0.30, sure_from=0.70)


def features(signals: Signals, scores: Scores) -> Scores:
    """Lay out what the calibration reads, of shape (candidates, 4): ask, body, coverage, and the margin over the best other candidate."""
    if len(scores) < 2:
        margin = np.zeros_like(scores)
    else:
        order = np.argsort(-scores)
        best_other = np.full(len(scores), scores[order[0]], dtype=np.float32)
        best_other[order[0]] = scores[order[1]]
        margin = scores - best_other
    return np.stack([signals.ask, signals.body, signals.coverage, margin], axis=1).astype(np.float32)


def confidences(signals: Signals, scores: Scores, calibration: Calibration) -> Scores:
    """Estimate, for each candidate, the probability that it answers; shape (candidates,), 0 to 1."""
    weights = np.array([calibration.ask, calibration.body, calibration.coverage, calibration.margin], dtype=np.float32)
    logits = calibration.intercept + features(signals, scores) @ weights
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30))), dtype=np.float32)


def level(confidence: float, calibration: Calibration) -> Level:
    """Name the level of a confidence: ``sure``, ``check`` (an agent should look) or ``none``."""
    if confidence >= calibration.sure_from:
        return "sure"
    return "check" if confidence >= calibration.answered_from else "none"
