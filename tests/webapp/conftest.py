"""What the tests of the web application share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from kb.library import Library
from tests.conftest import close
from tests.webapp.newsroom import House, Mould, make_mould
from tests.webapp.reading import ask_with, token_of
from webapp.accounts import passwords
from webapp.settings import PROJECT

PO = PROJECT / "webapp" / "translations" / "en" / "LC_MESSAGES" / "messages.po"
Ask = Callable[..., TestResponse]
MakeHouse = Callable[..., House]


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


@pytest.fixture(scope="session")
def mould(tmp_path_factory: pytest.TempPathFactory) -> Mould:
    """The newsroom's content and people, made once."""
    return make_mould(tmp_path_factory.mktemp("mould") / "made")


@pytest.fixture
def make_house(mould: Mould, tmp_path: Path) -> Iterator[MakeHouse]:
    """Make applications on a copy of the newsroom's content."""
    made: list[House] = []

    def make(**settings: object) -> House:
        made.append(House(mould, tmp_path / f"house-{len(made)}", **settings))
        return made[-1]

    yield make
    for house in made:
        close(house.app)


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """Three articles of two services, in git."""
    return make_house()
