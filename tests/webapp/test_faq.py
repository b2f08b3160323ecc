"""The public pages: what they show, how they are kept, and that nothing internal shows through any public address."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import ValidationError
from werkzeug.test import TestResponse

from kb.errors import StoreError
from kb.live_log import LiveLog
from kb.proposals import Proposals
from tests.conftest import MakeApp, MakeKb, close, settings_for
from tests.webapp.planted import (
    AUTHOR,
    BASE,
    BIN,
    FILES,
    GLASS,
    INTERNAL,
    SECRETS,
    Planted,
    article,
    planted_in,
)
from tests.webapp.reading import Element, Page, read
from webapp import public
from webapp.permissions import ACCESS, Role
from webapp.public import is_public_path
from webapp.routes import faq
from webapp.routes.faq import ATOM, SITEMAP


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """Shared: tests only read from it."""
    made = planted_in(tmp_path_factory.mktemp("planted"))
    yield made
    close(made.app)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Planted]:
    """One that the test may change."""
    made = planted_in(tmp_path)
    yield made
    close(made.app)


# ---- nothing internal ----
NAMES = (
    "plan-zorglub", "vieux-zorglub", "conseil-mandragore", "nom-tarasque", "axolotl", "casse", "cabinet-vertigo", "vieille-echidne",
    "zorglub", "nulle-part", "bac", "vieux-bac", "verre", "ouvert", "vitrine", "dechets", "a" * 300, "é", "..", "%2e%2e%2fetc",
)  # fmt: skip
SENTENCES = (
    "Où est le quetzal secret du plan Zorglub ?",
    "Sale salamandre !",
    "brimborion",
    "Où est mon bac vert ?",
    "wisigoth",
    "axolotl",
)
QUERIES = ("", "?embed=1", "?lang=en", "?lang=en&embed=1")


def public_rules(app: Flask) -> list[Any]:
    return [rule for rule in app.url_map.iter_rules() if ACCESS[rule.endpoint] is Role.PUBLIC]


def addresses(app: Flask) -> Iterator[tuple[str, str]]:
    """Every public address and method, with every name in every place."""
    for rule in public_rules(app):
        for name in NAMES if rule.arguments else ("",):
            address = re.sub(r"<[^>]+>", lambda _, name=name: quote(name, safe="%"), rule.rule)
            for method in sorted(rule.methods & {"GET", "HEAD", "POST"}):
                yield method, address


def told(response: TestResponse) -> str:
    """All that a response says: its body and its headers, the cookie aside, which is random."""
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers if name != "Set-Cookie")
    return (
        f"{response.status}\n{headers}\n{response.get_data().decode(errors='replace')}".casefold().replace("é", "e").replace("\\u00e9", "e")
    )


def leaked(response: TestResponse, *asked: str) -> list[str]:
    text = told(response)
    for words in asked:  # a page may repeat what it was asked
        for form in (words, quote(words), words.replace("'", "&#39;")):
            text = text.replace(form.casefold().replace("é", "e"), "")
    return [secret for secret in SECRETS if secret in text]


def test_no_public_address_tells_a_secret(planted: Planted) -> None:
    client = planted.client
    seen = set()
    for method, address in addresses(planted.app):
        name = address.rsplit("/", 1)[-1]
        for query in QUERIES if is_public_path(address) else ("",):
            response = client.open(address + query, method=method, buffered=True)
            assert response.status_code < 500
            assert leaked(response, *() if is_public_path(address) else (name,)) == [], (method, address + query)
            seen.add(response.status_code)
    assert {200, 301, 404} <= seen


def test_no_question_finds_a_secret(planted: Planted) -> None:
    client = planted.client
    for rule in public_rules(planted.app):
        if "POST" in rule.methods and is_public_path(rule.rule) and not rule.arguments:
            for sentence in (*SENTENCES, *SECRETS):
                for body in ({"data": {"question": sentence}}, {"json": {"message": sentence}}, {"json": {"query": sentence}}):
                    response = client.post(rule.rule, **body)  # type: ignore[arg-type]
                    assert leaked(response, sentence) == [], (rule.rule, sentence)


def test_the_secrets_are_there_to_be_found(planted: Planted) -> None:
    """Were they not, the tests above would prove nothing."""
    log = subprocess.run(["git", "log", "--all", "--patch"], cwd=planted.store.folder, check=True, capture_output=True, text=True).stdout
    files = "".join(path.read_text(encoding="utf-8") for path in planted.store.folder.rglob("*.md"))
    assert [one for one in SECRETS if one not in (log + files).casefold()] == []
    assert planted.app.extensions["bible"].engine.match(SENTENCES[0]).matches[0].slug == "plan-zorglub"
    assert "Plan Zorglub" in planted.agent.get("/articles/plan-zorglub").text


HIDDEN = [
    "plan-zorglub",
    "vieux-zorglub",
    "conseil-mandragore",
    "nom-tarasque",
    "axolotl",
    "casse",
    "vieille-echidne",
    "ouvert.md",
    "a" * 300,
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_what_is_internal_is_unknown_to_the_byte(planted: Planted, method: str, query: str) -> None:
    def answer(path: str) -> tuple[int, list[tuple[str, str]], bytes]:
        response = planted.client.open(f"/faq/{path}{query}", method=method)
        return response.status_code, list(response.headers), response.data

    unknown = answer("nulle-part")
    assert unknown[0] == (405 if method == "POST" else 404)
    for slug in HIDDEN:
        assert answer(slug) == unknown, slug
    for key in ("cabinet-vertigo", "", "nulle/part"):
        assert answer(f"service/{key or 'relation-usagers'}") == answer("service/nulle-part"), key


def test_what_becomes_internal_goes_at_once(own: Planted) -> None:
    assert own.client.get("/faq/verre").status_code == 200
    own.publish({"articles/dechets/verre.md": GLASS.replace('"title"', '"audience": "internal", "title"')})
    assert own.client.get("/faq/verre").data == own.client.get("/faq/nulle-part").data
    for path in ("/faq", "/faq/service/dechets", "/faq/bac", "/faq/feed.xml", "/sitemap.xml"):
        assert "verre" not in own.client.get(path).text.casefold().replace("/faq/verre-", ""), path


def test_a_link_to_a_hidden_article_keeps_the_sentence(planted: Planted) -> None:
    lead = read(planted.client.get("/faq/bac")).one(".lead")
    assert " ".join(lead.text.split()) == "Le bac vert est au dépôt. Voir Propreté ou la fiche du guichet, et Jeter le verre."
    page = read(planted.client.get("/faq/bac"))
    assert [one.attributes["href"] for one in page.find(".lead a")] == ["/faq/verre"]
    assert [one.text for one in page.find("section") if "Voir aussi" in one.text] == [
        one.text for one in page.find("section") if "Jeter le verre" in one.text and "Propreté" not in one.text
    ]


def test_hidden_articles_neither_answer_nor_crowd_out(make_app: MakeApp, make_kb: MakeKb) -> None:
    same = "Le bac vert se demande au dépôt."
    files = {f"articles/dechets/note-{n}.md": article("Demander un bac vert", same, audience="internal") for n in range(40)}
    files["articles/dechets/bac.md"] = article("Un bac vert", "On le demande au dépôt.", questions=["Où demander un bac vert ?"])
    engine = make_app(make_kb(files)).extensions["bible"].engine
    assert engine.match("Demander un bac vert").matches[0].slug.startswith("note-")
    found = engine.match("Demander un bac vert", public_only=True)
    assert [match.slug for match in found.matches] == ["bac"]
    assert found.advice is None


# ---- pages ----
def test_the_front_page_counts_and_lists_public_services_alone(planted: Planted) -> None:
    page = read(planted.client.get("/faq"))
    assert [" ".join(one.text.split()) for one in page.find(".services li")] == ["Propreté 4 réponses"]
    assert {" ".join(one.text.split()) for one in page.find(".answers summary")} == {
        "Demander un bac", "Jeter le verre", "Ouvert au public", "Vitrine",
    }  # fmt: skip


def test_a_service_lists_its_articles_by_title_with_its_contact(planted: Planted) -> None:
    page = read(planted.client.get("/faq/service/dechets"))
    assert page.one("h1").text == "Propreté"
    assert [one.text for one in page.find("summary")] == ["Demander un bac", "Jeter le verre", "Ouvert au public", "Vitrine"]
    contact = page.one("address.contact").text
    for words in ("01 02", "dechets@ville.example", "le matin", "1 rue Haute"):
        assert words in contact


def test_an_article_says_who_when_and_from_where(planted: Planted) -> None:
    page = read(planted.client.get("/faq/bac"))
    assert page.one("h1").text == "Demander un bac"
    assert "Au dépôt : 01 02." in page.text
    assert "1 mars 2026" in page.text
    links = {one.attributes["href"] for one in page.find("main a")}
    assert {"https://loi.example", "tel:0102", "mailto:dechets@ville.example", "/faq", "/faq/service/dechets", "/faq/verre"} <= links
    assert [one.attributes["href"] for one in page.find(".neighbours a")] == ["/faq/verre"]
    assert [one.attributes["href"] for one in read(planted.client.get("/faq/verre")).find(".neighbours a")] == ["/faq/bac", "/faq/ouvert"]


def metas(page: Page) -> dict[str, str]:
    return {
        one.attributes.get("name") or one.attributes.get("property", ""): one.attributes.get("content", "") for one in page.find("meta")
    }


@pytest.mark.parametrize(
    ("path", "address", "title", "kind"),
    [
        ("/faq", BASE, "Questions fréquentes", "website"),
        ("/faq/service/dechets?lang=en", f"{BASE}/service/dechets", "Propreté", "website"),
        ("/faq/bac?embed=1", f"{BASE}/bac", "Demander un bac", "article"),
    ],
)
def test_a_page_says_what_it_is_to_engines_and_networks(planted: Planted, path: str, address: str, title: str, kind: str) -> None:
    page = read(planted.client.get(path))
    canonical = next(one for one in page.find("link") if one.attributes["rel"] == "canonical")
    found = metas(page)
    assert canonical.attributes["href"] == found["og:url"] == address
    assert (found["og:title"], found["og:type"], found["og:site_name"], found["og:locale"]) == (title, kind, "Ville d'Essai", "fr_FR")
    assert found["description"] == found["og:description"]
    assert found["description"].strip()
    assert page.one("title").text.endswith("Ville d'Essai")


def test_an_old_public_address_redirects_for_ever_and_keeps_its_frame(planted: Planted) -> None:
    for query in QUERIES:
        response = planted.client.get(f"/faq/vieux-bac{query}")
        assert (response.status_code, response.location) == (301, f"/faq/bac{query}")
        assert "Set-Cookie" not in response.headers


def test_a_renamed_public_article_redirects_and_stays_one_entry(own: Planted) -> None:
    own.publish(
        {"articles/dechets/verre.md": None, "articles/dechets/bouteilles.md": GLASS.replace('"title"', '"aliases": ["verre"], "title"')}
    )
    assert own.client.get("/faq/verre").location == "/faq/bouteilles"
    [entry] = [one for one in entries(own.client) if text_of(one, "title") == "Jeter le verre"]
    assert text_of(entry, "id") == f"{BASE}/verre"
    assert links_of(entry) == {"alternate": f"{BASE}/bouteilles"}
    assert [change.kind for change in own.faq.changes(own.faq.articles["bouteilles"])] == ["published"], "a new name is no new text"


HOSTILE = """</script><script>alert(1)</script>"'<img src=x onerror=alert(1)>&amp;{{ 7*7 }}"""


