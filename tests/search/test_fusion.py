"""The score: more of any signal never lowers it, its scale does not depend on the collection, a letter does not drown its question."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from search import fusion
from search.fusion import Signals, Weights

NAMES = tuple(field.name for field in dataclasses.fields(Signals))
BY_MEANING = tuple(name for name in NAMES if name != "coverage")
SHARES = st.floats(0, 1, width=32)


def signals_of(candidates: int, **values: list[float]) -> Signals:
    """Signals that are 0 but for those that are named."""
    return Signals(**{name: np.array(values.get(name, [0.0] * candidates), dtype=np.float32) for name in NAMES})


@st.composite
def signals(draw: st.DrawFn, candidates: int | None = None) -> Signals:
    count = candidates or draw(st.integers(1, 8))
    return Signals(**{name: draw(arrays.arrays(np.float32, count, elements=SHARES)) for name in NAMES})


def raised(given_: Signals, name: str, position: int, by: float) -> Signals:
    values = getattr(given_, name).copy()
    values[position] += by
    return dataclasses.replace(given_, **{name: values})


@pytest.mark.parametrize("weights", [fusion.HYBRID, fusion.KEYWORDS, Weights()])
@settings(max_examples=50)
@given(data=st.data())
def test_more_of_a_signal_never_lowers_an_article_beside_another(weights: Weights, data: st.DataObject) -> None:
    before = data.draw(signals())
    position = data.draw(st.integers(0, len(before.ask) - 1))
    name = data.draw(st.sampled_from(NAMES))
    after = raised(before, name, position, data.draw(st.floats(0.01, 1)))
    old, new = fusion.fuse(before, weights), fusion.fuse(after, weights)
    others = np.arange(len(old)) != position
    lead = (new[position] - new[others]) - (old[position] - old[others])
    assert (lead >= -1e-5).all()


@settings(max_examples=50)
@given(signals(candidates=5), st.permutations(range(5)))
def test_the_order_of_the_candidates_does_not_matter(given_: Signals, order: list[int]) -> None:
    np.testing.assert_allclose(fusion.fuse(given_[np.array(order)], fusion.HYBRID), fusion.fuse(given_, fusion.HYBRID)[order], atol=1e-6)


def test_without_a_model_meaning_counts_for_nothing() -> None:
    by_words = signals_of(2, coverage=[0.9, 0.1])
    with_meaning = dataclasses.replace(by_words, **{name: np.array([0.1, 0.9], dtype=np.float32) for name in BY_MEANING})
    scores = fusion.fuse(by_words, fusion.KEYWORDS)
    np.testing.assert_array_equal(fusion.fuse(with_meaning, fusion.KEYWORDS), scores)
    assert scores[0] > scores[1]


def test_no_candidate_gives_no_score() -> None:
    assert fusion.fuse(signals_of(0), fusion.HYBRID).shape == (0,)


@pytest.mark.parametrize("weights", [fusion.HYBRID, fusion.KEYWORDS])
def test_priors_are_too_small_to_overturn_a_real_difference(weights: Weights) -> None:
    """DESIGN: the service and a late review break ties only. Half of any one signal's range must weigh more than both together."""
    assert weights.overdue > 0
    assert weights.service > 0
    for name in NAMES:
        if getattr(weights, name) == 0:
            continue
        scores = fusion.fuse(signals_of(2, **{name: [1.0, 0.5]}), weights)
        assert scores[0] - scores[1] > weights.service + weights.overdue, name


# ---- pieces ----
@given(signals())
def test_a_message_of_one_piece_is_itself(given_: Signals) -> None:
    assert fusion.join(given_, []) is given_


@settings(max_examples=50)
@given(st.data())
def test_joined_signals_lie_between_the_whole_and_the_best_piece(data: st.DataObject) -> None:
    whole = data.draw(signals(candidates=4))
    pieces = data.draw(st.lists(signals(candidates=4), min_size=1, max_size=4))
    joined = fusion.join(whole, pieces)
    for name in NAMES:
        best = np.max([getattr(piece, name) for piece in pieces], axis=0)
        low, high = np.minimum(getattr(whole, name), best), np.maximum(getattr(whole, name), best)
        assert (getattr(joined, name) >= low - 1e-5).all()
        assert (getattr(joined, name) <= high + 1e-5).all()


@settings(max_examples=50)
@given(st.data())
def test_one_more_piece_never_lowers_a_signal(data: st.DataObject) -> None:
    whole = data.draw(signals(candidates=4))
    pieces = data.draw(st.lists(signals(candidates=4), min_size=2, max_size=4))
    fewer, more = fusion.join(whole, pieces[:-1]), fusion.join(whole, pieces)
    assert all((getattr(more, name) >= getattr(fewer, name) - 1e-6).all() for name in NAMES)


def test_the_sentence_that_asks_is_not_drowned_by_the_letter() -> None:
    letter, question = (signals_of(2, **dict.fromkeys(BY_MEANING, values)) for values in ([0.50, 0.45], [0.20, 0.95]))
    assert np.argmax(fusion.fuse(letter, fusion.HYBRID)) == 0
    assert np.argmax(fusion.fuse(fusion.join(letter, [question]), fusion.HYBRID)) == 1
