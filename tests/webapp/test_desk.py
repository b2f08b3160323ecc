"""The reply desk, as a browser without scripts sees it: what is answered, what is refused, and that no message is kept."""

from __future__ import annotations

import http.client
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient

from kb import replies
from kb.library import Library
from search.embedder import SentenceTransformerEmbedder
from search.engine import MatchResult, RequestMatches, SearchEngine
from search.passages import passages
from tests.conftest import EXTRA, MakeApp, MakeKb, settings_for
from tests.webapp.conftest import Ask
from tests.webapp.reading import Page, ask_with, read, token_of
from webapp import views
from webapp.settings import PROJECT, Settings

CHANNELS = list(yaml.safe_load((PROJECT / "kb" / "channels.yml").read_text(encoding="utf-8")))
ZEPHYR = "Où en est mon dossier Zéphyr ?"
NOTHING = "xyzzy plugh frobozz"
MARKER = "Zorglubine-7431"


def reply_texts(page: Page) -> list[str]:
    # A text area drops the line break that follows its tag.
    return [area.text.removeprefix("\n") for area in page.find(".card .reply-text")]


# ---- what is answered ----
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_pasted_message_gets_the_reply_of_each_channel(ask: Ask, app: Flask, library: Library, question: str, channel: str) -> None:
    response = ask(f"Bonjour,\n{question}\nCordialement", channel=channel)
    page = read(response)
    assert response.status_code == 200
    card = page.find(".card")[0]
    assert library.articles["collecte-non-faite"].title in card.text
    with app.test_request_context():
        state = app.extensions["bible"]
        article = library.articles["collecte-non-faite"]
        expected = replies.render_reply(article, channel, library.context, state.public_url(article), {}, state.resolve_public)
    assert reply_texts(page)[0] == expected.text
    assert str(expected.length) in page.find(".card .counter")[0].text
    assert card.attributes["data-format"] == library.context.channels[channel].format
    [checked] = [one for one in page.find(".channels input") if "checked" in one.attributes]
    assert checked.attributes["value"] == channel


def test_what_matched_is_shown_with_its_facts(app: Flask, library: Library) -> None:
    """A passage is searched without its variables: shown so, it would have holes."""
    with app.test_request_context():
        state = app.extensions["bible"]
        filled = 0
        for article in library.articles.values():
            for passage in passages(article):
                shown = views.excerpt(state, article, passage.text)
                filled += shown != passage.text
                if passage.field in ("title", "question"):
                    assert shown == passage.text
                else:
                    assert not re.search(r"[\s(][.,)](?:\s|$)", shown), (article.slug, shown)
                    assert "{{" not in shown
        assert filled > 100
        article = library.articles["passeport-demande"]
        lead = next(one.text for one in passages(article) if one.field == "lead")
        assert library.context.service(article.service).phone in views.excerpt(state, article, lead)


def test_several_requests_are_answered_apart(ask: Ask, question: str, other_question: str) -> None:
    page = read(ask(f"Bonjour, {question} Par ailleurs, {other_question} Merci d'avance"))
    sections = page.find("section.request")
    assert len(sections) == 2
    assert [heading.text[:9] for heading in page.find(".request h2")] == ["Demande 1", "Demande 2"]
    for section, slug in zip(sections, ("collecte-non-faite", "inscription-ecole"), strict=True):
        first = next(link for link in page.find(".card a") if section in link.parents)
        assert first.attributes["href"] == f"/articles/{slug}"
    numbers = [card.attributes["data-number"] for card in page.find(".card")]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


def test_a_message_without_an_answer_gets_a_contact_and_no_reply(ask: Ask, library: Library) -> None:
    page = read(ask(NOTHING))
    assert not [card for card in page.find(".card") if card.attributes["data-number"] != "0"]
    assert "Aucune réponse approuvée ne convient" in page.one("div.none").text
    contact = page.one(".none .contact").text
    general = library.context.services["relation-usagers"]
    assert general.name in contact
    assert general.phone in contact
    assert page.one(".summary").attributes["data-answered"] == "false"


