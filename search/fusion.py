"""What each signal says of an article, and the one small function that weighs them into a score.

Weights were tuned on the development split of ``training/messages``, and on the plain questions of topics that the model had never seen
(docs/adr/0005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Signals:
    """What one piece of a message says of each candidate article; arrays of shape (candidates,).

    ``ask`` is the mean cosine with the nearest title and questions (``NEAREST`` of them: one lucky question is no proof), ``whole`` the
    mean with every passage of the article; both 0 without a model. ``coverage`` is BM25F divided by what a perfect match would get,
    0 to 1: high for the right article of a short question, low for any article of a long story, so that words count where words decide.
    """

    ask: Scores
    whole: Scores
    coverage: Scores

    def __getitem__(self, chosen: npt.NDArray[np.bool_]) -> Signals:
        return Signals(self.ask[chosen], self.whole[chosen], self.coverage[chosen])


# A cosine is counted from the model's background, in units of ten times this standard deviation: about a plain cosine for our model.
UNIT = 0.1
# How many titles and questions speak for an article.
NEAREST = 3
# How much the best piece of a message counts beside the message as a whole, when all pieces ask one thing.
PIECE_SHARE = 0.25


def join(whole: Signals, pieces: Sequence[Signals]) -> Signals:
    """Join the signals of a whole text and of its pieces: a long letter must not drown its one sentence that asks.

    Args:
        whole: signals of the whole text; one of the pieces where the whole text has none of its own.
        pieces: signals of its pieces, for the same candidates.
    """
    if not pieces:
        return whole

    def blend(name: str) -> Scores:
        best = np.max([getattr(piece, name) for piece in pieces], axis=0)
        return np.asarray((1 - PIECE_SHARE) * getattr(whole, name) + PIECE_SHARE * best, dtype=np.float32)

    return Signals(blend("ask"), blend("whole"), blend("coverage"))


@dataclass(frozen=True)
class Weights:
    """How much each signal counts in the score.

    ``service`` is added to the articles of the agent's own service, ``overdue`` taken from those whose review is late: both small enough
    to break ties only.
    """

    ask: float = 1.0
    whole: float = 1.0
    coverage: float = 1.0
    service: float = 0.02
    overdue: float = 0.01


HYBRID = Weights()
KEYWORDS = Weights(ask=0.0, whole=0.0)


def fuse(signals: Signals, weights: Weights) -> Scores:
    """Score candidates: a weighted sum of their signals, each on a scale that does not depend on the collection.

    Returns:
        Array of shape (candidates,), higher is better.
    """
    meaning = weights.ask * signals.ask + weights.whole * signals.whole
    return np.asarray(meaning + weights.coverage * signals.coverage, dtype=np.float32)
