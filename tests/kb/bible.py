"""A content repository for tests, driven from outside by git itself: its command line is the judge of what our code did."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pygit2

from kb import git_store
from kb.git_store import GitStore, Person, ensure_repository
from kb.library import Library
from kb.proposals import Branch, Proposals

ZOE, ALI, EVE = Person("Zoé Müller", "zoe@ville.example"), Person("Ali", "ali@ville.example"), Person("Ève", "eve@ville.example")
BAC, VERRE, CARTE = "articles/dechets/bac.md", "articles/dechets/verre.md", "articles/etat-civil/carte.md"
ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "Aline",
    "GIT_AUTHOR_EMAIL": "aline@ville.example",
    "GIT_COMMITTER_NAME": "Outil",
    "GIT_COMMITTER_EMAIL": "outil@ville.example",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",  # a look at the state is no change of it
}


def text(title: str = "Le bac jaune", body: str = "Sortez-le le lundi.", **keys: str) -> str:
    """The file of an article; ``keys`` are more lines of its front matter."""
    front = "".join(f"{key}: {value}\n" for key, value in keys.items())
    return f"---\ntitle: {title}\n{front}---\n{body}\n"


class Bible:
    """A content repository, and git's own view of it."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.folder = folder
        sample = folder.with_name(f"{folder.name}-sample")
        for path, words in files.items():
            (sample / path).parent.mkdir(parents=True, exist_ok=True)
            (sample / path).write_text(words, encoding="utf-8")
        ensure_repository(folder, sample)
        self.store = GitStore(folder)
        self.proposals = Proposals(self.store)

    # ---- git itself ----
    def run(self, *arguments: str, stdin: bytes = b"", check: bool = True, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, env=os.environ | ENVIRONMENT | environment, input=stdin, capture_output=True, check=check
        )

    def git(self, *arguments: str, stdin: bytes = b"", **environment: str) -> str:
        return self.run(*arguments, stdin=stdin, **environment).stdout.decode().rstrip("\n")

    def show(self, revision: str, path: str) -> str | None:
        """The text of a file in a commit, as git gives it."""
        shown = self.run("cat-file", "blob", f"{revision}:{path}", check=False)
        return shown.stdout.decode() if shown.returncode == 0 else None

    def references(self) -> dict[str, str]:
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ") for line in lines)

    def foreign(self, base: str, files: Mapping[str, bytes | str | None], mode: str = "100644", name: str = "forge") -> str:
        """A commit made elsewhere, on a branch beside: no file of the folder moves."""
        index = str(self.folder / ".git" / "foreign-index")
        self.git("read-tree", base, GIT_INDEX_FILE=index)
        for path, content in files.items():
            if content is None:
                self.git("update-index", "--force-remove", path, GIT_INDEX_FILE=index)
                continue
            raw = content if isinstance(content, bytes) else content.encode()
            blob = self.git("hash-object", "-w", "--stdin", stdin=raw)
            self.git("update-index", "--add", "--replace", "--cacheinfo", f"{mode},{blob},{path}", GIT_INDEX_FILE=index)
        tree = self.git("write-tree", GIT_INDEX_FILE=index)
        Path(index).unlink()
        commit = self.git("commit-tree", tree, "-p", base, "-m", "Depuis la forge")
        self.git("update-ref", f"refs/remotes/forge/{name}", commit)
        return commit

    # ---- short ways ----
    def write(self, path: str, words: str) -> None:
        """Edit a file by hand."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(words, encoding="utf-8")

    def read(self, path: str) -> str | None:
        target = self.folder / path
        return target.read_bytes().decode() if target.is_file() else None

    def files(self) -> dict[str, str]:
        """Every file that people see, with its text."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {str(path.relative_to(self.folder)): path.read_bytes().decode() for path in found}

    def publish(self, path: str, words: str | None, message: str = "Entre-temps") -> str:
        return self.store.publish({path: words}, ALI, message)

    def propose(self, changes: Mapping[str, str | None], name: str = "p", base: str | None = None) -> Branch:
        return self.proposals.propose(name, changes, ZOE, "Corrige", base)

    def accept(self, branch: Branch) -> str:
        return self.proposals.accept(branch.name, branch.tip, ALI, "Publie")

    # ---- what always holds ----
    def picture(self) -> tuple[dict[str, str], dict[str, str], str]:
        """Files, references and state: what an operation that is refused leaves as it was."""
        return self.files(), self.references(), self.git("status", "--porcelain")

    def check(self) -> None:
        """What holds after any operation."""
        assert self.git("status", "--porcelain") == "", "files, index and live branch are the same"
        fsck = self.run("fsck", "--full", "--strict", "--no-dangling", check=False)
        assert fsck.returncode == 0, fsck.stdout + fsck.stderr
        assert [path.name for path in (self.folder / ".git").glob("bible-*")] in ([], ["bible.lock"]), "nothing is left undone"
        assert Library.load(self.folder).problems == ()


@contextmanager
def unplugged() -> Iterator[None]:
    """Nothing pulls the plug in these tests: without fsync they are ten times as quick."""
    fsync = git_store.os.fsync
    pygit2.settings.enable_fsync_gitdir(False)
    git_store.os.fsync = lambda _: None  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        pygit2.settings.enable_fsync_gitdir(True)
        git_store.os.fsync = fsync  # type: ignore[misc]
