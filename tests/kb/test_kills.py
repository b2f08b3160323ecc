"""A process that dies while it saves or merges loses nothing and leaves no half text: the next start heals the folder by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from webapp.settings import PROJECT


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    # In a process of its own: it forks, and a test process has threads.
    run = subprocess.run(
        [sys.executable, "-m", "tests.kb.killing", str(tmp_path), "7"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout)
    assert found["wrong"] == []
    assert found["killed"] >= 200
    assert found["finished"] >= 4
