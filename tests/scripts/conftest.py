"""What the tests of the scripts share: a small content folder, and the scripts run as people run them, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeKb
from tests.search.conftest import TOWN
from webapp.settings import PROJECT

RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def small_kb(make_kb: MakeKb) -> Path:
    """A content folder of six articles."""
    return make_kb(TOWN)


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Run ``python -m module …`` without a model, its data in ``tmp_path/var``; keywords are more environment. Warnings are errors."""

    def run(module: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BIBLE_")}
        own = {"PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "", "BIBLE_MODEL": "none", "BIBLE_VAR_DIR": str(tmp_path / "var")}
        return subprocess.run(
            # SWIG, in faiss, warns for itself.
            [sys.executable, "-W", "error", "-W", "ignore:builtin type:DeprecationWarning", "-m", module, *map(str, arguments)],
            cwd=tmp_path,
            env=inherited | own | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def without_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same settings as ``run_script`` for a script that is called in this process."""
    monkeypatch.setenv("BIBLE_MODEL", "none")
    monkeypatch.setenv("BIBLE_VAR_DIR", str(tmp_path / "var"))


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder under a folder, with its size and the time it was written."""
    return {str(path.relative_to(root)): (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(root.rglob("*"))}
