"""The article pages: search by keywords, browse, and one article with its replies and its history."""

from __future__ import annotations

import datetime as dt
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest
from flask import Flask
from flask.testing import FlaskClient

from kb import git_store
from kb.library import Library
from tests.conftest import MakeApp, MakeKb
from tests.webapp.reading import Page, read
from webapp.routes.articles import PAGE_SIZE


def slugs(page: Page) -> list[str]:
    """Slugs of the results, in order."""
    return [link.attributes["href"].removeprefix("/articles/") for link in page.find(".hits h2 a")]


# ---- search ----
FOUR = {
    "articles/dechets/bac.md": "---\ntitle: Commander un bac\ntags: [bac, tri]\n---\n"
    "Le bac jaune arrive sous {{ service.facts.delai }}, en mairie.",
    "articles/dechets/tri.md": "---\ntitle: Trier ses déchets\ntags: [tri]\n---\nLe verre va dans la colonne, le papier dans la poubelle.",
    "articles/eau/facture.md": "---\ntitle: Payer sa facture\n---\nLa facture se paie en ligne ou en mairie.",
    "articles/eau/compteur.md": "---\ntitle: Relever son compteur\naudience: internal\n---\nLe relevé du compteur sert à la facture.",
    "services.yml": "dechets: {name: Déchets, facts: {delai: deux semaines}}\neau: {name: Eau}",
}


@pytest.fixture
def four(make_kb: MakeKb, make_app: MakeApp) -> FlaskClient:
    """A client of an application with four articles."""
    return make_app(make_kb(FOUR)).test_client()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("bac", {"bac"}),
        ("BAC", {"bac"}),
        ("déchets", {"tri"}),
        ("dechet", {"tri"}),
        ("facture mairie", {"facture", "compteur", "bac"}),
        ("facture AND mairie", {"facture"}),
        ("facture AND NOT compteur", {"facture"}),
        ("compteur OR verre", {"compteur", "tri"}),
        ('"bac jaune"', {"bac"}),
        ('"jaune bac"', set()),
        ("title:facture", {"facture"}),
        ("title:mairie", set()),
        ("comp*", {"compteur"}),
    ],
)
def test_the_query_language(four: FlaskClient, query: str, expected: set[str]) -> None:
    assert set(slugs(read(four.get("/articles/", query_string={"q": query})))) == expected


def test_words_found_are_highlighted(four: FlaskClient) -> None:
    page = read(four.get("/articles/?q=bacs"))
    assert {mark.text for mark in page.find(".hits h2 mark")} == {"bac"}
    assert {mark.text for mark in page.find(".hits p mark")} == {"bac"}
    assert page.one("#topsearch").attributes["value"] == "bacs"


def test_an_excerpt_shows_the_facts_not_holes(four: FlaskClient) -> None:
    assert "Le bac jaune arrive sous deux semaines, en mairie" in read(four.get("/articles/?q=jaune")).one(".hits").text


def test_facets_count_and_narrow(four: FlaskClient) -> None:
    page = read(four.get("/articles/?q=mairie+facture"))
    links = {" ".join(link.text.split()): link.attributes["href"] for link in page.find(".facet a")}
    assert {"Eau 2", "Déchets 1", "bac 1", "tri 1"} == set(links)
    assert slugs(read(four.get(links["Déchets 1"]))) == ["bac"]
    assert slugs(read(four.get(links["tri 1"]))) == ["bac"]
    narrowed = read(four.get(links["Eau 2"]))
    assert set(slugs(narrowed)) == {"facture", "compteur"}
    # The way back is there.
    wide = next(link.attributes["href"] for link in narrowed.find(".facet a") if "Tous les services" in link.text)
    assert len(slugs(read(four.get(wide)))) == 3


def test_the_audience_narrows_and_is_kept_by_every_link(four: FlaskClient) -> None:
    page = read(four.get("/articles/?q=facture&audience=internal"))
    assert slugs(page) == ["compteur"]
    assert all("audience=internal" in link.attributes["href"] for link in page.find(".facet a"))
    assert page.find(".hits .tag")[0].text == "interne"


