"""What the desk and the API show of a match: articles with their reply on a channel, ready for a template or for JSON."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask import Flask, url_for
from flask_babel import format_date, format_datetime
from flask_babel import gettext as _
from markupsafe import Markup

from kb import personal_data, render, replies
from kb.article import Article
from kb.errors import TemplateError
from kb.facts import Channel, Service
from kb.library import Library
from kb.replies import Reply
from search.confidence import Level
from search.engine import SHOWN_FROM, Match, MatchResult, RequestMatches
from search.text import plain
from webapp.state import Bible, bible

GENERAL_CONTACT = "relation-usagers"
CARDS_PER_REQUEST = 3
_SENTENCE_END = re.compile(r"(?<=[.!?…])[ \t]+|\n+")
# What an agent sends a service of a message, at most.
MAX_QUESTION_CHARS = 500


@dataclass(frozen=True)
class Card:
    """An article found, with the reply to copy. ``number`` is the key that copies it, from 1 on over the whole page."""

    number: int
    match: Match
    excerpt: str
    article: Article
    service: Service
    reply: Reply
    public_url: str
    overdue: bool


@dataclass(frozen=True)
class RequestView:
    """One request of the message: ``cards`` answer it; ``near`` are weaker articles, shown only on demand; ``contact`` is who to ask.

    ``question`` is what of its text may be sent to a service.
    """

    text: str
    question: str
    answered: bool
    cards: tuple[Card, ...]
    near: tuple[Article, ...]
    contact: Service


@dataclass(frozen=True)
class Results:
    """Everything the desk shows for a message."""

    result: MatchResult
    channel: Channel
    requests: tuple[RequestView, ...]
    advice: Card | None
    missing: tuple[str, ...]

    @property
    def articles(self) -> tuple[Article, ...]:
        """The articles that answer something, each once."""
        return tuple({card.article.slug: card.article for request in self.requests for card in request.cards}.values())


def build_results(message: str, channel_key: str, filled: Mapping[str, str], service: str | None = None, limit: int = 5) -> Results:
    """Match a message and render the replies.

    Args:
        message: as it was pasted.
        channel_key: key of a channel.
        filled: placeholder name → what the agent typed.
        service: the agent's own service.
        limit: how many articles at most.

    Raises:
        UnknownChannel: there is no such channel.
    """
    state = bible()
    channel = replies.channel(state.context, channel_key)
    result = state.engine.match(message, limit=max(limit, CARDS_PER_REQUEST), service=service)
    requests = []
    number = 0
    for request in result.requests:
        view = _request_view(state, request, channel_key, filled, number)
        number += len(view.cards)
        requests.append(view)
    advice = _card(state, 0, result.advice, channel_key, filled) if result.advice else None
    cards = [card for request in requests for card in request.cards] + ([advice] if advice else [])
    missing = tuple(dict.fromkeys(name for card in cards for name in card.reply.missing))
    return Results(result, channel, tuple(requests), advice, missing)


def _request_view(state: Bible, request: RequestMatches, channel: str, filled: Mapping[str, str], number: int) -> RequestView:
    shown = [match for match in request.matches if match.confidence >= SHOWN_FROM] if request.answered else []
    cards = tuple(_card(state, number + rank, match, channel, filled) for rank, match in enumerate(shown[:CARDS_PER_REQUEST], start=1))
    near = tuple(state.library.articles[match.slug] for match in request.matches[:CARDS_PER_REQUEST]) if not request.answered else ()
    question = shortened(shareable(request.text), MAX_QUESTION_CHARS)
    return RequestView(request.text, question, request.answered, cards, near, contact_for(state, request))


def _card(state: Bible, number: int, match: Match, channel: str, filled: Mapping[str, str]) -> Card:
    article = state.library.articles[match.slug]
    return Card(
        number=number,
        match=match,
        excerpt=excerpt(state, article, match.matched_on),
        article=article,
        service=state.context.service(article.service),
        reply=reply_for(state, article, channel, filled),
        public_url=state.public_url(article),
        overdue=article.is_overdue(today()),
    )


def excerpt(state: Bible, article: Article, matched_on: str) -> str:
    """What of an article came nearest to a message, as it is read: a passage is searched without the facts that fill it.

    Its whole sentences are shown, filled; one that it has only a part of is left out.
    """
    if matched_on == article.title or matched_on in article.meta.questions:
        return matched_on
    values = replies.values_for(article, state.context, state.public_url(article))
    shown = []
    for sentence in _SENTENCE_END.split(article.body):
        bare = " ".join(plain(sentence).split())
        if bare and bare in matched_on:
            with contextlib.suppress(TemplateError):  # cut in the middle of a variable
                filled = render.fill(sentence, values, escape=False).markdown
                shown += plain(render.show_missing(filled)).split()
    return " ".join(shown) or matched_on


def agent_links(library: Library) -> render.LinkResolver:
    """Make what turns ``[[slug]]`` into a link between agents' pages."""

    def resolve(target: str) -> tuple[str, str] | None:
        found = library.find(target)
        return (found.title, url_for("articles.show", slug=found.slug)) if found else None

    return resolve


def page_html(markdown: str, values: Mapping[str, str], resolve: render.LinkResolver) -> Markup:
    """Render a part of an article's page, its placeholders filled."""
    # `to_html` sanitises: the only place where a template gets HTML that it does not escape.
    return Markup(render.to_html(render.fill(markdown, values).markdown, resolve))  # noqa: S704


