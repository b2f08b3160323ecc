"""What the live text went through: publications and their day, never a draft; followed under older names; read once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from kb import live_log
from kb.article import Article
from kb.errors import StoreError
from kb.git_store import GitStore, Person, ensure_repository
from kb.live_log import LiveLog
from kb.proposals import Proposals

ANNE = Person("Anne Petit", "anne@ville.example")
BIN = "articles/dechets/bac.md"


def text(body: str, title: str = "Le bac", **front: str) -> str:
    extra = "".join(f"{key}: {value}\n" for key, value in front.items())
    return f"---\ntitle: {title}\n{extra}---\n{body}\n"


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    """A repository with one article, in one commit."""
    (tmp_path / "sample" / "articles" / "dechets").mkdir(parents=True)
    (tmp_path / "sample" / BIN).write_text(text("Un."), encoding="utf-8")
    ensure_repository(tmp_path / "kb", tmp_path / "sample")
    return GitStore(tmp_path / "kb")


def bodies(log: LiveLog, store: GitStore, path: str = BIN) -> list[tuple[str | None, str | None]]:
    now = Article.parse(store.read(path), path)
    return [(step.before and step.before.lead, step.after and step.after.lead) for step in log.steps(now)]


def test_each_publication_is_a_step_newest_first(store: GitStore) -> None:
    store.publish({BIN: text("Deux.")}, ANNE, "Corriger")
    store.publish({"services.yml": "dechets: {name: Propreté}\n"}, ANNE, "Autre chose")
    store.publish({BIN: text("Trois.")}, ANNE, "Corriger encore")
    log = LiveLog(store)
    assert bodies(log, store) == [("Deux.", "Trois."), ("Un.", "Deux."), (None, "Un.")]
    assert [publication.paths for publication in log.publications()] == [(BIN,), (), (BIN,), (BIN,)]
    when = log.last_change(BIN)
    assert when is not None
    assert abs(dt.datetime.now(dt.UTC) - when) < dt.timedelta(minutes=5)
    assert log.last_change("articles/dechets/autre.md") is None


def test_a_draft_never_shows(store: GitStore) -> None:
    proposals = Proposals(store)
    proposals.propose("abandonnee", {BIN: text("Secret.")}, ANNE, "Essai")
    first = proposals.propose("retenue", {BIN: text("Brouillon.")}, ANNE, "Essai")
    tip = proposals.amend("retenue", first.tip, {BIN: text("Bon.")}, ANNE, "Mieux").tip
    log = LiveLog(store)
    assert bodies(log, store) == [(None, "Un.")]
    proposals.accept("retenue", tip, ANNE, "Publier")
    assert bodies(log, store) == [("Un.", "Bon."), (None, "Un.")]


def test_a_move_and_a_new_name_are_followed(store: GitStore) -> None:
    store.publish({BIN: None, "articles/voirie/bac.md": text("Un.")}, ANNE, "Changer de service")
    store.publish({"articles/voirie/bac.md": text("Deux.")}, ANNE, "Corriger")
    new = "articles/voirie/conteneur.md"
    store.publish({"articles/voirie/bac.md": None, new: text("Deux.", aliases="[bac]")}, ANNE, "Renommer")
    assert bodies(LiveLog(store), store, new) == [("Deux.", "Deux."), ("Un.", "Deux."), ("Un.", "Un."), (None, "Un.")]
    assert {version and version.lead for version in LiveLog(store).versions_named("bac")} == {None, "Un.", "Deux."}


def test_a_name_that_was_taken_by_another_article_is_not_followed(store: GitStore) -> None:
    """An article that goes in the same publication is no ancestor of one that comes, unless it says so."""
    other = "articles/dechets/autre.md"
    store.publish({BIN: None, other: text("Autre.")}, ANNE, "Remplacer")
    assert bodies(LiveLog(store), store, other) == [(None, "Autre.")]


def test_a_text_that_was_no_article_is_none(store: GitStore) -> None:
    store.publish({BIN: "pas un article"}, ANNE, "Casser")
    store.publish({BIN: text("Deux.")}, ANNE, "Réparer")
    assert bodies(LiveLog(store), store) == [(None, "Deux."), ("Un.", None), (None, "Un.")]


def test_what_was_read_is_not_read_again(store: GitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LiveLog(store)
    for number in range(5):
        store.publish({BIN: text(f"Version {number}.")}, ANNE, "Corriger")
    assert len(log.publications()) == 6
    compared = []
    real = live_log.changed_paths
    monkeypatch.setattr(live_log, "changed_paths", lambda *these: compared.append(1) or real(*these))
    store.publish({BIN: text("Nouvelle.")}, ANNE, "Corriger")
    assert len(log.publications()) == 7
    assert len(log.publications()) == 7
    assert len(compared) == 1
    assert bodies(log, store)[0] == ("Version 4.", "Nouvelle.")


def test_a_branch_that_was_rewritten_is_read_anew(store: GitStore) -> None:
    log = LiveLog(store)
    first = store.head()
    store.publish({BIN: text("Deux.")}, ANNE, "Corriger")
    assert len(log.publications()) == 2
    repository = store.repository()
    repository.reset(repository[first].id, 3)  # hard
    store.publish({BIN: text("Autrement.")}, ANNE, "Corriger")
    assert bodies(log, store) == [("Un.", "Autrement."), (None, "Un.")]


def test_a_folder_without_git_has_an_empty_log(tmp_path: Path) -> None:
    log = LiveLog(GitStore(tmp_path))
    assert log.publications() == ()
    assert list(log.steps(Article.parse(text("Un."), BIN))) == []


def test_a_damaged_repository_is_reported(store: GitStore) -> None:
    store.publish({BIN: text("Deux.")}, ANNE, "Corriger")
    commit = store.repository()[store.head()].parents[0].tree.id  # type: ignore[union-attr]
    name = str(commit)
    (store.folder / ".git" / "objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(StoreError):
        LiveLog(store).publications()
