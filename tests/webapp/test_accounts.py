"""What an account is: names, addresses, passwords, roles, one's own page; the people of the demonstration."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import MakeApp
from tests.webapp.people import OTHER_PASSWORD, PASSWORD, log_in, make_person, send, visitor
from tests.webapp.reading import read, token_of
from webapp.accounts import Account, demo, passwords, people, sessions
from webapp.accounts.errors import AccountError
from webapp.accounts.models import User
from webapp.database import session

OneArticle = Callable[..., Path]


@pytest.fixture
def real(make_app: MakeApp, one_article: OneArticle) -> Flask:
    """An application with accounts, and one agent."""
    app = make_app(one_article(), accounts="on", model="none")
    make_person(app)
    return app


# ---- what an account is ----
def test_an_address_has_one_account_whatever_its_case(real: Flask) -> None:
    with real.app_context():
        for email in ("camille@ville.example", " CAMILLE@ville.EXAMPLE "):
            with pytest.raises(AccountError, match=r"camille@ville\.example a déjà un compte"):
                people.create("Une Autre", email)
        found = people.by_email("Camille@Ville.Example")
        assert found is not None
        assert found.name == "Camille Martin"


@pytest.mark.parametrize(
    "email",
    ["", "camille", "camille@", "@ville.example", "a b@ville.example", "a@b@c", "a@ville.example\nBcc: x@y", "a" * 250 + "@b.fr"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(real: Flask, email: str) -> None:
    with real.app_context(), pytest.raises(AccountError):
        people.create("Camille", email)


@pytest.mark.parametrize("name", ["", "   ", "a" * 121, "a\x00b", "a\u202eb"])
def test_a_name_that_is_none_is_refused(real: Flask, name: str) -> None:
    with real.app_context(), pytest.raises(AccountError):
        people.create(name, "autre@ville.example")


@pytest.mark.parametrize(
    ("services", "is_admin", "editor", "may"),
    [(set(), False, False, []), ({"dechets"}, False, True, ["dechets"]), (set(), True, True, ["dechets", "eau"])],
)
def test_what_a_role_may_review(services: set[str], is_admin: bool, editor: bool, may: list[str]) -> None:
    account = Account(1, "Camille", "camille@ville.example", is_admin, frozenset(services))
    assert account.is_editor == editor
    assert [key for key in ("dechets", "eau") if account.may_review(key)] == may
    assert (account.person.name, account.person.email) == ("Camille", "camille@ville.example")


def test_services_are_exactly_those_that_were_given(real: Flask) -> None:
    with real.app_context():
        user = people.create("Dominique", "dominique@ville.example", services={"dechets", "eau"})
        people.set_roles(user, is_admin=False, services={"eau", "voirie"})
        session().expire_all()
        assert people.get(user.id).services == {"eau", "voirie"}


# ---- passwords ----
@pytest.mark.parametrize(
    "password",
    [
        "", "court", "onze lettre", "motdepasse123", "AZERTYUIOP123", "aaaaaaaaaaaaaaaa", "121212121212", "a" * 300,
        "camille est en vacances", "je suis MARTIN le maire", "x camille@ville.example x",
    ],
)  # fmt: skip
def test_a_password_that_would_be_guessed_is_refused(app: Flask, password: str) -> None:
    with app.app_context(), pytest.raises(AccountError):
        passwords.check_new(password, User(name="Camille Martin", email="camille@ville.example"))


@pytest.mark.parametrize("password", [PASSWORD, OTHER_PASSWORD, "Zx9!kLp2#vTq", "été à la plage 🏖"])
def test_a_fair_password_is_accepted(password: str) -> None:
    passwords.check_new(password, User(name="Camille Martin", email="camille@ville.example"))


def test_a_password_is_kept_as_argon2id_and_never_as_itself(real: Flask) -> None:
    with real.app_context():
        user = people.by_email("camille@ville.example")
        assert user is not None
        assert (user.password_hash or "").startswith("$argon2id$")
        assert PASSWORD not in (user.password_hash or "")


def test_a_hash_of_old_parameters_is_renewed_at_log_in(real: Flask) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    with real.app_context():
        user = people.by_email("camille@ville.example")
        assert user is not None
        user.password_hash = weak
        session().commit()
    assert log_in(real.test_client()).status_code == 303
    with real.app_context():
        user = people.by_email("camille@ville.example")
        assert user is not None
        assert user.password_hash != weak
        assert not passwords._hasher.check_needs_rehash(user.password_hash or "")


def test_trying_a_password_costs_what_owasp_asks_for() -> None:
    spec = importlib.util.find_spec("webapp.accounts.passwords")
    assert spec is not None
    assert spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)  # as it is outside the tests, which hash cheaply
    spec.loader.exec_module(fresh)
    assert fresh._hasher.memory_cost >= 47_104 or (fresh._hasher.memory_cost >= 19_456 and fresh._hasher.time_cost >= 2)


# ---- one's own page ----
@pytest.mark.parametrize(
    ("current", "password", "again"),
    [("faux", OTHER_PASSWORD, OTHER_PASSWORD), (PASSWORD, OTHER_PASSWORD, "autre chose"), (PASSWORD, "court", "court"), ("", "", "")],
)
def test_a_password_changes_only_by_who_knows_the_old_one(real: Flask, current: str, password: str, again: str) -> None:
    client = visitor(real)
    response = send(client, "/compte/mot-de-passe", page="/compte", current=current, password=password, again=again)
    assert response.status_code == 422
    assert read(response).one(".error").text.strip()
    assert log_in(real.test_client()).status_code == 303


def test_guessing_the_old_password_from_an_open_session_waits_too(real: Flask) -> None:
    client = visitor(real)
    for _ in range(5):
        send(client, "/compte/mot-de-passe", page="/compte", current="faux", password=OTHER_PASSWORD, again=OTHER_PASSWORD)
    response = send(client, "/compte/mot-de-passe", page="/compte", current=PASSWORD, password=OTHER_PASSWORD, again=OTHER_PASSWORD)
    assert "Trop d'essais" in read(response).text


def test_a_person_changes_their_own_name_and_nothing_else(real: Flask) -> None:
    client = visitor(real)
    send(client, "/compte/nom", page="/compte", name="  Camille   Durand ", is_admin="1", services="dechets", email="x@y.fr")
    with real.app_context():
        user = people.by_email("camille@ville.example")
        assert user is not None
        assert (user.name, user.is_admin, user.services) == ("Camille Durand", False, frozenset())


def test_a_name_is_text_wherever_it_shows(real: Flask) -> None:
    client = visitor(real)
    send(client, "/compte/nom", page="/compte", name="<script>alert(1)</script>")
    for path in ("/", "/compte"):
        assert "<script>alert" not in client.get(path).text


def test_a_person_closes_their_own_sessions_and_nobody_elses(real: Flask) -> None:
    here, elsewhere = visitor(real), visitor(real)
    make_person(real, "Guy", "guy@ville.example")
    other = visitor(real, "guy@ville.example")
    with real.app_context():
        ids = {email: [one.id for one in sessions.of(people.by_email(email))] for email in ("camille@ville.example", "guy@ville.example")}  # type: ignore[arg-type]
    assert send(here, f"/compte/sessions/{ids['guy@ville.example'][0]}/fermer", page="/compte").status_code == 404
    assert other.get("/").status_code == 200
    forms = [one.attributes["action"] for one in read(here.get("/compte")).find("form") if "/sessions/" in one.attributes["action"]]
    assert len(forms) == 1, "one's current session is left by logging out"
    assert send(here, forms[0], page="/compte").status_code == 303
    assert elsewhere.get("/").status_code == 303
    assert here.get("/").status_code == 200


# ---- the demonstration ----
@pytest.fixture
def demonstration(make_app: MakeApp, sample_kb: Path) -> Flask:
    """An application in the demonstration mode."""
    return make_app(sample_kb, model="none")


def switch(client: FlaskClient, role: str, target: str = "/") -> str:
    response = client.post("/demonstration", data={"csrf_token": token_of(client), "role": role, "next": target})
    return str(response.location)


def test_the_demonstration_says_what_it_is_and_asks_for_no_password(demonstration: Flask) -> None:
    client = demonstration.test_client()
    page = read(client.get("/"))
    assert "Mode démonstration" in page.one(".ribbon-demo").text
    assert demo.PEOPLE["agent"][1] in page.one(".menu").text
    assert client.get("/connexion").location == "/"
    assert send(client, "/connexion", page="/", email="a", password="b").status_code == 404


def test_a_real_service_shows_no_banner_and_no_roles(real: Flask) -> None:
    client = visitor(real)
    page = read(client.get("/"))
    assert not page.find(".ribbon-demo")
    assert not [one for one in page.find("button") if one.attributes.get("name") == "role"]
    assert send(client, "/demonstration", page="/", role="admin").status_code == 404
    assert client.get("/administration").status_code == 403


def test_three_roles_are_ready_and_switched_in_the_top_bar(demonstration: Flask) -> None:
    client = demonstration.test_client()
    opened = {}
    for role in ("admin", "editor", "agent"):
        assert switch(client, role, "/articles/") == "/articles/"
        page = read(client.get("/"))
        pressed = [one.attributes["value"] for one in page.find(".menu button") if one.attributes.get("aria-pressed") == "true"]
        assert pressed == [role]
        opened[role] = client.get("/administration").status_code
    assert opened == {"admin": 200, "editor": 403, "agent": 403}
    with demonstration.app_context():
        found = {user.email: user for user in people.search()}
    assert {email for email, _ in demo.PEOPLE.values()} == set(found)
    assert found[demo.PEOPLE["editor"][0]].services == {"dechets", "etat-civil", "urbanisme"}, "the desk's first sample is about waste"


@pytest.mark.parametrize("role", ["", "root", "Admin", "admin "])
def test_no_other_role_is_to_be_had(demonstration: Flask, role: str) -> None:
    client = demonstration.test_client()
    switch(client, role)
    assert client.get("/administration").status_code == 403


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_the_role_switch_never_leads_away(demonstration: Flask, target: str) -> None:
    assert switch(demonstration.test_client(), "agent", target) == "/"


def test_another_site_cannot_switch_the_role(demonstration: Flask) -> None:
    client = demonstration.test_client()
    client.get("/")
    assert client.post("/demonstration", data={"role": "admin"}).status_code == 400
    assert client.get("/administration").status_code == 403


def test_the_people_of_a_demonstration_open_nothing_in_a_real_service(make_app: MakeApp, one_article: OneArticle, tmp_path: Path) -> None:
    kb, url = one_article(), f"sqlite:///{tmp_path / 'shared.sqlite3'}"
    first = make_app(kb, model="none", database_url=url)
    client = first.test_client()
    switch(client, "admin")
    send(client, "/compte/jetons", page="/compte", name="Essai", scopes="read", days="30")
    token = read(client.get("/compte")).one("code.secret").text
    assert first.test_client().get("/api/v1/articles", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    real = make_app(kb, model="none", database_url=url, accounts="on")
    assert real.test_client().get("/api/v1/articles", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert "user create" in real.test_client().get("/connexion").text


def test_a_demonstration_has_a_database_of_its_own(make_app: MakeApp, one_article: OneArticle, tmp_path: Path) -> None:
    kb = one_article()
    addresses = {make_app(kb, model="none", var_dir=tmp_path / "var", accounts=kind).extensions["database"].url for kind in ("demo", "on")}
    assert len(addresses) == 2
