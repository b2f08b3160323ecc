"""The public pages in a real browser: on a phone, on paper, without scripts, inside another site's page; axe-core finds nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import NOTHING, ZEPHYR, NewPage, Watched
from tests.conftest import MakeApp, MakeKb
from tests.serving import served

Visit = Callable[[Page], Any]


def ask(page: Page, question: str, path: str = "/faq") -> None:
    page.goto(path)
    page.fill("#question", question)
    page.press("#question", "Enter")
    page.wait_for_url("**/faq/recherche*")


def unfolded(page: Page) -> None:
    page.goto("/faq/service/dechets")
    for summary in page.locator("summary").all():
        summary.click()


PAGES: dict[str, Visit] = {
    "front page": lambda page: page.goto("/faq"),
    "front page, English": lambda page: page.goto("/faq?lang=en"),
    "front page, framed": lambda page: page.goto("/faq?embed=1"),
    "service": unfolded,
    "article": lambda page: page.goto("/faq/carte-identite-demande"),
    "article, framed": lambda page: page.goto("/faq/carte-identite-demande?embed=1&lang=en"),
    "article, to fill": lambda page: page.goto("/faq/dossier-zephyr"),
    "search": lambda page: page.goto("/faq/recherche"),
    "search, answered": lambda page: ask(page, ZEPHYR),
    "search, nothing": lambda page: ask(page, NOTHING),
    "search, empty": lambda page: ask(page, ""),
    "404": lambda page: page.goto("/faq/nulle-part"),
}


# ---- every page ----
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(page: Page, name: str) -> None:
    PAGES[name](page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(scheme, one["id"], [node["html"][:160] for node in one["nodes"]]) for one in found] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_320_pixels(new_page: NewPage, name: str) -> None:
    page = new_page(width=320, height=700, has_touch=True)
    PAGES[name](page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_landmarks_and_headings_in_order(page: Page, name: str) -> None:
    PAGES[name](page)
    levels: list[int] = page.evaluate(
        """[...document.querySelectorAll(":is(h1, h2, h3, h4)")].filter(one => one.checkVisibility()).map(one => +one.tagName[1])"""
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    assert page.locator("main").count() == 1
    is_framed = "framed" in name
    for landmark in ("header", "footer"):
        assert page.locator(f"body > {landmark}").count() == (0 if is_framed else 1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_follow_the_system(new_page: NewPage, scheme: str) -> None:
    page = new_page(color_scheme=scheme)
    page.goto("/faq")
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 27)"}[scheme]


# ---- by hand ----
def test_the_skip_link_leads_to_the_content(page: Page) -> None:
    page.goto("/faq")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("scripts", [True, False])
def test_one_asks_reads_and_goes_on_by_keyboard_without_scripts(new_page: NewPage, scripts: bool) -> None:
    page = new_page(java_script_enabled=scripts)
    page.goto("/faq")
    page.focus("#question")
    page.keyboard.type(ZEPHYR)
    page.keyboard.press("Enter")
    page.wait_for_url("**/faq/recherche")
    assert "Z" not in page.url.rpartition("/")[2], "the question is not in the address"
    expect(page.locator("details[open] summary")).to_have_text("Suivre un dossier Zéphyr")
    link = page.locator("details[open] a", has_text="Lire la page")
    expect(link).to_contain_text("(nouvel onglet)")
    link.focus()
    with page.expect_popup() as opened:
        page.keyboard.press("Enter")
    expect(opened.value.locator("h1")).to_have_text("Suivre un dossier Zéphyr")
    # Going back would find no question: it was posted, and is kept nowhere.
    expect(page.locator("details[open] summary")).to_have_text("Suivre un dossier Zéphyr")


def test_an_answer_unfolds_in_place(page: Page) -> None:
    page.goto("/faq/service/dechets")
    answer = page.locator("details").first
    expect(answer.locator(".prose")).to_be_hidden()
    answer.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(answer.locator(".prose")).to_be_visible()
    assert page.url.endswith("/faq/service/dechets")


def test_on_paper_everything_is_unfolded_and_nothing_is_to_press(page: Page) -> None:
    page.goto("/faq/service/dechets")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in (".ask", ".top nav", ".crumbs"):
        expect(page.locator(hidden)).to_be_hidden()
    height = page.evaluate("document.querySelector('.answers').getBoundingClientRect().height")
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    opened = page.evaluate("document.querySelector('.answers').getBoundingClientRect().height")
    assert height == pytest.approx(opened, rel=0.02), "closed answers are printed too"
    assert len(page.pdf()) > 1000


def test_the_structured_data_is_neither_run_nor_blocked(page: Page) -> None:
    """`new_page` fails on whatever the policy blocks; here it is there to be read."""
    page.goto("/faq/carte-identite-demande")
    data = page.evaluate("JSON.parse(document.querySelector('script[type=\"application/ld+json\"]').textContent)")
    assert data["@type"] == "FAQPage"
    assert data["mainEntity"][0]["name"] == page.inner_text("h1")


# ---- inside another site's page ----
@pytest.fixture
def town() -> Iterator[tuple[str, dict[str, str]]]:
    """Another site: its address, and the page that it shows at its root."""
    pages: dict[str, str] = {}
    site = Flask("town")

    @site.get("/")
    def root() -> str:
        return pages["/"]

    @site.get("/favicon.ico")
    def icon() -> tuple[str, int]:
        return "", 204

    with served(site) as address:
        yield address, pages


HOLDER = """<!doctype html><html lang="fr"><title>Ville</title><body><h1>Ville</h1>
<iframe title="Questions fréquentes" src="{address}/faq?embed=1" width="360" height="120"></iframe><output></output>
<script>addEventListener("message", event => {{
  if (event.origin !== "{address}" || event.data?.type !== "bible-faq:height") return;
  document.querySelector("iframe").height = event.data.height;
  document.querySelector("output").textContent = event.data.height;
}})</script></body></html>"""
ARTICLES = {
    "articles/dechets/bac.md": "---\ntitle: Le bac\nreviewed_on: 2026-02-01\n---\n"
    + "Le bac est au dépôt, voir [[verre]] et [la loi](https://loi.example).\n\n" * 8,
    "articles/dechets/verre.md": "---\ntitle: Le verre\nreviewed_on: 2026-01-01\n---\nLe verre va dans la colonne.\n",
}


@pytest.fixture
def framed(make_app: MakeApp, make_kb: MakeKb, town: tuple[str, dict[str, str]]) -> Iterator[tuple[str, str]]:
    """A page of another site with the FAQ in a frame: (its address, the FAQ's)."""
    address, pages = town
    with served(make_app(make_kb(ARTICLES), widget_origins=address)) as faq:
        pages["/"] = HOLDER.format(address=faq)
        yield address, faq


def test_a_frame_takes_the_height_of_what_it_holds(page: Page, framed: tuple[str, str]) -> None:
    page.goto(framed[0])
    expect(page.locator("output")).to_have_text(re.compile(r"\d+"))
    first = int(page.inner_text("output"))
    inside = page.frame_locator("iframe")
    inside.locator("summary", has_text="Le bac").first.click()
    page.wait_for_function("first => +document.querySelector('output').textContent > first + 100", arg=first)
    frame = page.frames[1]
    assert frame.evaluate("document.documentElement.scrollHeight <= innerHeight + 1"), "nothing is left to scroll"
    inside.locator("summary", has_text="Le bac").first.click()
    page.wait_for_function("first => +document.querySelector('output').textContent === first", arg=first)


def test_a_frame_tells_its_height_after_a_link_to_a_browser_that_does_not_say_who_is_around(page: Page, framed: tuple[str, str]) -> None:
    """Firefox has no ``ancestorOrigins``, and after a link the referrer is the frame itself."""

    def like_firefox(route: Route) -> None:
        script = route.fetch()
        route.fulfill(response=script, body=f"const location = {{ origin: window.location.origin }};{script.text()}")

    page.route("**/js/embed.js*", like_firefox)
    page.goto(framed[0])
    expect(page.locator("output")).to_have_text(re.compile(r"\d+"))
    first = page.inner_text("output")
    inside = page.frame_locator("iframe")
    inside.get_by_role("link", name="Dechets").first.click()
    expect(inside.locator("h1")).to_have_text("Dechets")
    expect(page.locator("output")).not_to_have_text(first)


def lines_of_the_guide(page: Page, faq: str) -> str:
    """The frame and its listener, as the guide gives them."""
    guide = (Path(__file__).parents[2] / "docs" / "guide-site-web.md").read_text(encoding="utf-8").partition("## 7.")[2]
    frame, script = (re.search(pattern, guide, re.DOTALL) for pattern in ("<iframe.*?</iframe>", "<script>.*?</script>"))
    assert frame
    assert script
    return (frame[0] + script[0]).replace("https://bible.ville.example", faq)


def lines_of_the_demonstration(page: Page, faq: str) -> str:
    page.goto(f"{faq}/demo-widget")
    return "".join(page.locator(name).inner_text() for name in ("#frame", "#height"))


@pytest.mark.parametrize("lines", [lines_of_the_guide, lines_of_the_demonstration])
def test_the_lines_to_copy_give_the_frame_its_height(
    page: Page, framed: tuple[str, str], town: tuple[str, dict[str, str]], lines: Callable[[Page, str], str]
) -> None:
    style = "<style>* { box-sizing: border-box; }</style>"
    town[1]["/"] = f'<!doctype html><html lang="fr"><title>Ville</title>{style}<body>{lines(page, framed[1])}</body></html>'
    page.goto(framed[0])
    page.wait_for_function("document.querySelector('iframe').style.height")
    inside = page.frame_locator("iframe")
    inside.locator("summary", has_text="Le bac").first.click()
    page.wait_for_function("parseInt(document.querySelector('iframe').style.height) > 700")
    assert page.frames[1].evaluate("document.documentElement.scrollHeight <= innerHeight"), (
        "nothing is left to scroll, whatever the borders"
    )
    # Nobody else is obeyed.
    height = page.locator("iframe").evaluate("one => one.style.height")
    page.evaluate("postMessage({ type: 'bible-faq:height', height: 1 }, '*')")
    page.evaluate("() => new Promise(done => setTimeout(done))")
    assert page.locator("iframe").evaluate("one => one.style.height") == height


def test_one_stays_in_the_frame_and_leaves_it_in_a_tab(page: Page, framed: tuple[str, str]) -> None:
    page.goto(framed[0])
    inside = page.frame_locator("iframe")
    inside.locator("#question").fill("Où va le verre ?")
    inside.locator(".ask button").click()
    inside.get_by_role("link", name="Lire la page « Le verre »").click()
    expect(inside.locator("h1")).to_have_text("Le verre")
    assert "embed=1" in page.frames[1].url
    inside.get_by_role("navigation").get_by_role("link", name="Le bac").click()
    expect(inside.locator("h1")).to_have_text("Le bac")
    inside.locator(".lead a", has_text="Le verre").first.click()
    expect(inside.locator("h1")).to_have_text("Le verre")
    assert page.url == framed[0] + "/"
    page.frames[1].evaluate("history.back()")
    expect(inside.locator("h1")).to_have_text("Le bac")
    assert inside.locator(".lead a", has_text="la loi").first.get_attribute("target") is None
    assert inside.locator("base").get_attribute("target") == "_blank"


def test_a_site_that_is_not_on_the_list_gets_no_frame(
    new_page: NewPage, watched: Watched, framed: tuple[str, str], town: tuple[str, dict[str, str]]
) -> None:
    watched.expected += ["frame-ancestors", "Refused to frame", "Framing", "chrome-error", "ERR_BLOCKED"]
    page = new_page()
    page.goto(framed[0].replace("127.0.0.1", "localhost"))
    page.wait_for_load_state("networkidle")
    assert page.inner_text("output") == ""
    assert "/faq" not in page.frames[1].url
