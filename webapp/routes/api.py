"""The JSON API, version 1: match, search and read. Described by OpenAPI 3.1 at ``/api/v1/openapi.json``; errors are RFC 9457."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import UnsupportedMediaType

from kb import render, replies
from kb.article import Article
from kb.replies import Reply
from search.engine import MAX_MESSAGE_CHARS, SHOWN_FROM, Match
from webapp import bodies, openapi, views
from webapp.errors import error_response
from webapp.state import Bible, bible

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MatchRequest(_Body):
    """A citizen's message and where the reply will be sent."""

    message: Annotated[str, Field(description=f"The message, as it was received; {MAX_MESSAGE_CHARS} characters at most")]
    channel: Annotated[str | None, Field(description="Key of a channel; the first one of the organisation by default")] = None
    limit: Annotated[int, Field(ge=1, le=20, description="How many articles at most")] = 5
    service: Annotated[str | None, Field(description="Key of the agent's own service, slightly preferred")] = None
    values: Annotated[dict[str, str], Field(description="Placeholder → value, such as citizen.first_name", max_length=20)] = {}


class ReplyOut(BaseModel):
    """The approved reply on a channel. ``missing`` lists the placeholders to fill, shown in square brackets in ``text``."""

    channel: str
    text: str
    html: str
    missing: list[str]
    length: int
    limit_chars: int | None


class MatchOut(BaseModel):
    """An article that may answer; ``confidence`` is the estimated probability that it does."""

    slug: str
    title: str
    service: str
    confidence: float
    matched_on: str
    url: str
    reply: ReplyOut


class RequestOut(BaseModel):
    """One request of the message and the slugs that answer it, best first."""

    text: str
    answered: bool
    matches: list[str]


class MatchResponse(BaseModel):
    """What was found. ``degraded`` says why search runs without the model; ``advice`` is for the agent's eyes, never an answer."""

    mode: str
    degraded: str | None
    answered: bool
    took_ms: float
    matches: list[MatchOut]
    requests: list[RequestOut]
    advice: MatchOut | None


class ArticleSummary(BaseModel):
    """An article in a list."""

    slug: str
    title: str
    service: str
    audience: str
    short: str
    tags: list[str]
    url: str


class SearchResponse(BaseModel):
    """One page of the keyword search with its facets."""

    query: str
    total: int
    suggestion: str | None
    services: dict[str, int]
    tags: dict[str, int]
    results: list[ArticleSummary]


class ArticleList(BaseModel):
    """A page of articles, ordered by slug."""

    total: int
    results: list[ArticleSummary]


class ArticleOut(ArticleSummary):
    """A whole article: ``lead_html`` and ``details_html`` are sanitised, placeholders filled with the organisation's facts."""

    kind: str
    lead_html: str
    details_html: str
    questions: list[str]
    sources: list[dict[str, str]]
    see_also: list[str]
    reviewed_on: str | None
    review_by: str | None
    replies: dict[str, ReplyOut]


@blueprint.post("/match")
def match() -> ResponseReturnValue:
    """Find the approved replies for a message."""
    if not request.is_json:
        raise UnsupportedMediaType
    body = bodies.validated(MatchRequest, bodies.json_body())
    if not isinstance(body, MatchRequest):
        return body
    if len(body.message) > MAX_MESSAGE_CHARS:
        return _too_long()
    state = bible()
    channel = body.channel or next(iter(state.context.channels))
    replies.channel(state.context, channel)  # an unknown channel is an error even when nothing is found
    result = state.engine.match(body.message, limit=body.limit, service=body.service)
    answered = {found.slug for one in result.requests if one.answered for found in one.matches}
    shown = [found for found in result.matches if found.slug in answered and found.confidence >= SHOWN_FROM]
    response = MatchResponse(
        mode=result.mode,
        degraded=result.degraded,
        answered=result.answered,
        took_ms=round(result.took_ms, 2),
        matches=[_match_out(state, found, channel, body.values) for found in shown],
        requests=[
            RequestOut(
                text=one.text,
                answered=one.answered,
                matches=[found.slug for found in one.matches if one.answered and found.confidence >= SHOWN_FROM],
            )
            for one in result.requests
        ],
        advice=_match_out(state, result.advice, channel, body.values) if result.advice else None,
    )
    return jsonify(response.model_dump())


