"""The systems that the benchmark compares, behind one door: our engine in its three modes, and txtai's hybrid index.

All of them get the same content, the same model and, through a cache on disk, the very same vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kb.article import Article
from kb.library import Library
from search import text
from search.embedder import Embedder, Progress, Vectors
from search.engine import SearchEngine
from search.evaluation import RANKED, Outcome, Query
from search.index_store import EmbeddingCache

OURS, KEYWORDS, VECTORS, TXTAI = "hybrid", "keywords", "vectors", "txtai"


@dataclass(frozen=True)
class Answer:
    """Slugs found for a message, best first; ``encode_ms`` is the part of ``took_ms`` that the model took.

    ``net_cpu_ms`` is the processor time of the search without the model's: what is left of the noise when the machine is shared.
    """

    slugs: tuple[str, ...]
    confidence: tuple[float, ...]
    took_ms: float
    encode_ms: float
    net_cpu_ms: float

    @property
    def net_ms(self) -> float:
        """What the search itself took."""
        return self.took_ms - self.encode_ms

    def outcome(self, query: Query) -> Outcome:
        """The answer in the terms of ``search.evaluation``."""
        return Outcome(query.id, self.slugs, self.confidence, bool(self.slugs), self.took_ms)


class System(Protocol):
    """A search over one collection."""

    name: str

    def answer(self, message: str) -> Answer:
        """Find up to ``RANKED`` articles."""
        ...


class CachedEmbedder:
    """A model whose passages are encoded once for all the runs and systems; queries are encoded anew each time.

    ``query_cpu_ms`` adds up the processor time that queries took.

    Args:
        embedder: the model.
        folder: where the vectors are kept; made when missing.
    """

    def __init__(self, embedder: Embedder, folder: Path) -> None:
        self.name, self.fingerprint, self.dimensions = embedder.name, embedder.fingerprint, embedder.dimensions
        self.background = embedder.background
        self._embedder = embedder
        self._folder = folder
        self.query_cpu_ms = 0.0
        folder.mkdir(parents=True, exist_ok=True)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode messages with the model."""
        started = time.process_time()
        try:
            return self._embedder.encode_queries(texts)
        finally:
            self.query_cpu_ms += (time.process_time() - started) * 1000

    def encode_passages(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Return the vectors of passages, encoding those that were never seen; half precision, as the index keeps them."""
        cache = EmbeddingCache(self._folder, self._embedder)
        try:
            return cache.encode(texts, progress or (lambda _: None)).astype(np.float32)
        finally:
            cache.close()


class _NetCpu:
    """Measures the processor time of all threads in a ``with`` block, the encoding of queries left out."""

    def __init__(self, embedder: CachedEmbedder) -> None:
        self._embedder = embedder
        self.ms = 0.0

    def __enter__(self) -> _NetCpu:
        self._started_ms = time.process_time() * 1000 - self._embedder.query_cpu_ms
        return self

    def __exit__(self, *_: object) -> None:
        self.ms = time.process_time() * 1000 - self._embedder.query_cpu_ms - self._started_ms


class OurSystem:
    """One of our engine's modes; ``embedder`` is the engine's own."""

    def __init__(self, name: str, engine: SearchEngine, embedder: CachedEmbedder) -> None:
        self.name = name
        self._engine = engine
        self._embedder = embedder

    def answer(self, message: str) -> Answer:
        """Find articles as the desk does."""
        with _NetCpu(self._embedder) as cpu:
            result = self._engine.match(message, limit=RANKED)
        slugs = tuple(match.slug for match in result.matches)
        return Answer(slugs, tuple(match.confidence for match in result.matches), result.took_ms, result.encode_ms, cpu.ms)


class TxtaiSystem:
    """txtai's hybrid index: one vector and one bag of words an article, its own tokenizer, its own fusion.

    Args:
        articles: what to index.
        embedder: the model, shared with the other systems.

    Raises:
        ImportError: txtai is not installed (``make setup-bench``).
    """

    name = TXTAI

    def __init__(self, articles: Sequence[Article], embedder: CachedEmbedder) -> None:
        from txtai import Embeddings  # heavy, and installed for benchmarks only

        self._embedder = embedder
        self._is_indexing = True
        self._encode_ms = 0.0
        self._index: Any = Embeddings(content=False, hybrid=True, method="external", transform=self._transform())
        started = time.perf_counter()
        self._index.index([(article.slug, txtai_text(article), None) for article in articles])
        self.build_seconds = time.perf_counter() - started
        self._is_indexing = False

    def _transform(self) -> Callable[[list[str]], npt.NDArray[np.float32]]:
        # txtai wants a plain function, not a method.
        def transform(texts: list[str]) -> npt.NDArray[np.float32]:
            started = time.perf_counter()
            encode = self._embedder.encode_passages if self._is_indexing else self._embedder.encode_queries
            vectors = encode(list(texts))
            self._encode_ms = (time.perf_counter() - started) * 1000
            return vectors

        return transform

    def answer(self, message: str) -> Answer:
        """Find articles with txtai's defaults."""
        with _NetCpu(self._embedder) as cpu:
            started = time.perf_counter()
            found = self._index.search(message, RANKED)
            took_ms = (time.perf_counter() - started) * 1000
        return Answer(tuple(slug for slug, _ in found), tuple(float(score) for _, score in found), took_ms, self._encode_ms, cpu.ms)


def txtai_text(article: Article) -> str:
    """What txtai indexes of an article: title, questions, lead and body, in plain words."""
    return "\n".join((article.title, *article.meta.questions, text.plain(article.lead), text.plain(article.details))).strip()


def answerable(library: Library) -> list[Article]:
    """The articles that may answer a message: advice for agents is left out, as our engine leaves it out."""
    return [article for article in library.articles.values() if not article.is_advice]


def interleaved(systems: Sequence[System], messages: Sequence[str], *, warm_up: int = 10) -> dict[str, list[Answer]]:
    """Send each message through every system before the next, in a turning order, so that noise hits all the same.

    Args:
        systems: what to compare.
        messages: what to send.
        warm_up: how many messages are sent first and not counted.

    Returns:
        System → its answers, parallel to ``messages``.
    """
    for message in messages[:warm_up]:
        for system in systems:
            system.answer(message)
    answers: dict[str, list[Answer]] = {system.name: [] for system in systems}
    for number, message in enumerate(messages):
        turn = number % len(systems)
        for system in (*systems[turn:], *systems[:turn]):
            answers[system.name].append(system.answer(message))
    return answers
