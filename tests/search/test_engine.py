"""The engine: finds what answers each request of a message, says when nothing does, and bears any message and any number of threads."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kb.library import Library
from search.confidence import FEATURES, MessageSigns, confidences
from search.embedder import SentenceTransformerEmbedder, Vectors
from search.engine import MAX_MESSAGE_CHARS, Match, MatchResult, RequestMatches, SearchEngine
from search.engine import _interleaved as interleaved
from search.index_store import Index, IndexStore
from search.topicality import topicality
from tests.conftest import FakeEmbedder, MakeKb
from tests.search.conftest import TOWN, BuildEngine, article_text, words_in_memory
from webapp.settings import SAMPLE_KB

# Questions as the articles ask them: sure answers, however the weights are tuned.
PASSPORT = "Combien coûte un passeport ?"
BIN = "Ma poubelle jaune n'a pas été ramassée, que faire ?"
CANTEEN = "Quel est le tarif de la cantine ?"
BEST = {PASSPORT: "passeport", BIN: "bac-jaune", CANTEEN: "cantine", "Comment me débarrasser d'un vieux canapé ?": "encombrants"}
GIBBERISH = ["xqzt wvkrp zzzzt", "Azerty qsdfgh", "Quelle est la capitale du Kirghizistan"]
MODES = pytest.mark.parametrize("mode", ["hybrid", "keywords", "vectors"])
BY_WORDS = pytest.mark.parametrize("mode", ["hybrid", "keywords"])


def slugs(matches: tuple[Match, ...]) -> list[str]:
    return [match.slug for match in matches]


def facts(result: MatchResult) -> tuple[object, ...]:
    """Everything in a result but how long it took."""
    return (result.mode, result.answered, result.matches, result.requests, result.advice)


# ---- finding ----
@MODES
@pytest.mark.parametrize(("message", "slug"), BEST.items())
def test_the_article_that_answers_comes_first(town: Path, build_engine: BuildEngine, mode: str, message: str, slug: str) -> None:
    result = build_engine(town, mode=mode).match(message)
    assert result.mode == mode
    assert result.matches[0].slug == slug
    assert result.answered or mode == "vectors", "half of the signals may not be enough to be sure"


@BY_WORDS
@pytest.mark.parametrize("message", ["ENCOMBRANTS", "encombrant", "Bonjour,\n\nencombrants\n\nCordialement,\nJean"])
def test_a_word_is_found_whatever_its_dress(town: Path, build_engine: BuildEngine, mode: str, message: str) -> None:
    assert build_engine(town, mode=mode).match(message).matches[0].slug == "encombrants"


def test_a_synonym_is_found(town: Path, build_engine: BuildEngine) -> None:
    assert build_engine(town, mode="keywords").match("ordures jaunes").matches[0].slug == "bac-jaune"


def test_without_a_model_the_mode_is_keywords_and_the_reason_is_kept(town: Path, build_engine: BuildEngine) -> None:
    words = build_engine(town, mode="keywords", degraded="Sans modèle.")
    asked_for_more = SearchEngine(words.library, words.index, None, mode="hybrid", degraded="Sans modèle.")
    index_without_vectors = SearchEngine(words.library, words.index, FakeEmbedder(), mode="vectors")
    for engine in (words, asked_for_more, index_without_vectors):
        result = engine.match(PASSPORT)
        assert result.mode == "keywords"
        assert result.matches[0].slug == "passeport"
    assert asked_for_more.match(PASSPORT).degraded == "Sans modèle."
    assert build_engine(town).match(PASSPORT).degraded is None


@MODES
def test_an_empty_library_answers_nothing(make_kb: MakeKb, build_engine: BuildEngine, mode: str) -> None:
    engine = build_engine(make_kb({}), mode=mode)
    result = engine.match(PASSPORT)
    assert (result.answered, result.matches, result.advice) == (False, (), None)
    assert [request.text for request in result.requests] == [PASSPORT]
    assert engine.search("passeport").total == 0


@MODES
def test_articles_that_are_nothing_but_a_title_are_found(make_kb: MakeKb, build_engine: BuildEngine, mode: str) -> None:
    root = make_kb(
        {f"articles/{number}.md": f"---\ntitle: {title}\n---\n" for number, title in enumerate(["Le passeport", "La cantine", "Le verre"])}
    )
    result = build_engine(root, mode=mode).match("le verre")
    assert result.matches[0].slug == "2"
    assert result.matches[0].matched_on == "Le verre"


def test_one_article_alone_is_found_and_not_for_anything(make_kb: MakeKb, build_engine: BuildEngine) -> None:
    engine = build_engine(make_kb({"articles/a/un.md": article_text("Demander un passeport", questions=(PASSPORT,))}))
    assert engine.match(PASSPORT).matches[0].slug == "un"
    assert not engine.match(GIBBERISH[0]).answered


# ---- ties ----
TWINS = {
    f"articles/{service}/{service}-horaires.md": article_text(
        "Horaires d'ouverture", "Ouvert le matin.", questions=("Quand est-ce ouvert ?",)
    )
    for service in ("mairie", "archives", "piscine")
}


@pytest.mark.parametrize("service", ["mairie", "archives", "piscine"])
@MODES
def test_the_agents_own_service_comes_first_among_equals(make_kb: MakeKb, build_engine: BuildEngine, mode: str, service: str) -> None:
    engine = build_engine(make_kb(TWINS), mode=mode)
    assert slugs(engine.match("Quand est-ce ouvert ?", service=service).matches)[0] == f"{service}-horaires"
    assert sorted(slugs(engine.match("Quand est-ce ouvert ?", service=service).matches)) == sorted(
        f"{name}-horaires" for name in ("mairie", "archives", "piscine")
    )


@MODES
def test_the_agents_own_service_does_not_hide_the_right_article(town: Path, build_engine: BuildEngine, mode: str) -> None:
    engine = build_engine(town, mode=mode)
    for service in ("dechets", "education", "urbanisme", "inconnu", ""):
        for message, slug in BEST.items():
            assert engine.match(message, service=service).matches[0].slug == slug


@pytest.mark.parametrize("model", [FakeEmbedder(), None])
def test_equal_articles_come_in_the_same_order_whatever_the_edits(make_kb: MakeKb, tmp_path: Path, model: FakeEmbedder | None) -> None:
    root = make_kb({path: text for path, text in TWINS.items() if "archives" not in path})
    store = IndexStore(tmp_path / "index", model)
    store.open(Library.load(root)).keywords.close()
    [(path, text)] = [(path, text) for path, text in TWINS.items() if "archives" in path]
    (root / path).parent.mkdir()
    (root / path).write_text(text, encoding="utf-8")
    library = Library.load(root)
    index = store.open(library)
    assert index.slugs == ("mairie-horaires", "piscine-horaires", "archives-horaires"), "numbered in the order of the edits"
    found = SearchEngine(library, index, model).match("Quand est-ce ouvert ?").matches
    index.keywords.close()
    assert slugs(found) == ["archives-horaires", "mairie-horaires", "piscine-horaires"]


@MODES
def test_an_article_whose_review_is_late_comes_after_its_equal(make_kb: MakeKb, build_engine: BuildEngine, mode: str) -> None:
    late = article_text("Horaires d'ouverture", "Ouvert le matin.", review_by="2026-06-30")
    fresh = article_text("Horaires d'ouverture", "Ouvert le matin.", review_by="2027-06-30")
    root = make_kb({"articles/a/a-tard.md": late, "articles/a/b-jour.md": fresh})
    on_the_day = build_engine(root, mode=mode, today=dt.date(2026, 6, 30))
    the_day_after = build_engine(root, mode=mode, today=dt.date(2026, 7, 1))
    both_late = build_engine(root, mode=mode, today=dt.date(2030, 1, 1))
    assert [slugs(engine.match("horaires").matches) for engine in (on_the_day, the_day_after, both_late)] == [
        ["a-tard", "b-jour"],
        ["b-jour", "a-tard"],
        ["a-tard", "b-jour"],
    ]


def test_a_late_review_does_not_hide_the_right_article(make_kb: MakeKb, build_engine: BuildEngine) -> None:
    late = {
        path: text.replace("title:", "review_by: 2001-01-01\ntitle:") if path.endswith("passeport.md") else text
        for path, text in TOWN.items()
    }
    result = build_engine(make_kb(late)).match(PASSPORT)
    assert result.matches[0].slug == "passeport"
    assert result.answered


# ---- several requests ----
@BY_WORDS
def test_requests_are_told_apart_and_interleaved(town: Path, build_engine: BuildEngine, mode: str) -> None:
    result = build_engine(town, mode=mode).match(f"Bonjour,\n\n{PASSPORT}\n\n{BIN}\n\n{CANTEEN}\n\nMerci d'avance,\nJean", limit=5)
    assert [request.text for request in result.requests] == [PASSPORT, BIN, CANTEEN]
    assert [request.matches[0].slug for request in result.requests] == ["passeport", "bac-jaune", "cantine"]
    assert all(request.answered for request in result.requests)
    assert slugs(result.matches)[:3] == ["passeport", "bac-jaune", "cantine"], "the best of each first"
    assert len(set(slugs(result.matches))) == len(result.matches) <= 5
    assert {match.slug for request in result.requests for match in request.matches} >= set(slugs(result.matches))


@BY_WORDS
def test_sentences_about_one_thing_are_one_request(town: Path, build_engine: BuildEngine, mode: str) -> None:
    message = f"{BIN} Le bac jaune était sorti la veille. La poubelle jaune est pleine ?"
    result = build_engine(town, mode=mode).match(message)
    assert [request.text for request in result.requests] == [message]
    assert result.matches[0].slug == "bac-jaune"


@BY_WORDS
def test_an_answered_request_comes_before_one_without_answer(town: Path, build_engine: BuildEngine, mode: str) -> None:
    result = build_engine(town, mode=mode).match(f"Xqzt wvkrp zzzzt qsdfgh ?\n\n{BIN}")
    assert result.answered
    assert result.matches[0].slug == "bac-jaune"


def test_the_best_of_each_answered_request_comes_first_and_an_article_once() -> None:
    def request(answered: bool, *names: str) -> RequestMatches:
        return RequestMatches("…", answered, tuple(Match(name, 1, 1 / len(names), "check", "…", (), ()) for name in names))

    vague, first, second = request(False, "x", "y"), request(True, "a", "b", "c", "d"), request(True, "e", "a")
    found = interleaved([vague, first, second], 6)
    assert slugs(found) == ["a", "e", "x", "b", "y", "c"]
    assert found[0] is first.matches[0], "as the first request that names it saw it"
    assert slugs(interleaved([vague, first, second], 2)) == ["a", "e"]
    assert interleaved([], 5) == ()


# ---- advice ----
ADVICE = {
    "articles/accueil/insultes.md": article_text(
        "Message insultant",
        "Restez calme, ne répondez pas à l'insulte.",
        questions=("Vous êtes des incapables, bande de nuls !",),
        kind="advice",
    )
}


@BY_WORDS
def test_advice_is_never_an_answer(make_kb: MakeKb, build_engine: BuildEngine, mode: str) -> None:
    engine = build_engine(make_kb(TOWN | ADVICE), mode=mode)
    for message in [
        "Vous êtes des incapables, bande de nuls !",
        "Message insultant",
        PASSPORT,
        f"Bande de nuls !\n\n{PASSPORT}",
        *GIBBERISH,
    ]:
        result = engine.match(message, limit=10)
        assert "insultes" not in slugs(result.matches)
        assert all("insultes" not in slugs(request.matches) for request in result.requests)


@BY_WORDS
def test_advice_comes_beside_when_nothing_is_nearer(make_kb: MakeKb, build_engine: BuildEngine, mode: str) -> None:
    engine = build_engine(make_kb(TOWN | ADVICE), mode=mode)
    insult = engine.match("Vous êtes des incapables, bande de nuls !")
    assert insult.advice is not None
    assert insult.advice.slug == "insultes"
    assert not insult.answered
    assert engine.match(PASSPORT).advice is None
    assert engine.match(PASSPORT).answered


def test_a_library_of_advice_alone_answers_nothing(make_kb: MakeKb, build_engine: BuildEngine) -> None:
    result = build_engine(make_kb(ADVICE)).match("Vous êtes des incapables, bande de nuls !")
    assert (result.answered, result.matches) == (False, ())
    assert result.advice is not None


# ---- nothing fits ----
@BY_WORDS
@pytest.mark.parametrize("message", GIBBERISH)
def test_gibberish_is_not_answered(town: Path, build_engine: BuildEngine, mode: str, message: str) -> None:
    result = build_engine(town, mode=mode).match(message)
    assert not result.answered
    assert all(match.level == "none" for match in result.matches)
    assert [request.answered for request in result.requests] == [False]


def test_without_a_word_in_common_nothing_pads_the_list(town: Path, build_engine: BuildEngine) -> None:
    for message in GIBBERISH[:2]:
        assert build_engine(town, mode="keywords").match(message).matches == ()


@MODES
@pytest.mark.parametrize("message", ["", "   ", "\n\n", "?!…", "😀", "---"])
def test_a_message_without_a_word_has_no_match(town: Path, build_engine: BuildEngine, mode: str, message: str) -> None:
    result = build_engine(town, mode=mode).match(message)
    assert (result.answered, result.matches, len(result.requests)) == (False, (), 1)


# ---- what a result is ----
@MODES
@pytest.mark.parametrize("limit", [1, 2, 10])
def test_a_limit_cuts_the_end_of_the_list(town: Path, build_engine: BuildEngine, mode: str, limit: int) -> None:
    engine = build_engine(town, mode=mode)
    every = engine.match("Le guichet du passeport, sur rendez-vous", limit=50).matches
    assert len(every) >= 3
    assert engine.match("Le guichet du passeport, sur rendez-vous", limit=limit).matches == every[:limit]


@MODES
def test_matches_are_ordered_and_explained(town: Path, build_engine: BuildEngine, mode: str) -> None:
    engine = build_engine(town, mode=mode)
    for message in [*BEST, "Le guichet du passeport, sur rendez-vous"]:
        result = engine.match(message, limit=10)
        for values in ([match.score for match in result.matches], [match.confidence for match in result.matches]):
            assert values == sorted(values, reverse=True)
        for match in result.matches:
            article = engine.library.articles[match.slug]
            assert 0 <= match.confidence <= 1
            assert match.matched_on in {article.title, *article.meta.questions} or match.matched_on in article.body.replace("\n", " ")
            assert all(word in message.lower() for word in match.words)
        assert result.took_ms >= result.encode_ms >= 0
    assert "passeport" in engine.match(PASSPORT).matches[0].words


def test_what_came_nearest_is_shown(town: Path, build_engine: BuildEngine) -> None:
    engine = build_engine(town)
    assert engine.match(PASSPORT).matches[0].matched_on == PASSPORT
    assert (
        engine.match("Un timbre fiscal de 86 euros pour un adulte").matches[0].matched_on == "Un timbre fiscal de 86 euros pour un adulte."
    )


def test_a_result_cannot_be_changed(town: Path, build_engine: BuildEngine) -> None:
    result = build_engine(town).match(PASSPORT)
    for part, name in [(result, "answered"), (result.matches[0], "confidence"), (result.requests[0], "text")]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, name, None)


# ---- what a confidence rests on ----
@MODES
def test_a_confidence_comes_with_the_features_it_was_computed_from(town: Path, build_engine: BuildEngine, mode: str) -> None:
    """The calibration is fitted on them: what a message says of itself, and the same for each of its matches."""
    engine = build_engine(town, mode=mode)
    message = "passeport guichet zorglub canapé"
    result = engine.match(message, limit=10)
    assert {len(match.features) for match in result.matches} == {FEATURES}
    for match in result.matches:
        signs = signs_of(match)
        assert signs["civic"] == pytest.approx(float(topicality([message])[0]), abs=1e-4)
        assert signs["known"] == pytest.approx(3 / 4), "no article says zorglub"
    [best, *_] = result.matches
    expected = confidences(np.array([best.features], dtype=np.float32), engine.calibration)[0]
    assert best.confidence == pytest.approx(float(expected), abs=1e-3)


def signs_of(match: Match) -> dict[str, float]:
    """What the message says of itself, the last features of a match, by name."""
    names = [field.name for field in dataclasses.fields(MessageSigns)]
    return dict(zip(names, match.features[-len(names) :], strict=True))


@pytest.mark.parametrize(
    ("message", "known"),
    [
        ("passeport guichet", 1),
        ("un passeport pour Zénobie Quatrepoint, le 12/07/2031, n° AB7431", 1),
        ("passeport zénobie", 1 / 2),  # a name only by its capital
        ("UN PASSEPORT ZORGLUB", 1 / 2),
        ("Passeport Zorglub", 1),
        ("Passeport zorglub", 1 / 2),  # the first word of a sentence is no name where an article holds it
    ],
)
def test_names_and_numbers_are_no_unknown_words(town: Path, build_engine: BuildEngine, message: str, known: float) -> None:
    [match, *_] = build_engine(town, mode="keywords").match(message).matches
    assert signs_of(match)["known"] == pytest.approx(known)


def test_a_name_and_an_address_do_not_hide_the_request(sample_engine: SearchEngine) -> None:
    articles = [article for article in sample_engine.library.articles.values() if article.meta.questions and not article.is_advice]
    refused = []
    for article in articles:
        question = article.meta.questions[0]
        assert sample_engine.match(question).answered, question
        told = sample_engine.match(f"{question} Je m'appelle Zénobie Quatrepoint, 12 impasse Vaugrenelle, dossier AB-7431.")
        if not told.answered:
            refused.append(question)
    assert len(refused) <= len(articles) * 0.05


@pytest.mark.parametrize("contact", ["12 rue des Lilas 45000 Orléans\n06 12 34 56 78\njean.petit@gmail.com", "jean.petit@gmail.com"])
def test_how_to_reach_somebody_is_no_request(sample_engine: SearchEngine, contact: str) -> None:
    alone = sample_engine.match("Bonjour, comment refaire mon passeport ?")
    told = sample_engine.match(f"Bonjour, comment refaire mon passeport ?\n\n{contact}")
    assert [one.slug for one in told.matches] == [one.slug for one in alone.matches]
    assert len(told.requests) == 1
    nothing = sample_engine.match(contact)
    assert not nothing.answered
    assert all(math.isfinite(one.confidence) for one in (*nothing.matches, *([nothing.advice] if nothing.advice else [])))


class LeaningEmbedder(FakeEmbedder):
    """The fake model with a constant part in every vector: a cosine is half of the fake one's, plus a half."""

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        plain, same = FakeEmbedder()._vectors(texts), np.ones((len(texts), 1), dtype=np.float32)
        return np.concatenate([plain, same], axis=1) / np.float32(np.sqrt(2))


