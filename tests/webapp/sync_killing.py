"""Kill a pass of the synchronisation at lines all along it and at random times, each time with something to do for every step.

Run by ``test_sync.py`` with the settings in JSON, of a forge that answers. A killed child is followed by another, killed further, until
one gets to its end. Prints one JSON object: how many were killed, what was wrong, the last text and the proposals that wait.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pygit2

from kb.library import Library
from tests.conftest import FakeModelSettings
from tests.webapp.forge_house import House
from webapp import create_app, sync

OURS = ("webapp/sync.py", "webapp/proposals/service.py", "kb/proposals.py", "kb/git_store.py", "kb/remote.py", "kb/forges/base.py")
STEP = 101


def die_at(line: int) -> None:
    """Kill this process at the n-th line of ours that it runs."""
    left = line

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(OURS):
            return None
        if event == "line":
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def ended(house: House, at_line: int = 0, after_seconds: float = 0) -> bool:
    """Make a pass in a child that is killed; say whether it ended first."""
    child = os.fork()
    if child == 0:
        house.app.extensions["database"].dispose(close=False)  # its connections are the parent's
        if at_line:
            die_at(at_line)
        with house.app.app_context():
            report = sync.synchronise()
        os._exit(0 if report is not None and not report.errors else 3)
    if after_seconds:
        time.sleep(after_seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if status not in (0, signal.SIGKILL):
        raise AssertionError(f"a pass failed at line {at_line}: {status}, {sync.last_report(house.app.extensions['bible'].settings)}")
    return status == 0


def main() -> None:
    pygit2.settings.enable_fsync_gitdir(False)
    os.fsync = lambda _: None  # type: ignore[assignment]
    given = json.loads(sys.argv[1])
    settings = FakeModelSettings(**given, model="none", watch=False, secret_key="for-tests-only")
    house = House(create_app(settings), Path(given["kb_dir"]))
    waiting, refused, wrong, killed, last = house.propose("verre"), 0, [], 0, ""

    def work(turn: int) -> None:
        nonlocal refused, last
        last = f"Tour {turn}."
        house.amend(waiting, f"Tour {turn}, amendé.")
        house.accept(house.propose("bac", last))
        if refused:
            house.decide(refused, "refused", f"Non {turn}.")
        refused = house.propose("carton", f"Tour {turn}.")

    def look(place: str) -> None:
        Library.load(house.folder)
        if f"\n{last}\n" not in house.text("bac"):
            wrong.append(f"{place}: what was accepted is lost")
        for number in (waiting, refused):
            row = house.row(number)
            if not row.is_open or f"proposals/{row.branch}" not in {
                f"proposals/{one.name}" for one in house.app.extensions["bible"].proposals.open_branches()
            }:
                wrong.append(f"{place}: proposal {number} is lost")

    for turn in range(2):
        work(turn)
        line = 1 + turn * (STEP // 2)
        while not ended(house, at_line=line):
            killed += 1
            look(f"line {line}")
            line += STEP
    chance = random.Random(7)
    for turn in range(2, 6):
        work(turn)
        killed += not ended(house, after_seconds=chance.uniform(0.01, 0.4))
        look("random time")
    fsck = subprocess.run(
        ["git", "fsck", "--full", "--strict", "--no-dangling"], cwd=house.folder, capture_output=True, text=True, check=False
    )
    if fsck.returncode or "error" in fsck.stderr:
        wrong.append(f"git fsck: {fsck.stdout}{fsck.stderr}")
    print(json.dumps({"killed": killed, "wrong": wrong, "last": last, "open": [waiting, refused]}))


if __name__ == "__main__":
    main()