def test_a_tag_alone_lists_its_articles(four: FlaskClient) -> None:
    page = read(four.get("/articles/?tag=tri"))
    assert set(slugs(page)) == {"bac", "tri"}
    assert "Étiquette « tri »" in page.one("h1").text


def test_a_misspelled_word_gets_a_suggestion_that_finds(four: FlaskClient) -> None:
    page = read(four.get("/articles/?q=compeur"))
    assert not slugs(page)
    [suggestion] = page.find(".notice a")
    assert suggestion.text == "compteur"
    assert slugs(read(four.get(suggestion.attributes["href"]))) == ["compteur"]


def test_nothing_found_points_to_the_desk(four: FlaskClient) -> None:
    page = read(four.get("/articles/?q=xyzzyplugh"))
    assert "Aucun article ne contient ces mots" in page.one(".content").text
    assert not page.find(".facets h2")
    assert page.find(".notice a")[0].attributes["href"] == "/"


@pytest.mark.parametrize(
    "query",
    [
        '"', "((((", ")", "title:", "AND", "NOT", "a AND", "[a TO", "{", "*", "?", "**", "~", "mot~99", "^", "mot^", "/", "\\", "a:b:c",
        "🎈", "\x00", "'; DROP",
    ],
)  # fmt: skip
def test_an_odd_query_never_breaks(four: FlaskClient, query: str) -> None:
    response = four.get("/articles/", query_string={"q": query})
    assert response.status_code in (200, 422)
    assert read(response).find("h1")


def test_a_query_that_cannot_be_read_says_so(four: FlaskClient) -> None:
    response = four.get("/articles/?q=" + "a" * 201)
    assert response.status_code == 422
    assert "200 caractères" in read(response).one(".error").text


def test_a_hostile_query_is_shown_as_it_is(four: FlaskClient) -> None:
    page = read(four.get("/articles/", query_string={"q": '"><script>alert(1)</script>'}))
    assert "<script>alert(1)</script>" in page.one("h1").text
    assert not [one for one in page.find("script") if "alert" in one.text]