@pytest.mark.parametrize("mode", ["hybrid", "vectors"])
def test_a_model_whose_cosines_are_all_high_answers_the_same(town: Path, build_engine: BuildEngine, mode: str) -> None:
    plain = build_engine(town, mode=mode)
    leaning = build_engine(town, LeaningEmbedder(dimensions=65, background=(0.5, 0.05)), mode=mode)
    for message in [*BEST, *GIBBERISH, "Le guichet, sur rendez-vous"]:
        ours, theirs = leaning.match(message), plain.match(message)
        assert ours.answered == theirs.answered
        assert slugs(ours.matches) == slugs(theirs.matches)
        for mine, other in zip(ours.matches, theirs.matches, strict=True):
            assert mine.confidence == pytest.approx(other.confidence, abs=2e-3)


# ---- whatever is pasted ----
def test_a_request_before_a_long_thread_is_found(town: Path, build_engine: BuildEngine) -> None:
    message = f"{BIN}\n\n" + "Lorem ipsum dolor sit amet consectetur. " * 600
    assert len(message) > MAX_MESSAGE_CHARS
    assert build_engine(town).match(message).matches[0].slug == "bac-jaune"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SearchEngine]:
    root = tmp_path_factory.mktemp("kb")
    for relative, text in (TOWN | ADVICE).items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    library, model = Library.load(root), FakeEmbedder()
    index = IndexStore(tmp_path_factory.mktemp("index"), model).open(library)
    return {mode: SearchEngine(library, index, model, mode=mode) for mode in ("hybrid", "keywords", "vectors")}  # type: ignore[arg-type]


