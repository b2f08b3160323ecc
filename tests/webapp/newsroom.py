"""A small content repository, the people who work on it, and their browsers without scripts.

``mould`` makes all of it once; each test works on a copy of its own.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pygit2
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from kb.article import Article
from kb.git_store import GitStore, Person
from kb.proposals import Proposals
from tests.conftest import close, settings_for
from tests.webapp.people import make_person, visitor
from tests.webapp.reading import Element, Page, read
from webapp import create_app
from webapp.database import session
from webapp.proposals.models import Proposal
from webapp.settings import PROJECT
from webapp.state import Bible

ANNE = Person("Anne Petit", "anne@ville.example")
BAC, VERRE, TROU = "articles/dechets/bac.md", "articles/dechets/verre.md", "articles/voirie/trou.md"
PEOPLE: dict[str, dict[str, object]] = {
    "agnes": {"name": "Agnès Accueil"},
    "basile": {"name": "Basile Guichet"},
    "dora": {"name": "Dora Déchets", "services": {"dechets"}},
    "denis": {"name": "Denis Déchets", "services": {"dechets"}},
    "vera": {"name": "Véra Voirie", "services": {"voirie"}},
    "lea": {"name": "Léa Partout", "services": {"dechets", "voirie"}},
    "ada": {"name": "Ada Administration", "is_admin": True},
}
QUESTIONS = "[Où trouver un bac jaune ?, Qui livre les bacs ?, Je veux un bac, Bac cassé]"
FILES = {
    BAC: f"""\