def article_html(state: Bible, article: Article | None) -> Markup:
    """Render the whole text of an article, as an agent reads it; nothing where there is none."""
    if article is None:
        return Markup()
    return page_html(article.body, replies.values_for(article, state.context, state.public_url(article)), agent_links(state.library))


def reply_for(state: Bible, article: Article, channel: str, filled: Mapping[str, str] | None = None) -> Reply:
    """Render the reply of an article on a channel, links going to public pages."""
    return replies.render_reply(article, channel, state.context, state.public_url(article), filled, state.resolve_public)


def shareable(text: str) -> str:
    """What of a message may leave the desk: on one line, with what looks like personal data masked."""
    printable = "".join(character for character in text if character.isprintable() or character.isspace())
    return " ".join(personal_data.mask(printable).text.split())


_SOMEBODY = frozenset(
    {
        personal_data.NAME,
        personal_data.NUMBER,
        personal_data.SOCIAL_SECURITY,
        personal_data.IBAN,
        personal_data.CARD,
        personal_data.PLATE,
    }
)
# One of them in particular: « un usager », « l'usager », « les usagers » are anybody.
_A_CITIZEN = re.compile(
    r"\b(?:(?:cet(?:te)?|ce|une)\s+(?:usag[eè]re?|administrée?|citoyen(?:ne)?|habitante?|riveraine?|demandeu(?:r|se)|plaignante?)"
    r"|(?:un|le|ce)\s+monsieur|(?:une|la|cette)\s+dame)\b",
    re.IGNORECASE,
)
# A mobile telephone, or a mailbox at home.
_AT_HOME = re.compile(
    r"(?:\+33|0033|\b0)\W{0,3}[67]|@(?:gmail|hotmail|outlook|live|msn|yahoo|ymail|orange|wanadoo|free|sfr|neuf|bbox|laposte|icloud|me|aol"
    r"|proton(?:mail)?|gmx)\.",
    re.IGNORECASE,
)


def told(text: str) -> str:
    """What of the words of somebody who writes here may be kept.

    Colleagues tell one another a service's new number or address: those stay, unless the text speaks of somebody, who is then a citizen.
    """
    masked = personal_data.mask(text, but=(personal_data.DATE, personal_data.LINK, personal_data.ACCOUNT))
    is_private = _SOMEBODY & set(masked.kinds) or _A_CITIZEN.search(text) or any(_AT_HOME.search(found) for found, _kind in masked.found)
    return masked.text if is_private else text


def shortened(text: str, limit_chars: int) -> str:
    """Cut a text after a word."""
    if len(text) <= limit_chars:
        return text
    cut = text[: limit_chars - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:") + "…"


def contact_for(state: Bible, request: RequestMatches) -> Service:
    """Who to ask when nothing answers: the service that owns two of the three nearest articles; else the general desk."""
    owners = [state.library.articles[match.slug].service for match in request.matches[:3] if match.confidence >= SHOWN_FROM / 2]
    agreed = next((owner for owner in owners if owners.count(owner) >= 2), GENERAL_CONTACT)
    return state.context.service(agreed if agreed in state.context.services else "")


def today() -> dt.date:
    """The day, as review dates count it."""
    return dt.datetime.now(ZoneInfo(bible().settings.timezone)).date()


def init_app(app: Flask) -> None:
    """Give templates the words that depend on the language."""

    @app.context_processor
    def common() -> dict[str, object]:
        state = bible()
        return {
            "organisation": state.context.organisation,
            "service_names": {key: state.context.service(key).name for key in state.library.service_keys},
            "degraded": state.engine.degraded,
            "today": today(),
        }

    @app.template_filter()
    def level_label(level: Level) -> str:
        labels: dict[Level, str] = {"sure": _("Sûre"), "check": _("À vérifier"), "none": _("Peu probable")}
        return labels[level]

    @app.template_filter()
    def percent(value: float) -> str:
        # A probability is an estimate: 99 % at most, so that nobody reads certainty in it.
        return f"{min(round(value * 100), 99)} %"

    @app.template_filter()
    def day(value: dt.date | None) -> str:
        return str(format_date(value, "d MMM yyyy")) if value else ""

    @app.template_filter()
    def moment(value: dt.datetime | None) -> str:
        return str(format_datetime(value, _("d MMM yyyy 'à' HH:mm"))) if value else ""

    @app.template_filter()
    def field_value(value: str, name: str) -> str:
        """Write a value of an article's field as people know it: a service and an article by name, a date in words."""
        state = bible()
        if name == "service":
            return state.context.service(value).name
        if name in ("reviewed_on", "review_by"):
            return str(format_date(dt.date.fromisoformat(value), "d MMMM yyyy"))
        found = state.library.articles.get(value) if name == "see_also" else None
        return found.title if found else value

    @app.template_filter()
    def article_title(path: str, unknown: str) -> str:
        """The title of the article of a file; ``unknown`` when none is live."""
        return next((one.title for one in bible().library.articles.values() if one.path == path), unknown)

    @app.template_filter()
    def placeholder_label(name: str) -> str:
        labels: dict[str, str] = {
            "citizen.name": _("nom de la personne"),
            "citizen.first_name": _("prénom"),
            "citizen.last_name": _("nom de famille"),
            "request.reference": _("numéro de dossier"),
            "request.date": _("date de la demande"),
            "agent.name": _("votre nom"),
        }
        return labels.get(name, name)

    app.jinja_env.globals["FILLED_BY_AGENT"] = tuple(render.FILLED_BY_AGENT)
