"""The article search: Whoosh's query language on French words, facets, suggestions, and no query that breaks it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kb.library import Library
from search.errors import QueryError
from search.keyword_index import MAX_QUERY_CHARS, KeywordDocument, KeywordIndex, highlighted
from search.passages import KeywordFields, SynonymTable, keyword_fields
from tests.conftest import MakeKb
from tests.search.conftest import TOWN

EVERY = {"passeport", "carte-identite", "bac-jaune", "encombrants", "cantine", "permis-construire"}


def document(slug: str, title: str, **fields: str) -> KeywordDocument:
    values = {"questions": "", "tags": "", "lead": "", "body": "", "synonyms": ""} | fields
    return KeywordDocument(slug, "mairie", "public", (), KeywordFields(title, **values))


def documents_of(root: Path) -> list[KeywordDocument]:
    library = Library.load(root)
    table = SynonymTable(library.context.synonyms)
    return [KeywordDocument(a.slug, a.service, a.meta.audience, a.meta.tags, keyword_fields(a, table)) for a in library.articles.values()]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeywordIndex]:
    root, folder = tmp_path_factory.mktemp("kb"), tmp_path_factory.mktemp("whoosh")
    for relative, words in TOWN.items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words, encoding="utf-8")
    KeywordIndex.write(folder, [], documents_of(root))
    opened = KeywordIndex(folder)
    yield opened
    opened.close()


def found(index: KeywordIndex, query: str, **options: object) -> set[str]:
    return set(index.search(query, **options).slugs)  # type: ignore[arg-type]


# ---- words ----
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("passeport", {"passeport"}),
        ("PASSEPORTS", {"passeport"}),
        ("biometriques", {"passeport"}),
        ("dechet", {"bac-jaune"}),  # by a synonym of its question's "poubelle"
        ("cni", {"carte-identite"}),
        ("ramassee", {"bac-jaune"}),
        ("ramassée", {"bac-jaune"}),
        (unicodedata.normalize("NFD", "ramassée"), {"bac-jaune"}),
        ("l’identité", {"carte-identite"}),
        ("zorglub", set()),
        ("le de la", set()),
        ("", set()),
    ],
)
def test_words_are_found_whatever_their_accents_case_and_number(index: KeywordIndex, query: str, expected: set[str]) -> None:
    hits = index.search(query)
    assert set(hits.slugs) == expected
    assert hits.total == len(expected)


def test_the_best_article_comes_first(index: KeywordIndex) -> None:
    assert index.search("carte d'identité sur rendez-vous").slugs[0] == "carte-identite"
    assert index.search("passeport rendez-vous guichet photo").slugs[0] == "passeport"


# ---- the query language ----
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("passeport cantine", {"passeport", "cantine"}),
        ("passeport OR cantine", {"passeport", "cantine"}),
        ("guichet AND passeport", {"passeport"}),
        ("guichet NOT passeport", {"carte-identite"}),
        ('"permis de construire"', {"permis-construire"}),
        ('"construire permis"', set()),
        ("title:maison", set()),
        ("lead:maison", {"permis-construire"}),
        ("tags:collecte", {"bac-jaune", "encombrants"}),
        ("service:dechets", {"bac-jaune", "encombrants"}),
        ("encomb*", {"encombrants"}),
        ("cant?n", {"cantine"}),
        ("guichet NOT (passeport OR photo) NOT cantine", {"carte-identite"}),
        ("NOT guichet", EVERY - {"passeport", "carte-identite"}),
        ("guichet AND NOT passeport", {"carte-identite"}),
        ("pasport~2", {"passeport"}),
        ("passepor~", {"passeport"}),
        ("passepor~1/4", {"passeport"}),
        ("pasport~1", set()),
        ("passeport~99", {"passeport"}),  # taken as it is, this costs Whoosh a minute
        ("(passeport OR cantine) AND photo", {"passeport"}),
        ("*", EVERY),
    ],
)
def test_the_query_language_is_that_of_whoosh(index: KeywordIndex, query: str, expected: set[str]) -> None:
    assert found(index, query) == expected


@pytest.mark.parametrize(
    "query",
    ['"', '"passeport', "(passeport", "passeport)", "title:", ":", "AND", "NOT", "passeport AND", "[a TO", "a~", "^", "passeport^x", "?"],
)
def test_a_half_written_query_answers_or_says_what_to_correct(index: KeywordIndex, query: str) -> None:
    try:
        hits = index.search(query)
    except QueryError as error:
        assert "guillemets" in str(error)
    else:
        assert set(hits.slugs) <= EVERY


WORDS = st.sampled_from(["passeport", "carte", "rendez-vous", "title:", "tag:", "service:", "words:", "slug:", "zzz:", "AND", "OR", "NOT"])
SIGNS = st.sampled_from(["ANDNOT", "ANDMAYBE", "REQUIRE", " TO ", "~2", "~99", "^2", *"*?~^[]{}()-+'’\"\\/é "])
QUERIES = st.lists(WORDS | SIGNS | st.text(max_size=4), max_size=14).map(lambda parts: "".join(parts)[:MAX_QUERY_CHARS])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(query=QUERIES)
@example(query="\x00")
@example(query="a\n\tb")
@example(query="NOT passeport")
@example(query="[passeport TO]")
@example(query="service:[a TO z]")
@example(query="\ud800")
def test_no_query_breaks_the_search(index: KeywordIndex, query: str) -> None:
    try:
        hits = index.search(query)
    except QueryError:
        return
    assert set(hits.slugs) <= EVERY
    assert hits.total == len(hits.slugs)
    assert sum(hits.services.values()) == hits.total


def test_a_query_that_is_too_long_says_so(index: KeywordIndex) -> None:
    assert index.search("passeport " * 20).total == 1
    with pytest.raises(QueryError, match="200"):
        index.search("p" * (MAX_QUERY_CHARS + 1))


# ---- filters, facets, pages ----
def test_filters_keep_what_they_name(index: KeywordIndex) -> None:
    assert found(index, "rendez-vous") == {"passeport", "carte-identite", "encombrants"}
    assert found(index, "rendez-vous", service="etat-civil") == {"passeport", "carte-identite"}
    assert found(index, "rendez-vous", service="etat-civil", tag="cni") == {"carte-identite"}
    assert found(index, "rendez-vous", tag="Titre d'identité") == {"carte-identite"}
    assert found(index, "maison", audience="internal") == {"permis-construire"}
    assert found(index, "maison", audience="public") == set()
    assert found(index, "rendez-vous", service="etat") == set()


def test_facets_count_all_the_results_the_most_first(index: KeywordIndex) -> None:
    hits = index.search("*", limit=1)
    assert hits.total == 6
    assert len(hits.slugs) == 1
    assert list(hits.services.items()) == [("dechets", 2), ("etat-civil", 2), ("education", 1), ("urbanisme", 1)]
    assert hits.tags["collecte"] == 2
    assert set(hits.tags) == {"collecte", "tri", "voyage", "CNI", "titre d'identité", "école"}
    assert next(iter(hits.tags)) == "collecte"
    assert index.search("guichet", service="etat-civil").services == {"etat-civil": 2}


def test_pages_follow_one_another(index: KeywordIndex) -> None:
    every = index.search("*", limit=10).slugs
    pages = [index.search("*", offset=offset, limit=2) for offset in (0, 2, 4, 6)]
    assert [page.slugs for page in pages] == [every[0:2], every[2:4], every[4:6], ()]
    assert {page.total for page in pages} == {6}


# ---- suggestions ----
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("paseport", "passeport"),
        ("cantinne", "cantine"),
        ("PASEPORT !", "passeport !"),
        ("encombrnats", "encombrants"),
        ("biometrque", "biométrique"),
        ("passeport", None),
        ("zorglub", None),
        ("cni", None),
        ("", None),
    ],
)
def test_a_misspelt_word_is_corrected_from_titles_questions_and_tags(index: KeywordIndex, query: str, expected: str | None) -> None:
    assert index.suggest(query) == expected


def test_a_suggestion_comes_with_an_empty_page_only(index: KeywordIndex) -> None:
    assert index.search("paseport").suggestion == "passeport"
    assert index.search("paseport cantine").suggestion is None
    assert index.search("zorglub").suggestion is None
    assert index.search(unicodedata.normalize("NFD", "bïométrque")).suggestion == "biométrique"


def test_a_suggestion_finds_something(index: KeywordIndex) -> None:
    hits = index.search("inscrir paseport")
    suggestion = index.suggest("inscrir paseport")
    assert suggestion is not None
    assert index.search(suggestion).total > hits.total


# ---- words ----
def test_the_words_are_those_that_people_read_first_as_they_are_written(index: KeywordIndex) -> None:
    words = index.words()
    assert len(words) == len(set(words))
    assert {"passeport", "biométrique", "encombrants", "ramassée", "cantine", "identité", "titre"} <= set(words), (
        "titles, questions and tags"
    )
    assert "justificatif" in words, "and leads"
    assert not {"timbre", "fiscal"} & set(words), "but not what a section says further down"
    assert not {"carte nationale d'identité", "ordures", "biometrique", "passeports", "comment", "la"} & set(words)


def test_words_keep_their_accents_however_they_are_typed(tmp_path: Path) -> None:
    KeywordIndex.write(tmp_path, [], [document("un", unicodedata.normalize("NFD", "DÉCHÈTERIE œuvre")), document("vide", "")])
    index = KeywordIndex(tmp_path)
    assert sorted(index.words()) == ["déchèterie", "œuvre"]
    index.close()


def test_the_words_of_a_changed_article_are_its_new_ones(tmp_path: Path) -> None:
    KeywordIndex.write(tmp_path, [], [document("un", "Passeport"), document("deux", "Cantine scolaire"), document("trois", "Verre")])
    KeywordIndex.write(tmp_path, ["deux", "trois"], [document("deux", "Restauration scolaire")])
    changed = KeywordIndex(tmp_path)
    assert {"passeport", "restauration", "scolaire"} <= set(changed.words())
    changed.close()


@pytest.mark.xfail(strict=True, reason="Whoosh lists the words of deleted articles until it merges their segment")
def test_the_words_of_a_deleted_article_are_gone(tmp_path: Path) -> None:
    KeywordIndex.write(tmp_path, [], [document("un", "Passeport"), document("deux", "Cantine")])
    KeywordIndex.write(tmp_path, ["deux"], [])
    changed = KeywordIndex(tmp_path)
    assert changed.words() == ["passeport"]
    changed.close()


# ---- highlights ----
def test_highlights_are_the_words_of_the_text_unescaped(index: KeywordIndex) -> None:
    hits = index.search("passeports")
    source = "Le <b>Passeport</b> & la photo : un PASSEPORT coûte 86 €."
    pieces = highlighted(source, hits.terms, whole=True)
    assert "".join(words for words, _ in pieces) == source, "nothing is escaped, added or lost"
    assert [words for words, is_match in pieces if is_match] == ["Passeport", "PASSEPORT"]


def test_an_excerpt_shows_the_match_in_a_long_text() -> None:
    source = "Mot inutile. " * 100 + "La déchèterie <ouvre> à 9 h. " + "Mot inutile. " * 100
    pieces = highlighted(source, frozenset({"decheter"}))
    assert [words for words, is_match in pieces if is_match] == ["déchèterie"]
    assert "<ouvre>" in "".join(words for words, _ in pieces)
    assert len("".join(words for words, _ in pieces)) < 500


@pytest.mark.parametrize("stems", [frozenset(), frozenset({"absent"})])
def test_without_a_match_the_start_of_the_text_is_shown(stems: frozenset[str]) -> None:
    assert highlighted("Un texte court.", stems) == [("Un texte court.", False)]
    [(words, is_match)] = highlighted("mot " * 200, stems)
    assert not is_match
    assert words.endswith(" …")
    assert len(words) <= 202
    assert highlighted("", stems) in ([("", False)], [])


@settings(max_examples=50)
@given(st.text(alphabet="ab é'<>&\n.", max_size=300))
def test_a_whole_highlight_never_changes_the_text(source: str) -> None:
    assert "".join(words for words, _ in highlighted(source, frozenset({"ab", "aab"}), whole=True)) == source


# ---- writing ----
def test_a_deleted_article_is_found_no_more_and_a_changed_one_by_its_new_words(make_kb: MakeKb, tmp_path: Path) -> None:
    folder = tmp_path / "whoosh"
    folder.mkdir()
    KeywordIndex.write(folder, [], documents_of(make_kb(TOWN)))
    KeywordIndex.write(folder, ["cantine", "passeport"], [document("passeport", "Titre de voyage")])
    changed = KeywordIndex(folder)
    assert len(changed) == 5
    assert found(changed, "cantine") == set()
    assert found(changed, "biométrique") == set()
    assert found(changed, "voyage") == {"passeport"}
    assert changed.search("*").total == 5
    assert changed.search("*").services == {"dechets": 2, "etat-civil": 1, "mairie": 1, "urbanisme": 1}
    changed.close()


def test_an_open_index_is_untouched_by_a_later_write(tmp_path: Path) -> None:
    KeywordIndex.write(tmp_path, [], [document("un", "Passeport")])
    before = KeywordIndex(tmp_path)
    KeywordIndex.write(tmp_path, ["un"], [document("deux", "Cantine")])
    after = KeywordIndex(tmp_path)
    assert (found(before, "passeport"), found(before, "cantine")) == ({"un"}, set())
    assert (found(after, "passeport"), found(after, "cantine")) == (set(), {"deux"})
    before.close()
    after.close()


def test_progress_counts_each_article(tmp_path: Path) -> None:
    done: list[int] = []
    KeywordIndex.write(tmp_path, [], [document(str(number), f"Fiche {number}") for number in range(5)], done.append)
    assert done == [1] * 5


def test_an_empty_index_answers(tmp_path: Path) -> None:
    KeywordIndex.write(tmp_path, [], [])
    empty = KeywordIndex(tmp_path)
    assert len(empty) == 0
    assert empty.search("passeport").total == 0
    assert empty.search("*").slugs == ()
    assert empty.suggest("paseport") is None
    assert empty.words() == []
    assert empty.score_terms(["passeport"], limit=5) == []
    empty.close()


def test_odd_slugs_services_and_tags_are_kept_apart(tmp_path: Path) -> None:
    odd = KeywordDocument("FAQ_12.v2", "état civil", "public", ("a, b", "C d", ""), KeywordFields("Passeport", "", "", "", "", ""))
    plain = KeywordDocument("FAQ", "", "public", (), KeywordFields("Passeport", "", "", "", "", ""))
    KeywordIndex.write(tmp_path, [], [odd, plain])
    index = KeywordIndex(tmp_path)
    assert found(index, "passeport", service="état civil") == {"FAQ_12.v2"}
    assert found(index, "passeport", tag="c d") == {"FAQ_12.v2"}
    hits = index.search("passeport")
    assert hits.services == {"état civil": 1}
    assert set(hits.tags) == {"a  b", "C d"}
    index.close()
    KeywordIndex.write(tmp_path, ["FAQ"], [])
    index = KeywordIndex(tmp_path)
    assert found(index, "passeport") == {"FAQ_12.v2"}
    index.close()
