"""API tokens: shown once, kept as a hash, limited to their scopes, revocable, an agent's whoever owns them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import MakeApp
from tests.webapp.people import Clock, make_person, send, visitor
from tests.webapp.reading import read
from webapp import database
from webapp.accounts import people, secrets, tokens
from webapp.accounts.errors import AccountError
from webapp.accounts.models import ApiToken
from webapp.database import session


@pytest.fixture
def real(make_app: MakeApp, one_article: Callable[..., Path]) -> Flask:
    """An application with accounts, and one administrator."""
    app = make_app(one_article(), accounts="on", model="none")
    make_person(app, is_admin=True)
    return app


def make_token(app: Flask, *scopes: str, days: int | None = None) -> str:
    with app.app_context():
        user = people.by_email("camille@ville.example")
        assert user is not None
        return tokens.create(user, "Chatbot", scopes, days)[1]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


CALLS = {
    "match": lambda client, headers: client.post("/api/v1/match", json={"message": "bac"}, headers=headers),
    "search": lambda client, headers: client.get("/api/v1/search?q=bac", headers=headers),
    "list": lambda client, headers: client.get("/api/v1/articles", headers=headers),
    "read": lambda client, headers: client.get("/api/v1/articles/bac", headers=headers),
}


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [(("match",), {"match"}), (("read",), {"search", "list", "read"}), (("match", "read"), set(CALLS))],
)  # fmt: skip
def test_a_token_opens_its_scopes_and_no_other(real: Flask, scopes: tuple[str, ...], allowed: set[str]) -> None:
    token = make_token(real, *scopes)
    for name, call in CALLS.items():
        response = call(real.test_client(), bearer(token))
        assert response.status_code == (200 if name in allowed else 403), name
        if name not in allowed:
            assert response.mimetype == "application/problem+json"
            assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("value", ["", "bible_", "bible_faux", "x" * 5000, "é", "bible_' OR 1=1 --"])
def test_a_token_that_is_none_opens_nothing(real: Flask, value: str) -> None:
    response = real.test_client().get("/api/v1/articles", headers={"Authorization": f"Bearer {value}".encode().decode("latin-1")})
    assert response.status_code == 401
    assert response.mimetype == "application/problem+json"


def test_a_token_does_not_open_pages_nor_what_its_owner_may(real: Flask) -> None:
    token = make_token(real, *tokens.SCOPES)
    client = real.test_client()
    for path in ("/", "/articles/", "/compte", "/administration", "/administration/jetons"):
        assert client.get(path, headers=bearer(token)).status_code == 303


def test_the_cookie_does_not_help_a_token_nor_the_token_a_cookie(real: Flask) -> None:
    client = visitor(real)
    assert client.get("/api/v1/articles", headers=bearer("bible_faux")).status_code == 401
    assert client.post("/api/v1/match", json={"message": "bac"}, headers=bearer(make_token(real, "read"))).status_code == 403


def test_a_password_that_a_proxy_asks_for_is_not_a_token(real: Flask) -> None:
    assert visitor(real).get("/api/v1/articles", headers={"Authorization": "Basic Ym9iOmJvYg=="}).status_code == 200
    assert real.test_client().get("/api/v1/articles", headers={"Authorization": "Basic Ym9iOmJvYg=="}).status_code == 401


# ---- ends ----
def test_a_revoked_token_is_dead_and_stays_in_the_list(real: Flask) -> None:
    token = make_token(real, "read")
    client = visitor(real)
    assert token[: len(tokens.PREFIX) + 6] in client.get("/compte").text
    [form] = [one.attributes["action"] for one in read(client.get("/compte")).find("form") if "revoquer" in one.attributes["action"]]
    assert send(client, form, page="/compte").status_code == 303
    assert real.test_client().get("/api/v1/articles", headers=bearer(token)).status_code == 401
    assert "révoqué le" in read(client.get("/compte")).text
    assert "revoquer" not in client.get("/compte").text


def test_nobody_revokes_the_token_of_another(real: Flask) -> None:
    token = make_token(real, "read")
    make_person(real, "Guy", "guy@ville.example")
    assert send(visitor(real, "guy@ville.example"), "/compte/jetons/1/revoquer", page="/compte").status_code == 404
    assert real.test_client().get("/api/v1/articles", headers=bearer(token)).status_code == 200


def test_a_token_ends_on_its_day(real: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(database, "now", clock)
    token = make_token(real, "read", days=30)
    clock.move(days=29)
    assert real.test_client().get("/api/v1/articles", headers=bearer(token)).status_code == 200
    clock.move(days=1)
    assert real.test_client().get("/api/v1/articles", headers=bearer(token)).status_code == 401


def test_a_token_ends_with_its_owners_account(real: Flask) -> None:
    make_person(real, "Alix", "alix@ville.example", is_admin=True)
    token = make_token(real, "read")
    with real.app_context():
        user = people.by_email("camille@ville.example")
        assert user is not None
        people.set_active(user, False)
    assert real.test_client().get("/api/v1/articles", headers=bearer(token)).status_code == 401


# ---- made and kept ----
def test_a_token_is_shown_once(real: Flask) -> None:
    client = visitor(real)
    response = send(client, "/compte/jetons", page="/compte", name="Chatbot", scopes=["match", "read"], days="365")
    assert response.status_code == 303
    assert "bible_" not in response.location
    token = read(client.get(response.location)).one("code.secret").text
    assert token.startswith("bible_")
    assert real.test_client().get("/api/v1/articles", headers=bearer(token)).status_code == 200
    # The page reloaded shows it no more, and makes no other.
    assert token not in client.get("/compte").text
    assert client.get("/compte").text.count("/revoquer") == 1
    assert token not in client.get("/administration/jetons").text


def test_the_database_holds_no_token(real: Flask) -> None:
    token = make_token(real, "read")
    with real.app_context():
        [row] = session().execute(ApiToken.__table__.select()).all()
    assert token not in str(row)
    assert secrets.hashed(token) in str(row)


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [
        ("", ["read"], 1), ("a" * 121, ["read"], 1), ("a", [], 1), ("a", ["admin"], 1), ("a", ["read", "propose"], 1), ("a", ["read"], 0),
        ("a", ["read"], 99_999),
    ],
)  # fmt: skip
def test_a_token_that_makes_no_sense_is_refused(real: Flask, name: str, scopes: list[str], days: int) -> None:
    with real.app_context(), pytest.raises(AccountError):
        user = people.by_email("camille@ville.example")
        assert user is not None
        tokens.create(user, name, scopes, days)
    response = send(visitor(real), "/compte/jetons", page="/compte", name=name, scopes=scopes, days=str(days))
    assert response.status_code == 422
    assert not read(response).find("code.secret")


def test_the_last_use_is_noted_without_a_write_for_every_call(real: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(database, "now", clock)
    token = make_token(real, "read")

    def last_use() -> object:
        real.test_client().get("/api/v1/articles", headers=bearer(token))
        with real.app_context():
            return session().get(ApiToken, 1).last_used_at  # type: ignore[union-attr]

    first = last_use()
    assert first == clock.at
    clock.move(minutes=4)
    assert last_use() == first
    clock.move(minutes=2)
    assert last_use() == clock.at


@given(st.lists(st.text(), min_size=2, unique=True))
def test_two_secrets_have_two_hashes(texts: list[str]) -> None:
    assert len({secrets.hashed(one) for one in texts}) == len(texts)
    assert all(len(secrets.hashed(one)) == 64 for one in texts)
