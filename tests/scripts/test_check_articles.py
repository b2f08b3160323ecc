"""The command line of the checks: exit codes that a pipeline can trust, formats that its tools can read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.check_articles import main

PROJECT = Path(__file__).resolve().parents[2]
GOOD = """\
---
title: Trier ses déchets
service: dechets
questions: [Comment trier ?, Où trier ?, Quoi trier ?, Quand trier ?]
sources: [{title: Guide, url: https://a.example}]
reviewed_on: 2026-01-01
review_by: 2099-01-01
---
Appelez-nous.
"""


@pytest.fixture
def kb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good content folder, in the current folder."""
    root = tmp_path / "kb"
    (root / "articles/dechets").mkdir(parents=True)
    (root / "services.yml").write_text("dechets: {name: Déchets}\n")
    (root / "articles/dechets/tri.md").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    return root


def break_it(kb: Path) -> None:
    """One error, line 10, and no warning."""
    (kb / "articles/dechets/tri.md").write_text(GOOD + "\n## Suite\n[[verre]]\n")


def warn(kb: Path) -> None:
    """One warning, line 7, and no error."""
    (kb / "articles/dechets/tri.md").write_text(GOOD.replace("review_by: 2099-01-01", "review_by: 2026-01-02"))


def run(*arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "scripts.check_articles", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_a_good_folder_passes(kb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kb", "kb"]) == 0
    assert capsys.readouterr().out == "1 article(s), 0 erreur(s), 0 avertissement(s).\n"
    assert main(["--kb", "kb", "--strict"]) == 0


def test_an_error_fails_and_is_a_line_that_an_editor_can_open(kb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_it(kb)
    assert main(["--kb", str(kb)]) == 1
    first, summary = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"kb/articles/dechets/tri\.md:12: error: .*« verre ».* \[broken-link\]", first)
    assert summary == "1 article(s), 1 erreur(s), 0 avertissement(s)."


def test_a_warning_fails_only_when_strict(kb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warn(kb)
    assert main(["--kb", "kb"]) == 0
    assert "tri.md:7: warning: " in capsys.readouterr().out
    assert main(["--kb", "kb", "--strict"]) == 1


@pytest.mark.parametrize("folder", ["absent", ".", "kb/articles/dechets/tri.md"])
def test_a_folder_that_cannot_be_checked_is_not_a_success(kb: Path, capsys: pytest.CaptureFixture[str], folder: str) -> None:
    """A wrong path in a pipeline must not pass for « no error »."""
    assert main(["--kb", folder]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert f"« {folder} »" in output.err


@pytest.mark.parametrize("arguments", [["--format", "xml"], ["--inconnu"], ["kb"]])
def test_a_bad_usage_exits_with_two(kb: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_github_annotations_are_escaped(kb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name or a message must neither end the command nor start another."""
    text = GOOD.replace("questions:", 'see_also: ["a%b\\n::error::piege, c: d"]\nquestions:')
    (kb / "articles/dechets,a:b%").mkdir()
    (kb / "articles/dechets,a:b%/tri2.md").write_text(text.replace("dechets", '"dechets,a:b%"'))
    assert main(["--kb", "kb", "--format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    [line] = [line for line in lines if "broken-link" in line]
    assert line.startswith("::error file=kb/articles/dechets%2Ca%3Ab%25/tri2.md,line=4,title=broken-link::Aucun article")
    assert "« a%25b%0A::error::piege, c: d »" in line
    assert all(line.startswith(("::error file=", "::warning file=")) for line in lines[:-1])
    assert lines[-1].startswith("2 article(s)")


def test_a_message_of_several_lines_stays_on_one_line_of_text(kb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (kb / "articles/dechets/tri.md").write_text(GOOD.replace("questions:", 'see_also: ["a\\n::error::piege"]\nquestions:'))
    assert main(["--kb", "kb"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_json_is_whole_and_counts(kb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_it(kb)
    assert main(["--kb", "kb", "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["articles"], report["errors"], report["warnings"]) == (1, 1, 0)
    [finding] = report["findings"]
    assert {key: finding[key] for key in ("path", "line", "severity", "code")} == {
        "path": "kb/articles/dechets/tri.md",
        "line": 12,
        "severity": "error",
        "code": "broken-link",
    }


def test_gitlab_report_has_the_documented_fields_and_one_fingerprint_each(kb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format"""
    (kb / "articles/dechets/tri.md").write_text(GOOD.replace("2099-01-01", "2026-01-02") + "\n## Suite\n[[verre]] et [[verre]], [[bois]]\n")
    assert main(["--kb", "kb", "--format", "gitlab"]) == 1
    report = json.loads(capsys.readouterr().out)
    link = next(entry for entry in report if "« bois »" in entry["description"])
    assert {key: value for key, value in link.items() if key not in ("description", "fingerprint")} == {
        "check_name": "broken-link",
        "severity": "major",
        "location": {"path": "kb/articles/dechets/tri.md", "lines": {"begin": 12}},
    }
    assert {entry["severity"] for entry in report} == {"major", "minor"}
    assert len({entry["fingerprint"] for entry in report}) == len(report)
    (kb / "articles/dechets/tri.md").write_text(GOOD + "\n\n\n## Suite\n[[bois]]\n")
    main(["--kb", "kb", "--format", "gitlab"])
    [moved] = json.loads(capsys.readouterr().out)
    assert (moved["fingerprint"], moved["location"]["lines"]["begin"]) == (link["fingerprint"], 14), "it moved, it is not new"


def test_gitlab_report_of_a_good_folder_is_an_empty_list(kb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kb", "kb", "--format", "gitlab"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_folder_outside_the_current_one_is_shown_whole(kb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_it(kb)
    (tmp_path / "ailleurs").mkdir()
    os.chdir(tmp_path / "ailleurs")
    assert main(["--kb", "../kb"]) == 1
    assert capsys.readouterr().out.startswith(f"{kb.resolve()}/articles/dechets/tri.md:12: ")


def test_the_module_runs_from_any_folder_on_the_project_articles(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^\d{3,} article\(s\), 0 erreur\(s\)", done.stdout, re.MULTILINE)


def test_the_exit_code_reaches_the_shell(kb: Path) -> None:
    break_it(kb)
    assert run("--kb", str(kb)).returncode == 1
    assert run("--kb", str(kb / "absent")).returncode == 2
    assert run("--format", "xml").returncode == 2
