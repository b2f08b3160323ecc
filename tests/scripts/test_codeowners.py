"""CODEOWNERS from ``services.yml``: the syntax of each forge, and nothing half right on the standard output."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.codeowners import main
from tests.conftest import MakeKb
from tests.scripts.conftest import RunScript

SERVICES = """\
etat-civil:
  name: État civil
  email: etat-civil@ville.example
  owners: ["@ville/etat-civil", mdupont]
dechets:
  name: Déchets
  email: dechets@ville.example
eau.2: {name: Eau, owners: "@ville/eau"}
voirie: {name: Voirie}
"""


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def kb(make_kb: MakeKb) -> Path:
    return make_kb({"services.yml": SERVICES})


@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_github_and_gitlab(kb: Path, capsys: pytest.CaptureFixture[str], forge: str) -> None:
    assert main(["--kb", str(kb), "--forge", forge, "--default", "ville/com", "--default", "@chef"]) == 0
    output = capsys.readouterr()
    assert lines(output.out) == [
        "* @ville/com @chef",  # first: the last line that fits decides
        "/articles/dechets/ dechets@ville.example",
        "/articles/eau.2/ @ville/eau",
        "/articles/etat-civil/ @ville/etat-civil @mdupont",
    ]
    assert "« voirie »" in output.err
    comments = [line for line in output.out.splitlines() if line.startswith("#")]
    assert comments
    assert not any("@" in line for line in comments), "GitLab takes a name in a comment for an owner"


def test_forgejo_and_gitea(kb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kb", str(kb), "--forge", "forgejo", "--default", "ville/com"]) == 0
    output = capsys.readouterr()
    assert lines(output.out) == [
        "!articles/.* @ville/com",
        r"articles/eau\\.2/.* @ville/eau",
        "articles/etat-civil/.* @ville/etat-civil @mdupont",
    ]
    assert "« dechets »" in output.err, "an e-mail is nobody there"
    pattern = lines(output.out)[1].split()[0].replace("\\\\", "\\")
    assert re.fullmatch(pattern, "articles/eau.2/fuite.md")
    assert not re.fullmatch(pattern, "articles/eauX2/fuite.md")


@pytest.mark.parametrize("owner", ["@a b", "a\\n* @pirate", "# @x", "@", "@a//b", "-x", "é", "x@", "@a/../b!"])
@pytest.mark.parametrize("forge", ["github", "gitlab", "forgejo"])
def test_what_is_no_name_writes_nothing(make_kb: MakeKb, capsys: pytest.CaptureFixture[str], owner: str, forge: str) -> None:
    kb = make_kb({"services.yml": f'dechets: {{name: Déchets, owners: ["{owner}"]}}\n'})
    assert main(["--kb", str(kb), "--forge", forge]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "services.yml : dechets" in output.err


def test_a_broken_file_writes_nothing(make_kb: MakeKb, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("dechets: [", "dechets: {owners: {a: b}}", "'a b/c': {name: X, owners: '@a'}"):
        assert main(["--kb", str(make_kb({"services.yml": text})), "--forge", "github"]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert "services.yml" in output.err


def test_a_folder_of_something_else_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kb", str(tmp_path), "--forge", "github"]) == 2
    assert "services.yml" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--kb", str(tmp_path)])


def test_it_runs_as_people_run_it(sample_kb: Path, run_script: RunScript) -> None:
    done = run_script("scripts.codeowners", "--kb", sample_kb, "--forge", "gitlab")
    assert (done.returncode, done.stderr) == (0, "")
    assert "/articles/etat-civil/ etat-civil@valbourg.example" in lines(done.stdout)
