"""The static export on a plain web server, in a real browser: the questions are answered with nothing of ours running."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from werkzeug.exceptions import NotFound
from werkzeug.utils import send_from_directory
from werkzeug.wrappers import Request, Response

from tests.browser.conftest import NewPage, grave_faults, too_wide
from tests.serving import served

QUESTION = "ma poubelle n'a pas été ramassée"


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """What was asked of the static server."""
    return []


@pytest.fixture(scope="module")
def static_site(app: Flask, tmp_path_factory: pytest.TempPathFactory, asked: list[str]) -> Iterator[str]:
    """The export, in a folder of a server that knows only files, and lets other sites read them as the guide says."""
    folder = tmp_path_factory.mktemp("export")
    result = app.test_cli_runner().invoke(args=["export", str(folder / "faq-ville"), "--url", "https://statique.ville.example"])
    assert result.exit_code == 0, result.output

    @Request.application
    def files(request: Request) -> Response:
        asked.append(request.full_path)
        name = request.path.strip("/")
        if (folder / name).is_dir():
            name += "/index.html"
        try:
            response = send_from_directory(folder, name, request.environ)
        except NotFound:
            return Response(status=404)
        if response.status_code == 304:
            response.close()  # werkzeug reads nothing of it, and forgets to
        response.mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    with served(files) as address:
        yield f"{address}/faq-ville"


def ask(page: Page, question: str) -> None:
    page.locator("bible-faq input").fill(question)
    page.locator("bible-faq [role=option]").first.wait_for()


def options(page: Page) -> list[str]:
    return page.locator("bible-faq [role=option]").all_inner_texts()


def test_a_question_is_answered_in_the_page(page: Page, static_site: str, asked: list[str]) -> None:
    page.goto(f"{static_site}/faq/")
    ask(page, QUESTION)
    assert options(page)[0] == "Signaler une collecte non effectuée"
    page.keyboard.press("Enter")
    expect(page.locator("bible-faq .fold").first).to_contain_text("Laissez le bac sur le trottoir")
    page.click("bible-faq .fold a:has-text('Lire la page complète')")
    page.wait_for_url(f"{static_site}/faq/collecte-non-faite/")
    expect(page.locator("h1")).to_have_text("Signaler une collecte non effectuée")
    assert not [path for path in asked if "poubelle" in path]


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("encombr", "Faire enlever des encombrants"),  # a word being typed
        ("DÉCHÈTERIE", "Accéder à la déchèterie"),
        ("decheterie", "Accéder à la déchèterie"),
        ("déchéterrie", "Accéder à la déchèterie"),  # one letter too many
        ("faire une procuration pour voter", "Voter par procuration"),
        ("une naissance à déclarer", "Déclarer une naissance"),
    ],
)
def test_words_are_understood_as_one_types_them(page: Page, static_site: str, typed: str, title: str) -> None:
    page.goto(f"{static_site}/faq/recherche/")
    ask(page, typed)
    assert title in options(page)[:3]


def test_no_answer_says_whom_to_ask(page: Page, static_site: str) -> None:
    page.goto(f"{static_site}/faq/service/dechets/")
    page.locator("bible-faq input").fill("xyzzy plugh frobozz")
    expect(page.locator("bible-faq .contact")).to_contain_text("Déchets et propreté")


def test_hostile_words_find_nothing_and_break_nothing(page: Page, static_site: str) -> None:
    page.goto(f"{static_site}/faq/")
    for typed in ("<img src=x onerror=alert(1)>", "__proto__ constructor", "'" * 900, "😀 😀", "a" * 1000, "* [ ( \\"):
        page.locator("bible-faq input").fill(typed)
        page.wait_for_timeout(250)
    ask(page, QUESTION)
    assert options(page)[0] == "Signaler une collecte non effectuée"


def test_one_walks_through_it_in_english(page: Page, static_site: str) -> None:
    page.goto(f"{static_site}/faq/")
    page.click("text=English")
    page.wait_for_url(f"{static_site}/en/faq/")
    expect(page.locator("bible-faq input")).to_have_attribute("placeholder", "Ask your question")
    page.click("main >> text=État civil")
    page.wait_for_url(f"{static_site}/en/faq/service/etat-civil/")


def test_without_scripts_the_answers_are_there(new_page: NewPage, static_site: str) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{static_site}/")
    page.wait_for_url(f"{static_site}/faq/")
    expect(page.locator("bible-faq a")).to_have_text("Parcourir les réponses par service")
    page.click("main >> text=Déchets et propreté")
    page.click("summary:has-text('Accéder à la déchèterie')")
    page.click("details[open] a:has-text('Lire la page')")
    expect(page.locator("h1")).to_have_text("Accéder à la déchèterie")


def test_it_leaves_nobody_out_and_fits_a_phone(page: Page, static_site: str) -> None:
    page.goto(f"{static_site}/faq/")
    ask(page, QUESTION)
    assert grave_faults(page) == []
    assert too_wide(page) == []


def test_another_site_embeds_it_under_a_strict_policy(page: Page, static_site: str) -> None:
    origin = static_site.removesuffix("/faq-ville")
    policy = f"default-src 'none'; script-src {origin}; connect-src {origin}"

    @Request.application
    def town(request: Request) -> Response:
        if request.path != "/":
            return Response(status=204)
        lines = f'<script type="module" src="{static_site}/widget.js"></script><bible-faq><a href="/">FAQ</a></bible-faq>'
        html = f'<!doctype html><html lang="fr"><meta charset="utf-8"><title>Ville</title>{lines}</html>'
        return Response(html, mimetype="text/html", headers={"Content-Security-Policy": policy})

    with served(town) as address:
        page.goto(address)
        ask(page, QUESTION)
        assert options(page)[0] == "Signaler une collecte non effectuée"
