"""One place turns errors into HTTP, and it gives nothing away: no traceback, and no word of what was pasted in a log."""

from __future__ import annotations

import logging

import pytest
from flask.testing import FlaskClient

from kb.errors import ContentError, KbError, Problem, StoreError, UnknownChannel, UnknownSlug
from search.engine import SearchEngine
from search.errors import IndexDamaged, ModelUnavailable, QueryError, SearchError
from tests.webapp.reading import ask_with, read

SECRET = "Zorglubine-7431"


def failing(error: Exception) -> object:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("kind", [RuntimeError, KeyError, ValueError, UnicodeError, RecursionError, OSError, MemoryError])
def test_an_unexpected_error_gives_a_page_and_no_detail(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: type[Exception]
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(SearchEngine, "match", failing(kind(f"cannot read {SECRET}")))
    desk = ask_with(client, f"Bonjour {SECRET}")
    api = client.post("/api/v1/match", json={"message": SECRET})
    assert desk.status_code == api.status_code == 500
    assert read(desk).one("h1").text == "Une erreur est survenue"
    assert api.mimetype == "application/problem+json"
    for body in (desk.text, api.text):
        assert "Traceback" not in body
        assert ".py" not in body
        assert SECRET not in body
        assert kind.__name__ not in body
    # The log says what and where, which is enough to find it, and not with which words.
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text
    lines = [record.getMessage() for record in caplog.records if record.name == "webapp.errors"]
    assert len(lines) == 2
    assert all(line.startswith(f"unexpected {kind.__name__} at ") and "test_errors.py:" in line for line in lines)
    assert lines[0].endswith("on POST /")


def test_the_service_goes_on_after_an_unexpected_error(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SearchEngine, "match", failing(RuntimeError("once")))
        assert ask_with(client, question).status_code == 500
    assert read(ask_with(client, question)).find(".card")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownSlug("Aucun article."), 404),
        (UnknownChannel("Aucun canal."), 422),
        (QueryError("Recherche illisible."), 422),
        (StoreError("Dépôt illisible."), 503),
        (IndexDamaged("Index abîmé."), 503),
        (ModelUnavailable("Modèle absent."), 503),
        (SearchError("Recherche impossible."), 503),
        (ContentError(Problem("a.md", 3, "Titre vide.")), 422),
        (KbError("Dossier absent."), 422),
    ],
)
def test_our_own_errors_say_what_to_do(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    monkeypatch.setattr(SearchEngine, "match", failing(error))
    desk = ask_with(client, "a")
    api = client.post("/api/v1/match", json={"message": "a"})
    assert desk.status_code == api.status_code == status
    assert str(error) in read(desk).one("main").text
    assert api.json is not None
    assert api.json["detail"] == str(error)


def test_an_error_of_the_server_in_a_fragment_is_still_a_status(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SearchEngine, "match", failing(SearchError("Recherche impossible.")))
    assert ask_with(client, "a", {"X-Bible-Fragment": "1"}).status_code == 503


@pytest.mark.parametrize(("method", "path", "heading"), [("GET", "/nulle-part", "Page introuvable"), ("PUT", "/", "Action impossible")])
def test_errors_of_addresses_are_pages_in_french(client: FlaskClient, method: str, path: str, heading: str) -> None:
    page = read(client.open(path, method=method))
    assert page.one("h1").text == heading
    assert page.one("html").attributes["lang"] == "fr"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_errors_of_health_checks_are_for_programs(client: FlaskClient, path: str) -> None:
    response = client.post(path)
    assert response.status_code in (400, 405)
    assert response.mimetype == "application/problem+json"
