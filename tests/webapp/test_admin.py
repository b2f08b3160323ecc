"""The administrators' pages: people, their roles, their links, every token; there is always an administrator left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import MakeApp
from tests.webapp.people import OTHER_PASSWORD, PASSWORD, Clock, csrf_of, log_in, make_person, send, visitor
from tests.webapp.reading import read, token_of
from webapp import database
from webapp.accounts import people, tokens
from webapp.accounts.errors import AccountError

SERVICES = "dechets: {name: Déchets}\neau: {name: Eau}\n"


@pytest.fixture
def real(make_app: MakeApp, one_article: Callable[..., Path]) -> Flask:
    """An application with accounts: one administrator (1), one agent (2)."""
    app = make_app(one_article(services__yml=SERVICES), accounts="on", model="none")
    make_person(app, "Alix Dupont", "alix@ville.example", is_admin=True)
    make_person(app)
    return app


@pytest.fixture
def admin(real: Flask) -> FlaskClient:
    """The administrator's browser."""
    return visitor(real, "alix@ville.example")


def roles(app: Flask, user_id: int) -> tuple[bool, frozenset[str], bool]:
    with app.app_context():
        user = people.get(user_id)
        return user.is_admin, user.services, user.is_active


# ---- a person's first days ----
def test_a_new_person_sets_their_password_by_a_link_that_works_once(real: Flask, admin: FlaskClient) -> None:
    response = send(
        admin, "/administration/personnes", page="/administration", name="Zoé Petit", email="Zoe@ville.example", services=["dechets"]
    )
    assert response.status_code == 201
    link = read(response).one("code.secret").text
    assert link.startswith("http://localhost/connexion/mot-de-passe/")
    path = link.removeprefix("http://localhost")
    assert roles(real, 3) == (False, {"dechets"}, True)
    assert log_in(real.test_client(), "zoe@ville.example", "").status_code == 422
    newcomer = real.test_client()
    assert "zoe@ville.example" in newcomer.get(path).text
    assert send(newcomer, path, password="court", again="court").status_code == 422
    assert send(newcomer, path, password=PASSWORD, again=OTHER_PASSWORD).status_code == 422
    assert send(newcomer, path, password=PASSWORD, again=PASSWORD).location == "/connexion"
    assert log_in(newcomer, "zoe@ville.example").status_code == 303
    for answer in (real.test_client().get(path), send(real.test_client(), path, password=OTHER_PASSWORD, again=OTHER_PASSWORD)):
        assert answer.status_code == 404
        assert "ne sert plus" in answer.text
    assert link not in admin.get("/administration/personnes/3").text


def link_for(admin: FlaskClient, user_id: int = 2) -> str:
    page = f"/administration/personnes/{user_id}"
    return read(send(admin, f"{page}/lien", page=page)).one("code.secret").text.removeprefix("http://localhost")


def test_a_link_ends_with_its_hours_its_successor_or_its_account(real: Flask, admin: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = link_for(admin), link_for(admin)
    assert [real.test_client().get(path).status_code for path in (first, second)] == [404, 200]
    send(admin, "/administration/personnes/2/etat", page="/administration/personnes/2", active="0")
    assert real.test_client().get(second).status_code == 404
    send(admin, "/administration/personnes/2/etat", page="/administration/personnes/2", active="1")
    assert real.test_client().get(second).status_code == 404, "deactivating burns the link"
    third = link_for(admin)
    clock = Clock()
    monkeypatch.setattr(database, "now", clock)
    clock.move(hours=people.LINK_HOURS + 1)
    assert real.test_client().get(third).status_code == 404


def test_a_link_that_sets_a_password_ends_the_sessions(real: Flask, admin: FlaskClient) -> None:
    agent = visitor(real)
    assert send(real.test_client(), link_for(admin), password=OTHER_PASSWORD, again=OTHER_PASSWORD).status_code == 303
    assert agent.get("/").status_code == 303
    assert log_in(agent).status_code == 422


@pytest.mark.parametrize("secret", ["faux", "x" * 500, "é", "..%2f.."])
def test_a_link_that_is_none_opens_nothing(real: Flask, secret: str) -> None:
    assert real.test_client().get(f"/connexion/mot-de-passe/{secret}").status_code == 404


# ---- people ----
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ["Alix Dupont", "Camille Martin"]), ("mart", ["Camille Martin"]), ("ALIX dup", ["Alix Dupont"]), ("%", []),
        ("alix@", ["Alix Dupont"]),
    ],
)  # fmt: skip
def test_people_are_found_by_name_or_address(admin: FlaskClient, words: str, found: list[str]) -> None:
    page = read(admin.get("/administration", query_string={"q": words}, follow_redirects=True))
    assert [one.text for one in page.find("tbody a")] == found