@blueprint.get("/search")
def search() -> ResponseReturnValue:
    """Search articles by keywords."""
    state = bible()
    limit, offset = _page()
    hits = state.engine.search(
        request.args.get("q", ""),
        service=request.args.get("service") or None,
        tag=request.args.get("tag") or None,
        audience=request.args.get("audience") or None,
        offset=offset,
        limit=limit,
    )
    found = [state.library.articles[slug] for slug in hits.slugs if slug in state.library.articles]
    response = SearchResponse(
        query=request.args.get("q", ""),
        total=hits.total,
        suggestion=hits.suggestion,
        services=dict(hits.services),
        tags=dict(hits.tags),
        results=[_summary(state, article) for article in found],
    )
    return jsonify(response.model_dump())


@blueprint.get("/articles")
def list_articles() -> ResponseReturnValue:
    """List articles, by slug."""
    state = bible()
    limit, offset = _page(default=100)
    service, audience = request.args.get("service"), request.args.get("audience")
    found = sorted(
        (a for a in state.library.articles.values() if service in (None, "", a.service) and audience in (None, "", a.meta.audience)),
        key=lambda article: article.slug,
    )
    page = found[offset : offset + limit]
    return jsonify(ArticleList(total=len(found), results=[_summary(state, article) for article in page]).model_dump())


@blueprint.get("/articles/<slug>")
def show_article(slug: str) -> ResponseReturnValue:
    """Read one article; an old slug gives the article that took its place."""
    state = bible()
    article = state.library.get(slug)
    values = replies.values_for(article, state.context, state.public_url(article))
    meta = article.meta
    response = ArticleOut(
        **_summary(state, article).model_dump(),
        kind=meta.kind,
        lead_html=render.to_html(render.fill(article.lead, values).markdown, state.resolve_public),
        details_html=render.to_html(render.fill(article.details, values).markdown, state.resolve_public),
        questions=list(meta.questions),
        sources=[source.model_dump() for source in meta.sources],
        see_also=list(meta.see_also),
        reviewed_on=meta.reviewed_on.isoformat() if meta.reviewed_on else None,
        review_by=meta.review_by.isoformat() if meta.review_by else None,
        replies={key: _reply_out(views.reply_for(state, article, key)) for key in state.context.channels},
    )
    return jsonify(response.model_dump())


@blueprint.get("/openapi.json")
def openapi_document() -> ResponseReturnValue:
    """Describe this API."""
    return jsonify(openapi.document(MatchRequest, MatchResponse, SearchResponse, ArticleList, ArticleOut))


def _too_long() -> ResponseReturnValue:
    return error_response(
        413, _("Le message dépasse %(limit)s caractères : gardez le passage qui contient la demande.", limit=MAX_MESSAGE_CHARS)
    )


def _page(default: int = 20) -> tuple[int, int]:
    limit = min(max(request.args.get("limit", default, type=int), 1), 500)
    return limit, max(request.args.get("offset", 0, type=int), 0)


def _match_out(state: Bible, found: Match, channel: str, values: dict[str, str]) -> MatchOut:
    article = state.library.articles[found.slug]
    return MatchOut(
        slug=found.slug,
        title=article.title,
        service=article.service,
        confidence=found.confidence,
        matched_on=views.excerpt(state, article, found.matched_on),
        url=state.public_url(article),
        reply=_reply_out(views.reply_for(state, article, channel, values)),
    )


def _reply_out(reply: Reply) -> ReplyOut:
    return ReplyOut(
        channel=reply.channel,
        text=reply.text,
        html=reply.html,
        missing=list(reply.missing),
        length=reply.length,
        limit_chars=reply.limit_chars,
    )


def _summary(state: Bible, article: Article) -> ArticleSummary:
    values = replies.values_for(article, state.context, state.public_url(article))
    return ArticleSummary(
        slug=article.slug,
        title=article.title,
        service=article.service,
        audience=article.meta.audience,
        short=render.to_plain(render.fill(article.meta.short, values).markdown),
        tags=list(article.meta.tags),
        url=state.public_url(article),
    )
