"""The pipelines that services copy into their forge: valid YAML, and commands that work on a content repository as they are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from webapp.settings import PROJECT

FOLDER = PROJECT / "docs" / "forge"
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
KINDS = ("github", "gitlab", "forgejo")


def template(kind: str) -> dict[Any, Any]:
    data = yaml.safe_load((FOLDER / f"{kind}.yml").read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def commands(kind: str) -> list[str]:
    """Every command of a template, in order."""
    data = template(kind)
    if kind == "gitlab":
        return [*data["articles"]["before_script"], *data["articles"]["script"]]
    return [line for step in data["jobs"]["articles"]["steps"] if "run" in step for line in step["run"].splitlines()]


def checks(kind: str) -> str:
    return "\n".join(line for line in commands(kind) if "scripts.check_articles" in line)


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A content repository as the pipeline has it: the article, and the software in ``.bible``."""
    (tmp_path / "articles/dechets").mkdir(parents=True)
    (tmp_path / "services.yml").write_text("dechets: {name: Déchets}\n")
    (tmp_path / "articles/dechets/tri.md").write_text(GOOD)
    (tmp_path / ".bible").symlink_to(PROJECT)
    return tmp_path


def run(kind: str, content: Path) -> subprocess.CompletedProcess[str]:
    script = checks(kind).replace(".bible/.venv/bin/python", sys.executable)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        ["bash", "-e", "-c", script], cwd=content, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("kind", KINDS)
def test_good_articles_pass(kind: str, content: Path) -> None:
    done = run(kind, content)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 article(s), 0 erreur(s), 0 avertissement(s)." in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_fails_where_the_forge_shows_it(kind: str, content: Path) -> None:
    (content / "articles/dechets/tri.md").write_text(GOOD + "\n## Suite\n[[verre]]\n")
    done = run(kind, content)
    assert done.returncode == 1
    if kind == "github":
        assert "::error file=articles/dechets/tri.md,line=12,title=broken-link::" in done.stdout
    else:
        assert re.search(r"^articles/dechets/tri\.md:12: error: ", done.stdout, re.MULTILINE)
    if kind == "gitlab":
        report = content / template(kind)["articles"]["artifacts"]["reports"]["codequality"]
        [entry] = json.loads(report.read_text(encoding="utf-8"))
        assert entry["location"] == {"path": "articles/dechets/tri.md", "lines": {"begin": 12}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_pull_request_cannot_put_its_own_checker_in_the_way(kind: str, content: Path) -> None:
    (content / "articles/dechets/tri.md").write_text(GOOD + "\n## Suite\n[[verre]]\n")
    for name in ("scripts", "kb"):
        (content / name).mkdir()
        (content / name / "__init__.py").write_text("raise SystemExit(0)\n")
    assert run(kind, content).returncode == 1


@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_on_pull_requests_with_no_more_rights_than_needed(kind: str) -> None:
    data = template(kind)
    if kind == "gitlab":
        assert any("merge_request_event" in rule["if"] for rule in data["articles"]["rules"])
        assert data["articles"]["artifacts"]["when"] == "always"
        return
    assert "pull_request" in data[True]  # « on », in YAML 1.1
    checkout = data["jobs"]["articles"]["steps"][0]
    assert checkout["with"] == {"persist-credentials": False}
    if kind == "github":
        assert data["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_template_installs_is_there(kind: str) -> None:
    install = "\n".join(commands(kind))
    assert "-r .bible/requirements-check.txt" in install
    assert (PROJECT / "requirements-check.txt").is_file()
    assert subprocess.run(["bash", "-n", "-c", install], check=False).returncode == 0


def test_the_short_requirements_are_enough_and_the_same_versions() -> None:
    """What the two scripts import is what the short list installs: a new import must be added to it."""
    short = [line for line in (PROJECT / "requirements-check.txt").read_text().splitlines() if line and line[0] not in "#-"]
    assert set(short) <= set((PROJECT / "requirements.txt").read_text().splitlines())
    program = """
import sys, importlib.metadata as metadata
before = set(sys.modules)
import scripts.check_articles, scripts.codeowners
tops = {name.split('.')[0] for name in set(sys.modules) - before}
owners = metadata.packages_distributions()
print('\\n'.join(sorted({owner for top in tops for owner in owners.get(top, ())})))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    installed, todo = set[str](), [Requirement(line).name for line in short]
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name not in installed:
            installed.add(name)
            todo += [item.name for item in map(Requirement, requires(name)) if item.marker is None or item.marker.evaluate({"extra": ""})]
    assert {name.lower().replace("_", "-") for name in done.stdout.split()} <= installed


def requires(name: str) -> list[str]:
    from importlib.metadata import requires as of

    return of(name) or []