def test_agents_who_search_at_once_get_each_their_own_results(app: Flask) -> None:
    queries = ("carte", "facture", "zéphir", "title:école", "horaires AND piscine", "pass*", "xyzzyplugh")
    alone = {query: app.test_client().get("/api/v1/search", query_string={"q": query}).json for query in queries}
    wrong: list[str] = []

    def search_all() -> None:
        client = app.test_client()
        for query in queries * 4:
            answer = client.get("/api/v1/search", query_string={"q": query})
            if answer.status_code != 200 or answer.json != alone[query]:
                wrong.append(f"{query}: {answer.status_code}")

    interval = sys.getswitchinterval()
    # Threads take turns a thousand times more often, so that what they share is shared at the worst moment.
    sys.setswitchinterval(5e-6)
    try:
        threads = [threading.Thread(target=search_all) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_pages_of_results(make_kb: MakeKb, make_app: MakeApp) -> None:
    count = 2 * PAGE_SIZE + 5
    kb = make_kb({f"articles/a/fiche-{number:03}.md": f"---\ntitle: Fiche {number}\n---\nLa même girafe." for number in range(count)})
    client = make_app(kb).test_client()
    seen: list[str] = []
    address: str | None = "/articles/?q=girafe"
    sizes = []
    while address:
        page = read(client.get(address))
        sizes.append(len(slugs(page)))
        seen += slugs(page)
        address = next((link.attributes["href"] for link in page.find(".pager a") if link.attributes["rel"] == "next"), None)
    assert sizes == [PAGE_SIZE, PAGE_SIZE, 5]
    assert len(set(seen)) == count
    [back] = read(client.get("/articles/?q=girafe&page=999")).find(".pager a")
    assert "page=3" in back.attributes["href"]
    for page_number in ("0", "-4", "abc", "9" * 40):
        assert client.get(f"/articles/?q=girafe&page={page_number}").status_code == 200


# ---- browse ----
def test_browsing_lists_every_article_by_service(client: FlaskClient, library: Library) -> None:
    listed = {link.attributes["href"] for link in read(client.get("/articles/")).find(".columns a")}
    assert listed == {f"/articles/{slug}" for slug in library.articles}


def test_browsing_one_service_shows_its_contact(client: FlaskClient, library: Library) -> None:
    page = read(client.get("/articles/?service=dechets"))
    assert {link.attributes["href"] for link in page.find(".columns a")} == {
        f"/articles/{one.slug}" for one in library.by_service("dechets")
    }
    assert library.context.services["dechets"].phone in page.one(".contact").text
    assert page.one("h1").text == library.context.services["dechets"].name


def test_a_broken_article_is_listed_and_the_rest_works(one_article: Callable[..., Path], make_app: MakeApp) -> None:
    kb = one_article()
    (kb / "articles/dechets/casse.md").write_text("---\ntitle: Cassé\naudience: tous\n---\nBonjour.", encoding="utf-8")
    client = make_app(kb).test_client()
    page = read(client.get("/articles/"))
    assert "1 fichier(s) laissé(s) de côté" in page.one("details.error").text
    assert page.find(".error code")[0].text == "articles/dechets/casse.md:3"
    assert client.get("/articles/bac").status_code == 200
    assert client.get("/articles/casse").status_code == 404


# ---- one article ----
def test_the_page_of_an_article(client: FlaskClient, library: Library) -> None:
    article = library.articles["carte-identite-demande"]
    page = read(client.get("/articles/carte-identite-demande"))
    assert page.one("h1").text == article.title
    assert len(page.find(".replies details")) == len(library.context.channels)
    assert [one.text for one in page.find(".questions li")] == list(article.meta.questions)
    assert {link.attributes["href"] for link in page.find(".sources a")} == {source.url for source in article.meta.sources}
    linked = {link.attributes["href"] for link in page.find("aside a")}
    assert {f"/articles/{slug}" for slug in article.links} <= linked
    assert {f"/articles/{slug}" for slug in library.backlinks[article.slug]} <= linked
    # In the agents' house, a link between articles leads to the agents' page.
    assert "/articles/passeport-demande" in {link.attributes["href"] for link in page.find(".prose a")}
    assert "{{" not in page.text


def test_every_article_of_the_sample_has_a_page(client: FlaskClient, library: Library) -> None:
    for slug in library.articles:
        response = client.get(f"/articles/{slug}")
        assert response.status_code == 200, slug
        assert "{{" not in response.text, slug


def test_an_old_slug_redirects_for_ever(client: FlaskClient) -> None:
    response = client.get("/articles/suivi-zephyr")
    assert response.status_code == 301
    assert response.location == "/articles/dossier-zephyr"


def test_an_unknown_slug_is_not_found(client: FlaskClient) -> None:
    response = client.get("/articles/n-existe-pas")
    assert response.status_code == 404
    assert "n-existe-pas" in read(response).one("main").text


@pytest.mark.parametrize(
    "path",
    [
        "..%2f..%2fetc%2fpasswd", "..%2F..%2F..%2Fetc%2Fpasswd", "../../etc/passwd", "%2e%2e%2fservices.yml", "..%5c..%5cservices.yml",
        "....//etc/passwd", "%00", "bac%00.md", "articles%2fdechets%2fbac", ".git%2fconfig", "%252e%252e%252fservices.yml", "a" * 5000,
    ],
)  # fmt: skip
def test_no_slug_leads_out_of_the_content(client: FlaskClient, path: str) -> None:
    for prefix in ("/articles/", "/api/v1/articles/"):
        response = client.get(prefix + path, follow_redirects=True)
        assert response.status_code == 404
        assert "root:" not in response.text
        assert "repositoryformatversion" not in response.text


def test_the_history_comes_from_git(one_article: Callable[..., Path], make_app: MakeApp, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    assert git_store.ensure_repository(folder, one_article())
    path = folder / "articles/dechets/bac.md"
    repository = pygit2.Repository(str(folder))
    path.write_text(path.read_text(encoding="utf-8").replace("au dépôt", "en mairie"), encoding="utf-8")
    repository.index.add("articles/dechets/bac.md")
    author = pygit2.Signature("Camille Martin", "camille@ville.example", 1_781_000_000, 120)
    parent = repository.head.target
    commit = repository.create_commit(
        "HEAD", author, author, "Le bac se retire en mairie <script>\n\nLe dépôt ferme.", repository.index.write_tree(), [parent]
    )
    page = read(make_app(folder).test_client().get("/articles/bac"))
    lines = [" ".join(line.text.split()) for line in page.find(".history ol li")]
    assert len(lines) == 2
    day = dt.datetime.fromtimestamp(1_781_000_000, tz=dt.timezone(dt.timedelta(minutes=120)))
    assert page.find(".history time")[0].attributes["datetime"] == day.isoformat()
    assert lines[0].endswith(f"Le bac se retire en mairie <script> Camille Martin · {str(commit)[:8]}")
    assert "Contenu d'exemple de La Bible" in lines[1]
    assert git_store.SOFTWARE.name in lines[1]


def test_a_folder_without_git_has_an_empty_history(one_article: Callable[..., Path], make_app: MakeApp) -> None:
    page = read(make_app(one_article()).test_client().get("/articles/bac"))
    assert "Aucune version enregistrée" in page.one(".history").text


def test_a_damaged_repository_costs_the_history_alone(one_article: Callable[..., Path], make_app: MakeApp, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    git_store.ensure_repository(folder, one_article())
    for path in (folder / ".git/objects").rglob("*"):
        if path.is_file():
            path.unlink()
    response = make_app(folder).test_client().get("/articles/bac")
    assert response.status_code == 200
    assert "git fsck" in read(response).find(".history .error")[0].text


def test_a_late_review_is_announced(client: FlaskClient) -> None:
    assert "La date de relecture est passée" in read(client.get("/articles/dossier-zephyr")).one(".warning").text


def test_a_review_in_time_is_not(one_article: Callable[..., Path], make_app: MakeApp) -> None:
    tomorrow = dt.date.today() + dt.timedelta(days=1)  # noqa: DTZ011
    text = f"---\ntitle: Le bac\nreviewed_on: 2020-01-01\nreview_by: {tomorrow}\n---\nLe bac."
    page = read(make_app(one_article(text)).test_client().get("/articles/bac"))
    assert not page.find(".warning")
    assert not page.find(".late")


def test_a_missing_placeholder_blocks_the_copy_here_too(client: FlaskClient, library: Library) -> None:
    page = read(client.get("/articles/dossier-zephyr"))
    assert {one.attributes["data-missing"] for one in page.find(".replies details")} == {"1"}
    assert len(page.find(".replies .missing")) == len(library.context.channels)
    assert "numéro de dossier" in page.find(".replies .missing")[0].text
    complete = read(client.get("/articles/carte-identite-demande"))
    assert {one.attributes["data-missing"] for one in complete.find(".replies details")} == {"0"}
    assert not complete.find(".replies .missing")


def test_an_internal_article_has_no_public_address(client: FlaskClient, app: Flask) -> None:
    page = read(client.get("/articles/standard-mistral"))
    assert "interne" in page.one(".content").text
    faq = app.extensions["bible"].context.organisation.faq_url
    assert not [link for link in page.find("a") if link.attributes["href"].startswith(faq)]


def test_hostile_content_is_sanitised(one_article: Callable[..., Path], make_app: MakeApp) -> None:
    text = """---
title: "<script>alert(1)</script>"
tags: ["<img src=x onerror=alert(1)>"]
sources: [{title: piège, url: "javascript:alert(1)"}]
---
Bonjour <script>alert(1)</script> <a href="javascript:alert(1)" onclick="alert(1)" style="color:red">lien</a> <style>p{}</style>

## Suite
<iframe src="https://evil.example"></iframe> [lien](javascript:alert(1)) <svg onload=alert(1)>
"""
    page = read(make_app(one_article(text)).test_client().get("/articles/bac"))
    assert page.one("h1").text == "<script>alert(1)</script>"
    inside = [one for one in page.elements if one.inside(".article-page")]
    assert not {"script", "iframe", "style", "object", "embed"} & {one.tag for one in inside}
    assert not [name for one in inside for name in one.attributes if name.startswith("on") or name == "style"]
    assert not [one for one in inside if "javascript" in one.attributes.get("href", "")]