def test_roles_and_services_are_changed(real: Flask, admin: FlaskClient) -> None:
    page = "/administration/personnes/2"
    assert send(admin, page, page=page, name="Camille Durand", services=["dechets", "eau"]).status_code == 303
    assert roles(real, 2) == (False, {"dechets", "eau"}, True)
    agent = visitor(real)
    assert agent.get("/administration").status_code == 403
    send(admin, page, page=page, name="Camille Durand", is_admin="1")
    assert roles(real, 2) == (True, frozenset(), True)
    assert agent.get("/administration", follow_redirects=True).status_code == 200, "at once, without logging in again"
    assert "Camille Durand" in agent.get("/compte").text


def test_a_service_that_does_not_exist_is_refused_and_nothing_changes(real: Flask, admin: FlaskClient) -> None:
    page = "/administration/personnes/2"
    response = send(admin, page, page=page, name="Autre", services=["dechets", "zorglub"])
    assert response.status_code == 422
    assert "zorglub" in read(response).one(".error").text
    assert roles(real, 2) == (False, frozenset(), True)
    assert "Camille Martin" in admin.get(page).text


def test_a_service_that_left_the_content_stays_until_it_is_taken_away(real: Flask, admin: FlaskClient) -> None:
    with real.app_context():
        people.set_roles(people.get(2), is_admin=False, services={"ancien-service"})
    page = "/administration/personnes/2"
    assert send(admin, page, page=page, name="Camille Martin", services=["ancien-service", "eau"]).status_code == 303
    assert roles(real, 2) == (False, {"ancien-service", "eau"}, True)


@pytest.mark.parametrize(("name", "email"), [("", "a@b.fr"), ("Zoé", "pas-une-adresse"), ("Zoé", "CAMILLE@ville.example")])
def test_a_person_who_cannot_be_made_leaves_the_form_as_it_was(real: Flask, admin: FlaskClient, name: str, email: str) -> None:
    response = send(admin, "/administration/personnes", page="/administration", name=name, email=email, services=["eau"])
    assert response.status_code == 422
    page = read(response)
    assert page.one(".error").text.strip()
    fields = {one.attributes["name"]: one.attributes for one in page.find("#nouveau input")}
    assert (fields["name"]["value"], fields["email"]["value"]) == (name, email)
    assert [one.attributes["value"] for one in page.find("#nouveau input") if "checked" in one.attributes] == ["eau"]


def test_an_address_is_changed_unless_it_is_another_s(real: Flask, admin: FlaskClient) -> None:
    page = "/administration/personnes/2"
    assert send(admin, page, page=page, name="Camille Martin", email="Camille.Durand@ville.example").status_code == 303
    assert log_in(real.test_client(), "camille.durand@ville.example").status_code == 303
    response = send(admin, page, page=page, name="Autre", email="alix@ville.example", is_admin="1")
    assert response.status_code == 422
    assert "a déjà un compte" in response.text
    assert send(admin, page, page=page, name="Autre", email="", is_admin="1").status_code == 422
    assert roles(real, 2) == (False, frozenset(), True)
    assert "Autre" not in read(admin.get(page)).one("h1").text


