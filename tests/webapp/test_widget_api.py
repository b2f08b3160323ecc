"""The public API: whose pages may read it, how often one may ask, that only public answers come out and that no question stays."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from search.engine import SearchEngine
from tests.conftest import MakeApp, MakeKb
from tests.webapp.reading import read
from webapp.rate_limits import Counts
from webapp.settings import SettingsError, load_settings

API = "/api/public/v1"
TOWN = "https://www.ville.example"
OTHER = "https://intranet.ville.example:8443"
ARTICLE = "---\ntitle: {title}\nservice: {service}\nquestions: ['{question}']\n{more}---\n{lead}\n"
KB = {
    "organisation.yml": "name: Testville\nphone: '0100'\nemail: ville@testville.example\n",
    "services.yml": "dechets: {name: Déchets, phone: '0101', hours: le matin}\ncabinet: {name: Cabinet Obsidienne, phone: '0199'}\n"
    "relation-usagers: {name: Accueil, phone: '0102', email: accueil@testville.example, url: 'https://testville.example/accueil'}",
    "articles/dechets/bac.md": ARTICLE.format(
        title="Le bac jaune", service="dechets", question="Où trouver un bac jaune ?", more="aliases: [vieux-bac]\n",
        lead="Le bac **jaune** est au dépôt, voir [[verre]] et [[coffre-onyx]], ou [[coffre-onyx|le coffre]]. "
        "<script>alert(1)</script><img src=x onerror=alert(1)>[x](javascript:alert(1))",
    ),
    "articles/dechets/verre.md": ARTICLE.format(
        title="Le verre <i>cassé</i>", service="dechets", question="Où jeter le verre ?", more="", lead="Au conteneur, {{ service.hours }}."
    ),
    "articles/cabinet/coffre-onyx.md": ARTICLE.format(
        title="Ouvrir le coffre Onyx", service="cabinet", question="Comment ouvrir le coffre Onyx ?",
        more="audience: internal\ntags: [Malachite]\naliases: [vieux-quartz]\n", lead="Le code du coffre Onyx est sous le Jaspe.",
    ),
    "articles/dechets/insulte.md": ARTICLE.format(
        title="Insulte Grenat", service="dechets", question="Bande de clowns grenat", more="kind: advice\n", lead="Restez poli, Grenat.",
    ),
}  # fmt: skip
SECRETS = ("onyx", "obsidienne", "malachite", "jaspe", "quartz", "grenat", "cabinet", "0199")


@pytest.fixture
def kb(make_kb: MakeKb) -> Path:
    """A town with two public answers, an internal one of a service of its own, and an advice."""
    return make_kb(KB)


@pytest.fixture
def site(make_app: MakeApp, kb: Path) -> Iterator[FlaskClient]:
    """A client of a town that lets two origins in."""
    yield make_app(kb, widget_origins=f"{TOWN} {OTHER}", rate_limit="1000/minute").test_client()


def ask(client: FlaskClient, message: str, origin: str | None = None, path: str = "match", **fields: object) -> TestResponse:
    name = "query" if path == "search" else "message"
    return client.post(f"{API}/{path}", json={name: message, **fields}, headers={"Origin": origin} if origin else None)


# ---- what is found ----
def test_a_question_is_answered_by_its_meaning(site: FlaskClient) -> None:
    answer = ask(site, "Où trouver un bac jaune ?").json
    assert answer is not None
    assert answer["answered"]
    assert answer["contact"] is None
    first = answer["results"][0]
    assert set(first) == {"slug", "title", "service", "url", "answer_html"}
    assert (first["slug"], first["title"], first["service"]) == ("bac", "Le bac jaune", "dechets")
    assert first["url"] == "http://127.0.0.1:8000/faq/bac"


def test_an_answer_is_rendered_for_everybody(site: FlaskClient) -> None:
    html = ask(site, "Où trouver un bac jaune ?").json["results"][0]["answer_html"]  # type: ignore[index]
    assert "<strong>jaune</strong>" in html
    assert 'href="http://127.0.0.1:8000/faq/verre"' in html
    assert "le coffre" in html  # the author's words stay
    for part in ("<script", "onerror", "javascript:", "coffre-onyx", "[["):
        assert part not in html
    assert "le matin" in site.get(f"{API}/articles/verre").json["answer_html"]  # type: ignore[index]


@pytest.mark.parametrize("words", ["bac", "ba", "jau", "JAUNE", "bac jau", "bacs", "jaune OR", "jaune*", '"(((jaune', "title:jaune"])
def test_words_are_found_as_they_are_typed(site: FlaskClient, words: str) -> None:
    answer = ask(site, words, path="search").json
    assert answer is not None
    assert [one["slug"] for one in answer["results"]] == ["bac"]


def test_the_asked_service_comes_first(client: FlaskClient) -> None:
    for service in ("etat-civil", "elections"):
        found = ask(client, "carte", path="search", service=service, limit=10).json["results"]  # type: ignore[index]
        assert found[0]["service"] == service
    assert {one["service"] for one in found} > {"elections"}  # preferred, not alone


def test_limit_is_kept(client: FlaskClient) -> None:
    for path in ("match", "search"):
        assert len(ask(client, "carte d'identité", path=path, limit=1).json["results"]) == 1  # type: ignore[index]


@pytest.mark.parametrize("path", ["match", "search"])
@pytest.mark.parametrize("message", ["xyzzy plugh frobozz", "", "   ", "!?"])
def test_nothing_found_says_who_to_ask(site: FlaskClient, message: str, path: str) -> None:
    answer = ask(site, message, path=path).json
    assert answer is not None
    assert (answer["answered"], answer["results"]) == (False, [])
    assert answer["contact"] == {
        "name": "Accueil",
        "phone": "0102",
        "email": "accueil@testville.example",
        "hours": "",
        "url": "https://testville.example/accueil",
    }
    assert ask(site, message, path=path, service="dechets").json["contact"]["name"] == "Déchets"  # type: ignore[index]


def test_the_services_and_their_first_questions(site: FlaskClient) -> None:
    answer = site.get(f"{API}/services").json
    assert answer is not None
    assert (answer["language"], answer["url"]) == ("fr", "http://127.0.0.1:8000/faq")
    [service] = answer["services"]
    assert (service["key"], service["name"], service["count"]) == ("dechets", "Déchets", 2)
    assert service["url"] == "http://127.0.0.1:8000/faq/service/dechets"
    assert [one["slug"] for one in service["articles"]] == ["bac", "verre"]


def test_an_old_address_gives_the_answer(site: FlaskClient) -> None:
    assert site.get(f"{API}/articles/vieux-bac").json["slug"] == "bac"  # type: ignore[index]


def test_a_change_is_seen_at_once(make_app: MakeApp, kb: Path) -> None:
    app = make_app(kb)
    client = app.test_client()
    before = client.get(f"{API}/services")
    assert "Le code" not in before.text
    path = kb / "articles/dechets/bac.md"
    path.write_text(path.read_text().replace("Le bac jaune", "Le bac orange").replace("bac **jaune**", "bac **orange**"))
    app.extensions["bible"].live.refresh()
    after = client.get(f"{API}/services", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert "Le bac orange" in after.text
    assert "orange" in client.get(f"{API}/articles/bac").json["answer_html"]  # type: ignore[index]


# ---- nothing internal comes out ----
def test_nothing_internal_comes_out(site: FlaskClient) -> None:
    asked = [KB[path].split("'")[1] for path in KB if path.endswith(".md")]
    words = [*SECRETS, "coffre", "vieux-quartz", "coffre-onyx", "clowns", *asked]
    responses = [
        ask(site, word, path=path, service=service) for word in words for path in ("match", "search") for service in (None, "cabinet")
    ]
    responses += [site.get(f"{API}/{path}") for path in ("services", "articles/bac", "articles/verre")]
    for response in responses:
        assert response.status_code == 200
        said = (response.text + str(response.headers)).lower()
        assert not [secret for secret in SECRETS if secret in said], response.text


def test_an_internal_answer_looks_like_none(site: FlaskClient) -> None:
    unknown = site.get(f"{API}/articles/inconnu")
    assert unknown.status_code == 404
    assert unknown.mimetype == "application/problem+json"
    for slug in ("coffre-onyx", "vieux-quartz", "insulte"):
        response = site.get(f"{API}/articles/{slug}")
        assert (response.status_code, response.data, list(response.headers)) == (404, unknown.data, list(unknown.headers))


def test_an_internal_article_changes_no_answer(make_app: MakeApp, make_kb: MakeKb) -> None:
    """The order does not tell that there is something else."""
    public = {path: text for path, text in KB.items() if "internal" not in text}
    with_it, without = (make_app(make_kb(files)).test_client() for files in (KB, public))
    for message in ("Où trouver un bac jaune ?", "Où jeter le verre ?"):
        assert [one["slug"] for one in ask(with_it, message).json["results"]] == [
            one["slug"] for one in ask(without, message).json["results"]
        ]  # type: ignore[index]


# ---- whose pages may read it ----
ORIGINS = [
    (TOWN, True),
    (OTHER, True),
    ("http://www.ville.example", False),
    ("https://ville.example", False),
    ("https://www.ville.example:8443", False),
    ("https://intranet.ville.example", False),
    ("https://www.ville.example.evil.example", False),
    ("https://evil.example", False),
    ("https://www.ville.example/", False),
    ("HTTPS://WWW.VILLE.EXAMPLE", False),
    (f"{TOWN} {OTHER}", False),
    ("null", False),
    ("*", False),
    ("", False),
]


@pytest.mark.parametrize(("origin", "is_let_in"), ORIGINS)
def test_origins(site: FlaskClient, origin: str, is_let_in: bool) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = site.options(f"{API}/match", headers=headers)
    answers = [
        ask(site, "bac", origin),
        site.get(f"{API}/services", headers={"Origin": origin}),
        site.post(f"{API}/match", headers=headers),
    ]
    for response in (preflight, *answers):
        assert response.headers.get("Access-Control-Allow-Origin") == (origin if is_let_in else None)
        assert "Origin" in response.vary
        assert "Access-Control-Allow-Credentials" not in response.headers
    assert preflight.status_code == 200
    assert preflight.headers.get("Access-Control-Allow-Headers") == ("Content-Type" if is_let_in else None)
    assert preflight.headers.get("Access-Control-Allow-Methods") == ("GET, POST" if is_let_in else None)


@pytest.mark.parametrize("origin", [TOWN, "https://evil.example", "null"])
def test_nobody_is_let_in_by_default_and_everybody_only_when_said(make_app: MakeApp, kb: Path, origin: str) -> None:
    closed, opened = make_app(kb).test_client(), make_app(kb, widget_origins="*").test_client()
    assert "Access-Control-Allow-Origin" not in ask(closed, "bac", origin).headers
    assert ask(opened, "bac", origin).headers["Access-Control-Allow-Origin"] == "*"


def test_no_other_answer_is_opened(site: FlaskClient) -> None:
    for path in ("/", "/api/v1/articles", "/api/v1/search?q=bac", "/readyz", "/articles/bac"):
        assert "Access-Control-Allow-Origin" not in site.get(path, headers={"Origin": TOWN}).headers


# ---- what may be sent ----
@pytest.mark.parametrize(("path", "limit"), [("match", 1000), ("search", 200)])
@pytest.mark.parametrize("character", ["a", "é", "😀"])
def test_the_longest_question(site: FlaskClient, path: str, limit: int, character: str) -> None:
    for count, status in ((limit, 200), (limit + 1, 413)):
        body = json.dumps({"query" if path == "search" else "message": character * count}, ensure_ascii=True)
        response = site.post(f"{API}/{path}", data=body, content_type="application/json", headers={"Origin": TOWN})
        assert response.status_code == status
        assert response.headers["Access-Control-Allow-Origin"] == TOWN
    assert response.mimetype == "application/problem+json"
    assert str(limit) in response.json["detail"]  # type: ignore[index]


@pytest.mark.parametrize("size", [15_000, 1_000_000, 3_000_000])
def test_a_large_body_is_refused(site: FlaskClient, size: int) -> None:
    response = ask(site, "a" * size)
    assert response.status_code == 413
    assert response.mimetype == "application/problem+json"
    assert "2 Mo" not in response.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": None}, "message"),
        ({"message": ["a"]}, "message"),
        ({"message": "a", "limit": 0}, "limit"),
        ({"message": "a", "limit": 11}, "limit"),
        ({"message": "a", "lang": "de"}, "lang"),
        ({"message": "a", "service": 3}, "service"),
        ({"message": "a", "service": "s" * 101}, "service"),
        ({"message": "a", "channel": "email"}, "channel"),
        ([], ""),
    ],
)
def test_a_body_to_correct_is_located_and_not_quoted(site: FlaskClient, body: object, field: str) -> None:
    response = site.post(f"{API}/match", json=body)
    assert response.status_code == 422
    assert response.mimetype == "application/problem+json"
    assert field in [one["field"] for one in response.json["errors"]]  # type: ignore[index]


@pytest.mark.parametrize("body", ["{", "[" * 2000, "Zorglub", "", "null"])
def test_what_is_not_json_is_refused(site: FlaskClient, body: str) -> None:
    assert site.post(f"{API}/match", data=body, content_type="application/json").status_code == 422
    # A form, which another site may send without asking, is not read.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert site.post(f"{API}/match", data=body or "a", content_type=kind).status_code == 415


def test_half_a_character_is_a_question_too(site: FlaskClient) -> None:
    for path, name in (("match", "message"), ("search", "query")):
        response = site.post(f"{API}/{path}", data=f'{{"{name}": "bac \\ud83d"}}', content_type="application/json")
        assert response.status_code == 200


def test_problems_are_told_in_the_asked_language(site: FlaskClient) -> None:
    details = {lang: ask(site, "a" * 1001, lang=lang).json["detail"] for lang in ("fr", "en")}  # type: ignore[index]
    assert "question" in details["fr"]
    assert details["fr"] != details["en"]


@pytest.mark.parametrize("path", ["match", "search"])
def test_a_question_travels_in_a_body_only(site: FlaskClient, path: str) -> None:
    assert site.get(f"{API}/{path}?message=bac&query=bac").status_code == 405
    assert site.post(f"{API}/{path}?message=bac&query=bac", json={}).status_code == 422


# ---- how often one may ask ----
def test_who_asks_too_often_waits(make_app: MakeApp, kb: Path) -> None:
    client = make_app(kb, widget_origins=TOWN, rate_limit="3/minute").test_client()
    for path in ("match", "match", "search"):
        assert ask(client, "bac", TOWN, path=path).status_code == 200
    response = ask(client, "bac", TOWN)
    assert response.status_code == 429
    assert response.mimetype == "application/problem+json"
    assert response.json["status"] == 429  # type: ignore[index]
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["Access-Control-Allow-Origin"] == TOWN  # or the page could not read it
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
    # What is the same for everybody is not counted, nor are the browser's own questions.
    for _ in range(5):
        assert client.get(f"{API}/services").status_code == 200
        assert client.options(f"{API}/match", headers={"Origin": TOWN}).status_code == 200
    # Somebody else may ask.
    other = client.post(f"{API}/match", json={"message": "bac"}, environ_base={"REMOTE_ADDR": "127.0.0.9"})
    assert other.status_code == 200


def test_the_form_of_the_page_counts_with_it_and_keeps_the_question(make_app: MakeApp, kb: Path) -> None:
    client = make_app(kb, widget_origins=TOWN, rate_limit="3/minute").test_client()
    for path in ("match", "search"):
        assert ask(client, "bac", TOWN, path=path).status_code == 200
    assert client.post("/faq/recherche", data={"question": "où jeter le verre ?"}).status_code == 200
    response = client.post("/faq/recherche?embed=1", data={"question": "où jeter le verre ?"})
    assert response.status_code == 429
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert TOWN in response.headers["Content-Security-Policy"]  # the frame shows it
    page = read(response)
    assert "attendez un instant" in page.one(".notice").text
    assert page.one("#question").attributes["value"] == "où jeter le verre ?"
    assert ask(client, "bac", TOWN).status_code == 429
    assert client.get("/faq/recherche").status_code == 200


def test_a_subscriber_is_one_caller_whatever_the_address(make_app: MakeApp, kb: Path) -> None:
    client = make_app(kb, rate_limit="2/minute", accounts="on").test_client()

    def asked_from(address: str) -> int:
        return client.post(f"{API}/match", json={"message": "bac"}, environ_base={"REMOTE_ADDR": address}).status_code

    assert [asked_from(f"2001:db8:0:1::{n}") for n in range(1, 5)] == [200, 200, 429, 429]
    assert asked_from("2001:db8:0:2::1") == 200
    # The same machine, as IPv4 and as IPv6 writes it.
    assert [asked_from(one) for one in ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7")] == [200, 200, 429]


def test_the_limit_is_sixty_a_minute_unless_set(make_app: MakeApp, kb: Path) -> None:
    client = make_app(kb).test_client()
    assert [ask(client, "bac", path="search").status_code for _ in range(61)] == [200] * 60 + [429]


def test_counting_starts_no_thread_and_forgets_who_asked_a_minute_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counts()
    counts.timer.join()
    threads, start = threading.active_count(), time.time()
    assert [counts.incr("somebody", 10) for _ in range(3)] == [1, 2, 3]
    assert threading.active_count() <= threads  # those of other tests may end
    monkeypatch.setattr(time, "time", lambda: start + 30)
    assert counts.incr("another", 60) == 1
    assert set(counts.storage) == {"somebody", "another"}
    monkeypatch.setattr(time, "time", lambda: start + 70)
    assert counts.incr("another", 60) == 2
    assert set(counts.storage) == set(counts.expirations) == {"another"}
    monkeypatch.setattr(time, "time", lambda: start + 91)
    assert counts.incr("another", 60) == 1


def test_the_agents_own_api_is_not_limited(make_app: MakeApp, kb: Path) -> None:
    client = make_app(kb, rate_limit="1/minute").test_client()
    assert [client.post("/api/v1/match", json={"message": "bac"}).status_code for _ in range(3)] == [200] * 3


def test_a_shared_count_that_is_down_stops_nobody(make_app: MakeApp, kb: Path) -> None:
    client = make_app(kb, rate_limit="2/minute", rate_limit_storage="redis://127.0.0.1:1/0").test_client()
    assert [ask(client, "bac").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("name", "value"),
    [("rate_limit", "souvent"), ("rate_limit", ""), ("rate_limit_storage", "memcached://a"), ("rate_limit_storage", "")],
)
def test_a_limit_that_cannot_work_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"BIBLE_{name.upper()}"):
        load_settings(**{name: value})


# ---- caches, cookies and logs ----
def test_lists_are_cached_and_answers_to_questions_never(site: FlaskClient) -> None:
    for path in ("services", "articles/bac"):
        response = site.get(f"{API}/{path}")
        assert response.cache_control.public
        assert response.cache_control.max_age == 300
        again = site.get(f"{API}/{path}", headers={"If-None-Match": response.headers["ETag"], "Origin": TOWN})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["Access-Control-Allow-Origin"] == TOWN
    for path in ("match", "search"):
        assert ask(site, "bac", path=path).headers["Cache-Control"] == "no-store"


def test_no_cookie_is_read_or_set(app: Flask) -> None:
    client = app.test_client()
    client.get("/")
    for response in (ask(client, "carte"), client.get(f"{API}/services"), ask(client, "carte", path="search"), ask(client, "a" * 1001)):
        assert "Set-Cookie" not in response.headers
        assert "Cookie" not in response.vary


def test_no_question_is_logged(site: FlaskClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.DEBUG)
    for path in ("match", "search"):
        ask(site, "Zorglub habite rue des Lilas", path=path)
        ask(site, "Zorglub " * 200, path=path)
        ask(site, "Zorglub", path=path, limit=0)
        site.post(f"{API}/{path}", data="Zorglub", content_type="application/json")
    monkeypatch.setattr(SearchEngine, "match", lambda *_, **__: {}["Zorglub"])  # type: ignore[misc]
    response = ask(site, "Zorglub")
    assert response.status_code == 500
    assert "Zorglub" not in caplog.text + response.text
    assert "KeyError" in caplog.text


# ---- its description ----
def test_the_api_is_described(site: FlaskClient) -> None:
    document = site.get(f"{API}/openapi.json").json
    assert document is not None
    validate(document)
    rules = {
        rule.rule.removeprefix(API).replace("<", "{").replace(">", "}")
        for rule in site.application.url_map.iter_rules()
        if rule.rule.startswith(API)
    }
    assert set(document["paths"]) == rules - {"/openapi.json"}
    assert set(document["components"]["schemas"]["PublicAnswers"]["properties"]) == set(ask(site, "bac").json or {})
    for path in document["paths"].values():
        for operation in path.values():
            assert not {"401", "403"} & set(operation["responses"])
