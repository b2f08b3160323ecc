"""What each signal says of an article, and the one small function that weighs them into a score.

Weights were tuned on the development split of ``training/messages`` only (docs/adr/0005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Signals:
    """What one piece of a message says of each candidate article; arrays of shape (candidates,).

    ``ask`` is the best cosine with the title or a question, ``body`` the best with the lead or a section (both 0 without a model);
    ``words`` is BM25F, ``coverage`` the same divided by what a perfect match would get, 0 to 1.
    """

    ask: Scores
    body: Scores
    words: Scores
    coverage: Scores


@dataclass(frozen=True)
class Weights:
    """How much each signal counts in the score.

    ``service`` is added to the articles of the agent's own service, ``overdue`` taken from those whose review is late: both small enough
    to break ties only.
    """

    ask: float = 1.0
    body: float = 0.45
    words: float = 0.22
    coverage: float = 0.35
    service: float = 0.02
    overdue: float = 0.01


HYBRID = Weights()
KEYWORDS = Weights(ask=0.0, body=0.0, words=0.5, coverage=1.0)


def fuse(signals: Signals, weights: Weights) -> Scores:
    """Score candidates: a weighted sum, BM25F taken relative to the best candidate's so that its scale does not depend on the collection.

    Returns:
        Array of shape (candidates,), higher is better.
    """
    best = float(signals.words.max(initial=0.0))
    relative = signals.words / best if best > 0 else signals.words
    total = weights.ask * signals.ask + weights.body * signals.body + weights.words * relative + weights.coverage * signals.coverage
    return np.asarray(total, dtype=np.float32)