PIECES = ["Bonjour,", "Cordialement", "\n\n", "passeport", "cantine", "?", "- ", "par ailleurs", "carte"]
PASTED = st.lists(st.sampled_from([*BEST, *GIBBERISH, *PIECES]) | st.text(max_size=20), max_size=12).map(" ".join)


@MODES
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=PASTED, limit=st.integers(1, 8), service=st.sampled_from([None, "", "dechets", "inconnu"]))
@example(message="a\x00b\u2028c \ufeff passeport", limit=5, service=None)
@example(message="\u202e\u200b passeport \U0001f600", limit=5, service=None)
def test_no_message_breaks_the_match(shared: dict[str, SearchEngine], mode: str, message: str, limit: int, service: str | None) -> None:
    result = shared[mode].match(message, limit=limit, service=service)
    found = slugs(result.matches)
    assert len(found) == len(set(found)) <= limit
    assert "insultes" not in found
    assert result.answered == any(request.answered for request in result.requests)
    for request in result.requests:
        assert request.answered == (bool(request.matches) and request.matches[0].level != "none")
        confidences = [match.confidence for match in request.matches]
        assert confidences == sorted(confidences, reverse=True)
    assert facts(shared[mode].match(message, limit=limit, service=service)) == facts(result), "the same message finds the same"


