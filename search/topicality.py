"""Does a message speak of public services at all? A recipe, a sales pitch or a joke may share words with any article.

A linear model over the letters of the message (character 3- to 5-grams, hashed), so that misspelt words count too. It knows neither the
collection nor the embedding model; ``search.confidence`` weighs what it says. Trained by ``scripts.train_topicality``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from search import text

WEIGHTS = Path(__file__).with_name("topicality.npz")
BUCKETS = 2**16
# Beyond this the message is plainly one or the other, and a stronger number would drown every other sign.
LIMIT = 6.0

_letter_groups = CountVectorizer(analyzer="char_wb", ngram_range=(3, 5), preprocessor=text.fold).build_analyzer()


def features(messages: Sequence[str]) -> sparse.csr_matrix:
    """Count the letter groups of messages: shape (messages, ``BUCKETS``), rows of length 1.

    scikit-learn's own HashingVectorizer gives as good a model, and takes three times longer for one message.
    """
    found = [_counted(message) for message in messages]
    starts = np.cumsum([0, *(len(buckets) for buckets, _ in found)])
    columns = np.concatenate([buckets for buckets, _ in found]) if found else np.empty(0, dtype=np.int64)
    values = np.concatenate([counts for _, counts in found]) if found else np.empty(0, dtype=np.float32)
    return sparse.csr_matrix((values, columns, starts), shape=(len(messages), BUCKETS))


def _counted(message: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    hashed = np.fromiter((crc32(group.encode(errors="replace")) for group in _letter_groups(message)), dtype=np.int64) % BUCKETS
    buckets, counts = np.unique(hashed, return_counts=True)
    return buckets, (counts / max(float(np.linalg.norm(counts)), 1.0)).astype(np.float32)


def topicality(messages: Sequence[str]) -> npt.NDArray[np.float32]:
    """Score stripped messages: log-odds of speaking of public services, within ±``LIMIT``; shape (messages,)."""
    weights, intercept = _weights()
    return np.asarray(np.clip(features(messages) @ weights + intercept, -LIMIT, LIMIT), dtype=np.float32)


@lru_cache(maxsize=1)
def _weights() -> tuple[npt.NDArray[np.float32], float]:
    with np.load(WEIGHTS) as stored:
        return stored["weights"].astype(np.float32), float(stored["intercept"])
