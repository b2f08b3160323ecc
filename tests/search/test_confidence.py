"""The confidence: a probability that never falls when a signal rises, and levels that follow it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search import confidence, fusion
from search.confidence import Calibration, MessageSigns
from search.fusion import Signals
from search.topicality import LIMIT
from tests.search.test_fusion import BY_MEANING, NAMES, raised, signals, signals_of

CALIBRATIONS = pytest.mark.parametrize("calibration", [confidence.HYBRID, confidence.KEYWORDS])
COEFFICIENTS = [field.name for field in dataclasses.fields(Calibration) if field.name not in {"intercept", "answered_from", "sure_from"}]
SIGNS = st.builds(MessageSigns, civic=st.floats(-LIMIT, LIMIT), known=st.floats(0, 1))
# A message of seven words that may be about anything, and one that is plainly for a town hall.
ANYTHING = MessageSigns(civic=0.0, known=0.5)
PLAIN_REQUEST = MessageSigns(civic=2.0, known=1.0)


def confidences(given_: Signals, calibration: Calibration, signs: MessageSigns = ANYTHING) -> fusion.Scores:
    scores = fusion.fuse(given_, fusion.HYBRID if calibration is confidence.HYBRID else fusion.KEYWORDS)
    return confidence.confidences(confidence.features(given_, scores, signs), calibration)


@CALIBRATIONS
@settings(max_examples=50)
@given(given_=signals(), signs=SIGNS)
def test_a_confidence_is_a_probability(calibration: Calibration, given_: Signals, signs: MessageSigns) -> None:
    found = confidences(given_, calibration, signs)
    assert found.shape == given_.ask.shape
    assert (found >= 0).all()
    assert (found <= 1).all()


@CALIBRATIONS
@settings(max_examples=50)
@given(data=st.data())
def test_more_of_a_signal_of_the_best_answer_never_lowers_its_confidence(calibration: Calibration, data: st.DataObject) -> None:
    before = data.draw(signals())
    weights = fusion.HYBRID if calibration is confidence.HYBRID else fusion.KEYWORDS
    best = int(np.argmax(fusion.fuse(before, weights)))
    after = raised(before, data.draw(st.sampled_from(NAMES)), best, data.draw(st.floats(0, 1)))
    signs = data.draw(SIGNS)
    assert confidences(after, calibration, signs)[best] >= confidences(before, calibration, signs)[best] - 1e-5


@CALIBRATIONS
@settings(max_examples=50)
@given(data=st.data())
def test_a_message_that_speaks_less_of_public_services_is_never_answered_more_surely(calibration: Calibration, data: st.DataObject) -> None:
    given_, signs = data.draw(signals()), data.draw(SIGNS)
    for name, most in (("civic", LIMIT), ("known", 1.0)):
        more = dataclasses.replace(signs, **{name: data.draw(st.floats(getattr(signs, name), most))})
        assert (confidences(given_, calibration, more) >= confidences(given_, calibration, signs) - 1e-6).all(), name


@CALIBRATIONS
def test_the_calibration_has_the_signs_that_its_signals_mean(calibration: Calibration) -> None:
    assert all(getattr(calibration, name) >= 0 for name in COEFFICIENTS)
    assert 0 < calibration.answered_from < calibration.sure_from < 1


@CALIBRATIONS
def test_nothing_in_common_is_no_answer(calibration: Calibration) -> None:
    [first, _] = confidences(signals_of(2), calibration)
    assert confidence.level(float(first), calibration) == "none"


@CALIBRATIONS
def test_everything_in_common_is_a_sure_answer(calibration: Calibration) -> None:
    meaning = {name: [1.0, 0.0] for name in BY_MEANING} if calibration is confidence.HYBRID else {}
    [first, second] = confidences(signals_of(2, coverage=[1.0, 0.0], **meaning), calibration, signs=PLAIN_REQUEST)
    assert confidence.level(float(first), calibration) == "sure"
    assert confidence.level(float(second), calibration) == "none"


@settings(max_examples=50)
@given(given_=signals(candidates=4))
def test_the_margin_is_the_lead_over_the_best_other(given_: Signals) -> None:
    scores = fusion.fuse(given_, fusion.HYBRID)
    only_margin = dataclasses.replace(confidence.HYBRID, intercept=0, **dict.fromkeys(COEFFICIENTS, 0) | {"margin": 1})
    found = confidence.confidences(confidence.features(given_, scores, ANYTHING), only_margin).astype(float)
    margin = np.log(found / (1 - found))
    expected = [scores[number] - max(scores[other] for other in range(4) if other != number) for number in range(4)]
    np.testing.assert_allclose(margin, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["civic", "known"])
@settings(max_examples=20)
@given(given_=signals(), signs=SIGNS)
def test_what_the_text_says_of_itself_counts_the_same_for_every_candidate(name: str, given_: Signals, signs: MessageSigns) -> None:
    only = dataclasses.replace(confidence.HYBRID, intercept=0, **dict.fromkeys(COEFFICIENTS, 0) | {name: 1})
    scores = fusion.fuse(given_, fusion.HYBRID)
    found = confidence.confidences(confidence.features(given_, scores, signs), only).astype(float)
    np.testing.assert_allclose(np.log(found / (1 - found)), getattr(signs, name), atol=1e-3)


def test_a_lone_candidate_and_no_candidate_are_read_as_well() -> None:
    assert confidence.features(signals_of(1), np.ones(1, dtype=np.float32), ANYTHING).shape == (1, confidence.FEATURES)
    none = confidence.features(signals_of(0), np.empty(0, dtype=np.float32), ANYTHING)
    assert confidence.confidences(none, confidence.HYBRID).shape == (0,)


@CALIBRATIONS
@given(values=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_levels_rise_with_confidence(calibration: Calibration, values: tuple[float, float]) -> None:
    order = ["none", "check", "sure"]
    low, high = sorted(values)
    assert order.index(confidence.level(low, calibration)) <= order.index(confidence.level(high, calibration))


def test_a_level_begins_at_its_threshold() -> None:
    calibration = dataclasses.replace(confidence.HYBRID, answered_from=0.3, sure_from=0.7)
    levels = [confidence.level(value, calibration) for value in (0.2999, 0.3, 0.6999, 0.7)]
    assert levels == ["none", "check", "check", "sure"]
