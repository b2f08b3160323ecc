"""What every page has: the palette, the search, the themes; it fits a phone, and leaves nobody out (axe-core)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import NOTHING, ZEPHYR, NewPage, Watched, find, grave_faults, too_wide

Visit = Callable[[Page], Any]


def missing(page: Page) -> None:
    find(page, ZEPHYR)
    page.click(".card .copy >> nth=0")


def several(page: Page) -> None:
    find(page, "Comment inscrire mon enfant à l'école maternelle ? Par ailleurs, où en est mon dossier Zéphyr ?")
    page.click(".card .wrong >> nth=0")
    page.click("#personalise summary")


PAGES: dict[str, Visit] = {
    "desk, empty": lambda page: page.goto("/"),
    "desk, results": several,
    "desk, missing": missing,
    "desk, none": lambda page: find(page, NOTHING),
    "desk, error": lambda page: find(page, " "),
    "search": lambda page: page.goto("/articles/?q=carte"),
    "search, narrowed": lambda page: page.goto("/articles/?q=carte&service=etat-civil&tag=CNI"),
    "search, nothing": lambda page: page.goto("/articles/?q=z%C3%A9phir"),
    "search, error": lambda page: page.goto("/articles/?q=" + "a" * 201),
    "browse": lambda page: page.goto("/articles/"),
    "article": lambda page: page.goto("/articles/carte-identite-demande"),
    "article, late": lambda page: page.goto("/articles/dossier-zephyr"),
    "error 404": lambda page: page.goto("/nulle-part"),
}


# ---- the palette and the search ----
def test_the_palette_opens_filters_and_enters(page: Page) -> None:
    page.goto("/")
    page.focus("#message")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    expect(page.locator("#palette-input")).to_be_focused()
    expect(page.locator("#palette [role=option]")).to_have_count(8)
    page.keyboard.type("zéph")
    option = page.locator("#palette [role=option]")
    expect(option).to_have_count(1)
    expect(option).to_contain_text("Suivre un dossier Zéphyr")
    # The service has its name, not its key.
    expect(option).to_contain_text("Relation aux usagers")
    expect(option).to_have_attribute("aria-selected", "true")
    expect(page.locator("#palette-input")).to_have_attribute("aria-activedescendant", "palette-0")
    page.keyboard.press("Enter")
    page.wait_for_url("**/articles/dossier-zephyr")


def test_the_palette_is_walked_with_the_arrows(page: Page) -> None:
    page.goto("/articles/")
    page.click("#palette-open")
    expect(page.locator("#palette [role=option]")).to_have_count(8)
    selected = page.locator("#palette [aria-selected=true]")
    for key, expected in (("ArrowDown", "palette-1"), ("ArrowUp", "palette-0"), ("ArrowUp", "palette-7"), ("ArrowDown", "palette-0")):
        page.keyboard.press(key)
        expect(selected).to_have_count(1)
        expect(selected).to_have_attribute("id", expected)
    slug = selected.get_attribute("data-slug")
    selected.click()
    page.wait_for_url(f"**/articles/{slug}")


def test_the_palette_closes_and_gives_the_focus_back(page: Page) -> None:
    page.goto("/")
    page.focus("#message")
    for key in ("Escape", "Control+k"):
        page.keyboard.press("Control+k")
        expect(page.locator("#palette")).to_be_visible()
        page.keyboard.press(key)
        expect(page.locator("#palette")).to_be_hidden()
        expect(page.locator("#message")).to_be_focused()


def test_a_word_and_enter_in_one_go_open_what_the_word_finds(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette [role=option]")).to_have_count(8)
    page.keyboard.insert_text("zéphyr")
    page.keyboard.press("Enter")
    page.wait_for_url("**/articles/dossier-zephyr")


@pytest.mark.parametrize("words", ["xyzzyplugh", '"(((', "title:", "NOT"])
def test_the_palette_says_when_nothing_is_found(page: Page, words: str) -> None:
    page.goto("/")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette [role=option]")).to_have_count(8)
    with page.expect_response(lambda response: "/api/v1/search" in response.url) as answer:
        page.fill("#palette-input", words)
    assert answer.value.status == 200
    if words == "xyzzyplugh":
        expect(page.locator("#palette-list")).to_have_text("Aucun article ne contient ces mots.")
        page.keyboard.press("Enter")
        expect(page.locator("#palette")).to_be_visible()


def test_slash_goes_to_the_search(page: Page) -> None:
    page.goto("/articles/")
    page.keyboard.press("/")
    expect(page.locator("#topsearch")).to_be_focused()
    assert page.input_value("#topsearch") == ""
    page.keyboard.type("zéphyr")
    page.keyboard.press("Enter")
    expect(page.locator(".hits h2 a")).to_have_text("Suivre un dossier Zéphyr")


def test_slash_in_a_message_is_a_slash(page: Page) -> None:
    page.goto("/")
    page.focus("#message")
    page.keyboard.type("24/11")
    assert page.input_value("#message") == "24/11"


def test_the_skip_link_leads_to_the_content(page: Page) -> None:
    page.goto("/articles/")
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


# ---- themes ----
def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_toggled_and_is_kept(new_page: NewPage, scheme: str) -> None:
    page = new_page(color_scheme=scheme)
    page.goto("/")
    before = background(page)
    page.click("#theme-toggle")
    after = background(page)
    assert after != before
    other = "dark" if scheme == "light" else "light"
    expect(page.locator("html")).to_have_attribute("data-theme", other)
    page.goto("/articles/")
    expect(page.locator("html")).to_have_attribute("data-theme", other)
    assert background(page) == after
    page.click("#theme-toggle")
    assert background(page) == before


# ---- every page ----
@pytest.fixture
def narrow(new_page: NewPage) -> Page:
    """A phone's page."""
    return new_page(width=390, height=844, has_touch=True)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone(narrow: Page, name: str) -> None:
    PAGES[name](narrow)
    assert too_wide(narrow) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_leaves_nobody_out(page: Page, name: str) -> None:
    PAGES[name](page)
    assert grave_faults(page) == []


