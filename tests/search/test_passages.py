"""What is indexed of an article: every word of it in a passage or a field, in bounded pieces, with the synonyms beside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.passages import KEYWORD_BOOSTS, MAX_BODY_PASSAGES, PASSAGE_WORDS, SynonymTable, keyword_fields, passages
from tests.search.conftest import article, assert_linear

GROUPS = [("CNI", "carte nationale d'identité", "carte d'identité"), ("QF", "quotient familial"), ("PLU", "plan local d'urbanisme")]
NO_SYNONYMS = SynonymTable([])


def words(count: int) -> str:
    return " ".join(f"mot{number}" for number in range(count))


def test_an_article_gives_its_title_questions_lead_and_sections_in_order() -> None:
    found = passages(
        article("Passeport", "Au **guichet**.\n\n## Prix ##\n86 euros.\n\n### Délai\nTrois semaines.", questions=("Combien ?", "Où ?"))
    )
    assert [(passage.field, passage.text) for passage in found] == [
        ("title", "Passeport"),
        ("question", "Combien ?"),
        ("question", "Où ?"),
        ("lead", "Au guichet."),
        ("body", "86 euros."),
        ("body", "Trois semaines."),
    ]
    assert found[3].encoded == "Passeport. Au guichet."
    assert found[4].encoded == "Passeport. Prix. 86 euros."
    assert found[0].encoded == "Passeport"


def test_a_title_alone_is_one_passage() -> None:
    assert [passage.field for passage in passages(article("Passeport"))] == ["title"]


def test_a_question_written_twice_is_encoded_once() -> None:
    found = passages(article("Passeport", questions=("Combien ?", "Combien ?", "' '")))
    assert [passage.text for passage in found] == ["Passeport", "Combien ?"]


def test_a_section_without_text_is_left_out() -> None:
    assert [passage.text for passage in passages(article("A", "## Vide\n\n## Plein\nTexte."))] == ["A", "Texte."]


@given(st.integers(1, 2_000))
def test_a_long_lead_is_cut_into_even_pieces_that_hold_all_its_words(count: int) -> None:
    _, *pieces = passages(article("A", words(count)))
    lengths = [len(piece.text.split()) for piece in pieces]
    assert pieces[0].field == "lead"
    assert {piece.field for piece in pieces[1:]} <= {"body"}
    assert max(lengths) <= 1.5 * PASSAGE_WORDS
    if len(pieces) <= MAX_BODY_PASSAGES:
        assert " ".join(piece.text for piece in pieces) == words(count)


def test_an_endless_article_costs_a_bounded_number_of_passages() -> None:
    found = passages(article("A", "\n".join(f"## Partie {number}\n{words(200)}" for number in range(50))))
    assert len([passage for passage in found if passage.field == "body"]) == MAX_BODY_PASSAGES


@pytest.mark.parametrize("unit", [" ", "# a", "\t", "#", "## a\n", "a"])
def test_a_hostile_heading_is_read_in_linear_time(unit: str) -> None:
    hostile = {count: article("A", "## a" + unit * count + "a\n") for count in (5_000, 20_000)}
    assert_linear(lambda count: passages(hostile[count]))


def test_keyword_fields_hold_every_word_of_the_article() -> None:
    fields = keyword_fields(
        article("Passeport", "Au guichet.\n## Prix\n86 euros.", questions=("Combien ?", "Où ?"), tags=("voyage", "CNI")),
        SynonymTable(GROUPS),
    )
    assert (fields.title, fields.questions, fields.tags) == ("Passeport", "Combien ?\nOù ?", "voyage\nCNI")
    assert fields.lead == "Au guichet."
    assert fields.body == "Prix\n86 euros."
    assert fields.synonyms == "carte nationale d'identité\ncarte d'identité"
    assert len(fields.values()) == len(KEYWORD_BOOSTS)
    assert dict(zip(KEYWORD_BOOSTS, fields.values(), strict=True)) == vars(fields)


# ---- synonyms ----
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Refaire ma cni", "carte nationale d'identité\ncarte d'identité"),
        ("Renouveler la Carte Nationale d’Identité", "CNI\ncarte d'identité"),
        ("carte d identite perimee", "CNI\ncarte nationale d'identité"),
        ("Calcul du QF et PLU", "quotient familial\nplan local d'urbanisme"),
        ("Plan local", ""),
        ("CNIL", ""),
        ("", ""),
    ],
)
def test_an_expression_brings_the_others_of_its_group(text: str, expected: str) -> None:
    assert SynonymTable(GROUPS).expand([text]) == expected


def test_an_expression_that_is_there_is_not_repeated() -> None:
    assert SynonymTable(GROUPS).expand(["Ma CNI", "carte d'identité"]) == "carte nationale d'identité"


def test_an_expression_in_two_groups_brings_both() -> None:
    table = SynonymTable([("PAC", "pacte civil"), ("PAC", "participation à l'assainissement")])
    assert table.expand(["un PAC"]) == "pacte civil\nparticipation à l'assainissement"


def test_no_expression_crosses_two_texts() -> None:
    assert SynonymTable(GROUPS).expand(["le quotient", "familial"]) == ""


@pytest.mark.parametrize("groups", [[], [()], [("",)], [("…", "!")], [("seul",)]])
def test_groups_that_say_nothing_bring_nothing(groups: list[tuple[str, ...]]) -> None:
    assert SynonymTable(groups).expand(["seul … !"]) == ""


def test_synonyms_of_the_body_alone_are_not_brought() -> None:
    """A word said in passing in the body must not make the article answer for the whole group."""
    assert keyword_fields(article("Passeport", "Apportez votre CNI."), SynonymTable(GROUPS)).synonyms == ""
    assert keyword_fields(article("Passeport"), NO_SYNONYMS).synonyms == ""
