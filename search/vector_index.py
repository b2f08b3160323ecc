"""The vectors of all passages and FAISS over them.

Rows are only ever added: an edited article gets new rows and its old ones are dead, so that an edit costs its own encoding and
one write. The store compacts when too many rows are dead. Small collections are searched exactly; large ones through inverted
lists, and what FAISS finds is scored again with the exact vectors (docs/adr/0004).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from search.embedder import Vectors

Half = npt.NDArray[np.float16]
Rows = npt.NDArray[np.int64]

# Under this many rows an exact search takes about a millisecond, and no recall is lost.
EXACT_ROWS = 10_000
PROBES = 24
_TRAINING_ROWS = 60_000

faiss.omp_set_num_threads(1)
# The same for NumPy's products: on small matrices its threads cost more than they give, and there is a worker for each core.
_blas_limits = threadpool_limits(1, user_api="blas")


@dataclass(frozen=True)
class VectorIndex:
    """Unit vectors and a FAISS index over the same rows.

    ``vectors`` has shape (rows, dimensions), half precision, memory-mapped when it was read from disk.
    """

    vectors: Half
    index: faiss.Index

    @classmethod
    def build(cls, vectors: Half) -> VectorIndex:
        """Index all the rows anew."""
        rows, dimensions = vectors.shape
        if rows <= EXACT_ROWS:
            exact = faiss.IndexFlatIP(dimensions)
            exact.add(vectors.astype(np.float32))
            return cls(vectors, exact)
        lists = int(4 * np.sqrt(rows))
        index: Any = faiss.index_factory(dimensions, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
        index.cp.niter = 8
        index.cp.min_points_per_centroid = 1
        sample = np.random.default_rng(0).choice(rows, size=min(rows, _TRAINING_ROWS), replace=False)
        with _all_threads():
            index.train(vectors[np.sort(sample)].astype(np.float32))
            for start in range(0, rows, 65_536):
                index.add(vectors[start : start + 65_536].astype(np.float32))
        index.nprobe = PROBES
        return cls(vectors, index)

    def extended(self, new: Half) -> VectorIndex:
        """Return an index with more rows at the end; the rows that are there keep their numbers."""
        vectors = np.concatenate([self.vectors, new])
        is_exact = isinstance(self.index, faiss.IndexFlat)
        if is_exact and len(vectors) > EXACT_ROWS:
            return VectorIndex.build(vectors)
        index = faiss.clone_index(self.index)
        if len(new):
            index.add(new.astype(np.float32))
        return VectorIndex(vectors, index)

    def search(self, queries: Vectors, limit: int) -> Rows:
        """Find rows near the queries: row numbers of shape (len(queries), limit), nearest first, -1 where there are fewer."""
        limit = min(limit, self.index.ntotal)
        if not limit or not len(queries):
            return np.full((len(queries), 0), -1, dtype=np.int64)
        _, rows = self.index.search(np.ascontiguousarray(queries, dtype=np.float32), limit)
        return np.asarray(rows, dtype=np.int64)

    def similarities(self, queries: Vectors, rows: Rows) -> Vectors:
        """Exact cosines: array of shape (len(queries), len(rows))."""
        chosen = self.vectors[rows].astype(np.float32) if self._single is None else self._single[rows]
        return np.asarray(queries @ chosen.T, dtype=np.float32)

    @cached_property
    def _single(self) -> Vectors | None:
        """The vectors in single precision where FAISS holds them so, not copied: turning halves into them takes longer than a search."""
        if not isinstance(self.index, faiss.IndexFlat) or not self.index.ntotal:
            return None
        flat = faiss.rev_swig_ptr(self.index.get_xb(), self.index.ntotal * self.index.d)
        return np.asarray(flat.reshape(self.index.ntotal, self.index.d), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write ``vectors.npy`` and ``vectors.faiss`` into a folder.

        Raises:
            OSError: one of them cannot be written.
        """
        np.save(folder / "vectors.npy", self.vectors)
        try:
            faiss.write_index(self.index, str(folder / "vectors.faiss"))
        except RuntimeError as error:  # what FAISS raises when a write fails
            raise OSError(f"vectors.faiss : {error}") from error

    @classmethod
    def load(cls, folder: Path) -> VectorIndex:
        """Read what ``save`` wrote. Raises whatever NumPy or FAISS does on a damaged file."""
        index: Any = faiss.read_index(str(folder / "vectors.faiss"))
        if isinstance(index, faiss.IndexIVF):
            index.nprobe = PROBES
        return cls(np.load(folder / "vectors.npy", mmap_mode="r"), index)


@contextlib.contextmanager
def _all_threads() -> Iterator[None]:
    """Let FAISS use every core while training; queries run on one, as there is a worker for each core."""
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(1)