def test_weak_matches_never_pad_the_answer(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    real = SearchEngine.match

    def weak(engine: SearchEngine, message: str, **options: Any) -> MatchResult:
        found = real(engine, message, **options)
        faint = tuple(replace(match, confidence=0.15, level="none") for match in found.matches)
        return replace(found, answered=False, matches=faint, requests=(RequestMatches(message, False, faint),))

    monkeypatch.setattr(SearchEngine, "match", weak)
    page = read(ask_with(client, question))
    assert not page.find(".card")
    assert not page.find(".reply-text")
    assert page.one(".none .contact")
    # They are there on demand, as links and not as replies.
    assert page.find(".none details a")[0].attributes["href"] == "/articles/collecte-non-faite"
    assert "open" not in page.one(".none .near").attributes
    answer = client.post("/api/v1/match", json={"message": question}).json
    assert answer is not None
    assert (answer["answered"], answer["matches"], answer["requests"][0]["matches"]) == (False, [], [])


def test_advice_for_the_agent_is_shown_but_is_no_answer(make_kb: MakeKb, make_app: MakeApp) -> None:
    advice = "---\ntitle: Répondre à une insulte\nkind: advice\naudience: internal\nquestions: [Bande de guignols]\n---\nRestons courtois."
    bin_article = "---\ntitle: Le bac jaune\n---\nLe bac jaune est au dépôt."
    kb = make_kb({"articles/accueil/conseil-insulte.md": advice, "articles/dechets/bac.md": bin_article})
    page = read(ask_with(make_app(kb).test_client(), "Bande de guignols !!"))
    card = page.one(".card")
    assert "advice" in card.classes
    assert "Conseil interne" in card.text
    # It has no number: no key copies it by mistake.
    assert card.attributes["data-number"] == "0"
    assert not page.find(".card .key")
    assert page.one(".summary").attributes["data-answered"] == "false"
    assert page.find(".none .contact")


def test_the_agents_service_stays_picked(ask: Ask, question: str) -> None:
    page = read(ask(question, service="dechets"))
    [picked] = [option for option in page.find("option") if "selected" in option.attributes]
    assert picked.attributes["value"] == "dechets"
    assert "open" in page.one("#personalise").attributes


def test_an_unknown_channel_falls_back_to_the_first(ask: Ask, question: str) -> None:
    page = read(ask(question, channel="pigeon"))
    [checked] = [one for one in page.find(".channels input") if "checked" in one.attributes]
    assert checked.attributes["value"] == CHANNELS[0]
    assert page.find(".card")


def test_the_script_gets_the_results_alone(client: FlaskClient, question: str) -> None:
    page = Page(ask_with(client, question, headers={"X-Bible-Fragment": "1"}).text)
    assert page.find(".card")
    assert not page.find("html")
    assert not page.find("#desk")


def test_an_empty_desk_helps_before_typing(client: FlaskClient) -> None:
    page = read(client.get("/"))
    assert len(page.find(".example")) == 3
    assert len(page.find(".welcome .plain a")) == 6
    assert not page.find(".card")


@pytest.mark.parametrize("message", ["", "   \n\t ", "\x00\x07"])
def test_an_empty_message_is_asked_for(ask: Ask, message: str) -> None:
    response = ask(message)
    page = read(response)
    assert response.status_code == 200
    assert "Collez d'abord le message" in page.one(".error").text
    assert not page.find(".card")


def test_a_late_review_shows_on_the_card(ask: Ask) -> None:
    assert "à relire depuis le 15 janv. 2020" in " ".join(read(ask(ZEPHYR)).find(".card .late")[0].text.split())


def test_an_internal_article_has_no_public_link(ask: Ask) -> None:
    page = read(ask("Comment transférer un appel Mistral ?"))
    card = page.find(".card")[0]
    assert "Transférer un appel Mistral" in card.text
    assert not [link for link in page.find(".card a") if card in link.parents and link.attributes["href"].startswith("http")]


def test_the_real_model_answers_a_message_that_shares_no_word(
    real_embedder: SentenceTransformerEmbedder, make_kb: MakeKb, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    articles = ("dechets/collecte-non-faite", "etat-civil/carte-identite-demande", "voirie/eclairage-public", "urbanisme/cadastre")
    kb = make_kb({f"articles/{one}.md": (PROJECT / f"kb/articles/{one}.md").read_text(encoding="utf-8") for one in articles})
    monkeypatch.setattr(Settings, "load_embedder", lambda _: real_embedder)
    client = make_app(kb, model="the-real-one").test_client()
    # No article says « lampadaire grillé » in those words with « nuit noire ».
    page = read(ask_with(client, "bjr le lampadaire est grillé devant chez moi c la nuit noire"))
    assert page.find(".card a")[0].attributes["href"] == "/articles/eclairage-public"
    assert not page.find(".ribbon-warning")


# ---- what is never kept ----
def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and MARKER.encode() in path.read_bytes()]


def test_a_message_leaves_no_trace(
    one_article: Callable[..., Path], make_app: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    kb, var = one_article(), tmp_path / "own-var"
    app = make_app(kb, var_dir=var, watch=True)
    client = app.test_client()
    for headers in ({}, {"X-Bible-Fragment": "1"}):
        response = ask_with(client, f"Où trouver un bac jaune ? {MARKER}", headers, citizen__name=MARKER)
        # It was understood, so it went all the way.
        assert Page(response.text).find(".card")
        assert MARKER not in str(response.headers)
        assert response.headers["Cache-Control"] == "no-store"
    for message in (MARKER, MARKER * 3000):
        ask_with(client, message)
    api = client.post("/api/v1/match", json={"message": MARKER, "values": {"citizen.name": MARKER}})
    assert api.status_code == 200
    with client.session_transaction() as session:
        assert set(session) <= {"csrf_token", "language"}
        assert MARKER not in str(dict(session))
    assert MARKER not in caplog.text
    assert MARKER not in "".join(capfd.readouterr())
    assert stored(var) == []
    assert stored(kb) == []


def test_a_message_is_sent_by_post_alone(client: FlaskClient) -> None:
    form = read(client.get("/")).one("#desk")
    assert form.attributes["method"] == "post"
    # What comes in an address is not read as a message.
    page = read(client.get("/?" + urlencode({"message": ZEPHYR})))
    assert page.one("#message").text.strip() == ""
    assert not page.find(".card")


# ---- what is too long, or not text ----
def test_a_message_over_the_limit_is_refused_and_stays_in_the_form(ask: Ask, question: str) -> None:
    long = question + " " + "a" * (25_000 - len(question) - 1)
    response = ask(long)
    page = read(response)
    assert response.status_code == 413
    assert page.one("#message").text.removeprefix("\n") == long
    assert "25\u202f000 caractères, pour 20\u202f000 au plus" in page.one(".error").text
    assert not page.find(".card")


def test_the_limit_counts_a_line_break_once(ask: Ask) -> None:
    # Forms send two characters for each; the agent and the counter see one.
    assert ask("a\r\n" * 10_000).status_code == 200
    assert ask("a\r\n" * 10_001).status_code == 413


def test_a_paste_of_a_megabyte_is_answered_kindly(ask: Ask) -> None:
    paste = "Bonjour à tous. " * 62_500
    response = ask(paste)
    assert response.status_code == 413
    assert "caractères" in read(response).one(".error").text


def test_a_paste_of_three_megabytes_is_refused_with_a_page(client: FlaskClient) -> None:
    response = ask_with(client, "b" * 3_000_000)
    page = read(response)
    assert response.status_code == 413
    assert page.one("h1").text == "Message trop long"
    assert "2 Mo" in page.one("main").text


def test_three_megabytes_over_the_network_get_the_page_too(live_server: str) -> None:
    host = live_server.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=20)
    body = urlencode({"message": "b" * 3_000_000})
    connection.request("POST", "/", body, {"Content-Type": "application/x-www-form-urlencoded"})
    response = connection.getresponse()
    assert response.status == 413
    assert "Message trop long" in response.read().decode()
    connection.close()


def test_a_binary_paste_is_read_without_its_control_characters(ask: Ask, question: str) -> None:
    response = ask(f"\x00\x01\x1b[31m{question}\x00\x7f\x9f\n\ttab")
    page = read(response)
    assert response.status_code == 200
    assert page.find(".card a")[0].attributes["href"] == "/articles/collecte-non-faite"
    assert not set(response.text) & {chr(code) for code in (*range(9), 11, 12, *range(14, 32), 127)}
    assert question in page.one("#message").text
    assert "\n\ttab" in page.one("#message").text


def test_bytes_that_are_not_utf8_are_read_as_well_as_can_be(client: FlaskClient) -> None:
    body = b"csrf_token=" + token_of(client).encode() + b"&message=%FF%FE%00caf%E9+Z%C3%A9phyr+dossier"
    response = client.post("/", data=body, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 200
    assert "Zéphyr" in read(response).one("#message").text


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</textarea><script>alert(1)</script>", "{{ 7*191 }}{% raw %}"],
)
def test_what_is_pasted_is_shown_as_it_is(ask: Ask, question: str, other_question: str, hostile: str) -> None:
    response = ask(f"{hostile} {question} Par ailleurs, {hostile} {other_question}")
    page = read(response)
    assert page.one("#message").text.removeprefix("\n").startswith(hostile)
    assert len(page.find(".request")) == 2  # so the pieces of the message are quoted too
    assert not [one for one in page.elements if one.tag == "img" or ("alert" in one.text and one.tag == "script")]
    assert not [name for one in page.elements for name in one.attributes if name.startswith("on")]
    assert "1337" not in response.text


# ---- placeholders ----
def test_a_missing_placeholder_is_shown_and_counted(ask: Ask) -> None:
    page = read(ask(ZEPHYR, channel="email"))
    card = page.find(".card")[0]
    assert card.attributes["data-missing"] == "1"
    assert "[numéro de dossier]" in reply_texts(page)[0]
    assert page.find(".card mark.placeholder")[0].attributes["data-placeholder"] == "request.reference"
    assert page.find(".card .missing input")[0].attributes["data-fill"] == "request.reference"


def test_a_filled_placeholder_is_in_the_reply_and_stays_in_the_form(ask: Ask) -> None:
    page = read(ask(ZEPHYR, channel="email", request__reference="  ZX-\n 2041 ", citizen__name="Mme Aït Ouali"))
    assert page.find(".card")[0].attributes["data-missing"] == "0"
    assert "dossier Zéphyr numéro ZX- 2041 est" in reply_texts(page)[0]
    assert reply_texts(page)[0].startswith("Bonjour Mme Aït Ouali,")
    assert not page.find(".card .missing")
    fields = {one.attributes["name"]: one.attributes.get("value") for one in page.find("#personalise input")}
    assert fields["citizen.name"] == "Mme Aït Ouali"


def test_an_over_long_value_is_cut(ask: Ask) -> None:
    text = reply_texts(read(ask(ZEPHYR, request__reference="9" * 5000)))[0]
    assert "9" * 200 in text
    assert "9" * 201 not in text


@pytest.mark.parametrize(
    "value",
    [
        "<b onmouseover=alert(1)>gras</b>", "<script>alert(1)</script>", "{{ organisation.phone }}", "{% for x in y %}", "{{ config }}",
        "**gras** [lien](javascript:alert(1))", "a & b < c", "[[horaires-mairie]]", "# titre", "</textarea><script>",
    ],
)  # fmt: skip
def test_a_value_is_only_words(ask: Ask, value: str) -> None:
    page = read(ask(ZEPHYR, channel="email", request__reference=value, citizen__name=value))
    text = reply_texts(page)[0]
    assert f"Bonjour {value}," in text
    assert f"numéro {value} est" in text
    [first, *_] = page.find(".card .reply")
    assert f"Bonjour {value}," in first.text
    assert f"numéro {value} est" in " ".join(first.text.split())
    allowed = {"p", "a", "br", "mark"}
    inside = [one for one in page.elements if first in one.parents]
    assert {one.tag for one in inside} <= allowed
    assert not [one for one in inside if one.attributes.get("href", "").startswith("javascript")]


def test_what_no_agent_can_fill_is_named_without_a_field(make_kb: MakeKb, make_app: MakeApp) -> None:
    kb = make_kb({"articles/dechets/bac.md": "---\ntitle: Le bac jaune\n---\nAppelez le {{ service.phone }}."})
    page = read(ask_with(make_app(kb).test_client(), "Le bac jaune"))
    assert page.find(".card")[0].attributes["data-missing"] == "1"
    assert page.find(".card .missing code")[0].text == "service.phone"
    assert not page.find(".card .missing input")


def test_an_unknown_placeholder_in_the_form_is_ignored(client: FlaskClient) -> None:
    page = read(ask_with(client, ZEPHYR, organisation__name="Pirate", service__phone="0666"))
    assert "Pirate" not in page.text
    assert "0666" not in page.text


def test_a_new_fact_changes_every_reply_at_once(make_kb: MakeKb, tmp_path: Path, make_app: MakeApp) -> None:
    kb = make_kb(dict(EXTRA) | {"services.yml": "relation-usagers: {name: Accueil, phone: 01 00 00 00 01}"})
    app = make_app(kb)
    client = app.test_client()
    assert "01 00 00 00 01" in reply_texts(read(ask_with(client, ZEPHYR)))[0]
    (kb / "services.yml").write_text("relation-usagers: {name: Accueil, phone: 01 00 00 00 02}", encoding="utf-8")
    assert app.extensions["bible"].live.refresh()
    assert "01 00 00 00 02" in reply_texts(read(ask_with(client, ZEPHYR)))[0]


def test_more_than_nine_replies_show_no_key_that_does_not_exist(make_kb: MakeKb, make_app: MakeApp) -> None:
    subjects = ("piscine", "cadastre", "passeport", "cantine", "marché")
    kb = make_kb(
        {
            f"articles/a/{one}-{rank}.md": f"---\ntitle: {one} {one} {one}\n---\nLa {one} {'abc'[rank]}."
            for one in subjects
            for rank in range(3)
        }
    )
    message = " ".join(f"Par ailleurs, je voudrais savoir pour {one} {one} ?" for one in subjects)
    page = read(ask_with(make_app(kb).test_client(), message))
    shown = [int(card.attributes["data-number"]) for card in page.find(".card")]
    keys = [int(key.text) for key in page.find(".card kbd.key")]
    assert max(shown) > 9, "this content is here to give many cards"
    assert keys == [number for number in shown if number <= 9]


def test_the_settings_of_tests_are_those_of_a_service(tmp_path: Path) -> None:
    """The fixture that every test stands on changes the model and nothing else."""
    ours, real = settings_for(tmp_path, tmp_path), Settings(kb_dir=tmp_path, var_dir=tmp_path)
    different = {name for name in Settings.model_fields if getattr(ours, name) != getattr(real, name)}
    assert different == {"watch", "secret_key"}