def test_a_hostile_text_is_shown_as_it_is(make_app: MakeApp, make_kb: MakeKb) -> None:
    kb = make_kb(
        {
            "services.yml": f"piege: {{name: {json.dumps(HOSTILE)}, url: 'javascript:alert(1)'}}\n",
            "organisation.yml": f"name: {json.dumps(HOSTILE)}\nurl: https://ville.example\n",
            "articles/piege/un.md": article(
                HOSTILE,
                "Lire <script>alert(1)</script> [ici](javascript:alert(1)).",
                sources=[{"title": HOSTILE, "url": "javascript:alert(1)"}],
            ),
            "articles/piege/deux.md": article(HOSTILE + "\u2028\x08", "Deux.", see_also=["un"]),
        }
    )
    client = make_app(kb).test_client()
    for path in ("/faq", "/faq/service/piege", "/faq/un", "/faq/deux", "/faq/recherche"):
        response = client.get(path)
        assert response.status_code == 200
        page = read(response)
        scripts = page.find("script")
        assert all(one.attributes.get("type") == "application/ld+json" for one in scripts)
        assert not [one for one in page.elements if any(name.startswith("on") or name == "style" for name in one.attributes)]
        assert not [one for one in page.find("a") if one.attributes.get("href", "").startswith("javascript")]
        for one in scripts:
            assert "<" not in one.text
            json.loads(one.text)
    assert read(client.get("/faq/un")).one("h1").text == HOSTILE
    assert HOSTILE in {text_of(entry, "title") for entry in entries(client, dated=False)} or client.get("/faq/feed.xml").status_code == 200
    ET.fromstring(client.get("/sitemap.xml").data)


