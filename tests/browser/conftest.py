"""A real Chromium on the live server. Every page is watched: an error in the console or a blocked resource fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from kb.library import Library

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TIMEOUT_MS = 20_000  # the machine may be shared
expect.set_options(timeout=TIMEOUT_MS)
ZEPHYR = "Où en est mon dossier Zéphyr ?"
NOTHING = "xyzzy plugh frobozz"
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and skip them where there is no browser."""
    missing = pytest.mark.skip(reason="no `chromium` on the PATH: install it to run the tests in a browser")
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if shutil.which("chromium") is None:
                item.add_marker(missing)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all the tests."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield launched
        launched.close()


@dataclass
class Watched:
    """What went wrong on the pages of a test; ``expected`` holds parts of messages that the test provokes."""

    found: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        address = urlsplit(message.location.get("url", ""))
        # The console repeats the status of an error page that a test asked for; not that of a file which is missing.
        is_status = "Failed to load resource" in message.text and "status of" in message.text
        is_page = not address.path.startswith(("/static/", "/api/"))
        if message.type in ("error", "warning") and not (is_status and is_page):
            self.found.append(f"{message.type}: {message.text}")

    @property
    def unexpected(self) -> list[str]:
        return [one for one in self.found if not any(part in one for part in self.expected)]


NewPage = Callable[..., Page]


@pytest.fixture
def watched() -> Watched:
    """What went wrong so far in this test."""
    return Watched()


@pytest.fixture
def new_page(browser: Browser, live_server: str, watched: Watched) -> Iterator[NewPage]:
    """Open a page with a profile of its own: ``new_page(width=390, color_scheme="dark", java_script_enabled=False)``."""
    contexts: list[BrowserContext] = []

    def make(width: int = 1280, height: int = 900, **options: object) -> Page:
        known: dict[str, Any] = {"base_url": live_server, "viewport": {"width": width, "height": height}, "locale": "fr-FR"} | options
        context = browser.new_context(**known)
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=known["base_url"])
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.on("console", watched.hear)
        page.on("pageerror", lambda error: watched.found.append(f"exception: {error}"))
        return page

    yield make
    for context in contexts:
        context.close()
    assert watched.unexpected == []


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """A page of 1280 × 900."""
    return new_page()


@pytest.fixture
def library(app: Flask) -> Library:
    """The articles of the live server."""
    found: Library = app.extensions["bible"].library
    return found


@pytest.fixture
def question(library: Library) -> str:
    """A citizen's question that « collecte-non-faite » answers."""
    return library.articles["collecte-non-faite"].meta.questions[1]


def find(page: Page, message: str) -> None:
    """Type a message and press the button, on a desk with or without scripts."""
    page.goto("/")
    page.fill("#message", message)
    page.click("#desk button[type=submit]")
    page.wait_for_selector("#results .summary, #results .notice")
    if page.evaluate("document.documentElement.classList.contains('js')"):
        page.wait_for_selector('#results[aria-busy="false"] .summary, #results[aria-busy="false"] .notice')


def grave_faults(page: Page) -> list[tuple[str, str, list[str]]]:
    """What axe-core finds that shuts somebody out, in light and in dark."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        grave = [one for one in violations if one["impact"] in ("serious", "critical")]
        found += [(scheme, one["id"], [node["html"][:160] for node in one["nodes"]]) for one in grave]
    return found


def too_wide(page: Page) -> list[str]:
    """What sticks out of a phone's page, at 390 px and at 320, which 1280 becomes at 400 % (WCAG 1.4.10)."""
    found = []
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(f"the page, at {width}")
        found += page.evaluate(
            """width => [...document.querySelectorAll("main *")]
                 .filter(one => { const box = one.getBoundingClientRect(); return box.width && box.height && box.right > width + 1; })
                 .filter(one => !one.closest(".visually-hidden, table, pre, .facets")).map(one => one.outerHTML.slice(0, 80))""",
            width,
        )
    return found


def leave_the_field(page: Page) -> None:
    """Put the focus on the page itself, where one key copies."""
    page.evaluate("document.activeElement.blur()")


def clipboard(page: Page) -> dict[str, str]:
    """What is on the clipboard, by type."""
    found: dict[str, str] = page.evaluate(
        """async () => {
             const found = {};
             for (const item of await navigator.clipboard.read())
               for (const type of item.types) found[type] = await (await item.getType(type)).text();
             return found;
           }"""
    )
    return found


def write_clipboard(page: Page, words: str) -> None:
    """Put words on the clipboard."""
    page.evaluate("words => navigator.clipboard.writeText(words)", words)