@pytest.mark.parametrize("name", ["desk, empty", "search"])
def test_the_palette_leaves_nobody_out(page: Page, name: str) -> None:
    PAGES[name](page)
    page.keyboard.press("Control+k")
    expect(page.locator("#palette [role=option]")).to_have_count(8)
    assert grave_faults(page) == []


def test_axe_sees_what_is_wrong(page: Page) -> None:
    """Were it blind, the tests above would prove nothing."""
    page.goto("/")
    page.evaluate(
        "document.querySelector('label[for=message]').remove(); document.querySelector('#message').removeAttribute('placeholder')"
    )
    found = {one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")}
    assert "label" in found


def test_headings_have_an_order(page: Page) -> None:
    for visit in PAGES.values():
        visit(page)
        levels: list[int] = page.evaluate(
            """[...document.querySelectorAll("main :is(h1, h2, h3)")].filter(one => one.checkVisibility()).map(one => +one.tagName[1])"""
        )
        assert levels.count(1) == 1
        # The filters of a search stand before its title.
        before, after = levels[: levels.index(1)], levels[levels.index(1) :]
        assert set(before) <= {2}
        assert all(next_one - one <= 1 for one, next_one in pairwise(after)), levels


def test_the_policy_blocks_what_is_injected(page: Page, watched: Watched) -> None:
    watched.expected.append("Content Security Policy")
    page.goto("/")
    page.evaluate(
        """() => { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.broken = 1'><b style='color: red'>x</b>");
                   const script = document.createElement("script"); script.textContent = "window.broken = 1"; document.body.append(script);
                   const far = document.createElement("script"); far.src = "https://evil.example/a.js"; document.body.append(far); }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.broken") is None
    # The console tells: this is how the other tests would know.
    assert len([one for one in watched.found if "Content Security Policy" in one]) >= 3
    watched.found = [one for one in watched.found if "Content Security Policy" in one]