@pytest.mark.parametrize("path", ["/administration/personnes/{}", "/administration/jetons/{}/revoquer", "/compte/jetons/{}/revoquer"])
def test_a_number_that_no_row_has_is_not_found(admin: FlaskClient, path: str) -> None:
    for number in (2**31, 10**20):
        address = path.format(number)
        answer = admin.get(address) if "personnes" in path else admin.post(address, data={"csrf_token": token_of(admin)})
        assert answer.status_code == 404


def test_someone_who_does_not_exist_is_not_found(admin: FlaskClient) -> None:
    assert admin.get("/administration/personnes/999").status_code == 404
    for path in ("", "/etat", "/lien"):
        assert send(admin, f"/administration/personnes/999{path}", page="/administration").status_code == 404


# ---- always an administrator ----
@pytest.mark.parametrize(("path", "fields"), [("", {"name": "Alix Dupont"}), ("/etat", {"active": "0"})])
def test_the_last_administrator_stays_one(real: Flask, admin: FlaskClient, path: str, fields: dict[str, str]) -> None:
    page = "/administration/personnes/1"
    response = send(admin, page + path, page=page, **fields)
    assert response.status_code == 422
    assert "dernier compte administrateur" in read(response).one(".error").text
    assert roles(real, 1) == (True, frozenset(), True)
    with real.app_context():
        people.set_roles(people.get(2), is_admin=True, services=set())
    assert send(admin, page + path, page=page, **fields).status_code == 303
    assert admin.get("/administration").status_code in (303, 403)


def test_a_deactivated_administrator_does_not_count(real: Flask, admin: FlaskClient) -> None:
    with real.app_context():
        people.set_roles(people.get(2), is_admin=True, services=set())
        people.set_active(people.get(2), False)
        with pytest.raises(AccountError):
            people.set_active(people.get(1), False)


def test_two_administrators_who_demote_each_other_at_once_leave_one(real: Flask) -> None:
    with real.app_context():
        people.set_roles(people.get(2), is_admin=True, services=set())
    start = threading.Barrier(2)
    outcomes = []

    def demote(user_id: int) -> None:
        with real.app_context():
            user = people.get(user_id)
            start.wait()
            try:
                people.set_roles(user, is_admin=False, services=set())
                outcomes.append("done")
            except AccountError:
                outcomes.append("refused")

    threads = [threading.Thread(target=demote, args=(user_id,)) for user_id in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "refused"]
    assert sorted((roles(real, 1)[0], roles(real, 2)[0])) == [False, True]


# ---- tokens ----
def test_an_administrator_sees_and_revokes_every_token(real: Flask, admin: FlaskClient) -> None:
    with real.app_context():
        secret = tokens.create(people.get(2), "Chatbot", ["read"], None)[1]
    page = admin.get("/administration/jetons")
    assert "Chatbot" in page.text
    assert "Camille Martin" in page.text
    assert secret not in page.text
    assert send(admin, "/administration/jetons/1/revoquer", page="/administration/jetons").status_code == 303
    assert real.test_client().get("/api/v1/articles", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    assert send(admin, "/administration/jetons/99/revoquer", page="/administration/jetons").status_code == 404


# ---- other sites ----
@pytest.mark.parametrize("path", ["/personnes", "/personnes/2", "/personnes/2/etat", "/personnes/2/lien", "/jetons/1/revoquer"])
def test_another_site_sends_no_form_of_an_administrator(real: Flask, admin: FlaskClient, path: str) -> None:
    fields = {"name": "X", "email": "x@y.fr", "active": "0", "is_admin": "1"}
    for token in ({}, {"csrf_token": "faux"}, {"csrf_token": csrf_of(real.test_client())}):
        assert admin.post(f"/administration{path}", data=fields | token).status_code == 400
    assert roles(real, 2) == (False, frozenset(), True)


# ---- the demonstration ----
def test_the_pages_work_in_the_demonstration(make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    client = make_app(one_article(services__yml=SERVICES), model="none").test_client()
    client.post("/demonstration", data={"csrf_token": token_of(client), "role": "admin"})
    response = send(client, "/administration/personnes", page="/administration", name="Zoé", email="zoe@ville.example")
    assert response.status_code == 201
    assert "zoe@ville.example" in client.get("/administration", follow_redirects=True).text
