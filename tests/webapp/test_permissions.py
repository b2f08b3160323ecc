"""Who may call what: every route, by every role, as ``ACCESS`` says; nothing that is not listed; no call from another site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter
from werkzeug.test import TestResponse

from tests.conftest import EXTRA, MakeApp, close, copy_sample, settings_for
from tests.webapp.people import csrf_of, make_person, visitor
from webapp import create_app
from webapp.permissions import ACCESS, Role, scope_of

OneArticle = Callable[..., Path]
PEOPLE = {
    Role.AGENT: {"email": "agent@ville.example"},
    Role.EDITOR: {"email": "redaction@ville.example", "services": {"dechets"}},
    Role.ADMIN: {"email": "admin@ville.example", "is_admin": True},
}
REFUSED = ("Cette page est réservée", "ouverte à personne")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An application with accounts, one person of each role."""
    folder = tmp_path_factory.mktemp("permissions")
    content = copy_sample(folder / "kb")
    for relative, words in EXTRA.items():
        (content / relative).write_text(words, encoding="utf-8")
    app = create_app(settings_for(content, folder / "var", accounts="on", model="none"))
    for who in PEOPLE.values():
        make_person(app, "Camille Martin", **who)  # type: ignore[arg-type]
    yield app
    close(app)


@pytest.fixture(scope="module")
def cookies(real: Flask) -> dict[Role, str]:
    """The session cookie of each person, logged in once."""
    found = {}
    for role, who in PEOPLE.items():
        cookie = visitor(real, str(who["email"])).get_cookie("session")
        assert cookie is not None
        found[role] = cookie.value
    return found


def client_of(app: Flask, cookies: dict[Role, str], role: Role) -> FlaskClient:
    client = app.test_client()
    if role in cookies:
        client.set_cookie("session", cookies[role])
    return client


def address_of(app: Flask, endpoint: str) -> str:
    """An address of the endpoint, of something that does not exist, so that no call changes anything."""
    rule = next(app.url_map.iter_rules(endpoint))
    values = {name: 999_999 if isinstance(kind, IntegerConverter) else "nulle-part" for name, kind in rule._converters.items()}
    return str(app.url_map.bind("localhost").build(endpoint, values))


def call(app: Flask, client: FlaskClient, endpoint: str, method: str) -> TestResponse:
    headers = {"X-CSRFToken": csrf_of(client)} if method == "POST" else {}  # as good as the form's own field
    return client.open(address_of(app, endpoint), method=method, headers=headers, buffered=True)


def is_refused(response: TestResponse) -> bool:
    to_log_in = response.status_code == 303 and (response.location or "").startswith("/connexion?")
    return response.status_code == 401 or to_log_in or (response.status_code == 403 and any(words in response.text for words in REFUSED))


def test_every_endpoint_has_its_role(real: Flask) -> None:
    assert {rule.endpoint for rule in real.url_map.iter_rules()} == set(ACCESS)


@pytest.mark.parametrize("role", Role, ids=lambda role: role.name.lower())
@pytest.mark.parametrize("endpoint", ACCESS)
def test_every_role_calls_what_it_may_and_nothing_else(real: Flask, cookies: dict[Role, str], endpoint: str, role: Role) -> None:
    if endpoint == "auth.log_out" and role is not Role.PUBLIC:
        return  # it would log the shared person out; test_login has it
    methods = {method for rule in real.url_map.iter_rules(endpoint) for method in rule.methods or ()} & {"GET", "POST"}
    assert methods
    for method in methods:
        response = call(real, client_of(real, cookies, role), endpoint, method)
        assert response.status_code < 500 or response.status_code == 503, (method, response.status_code)
        assert is_refused(response) == (role < ACCESS[endpoint]), (method, response.status_code, response.location)


@pytest.mark.parametrize("endpoint", [one for one, role in ACCESS.items() if role is not Role.PUBLIC and not one.startswith("api.")])
def test_a_stranger_is_led_to_the_log_in_and_back(real: Flask, endpoint: str) -> None:
    rule = next(real.url_map.iter_rules(endpoint))
    if "GET" in (rule.methods or ()):
        for method in ("GET", "HEAD"):
            response = real.test_client().open(address_of(real, endpoint), method=method)
            assert response.status_code == 303
            assert response.location == f"/connexion?next={quote(address_of(real, endpoint))}"


