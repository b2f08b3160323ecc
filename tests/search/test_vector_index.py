"""FAISS: exact while small, nearly exact when large, the same after rows were added, and on disk what it was in memory."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from search import vector_index
from search.embedder import Vectors
from search.vector_index import Half, VectorIndex

DIMENSIONS = 64


def unit(vectors: npt.NDArray[np.floating]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered(rows: int, seed: int = 0, clusters: int = 200) -> Half:
    """Vectors in clumps, as passages about the same subjects are."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(clusters, DIMENSIONS))
    return unit(centres[random.integers(0, clusters, rows)] + 0.6 * random.normal(size=(rows, DIMENSIONS))).astype(np.float16)


def nearest(vectors: Half, queries: Vectors, limit: int) -> npt.NDArray[np.int64]:
    return np.argsort(-(queries @ vectors.astype(np.float32).T), axis=1, kind="stable")[:, :limit]


def recall(found: npt.NDArray[np.int64], expected: npt.NDArray[np.int64]) -> float:
    return float(np.mean([len(set(one) & set(other)) / len(other) for one, other in zip(found, expected, strict=True)]))


@pytest.fixture(scope="module")
def large() -> VectorIndex:
    return VectorIndex.build(clustered(15_000))


QUERIES = unit(clustered(100, seed=7).astype(np.float32))


def test_a_small_collection_is_searched_exactly() -> None:
    index = VectorIndex.build(clustered(500))
    found = index.search(QUERIES, 20)
    cosines = np.take_along_axis(QUERIES @ index.vectors.astype(np.float32).T, found, axis=1)
    assert (np.diff(cosines, axis=1) <= 1e-6).all(), "nearest first"
    assert recall(found, nearest(index.vectors, QUERIES, 20)) == 1


def test_a_large_collection_loses_next_to_nothing(large: VectorIndex) -> None:
    assert isinstance(large.index, faiss.IndexIVF)
    assert recall(large.search(QUERIES, 20), nearest(large.vectors, QUERIES, 20)) >= 0.95
    assert (large.search(QUERIES, 1)[:, 0] == nearest(large.vectors, QUERIES, 1)[:, 0]).mean() >= 0.95


def test_similarities_are_exact_cosines(large: VectorIndex) -> None:
    rows = np.array([3, 14_999, 0, 7_500])
    expected = QUERIES @ large.vectors[rows].astype(np.float32).T
    np.testing.assert_allclose(large.similarities(QUERIES, rows), expected, atol=1e-6)
    assert large.similarities(QUERIES, rows).shape == (100, 4)


def test_rows_added_to_a_small_index_are_found_and_the_others_keep_their_numbers() -> None:
    old, new = clustered(300), clustered(40, seed=3)
    index = VectorIndex.build(old)
    extended = index.extended(new)
    together = np.concatenate([old, new])
    np.testing.assert_array_equal(extended.vectors, together)
    np.testing.assert_array_equal(extended.search(QUERIES, 15), VectorIndex.build(together).search(QUERIES, 15))
    assert len(index.vectors) == index.index.ntotal == 300, "the index that was extended is as it was"
    assert extended.search(new.astype(np.float32), 1)[:, 0].tolist() == list(range(300, 340))


def test_rows_added_to_a_large_index_are_found_as_well(large: VectorIndex) -> None:
    new = clustered(2_000, seed=5)
    extended = large.extended(new)
    assert recall(extended.search(QUERIES, 20), nearest(extended.vectors, QUERIES, 20)) >= 0.95
    own = extended.search(new[:200].astype(np.float32), 1)[:, 0]
    assert (own == np.arange(15_000, 15_200)).mean() >= 0.95
    assert large.index.ntotal == 15_000


def test_an_index_that_outgrows_exact_search_gets_inverted_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "EXACT_ROWS", 400)
    small = VectorIndex.build(clustered(400))
    assert isinstance(small.index, faiss.IndexFlat)
    new = clustered(100, seed=2)
    grown = small.extended(new)
    assert isinstance(grown.index, faiss.IndexIVF)
    assert grown.search(new.astype(np.float32), 1)[:, 0].tolist() == list(range(400, 500))


def test_nothing_added_changes_nothing(large: VectorIndex) -> None:
    same = large.extended(np.empty((0, DIMENSIONS), dtype=np.float16))
    np.testing.assert_array_equal(same.search(QUERIES, 5), large.search(QUERIES, 5))


def test_fewer_rows_than_asked_for_are_all_returned() -> None:
    assert sorted(VectorIndex.build(clustered(3)).search(QUERIES[:1], 10)[0].tolist()) == [0, 1, 2]


def test_an_empty_index_finds_nothing_and_can_grow() -> None:
    empty = VectorIndex.build(np.empty((0, DIMENSIONS), dtype=np.float16))
    assert empty.search(QUERIES[:2], 5).shape == (2, 0)
    assert empty.extended(clustered(5)).search(QUERIES[:2], 5).shape == (2, 5)
    assert VectorIndex.build(clustered(5)).search(np.empty((0, DIMENSIONS), dtype=np.float32), 5).shape == (0, 0)


@pytest.mark.parametrize("rows", [0, 50, 15_000])
def test_what_is_read_is_what_was_written(rows: int, large: VectorIndex, tmp_path: Path) -> None:
    index = large if rows == 15_000 else VectorIndex.build(clustered(rows).reshape(-1, DIMENSIONS))
    index.save(tmp_path)
    read = VectorIndex.load(tmp_path)
    np.testing.assert_array_equal(read.vectors, index.vectors)
    np.testing.assert_array_equal(read.search(QUERIES, 10), index.search(QUERIES, 10))
    np.testing.assert_array_equal(
        read.extended(clustered(10, seed=8)).search(QUERIES, 10), index.extended(clustered(10, seed=8)).search(QUERIES, 10)
    )


def test_two_builds_of_the_same_rows_answer_the_same() -> None:
    rows = clustered(11_000)
    np.testing.assert_array_equal(VectorIndex.build(rows).search(QUERIES, 10), VectorIndex.build(rows).search(QUERIES, 10))


@pytest.mark.parametrize("name", ["vectors.npy", "vectors.faiss"])
def test_a_damaged_file_is_refused(name: str, tmp_path: Path) -> None:
    VectorIndex.build(clustered(50)).save(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:60])
    with pytest.raises(Exception, match=r"\w"):
        VectorIndex.load(tmp_path)
