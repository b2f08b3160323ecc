"""The content repository: made whole or not at all, and the history of an article as git itself tells it."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest

from kb import git_store
from kb.errors import StoreError
from kb.git_store import GitStore, ensure_repository
from kb.library import Library
from tests.kb.conftest import Content

CARD = "articles/etat-civil/carte-identite.md"


# ---- the first start ----
def test_a_missing_folder_becomes_a_repository_of_the_sample(content: Content, tmp_path: Path) -> None:
    target = tmp_path / "var" / "kb"
    assert ensure_repository(target, content.root) is True
    assert set(Library.load(target).articles) == set(Library.load(content.root).articles)
    repository = pygit2.Repository(str(target))
    assert repository.head.shorthand == "main"
    assert repository.status() == {}, "everything is committed"
    assert [len(commit.parents) for commit in repository.walk(repository.head.target)] == [0]
    assert list(target.parent.iterdir()) == [target], "nothing is left beside"


def test_code_beside_the_sample_does_not_come_along(content: Content, tmp_path: Path) -> None:
    content.write("article.py", "import os\n")
    content.write("__pycache__/article.pyc", b"\0")
    ensure_repository(tmp_path / "new", content.root)
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {".git", "articles", "organisation.yml", "services.yml", "channels.yml", "synonyms.yml"}


def test_it_is_made_once(content: Content, tmp_path: Path) -> None:
    target = tmp_path / "made"
    ensure_repository(target, content.root)
    head = pygit2.Repository(str(target)).head.target
    (target / CARD).write_text("---\ntitle: Changé\n---\n", encoding="utf-8")
    assert ensure_repository(target, content.root) is False
    assert pygit2.Repository(str(target)).head.target == head
    assert "Changé" in (target / CARD).read_text(encoding="utf-8")


def test_an_empty_folder_is_filled_and_any_other_left_alone(content: Content, tmp_path: Path) -> None:
    empty, mine = tmp_path / "empty", tmp_path / "mine"
    empty.mkdir()
    mine.mkdir()
    (mine / "notes.txt").write_text("à moi", encoding="utf-8")
    assert ensure_repository(empty, content.root) is True
    assert ensure_repository(mine, content.root) is False
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


def _ensure(target: Path, sample: Path, start: Any, results: Any) -> None:
    start.wait()
    try:
        results.put(ensure_repository(target, sample))
    except BaseException as error:
        results.put(repr(error))


def test_workers_that_start_together_make_one_repository(content: Content, tmp_path: Path) -> None:
    for number in range(200):
        content.write(f"articles/dechets/fiche-{number}.md", f"---\ntitle: Fiche {number}\n---\nTexte.\n")
    target = tmp_path / "var" / "kb"
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(3), context.Queue()
    workers = [context.Process(target=_ensure, args=(target, content.root, start, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    made = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(timeout=60)
    assert sorted(made, key=str) == [False, False, True]
    repository = pygit2.Repository(str(target))
    assert repository.status() == {}
    assert len(list(repository.walk(repository.head.target))) == 1
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("name", ["create_commit", "rename"])
def test_what_cannot_be_finished_is_cleaned_up(content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(git_store.Path if name == "rename" else pygit2.Repository, name, fail)
    with pytest.raises(StoreError, match="BIBLE_KB_DIR"):
        ensure_repository(tmp_path / "var" / "kb", content.root)
    assert list((tmp_path / "var").iterdir()) == []
    monkeypatch.undo()
    assert ensure_repository(tmp_path / "var" / "kb", content.root) is True


def test_what_a_killed_start_left_does_not_hinder_the_next(content: Content, tmp_path: Path) -> None:
    leftover = tmp_path / "var" / f".kb-{os.getpid()}"
    (leftover / ".git").mkdir(parents=True)
    (leftover / "articles").mkdir()
    assert ensure_repository(tmp_path / "var" / "kb", content.root) is True
    assert not leftover.exists()
    assert set(Library.load(tmp_path / "var" / "kb").articles) == {"passeport", "carte-identite"}


def test_a_file_in_the_way_is_said_and_kept(content: Content, tmp_path: Path) -> None:
    (tmp_path / "kb-file").write_text("à moi", encoding="utf-8")
    with pytest.raises(StoreError, match="kb-file"):
        ensure_repository(tmp_path / "kb-file", content.root)
    assert (tmp_path / "kb-file").read_text(encoding="utf-8") == "à moi"
    assert not list(tmp_path.glob(".kb-file*"))


# ---- history ----
class Repository:
    """A real repository, driven by git itself."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *arguments: str, **environment: str) -> str:
        names = {"GIT_AUTHOR_NAME": "Aline", "GIT_AUTHOR_EMAIL": "aline@ville.example", "GIT_COMMITTER_NAME": "Outil"}
        names |= {"GIT_COMMITTER_EMAIL": "outil@ville.example", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.run(
            ["git", *arguments], cwd=self.root, env=os.environ | names | environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, summary: str, files: dict[str, str | None] | None = None, **environment: str) -> str:
        """Write files (``None`` deletes one) and commit everything; returns the commit's id."""
        for relative, text in (files or {}).items():
            path = self.root / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if text is None else path.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--allow-empty-message", "--message", summary, **environment)
        return self.git("rev-parse", "HEAD")

    def history(self, path: str = "articles/a/un.md", **options: int) -> list[str]:
        return [revision.summary for revision in GitStore(self.root).history(path, **options)]


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    root = tmp_path / "repository"
    root.mkdir()
    yield Repository(root)
    shutil.rmtree(root)


UN, DEUX = "articles/a/un.md", "articles/a/deux.md"


def test_history_lists_the_commits_that_changed_the_article_newest_first(repository: Repository) -> None:
    first = repository.commit("Création", {UN: "1", DEUX: "1"})
    repository.commit("L'autre", {DEUX: "2"})
    repository.commit("Rien")
    second = repository.commit("Correction\n\nLe détail.", {UN: "2"})
    repository.commit("Retrait", {UN: None})
    assert repository.history(UN) == ["Retrait", "Correction", "Création"]
    assert repository.history(DEUX) == ["L'autre", "Création"]
    assert [revision.id for revision in GitStore(repository.root).history(UN)][1:] == [second, first]
    assert repository.history(UN) == repository.git("log", "--format=%s", "--", UN).split("\n")


def test_a_revision_has_the_real_author_and_the_hour_of_his_clock(repository: Repository) -> None:
    repository.commit("Création", {UN: "1"}, GIT_AUTHOR_NAME="Zoé Müller", GIT_AUTHOR_DATE="2026-03-29T01:30:00+0530")
    [revision] = GitStore(repository.root).history(UN)
    assert revision.author == "Zoé Müller"
    assert revision.when.isoformat() == "2026-03-29T01:30:00+05:30"
    assert revision.when == dt.datetime(2026, 3, 28, 20, 0, tzinfo=dt.UTC)


def test_a_limit_keeps_the_newest(repository: Repository) -> None:
    for number in range(6):
        repository.commit(f"Version {number}", {UN: str(number)}, GIT_COMMITTER_DATE=f"2026-01-0{number + 1}T10:00:00Z")
    assert repository.history(limit=2) == ["Version 5", "Version 4"]


def test_a_merge_is_the_publication_of_what_it_brought(repository: Repository) -> None:
    repository.commit("Création", {UN: "1\n", DEUX: "1\n"}, GIT_COMMITTER_DATE="2026-01-01T10:00:00Z")
    repository.git("switch", "--quiet", "--create", "proposition")
    repository.commit("Proposition", {UN: "1\n2\n"}, GIT_COMMITTER_DATE="2026-01-02T10:00:00Z")
    repository.git("switch", "--quiet", "main")
    repository.commit("Entre-temps", {DEUX: "2\n"}, GIT_COMMITTER_DATE="2026-01-03T10:00:00Z")
    repository.git("merge", "--quiet", "--no-ff", "--message", "Fusion", "proposition", GIT_COMMITTER_DATE="2026-01-04T10:00:00Z")
    assert repository.history(UN) == ["Fusion", "Création"], "the draft was never live"
    assert repository.history(DEUX) == ["Entre-temps", "Création"]


def test_a_merge_that_settled_a_conflict_is_a_change(repository: Repository) -> None:
    repository.commit("Création", {UN: "1\n"}, GIT_COMMITTER_DATE="2026-01-01T10:00:00Z")
    repository.git("switch", "--quiet", "--create", "proposition")
    repository.commit("Proposition", {UN: "2\n"}, GIT_COMMITTER_DATE="2026-01-02T10:00:00Z")
    repository.git("switch", "--quiet", "main")
    repository.commit("Entre-temps", {UN: "3\n"}, GIT_COMMITTER_DATE="2026-01-03T10:00:00Z")
    repository.git("merge", "--quiet", "--no-commit", "--strategy", "ours", "proposition")
    repository.commit("Fusion", {UN: "2 et 3\n"}, GIT_COMMITTER_DATE="2026-01-04T10:00:00Z")
    assert repository.history(UN) == ["Fusion", "Entre-temps", "Création"]


def test_a_rename_elsewhere_is_not_a_change_here(repository: Repository) -> None:
    repository.commit("Création", {UN: "même texte", DEUX: "autre texte"})
    repository.git("mv", DEUX, "articles/a/trois.md")
    repository.commit("Renommage")
    assert repository.history(UN) == ["Création"]
    assert repository.history("articles/a/trois.md") == ["Renommage"]
    assert repository.history(DEUX) == ["Renommage", "Création"]


def test_an_article_that_came_back_has_its_whole_history(repository: Repository) -> None:
    repository.commit("Création", {UN: "1"}, GIT_COMMITTER_DATE="2026-01-01T10:00:00Z")
    repository.commit("Retrait", {UN: None}, GIT_COMMITTER_DATE="2026-01-02T10:00:00Z")
    repository.commit("Retour", {UN: "1"}, GIT_COMMITTER_DATE="2026-01-03T10:00:00Z")
    assert repository.history() == ["Retour", "Retrait", "Création"]


@pytest.mark.parametrize("path", ["articles/a/absent.md", "articles/a/un.md/encore", "../un.md", "/etc/passwd", ".git/config", ""])
def test_what_is_not_there_has_no_history(repository: Repository, path: str) -> None:
    repository.commit("Création", {UN: "1"})
    assert repository.history(path) == []


def test_old_commits_in_another_encoding_are_listed(repository: Repository) -> None:
    repository.commit("Création", {UN: "1"})
    tree = repository.git("rev-parse", "HEAD^{tree}")
    parent = repository.git("rev-parse", "HEAD")
    (repository.root / UN).write_text("2", encoding="utf-8")
    repository.git("add", "--all")
    tree = repository.git("write-tree")
    who = "Zo\xe9 <zoe@ville.example> 1767225600 +0100"
    raw = f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nCorrig\xe9\n".encode("latin-1")
    made = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"], cwd=repository.root, input=raw, check=True, capture_output=True
    ).stdout.decode()
    repository.git("update-ref", "HEAD", made.strip())
    newest, oldest = GitStore(repository.root).history(UN)
    assert newest.summary.startswith("Corrig")
    assert newest.author.startswith("Zo")
    assert oldest.summary == "Création"


