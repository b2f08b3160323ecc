"""Log in and out: what opens a session, what ends it, what a guesser meets, where one lands."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.conftest import MakeApp
from tests.webapp.people import OTHER_PASSWORD, PASSWORD, Clock, csrf_of, log_in, make_person, send, visitor
from tests.webapp.reading import read
from webapp import database
from webapp.accounts import passwords, people, throttle
from webapp.accounts.models import LogIn
from webapp.database import session


@pytest.fixture
def real(make_app: MakeApp, one_article: Callable[..., Path]) -> Flask:
    """An application with accounts, and one agent."""
    app = make_app(one_article(), accounts="on", model="none")
    make_person(app)
    return app


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The application's time, in the test's hand."""
    made = Clock()
    monkeypatch.setattr(database, "now", made)
    return made


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The passwords that were really compared, in order; without argon2, whose slowness is not the point here."""
    seen: list[str] = []

    def matches(user: object, password: str) -> bool:
        seen.append(password)
        return user is not None and password == PASSWORD

    monkeypatch.setattr(passwords, "matches", matches)
    return seen


def is_in(client: FlaskClient) -> bool:
    return client.get("/").status_code == 200


# ---- in and out ----
def test_the_right_password_opens_the_desk(real: Flask) -> None:
    client = real.test_client()
    assert not is_in(client)
    response = log_in(client, "  CAMILLE@Ville.Example ")
    assert (response.status_code, response.location) == (303, "/")
    assert is_in(client)
    assert "Camille Martin" in client.get("/").text


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("camille@ville.example", PASSWORD + "!"),
        ("camille@ville.example", PASSWORD.upper()),
        ("camille@ville.example", ""),
        ("personne@ville.example", PASSWORD),
        ("", ""),
        ("camille@ville.example' --", PASSWORD),
        ("camille@ville.example\x01", PASSWORD),
        ("\ud83d", "\ud83d"),
        ("camille@ville.example", "a" * 100_000),
        ("desactive@ville.example", PASSWORD),
        ("sans@ville.example", ""),
    ],
)
def test_anything_else_gets_the_same_answer(real: Flask, email: str, password: str) -> None:
    with real.app_context():
        people.set_active(people.get(make_person(real, email="desactive@ville.example")), False)
    make_person(real, email="sans@ville.example", password=None)
    client = real.test_client()
    email, password = (text.encode("utf-8", "replace").decode() for text in (email, password))
    response = log_in(client, email, password)
    assert response.status_code == 422
    assert read(response).one(".error").text.strip() == "Le courriel ou le mot de passe n'est pas le bon."
    assert not is_in(client)
    assert 'value="' + password not in response.text or len(password) < 2


def test_a_cookie_kept_from_before_the_log_out_opens_nothing(real: Flask) -> None:
    client = visitor(real)
    stolen = client.get_cookie("session")
    assert stolen is not None
    assert send(client, "/deconnexion", page="/").location == "/connexion"
    assert not is_in(client)
    thief = real.test_client()
    thief.set_cookie("session", stolen.value)
    assert not is_in(thief)
    assert thief.get("/api/v1/articles").status_code == 401


def test_the_cookie_changes_at_log_in_and_nothing_of_the_one_before_remains(real: Flask) -> None:
    client = real.test_client()
    token = csrf_of(client)
    before = client.get_cookie("session")
    log_in(client)
    after = client.get_cookie("session")
    assert before is not None
    assert after is not None
    assert before.value != after.value
    # Whoever planted the first cookie knows its form token: it is worth nothing now.
    assert client.post("/deconnexion", data={"csrf_token": token}).status_code == 400
    planted = real.test_client()
    planted.set_cookie("session", before.value)
    assert not is_in(planted)


def test_logging_in_again_ends_the_log_in_before(real: Flask) -> None:
    client = visitor(real)
    old = client.get_cookie("session")
    assert old is not None
    other = real.test_client()
    other.set_cookie("session", old.value)
    log_in(client)
    assert not is_in(other)
    assert is_in(client)


def test_a_log_in_ends_after_its_hours(real: Flask, clock: Clock) -> None:
    client = visitor(real)
    clock.move(hours=11, minutes=59)
    assert is_in(client)
    clock.move(minutes=2)
    assert not is_in(client)


def test_a_person_who_is_deactivated_is_out_at_once_and_for_good(real: Flask) -> None:
    client = visitor(real)
    with real.app_context():
        user = people.by_email("camille@ville.example")
        assert user is not None
        people.set_active(user, False)
        assert not is_in(client)
        people.set_active(user, True)
    assert not is_in(client), "the old session must not come back with the account"
    assert log_in(client).status_code == 303


def test_a_new_password_ends_the_other_sessions_only(real: Flask) -> None:
    here, elsewhere = visitor(real), visitor(real)
    response = send(here, "/compte/mot-de-passe", page="/compte", current=PASSWORD, password=OTHER_PASSWORD, again=OTHER_PASSWORD)
    assert response.status_code == 303
    assert is_in(here)
    assert not is_in(elsewhere)
    assert log_in(elsewhere).status_code == 422
    assert log_in(elsewhere, password=OTHER_PASSWORD).status_code == 303


def test_a_cookie_that_the_service_did_not_sign_is_nobodys(real: Flask) -> None:
    client = real.test_client()
    for value in ("", "a.b.c", "eyJfdXNlcl9pZCI6IjEifQ.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb"):
        client.set_cookie("session", value)
        assert not is_in(client)


def test_a_forged_log_in_form_logs_nobody_in(real: Flask) -> None:
    client = real.test_client()
    response = client.post("/connexion", data={"email": "camille@ville.example", "password": PASSWORD})
    assert response.status_code == 400
    assert not is_in(client)


def test_without_any_account_the_page_says_how_to_make_one(make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    app = make_app(one_article(), accounts="on", model="none")
    assert "flask --app webapp user create" in app.test_client().get("/connexion").text
    make_person(app)
    assert "user create" not in app.test_client().get("/connexion").text


def test_without_passwords_there_is_no_form_and_no_way_round_it(make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    app = make_app(
        one_article(), accounts="on", model="none", local_login=False,
        oidc_issuer="http://127.0.0.1:9", oidc_client_id="a", oidc_client_secret="b",
    )  # fmt: skip
    make_person(app)
    client = app.test_client()
    assert not [one for one in read(client.get("/connexion")).find("input") if one.attributes.get("type") == "password"]
    response = client.post(
        "/connexion", headers={"X-CSRFToken": csrf_of(client)}, data={"email": "camille@ville.example", "password": PASSWORD}
    )
    assert response.status_code == 404


# ---- where one lands ----
@pytest.mark.parametrize("target", ["/articles/?q=carte&service=dechets", "/compte", "/a//b"])
def test_one_lands_where_one_was_going(real: Flask, target: str) -> None:
    client = real.test_client()
    assert log_in(client, target=target).location == target
    assert client.get("/connexion", query_string={"next": target}).location == target


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example",
        "javascript:alert(1)", "evil.example", " //evil.example", "/a\r\nSet-Cookie: a=b", "http:evil.example",
    ],
)  # fmt: skip
def test_one_never_lands_elsewhere(real: Flask, target: str) -> None:
    client = real.test_client()
    form = read(client.get("/connexion", query_string={"next": target})).find("form.panel input")
    assert [one.attributes["value"] for one in form if one.attributes["name"] == "next"] == [""]
    assert log_in(client, target=target).location == "/"
    assert client.get("/connexion", query_string={"next": target}).location == "/"


# ---- guessers ----
def test_a_thousand_tries_at_once_compare_few_passwords(real: Flask, clock: Clock, verified: list[str]) -> None:
    for number in range(1000):
        with real.test_request_context():
            if not throttle.knock("camille@ville.example", "203.0.113.5"):
                verified.append(str(number))
    assert len(verified) == 5


def test_a_thousand_patient_tries_take_days(real: Flask, clock: Clock, verified: list[str]) -> None:
    started = clock.at
    with real.test_request_context():
        for _ in range(1000):
            clock.move(seconds=throttle.knock("camille@ville.example", "203.0.113.5").total_seconds())
    assert clock.at - started > dt.timedelta(days=5)


def test_a_guesser_is_told_how_long_to_wait_and_nothing_is_compared_meanwhile(real: Flask, clock: Clock, verified: list[str]) -> None:
    client = real.test_client()
    for _ in range(5):
        assert log_in(client, password="faux", address="203.0.113.5").status_code == 422
    response = log_in(client, password=PASSWORD, address="203.0.113.5")
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "1"
    assert "attendez 1 seconde." in response.text
    assert len(verified) == 5
    clock.move(seconds=1)
    assert log_in(client, password="faux", address="203.0.113.5").status_code == 422
    assert "attendez 2 secondes" in log_in(client, address="203.0.113.5").text


def test_the_real_person_gets_in_from_elsewhere_while_the_guesser_waits(real: Flask, clock: Clock, verified: list[str]) -> None:
    guesser = real.test_client()
    for _ in range(60):
        log_in(guesser, password="faux", address="203.0.113.5")
        clock.move(seconds=1)
    assert log_in(guesser, address="203.0.113.5").status_code == 429
    assert log_in(real.test_client(), address="198.51.100.1").status_code == 303


def test_from_the_very_same_address_the_real_person_waits_a_quarter_of_an_hour_at_most(real: Flask, clock: Clock) -> None:
    with real.test_request_context():
        for _ in range(1000):
            clock.move(seconds=throttle.knock("camille@ville.example", "203.0.113.5").total_seconds())
        wait = throttle.knock("camille@ville.example", "203.0.113.5") or throttle.knock("camille@ville.example", "203.0.113.5")
    assert dt.timedelta(minutes=10) < wait <= dt.timedelta(minutes=15)
    clock.move(seconds=wait.total_seconds())
    assert log_in(real.test_client(), address="203.0.113.5").status_code == 303


def test_under_an_attack_from_everywhere_the_account_opens_again_within_half_a_minute(
    real: Flask, clock: Clock, verified: list[str]
) -> None:
    with real.test_request_context():
        for number in range(1000):
            throttle.knock("camille@ville.example", f"203.0.{number // 250}.{number % 250}")
            clock.move(milliseconds=100)
        wait = throttle.knock("camille@ville.example", "198.51.100.1")
    assert dt.timedelta() < wait <= dt.timedelta(seconds=30)
    clock.move(seconds=wait.total_seconds())
    assert log_in(real.test_client(), address="198.51.100.1").status_code == 303


def test_one_address_cannot_try_every_account(real: Flask, clock: Clock) -> None:
    with real.test_request_context():
        waits = [throttle.knock(f"agent{number}@ville.example", "203.0.113.5") for number in range(200)]
    assert [bool(wait) for wait in waits].index(True) == 50


def test_logging_in_with_ones_own_account_does_not_clear_an_address(real: Flask, clock: Clock, verified: list[str]) -> None:
    make_person(real, "Guy Tapeur", "guy@ville.example")
    tried = 0
    for number in range(200):
        if log_in(real.test_client(), f"agent{number}@ville.example", "faux", address="203.0.113.5").status_code != 422:
            break
        tried += 1
        log_in(real.test_client(), "guy@ville.example", address="203.0.113.5")
    assert tried <= 50


def test_a_whole_subscriber_is_one_address(real: Flask, clock: Clock) -> None:
    with real.test_request_context():
        waits = [throttle.knock("camille@ville.example", f"2001:db8:0:1::{number:x}") for number in range(1, 10)]
        assert sum(not wait for wait in waits) == 5
        assert not throttle.knock("camille@ville.example", "2001:db8:0:2::1")


def test_an_hour_without_a_try_forgets(real: Flask, clock: Clock) -> None:
    with real.test_request_context():
        for _ in range(5):
            throttle.knock("camille@ville.example", "203.0.113.5")
        clock.move(hours=1, minutes=1)
        assert [bool(throttle.knock("camille@ville.example", "203.0.113.5")) for _ in range(6)] == [False] * 5 + [True]


def test_tries_made_in_parallel_are_all_counted(real: Flask) -> None:
    admitted = []

    def knock() -> None:
        with real.test_request_context():
            admitted.append(not throttle.knock("camille@ville.example", "203.0.113.5"))

    threads = [threading.Thread(target=knock) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 16
    assert sum(admitted) == 5


def test_what_was_typed_is_not_kept(real: Flask) -> None:
    log_in(real.test_client(), "motdepasse-dans-la-mauvaise-case", "faux")
    with real.app_context():
        rows = session().execute(database.Base.metadata.tables["attempts"].select()).all()
    assert len(rows) == 3
    assert not [row for row in rows if "mauvaise" in str(row)]


def test_an_account_that_does_not_exist_costs_a_comparison_too(real: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    verify = type(passwords._hasher).verify
    monkeypatch.setattr(type(passwords._hasher), "verify", lambda self, kept, given: compared.append(kept) or verify(self, kept, given))
    for email in ("camille@ville.example", "personne@ville.example"):
        log_in(real.test_client(), email, "faux")
    known, unknown = (one.split("$")[1:4] for one in compared)
    assert known == unknown, "with the same cost"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36", "Chrome sur Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0", "Edge sur Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:150.0) Gecko/20100101 Firefox/150.0", "Firefox sur Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15", "Safari sur macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1", "Safari sur iOS"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36", "Chrome sur Android"),
        ("Firefox/150.0", "Firefox"),
        ("curl/8.5 (Linux)", "navigateur inconnu"),
        ("", "navigateur inconnu"),
    ],
)
def test_an_open_session_is_named_in_words(real: Flask, user_agent: str, words: str) -> None:
    client = visitor(real)
    with real.app_context():
        session().scalars(select(LogIn)).one().browser = user_agent
        session().commit()
    page = client.get("/compte").text
    assert words in page
    assert "Mozilla" not in page
