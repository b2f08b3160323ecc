"""From the desk to the services: what is sent, to whom, masked, and what is refused."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pygit2
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from kb.article import Article
from kb.git_store import GitStore, Person
from kb.proposals import Proposals
from tests.conftest import MakeApp, MakeKb
from tests.webapp.reading import Page, ask_with, read, token_of
from webapp.database import session
from webapp.proposals.models import Proposal
from webapp.settings import Settings

BAC = "articles/dechets/bac.md"
FILES = {
    BAC: "---\ntitle: Le bac jaune\nquestions: [Où trouver un bac jaune ?]\n---\nLe bac jaune est au dépôt.",
    "articles/voirie/conteneur.md": "---\ntitle: Le conteneur de rue\nquestions: [Où est le bac jaune de ma rue ?]\n---\n"
    "Le bac jaune de rue est là.",
    "services.yml": "dechets: {name: Déchets}\nvoirie: {name: Voirie}\nrelation-usagers: {name: Accueil}",
}
QUESTION = "Le camion a cassé mon bac jaune, qui le remplace ?"
EMAIL, PHONE = "lea.martin@courriel.example", "06 12 34 56 78"
SCRIPT = {"X-Bible-Fragment": "1"}


class House:
    """An application on a repository of its own."""

    def __init__(self, app: Flask, root: Path, settings: Settings) -> None:
        self.app, self.client, self.settings = app, app.test_client(), settings
        self.proposals = Proposals(GitStore(root))

    def wrong(self, headers: dict[str, str] | None = None, **fields: str) -> TestResponse:
        data = {"csrf_token": token_of(self.client), "article": "bac", "question": QUESTION} | fields
        return self.client.post("/demandes/mauvaise-reponse", data=data, headers=headers)

    def none(self, headers: dict[str, str] | None = None, **fields: str) -> TestResponse:
        data = {"csrf_token": token_of(self.client), "service": "voirie", "question": QUESTION} | fields
        return self.client.post("/demandes/sans-reponse", data=data, headers=headers)

    @property
    def rows(self) -> list[Proposal]:
        with self.app.test_request_context():
            return list(session().query(Proposal).order_by(Proposal.id))


@pytest.fixture
def house(make_kb: MakeKb, make_app: MakeApp) -> Iterator[House]:
    """Two articles of two services, in git."""
    root = make_kb(FILES)
    repository = pygit2.init_repository(str(root), initial_head="main")
    repository.index.add_all()
    repository.index.write()
    signature = Person("Anne", "anne@ville.example").signature()
    repository.create_commit("refs/heads/main", signature, signature, "Début", repository.index.write_tree(), [])
    app = make_app(root)
    yield House(app, root, app.extensions["bible"].settings)


# ---- the forms of the desk ----
def test_every_card_has_the_form(house: House) -> None:
    message = f"Bonjour, où trouver un bac jaune au {PHONE} ? Par ailleurs, où est le conteneur de rue de la voirie au {PHONE} ?"
    page = read(ask_with(house.client, message))
    cards = [card for card in page.find(".card") if card.attributes["data-number"] != "0"]
    assert len(cards) == 2
    for card, slug, other, words in zip(
        cards, ("bac", "conteneur"), ("conteneur", "bac"), ("où trouver un bac", "conteneur de rue"), strict=True
    ):
        inside = [one for one in page.elements if card in one.parents]
        [form] = [one for one in inside if one.tag == "form"]
        assert form.attributes["action"] == "/demandes/mauvaise-reponse"
        assert form.attributes["method"] == "post"
        assert next(one.attributes["value"] for one in inside if one.attributes.get("name") == "article") == slug
        [question] = [one.text.strip() for one in inside if one.attributes.get("name") == "question"]
        assert words in question
        assert PHONE not in question
        assert "[téléphone]" in question
        assert [one.attributes["value"] for one in inside if one.tag == "option"] == ["", other]
        assert "Sans nom, adresse, téléphone ni numéro de dossier" in form.text
        # What needs no script is there without one.
        assert not [one for one in inside if one.tag == "summary" and "js-only" in one.classes]
    assert "mailto:" not in "".join(link.attributes.get("href", "") for link in page.find(".card a"))


@pytest.mark.parametrize(
    "message",
    [
        "Madame Sophie Lambert, dossier 2024-99887, {}",
        "Mme Claire Fontaine. {}",
        "Monsieur Jean Petit, {}",
        "Bonjour, ici Luc Moreau du 5 rue des Lilas, {}",
        "Bonjour c'est Karim Benali. {}",
    ],
)
@pytest.mark.parametrize("asked", ["où trouver un bac jaune ?", "xyzzy plugh frobozz"])
def test_a_name_that_opens_a_message_stays_at_the_desk(house: House, message: str, asked: str) -> None:
    """« Madame » is dropped before the question is shown: the name behind it is masked all the same."""
    page = read(ask_with(house.client, message.format(asked)))
    questions = [one.text for one in page.find(".request-form textarea")]
    assert questions
    for question in questions:
        assert asked.split()[1] in question
        assert not re.search("Lambert|Fontaine|Petit|Moreau|Benali|99887|Lilas", question)


def test_without_an_answer_the_service_is_asked(house: House) -> None:
    page = read(ask_with(house.client, "xyzzy plugh frobozz"))
    form = next(one for one in page.find(".none form"))
    assert form.attributes["action"] == "/demandes/sans-reponse"
    assert "Demander une réponse au service" in page.one(".none .ask-service summary").text
    [picked] = [one for one in page.find(".none option") if "selected" in one.attributes]
    assert picked.attributes["value"] == "relation-usagers"
    assert {one.attributes["value"] for one in page.find(".none option")} == {"", "dechets", "voirie", "relation-usagers"}
    assert page.one(".none textarea").text.strip() == "xyzzy plugh frobozz"


def test_a_long_message_is_cut_after_a_word(house: House) -> None:
    text = read(ask_with(house.client, "xyzzy plugh " * 100)).one(".none textarea").text.strip()
    assert len(text) <= 500
    assert text.endswith(("xyzzy…", "plugh…"))


# ---- what is sent ----
def test_a_wrong_answer_becomes_a_request_to_its_service(house: House) -> None:
    response = house.wrong()
    [row] = house.rows
    assert (row.kind, row.service, row.slug, row.message) == ("request", "dechets", "bac", QUESTION)
    assert "Le bac jaune" in row.title
    assert response.status_code == 303
    assert response.location == f"/propositions/{row.id}"
    assert house.proposals.open_branches() == []


def test_a_missing_answer_becomes_a_request_to_the_chosen_service(house: House) -> None:
    assert house.none().status_code == 303
    [row] = house.rows
    assert (row.kind, row.service, row.slug, row.message) == ("request", "voirie", "", QUESTION)
    assert row.author_name == "Camille Agent"


@pytest.mark.parametrize(
    "fields",
    [
        {"right": "conteneur"},
        {"right_title": "Le conteneur de rue"},
        {"right_title": " le CONTENEUR  de rue "},
        {"right_title": "conteneur"},
    ],
)
def test_the_right_article_gets_the_question_as_a_proposal(house: House, fields: dict[str, str]) -> None:
    response = house.wrong(None, **fields)
    [row] = house.rows
    assert (row.kind, row.service, row.slug) == ("edit", "voirie", "conteneur")
    assert response.location == f"/propositions/{row.id}"
    assert row.base is not None
    assert row.tip is not None
    [change] = house.proposals.file_changes(row.base, row.tip)
    before, after = Article.parse(change.before or "", change.path), Article.parse(change.after or "", change.path)
    assert after.meta.questions == (*before.meta.questions, QUESTION)
    assert (after.body, after.title) == (before.body, before.title)
    assert "Le bac jaune" in row.message
    # Nothing is live before somebody accepts it.
    assert house.app.extensions["bible"].library.articles["conteneur"].meta.questions == before.meta.questions


def test_a_folder_without_git_still_sends_requests(make_kb: MakeKb, make_app: MakeApp) -> None:
    root = make_kb(FILES)
    app = make_app(root)
    house = House(app, root, app.extensions["bible"].settings)
    assert house.wrong(right="conteneur").status_code == 303
    [row] = house.rows
    assert row.kind == "request"
    assert "Le conteneur de rue" in row.title


def test_the_script_gets_a_line_with_the_number(house: House) -> None:
    page = Page(house.wrong(SCRIPT).text)
    assert not page.find("html")
    [row] = house.rows
    assert " ".join(page.one(".sent").text.split()) == f"Envoyé à Déchets : demande n° {row.id}"
    assert page.one("a").attributes["href"] == f"/propositions/{row.id}"
    page = Page(house.wrong(SCRIPT, right="conteneur").text)
    assert "Envoyé à Voirie : proposition n°" in " ".join(page.one(".sent").text.split())


def test_the_page_says_that_it_was_sent(house: House) -> None:
    page = read(house.client.get(house.wrong().location))
    assert "Envoyé à Déchets : demande n° 1." in page.text
    assert QUESTION in page.text


# ---- personal data ----
@pytest.mark.parametrize("fields", [{}, {"right": "conteneur"}])
@pytest.mark.parametrize("kind", ["wrong", "none"])
def test_what_looks_personal_is_masked_and_kept_nowhere(
    house: House, kind: str, fields: dict[str, str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    text = f"{QUESTION} Écrivez à {EMAIL} ou au {PHONE}."
    response = house.wrong(None, question=text, **fields) if kind == "wrong" else house.none(None, question=text, **fields)
    assert response.status_code == 303
    [row] = house.rows
    kept = row.message + row.title
    if row.tip and row.base:
        [change] = house.proposals.file_changes(row.base, row.tip)
        kept += change.after or ""
    assert "[adresse e-mail]" in kept
    assert "[téléphone]" in kept
    database = sqlite3.connect(house.settings.database_address.removeprefix("sqlite:///"))
    everything = "\n".join(database.iterdump())
    database.close()
    for secret in (EMAIL, PHONE, "lea.martin"):
        assert secret not in everything
        assert secret not in kept + str(response.headers) + caplog.text + "".join(capfd.readouterr())
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_the_question_is_in_no_address_log_or_cookie(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for response in (house.wrong(), house.none(), house.wrong(right="conteneur"), house.wrong(right="rien")):
        assert "camion" not in str(response.headers)
    with house.client.session_transaction() as cookie:
        assert "camion" not in str(dict(cookie))
    assert "camion" not in caplog.text
    for address in ("/demandes/mauvaise-reponse", "/demandes/sans-reponse"):
        assert house.client.get(address).status_code == 405


# ---- what is refused ----
REFUSED = [
    ("wrong", {"question": ""}, "Écrivez la question"),
    ("wrong", {"question": " \r\n\t "}, "Écrivez la question"),
    ("wrong", {"question": "a " * 251 + "a"}, "503 caractères, pour 500 au plus"),
    ("wrong", {"right": "bac"}, "C'est l'article que vous écartez"),
    ("wrong", {"right": "../../etc/passwd"}, "Aucun article ne porte ce titre"),
    ("wrong", {"right_title": "Rien de tel"}, "Aucun article ne porte ce titre"),
    ("wrong", {"right": "conteneur", "question": "où est le bac jaune de ma rue ?"}, "répond déjà à cette question"),
    ("none", {"question": ""}, "Écrivez la question"),
    ("none", {"question": "a" * 501}, "501 caractères"),
    ("none", {"service": ""}, "Choisissez le service"),
    ("none", {"service": "police-secrete"}, "Choisissez le service"),
]


@pytest.mark.parametrize(("kind", "fields", "words"), REFUSED)
@pytest.mark.parametrize("headers", [None, SCRIPT])
def test_what_cannot_be_sent_is_said_in_the_form(
    house: House, kind: str, fields: dict[str, str], words: str, headers: dict[str, str] | None
) -> None:
    response = house.wrong(headers, **fields) if kind == "wrong" else house.none(headers, **fields)
    assert response.status_code == 422
    page = Page(response.text)
    assert words in page.one(".error").text
    assert bool(page.find("html")) == (headers is None)
    assert page.one(".request-form textarea").text.strip() == fields.get("question", QUESTION).strip()[:2000]
    assert house.rows == []
    assert house.proposals.open_branches() == []


def test_the_form_comes_back_whole(house: House) -> None:
    page = read(house.wrong(right="conteneur", right_title="Rien de tel", other="conteneur"))
    [picked] = [one for one in page.find(".request-form option") if "selected" in one.attributes]
    assert picked.attributes["value"] == "conteneur"
    titles = [one.attributes["value"] for one in page.find(".request-form input") if one.attributes["name"] == "right_title"]
    assert titles == ["Rien de tel"]


def test_an_unknown_article_is_not_found(house: House) -> None:
    assert house.wrong(article="rien").status_code == 404
    assert house.rows == []


@pytest.mark.parametrize("address", ["/demandes/mauvaise-reponse", "/demandes/sans-reponse"])
def test_a_forged_form_sends_nothing(house: House, address: str) -> None:
    for token in (None, "faux"):
        data = {"article": "bac", "service": "voirie", "question": QUESTION} | ({"csrf_token": token} if token else {})
        response = house.client.post(address, data=data)
        assert response.status_code == 422
        assert "Votre session avait expiré" in read(response).text
    assert house.rows == []


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</textarea><script>alert(1)</script>"])
def test_what_is_sent_is_shown_as_it_is(house: House, hostile: str) -> None:
    for response in (house.wrong(question=hostile, right="rien"), house.client.get(house.wrong(question=hostile).location)):
        page = read(response)
        assert not [one for one in page.elements if one.tag == "img" or (one.tag == "script" and "alert" in one.text)]


def test_a_question_that_yaml_would_misread_stays_a_question(house: House) -> None:
    text = "[a]: {b} & *c # - 'd' \"e\" ? | > %f @g `h`"
    house.wrong(question=text, right="conteneur")
    [row] = house.rows
    [change] = house.proposals.file_changes(row.base or "", row.tip or "")
    assert Article.parse(change.after or "", change.path).meta.questions[-1].startswith("[a]: {b} & *c # -")
