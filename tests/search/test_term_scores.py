"""The BM25F that is computed beforehand: Whoosh's own scores, and the same after any edits as from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.library import Library
from search import text
from search.keyword_index import KeywordDocument, KeywordIndex
from search.passages import KeywordFields, SynonymTable, keyword_fields
from search.term_scores import Postings, TermScores

NONE = KeywordFields("", "", "", "", "", "")


def scorer(documents: Mapping[int, KeywordFields], base: Postings | None = None, gone: frozenset[int] = frozenset()) -> TermScores:
    postings = (base or Postings.empty()).updated(gone, documents)
    alive = set(postings.documents.tolist()) | set(documents)
    return TermScores(postings, max(alive, default=-1) + 1, len(alive))


def whoosh_scores(folder: Path, documents: Mapping[int, KeywordFields], queries: list[str]) -> list[dict[int, float]]:
    """Score every document for each query with Whoosh itself."""
    folder.mkdir()
    KeywordIndex.write(folder, [], (KeywordDocument(str(number), "", "", (), fields) for number, fields in documents.items()))
    index = KeywordIndex(folder)
    found = [{int(slug): score for slug, score in index.score_terms(text.terms(query), limit=len(documents))} for query in queries]
    index.close()
    return found


def test_scores_are_those_of_whoosh_on_the_sample_content(sample_kb: Path, tmp_path: Path) -> None:
    library = Library.load(sample_kb)
    synonyms = SynonymTable(library.context.synonyms)
    documents = {number: keyword_fields(article, synonyms) for number, article in enumerate(library.articles.values())}
    queries = [question for article in library.articles.values() for question in article.meta.questions[:1]][:60]
    queries += ["poubelle jaune pas ramassée rue des Lilas, et la cantine de ma fille ?", "carte identité carte identité"]
    ours = scorer(documents)
    assert len(queries) > 30
    for query, whoosh in zip(queries, whoosh_scores(tmp_path / "whoosh", documents, queries), strict=True):
        mine = ours.scores(text.terms(query))
        theirs = np.array([whoosh.get(number, 0.0) for number in documents])
        # Whoosh keeps the length of a field in one byte: a few per cent of a score.
        np.testing.assert_allclose(mine, theirs, rtol=0.03, err_msg=query)
        assert theirs.max() > 0
        leaders = [number for number in np.argsort(-theirs) if theirs[number] > 0][:5]
        clear = [(one, other) for one in leaders for other in leaders if theirs[one] > 1.06 * theirs[other]]
        assert all(mine[one] > mine[other] for one, other in clear)


def test_scores_are_exactly_those_of_whoosh_where_a_byte_holds_the_length(tmp_path: Path) -> None:
    documents = {
        0: KeywordFields("passeport enfant", "prix passeport\npasseport perdu", "voyage", "passeport guichet photo timbre", "", ""),
        1: KeywordFields("carte identité", "", "voyage identité", "carte guichet passeport", "photo photo photo", "titre"),
        2: KeywordFields("collecte verre", "jour collecte", "", "bac verre", "passeport", "poubelle"),
        3: KeywordFields("collecte", "", "", "", "", ""),
    }
    queries = ["passeport", "photo passeport voyage", "collecte verre poubelle", "identité identité", "inconnu collecte"]
    ours = scorer(documents)
    for query, whoosh in zip(queries, whoosh_scores(tmp_path / "whoosh", documents, queries), strict=True):
        theirs = [whoosh.get(number, 0.0) for number in documents]
        np.testing.assert_allclose(ours.scores(text.terms(query)), theirs, rtol=1e-5, err_msg=query)


# ---- edits ----
WORDS = st.lists(st.sampled_from("passeport carte bac verre cantine permis canapé photo timbre portail".split()), max_size=6).map(" ".join)  # noqa: SIM905
FIELDS = st.builds(KeywordFields, WORDS, WORDS, WORDS, WORDS, WORDS, WORDS)
VERSIONS = st.lists(st.dictionaries(st.integers(0, 7), st.one_of(st.none(), FIELDS), max_size=5), min_size=1, max_size=5)


@settings(max_examples=50)
@given(VERSIONS)
def test_edits_give_what_a_build_from_scratch_gives(versions: list[dict[int, KeywordFields | None]]) -> None:
    postings, state = Postings.empty(), {}
    for changes in versions:
        added = {number: fields for number, fields in changes.items() if fields is not None}
        postings = postings.updated(frozenset(changes), added)
        state = {number: fields for number, fields in (state | changes).items() if fields is not None}
    documents = max(state, default=-1) + 1
    edited = TermScores(postings, documents, len(state))
    scratch = TermScores(Postings.empty().updated((), state), documents, len(state))
    for query in ["passeport", "carte bac", "verre cantine permis canapé photo", "timbre inconnu", ""]:
        terms = text.terms(query)
        np.testing.assert_array_equal(edited.scores(terms), scratch.scores(terms))
        assert edited.ceiling(terms) == pytest.approx(scratch.ceiling(terms), rel=1e-6)
        assert edited.known_share(terms) == scratch.known_share(terms)
        for number in state:
            assert edited.contributions(terms, number) == scratch.contributions(terms, number)


# ---- what the engine relies on ----
@settings(max_examples=50)
@given(st.dictionaries(st.integers(0, 7), FIELDS, min_size=1), WORDS)
def test_no_article_scores_above_the_ceiling(documents: dict[int, KeywordFields], query: str) -> None:
    found = scorer(documents)
    scores = found.scores(text.terms(query))
    assert scores.min(initial=0) >= 0
    assert scores.max(initial=0) <= found.ceiling(text.terms(query)) * (1 + 1e-6)


def test_contributions_add_up_to_the_score() -> None:
    found = scorer({0: KeywordFields("passeport photo", "", "photo", "timbre", "", ""), 1: KeywordFields("carte", "", "", "photo", "", "")})
    terms = text.terms("photo timbre carte inconnu photo")
    for number in (0, 1):
        assert sum(found.contributions(terms, number).values()) == pytest.approx(found.scores(terms)[number])
    assert set(found.contributions(terms, 0)) == {"photo", "timbr"}


def test_a_word_counts_once_however_often_the_message_says_it() -> None:
    found = scorer({0: KeywordFields("passeport", "", "", "", "", ""), 1: NONE})
    np.testing.assert_array_equal(found.scores(text.terms("passeport passeport")), found.scores(text.terms("passeport")))


def test_a_word_nobody_wrote_raises_the_ceiling_and_no_score() -> None:
    found = scorer({0: KeywordFields("passeport", "", "", "", "", ""), 1: KeywordFields("carte", "", "", "", "", "")})
    np.testing.assert_array_equal(found.scores(text.terms("passeport zorglub")), found.scores(text.terms("passeport")))
    assert found.ceiling(text.terms("passeport zorglub")) > found.ceiling(text.terms("passeport"))


def test_a_rare_word_tells_more_than_a_common_one() -> None:
    documents = {number: KeywordFields(f"carte mot{number}", "", "", "", "", "") for number in range(10)}
    documents[0] = KeywordFields("carte poussette", "", "", "", "", "")
    [rare], [common] = text.terms("poussette"), text.terms("carte")
    given_by = scorer(documents).contributions([rare, common], 0)
    assert given_by[rare] > given_by[common] > 0


def test_a_title_tells_more_than_a_body() -> None:
    found = scorer({0: KeywordFields("verre", "", "", "", "bac", ""), 1: KeywordFields("bac", "", "", "", "verre", "")})
    scores = found.scores(text.terms("verre"))
    assert scores[0] > scores[1] > 0


@pytest.mark.parametrize("documents", [{}, {0: NONE}, {0: NONE, 1: NONE}])
def test_nothing_to_score_scores_nothing(documents: dict[int, KeywordFields]) -> None:
    found = scorer(documents)
    assert found.scores(text.terms("passeport")).tolist() == [0.0] * len(documents)
    assert found.ceiling(text.terms("passeport")) == 0
    assert found.contributions(text.terms("passeport"), 0) == {}
    assert found.known_share(text.terms("passeport")) == 0


@pytest.mark.parametrize(
    ("message", "share"),
    [
        ("passeport carte", 1),
        ("Nos PASSEPORTS, s'il vous plaît", 1 / 2),  # "plaît" says something, and no article says it
        ("passeport zorglub", 1 / 2),
        ("zorglub passeport zorglub zorglub", 1 / 2),
        ("photo timbre voyage verre guichet zorglub", 5 / 6),  # whatever the field
        ("zorglub", 0),
        ("le de la", 0),
        ("", 0),
    ],
)
def test_the_known_share_counts_each_word_that_some_article_holds(message: str, share: float) -> None:
    found = scorer(
        {0: KeywordFields("passeport", "photo", "voyage", "timbre", "guichet", ""), 1: KeywordFields("carte", "", "", "", "", "verre")}
    )
    assert found.known_share(text.terms(message)) == pytest.approx(share)


def test_a_word_is_unknown_again_when_its_last_article_goes() -> None:
    documents = {0: KeywordFields("passeport photo", "", "", "", "", ""), 1: KeywordFields("carte photo", "", "", "", "", "")}
    postings = Postings.empty().updated((), documents).updated([0], {})
    assert TermScores(postings, 2, 1).known_share(text.terms("passeport photo")) == 1 / 2
