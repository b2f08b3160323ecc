"""From a score to the probability that an article answers: a logistic function of a few raw signals.

Cosines and coverage tell "nothing fits" better than a score relative to the other candidates does, and they mean the same on any
collection; what the message is about at all tells a joke that shares words from a request. The coefficients were fitted on the
development split of ``training/messages`` (``scripts/calibrate.py``, docs/adr/0005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from search.fusion import Scores, Signals

Level = Literal["sure", "check", "none"]
FEATURES = 6


@dataclass(frozen=True)
class MessageSigns:
    """What a text says of itself, whatever the candidates.

    ``civic`` is the log-odds that it speaks of public services (``search.topicality``), ``known`` the share of its terms that the
    collection holds, 0 to 1.
    """

    civic: float
    known: float


@dataclass(frozen=True)
class Calibration:
    """Coefficients of the logistic function, and the two probabilities that separate its three levels."""

    intercept: float
    ask: float
    whole: float
    coverage: float
    margin: float
    civic: float
    known: float
    answered_from: float
    sure_from: float

    @property
    def weights(self) -> tuple[float, ...]:
        """The coefficients in the order of ``features``."""
        return (self.ask, self.whole, self.coverage, self.margin, self.civic, self.known)


# Fitted with the model bible-fr.
HYBRID = Calibration(
    intercept=-7.44, ask=1.35, whole=4.54, coverage=0.0, margin=1.64, civic=0.27, known=3.89, answered_from=0.209, sure_from=0.7
)
KEYWORDS = Calibration(
    intercept=-6.83, ask=0.0, whole=0.0, coverage=1.93, margin=2.83, civic=0.32, known=4.22, answered_from=0.116, sure_from=0.65
)


def features(signals: Signals, scores: Scores, signs: MessageSigns) -> Scores:
    """Lay out what the calibration reads, of shape (candidates, ``FEATURES``).

    Args:
        signals: of the candidates.
        scores: of the candidates, from ``fusion.fuse``.
        signs: what the text says of itself.

    Returns:
        Columns ask, whole, coverage, margin over the best other candidate (its score when there is none), and the signs of the text:
        civic, known.
        Raw BM25 is not among them: it grows with the collection.
    """
    # A lone candidate leads by all that it has.
    margin = scores.copy()
    if len(scores) > 1:
        first, second = np.argsort(-scores)[:2]
        margin = scores - scores[first]
        margin[first] = scores[first] - scores[second]
    of_text = np.tile(np.array([signs.civic, signs.known], dtype=np.float32), (len(scores), 1))
    of_candidates = np.stack([signals.ask, signals.whole, signals.coverage, margin], axis=1)
    return np.concatenate([of_candidates, of_text], axis=1).astype(np.float32)


def confidences(given: Scores, calibration: Calibration) -> Scores:
    """Estimate, from the ``features`` of each candidate, the probability that it answers; shape (candidates,), 0 to 1."""
    logits = calibration.intercept + given @ np.array(calibration.weights, dtype=np.float32)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30))), dtype=np.float32)


def level(confidence: float, calibration: Calibration) -> Level:
    """Name the level of a confidence: ``sure``, ``check`` (an agent should look) or ``none``."""
    if confidence >= calibration.sure_from:
        return "sure"
    return "check" if confidence >= calibration.answered_from else "none"
