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
FEATURES = 8


@dataclass(frozen=True)
class Calibration:
    """Coefficients of the logistic function, and the two probabilities that separate its three levels."""

    intercept: float
    ask: float
    body: float
    whole: float
    coverage: float
    words: float
    domain: float
    margin: float
    rival: float
    answered_from: float
    sure_from: float

    @property
    def weights(self) -> tuple[float, ...]:
        """The coefficients in the order of ``features``."""
        return (self.ask, self.body, self.whole, self.coverage, self.words, self.domain, self.margin, self.rival)


# Fitted with the model bible-fr. Under `answered_from`, the first article is right one time in ten.
HYBRID = Calibration(
    intercept=-6.32,
    ask=4.17,
    body=0.03,
    whole=3.74,
    coverage=0.0,
    words=0.6,
    domain=0.11,
    margin=2.46,
    rival=-0.97,
    answered_from=0.12,
    sure_from=0.73,
)
KEYWORDS = Calibration(
    intercept=-8.52,
    ask=0.0,
    body=0.0,
    whole=0.0,
    coverage=2.51,
    words=1.41,
    domain=0.0,
    margin=1.48,
    rival=0.0,
    answered_from=0.1,
    sure_from=0.54,
)


def features(signals: Signals, scores: Scores, rival: float | None) -> Scores:
    """Lay out what the calibration reads, of shape (candidates, ``FEATURES``).

    Args:
        signals: of the candidates.
        scores: of the candidates, from ``fusion.fuse``.
        rival: the best score of an advice article ("a joke", "an insult"), or ``None`` when the collection has none.

    Returns:
        Columns ask, body, whole, coverage, words (the logarithm of BM25F), domain (how near the five best candidates are on average, the
        same for all: is this message about what the collection is about?), margin over the best other candidate, and by how much
        the rival is ahead (0 when it is not).
    """
    margin = np.zeros_like(scores)
    if len(scores) > 1:
        first, second = np.argsort(-scores)[:2]
        margin = scores - scores[first]
        margin[first] = scores[first] - scores[second]
    domain = np.full_like(scores, signals.ask[np.argsort(-scores)[:5]].mean() if len(scores) else 0.0)
    ahead = np.maximum(rival - scores, 0.0) if rival is not None else np.zeros_like(scores)
    return np.stack(
        [signals.ask, signals.body, signals.whole, signals.coverage, np.log1p(signals.words), domain, margin, ahead], axis=1
    ).astype(np.float32)


def confidences(given: Scores, calibration: Calibration) -> Scores:
    """Estimate, from the ``features`` of each candidate, the probability that it answers; shape (candidates,), 0 to 1."""
    logits = calibration.intercept + given @ np.array(calibration.weights, dtype=np.float32)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30))), dtype=np.float32)


def level(confidence: float, calibration: Calibration) -> Level:
    """Name the level of a confidence: ``sure``, ``check`` (an agent should look) or ``none``."""
    if confidence >= calibration.sure_from:
        return "sure"
    return "check" if confidence >= calibration.answered_from else "none"
