"""Faults under the content repository: a full disk, rights, locks, no repository at all. The live text stays and the message helps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest
from filelock import FileLock

from kb import git_store
from kb.errors import StoreError
from kb.git_store import GitStore
from kb.library import Library
from kb.proposals import Proposals
from tests.kb.bible import ALI, BAC, CARTE, ENVIRONMENT, VERRE, ZOE, Bible, text, unplugged
from webapp.settings import PROJECT

NEW = "articles/nouveau/caisse.md"


@pytest.fixture
def bible(tmp_path: Path) -> Iterator[Bible]:
    with unplugged():
        yield Bible(tmp_path / "kb", {BAC: text("Le bac", "un"), VERRE: text("Le verre", "un"), CARTE: text("La carte", "un")})


def save(bible: Bible) -> None:
    bible.store.publish({BAC: text("Le bac", "deux"), VERRE: None, NEW: text("Caisse")}, ZOE, "Change trois articles")


def propose(bible: Bible) -> None:
    bible.proposals.propose("autre", {BAC: text("Le bac", "deux")}, ZOE, "Propose")


def accept(bible: Bible) -> None:
    [branch] = bible.proposals.open_branches()
    bible.proposals.accept(branch.name, branch.tip, ALI, "Publie")


def adopt(bible: Bible) -> None:
    bible.store.committed(CARTE)


def prepare(bible: Bible, action: Callable[[Bible], None]) -> set[str]:
    """What must be there before the action; returns what may be live after it: the text before, and the text after."""
    if action is accept:
        bible.propose({BAC: text("Le bac", "deux"), VERRE: None, NEW: text("Caisse")})
        bible.publish(CARTE, text("La carte", "entre-temps"))
    if action is adopt:
        bible.write(CARTE, text("La carte", "à la main"))
    return set(bible.files().values())


class Full(OSError):
    def __init__(self) -> None:
        super().__init__(28, "No space left on device")


# Where our own code asks the system for something, and where git does it for us.
CALLS: dict[str, tuple[Any, str, type[Exception]]] = {
    "os.replace": (git_store.os, "replace", Full),
    "os.fsync": (git_store.os, "fsync", Full),
    "mkdir": (Path, "mkdir", Full),
    "open": (Path, "open", Full),
    "unlink": (Path, "unlink", Full),
    "blob": (pygit2.Repository, "create_blob", pygit2.GitError),
    "commit": (pygit2.Repository, "create_commit", pygit2.GitError),
    "live branch": (git_store.Writer, "_move_live", pygit2.GitError),
    "branch": (git_store.Writer, "set_branch", pygit2.GitError),
    "index": (pygit2.Index, "write", pygit2.GitError),
    "tree": (pygit2.Index, "write_tree", pygit2.GitError),
}


@pytest.mark.parametrize("action", [save, propose, accept, adopt])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_leaves_the_text_whole(bible: Bible, monkeypatch: pytest.MonkeyPatch, call: str, action: Any) -> None:
    """The n-th call fails and so do all that follow, for n = 1, 2, …; then there is space again."""
    owner, name, error = CALLS[call]
    prepare(bible, action)
    bible.git("tag", "depart")
    calls = getattr(owner, name)
    for allowed in range(40):
        before, head = bible.files(), bible.store.head()
        left = allowed
        failed = False

        def failing(*arguments: Any, **options: Any) -> Any:
            nonlocal left, failed
            if left == 0:
                failed = True
                raise error("No space left on device") if error is not Full else Full()
            left -= 1
            return calls(*arguments, **options)

        monkeypatch.setattr(owner, name, failing)
        raised = None
        try:
            action(bible)
        except StoreError as refused:
            raised = refused
        monkeypatch.setattr(owner, name, calls)
        if raised is not None:
            assert "l'espace" in str(raised)
            assert "droits" in str(raised)
        library = Library.load(bible.folder)  # what every start does first: it heals by itself
        assert library.problems == ()
        after = bible.files()
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        whole = {save: {BAC, VERRE, NEW}, accept: {BAC, VERRE, NEW}, propose: set(), adopt: set()}[action]
        assert changed in (set(), whole), f"call {allowed + 1}: half of it is live"
        if changed:
            assert bible.store.head() != head
        elif raised is not None and action in (save, accept):
            assert bible.store.head() == head
        if raised is not None and not changed:
            action(bible)  # it works again
        bible.store.committed(CARTE)
        bible.check()
        if not failed:
            assert raised is None
            return
        _again(bible, action)
    pytest.fail("it never ends")


def _again(bible: Bible, action: Any) -> None:
    """Back to where the action starts."""
    bible.git("reset", "--quiet", "--hard", "depart")
    for name in bible.references():
        if name.startswith(("refs/heads/proposals/", "refs/bible/")):
            bible.git("update-ref", "-d", name)
    bible.git("clean", "-fdq")
    if action is accept:
        bible.proposals.propose("p", {BAC: text("Le bac", "deux"), VERRE: None, NEW: text("Caisse")}, ZOE, "Corrige")
    if action is adopt:
        bible.write(CARTE, text("La carte", "à la main"))


FILL = """
import json, resource, signal, sys
from pathlib import Path
from kb.errors import StoreError
from kb.git_store import GitStore, Person
from kb.library import Library
folder, words = Path(sys.argv[1]), sys.stdin.read()
store = GitStore(folder)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in json.loads(sys.argv[2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    said = "live"
    try:
        store.publish({"articles/dechets/bac.md": words, "articles/dechets/verre.md": None}, Person("Z", "z@z"), "Gros")
    except StoreError as error:
        said = str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    print(json.dumps([said, sorted(Library.load(folder).articles), (folder / "articles/dechets/bac.md").read_text() == words]))
"""


def test_a_disk_that_takes_no_more_is_said_and_nothing_moves(bible: Bible) -> None:
    """The system itself refuses to write beyond some bytes, in git's code as in ours; then it does not any more."""
    words = text("Le bac", "\n".join(os.urandom(20).hex() for _ in range(60)))
    limits = [0, 20, 40, 80, 110, 200, 400, 1000, 2000, 1_000_000]
    run = subprocess.run(
        [sys.executable, "-c", FILL, str(bible.folder), json.dumps(limits)],
        cwd=PROJECT, input=words, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    *refused, last = map(json.loads, run.stdout.strip().split("\n"))
    assert len(refused) == len(limits) - 1
    for said, articles, is_new in refused:
        assert "Vérifiez" in said
        assert (articles, is_new) == (["bac", "carte", "verre"], False)
    assert last == ["live", ["bac", "carte"], True]
    bible.check()


READ_ONLY = """
import os, sys
from pathlib import Path
from kb.errors import StoreError
from kb.git_store import GitStore, Person
from kb.library import Library
from kb.proposals import Proposals
folder = Path(sys.argv[1])
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
store = GitStore(folder)
print(len(Library.load(folder).articles), len(store.history("articles/dechets/bac.md")), store.read("articles/dechets/bac.md") != "")
for action in (
    lambda: store.publish({"articles/dechets/bac.md": "x"}, Person("Z", "z@z"), "x"),
    lambda: Proposals(store).propose("p", {"articles/dechets/bac.md": "x"}, Person("Z", "z@z"), "x"),
    lambda: Proposals(store).close("p"),
):
    try:
        action()
    except StoreError as error:
        print(error)
"""


def _nobodys(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_repository_that_cannot_be_written_is_read_and_says_so() -> None:
    with tempfile.TemporaryDirectory() as open_to_all, unplugged():
        root = Path(open_to_all)
        root.chmod(0o755)
        bible = Bible(root / "kb", {BAC: text("Le bac", "un")})
        _nobodys(bible.folder)
        run = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(bible.folder)],
            cwd=PROJECT, env=os.environ | {"HOME": open_to_all}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        for path in (bible.folder, *bible.folder.rglob("*")):
            path.chmod(0o755)
    assert run.returncode == 0, run.stderr
    first, *refused = run.stdout.strip().split("\n")
    assert first == "1 1 True", "what is there is read"
    assert len(refused) == 3
    assert all("Vérifiez l'espace et les droits" in one for one in refused)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_repository_of_somebody_else_says_whose_it_must_be() -> None:
    with tempfile.TemporaryDirectory() as open_to_all, unplugged():
        root = Path(open_to_all)
        root.chmod(0o755)
        bible = Bible(root / "kb", {BAC: text("Le bac", "un")})
        run = subprocess.run(
            [sys.executable, "-c", READ_ONLY.replace("print(len(", "0 and print(len("), str(bible.folder)],
            cwd=PROJECT, env=os.environ | {"HOME": open_to_all}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("appartient au compte du service") == 3
    assert "git init" not in run.stdout


# ---- locks ----
@pytest.mark.parametrize("action", [save, propose, accept, adopt])
def test_a_stale_lock_of_somebody_s_git_delays_its_index_and_nothing_else(bible: Bible, action: Any) -> None:
    prepare(bible, action)
    lock = bible.folder / ".git" / "index.lock"
    lock.touch()
    action(bible)
    if action is not propose:
        path = CARTE if action is adopt else BAC
        assert bible.read(path) == bible.show("HEAD", path)
    assert set(Library.load(bible.folder).articles) == {one.stem for one in bible.folder.glob("articles/*/*.md")}
    assert lock.exists() == (action is propose)
    lock.unlink(missing_ok=True)
    bible.check()


def test_a_lock_on_the_branch_stops_the_publication_whole(bible: Bible) -> None:
    before = bible.picture()
    lock = bible.folder / ".git/refs/heads/main.lock"
    lock.touch()
    with pytest.raises(StoreError, match="Vérifiez"):
        save(bible)
    lock.unlink(missing_ok=True)
    assert bible.picture() == before
    save(bible)
    bible.check()


HOLD = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_another_process_keeps_is_said_in_time(bible: Bible, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_store, "_LOCK_SECONDS", 0.05)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(bible.folder / ".git" / "bible.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        before = bible.picture()
        for action in (save, propose, lambda one: Library.load(one.folder)):
            with pytest.raises(StoreError, match="dure trop longtemps"):
                action(bible)
        assert bible.store.history(BAC), "what needs no lock goes on"
        assert bible.picture() == before
    finally:
        holder.communicate("")
    save(bible)
    bible.check()


def test_an_object_that_is_missing_is_said(bible: Bible) -> None:
    blob = bible.git("rev-parse", f"HEAD:{BAC}")
    branch = bible.propose({BAC: text("Le bac", "deux")})
    (bible.folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    for action in (
        lambda: bible.store.read(BAC),
        lambda: bible.proposals.merge(branch.tip),
        lambda: bible.proposals.file_changes(branch.base, branch.tip),
        lambda: accept(bible),
    ):
        with pytest.raises(StoreError, match=r"git fsck|n'a pas pu"):
            action()
    assert bible.read(BAC) == text("Le bac", "un")


def test_the_lock_of_a_dead_process_hinders_nobody(bible: Bible) -> None:
    lock = bible.folder / ".git" / "bible.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate()
    save(bible)
    bible.check()


def test_one_thread_may_enter_again(bible: Bible) -> None:
    with git_store.settled(bible.folder), git_store.settled(bible.folder):
        save(bible)
        assert "caisse" in Library.load(bible.folder).articles
    bible.check()
    with FileLock(bible.folder / ".git" / "bible.lock", timeout=1):
        pass


# ---- repositories that are none ----
def bare(folder: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=folder, env=os.environ | ENVIRONMENT, check=True)


def detached(folder: Path) -> None:
    bare(folder)
    for arguments in (["add", "."], ["commit", "--quiet", "-m", "Un"], ["checkout", "--quiet", "--detach"]):
        subprocess.run(["git", *arguments], cwd=folder, env=os.environ | ENVIRONMENT, check=True)


def broken(folder: Path) -> None:
    bare(folder)
    (folder / ".git" / "HEAD").write_text("rien\n", encoding="utf-8")


@pytest.mark.parametrize(
    "make, message",
    [(lambda _: None, "git init"), (bare, "git switch"), (detached, "git switch"), (broken, "git fsck")],
    ids=["plain", "unborn", "detached", "broken"],
)
def test_a_folder_without_a_live_branch_is_read_and_says_what_to_do(tmp_path: Path, make: Any, message: str) -> None:
    folder = tmp_path / "kb"
    (folder / "articles/dechets").mkdir(parents=True)
    (folder / BAC).write_text(text("Le bac", "un"), encoding="utf-8")
    make(folder)
    bible = Bible.__new__(Bible)
    bible.folder, bible.store = folder, GitStore(folder)
    bible.proposals = Proposals(bible.store)
    assert set(Library.load(folder).articles) == {"bac"}
    assert not bible.store.is_repository
    for action in (
        bible.store.head,
        lambda: bible.store.read(BAC),
        lambda: bible.store.revision("0" * 40),
        lambda: bible.store.committed(BAC),
        lambda: bible.publish(BAC, "x"),
        lambda: bible.propose({BAC: "x"}),
        lambda: bible.proposals.accept("p", "0" * 40, ALI, "x"),
        lambda: bible.proposals.close("p"),
        bible.proposals.open_branches,
        lambda: bible.proposals.is_live("0" * 40),
        lambda: bible.proposals.adopt_commit("0" * 40, ALI, "x"),
    ):
        with pytest.raises(StoreError, match=message):
            action()
    assert bible.read(BAC) == text("Le bac", "un")