def test_a_message_is_neither_logged_nor_kept(town: Path, build_engine: BuildEngine, caplog: pytest.LogCaptureFixture) -> None:
    engine = build_engine(town)
    secret = "Zénobie Quatrepoint, 06 99 88 77 66"
    with caplog.at_level(logging.DEBUG):
        engine.match(f"{BIN} {secret}")
        engine.match(f"{secret}\n\n{PASSPORT}")
    assert "Zénobie" not in caplog.text
    written = [path for path in engine.index.keywords.folder.parent.parent.rglob("*") if path.is_file()]
    assert written
    assert not any("Zénobie".encode() in path.read_bytes() for path in written)


@MODES
def test_no_word_of_a_message_stays_in_memory(town: Path, build_engine: BuildEngine, mode: str) -> None:
    engine = build_engine(town, mode=mode)
    mark = "".join(random.choices("kwxz", k=6))  # in no constant of the program
    assert engine.match(f"Zénobie{mark} demande un paseporrt pour zorglubinette{mark}.\n\nAussi : {BIN}{mark}").matches
    assert words_in_memory(mark) == []


# ---- threads ----
def test_engines_serve_many_threads_while_they_are_swapped(town: Path, make_kb: MakeKb, build_engine: BuildEngine) -> None:
    other = make_kb({path.replace("passeport", "nouveau-passeport"): text for path, text in TOWN.items()})
    engines = [build_engine(town), build_engine(other)]
    messages = [*BEST, f"{PASSPORT}\n\n{BIN}", GIBBERISH[0], "Le guichet, sur rendez-vous"]
    expected = {(number, message): facts(engine.match(message)) for number, engine in enumerate(engines) for message in messages}
    searched = {(number, message): engine.search(message) for number, engine in enumerate(engines) for message in BEST}
    assert expected[0, PASSPORT] != expected[1, PASSPORT]
    current, wrong, done = [0], [], []
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            current[0] = 1 - current[0]
            time.sleep(0.001)

    def serve(seed: int) -> None:
        try:
            for turn in range(50):
                number, message = current[0], messages[(seed + turn) % len(messages)]
                if facts(engines[number].match(message)) != expected[number, message]:
                    wrong.append(message)
                if message in BEST and engines[number].search(message) != searched[number, message]:
                    wrong.append(f"search {message}")
                done.append(turn)
        except BaseException as error:
            wrong.append(repr(error))

    _run([swap], [lambda seed=seed: serve(seed) for seed in range(8)], stop)
    assert wrong == []
    assert len(done) == 8 * 50


