"""The analysis of words: the same for the index and for queries, blind to accents, case and inflection; plain words from Markdown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search import text
from tests.search.conftest import assert_linear

MARKDOWN = """\
Le **passeport** se demande au [guichet](https://ville.example/guichet), {{ service.hours }}.

- une _photo_
1. un `timbre`

<p class="x">Voir [[carte-identite|la carte]] et [[titre-perdu]].</p>
![Plan](plan.png)
"""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("déchets", "dechets"),
        ("DÉCHÈTERIE", "decheterie"),
        ("renouvelée", "RENOUVELEES"),
        ("poubelles", "poubelle"),
        ("œuvre", "oeuvre"),
        ("l’école", "école"),
        ("d'identité", "identite"),
        (unicodedata.normalize("NFD", "mariage célébré à Noël"), "mariage celebre noel"),
    ],
)
def test_words_meet_whatever_their_accents_case_and_ending(one: str, other: str) -> None:
    assert text.terms(one) == text.terms(other) != []


@pytest.mark.parametrize(("one", "other"), [("cartes", "quartier"), ("carte", "cantine"), ("2024", "2025")])
def test_different_words_stay_apart(one: str, other: str) -> None:
    assert text.terms(one) != text.terms(other)


def test_words_without_subject_are_dropped_and_negation_kept() -> None:
    assert text.terms("Bonjour Madame, merci de me dire comment faire.") == []
    assert text.terms("poubelle pas ramassée")[1] == "pas"


def test_a_number_is_never_stemmed() -> None:
    assert text.terms("CNI 12bis 2026es") == ["cni", "12bis", "2026es"]


@given(st.text())
@example("İstanbul Ŀa ŉa l·l")
@example("e\u0301te\u0301 \u0301 x\u0301y\u0301z")
@example("CNI n°12, œuvre d’art ; garde-à-vous ²x")
def test_terms_are_those_of_the_analyzer(message: str) -> None:
    assert text.terms(message) == [token.text for token in text.analyzer()(message)]


@given(st.text(alphabet="abcdéèêëàâäîïôöùûüÿçñœæÉÈÊÀÂÎÔÙÇŒÆ’'- \u0301\u0308"))
def test_folded_french_is_plain_ascii(words: str) -> None:
    assert text.fold(words).isascii()
    assert text.fold(words) == text.fold(unicodedata.normalize("NFD", words.upper()))


def test_plain_keeps_the_words_and_drops_the_syntax() -> None:
    assert text.plain(MARKDOWN).split("\n") == [
        "Le passeport se demande au guichet, .",
        "une photo",
        "un timbre",
        "Voir la carte et titre perdu.",
        "Plan",
    ]


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ('Bonjour {{ citizen.name|fallback("Madame {x} Monsieur") }} !', "Bonjour !"),
        ("{{ a }} et {{ b }}", "et"),
        ("{{ ouvert", "{{ ouvert"),
        ("avant {{\nservice.hours\n}} après", "avant après"),
        ("{% if x %}oui{% endif %}", "oui"),
        ("[![logo](logo.png) Accueil](https://ville.example)", "[logo Accueil](https://ville.example)"),
        ("moins de < 500 € ou plus > 900 €", "moins de < 500 € ou plus > 900 €"),
        ("<!-- note --><br/>Texte</p>", "Texte"),
        ("5 * 3", "5 3"),
        ("", ""),
        ("   \n\n  ", ""),
    ],
)
def test_plain_on_corners(markdown: str, plain: str) -> None:
    assert text.plain(markdown) == plain


@pytest.mark.parametrize("unit", ["[", "<", "{{", "{%", "{{ a ", "\u00a0", "\x0b", "[[", "[](", "[a", "\n", " \n", "*", "# ", "> ", "`"])
def test_plain_reads_a_hostile_page_in_linear_time(unit: str) -> None:
    assert_linear(lambda count: text.plain("a" + unit * count + "a"))