def test_a_folder_that_is_not_a_repository_has_no_history(content: Content) -> None:
    assert GitStore(content.root).history(CARD) == []
    assert GitStore(content.root / "absent").history(CARD) == []


def test_the_repository_of_a_parent_folder_is_not_taken_for_the_content(repository: Repository) -> None:
    repository.commit("Code", {"kb/" + UN: "1", UN: "1"})
    assert GitStore(repository.root / "kb").history(UN) == []


def test_a_repository_without_a_commit_has_no_history(repository: Repository) -> None:
    assert repository.history() == []


def test_a_damaged_repository_says_so(repository: Repository) -> None:
    repository.commit("Création", {UN: "1"})
    repository.commit("Suite", {UN: "2"})
    parent = repository.git("rev-parse", "HEAD~1")
    (repository.root / ".git" / "objects" / parent[:2] / parent[2:]).unlink()
    with pytest.raises(StoreError, match="git fsck"):
        GitStore(repository.root).history(UN)


def test_loose_objects_are_packed_and_nothing_is_lost(repository: Repository) -> None:
    repository.commit("Création", {UN: "1"})
    before = GitStore(repository.root).history(UN)
    repository.git("config", "gc.auto", "1")
    # git guesses how many objects are loose from those of one folder.
    telling = [text for text in (f"{number}" for number in range(5_000)) if str(pygit2.hash(text)).startswith("17")]
    for text in telling[:3]:
        pygit2.Repository(str(repository.root)).create_blob(text.encode())
    assert repository.git("count-objects", "-v").split("\n")[2] == "in-pack: 0"
    GitStore(repository.root).tidy()
    assert repository.git("count-objects", "-v").split("\n")[2] != "in-pack: 0"
    assert GitStore(repository.root).history(UN) == before
    assert GitStore(repository.root).read(UN) == "1"