def test_a_question_is_answered_from_the_public_articles(planted: Planted) -> None:
    response = planted.client.post("/faq/recherche", data={"question": "Où est mon bac ?"})
    page = read(response)
    assert page.find("summary")[0].text == "Demander un bac"
    assert "open" in page.find("details")[0].attributes
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers


def test_no_answer_is_said_with_whom_to_ask(planted: Planted) -> None:
    page = read(planted.client.post("/faq/recherche", data={"question": "xyzzy plugh frobozz"}))
    assert "Aucune réponse" in page.text
    assert "accueil@ville.example" in page.one("address.contact").text
    assert page.find("details") == []


@pytest.mark.parametrize(("question", "status", "words"), [("", 200, "Écrivez"), ("   ", 200, "Écrivez"), ("a" * 1001, 413, "trop longue")])
def test_a_question_that_cannot_be_read(planted: Planted, question: str, status: int, words: str) -> None:
    response = planted.client.post("/faq/recherche", data={"question": question})
    assert response.status_code == status
    assert words in read(response).text


def test_a_question_is_never_in_an_address(planted: Planted) -> None:
    for path in ("/faq", "/faq/service/dechets", "/faq/recherche"):
        form = read(planted.client.get(path)).one("form.ask")
        assert (form.attributes["method"], form.attributes["action"]) == ("post", "/faq/recherche")
    empty = planted.client.get("/faq/recherche")
    assert planted.client.get("/faq/recherche?question=bac&q=bac").data == empty.data


