"""What protects every response: who may connect, the content policy, tokens, redirections and caches."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from search.engine import SearchEngine
from tests.conftest import MakeApp, settings_for
from tests.webapp.reading import Page, ask_with, read, token_of

# One request at least for every route; a test below keeps this list whole.
ROUTES: dict[str, tuple[str, str]] = {
    "desk.show": ("GET", "/"),
    "desk.answer": ("POST", "/"),
    "desk.favicon": ("GET", "/favicon.ico"),
    "articles.index": ("GET", "/articles/?q=carte"),
    "articles.show": ("GET", "/articles/dossier-zephyr"),
    "versions.history": ("GET", "/articles/dossier-zephyr/versions"),
    "versions.show": ("GET", "/articles/dossier-zephyr/versions/{head}"),
    "versions.compare": ("GET", "/articles/dossier-zephyr/versions/comparer?de={head}&a={head}"),
    "versions.restore": ("POST", "/articles/dossier-zephyr/versions/{head}/retablir"),
    "versions.archive": ("GET", "/articles/archives"),
    "versions.archived": ("GET", "/articles/archives/accueil/fax"),
    "versions.unarchive": ("POST", "/articles/archives/accueil/fax/retablir"),
    "requests.wrong_answer": ("POST", "/demandes/mauvaise-reponse"),
    "requests.no_answer": ("POST", "/demandes/sans-reponse"),
    "editor.create": ("GET", "/articles/nouveau"),
    "editor.edit": ("GET", "/articles/dossier-zephyr/modifier"),
    "editor.archive": ("GET", "/articles/dossier-zephyr/archiver"),
    "editor.preview": ("POST", "/editeur/apercu"),
    "editor.amend": ("GET", "/propositions/999999/modifier"),
    "editor.solve": ("GET", "/propositions/999999/conflit"),
    "proposals.index": ("GET", "/propositions/"),
    "proposals.show": ("GET", "/propositions/999999"),
    "proposals.comment": ("POST", "/propositions/999999/commenter"),
    "proposals.request_changes": ("POST", "/propositions/999999/demander-modification"),
    "proposals.refuse": ("POST", "/propositions/999999/refuser"),
    "proposals.withdraw": ("POST", "/propositions/999999/retirer"),
    "proposals.settle": ("POST", "/propositions/999999/traiter"),
    "proposals.accept": ("POST", "/propositions/999999/publier"),
    "twins.index": ("GET", "/jumeaux"),
    "reviews.index": ("GET", "/a-relire"),
    "reviews.confirm": ("POST", "/articles/dossier-zephyr/relu"),
    "auth.login_page": ("GET", "/connexion"),
    "auth.log_in": ("POST", "/connexion"),
    "auth.log_out": ("POST", "/deconnexion"),
    "auth.oidc_start": ("GET", "/connexion/oidc"),
    "auth.oidc_return": ("GET", "/connexion/oidc/retour"),
    "auth.password_page": ("GET", "/connexion/mot-de-passe/aucun"),
    "auth.set_password": ("POST", "/connexion/mot-de-passe/aucun"),
    "auth.switch_role": ("POST", "/demonstration"),
    "auth.account": ("GET", "/compte"),
    "auth.change_name": ("POST", "/compte/nom"),
    "auth.change_password": ("POST", "/compte/mot-de-passe"),
    "auth.end_log_in": ("POST", "/compte/sessions/999999/fermer"),
    "auth.create_token": ("POST", "/compte/jetons"),
    "auth.revoke_token": ("POST", "/compte/jetons/999999/revoquer"),
    "admin.people_list": ("GET", "/administration"),
    "admin.create_person": ("POST", "/administration/personnes"),
    "admin.person": ("GET", "/administration/personnes/1"),
    "admin.change_person": ("POST", "/administration/personnes/1"),
    "admin.set_active": ("POST", "/administration/personnes/1/etat"),
    "admin.password_link": ("POST", "/administration/personnes/1/lien"),
    "admin.token_list": ("GET", "/administration/jetons"),
    "admin.revoke_token": ("POST", "/administration/jetons/1/revoquer"),
    "admin.forge": ("GET", "/administration/forge"),
    "admin.synchronise": ("POST", "/administration/forge"),
    "hooks.forge": ("POST", "/hooks/forge"),
    "faq.home": ("GET", "/faq"),
    "faq.service": ("GET", "/faq/service/dechets"),
    "faq.article": ("GET", "/faq/dossier-zephyr"),
    "faq.search_form": ("GET", "/faq/recherche"),
    "faq.search": ("POST", "/faq/recherche"),
    "faq.feed": ("GET", "/faq/feed.xml"),
    "faq.sitemap": ("GET", "/sitemap.xml"),
    "faq.robots": ("GET", "/robots.txt"),
    "public_api.match": ("POST", "/api/public/v1/match"),
    "public_api.search": ("POST", "/api/public/v1/search"),
    "public_api.services": ("GET", "/api/public/v1/services"),
    "public_api.article": ("GET", "/api/public/v1/articles/dossier-zephyr"),
    "public_api.openapi_document": ("GET", "/api/public/v1/openapi.json"),
    "widget.script": ("GET", "/widget.js"),
    "widget.versioned": ("GET", "/widget-{widget}.js"),
    "widget.manifest": ("GET", "/widget.json"),
    "widget.demo": ("GET", "/demo-widget"),
    "api.match": ("POST", "/api/v1/match"),
    "api.search": ("GET", "/api/v1/search?q=carte"),
    "api.list_articles": ("GET", "/api/v1/articles?limit=2"),
    "api.show_article": ("GET", "/api/v1/articles/dossier-zephyr"),
    "api.openapi_document": ("GET", "/api/v1/openapi.json"),
    "health.healthz": ("GET", "/healthz"),
    "health.readyz": ("GET", "/readyz"),
    "set_language": ("POST", "/langue"),
    "static": ("GET", "/static/js/app.js"),
}
# What these answer an agent where the content is only read: nothing is archived in it, an empty question is not sent.
REFUSALS = {"versions.archived": 404, "versions.unarchive": 404, "requests.wrong_answer": 404, "requests.no_answer": 422} | {
    "hooks.forge": 404,  # no secret is shared with a forge
    "twins.index": 403,
    "reviews.confirm": 403,
}
# There is nothing to log in to in the demonstration, and an agent administers nothing.
REFUSALS |= dict.fromkeys((one for one in ROUTES if one.startswith("admin.")), 403)
REFUSALS |= dict.fromkeys(("auth.log_in", "auth.oidc_start", "auth.oidc_return", "auth.password_page", "auth.set_password"), 404)
REFUSALS |= {"auth.change_password": 404, "auth.end_log_in": 404, "auth.revoke_token": 404}
REFUSALS |= {"auth.change_name": 422, "auth.create_token": 422}
# No such proposal; and deciding is for editors.
REFUSALS |= dict.fromkeys(("editor.amend", "editor.solve", "proposals.show", "proposals.comment", "proposals.withdraw"), 404)
REFUSALS |= dict.fromkeys(("proposals.request_changes", "proposals.refuse", "proposals.settle", "proposals.accept"), 403)
PAGES = (
    "/",
    "/?channel=sms",
    "/articles/",
    "/articles/?service=dechets",
    "/articles/?q=carte",
    "/articles/?tag=CNI",
    "/articles/?q=xyzzyplugh",
    "/compte",
    "/connexion/mot-de-passe/aucun",
    "/articles/archives",
    "/articles/dossier-zephyr/versions",
)
# Public pages, the same for everybody: caches may keep them for a while.
SHARED = ("faq.home", "faq.service", "faq.article", "faq.search_form", "faq.feed", "faq.sitemap", "faq.robots")
SHARED += ("public_api.services", "public_api.article")
# The widget, which any page may load: the one of today, the same at an address of its own, and what says which it is.
SCRIPTS = {
    "widget.script": "public, max-age=300, must-revalidate",
    "widget.versioned": "public, max-age=31536000, immutable",
    "widget.manifest": "public, max-age=300, must-revalidate",
}
MESSAGES = ("Où en est mon dossier Zéphyr ?", "Comment inscrire mon enfant à l'école ?", "xyzzy plugh frobozz", "", "a" * 20_001)


def send(client: FlaskClient, endpoint: str) -> TestResponse:
    method, address = ROUTES[endpoint]
    widget = client.get("/widget.json").json["version"]  # type: ignore[index]
    address = address.format(head=client.application.extensions["bible"].store.head(), widget=widget)
    if endpoint in ("api.match", "public_api.match", "public_api.search"):
        return client.post(address, json={"query" if endpoint == "public_api.search" else "message": "carte"})
    data = {"csrf_token": token_of(client), "message": "carte", "language": "fr"} if method == "POST" else None
    return client.open(address, method=method, data=data, buffered=True)


def errors(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, TestResponse]]:
    """Provoke every error, on pages and on the API."""
    yield 400, client.post("/", data={"message": "a"})
    yield 403, client.get("/", headers={"Host": "evil.example"})
    yield 403, client.get("/", environ_base={"REMOTE_ADDR": "192.168.1.20"})
    yield 404, client.get("/nulle-part")
    yield 404, client.get("/static/nulle-part.js")
    yield 404, client.get("/api/v1/nulle-part")
    yield 405, client.delete("/")
    yield 405, client.delete("/api/v1/match")
    yield 413, ask_with(client, "b" * 3_000_000)
    yield 413, ask_with(client, "b" * 30_000)
    yield 415, client.post("/api/v1/match", data="a")
    yield 422, client.post("/api/v1/match", json={})
    yield 422, client.get("/articles/?q=" + "a" * 300)
    monkeypatch.setattr(SearchEngine, "match", lambda *_, **__: 1 / 0)
    yield 500, ask_with(client, "a")
    yield 500, client.post("/api/v1/match", json={"message": "a"})


def assert_protected(response: TestResponse) -> None:
    policy = dict(part.strip().partition(" ")[::2] for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"


# ---- headers and pages ----
def test_every_route_is_in_the_list(app: Flask) -> None:
    assert {rule.endpoint for rule in app.url_map.iter_rules()} == set(ROUTES)


@pytest.mark.parametrize("endpoint", ROUTES)
def test_every_route_is_protected(client: FlaskClient, endpoint: str) -> None:
    response = send(client, endpoint)
    assert response.status_code == REFUSALS.get(endpoint, response.status_code)
    assert response.status_code < 400 or endpoint in REFUSALS
    assert_protected(response)


def test_every_error_is_protected_and_never_kept(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for status, response in errors(client, monkeypatch):
        assert response.status_code == status
        assert_protected(response)
        if "/static/" not in response.request.path:
            assert response.headers["Cache-Control"] == "no-store"


def test_every_error_page_shows_the_way_on(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for status, response in errors(client, monkeypatch):
        if response.mimetype == "text/html" and status not in (413, 422):
            page = read(response)
            assert page.one(".error-code").text == str(status)
            assert {link.attributes["href"] for link in page.find("main a")} == {"/", "/articles/"}
            assert page.one("h1").text.strip()


def assert_no_inline_code(page: Page) -> None:
    for one in page.elements:
        assert not [name for name in one.attributes if name.startswith("on") or name == "style"], one
        assert one.tag != "style"
        if one.tag == "script":
            assert one.attributes["src"].startswith("/static/")
            assert not one.text.strip()
        if one.tag == "link" and one.attributes["rel"] == "stylesheet":
            assert one.attributes["href"].startswith("/static/")
        assert "javascript:" not in "".join(one.attributes.values()).lower()


def test_no_page_holds_inline_code(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    for address in PAGES:
        assert_no_inline_code(read(client.get(address)))
    for message in (*MESSAGES, question):
        assert_no_inline_code(read(ask_with(client, message)))
        assert_no_inline_code(Page(ask_with(client, message, {"X-Bible-Fragment": "1"}).text))
    for slug in ("dossier-zephyr", "standard-mistral", "carte-identite-demande"):
        assert_no_inline_code(read(client.get(f"/articles/{slug}")))
    for _, response in errors(client, monkeypatch):
        if response.mimetype == "text/html":
            assert_no_inline_code(read(response))


# ---- who may connect ----
@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8000", "10.0.0.1", "0.0.0.0",
        "[2001:db8::1]:8000", "localhost@evil.example", "127.0.0.1, evil.example", "", "[::1", "bible",
    ],
)  # fmt: skip
def test_another_name_for_this_machine_is_refused(client: FlaskClient, host: str, question: str) -> None:
    for path in ("/", "/articles/", "/static/js/app.js", "/healthz", "/nulle-part"):
        assert client.get(path, headers={"Host": host}).status_code == 403
    response = client.post("/api/v1/match", json={"message": question}, headers={"Host": host})
    assert response.status_code == 403
    assert response.mimetype == "application/problem+json"


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:8000", "127.0.0.2:80", "[::1]", "[::1]:8000"])
def test_its_own_names_are_accepted(client: FlaskClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("address", ["10.0.0.4", "192.168.1.20", "172.17.0.1", "8.8.8.8", "2001:db8::1", "::ffff:10.0.0.1", "unix"])
def test_another_machine_is_refused(client: FlaskClient, address: str, question: str) -> None:
    for headers in ({}, {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"}):
        for path in ("/", "/articles/dossier-zephyr", "/api/v1/articles", "/readyz", "/static/js/app.js"):
            response = client.get(path, headers=headers, environ_base={"REMOTE_ADDR": address})
            assert response.status_code == 403
    response = client.post("/api/v1/match", json={"message": question}, environ_base={"REMOTE_ADDR": address})
    assert response.status_code == 403
    assert "matches" not in response.text


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_is_accepted(client: FlaskClient, address: str) -> None:
    assert client.get("/", environ_base={"REMOTE_ADDR": address}).status_code == 200


# ---- tokens and cookies ----
@pytest.mark.parametrize("token", [None, "", "faux", "IjEi.aaaa.bbbb"])
@pytest.mark.parametrize("path", ["/", "/langue"])
def test_a_form_without_its_token_gets_a_helpful_page(client: FlaskClient, path: str, token: str | None) -> None:
    token_of(client)
    data = {"message": "Zorglub", "language": "en"} | ({} if token is None else {"csrf_token": token})
    response = client.post(path, data=data)
    assert response.status_code == 400
    assert "rechargez la page" in read(response).one("main").text
    assert "Zorglub" not in response.text


def test_the_token_of_another_visitor_is_refused(app: Flask) -> None:
    stolen = token_of(app.test_client())
    response = app.test_client().post("/", data={"csrf_token": stolen, "message": "a"})
    assert response.status_code == 400


def test_the_cookie_is_for_the_server_alone(client: FlaskClient) -> None:
    cookie = client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Expires" not in cookie


def test_the_key_that_signs_is_made_once_and_private(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, tmp_path / "var", secret_key="")
    key = settings.signing_key()
    assert len(key) >= 32
    assert settings.signing_key() == key
    assert stat.S_IMODE((tmp_path / "var" / "secret_key").stat().st_mode) == 0o600
    assert settings_for(tmp_path, tmp_path / "other", secret_key="").signing_key() != key


# ---- redirections ----
@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example",
        "/\r\n/evil.example", "\t//evil.example", "///evil.example", "http:evil.example", "javascript:alert(1)", "evil.example", "",
        " //evil.example", "/a\r\nSet-Cookie: a=b", "/\x00/evil.example",
    ],
)  # fmt: skip
def test_the_language_switch_never_leads_away(client: FlaskClient, target: str) -> None:
    response = client.post("/langue", data={"csrf_token": token_of(client), "language": "fr", "next": target})
    assert response.status_code == 303
    assert response.location == "/"


@pytest.mark.parametrize("target", ["/", "/articles/", "/articles/?q=carte&service=etat-civil", "/articles/dossier-zephyr", "/a//b"])
def test_the_language_switch_comes_back(client: FlaskClient, target: str) -> None:
    response = client.post("/langue", data={"csrf_token": token_of(client), "language": "fr", "next": target})
    assert response.location == target


# ---- caches ----
@pytest.mark.parametrize("endpoint", [one for one in ROUTES if one not in ("static", *SHARED, *SCRIPTS)])
def test_nothing_but_files_and_public_pages_is_kept(client: FlaskClient, endpoint: str) -> None:
    assert send(client, endpoint).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("endpoint", SHARED)
def test_a_page_that_caches_share_is_nobodys_own(client: FlaskClient, endpoint: str) -> None:
    response = send(client, endpoint)
    assert response.headers["Cache-Control"] == "public, max-age=300, stale-while-revalidate=3600"
    assert "Set-Cookie" not in response.headers
    assert "Cookie" not in response.headers.get("Vary", "")


@pytest.mark.parametrize(("endpoint", "caching"), SCRIPTS.items())
def test_the_widget_is_kept_and_open_to_any_page(client: FlaskClient, endpoint: str, caching: str) -> None:
    response = send(client, endpoint)
    assert response.headers["Cache-Control"] == caching
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("endpoint", [one for one in ROUTES if one not in SCRIPTS])
def test_nothing_else_is_open_to_any_page(client: FlaskClient, endpoint: str) -> None:
    response = client.open(send(client, endpoint).request.path, headers={"Origin": "https://evil.example"}, buffered=True)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_files_are_kept_for_a_year_at_an_address_that_changes_with_them(client: FlaskClient) -> None:
    sheet = next(one for one in read(client.get("/")).find("link") if one.attributes["rel"] == "stylesheet")
    response = client.get(sheet.attributes["href"], buffered=True)
    assert response.status_code == 200
    assert response.cache_control.public
    assert response.cache_control.max_age == 31_536_000
    assert not response.cache_control.no_cache
    for stale in ("/static/css/app.css", "/static/css/app.css?v=old"):
        assert client.get(stale, buffered=True).cache_control.max_age == 0


def test_a_file_that_did_not_change_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/static/js/app.js", buffered=True)
    again = client.get("/static/js/app.js", headers={"If-None-Match": first.headers["ETag"]}, buffered=True)
    assert again.status_code == 304
    assert not again.data


def test_a_module_has_one_address(client: FlaskClient) -> None:
    """At two addresses a module runs twice, and every shortcut is undone as soon as it is done."""
    own = {one.attributes["src"] for one in read(client.get("/")).find("script") if one.attributes.get("type") == "module"}
    assert "/static/js/app.js" in own
    for name in ("desk", "copy"):
        assert '"./app.js"' in client.get(f"/static/js/{name}.js", buffered=True).text


def test_no_file_outside_static_is_served(client: FlaskClient) -> None:
    for path in ("../settings.py", "..%2fsettings.py", "%2e%2e/settings.py", "/etc/passwd", "js/../../settings.py"):
        assert client.get(f"/static/{path}", follow_redirects=True).status_code == 404


def test_two_applications_share_no_session(make_app: MakeApp, one_article: object) -> None:
    kb = one_article()  # type: ignore[operator]
    one, other = make_app(kb, secret_key="one"), make_app(kb, secret_key="other")
    client, stranger = one.test_client(), other.test_client()
    token = token_of(client)
    cookie = client.get_cookie("session")
    assert cookie is not None
    stranger.set_cookie("session", cookie.value)
    assert client.post("/", data={"csrf_token": token, "message": "a"}).status_code == 200
    assert stranger.post("/", data={"csrf_token": token, "message": "a"}).status_code == 400
