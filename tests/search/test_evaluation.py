"""The figures: as computed by hand, and a broken file of queries says where."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import SearchError
from search.evaluation import Outcome, Query, auroc, figures, read_queries, reciprocal_rank, run
from tests.search.conftest import BuildEngine


def query(*expected: str, name: str = "q", message: str = "m") -> Query:
    return Query(id=name, message=message, expected=expected)


def outcome(*ranked: str, confidence: float | None = None, answered: bool = True, took_ms: float = 1.0) -> Outcome:
    top = (() if confidence is None else (confidence,)) + (0.0,) * max(len(ranked) - 1, 0)
    return Outcome("q", ranked, top, answered, took_ms)


# ---- figures ----
def test_figures_of_an_example_computed_by_hand() -> None:
    queries = [query("a"), query("b"), query("c", "d"), query("e"), query(), query()]
    outcomes = [
        outcome("a", "x", confidence=0.9, took_ms=1),  # first
        outcome("x", "y", "b", confidence=0.5, took_ms=2),  # third
        outcome("c", "x", "y", "z", "d", confidence=0.8, took_ms=3),  # first, and the other one fifth
        outcome("x", confidence=0.1, answered=False, took_ms=4),  # wrongly refused
        outcome("x", confidence=0.5, took_ms=5),  # wrongly answered
        outcome(answered=False, took_ms=6),  # rightly refused
    ]
    found = figures(queries, outcomes)
    assert found.queries == 6
    assert found.recall_1 == pytest.approx((1 + 0 + 1 + 0) / 4)
    assert found.recall_3 == pytest.approx((1 + 1 + 1 / 2 + 0) / 4)
    assert found.recall_5 == pytest.approx((1 + 1 + 1 + 0) / 4)
    assert found.mrr == pytest.approx((1 + 1 / 3 + 1 + 0) / 4)
    assert found.good_refusals == pytest.approx(1 / 2)
    assert found.false_refusals == pytest.approx(1 / 4)
    # Positives .9 .5 .8 .1 against negatives .5 0: 2, 1½, 2 and 1 of 2 each.
    assert found.auroc == pytest.approx((2 + 1.5 + 2 + 1) / 8)
    assert found.p50_ms == pytest.approx(3.5)
    assert found.p95_ms == pytest.approx(np.percentile([1, 2, 3, 4, 5, 6], 95))
    assert found.p50_ms <= found.p95_ms <= found.p99_ms <= 6


def test_a_slug_expected_twice_counts_once() -> None:
    assert figures([query("a", "a")], [outcome("a", confidence=1)]).recall_1 == 1


def test_what_a_set_cannot_measure_is_not_a_number() -> None:
    nothing = figures([], [])
    assert nothing.queries == 0
    assert all(math.isnan(value) for value in (nothing.recall_1, nothing.mrr, nothing.auroc, nothing.good_refusals, nothing.p50_ms))
    assert math.isnan(figures([query("a")], [outcome("a", confidence=1)]).good_refusals)
    assert math.isnan(figures([query()], [outcome("a", confidence=1)]).recall_5)


def test_outcomes_without_their_query_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        figures([query("a")], [])


def test_the_rank_is_that_of_the_first_expected_slug() -> None:
    assert reciprocal_rank(query("b", "c"), outcome("a", "c", "b")) == 1 / 2
    assert reciprocal_rank(query("z"), outcome("a")) == 0
    assert reciprocal_rank(query("z"), outcome()) == 0


# ---- auroc ----
@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1], [0.9], 0.0),
        ([0.5, 0.5], [0.5, 0.5, 0.5], 0.5),
        ([0.5, 0.9], [0.5], 0.75),
        ([0.0, 0.0, 1.0], [0.0], 2 / 3),
    ],
)
def test_auroc_counts_a_tie_as_half(positive: list[float], negative: list[float], expected: float) -> None:
    assert auroc(positive, negative) == pytest.approx(expected)


@given(*[st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=12)] * 2)
def test_auroc_is_the_share_of_pairs_in_the_right_order(positive: list[float], negative: list[float]) -> None:
    pairs = [1.0 if one > other else 0.5 if one == other else 0.0 for one in positive for other in negative]
    assert auroc(positive, negative) == pytest.approx(sum(pairs) / len(pairs))
    assert auroc(positive, negative) == pytest.approx(1 - auroc(negative, positive))


def test_auroc_of_nothing_is_not_a_number() -> None:
    assert math.isnan(auroc([], [0.5]))
    assert math.isnan(auroc([0.5], []))


# ---- files ----
def test_queries_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    lines = [{"id": "1", "message": "Où ?", "expected": ["a", "b"]}, {"id": 2, "message": "Quoi\u2028?\x85", "expected": []}]
    path.write_text("\ufeff" + "\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n", encoding="utf-8")
    assert read_queries(path) == [query("a", "b", name="1", message="Où ?"), query(name="2", message="Quoi\u2028?\x85")]


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b'{"id": "1", "message": "a", "expected": []}\r\n\r\n{"id": "2", "message": "b", "expected": []}\r\n')
    assert [one.id for one in read_queries(path)] == ["1", "2"]


@pytest.mark.parametrize(
    "line",
    [
        *(
            "{",
            "[]",
            "null",
            '"texte"',
            '{"id": "2"}',
            '{"message": "a"}',
            '{"id": "2", "message": null}',
            '{"id": "2", "message": "a"} trop',
        ),
        *('{"id": "2", "message": "a", "expected": "slug"}', '{"id": "2", "message": "a", "expected": [[]]}'),
    ],
)
def test_a_line_that_is_not_a_query_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"id": "1", "message": "a", "expected": []}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(SearchError, match=r"q\.jsonl:3: "):
        read_queries(path)


@pytest.mark.parametrize("content", [None, b"\xff\xfe{}", b'{"id": "caf\xe9"}'])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "q.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SearchError, match=r"q\.jsonl"):
        read_queries(path)


# ---- run ----
def test_an_outcome_is_what_the_engine_found(town: Path, build_engine: BuildEngine) -> None:
    engine = build_engine(town)
    messages = ["Ma poubelle jaune n'a pas été ramassée", "Combien coûte un passeport ?", ""]
    found = run(engine, [query(name=str(number), message=message) for number, message in enumerate(messages)])
    assert [one.id for one in found] == ["0", "1", "2"]
    assert [one.ranked[0] for one in found[:2]] == ["bac-jaune", "passeport"]
    assert all(len(one.ranked) == len(one.confidence) <= 10 for one in found)
    assert found[2].ranked == ()
    assert found[2].answered is False
    line = json.loads(found[0].json_line())
    assert set(line) == {"id", "ranked", "confidence", "answered", "took_ms"}
    assert line["took_ms"] > 0
    assert line["ranked"] == list(found[0].ranked)