def _run(background: list[Callable[[], None]], workers: list[Callable[[], None]], stop: threading.Event) -> None:
    behind = [threading.Thread(target=one) for one in background]
    ahead = [threading.Thread(target=one) for one in workers]
    for thread in [*behind, *ahead]:
        thread.start()
    for thread in ahead:
        thread.join(timeout=60)
    stop.set()
    for thread in behind:
        thread.join(timeout=60)


def test_an_engine_goes_on_after_its_index_was_replaced_on_disk(town: Path, build_engine: BuildEngine, tmp_path: Path) -> None:
    engine = build_engine(town)
    before = facts(engine.match(PASSPORT))
    unused = SearchEngine(engine.library, engine.index, FakeEmbedder())  # reads its words for the first time when the files are gone
    opened: list[Index] = []
    for number in range(4):  # the generation of the engine is long deleted
        (town / "articles/dechets/bac-jaune.md").write_text(article_text(f"Bac {number}", "Sortez le bac."), encoding="utf-8")
        opened.append(IndexStore(engine.index.keywords.folder.parent.parent, FakeEmbedder()).open(Library.load(town)))
    assert not engine.index.keywords.folder.exists()
    assert facts(engine.match(PASSPORT)) == facts(unused.match(PASSPORT)) == before
    assert unused.match("un paseporrt").matches[0].slug == "passeport"
    assert engine.search("passeport").total == 1
    for index in opened:
        index.keywords.close()


def test_who_asks_does_not_change_what_is_found(real_embedder: SentenceTransformerEmbedder, build_engine: BuildEngine) -> None:
    engine = build_engine(SAMPLE_KB, real_embedder)
    asked = "ma poubelle n'a pas été ramassée hier"
    result = engine.match(f"Je m'appelle Paul Durand, {asked}, mon numéro est le 06 12 34 56 78, p.durand@courriel.example. Merci")
    assert result.answered
    assert result.matches[0].slug == "collecte-non-faite"
    for part in ("Durand", "06 12", "courriel.example"):
        assert part not in " ".join(request.text for request in result.requests)
    assert not {"nom", "téléphone", "adresse"} & set(result.matches[0].words)
