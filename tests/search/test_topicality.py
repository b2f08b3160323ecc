"""Topicality: whether a message speaks of public services at all, whatever its spelling and whatever the collection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search.topicality import BUCKETS, LIMIT, WEIGHTS, features, topicality
from tests.search.conftest import assert_linear

# Written for this test, in no training file. Each request comes beside something that shares a word or a tone with it.
PAIRS = [
    ("Ma poubelle n'a pas été vidée mardi, vous repassez quand ?", "Ma pâte à pizza n'a pas levé, je la laisse reposer combien de temps ?"),
    ("ma poubele na pas ete vidé mardi vou repassé kan", "ma pate a pizza na pas levé je la lesse reposer conbien de tps"),
    ("Où dois-je déposer mes vieux pots de peinture ?", "Quel rouge choisir pour peindre un coucher de soleil à l'aquarelle ?"),
    (
        "Le trottoir est défoncé devant le numéro 12, une dame est tombée.",
        "Mon personnage est tombé dans la lave au niveau 12, comment je le sors ?",
    ),
    (
        "Je dois faire refaire ma carte d'identité avant l'été.",
        "Offre exclusive : refaites votre logo avant l'été, moins 40 % cette semaine.",
    ),
    ("g besoin dun acte de naissance pr le mariage de ma seur", "g besoin dune blague pr le mariage de ma seur un truc ki fé rire"),
    ("Quel est le prix du repas à la cantine pour deux enfants ?", "Quelle quantité de beurre pour des crêpes, on sera huit à table ?"),
    ("Comment s'inscrire sur les listes pour voter en juin ?", "Qui va gagner le championnat en juin, à votre avis ?"),
    (
        "Nous voudrions réserver la salle des fêtes pour une assemblée.",
        "Nous vendons des tablettes et des écrans, demandez notre catalogue.",
    ),
    ("Le voisin brûle ses branches dans le jardin, c'est permis ?", "Mon ficus perd ses feuilles dans le salon, je l'arrose trop ?"),
    ("Mon père a 84 ans et ne peut plus préparer ses repas seul.", "Mon lapin a 8 ans et ne veut plus manger son foin."),
    ("L'eau qui sort du robinet est marron depuis les travaux.", "Le moteur de ma tondeuse fume depuis la vidange."),
]
TEXTS = [one for pair in PAIRS for one in pair]


def test_requests_score_above_what_no_town_hall_answers() -> None:
    """One sign among others: it may take a pizza that "n'a pas levé" for a bin that "n'a pas été vidée", not several such."""
    scores = topicality(TEXTS).reshape(-1, 2)
    wrong = [pair for pair, (civic, off_topic) in zip(PAIRS, scores, strict=True) if civic <= off_topic]
    assert len(wrong) <= 2, wrong


@pytest.mark.parametrize(
    "other",
    [
        "La recette du gâteau au yaourt : un pot de farine, deux œufs, trente minutes au four.",
        "la recete du gato o yaour cest conbien de farine et conbien de tps o four",
        "Boostez votre chiffre d'affaires grâce à notre logiciel, premier mois offert, sans engagement.",
        "bousté votre chifre dafaire grace a notre logissiel 1er moi ofert",
    ],
)
def test_a_recipe_and_a_sales_pitch_score_below_a_request_about_bins(other: str) -> None:
    civic, misspelt, off_topic = topicality(["Ma poubelle n'a pas été ramassée ce matin.", "ma poubele na pas ete ramacé se matin", other])
    assert off_topic < misspelt
    assert off_topic < civic


@pytest.mark.parametrize("written", [str.upper, str.capitalize, str.lower, lambda one: one.translate(str.maketrans("éèêàâç", "eeeaac"))])
def test_capitals_and_accents_do_not_matter(written: str) -> None:
    np.testing.assert_allclose(topicality([written(one) for one in TEXTS]), topicality(TEXTS), atol=1e-4)


def test_a_text_scores_the_same_alone_and_among_others() -> None:
    alone = np.concatenate([topicality([one]) for one in TEXTS])
    np.testing.assert_allclose(topicality(TEXTS), alone, atol=1e-5)
    assert alone.shape == (len(TEXTS),)


@settings(max_examples=100)
@given(st.lists(st.text(max_size=60) | st.sampled_from(TEXTS), max_size=5))
@example([])
@example([""])
@example(["\x00", "😀", "日本語", "?!"])
@example(["poubelle " * 2_000, "pizza " * 2_000])
def test_a_score_lies_within_its_limits(texts: list[str]) -> None:
    found = topicality(texts)
    assert found.shape == (len(texts),)
    assert found.dtype == np.float32
    assert (np.abs(found) <= LIMIT).all(), "and is no NaN"


def test_a_text_without_a_letter_leans_to_neither_side() -> None:
    nothing = topicality(["", "   ", "\n"])
    assert nothing.tolist() == [nothing[0]] * 3
    assert abs(nothing[0]) < 1
    assert nothing[0] < topicality(TEXTS[::2]).min(), "every request has more to say for itself"


def test_a_long_text_costs_what_its_length_costs() -> None:
    assert_linear(lambda count: topicality(["poubelle jaune rue " * (count // 10)]))


def test_the_weights_are_those_of_the_letter_groups() -> None:
    with np.load(WEIGHTS) as stored:
        assert set(stored.files) == {"weights", "intercept"}
        weights, intercept = stored["weights"], stored["intercept"]
    assert weights.shape == (BUCKETS,)
    assert intercept.shape == ()
    assert np.isfinite(weights).all()
    assert np.isfinite(intercept)
    assert (weights > 0).any()
    assert (weights < 0).any()
    assert WEIGHTS.stat().st_size < 1_000_000, "it ships with the code"


def test_features_are_rows_of_length_one() -> None:
    found = features(["poubelle jaune", "a", ""])
    assert found.shape == (3, BUCKETS)
    np.testing.assert_allclose(np.sqrt(found.multiply(found).sum(axis=1)).ravel().tolist()[0][:2], 1, atol=1e-6)
