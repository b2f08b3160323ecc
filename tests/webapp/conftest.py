"""What the tests of the web application share: reading pages, sending forms as a browser without scripts does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from kb.library import Library
from webapp.accounts import passwords
from webapp.settings import PROJECT

PO = PROJECT / "webapp" / "translations" / "en" / "LC_MESSAGES" / "messages.po"
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
Ask = Callable[..., TestResponse]


@pytest.fixture(scope="session", autouse=True)
def _compiled_translations() -> None:
    """Compile the English words as ``make setup`` does, when they are missing or older than their source."""
    compiled = PO.with_suffix(".mo")
    if not compiled.exists() or compiled.stat().st_mtime < PO.stat().st_mtime:
        with PO.open("rb") as source:
            catalog = read_po(source, locale="en")
        with compiled.open("wb") as target:
            write_mo(target, catalog)


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Hash passwords cheaply: what they cost in earnest is a test of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


# ---- reading pages ----
@dataclass
class Element:
    """An element of a page: its tag, its attributes, its whole text, and the elements around it."""

    tag: str
    attributes: dict[str, str]
    parents: tuple[Element, ...]
    text: str = field(default="")

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    def inside(self, selector: str) -> bool:
        return any(parent.matches(selector) for parent in self.parents)

    def matches(self, selector: str) -> bool:
        """``tag``, ``.class``, ``tag.class`` or ``#id``."""
        if selector.startswith("#"):
            return self.attributes.get("id") == selector[1:]
        tag, _, name = selector.partition(".")
        return tag in ("", self.tag) and (not name or name in self.classes)


class Page(HTMLParser):
    """A parsed page; ``find`` lists its elements by a simple selector, ``.card .reply`` included."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        self.elements.append(element)
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self._open):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def find(self, selector: str) -> list[Element]:
        *around, last = selector.split()
        return [element for element in self.elements if element.matches(last) and all(element.inside(one) for one in around)]

    def one(self, selector: str) -> Element:
        [element] = self.find(selector)
        return element

    @property
    def text(self) -> str:
        return " ".join(self.one("body").text.split())


def read(response: TestResponse) -> Page:
    """Parse a response's page."""
    assert response.mimetype == "text/html", response.mimetype
    return Page(response.text)


# ---- sending forms ----
def token_of(client: FlaskClient) -> str:
    """The token of the desk's form, as a browser would send it back."""
    fields = read(client.get("/")).find("#desk input")
    return next(one.attributes["value"] for one in fields if one.attributes["name"] == "csrf_token")


def ask_with(client: FlaskClient, message: str, headers: dict[str, str] | None = None, **fields: str) -> TestResponse:
    """Send the desk's form; ``request__reference="12"`` fills ``request.reference``."""
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return client.post("/", data={"csrf_token": token_of(client), "message": message, **named}, headers=headers)


@pytest.fixture
def ask(client: FlaskClient) -> Ask:
    """Send a message to the desk of ``app``: ``ask("…", channel="sms")``."""
    return lambda message, **fields: ask_with(client, message, **fields)


# ---- what the sample content holds ----
@pytest.fixture
def library(app: Flask) -> Library:
    """The articles of ``app``."""
    found: Library = app.extensions["bible"].library
    return found


@pytest.fixture
def question(library: Library) -> str:
    """A citizen's question that « collecte-non-faite » answers."""
    return library.articles["collecte-non-faite"].meta.questions[1]


@pytest.fixture
def other_question(library: Library) -> str:
    """A citizen's question that « inscription-ecole » answers."""
    return library.articles["inscription-ecole"].meta.questions[0]


@pytest.fixture
def one_article(make_kb: Callable[[dict[str, str]], Path]) -> Callable[..., Path]:
    """Make a content folder of one article « bac » about a bin, with more files when given."""

    def make(
        text: str = "---\ntitle: Le bac jaune\nquestions: [Où trouver un bac jaune ?]\n---\nLe bac jaune est au dépôt.\n", **more: str
    ) -> Path:
        return make_kb({"articles/dechets/bac.md": text, **{name.replace("__", "."): words for name, words in more.items()}})

    return make


@pytest.fixture
def english(app: Flask) -> Iterator[FlaskClient]:
    """A client that picked English."""
    client = app.test_client()
    answer = client.post("/langue", data={"csrf_token": token_of(client), "language": "en", "next": "/"})
    assert answer.status_code == 303
    yield client
