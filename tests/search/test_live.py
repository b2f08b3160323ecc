"""The live engine: what is written on disk is found within seconds, by a real watcher, and no request ever fails meanwhile."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kb.errors import KbError
from search.embedder import Embedder
from search.errors import ModelUnavailable, SearchError
from search.index_store import IndexStore
from search.live import LiveEngine
from tests.conftest import FakeEmbedder
from tests.search.conftest import article_text

MakeLive = Callable[..., LiveEngine]
BIN, CANTEEN = "articles/dechets/bac-jaune.md", "articles/education/cantine.md"
GLASS = article_text("Trier le verre", "Le verre va au conteneur.", questions=("Où jeter mes bouteilles vides ?",))


@pytest.fixture
def make_live(town: Path, tmp_path: Path) -> Iterator[MakeLive]:
    """Make live engines on the town's content, stopped after the test."""
    made: list[LiveEngine] = []

    def make(load_embedder: Callable[[], Embedder] = FakeEmbedder, watch: bool = True) -> LiveEngine:
        made.append(LiveEngine(town, tmp_path / "index", load_embedder))
        if watch:
            made[-1].start()
        return made[-1]

    yield make
    for live in made:
        live.stop()
        live.engine.index.keywords.close()


def eventually(true: Callable[[], bool], seconds: float = 15) -> bool:
    """Wait for something to become true; a busy machine gets its time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def first(live: LiveEngine, message: str) -> str | None:
    matches = live.engine.match(message).matches
    return matches[0].slug if matches else None


def searched(live: LiveEngine, query: str) -> set[str]:
    return set(live.engine.search(query).slugs)


# ---- what is written is found ----
def test_every_change_on_disk_is_found_while_requests_go_on(town: Path, make_live: MakeLive) -> None:
    live = make_live()
    failures: list[str] = []
    answered: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answered.append(live.engine.match("Combien coûte un passeport ?").matches[0].slug)
                assert live.engine.search("passeport").total >= 1
            except BaseException as error:
                failures.append(repr(error))
                return

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        (town / BIN).write_text(article_text("Bac jaune et composteur de jardin"), encoding="utf-8")
        assert eventually(lambda: "bac-jaune" in searched(live, "composteur")), "an edit"
        (town / "articles/dechets/verre.md").write_text(GLASS, encoding="utf-8")
        assert eventually(lambda: first(live, "Où jeter mes bouteilles vides ?") == "verre"), "a new article"
        (town / CANTEEN).unlink()
        assert eventually(lambda: searched(live, "cantine") == set()), "a deleted one"
        assert "cantine" not in live.engine.library.articles
        (town / "articles/loisirs").mkdir()
        (town / "articles/loisirs/piscine.md").write_text(article_text("Horaires de la piscine"), encoding="utf-8")
        assert eventually(lambda: first(live, "piscine") == "piscine"), "a new folder"
        (town / "articles/loisirs").rename(town / "articles/sports")
        assert eventually(lambda: live.engine.library.articles["piscine"].service == "sports"), "a renamed folder"
        (town / "synonyms.yml").write_text("vignette: [passeport]\n", encoding="utf-8")
        assert eventually(lambda: searched(live, "vignette") == {"passeport"}), "synonyms"
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)
    assert failures == []
    assert set(answered) == {"passeport"}


def test_a_broken_article_is_left_out_reported_and_comes_back(town: Path, make_live: MakeLive) -> None:
    live = make_live()
    whole = (town / BIN).read_text(encoding="utf-8")
    (town / BIN).write_text(whole.replace("title: Bac", "title: [Bac"), encoding="utf-8")
    assert eventually(lambda: "bac-jaune" not in live.engine.library.articles)
    [problem] = live.engine.library.problems
    assert problem.path == BIN
    assert problem.line >= 2
    assert "bac-jaune" not in searched(live, "poubelle")
    assert first(live, "Combien coûte un passeport ?") == "passeport"
    (town / BIN).write_text(whole, encoding="utf-8")
    assert eventually(lambda: first(live, "Ma poubelle jaune n'a pas été ramassée, que faire ?") == "bac-jaune")
    assert live.engine.library.problems == ()


def test_broken_shared_facts_are_reported_and_the_articles_stay(town: Path, make_live: MakeLive) -> None:
    live = make_live()
    (town / "synonyms.yml").write_text("CNI: [carte\n", encoding="utf-8")
    assert eventually(lambda: bool(live.engine.library.problems))
    assert live.engine.library.problems[0].path == "synonyms.yml"
    assert first(live, "Combien coûte un passeport ?") == "passeport"


@pytest.mark.parametrize("way", ["replace", "in pieces", "many"])
def test_however_an_editor_saves_the_result_is_whole(town: Path, make_live: MakeLive, way: str) -> None:
    live = make_live()
    text = article_text("Le composteur de jardin", "Gratuit. " * 500)
    if way == "replace":
        (town / "articles/dechets/.bac-jaune.md.swp").write_text(text, encoding="utf-8")
        os.replace(town / "articles/dechets/.bac-jaune.md.swp", town / BIN)
    elif way == "in pieces":
        with (town / BIN).open("w", encoding="utf-8") as file:
            for start in range(0, len(text), 400):
                file.write(text[start : start + 400])
                file.flush()
                time.sleep(0.02)
    else:
        for number in range(60):
            (town / f"articles/dechets/fiche-{number}.md").write_text(text.replace("jardin", f"jardin {number}"), encoding="utf-8")
    expected = 60 if way == "many" else 1
    assert eventually(lambda: live.engine.search("composteur", limit=100).total == expected)
    assert live.engine.library.problems == ()


def test_a_git_checkout_is_found(town: Path, make_live: MakeLive) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=A", "-c", "user.email=a@ville.example"]
        subprocess.run(["git", *identity, *arguments], cwd=town, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch", "main")
    git("add", "--all")
    git("commit", "--quiet", "--message", "Un")
    git("switch", "--quiet", "--create", "proposition")
    (town / BIN).write_text(article_text("Le composteur de jardin"), encoding="utf-8")
    git("commit", "--quiet", "--all", "--message", "Deux")
    live = make_live()
    assert searched(live, "composteur") == {"bac-jaune"}
    git("switch", "--quiet", "main")
    assert eventually(lambda: searched(live, "composteur") == set())
    git("merge", "--quiet", "proposition")
    assert eventually(lambda: searched(live, "composteur") == {"bac-jaune"})


# ---- refresh ----
def test_refresh_says_whether_something_changed(town: Path, make_live: MakeLive) -> None:
    live = make_live(watch=False)
    before = live.engine
    assert live.refresh() is False
    assert live.engine is before
    (town / BIN).write_text(article_text("Le composteur de jardin"), encoding="utf-8")
    assert live.refresh() is True
    assert live.engine is not before
    assert searched(live, "composteur") == {"bac-jaune"}
    assert before.search("composteur").total == 0, "an engine in use stays what it was"
    assert live.refresh() is False


def test_facts_that_are_not_indexed_are_refreshed_without_encoding(town: Path, make_live: MakeLive) -> None:
    model = FakeEmbedder()
    live = make_live(lambda: model, watch=False)
    model.encoded.clear()
    (town / "services.yml").write_text("dechets: {name: Propreté}\n", encoding="utf-8")
    assert live.refresh() is True
    assert live.engine.library.context.services["dechets"].name == "Propreté"
    assert model.encoded == []


def test_threads_that_refresh_at_once_build_once(town: Path, make_live: MakeLive) -> None:
    live = make_live(watch=False)
    (town / BIN).write_text(article_text("Le composteur de jardin"), encoding="utf-8")
    changed: list[bool] = []
    threads = [threading.Thread(target=lambda: changed.append(live.refresh())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(changed) == [False] * 5 + [True]


# ---- what goes wrong ----
def test_what_cannot_be_indexed_leaves_the_last_engine_and_is_tried_again(
    town: Path, make_live: MakeLive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    live = make_live()
    real = IndexStore.open
    full = threading.Event()
    full.set()

    def fail(*arguments: object, **options: object) -> object:
        if full.is_set():
            raise SearchError("plus de place")
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(IndexStore, "open", fail)
    with caplog.at_level(logging.ERROR):
        (town / BIN).write_text(article_text("Le composteur de jardin"), encoding="utf-8")
        assert eventually(lambda: "plus de place" in caplog.text)
    assert first(live, "Ma poubelle jaune n'a pas été ramassée, que faire ?") == "bac-jaune"
    full.clear()
    assert eventually(lambda: searched(live, "composteur") == {"bac-jaune"}), "without another change on disk"


def test_the_content_folder_may_vanish_for_a_while(town: Path, make_live: MakeLive, caplog: pytest.LogCaptureFixture) -> None:
    live = make_live(watch=False)
    town.rename(town.with_name("moved"))
    with pytest.raises(KbError):
        live.refresh()
    assert first(live, "Combien coûte un passeport ?") == "passeport"
    town.with_name("moved").rename(town)
    assert first(live, "Combien coûte un passeport ?") == "passeport"
    live.refresh()
    assert first(live, "Combien coûte un passeport ?") == "passeport"


@pytest.mark.parametrize("way", ["renamed", "deleted"])
def test_the_watch_outlives_a_content_folder_that_is_replaced(
    town: Path, make_live: MakeLive, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    live = make_live()
    aside = Path(shutil.copytree(town, town.with_name("aside")))
    if way == "renamed":
        town.rename(town.with_name("old"))
    else:
        shutil.rmtree(town)
    assert eventually(lambda: "BIBLE_KB_DIR" in caplog.text), "it is said"
    if way == "renamed":  # a folder that is being deleted may be read half-way, without its passport
        assert first(live, "Combien coûte un passeport ?") == "passeport"
    (aside / BIN).write_text(article_text("Le composteur de jardin"), encoding="utf-8")
    aside.rename(town)
    assert eventually(lambda: searched(live, "composteur") == {"bac-jaune"})


def test_a_missing_content_folder_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(KbError, match="BIBLE_KB_DIR"):
        LiveEngine(tmp_path / "absent", tmp_path / "index", FakeEmbedder)


def test_without_a_model_keywords_go_on_and_say_why(make_live: MakeLive) -> None:
    def unavailable() -> Embedder:
        raise ModelUnavailable("le modèle manque. Corrigez BIBLE_MODEL.")

    live = make_live(unavailable, watch=False)
    result = live.engine.match("Combien coûte un passeport ?")
    assert result.mode == "keywords"
    assert result.degraded is not None
    assert "BIBLE_MODEL" in result.degraded
    assert result.matches[0].slug == "passeport"


@pytest.mark.parametrize(
    "error", [FileNotFoundError("No path was found."), OSError(28, "OS file watch limit reached"), RuntimeError("rust")]
)
def test_where_nothing_can_be_watched_the_folder_is_read_now_and_then(
    town: Path, make_live: MakeLive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("search.live.watch", fail)
    live = make_live()
    assert eventually(lambda: "cannot be watched" in caplog.text)
    (town / BIN).write_text(article_text("Le composteur de jardin"), encoding="utf-8")
    assert eventually(lambda: searched(live, "composteur") == {"bac-jaune"})


# ---- the thread ----
def test_stopping_ends_the_watch_and_may_be_repeated(town: Path, make_live: MakeLive) -> None:
    live = make_live()
    live.start()
    assert [thread.name for thread in threading.enumerate()].count("bible-watch") == 1, "started once"
    live.stop()
    live.stop()
    assert "bible-watch" not in [thread.name for thread in threading.enumerate()]
    (town / BIN).write_text(article_text("Le composteur de jardin"), encoding="utf-8")
    time.sleep(0.3)
    assert searched(live, "composteur") == set()


def test_a_change_between_loading_and_watching_is_not_missed(town: Path, make_live: MakeLive) -> None:
    live = make_live(watch=False)
    (town / BIN).write_text(article_text("Le composteur de jardin"), encoding="utf-8")
    live.start()
    assert eventually(lambda: searched(live, "composteur") == {"bac-jaune"})