def test_both_languages(planted: Planted) -> None:
    french, english = (read(planted.client.get(f"/faq/bac?lang={code}")) for code in ("fr", "en"))
    assert (french.one("html").attributes["lang"], english.one("html").attributes["lang"]) == ("fr", "en")
    assert english.one("h1").attributes["lang"] == "fr", "the text stays in its language"
    assert "Nous joindre" in french.text
    assert "Nous joindre" not in english.text
    ours = [one.attributes["href"] for one in english.find("a") if one.attributes["href"].startswith("/faq")]
    switch = [one for one in english.find("header a") if one.attributes.get("hreflang") == "fr"]
    assert [one for one in ours if "lang=en" not in one and "feed.xml" not in one] == [switch[0].attributes["href"]] == ["/faq/bac"]


def test_the_language_of_an_agent_and_of_a_browser_do_not_count(planted: Planted) -> None:
    client = planted.client
    with client.session_transaction() as session:
        session["language"] = "en"
    for headers in ({}, {"Accept-Language": "en"}):
        assert read(client.get("/faq", headers=headers)).one("html").attributes["lang"] == "fr"


# ---- caches ----
CACHED = (
    "/faq",
    "/faq/bac",
    "/faq/service/dechets",
    "/faq/recherche",
    "/faq/feed.xml",
    "/sitemap.xml",
    "/robots.txt",
    "/faq?embed=1&lang=en",
)


@pytest.mark.parametrize("path", CACHED)
def test_a_page_is_kept_for_a_while_then_asked_for_anew(planted: Planted, path: str) -> None:
    first = planted.client.get(path)
    assert first.headers["Cache-Control"] == "public, max-age=300, stale-while-revalidate=3600"
    etag = first.headers["ETag"]
    for held in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = planted.client.get(path, headers={"If-None-Match": held})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == etag
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    assert planted.client.get(path, headers={"If-None-Match": '"other"'}).data == first.data
    head = planted.client.head(path)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", etag)


@pytest.mark.parametrize("path", [*CACHED, "/faq/nulle-part", "/faq/vieux-bac"])
def test_a_page_is_the_same_for_everybody(planted: Planted, path: str) -> None:
    """Caches share it: no cookie is set, and none changes it."""
    stranger = planted.client.get(path)
    agent = planted.agent
    with agent.session_transaction() as session:
        session["language"], session.permanent = "en", True
    known = agent.get(path, headers={"Accept-Language": "en", "Origin": "https://ailleurs.example"})
    assert known.data == stranger.data
    for response in (stranger, known):
        assert "Set-Cookie" not in response.headers
        assert "Cookie" not in response.headers.get("Vary", "")


