"""Public pages that are sent again without Flask: the same answer, to the same callers, for the same content, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, request

from tests.conftest import MakeApp, MakeKb, close
from tests.webapp.planted import BIN, FILES, Planted, planted_in
from webapp import kept_pages

PAGES = ("/faq", "/faq/bac", "/faq/service/dechets", "/faq/recherche", "/faq/feed.xml", "/sitemap.xml", "/robots.txt")
QUERIES = ("", "?embed=1", "?lang=en", "?lang=en&embed=1", "?utm_source=lettre")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Planted]:
    made = planted_in(tmp_path)
    yield made
    close(made.app)


def seen_by(app: Flask) -> list[str]:
    """The paths that reach the application, from now on."""
    paths: list[str] = []
    app.before_request(lambda: paths.append(request.path))
    return paths


@pytest.mark.parametrize("query", QUERIES)
def test_a_page_is_sent_again_byte_for_byte_and_asks_nothing_of_the_application(own: Planted, query: str) -> None:
    seen = seen_by(own.app)
    first = {path: own.client.get(path + query) for path in PAGES}
    held = {path: own.client.get(path + query, headers={"If-None-Match": first[path].headers["ETag"]}) for path in PAGES}
    assert len(seen) == 2 * len(PAGES)
    for path in PAGES:
        again = own.client.get(path + query)
        assert (again.status, again.headers.to_wsgi_list(), again.data) == (
            first[path].status,
            first[path].headers.to_wsgi_list(),
            first[path].data,
        )
        same = own.client.get(path + query, headers={"If-None-Match": first[path].headers["ETag"]})
        assert (same.status_code, same.data, same.headers.to_wsgi_list()) == (304, b"", held[path].headers.to_wsgi_list())
        assert own.client.get(path + query, headers={"If-None-Match": '"another"'}).data == first[path].data
    assert len(seen) == 3 * len(PAGES)


def test_a_query_of_the_address_is_part_of_it(own: Planted) -> None:
    answers = {query: own.client.get(f"/faq/bac{query}") for query in QUERIES * 2}
    assert len({(one.data, one.headers["Content-Security-Policy"]) for one in answers.values()}) == len(QUERIES) - 1


def test_a_change_is_sent_at_once(own: Planted) -> None:
    for words in ("à la mairie", "à la gare"):
        own.client.get("/faq/bac")
        own.publish({"articles/dechets/bac.md": BIN.replace("au dépôt", words)})
        assert words in own.client.get("/faq/bac").text
    own.publish({"articles/dechets/bac.md": BIN.replace('"title"', '"audience": "internal", "title"')})
    assert own.client.get("/faq/bac").status_code == 404
    own.publish({"articles/dechets/bac.md": BIN})
    assert own.client.get("/faq/bac").status_code == 200


def test_only_pages_are_kept(own: Planted) -> None:
    seen = seen_by(own.app)
    own.client.get("/faq")
    for _ in range(2):
        assert own.client.get("/faq/plan-zorglub").status_code == 404
        assert own.client.get("/faq/vieux-bac").status_code == 301
        assert own.client.head("/faq").data == b""
        assert own.client.post("/faq/recherche", data={"question": "Où est mon bac ?"}).status_code == 200
        assert own.client.get("/connexion").status_code == 200
        assert own.client.get("/api/public/v1/services").status_code == 200
    assert len(seen) == 13
    assert {key[1] for key in own.faq.sent} == {"/faq"}


def test_whom_the_guards_refuse_is_refused_a_kept_page(make_app: MakeApp, make_kb: MakeKb) -> None:
    client = make_app(make_kb(FILES)).test_client()
    for _ in range(2):
        assert client.get("/faq").status_code == 200
        assert client.get("/faq", headers={"Host": "evil.example"}).status_code == 403
        assert client.get("/faq", environ_base={"REMOTE_ADDR": "192.168.1.20"}).status_code == 403


def test_the_host_is_the_one_that_the_proxy_says(make_app: MakeApp, make_kb: MakeKb) -> None:
    app = make_app(make_kb(FILES), accounts="on", site_url="https://bible.ville.example", proxies=1)
    client = app.test_client()
    for _ in range(2):
        assert client.get("/faq", headers={"X-Forwarded-Host": "bible.ville.example"}).status_code == 200
        assert client.get("/faq", headers={"X-Forwarded-Host": "evil.example"}).status_code == 403


def test_addresses_that_somebody_invents_do_not_fill_the_memory(own: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_pages, "MAX_KEPT", 10)
    for number in range(25):
        assert own.client.get(f"/faq?x={number}", headers={"Host": f"127.0.0.1:{8000 + number}"}).status_code == 200
        assert len(own.faq.sent) <= 10
    held = len(own.faq.sent)
    assert own.client.get(f"/faq?x={'x' * 300}").status_code == 200
    assert len(own.faq.sent) == held
