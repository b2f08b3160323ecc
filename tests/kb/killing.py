"""Kill a process at lines all along a save, a rename, a proposal and a merge, then look at what is left.

Run by ``test_kills.py``.

Each round forks a child that does one operation and dies by SIGKILL: at the n-th line of ours that it runs or, in a second part, at a
random time, which may be inside git's own code. The parent then reads the folder as the next start does.

Prints one JSON object: how many children were killed, how many operations finished, and what was wrong.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pygit2

from kb import git_store
from kb.git_store import GitStore, Person, ensure_repository
from kb.library import Library
from kb.proposals import Proposals

ZOE, ALI = Person("Zoé", "zoe@ville.example"), Person("Ali", "ali@ville.example")
A, B, MOVED = "articles/dechets/bac.md", "articles/dechets/verre.md", "articles/dechets/bac-jaune.md"
STEP = 5
OURS = ("kb/git_store.py", "kb/proposals.py")


def article(title: str, words: str, aliases: str = "") -> str:
    return f"---\ntitle: {title}\n{aliases}---\n{words}\n"


class Killing:
    """A content repository, and what a killed child may leave of it."""

    def __init__(self, root: Path, offset: int) -> None:
        self.offset = offset % STEP
        sample = root / "sample"
        (sample / "articles/dechets").mkdir(parents=True)
        (sample / A).write_text(article("Le bac", "un"), encoding="utf-8")
        (sample / B).write_text(article("Le verre", "un"), encoding="utf-8")
        self.folder = root / "kb"
        ensure_repository(self.folder, sample)
        self.store = GitStore(self.folder)
        self.proposals = Proposals(self.store)
        self.killed = self.finished = self.serial = 0
        self.wrong: list[str] = []

    # ---- what children do ----
    def save(self) -> None:
        words = f"{self.serial}"
        self.store.publish({A: article("Le bac", words), B: article("Le verre", words)}, ZOE, f"Les deux : {words}")

    def rename(self) -> None:
        here, there = (A, MOVED) if (self.folder / A).exists() else (MOVED, A)
        self.store.publish({here: None, there: article("Le bac", f"{self.serial}", f"aliases: [{Path(here).stem}]\n")}, ALI, "Renomme")

    def propose(self) -> None:
        self.proposals.propose(f"verre-{self.serial}", {B: article("Le verre", f"{self.serial}")}, ZOE, "Propose")

    def accept(self) -> None:
        self.proposals.accept(self.branch.name, self.branch.tip, ALI, f"Publie {self.serial}")

    def before_accept(self) -> None:
        """A proposal that is to be merged: the live text moves meanwhile."""
        self.store.publish({A: article("Le bac", "départ"), B: article("Le verre", "départ")}, ZOE, "Départ")
        self.branch = self.proposals.propose(f"merge-{self.serial}", {A: article("Le bac", f"{self.serial}")}, ZOE, "Propose")
        self.store.publish({B: article("Le verre", f"live {self.serial}")}, ALI, "Entre-temps")

    # ---- killing ----
    def along_the_lines(self, action: Callable[[], None], prepare: Callable[[], None] = lambda: None) -> None:
        """Kill the action at one line, then further and further until it gets to its end."""
        for line in range(1 + self.offset, 2000, STEP):
            if self.once(action, prepare, at_line=line):
                return
        self.wrong.append(f"{action.__name__} never ends")

    def once(self, action: Callable[[], None], prepare: Callable[[], None], at_line: int = 0, after_seconds: float = 0) -> bool:
        """Run an action in a child that is killed; say whether it ended first."""
        self.serial += 1
        prepare()
        before = self.picture()
        child = os.fork()
        if child == 0:
            if at_line:
                die_at(at_line)
            action()
            os._exit(0)
        if after_seconds:
            time.sleep(after_seconds)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        ended = status == 0
        self.killed += not ended
        self.finished += ended
        self.look(action.__name__, before, at_line, ended)
        return ended

    def picture(self) -> dict[str, str]:
        Library.load(self.folder)  # what every start does first
        return {str(path.relative_to(self.folder)): path.read_text(encoding="utf-8") for path in (self.folder / "articles").rglob("*.md")}

    def look(self, name: str, before: dict[str, str], line: int, ended: bool) -> None:
        place = f"{name}, line {line}"
        try:
            after = self.picture()
        except Exception as error:  # whatever it is, it is what the test is about
            self.wrong.append(f"{place}: cannot start: {error!r}")
            return
        if name == "propose" and after != before:
            self.wrong.append(f"{place}: a proposal moved the live text")
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        whole = {"save": 2, "rename": 2, "propose": 0, "accept": 1}[name]
        if len(changed) not in (0, whole) or (ended and len(changed) != whole):
            self.wrong.append(f"{place}: half a change is live: {sorted(changed)}")
        status = git(self.folder, "status", "--porcelain")
        if status:
            self.wrong.append(f"{place}: files and branch differ: {status!r}")
        left = [path.name for path in (self.folder / ".git").iterdir() if path.name.startswith("bible-")]
        if left:
            self.wrong.append(f"{place}: {left} is left")
        if name == "accept" and not changed and f"merge-{self.serial}" not in {one.name for one in self.proposals.open_branches()}:
            self.wrong.append(f"{place}: a proposal is lost")

    def check_history(self) -> None:
        """What git itself says of the repository, and whether every text that went live is still in the history."""
        fsck = subprocess.run(
            ["git", "fsck", "--full", "--strict", "--no-dangling"], cwd=self.folder, capture_output=True, text=True, check=False
        )
        if fsck.returncode or "error" in fsck.stderr:
            self.wrong.append(f"git fsck: {fsck.stdout}{fsck.stderr}")


def die_at(line: int) -> None:
    """Kill this process at the n-th line of ours that it runs."""
    left = line

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(OURS):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def main() -> None:
    seed = int(sys.argv[2])
    # Nothing pulls the plug here: what a process wrote before it died is in the system's hands, and fsync only takes time.
    pygit2.settings.enable_fsync_gitdir(False)
    git_store.os.fsync = lambda _: None  # type: ignore[attr-defined]
    killing = Killing(Path(sys.argv[1]), seed)
    killing.along_the_lines(killing.save)
    killing.along_the_lines(killing.rename)
    killing.along_the_lines(killing.propose)
    killing.along_the_lines(killing.accept, killing.before_accept)
    chance = random.Random(seed)
    for _ in range(60):
        name = chance.choice(["save", "rename", "propose", "accept"])
        prepare = killing.before_accept if name == "accept" else lambda: None
        killing.once(getattr(killing, name), prepare, after_seconds=chance.uniform(0.0005, 0.02))
    killing.check_history()
    print(json.dumps({"killed": killing.killed, "finished": killing.finished, "wrong": killing.wrong}))


if __name__ == "__main__":
    main()