def test_a_rendered_page_is_used_again_until_the_content_changes(own: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    before = own.client.get("/faq/bac")
    version = own.faq.version
    with monkeypatch.context() as patch:
        patch.setattr("webapp.public.render_page", lambda *_, **__: 1 / 0)
        assert own.client.get("/faq/bac").data == before.data
    assert own.faq.version == version
    own.publish({"articles/dechets/bac.md": BIN.replace("au dépôt", "à la mairie")})
    after = own.client.get("/faq/bac", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert "à la mairie" in after.text
    assert own.faq.version != version


def test_a_change_elsewhere_leaves_a_page_as_it_is(own: Planted) -> None:
    etag = own.client.get("/faq/bac").headers["ETag"]
    own.publish({"articles/cabinet-vertigo/plan-zorglub.md": INTERNAL + "\nEncore.\n"})
    assert own.client.get("/faq/bac", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("path", ["/faq/verre", "/faq/service/dechets", "/faq"])
def test_a_page_is_of_one_snapshot_even_as_the_content_changes(own: Planted, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    rendered = public.render_page

    def meanwhile(template: str, here: str = "/faq", **context: object) -> str:
        own.publish({"articles/dechets/verre.md": GLASS.replace('"title"', '"audience": "internal", "title"')})
        return rendered(template, here, **context)

    with monkeypatch.context() as patch:
        patch.setattr("webapp.public.render_page", meanwhile)
        first = own.client.get(path)
    assert first.status_code == 200
    assert "Jeter le verre" in first.text
    after = own.client.get(path)
    assert after.status_code == (404 if path == "/faq/verre" else 200)
    assert "Jeter le verre" not in after.text


def test_an_internal_article_takes_no_public_old_address(own: Planted) -> None:
    # By its path it comes before.
    claimed = INTERNAL.replace('"vieux-zorglub"', '"vieux-zorglub", "vieux-bac"')
    own.publish({"articles/cabinet-vertigo/plan-zorglub.md": claimed})
    answer = own.client.get("/faq/vieux-bac")
    assert (answer.status_code, answer.headers.get("Location")) == (301, "/faq/bac")


def test_what_git_could_not_say_once_is_asked_again(own: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreError("le disque ne répond pas")

    with monkeypatch.context() as patch:
        for name in ("steps", "versions_named", "publications", "last_change"):
            patch.setattr(LiveLog, name, fail)
        for path in ("/faq/bac", "/faq", "/faq/feed.xml", "/sitemap.xml"):
            answer = own.client.get(path)
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "no-store"
        assert own.client.get("/faq/vieux-bac").status_code == 404
    assert "Ce qui change" in own.client.get("/faq/bac").text
    assert own.client.get("/faq").headers["Cache-Control"] == faq.CACHED
    assert [text_of(one, "id") for one in entries(own.client)]
    assert own.client.get("/faq/vieux-bac").status_code == 301


def test_no_address_fills_the_memory(planted: Planted) -> None:
    for n in range(50):
        planted.client.get(f"/faq/nulle-part-{n}?lang=x{n}&embed={n}")
        planted.client.get(f"/faq?lang=x{n}&embed={n + 2}&z={n}")
    articles, services = len(planted.faq.articles), len(planted.faq.services)
    assert len(planted.faq.pages) <= 4 * (articles + services + 5)


# ---- what programs read ----
def structured(client: FlaskClient, path: str) -> dict[str, Any]:
    [script] = [one for one in read(client.get(path)).find("script") if one.attributes.get("type") == "application/ld+json"]
    found: dict[str, Any] = json.loads(script.text)
    return found


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/faq", {"Demander un bac", "Jeter le verre", "Ouvert au public", "Vitrine"}),
        ("/faq/service/dechets", {"Demander un bac", "Jeter le verre", "Ouvert au public", "Vitrine"}),
        ("/faq/bac", {"Demander un bac"}),
        ("/faq/bac?lang=en&embed=1", {"Demander un bac"}),
    ],
)
def test_the_structured_data_is_a_valid_faq_page(planted: Planted, path: str, names: set[str]) -> None:
    """What schema.org and search engines require of a FAQPage: questions that the page shows, each with its one answer."""
    data = structured(planted.client, path)
    assert (data["@context"], data["@type"], data["inLanguage"]) == ("https://schema.org", "FAQPage", "fr")
    assert data["name"]
    assert {one["name"] for one in data["mainEntity"]} == names
    shown = read(planted.client.get(path)).text
    for question in data["mainEntity"]:
        assert set(question) == {"@type", "name", "url", "acceptedAnswer"}
        answer = question["acceptedAnswer"]
        assert (question["@type"], answer["@type"]) == ("Question", "Answer")
        assert " ".join(Page(f"<body>{answer['text']}</body>").text.split()) in shown
        for url in (data["url"], question["url"], answer["url"], *re.findall(r'href="([^"]+)"', answer["text"])):
            assert urlsplit(url).scheme == "https"
    for value in json.dumps(data).split('"'):
        assert "{{" not in value


def text_of(element: ET.Element, name: str) -> str:
    found = element.findtext(f"{{{ATOM}}}{name}")
    assert found is not None, name
    return found


def links_of(element: ET.Element) -> dict[str, str]:
    return {one.attrib["rel"]: one.attrib["href"] for one in element.findall(f"{{{ATOM}}}link")}


def entries(client: FlaskClient, *, dated: bool = True) -> list[ET.Element]:
    found = ET.fromstring(client.get("/faq/feed.xml").data).findall(f"{{{ATOM}}}entry")
    assert found or not dated
    return found


RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


@pytest.mark.parametrize("query", ["", "?lang=en"])
def test_the_feed_is_valid_atom(planted: Planted, query: str) -> None:
    response = planted.client.get(f"/faq/feed.xml{query}")
    assert response.mimetype == "application/atom+xml"
    root = ET.fromstring(response.data)
    assert root.tag == f"{{{ATOM}}}feed"
    for name in ("id", "title", "updated"):
        assert len(root.findall(f"{{{ATOM}}}{name}")) == 1
    assert root.findtext(f"{{{ATOM}}}author/{{{ATOM}}}name") == "Ville d'Essai"
    assert links_of(root) == {"self": f"{BASE}/feed.xml", "alternate": BASE}
    found = root.findall(f"{{{ATOM}}}entry")
    assert {text_of(one, "title") for one in found} == {"Demander un bac", "Jeter le verre", "Ouvert au public", "Vitrine"}
    ids = [text_of(one, "id") for one in found]
    assert len(set(ids)) == len(ids)
    assert all(urlsplit(one).scheme and urlsplit(one).netloc for one in (*ids, text_of(root, "id")))
    moments = [text_of(one, "updated") for one in found]
    assert all(RFC3339.fullmatch(one) for one in (*moments, text_of(root, "updated")))
    assert [dt.datetime.fromisoformat(one) for one in moments] == sorted(map(dt.datetime.fromisoformat, moments), reverse=True)
    assert text_of(root, "updated") == max(moments)
    for one in found:
        assert text_of(one, "summary").strip()
        assert "<" not in text_of(one, "summary")


def test_the_feed_tells_what_changed_for_the_public(own: Planted) -> None:
    before = {text_of(one, "id"): text_of(one, "updated") for one in entries(own.client)}
    # What the public does not see is no news: a tag, a question, a review.
    own.publish({"articles/dechets/verre.md": GLASS.replace('"title"', '"tags": ["verre"], "questions": ["Verre ?"], "title"')})
    assert {text_of(one, "id"): text_of(one, "updated") for one in entries(own.client)} == before
    own.publish({"articles/dechets/neuf.md": article("Tout neuf", "Nouveau.", service="dechets")})
    assert {text_of(one, "id") for one in entries(own.client)} - set(before) == {f"{BASE}/neuf"}


def test_the_sitemap_has_every_public_page_and_no_other(planted: Planted) -> None:
    root = ET.fromstring(planted.client.get("/sitemap.xml").data)
    found = [one.text for one in root.iter(f"{{{SITEMAP}}}loc")]
    assert found == list(dict.fromkeys(found))
    assert set(found) == {BASE, *(f"{BASE}/{name}" for name in ("service/dechets", "bac", "verre", "ouvert", "vitrine"))}
    assert all(dt.date.fromisoformat(one.text or "") for one in root.iter(f"{{{SITEMAP}}}lastmod"))


def test_robots_find_the_public_pages_alone(planted: Planted) -> None:
    lines = planted.client.get("/robots.txt").text.splitlines()
    assert lines[0] == "User-agent: *"
    assert {"Allow: /faq", "Disallow: /", "Sitemap: https://faq.ville.example/sitemap.xml"} <= set(lines)


# ---- what changes ----
def changes_of(made: Planted, slug: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(change.kind, change.parts) for change in made.faq.changes(made.faq.articles[slug])]


def test_what_changes_starts_when_the_public_could_read_it(planted: Planted) -> None:
    assert changes_of(planted, "ouvert") == changes_of(planted, "vitrine") == changes_of(planted, "bac") == [("published", ())]


def test_what_changes_names_the_parts_that_the_page_still_has(own: Planted) -> None:
    new = BIN.replace("Au dépôt : ", "Au dépôt ou ").replace("Le bac vert", "Le bac bleu").replace("## Qui appeler\nL'accueil.", "")
    own.publish({"articles/dechets/bac.md": new})
    own.publish({"articles/dechets/bac.md": new.replace('"tri"', '"bac"')})
    own.publish({"articles/dechets/bac.md": new.replace("2026-03-01", "2026-04-01").replace('"tri"', '"bac"')})
    assert changes_of(own, "bac") == [("reviewed", ()), ("updated", ("lead", "Où aller")), ("published", ())]
    items = [" ".join(one.text.split()) for one in read(own.client.get("/faq/bac")).find(".changes li")]
    assert [one.partition(" : ")[2] for one in items] == ["", "la réponse, « Où aller »", ""]
    assert "Mise à jour" in items[1]


def test_what_changes_dates_from_the_day_it_went_live(own: Planted) -> None:
    """A draft may wait for months, be amended, and be merged by somebody else: only the merge shows."""
    proposals = Proposals(own.store)
    first = proposals.propose("attente", {"articles/dechets/verre.md": GLASS.replace("colonne", "dromadaire")}, AUTHOR, "Essai")
    tip = proposals.amend("attente", first.tip, {"articles/dechets/verre.md": GLASS.replace("colonne", "benne")}, AUTHOR, "Mieux")
    proposals.accept("attente", tip.tip if hasattr(tip, "tip") else tip, AUTHOR, "Publier")
    own.app.extensions["bible"].refresh()
    assert changes_of(own, "verre") == [("updated", ("lead",)), ("published", ())]


def test_content_without_git_has_pages_and_no_history(make_app: MakeApp, make_kb: MakeKb) -> None:
    client = make_app(make_kb(FILES)).test_client()
    page = read(client.get("/faq/bac"))
    assert "Ce qui change" not in page.one("main").text
    assert [text_of(one, "id") for one in entries(client)] == [f"{BASE}/vieux-bac", f"{BASE}/verre"], "by review date"
    for path in (*CACHED, "/faq/vieux-bac"):
        assert client.get(path).status_code in (200, 301)


def test_an_unreadable_history_leaves_the_pages(own: Planted) -> None:
    objects = own.store.folder / ".git" / "objects"
    objects.rename(objects.with_name("gone"))
    assert own.client.get("/faq/bac").status_code == 200
    assert own.client.get("/faq").status_code == 200


def test_an_empty_faq_says_so(make_app: MakeApp, make_kb: MakeKb) -> None:
    client = make_app(make_kb({"articles/dechets/note.md": INTERNAL})).test_client()
    page = read(client.get("/faq"))
    assert "Aucune réponse n'est encore publiée" in page.text
    assert page.find("script") == []
    assert ET.fromstring(client.get("/faq/feed.xml").data).findall(f"{{{ATOM}}}entry") == []


# ---- other sites, other names ----
ORIGINS = "https://www.ville.example http://localhost:8080"


def policy_of(response: TestResponse) -> dict[str, str]:
    return dict(part.strip().partition(" ")[::2] for part in response.headers["Content-Security-Policy"].split(";"))  # type: ignore[misc]


@pytest.mark.parametrize("path", ["/faq", "/faq/bac", "/faq/service/dechets", "/faq/recherche", "/faq/nulle-part"])
def test_only_an_embedded_page_may_be_framed_and_only_there(make_app: MakeApp, make_kb: MakeKb, path: str) -> None:
    client = make_app(make_kb(FILES), widget_origins=ORIGINS).test_client()
    plain, framed = client.get(path), client.get(f"{path}?embed=1")
    assert policy_of(plain)["frame-ancestors"] == "'none'"
    assert plain.headers["X-Frame-Options"] == "DENY"
    assert policy_of(framed) == policy_of(plain) | {"frame-ancestors": ORIGINS}
    assert "X-Frame-Options" not in framed.headers
    page = read(framed)
    assert page.find("header") == page.find("footer") == []
    assert page.one("title").text
    assert len(page.find("h1")) == 1
    for one in page.find("a"):
        is_ours = one.attributes["href"].startswith("/faq")
        assert ("embed=1" in one.attributes["href"]) == is_ours
        assert (one.attributes.get("target") == "_self") == is_ours


@pytest.mark.parametrize(
    "value",
    [
        "ville.example", "https://ville.example/", "https://ville.example/faq", "https://Ville.example", "https://ville.example;script-src",
        "https://a.example, https://b.example", "'self'", "https://*.ville.example", "data:", "https://ville.example:port", "https://",
    ],
)  # fmt: skip
def test_what_is_no_origin_stops_the_start(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValidationError, match="n'est pas une origine"):
        settings_for(tmp_path, tmp_path, widget_origins=value)


@pytest.mark.parametrize("value", ["https://www.ville.example:443", "http://www.ville.example:80"])
def test_the_port_that_no_browser_names_stops_the_start(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValidationError, match=f"donnez {value.rpartition(':')[0]}"):
        settings_for(tmp_path, tmp_path, widget_origins=value)
    settings_for(tmp_path, tmp_path, widget_origins=value.replace(":80", ":8080").replace(":443", ":8443"))


def test_origins_come_from_the_environment_as_a_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings_for(tmp_path, tmp_path).widget_origins == ()
    monkeypatch.setenv("BIBLE_WIDGET_ORIGINS", " https://www.ville.example  http://localhost:8080 http://[::1]:81 *")
    assert settings_for(tmp_path, tmp_path).widget_origins == ("https://www.ville.example", "http://localhost:8080", "http://[::1]:81", "*")


def test_no_site_may_frame_by_default(planted: Planted) -> None:
    assert policy_of(planted.client.get("/faq?embed=1"))["frame-ancestors"] == "'none'"


def test_the_public_name_reaches_the_public_pages_alone(make_app: MakeApp, make_kb: MakeKb) -> None:
    app = make_app(make_kb(FILES), accounts="on", site_url="https://bible.ville.example", public_url="https://www.ville.example/faq")
    client = app.test_client()
    for host in ("www.ville.example", "bible.ville.example", "www.ville.example:443"):
        for path in (*CACHED, "/static/css/faq.css"):
            assert client.get(path, headers={"Host": host}, buffered=True).status_code == 200, (host, path)
    assert client.post("/faq/recherche", data={"question": "bac"}, headers={"Host": "www.ville.example"}).status_code == 200
    for path in ("/", "/connexion", "/api/v1/articles", "/healthz", "/faqs"):
        assert client.get(path, headers={"Host": "www.ville.example"}).status_code == 403
    assert client.get("/faq", headers={"Host": "evil.example"}).status_code == 403
    assert "https://www.ville.example/faq/bac" in client.get("/faq/feed.xml", headers={"Host": "bible.ville.example"}).text


def test_an_agent_finds_the_public_page_of_an_article(planted: Planted) -> None:
    agent = planted.agent

    def links(slug: str) -> list[Element]:
        return [one for one in read(agent.get(f"/articles/{slug}")).find("main a") if one.text == "Voir la page publique"]

    assert [one.attributes["href"] for one in links("bac")] == ["/faq/bac"]
    assert links("plan-zorglub") == links("conseil-mandragore") == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/faq", True), ("/faq/", True), ("/faq/bac", True), ("/faq/a\nb", True), ("/sitemap.xml", True), ("/robots.txt", True),
        ("/widget.js", True), ("/widget-0a1b.js", True), ("/widget.json", True), ("/demo-widget", True), ("/api/public/v1/match", True),
        ("/", False), ("/faqs", False), ("/articles/faq", False), ("/api/v1/match", False), ("//faq", False), ("/widgets", False),
        ("/api/public/v2", False), ("/sitemap.xmlx", False), ("/connexion", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(path: str, expected: bool) -> None:
    assert is_public_path(path) is expected