---
title: Demander un bac jaune
service: dechets
questions: {QUESTIONS}   # comme on les reçoit
tags: [bac, tri]
short: Le bac jaune se retire au dépôt.
see_also: [verre]
sources:
- {{title: Service public, url: https://www.service-public.fr/bac}}
reviewed_on: 2025-11-01
review_by: 2030-11-01
channels:
  sms: Bac jaune au dépôt.
couleur: jaune
---
Le bac jaune est au dépôt communal.

Il est gratuit.

## Où aller
Au dépôt, rue du Port. Voir aussi [[verre|le verre]].
""",
    VERRE: f"""\
---
title: Jeter le verre
questions: {QUESTIONS.replace("bac", "conteneur à verre")}
tags: [verre]
aliases: [bouteilles]
sources:
- {{title: Service public, url: https://www.service-public.fr/verre}}
reviewed_on: 2025-11-01
review_by: 2030-11-01
---
Le verre va dans la colonne verte.
""",
    TROU: f"""\
---
title: Signaler un nid-de-poule
service: voirie
questions: {QUESTIONS.replace("bac", "trou")}
sources:
- {{title: Service public, url: https://www.service-public.fr/trou}}
reviewed_on: 2025-11-01
review_by: 2030-11-01
---
La voirie rebouche le trou sous huit jours. Appelez le {{{{ service.phone }}}}.

## Ensuite
Un bac renversé ? Voir [[bac]].
""",
    "services.yml": "dechets: {name: Déchets, phone: 02 61 00 00 01}\nvoirie: {name: Voirie, phone: 02 61 00 00 02}\n",
    "synonyms.yml": "[]\n",
}


@dataclass(frozen=True)
class Mould:
    """Where the content and the database that every test copies lie, and each person's session cookie."""

    folder: Path
    cookies: dict[str, str] = field(default_factory=dict)


def make_mould(folder: Path) -> Mould:
    """Make the content repository, the accounts, and log everybody in."""
    kb = folder / "kb"
    for relative, text in FILES.items():
        path = kb / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    for name in ("organisation.yml", "channels.yml"):
        shutil.copy2(PROJECT / "kb" / name, kb / name)
    repository = pygit2.init_repository(str(kb), initial_head="main")
    repository.index.add_all()
    repository.index.write()
    signature = ANNE.signature()
    repository.create_commit("refs/heads/main", signature, signature, "Premier texte", repository.index.write_tree(), [])
    mould = Mould(folder)
    app = create_app(settings_for(kb, folder / "var", accounts="on"))
    for key, who in PEOPLE.items():
        email = f"{key}@ville.example"
        make_person(app, email=email, **who)  # type: ignore[arg-type]
        cookie = visitor(app, email).get_cookie("session")
        assert cookie is not None
        mould.cookies[key] = cookie.value
    close(app)
    return mould


class House:
    """An application on a copy of the mould."""

    def __init__(self, mould: Mould, folder: Path, **settings: object) -> None:
        shutil.copytree(mould.folder, folder, symlinks=True)
        self.root, self.var, self.cookies = folder / "kb", folder / "var", mould.cookies
        # Compiled once for all the tests: it is most of what a first page costs.
        self.templates = FileSystemBytecodeCache(str(mould.folder))
        self.settings = {"accounts": "on"} | settings
        self.app = self.start()
        self.store = GitStore(self.root)
        self.proposals = Proposals(self.store)

    def start(self, **settings: object) -> Flask:
        """Start the application, or another one on the same folders."""
        app = create_app(settings_for(self.root, self.var, **(self.settings | settings)))
        app.jinja_env.bytecode_cache = self.templates
        return app

    def as_(self, who: str, app: Flask | None = None) -> Visitor:
        """The browser of a person who is logged in."""
        client = (app or self.app).test_client()
        client.set_cookie("session", self.cookies[who])
        return Visitor(client)

    @property
    def state(self) -> Bible:
        found: Bible = self.app.extensions["bible"]
        return found

    def live(self, path: str = BAC) -> str:
        """The text that is live, in git and on the disk."""
        text = self.store.read(path)
        assert (self.root / path).read_bytes().decode() == text
        return text

    def publish(self, path: str, text: str | None, author: Person = ANNE) -> str:
        """Change the live text without a proposal, as another worker's acceptance does."""
        revision = self.store.publish({path: text}, author, "Change le texte en ligne")
        self.state.live.refresh()
        return revision

    def row(self, number: int) -> Proposal:
        """A proposal as the database has it."""
        with self.app.app_context():
            found = session().get(Proposal, number)
            assert found is not None
            _ = [event.text for event in found.events], found.answers
            session().expunge_all()
            return found

    def rows(self) -> list[Proposal]:
        with self.app.app_context():
            found = list(session().query(Proposal).order_by(Proposal.id))
            session().expunge_all()
            return found

    def proposed(self, path: str = BAC, number: int | None = None) -> Article:
        """The text that a proposal has of an article; that of the only one that is open by default."""
        name = self.row(number).branch if number else None
        [branch] = [one for one in self.proposals.open_branches() if name in (None, one.name)]
        [change] = [one for one in self.proposals.file_changes(branch.base, branch.tip) if one.new_path == path]
        assert change.after is not None
        return Article.parse(change.after, path)

    @cached_property
    def database(self) -> Session:
        """The database itself."""
        opened: Session = self.app.extensions["database_sessions"]()
        return opened


def fields_of(page: Page, form: Element) -> dict[str, str]:
    """What a browser would send of a form, line ends included; buttons aside."""
    found = {}
    inside = [one for one in page.elements if any(parent is form for parent in one.parents)]
    for one in inside:
        name = one.attributes.get("name")
        if name is None or one.tag in ("button", "details"):
            continue
        if one.attributes.get("type") == "radio" and "checked" not in one.attributes:
            continue
        if one.tag == "textarea":
            found[name] = one.text.removeprefix("\n").replace("\n", "\r\n")
        elif one.tag == "select":
            options = [option for option in inside if option.tag == "option" and any(parent is one for parent in option.parents)]
            chosen = next((option for option in options if "selected" in option.attributes), options[0])
            found[name] = chosen.attributes["value"]
        else:
            found[name] = one.attributes.get("value", "")
    return found


class Visitor:
    """A browser without scripts."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def page(self, address: str, status: int = 200) -> Page:
        response = self.client.get(address)
        assert response.status_code == status, (response.status_code, response.location, response.text[:3000])
        return read(response)

    @cached_property
    def token(self) -> str:
        """What the forms of this browser carry, as long as its session lasts."""
        return next(one.attributes["value"] for one in self.page("/compte").find("input") if one.attributes.get("name") == "csrf_token")

    def form(self, address: str) -> dict[str, str]:
        """The fields of the editor's form, filled as the page shows them."""
        page = self.page(address)
        return fields_of(page, page.one("#editor"))

    def send(self, address: str, **fields: str) -> TestResponse:
        """Send the editor's form with some fields changed; ``channels__sms`` is ``channels.sms``."""
        named = {name.replace("__", "."): value for name, value in fields.items()}
        return self.client.post(address, data=self.form(address) | named)

    def post(self, address: str, **fields: str) -> TestResponse:
        """Send another form, with the token of a page that the person has open."""
        return self.client.post(address, data={"csrf_token": self.token, **fields})

    def propose(self, address: str, **fields: str) -> int:
        """Send the editor's form; returns the number of the proposal."""
        response = self.send(address, **fields)
        assert response.status_code == 303, errors_in(read(response)) if response.mimetype == "text/html" else response.text
        return int(response.location.split("/")[2])

    def accept(self, number: int, **fields: str) -> TestResponse:
        """Press « Accepter et publier », whether or not the page offers it."""
        page = self.page(f"/propositions/{number}")
        tip = next(one.attributes["value"] for one in page.find(".decision input") if one.attributes["name"] == "tip")
        return self.post(f"/propositions/{number}/publier", **{"tip": tip} | fields)

    def found(self, words: str) -> list[str]:
        """Slugs of the articles that the API finds by these words."""
        answer = self.client.get("/api/v1/search", query_string={"q": words})
        assert answer.status_code == 200
        return [one["slug"] for one in answer.json["results"]]

    def matched(self, message: str) -> list[str]:
        """Slugs of the articles that the API matches with a message."""
        answer = self.client.post("/api/v1/match", json={"message": message}, headers={"X-CSRFToken": self.token})
        assert answer.status_code == 200, answer.text
        return [one["slug"] for one in answer.json["matches"]]


def errors_in(page: Page) -> str:
    """The page's messages of what is wrong."""
    return " ".join(" ".join(one.text.split()) for one in page.find(".error") + page.find(".note-error"))


def notes(page: Page, name: str) -> str:
    """What is said beside a field."""
    return " ".join(page.one(f"#notes-{name}").text.split())
