"""Does a message speak of public services at all? A recipe, a sales pitch or a joke may share words with any article.

A linear model over the letters of the message (character 3- to 5-grams, hashed), so that misspelt words count too. It knows neither the
collection nor the embedding model; ``search.confidence`` weighs what it says. Trained by ``scripts.train_topicality``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import HashingVectorizer

from search import text

WEIGHTS = Path(__file__).with_name("topicality.npz")
BUCKETS = 2**16
# Beyond this the message is plainly one or the other, and a stronger number would drown every other sign.
LIMIT = 6.0

_vectorizer = HashingVectorizer(
    analyzer="char_wb", ngram_range=(3, 5), n_features=BUCKETS, alternate_sign=False, preprocessor=text.fold, dtype=np.float32
)


def features(messages: Sequence[str]):  # type: ignore[no-untyped-def]  # scipy ships no types
    """Count the letter groups of messages: a sparse matrix of shape (messages, ``BUCKETS``), rows of length 1."""
    return _vectorizer.transform(messages)


def topicality(messages: Sequence[str]) -> npt.NDArray[np.float32]:
    """Score stripped messages: log-odds of speaking of public services, within ±``LIMIT``; shape (messages,)."""
    weights, intercept = _weights()
    return np.asarray(np.clip(features(messages) @ weights + intercept, -LIMIT, LIMIT), dtype=np.float32)


@lru_cache(maxsize=1)
def _weights() -> tuple[npt.NDArray[np.float32], float]:
    with np.load(WEIGHTS) as stored:
        return stored["weights"].astype(np.float32), float(stored["intercept"])