def test_an_endpoint_that_nobody_listed_is_closed_to_all(real: Flask, cookies: dict[Role, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ACCESS, "articles.index")
    for role in Role:
        response = client_of(real, cookies, role).get("/articles/")
        assert response.status_code == 403
        assert "ouverte à personne" in response.text


def test_an_address_that_does_not_exist_is_a_404_for_all(real: Flask, cookies: dict[Role, str]) -> None:
    for role in Role:
        assert client_of(real, cookies, role).get("/nulle-part").status_code == 404


def test_the_page_of_a_stranger_offers_no_article(real: Flask) -> None:
    for path in ("/connexion", "/nulle-part"):
        page = real.test_client().get(path).text
        assert "palette-list" not in page
        assert "topsearch" not in page
    assert "palette-list" in visitor(real, "agent@ville.example").get("/").text


def test_only_administrators_see_the_way_to_administration(real: Flask, cookies: dict[Role, str]) -> None:
    for role in (Role.AGENT, Role.EDITOR, Role.ADMIN):
        assert ('href="/administration' in client_of(real, cookies, role).get("/").text) == (role is Role.ADMIN)


# ---- the API with a person's cookie ----
def test_the_api_knows_a_person_by_their_session(real: Flask, cookies: dict[Role, str]) -> None:
    client = client_of(real, cookies, Role.AGENT)
    assert client.get("/api/v1/search?q=carte").status_code == 200
    token = csrf_of(client, "/")
    assert client.post("/api/v1/match", json={"message": "carte"}).status_code == 400
    assert client.post("/api/v1/match", json={"message": "carte"}, headers={"X-CSRFToken": "faux"}).status_code == 400
    assert client.post("/api/v1/match", json={"message": "carte"}, headers={"X-CSRFToken": token}).status_code == 200


def test_a_stranger_of_the_api_is_told_how_to_come_in(real: Flask) -> None:
    for response in (real.test_client().get("/api/v1/articles"), real.test_client().post("/api/v1/match", json={"message": "a"})):
        assert response.status_code == 401
        assert response.mimetype == "application/problem+json"
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert "Mon compte" in response.json["detail"]  # type: ignore[index]


def test_the_script_of_the_desk_gets_no_page_of_log_in(real: Flask) -> None:
    client = real.test_client()
    fields = {"csrf_token": csrf_of(client), "message": "carte"}
    assert client.post("/", data=fields, headers={"X-Bible-Fragment": "1"}).status_code == 401


def test_a_form_that_is_sent_too_late_says_so(real: Flask) -> None:
    client = real.test_client()
    response = client.post("/", data={"csrf_token": csrf_of(client), "message": "Zorglub"}, follow_redirects=True)
    assert "n'a pas été enregistré" in response.text
    assert "Zorglub" not in response.text + response.request.url


@pytest.mark.parametrize(
    ("endpoint", "method", "scope"),
    [("api.match", "POST", "match"), ("api.search", "GET", "read"), ("api.search", "HEAD", "read"), ("api.unheard_of", "POST", None)],
)
def test_the_scope_of_a_call(endpoint: str, method: str, scope: str | None) -> None:
    assert scope_of(endpoint, method) == scope


# ---- from where ----
def test_with_accounts_any_machine_may_connect_under_the_services_own_name(make_app: MakeApp, one_article: OneArticle) -> None:
    app = make_app(one_article(), accounts="on", model="none", site_url="https://bible.ville.example")
    client = app.test_client()
    away = {"REMOTE_ADDR": "203.0.113.9"}
    for host, status in {
        "bible.ville.example": 200,
        "BIBLE.ville.example:443": 200,
        "evil.example": 403,
        "": 403,
        "localhost": 200,
    }.items():
        assert client.get("/connexion", headers={"Host": host}, environ_base=away).status_code == status, host
    answer = app.test_client().get("/connexion", headers={"Host": "bible.ville.example"}, base_url="https://bible.ville.example")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_without_a_name_of_its_own_the_service_answers_to_this_machines(make_app: MakeApp, one_article: OneArticle) -> None:
    client = make_app(one_article(), accounts="on", model="none").test_client()
    assert client.get("/connexion", headers={"Host": "evil.example"}).status_code == 403
    assert "Strict-Transport-Security" not in client.get("/connexion").headers


@pytest.mark.parametrize(("proxies", "seen"), [(0, "10.0.0.1"), (1, "198.51.100.7"), (2, "192.0.2.66")])
def test_only_the_proxies_that_were_named_are_believed(make_app: MakeApp, one_article: OneArticle, proxies: int, seen: str) -> None:
    app = make_app(one_article(), accounts="on", model="none", site_url="https://bible.ville.example", proxies=proxies)
    found: list[str | None] = []
    app.before_request_funcs[None].insert(0, lambda: found.append(request.remote_addr))
    headers = {"X-Forwarded-For": "203.0.113.1, 192.0.2.66, 198.51.100.7", "Host": "bible.ville.example"}
    app.test_client().get("/connexion", headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.1"})
    assert found == [seen]
