"""``flask --app webapp user …``: accounts without a browser, without the model, without a password on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from tests.conftest import MakeApp
from tests.webapp.people import OTHER_PASSWORD, PASSWORD, log_in, make_person, visitor
from webapp import cli
from webapp.accounts import people
from webapp.settings import PROJECT

Run = Callable[..., Result]


@pytest.fixture
def real(make_app: MakeApp, one_article: Callable[..., Path]) -> Flask:
    """An application with accounts, and nobody yet."""
    return make_app(one_article(services__yml="dechets: {name: Déchets}\n"), accounts="on", model="none")


@pytest.fixture
def run(real: Flask) -> Run:
    """Run a command: ``run("list")``; ``typed`` is what is piped in."""
    runner = real.test_cli_runner()
    return lambda *words, typed="": runner.invoke(cli.group, list(words), input=typed)


def test_the_first_administrator_is_made_and_logs_in(real: Flask, run: Run) -> None:
    result = run("create", "Alix@ville.example", "--name", "Alix Dupont", "--admin", typed=PASSWORD + "\n")
    assert result.exit_code == 0, result.output
    assert result.output == "Le compte de Alix Dupont <alix@ville.example> est créé (administration).\n"
    assert PASSWORD not in result.output
    assert visitor(real, "alix@ville.example").get("/administration", follow_redirects=True).status_code == 200


def test_a_life(real: Flask, run: Run) -> None:
    assert run("create", "alix@ville.example", "--name", "Alix", "--admin", typed=PASSWORD).exit_code == 0
    assert run("create", "zoe@ville.example", "--name", "Zoé Petit", "--service", "dechets", "--no-password").exit_code == 0
    assert log_in(real.test_client(), "zoe@ville.example", "").status_code == 422
    assert run("set-password", "zoe@ville.example", typed=PASSWORD).exit_code == 0
    client = visitor(real, "zoe@ville.example")
    assert "rédaction : dechets" in run("list").output
    assert run("set-roles", "zoe@ville.example").output == "Zoé Petit : agent.\n"
    assert run("set-password", "zoe@ville.example", typed=OTHER_PASSWORD).exit_code == 0
    assert client.get("/").status_code == 303
    assert run("deactivate", "zoe@ville.example").exit_code == 0
    assert "zoe@ville.example  Zoé Petit  agent (désactivé)" in run("list").output
    assert log_in(client, "zoe@ville.example", OTHER_PASSWORD).status_code == 422
    assert run("activate", "zoe@ville.example").exit_code == 0
    assert log_in(client, "zoe@ville.example", OTHER_PASSWORD).status_code == 303
    token = run("token", "zoe@ville.example", "--name", "Chatbot", "--scope", "read", "--days", "30").output.strip()
    assert real.test_client().get("/api/v1/articles", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize(
    ("words", "typed", "expected"),
    [
        (("create", "camille@ville.example", "--name", "X"), PASSWORD, "a déjà un compte"),
        (("create", "pas-une-adresse", "--name", "X"), PASSWORD, "ne se lit pas"),
        (("create", "x@ville.example", "--name", "X"), "court", "au moins 12 caractères"),
        (("create", "x@ville.example", "--name", "X"), "", "au moins 12 caractères"),
        (("create", "x@ville.example", "--name", "X", "--service", "zorglub"), PASSWORD, "Service inconnu : zorglub. Services : dechets."),
        (("set-password", "personne@ville.example"), PASSWORD, "n'a pas de compte"),
        (("set-roles", "camille@ville.example"), "", "dernier compte administrateur"),
        (("deactivate", "camille@ville.example"), "", "dernier compte administrateur"),
        (("token", "camille@ville.example", "--name", "X", "--scope", "read", "--days", "0"), "", "La durée du jeton"),
        (("token", "camille@ville.example", "--name", "X", "--scope", "admin"), "", "admin"),
        (("token", "camille@ville.example", "--name", "X"), "", "--scope"),
    ],
)
def test_what_cannot_be_is_said_without_a_traceback(real: Flask, run: Run, words: tuple[str, ...], typed: str, expected: str) -> None:
    make_person(real, is_admin=True)
    result = run(*words, typed=typed)
    assert result.exit_code != 0
    assert expected in result.output
    assert "Traceback" not in result.output
    with real.app_context():
        assert [(user.email, user.is_admin, user.is_active) for user in people.search()] == [("camille@ville.example", True, True)]


def test_no_command_takes_a_password_as_an_argument() -> None:
    for command in cli.group.commands.values():
        assert not [one for one in command.params if "password" in (one.name or "") and one.name != "no_password"]


def test_the_demonstration_has_no_accounts_to_manage(make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    app = make_app(one_article(), model="none")
    result = app.test_cli_runner().invoke(cli.group, ["create", "x@ville.example", "--name", "X"], input=PASSWORD)
    assert result.exit_code != 0
    assert "BIBLE_ACCOUNTS=on" in result.output


def test_a_real_command_loads_no_model_and_leaves_no_watcher(tmp_path: Path, one_article: Callable[..., Path]) -> None:
    environment = {**os.environ, "BIBLE_VAR_DIR": str(tmp_path / "var"), "BIBLE_KB_DIR": str(one_article()), "BIBLE_ACCOUNTS": "on"}
    # A model that does not exist would be looked for, were it loaded; the index would be built.
    environment["BIBLE_MODEL"] = "aucun-modele-de-ce-nom"
    result = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "webapp", "user", "create", "alix@ville.example", "--name", "Alix", "--admin"],
        cwd=PROJECT, env=environment, input=PASSWORD, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "est créé" in result.stdout
    assert not result.stderr
    assert not (tmp_path / "var" / "index").exists()
