"""Replies: the approved words in the layout of the channel, never blanked, never sent raw, within the limit when it can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb import render, replies
from kb.article import Article
from kb.errors import UnknownChannel
from kb.facts import Context, load_context
from kb.library import Library
from kb.replies import Reply, render_reply
from tests.kb.conftest import PASSPORT_PATH, Content

URL = "https://ville.example/faq/passeport"
LEAD = "Le passeport se demande au guichet, du lundi au vendredi de 9 h à 17 h. Comptez trois semaines."
SHIPPED = Path(__file__).resolve().parents[2] / "kb"


@pytest.fixture
def context(content: Content) -> Context:
    return load_context(content.root)[0]


@pytest.fixture
def passport(content: Content) -> Article:
    return content.article(PASSPORT_PATH)


def make(body: str, **meta: object) -> Article:
    return Article.new("essai", "etat-civil", {"title": "Essai", **meta}, body)


def reply_of(article: Article, channel: str, context: Context, filled: dict[str, str] | None = None, url: str = URL) -> Reply:
    return render_reply(article, channel, context, url, filled)


def test_an_email_has_every_part_in_order(passport: Article, context: Context) -> None:
    reply = reply_of(passport, "email", context)
    assert reply.text == (
        f"Bonjour Madame, Monsieur,\n\n{LEAD}\n\nPour en savoir plus : {URL}\n\nBien cordialement,\n\nÉtat civil\nVille d'Essai"
    )
    assert reply.html == (
        f"<p>Bonjour Madame, Monsieur,</p>\n<p>{LEAD}</p>\n"
        f'<p>Pour en savoir plus : <a href="{URL}">{URL}</a></p>\n<p>Bien cordialement,</p>\n<p>État civil<br>Ville d\'Essai</p>'
    )
    assert (reply.origin, reply.missing, reply.limit_chars, reply.length) == ("lead", (), None, len(reply.text))


def test_the_phone_gives_the_words_alone(passport: Article, context: Context) -> None:
    assert reply_of(passport, "phone", context).text == LEAD


def test_a_short_channel_gives_the_short_answer_and_its_link(passport: Article, context: Context) -> None:
    reply = reply_of(passport, "sms", context)
    assert reply.text == f"Le passeport se demande au guichet, tél. 02 61 91 40 10.\n{URL}"
    assert (reply.origin, reply.limit_chars, reply.over_limit) == ("short", 160, False)


def test_a_lead_over_the_limit_gives_way_to_the_short_answer(context: Context) -> None:
    article = make("Une longue réponse. " * 20, short="La courte réponse.")
    reply = reply_of(article, "private_message", context)
    assert (reply.origin, reply.text) == ("short", f"La courte réponse.\n\n{URL}")
    assert reply_of(article, "email", context).origin == "lead"


def test_the_limit_counts_the_link(context: Context) -> None:
    room = 300 - len(URL) - len("\n\n")
    assert reply_of(make("a" * room, short="court"), "private_message", context).origin == "lead"
    assert reply_of(make("a" * (room + 1), short="court"), "private_message", context).origin == "short"


def test_without_a_short_answer_the_reply_stays_whole_and_says_that_it_is_too_long(context: Context) -> None:
    reply = reply_of(make("Une longue réponse. " * 20), "private_message", context)
    assert reply.over_limit
    assert reply.text.count("Une longue réponse.") == 20
    assert reply.length == len(reply.text) > 300


def test_an_override_is_used_on_its_channel_only(context: Context) -> None:
    article = make("La réponse.", short="La courte.", channels={"sms": "Au guichet ou au {{ service.phone }}."})
    assert reply_of(article, "sms", context).text == f"Au guichet ou au 02 61 91 40 10.\n{URL}"
    assert reply_of(article, "sms", context).origin == "override"
    assert reply_of(article, "private_message", context).origin == "lead"


def test_what_the_agent_typed_fills_the_reply(passport: Article, context: Context) -> None:
    reply = reply_of(passport, "email", context, {"citizen.first_name": " Zoé\n", "citizen.last_name": "Le Gall", "citizen.name": "  "})
    assert reply.text.startswith("Bonjour Zoé Le Gall,")
    assert reply_of(passport, "email", context, {"citizen.name": "Mme Le Gall"}).text.startswith("Bonjour Mme Le Gall,")


def test_a_missing_value_is_named_shown_and_never_blank(context: Context) -> None:
    reply = reply_of(
        make("Votre dossier {{ request.reference }} du {{ request.date }} avance, {{ citizen.first_name }}."), "phone", context
    )
    assert reply.missing == ("request.reference", "request.date", "citizen.first_name")
    assert reply.text == "Votre dossier [numéro de dossier] du [date de la demande] avance, [prénom]."
    assert reply.html.count('<mark class="placeholder"') == 3
    filled = reply_of(make("Dossier {{ request.reference }}."), "phone", context, {"request.reference": "A-12 *3*"})
    assert (filled.missing, filled.text) == ((), "Dossier A-12 *3*.")


def test_a_signature_with_the_agents_name_blocks_until_it_is_filled(content: Content, passport: Article) -> None:
    """The signature is filled on its own: what it misses must not leave as « agent.name »."""
    content.write("organisation.yml", 'name: Ville\nsignature: "{{ agent.name }}\\n{{ service.name }}"\n')
    context = load_context(content.root)[0]
    reply = reply_of(passport, "email", context)
    assert reply.missing == ("agent.name",)
    assert reply.text.endswith("[votre nom]\nÉtat civil")
    assert 'data-placeholder="agent.name"' in reply.html
    signed = reply_of(passport, "email", context, {"agent.name": "Camille"})
    assert (signed.missing, signed.text.endswith("Camille\nÉtat civil")) == ((), True)


def test_typed_values_add_no_markup_no_placeholder_and_no_paragraph(passport: Article, context: Context) -> None:
    typed = "<img src=x onerror=alert(1)> {{ service.phone }} [x](javascript:y) # T\n\n- a"
    for article in (passport, make("Bonjour {{ citizen.name }}.")):
        reply = reply_of(article, "email", context, {"citizen.name": typed})
        assert " ".join(typed.split()) in reply.text
        assert "<img" not in reply.html
        assert "<a href" not in reply.html.split("Pour en savoir plus")[0]
        assert "<li>" not in reply.html


def test_an_agent_fills_only_what_is_the_agents_to_fill(passport: Article, context: Context) -> None:
    values = replies.values_for(passport, context, URL, {"service.hours": "jamais", "article.url": "https://piege.example", "x": "y"})
    assert values["service.hours"] == "du lundi au vendredi de 9 h à 17 h"
    assert values["article.url"] == URL
    assert "x" not in values
    long = replies.values_for(passport, context, URL, {"citizen.name": "a" * 5000})
    assert len(long["citizen.name"]) == render.MAX_VALUE_CHARS


def test_a_changed_opening_hour_is_changed_once_for_every_channel(content: Content, passport: Article) -> None:
    content.write("services.yml", "etat-civil: {name: État civil, hours: le mardi, phone: 01 99 00 00 00, facts: {delai: un mois}}\n")
    context = load_context(content.root)[0]
    assert all("le mardi" in reply_of(passport, channel, context).text for channel in ("email", "phone", "private_message"))
    assert "01 99 00 00 00" in reply_of(passport, "sms", context).text


def test_an_article_quotes_the_facts_of_another_service(context: Context) -> None:
    text = "Voyez l'{{ services.etat_civil.name }}, {{ services.etat_civil.facts.delai }} ; déchets : {{ services.dechets.phone }}."
    assert reply_of(make(text), "phone", context).text == "Voyez l'État civil, trois semaines ; déchets : 02 61 91 40 22."


def test_an_article_without_a_public_page_has_no_link_line(passport: Article, context: Context) -> None:
    reply = reply_of(passport, "email", context, url="")
    assert "Pour en savoir plus" not in reply.text
    assert reply.missing == ()


def test_links_of_the_lead_are_addresses_in_plain_text(context: Context) -> None:
    def resolve(slug: str) -> tuple[str, str]:
        return ("La carte", f"https://ville.example/faq/{slug}")

    reply = render_reply(make("Voir [[carte-identite]]."), "phone", context, URL, resolve=resolve)
    assert reply.text == "Voir La carte (https://ville.example/faq/carte-identite)."
    assert '<a href="https://ville.example/faq/carte-identite"' in reply.html


def test_an_article_without_a_lead_answers_with_its_title(context: Context) -> None:
    assert reply_of(make("## Détails\nSuite."), "phone", context).text == "Essai"


def test_an_unknown_channel_says_which_exist(passport: Article, context: Context) -> None:
    with pytest.raises(UnknownChannel, match=r"« fax » n'existe pas.*email, phone, private_message, sms"):
        reply_of(passport, "fax", context)


def test_every_shipped_article_answers_on_every_channel() -> None:
    """Within the limit, with nothing that only the organisation could fill, and no brace, mark or blank left over."""
    library = Library.load(SHIPPED)
    assert library.problems == ()
    for article in library.articles.values():
        for channel in library.context.channels:
            url = f"{library.context.organisation.faq_url}/{article.slug}" if article.is_public else ""
            reply = render_reply(article, channel, library.context, url, {"citizen.name": "Mme Le Gall"})
            where = f"{article.path} ({channel})"
            assert set(reply.missing) <= set(render.FILLED_BY_AGENT), where
            assert not reply.over_limit, where
            assert not any(sign in reply.text for sign in ("{{", "}}", "\ue000", "\ue001", "\ue002", "[[", "None")), where


def test_a_name_is_said_on_every_channel_that_greets(context: Context) -> None:
    article = make('Bonjour {{ citizen.first_name|fallback("Madame, Monsieur") }}.')
    assert "Bonjour Mme Le Gall." in reply_of(article, "phone", context, {"citizen.name": "Mme Le Gall"}).text
    assert "Bonjour Zoé." in reply_of(article, "phone", context, {"citizen.name": "Mme Le Gall", "citizen.first_name": "Zoé"}).text
    assert "Bonjour Madame, Monsieur." in reply_of(article, "phone", context, {"citizen.last_name": "Le Gall"}).text
