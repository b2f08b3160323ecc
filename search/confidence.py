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
FEATURES = 9


@dataclass(frozen=True)
class MessageSigns:
    """What a text says of itself, whatever the candidates.

    ``civic`` is the log-odds that it speaks of public services (``search.topicality``), ``known`` the share of its terms that the
    collection holds, 0 to 1, ``length`` the logarithm of 1 + the number of its terms.
    """

    civic: float
    known: float
    length: float


@dataclass(frozen=True)
class Calibration:
    """Coefficients of the logistic function, and the two probabilities that separate its three levels."""

    intercept: float
    ask: float
    body: float
    whole: float
    coverage: float
    margin: float
    rival: float
    civic: float
    known: float
    length: float
    answered_from: float
    sure_from: float

    @property
    def weights(self) -> tuple[float, ...]:
        """The coefficients in the order of ``features``."""
        return (self.ask, self.body, self.whole, self.coverage, self.margin, self.rival, self.civic, self.known, self.length)


# Fitted with the model bible-fr. Under `answered_from`, the first article is right one time in ten.
HYBRID = Calibration(
    intercept=-4.4, ask=3.72, body=0.59, whole=4.24, coverage=1.08, margin=2.76, rival=-2.6, civic=0.3, known=0.0, length=0.0, answered_from=0.12, sure_from=0.8
)
KEYWORDS = Calibration(
    intercept=-3.15, ask=0.0, body=0.0, whole=0.0, coverage=3.91, margin=2.35, rival=-1.66, civic=0.3, known=0.0, length=0.0, answered_from=0.1, sure_from=0.78
)


def features(signals: Signals, scores: Scores, rival: float | None, signs: MessageSigns) -> Scores:
    """Lay out what the calibration reads, of shape (candidates, ``FEATURES``).

    Args:
        signals: of the candidates.
        scores: of the candidates, from ``fusion.fuse``.
        rival: the best score of an advice article ("a joke", "an insult"), or ``None`` when the collection has none.
        signs: what the text says of itself.

    Returns:
        Columns ask, body, whole, coverage, margin over the best other candidate, by how much the rival is ahead (0 when it is not), and
        the signs of the text: civic, known, length.
        Raw BM25 is not among them: it grows with the collection.
    """
    margin = np.zeros_like(scores)
    if len(scores) > 1:
        first, second = np.argsort(-scores)[:2]
        margin = scores - scores[first]
        margin[first] = scores[first] - scores[second]
    ahead = np.maximum(rival - scores, 0.0) if rival is not None else np.zeros_like(scores)
    of_text = np.tile(np.array([signs.civic, signs.known, signs.length], dtype=np.float32), (len(scores), 1))
    of_candidates = np.stack([signals.ask, signals.body, signals.whole, signals.coverage, margin, ahead], axis=1)
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
