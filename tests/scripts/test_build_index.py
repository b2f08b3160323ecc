"""``python -m scripts.build_index``: it leaves an index that is ready, says what it did, and touches nothing else."""

from __future__ import annotations

from pathlib import Path

import pygit2
import pytest

from kb.library import Library
from scripts import build_index
from scripts.build_index import ProgressBars
from search.index_store import IndexStore
from tests.scripts.conftest import RunScript, listing


def test_it_leaves_an_index_that_is_ready(small_kb: Path, tmp_path: Path, run_script: RunScript) -> None:
    before = listing(small_kb)
    done = run_script("scripts.build_index", BIBLE_KB_DIR=str(small_kb))
    assert done.returncode == 0, done.stderr
    assert "6 articles" in done.stderr
    assert "keywords" in done.stderr
    assert "Index des mots" in done.stderr, "a progress bar"
    assert "BIBLE_MODEL" in done.stderr
    assert done.stdout == ""
    assert listing(small_kb) == before
    index = IndexStore(tmp_path / "var" / "index", None).load()
    assert index is not None
    assert index.is_fresh(Library.load(small_kb), None)
    assert index.keywords.search("passeport").slugs == ("passeport",)
    index.keywords.close()


def test_a_second_run_has_nothing_to_do(small_kb: Path, tmp_path: Path, run_script: RunScript) -> None:
    run_script("scripts.build_index", BIBLE_KB_DIR=str(small_kb))
    before = listing(tmp_path / "var")
    done = run_script("scripts.build_index", BIBLE_KB_DIR=str(small_kb))
    assert done.returncode == 0
    assert "6 articles" in done.stderr
    assert "Index des mots" not in done.stderr
    assert listing(tmp_path / "var") == before


def test_the_first_run_makes_the_content_from_the_sample(tmp_path: Path, run_script: RunScript) -> None:
    done = run_script("scripts.build_index")
    assert done.returncode == 0, done.stderr
    content = tmp_path / "var" / "kb"
    library = Library.load(content)
    assert library.problems == ()
    assert f"{len(library.articles)} articles" in done.stderr
    assert not pygit2.Repository(str(content)).status()


def test_a_broken_article_is_reported_and_the_rest_works(small_kb: Path, run_script: RunScript) -> None:
    (small_kb / "articles/dechets/bac-jaune.md").write_text("---\ntitle: [\n---\n", encoding="utf-8")
    done = run_script("scripts.build_index", BIBLE_KB_DIR=str(small_kb))
    assert done.returncode == 0
    assert "articles/dechets/bac-jaune.md:" in done.stderr
    assert "5 articles" in done.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"BIBLE_KB_DIR": "/absent/kb"}, "/absent/kb"),
        ({"BIBLE_PORT": "mille"}, "BIBLE_PORT"),
        ({"BIBLE_VAR_DIR": "/dev/null/var"}, "/dev/null"),
    ],
)
def test_what_cannot_work_is_said(
    small_kb: Path,
    without_model: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, str],
    said: str,
) -> None:
    for name, value in ({"BIBLE_KB_DIR": str(small_kb)} | settings).items():
        monkeypatch.setenv(name, value)
    assert build_index.main([]) == 2
    assert said in capsys.readouterr().err


def test_a_mistake_ends_the_process_with_its_status(run_script: RunScript) -> None:
    done = run_script("scripts.build_index", BIBLE_KB_DIR="/absent/kb")
    assert done.returncode == 2
    assert "/absent/kb" in done.stderr
    assert "Traceback" not in done.stderr


def test_bars_show_each_stage_up_to_its_total(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars() as report:
        for done in (0, 3, 10):
            report("mots", done, 10)
        report("sens", 5, 5)
        report("autre", 1, 1)
    shown = capsys.readouterr().err
    assert "Index des mots: 100%" in shown
    assert "10/10" in shown
    assert "Index du sens: 100%" in shown
    assert "autre: 100%" in shown
