"""Read pages and send forms as a browser without scripts does."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


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
