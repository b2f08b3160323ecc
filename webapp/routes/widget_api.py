"""The public API, version 1, for the widget and whatever else the town's websites run: public answers only, asked from allowed origins.

A question comes in the body of a POST and goes nowhere else: no address, no log, no cache. No cookie is read or set, so there is no form
to forge. ``BIBLE_WIDGET_ORIGINS`` says whose pages may read the answers, ``BIBLE_RATE_LIMIT`` how often one address may ask.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

from flask import Blueprint, Response, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import NotFound, RequestEntityTooLarge, UnsupportedMediaType

from kb.article import Article
from kb.facts import Service
from search.engine import SHOWN_FROM, MatchResult
from webapp import bodies, openapi
from webapp.errors import error_response
from webapp.public import LANGUAGES, PublicFaq, content_language, public_faq
from webapp.state import bible

blueprint = Blueprint("public_api", __name__, url_prefix="/api/public/v1")

MAX_QUESTION_CHARS = 1000
MAX_WORDS_CHARS = 200
# A question with every character escaped, as some programs send it, and the rest of the body.
MAX_BODY_BYTES = 14_000
TOP_ARTICLES = 8
_MAX_PREFIX_CHARS = 50
_SHARED = "public, max-age=300, stale-while-revalidate=3600"
_PREFLIGHT_SECONDS = 7200


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid")

    service: Annotated[str | None, Field(max_length=100, description="Key of a service, slightly preferred")] = None
    limit: Annotated[int, Field(ge=1, le=10, description="How many answers at most")] = 5
    lang: Annotated[Literal["fr", "en"], Field(description="Language of the problem details; answers keep their own")] = "fr"


class PublicMatchRequest(_Question):
    """A question as a citizen asks it."""

    message: Annotated[str, Field(description=f"The question; {MAX_QUESTION_CHARS} characters at most")]


class PublicSearchRequest(_Question):
    """Words as one types them; the last one may be unfinished."""

    query: Annotated[str, Field(description=f"The words; {MAX_WORDS_CHARS} characters at most")]


class PublicAnswer(BaseModel):
    """A public answer; ``answer_html`` is sanitised.

    No confidence: it is counted over every article, so its decimals would tell a stranger which words the internal ones hold.
    """

    slug: str
    title: str
    service: str
    url: str
    answer_html: str


class PublicContact(BaseModel):
    """Who to ask; empty where the town says nothing."""

    name: str
    phone: str
    email: str
    hours: str
    url: str


class PublicAnswers(BaseModel):
    """What was found, best first; ``contact`` is who to ask when nothing fits."""

    answered: bool
    results: list[PublicAnswer]
    contact: PublicContact | None


class PublicTitle(BaseModel):
    """A public answer in a list."""

    slug: str
    title: str
    url: str


class PublicService(BaseModel):
    """A service with its number of public answers, and the first of them by title."""

    key: str
    name: str
    count: int
    url: str
    articles: list[PublicTitle]


class PublicServices(BaseModel):
    """The services that have public answers; ``language`` is that of the answers, ``url`` the page of all questions.

    ``index`` is set in the static export alone: address of the words to search in the browser, where no server answers.
    """

    language: str
    url: str
    index: str | None = None
    services: list[PublicService]


@dataclass(frozen=True)
class _Shown:
    """What this API says of one snapshot, made when it is first asked and kept."""

    faq: PublicFaq
    language: str
    _answers: dict[str, PublicAnswer] = field(default_factory=dict)

    def answer(self, article: Article) -> PublicAnswer:
        found = self._answers.get(article.slug)
        if found is None:
            found = self._answers[article.slug] = PublicAnswer(
                slug=article.slug,
                title=article.title,
                service=article.service,
                url=self.faq.url(article.slug),
                answer_html=self.faq.html(article, article.lead or article.title, self.faq.url),
            )
        return found

    @cached_property
    def services(self) -> tuple[bytes, str]:
        """The body of ``GET /services`` and its ETag."""
        listed = [
            PublicService(
                key=key,
                name=self.faq.context.service(key).name,
                count=len(articles),
                url=self.faq.service_url(key) if key else self.faq.address,
                articles=[PublicTitle(slug=one.slug, title=one.title, url=self.faq.url(one.slug)) for one in articles[:TOP_ARTICLES]],
            )
            for key, articles in self.faq.services.items()
        ]
        return _with_tag(PublicServices(language=self.language, url=self.faq.address, services=listed))


def too_often(seconds: int) -> Response:
    """Answer a question too many."""
    response = error_response(429, _("Trop de questions à la suite : attendez un instant, puis réessayez."))
    response.headers["Retry-After"] = str(seconds)
    return response


@blueprint.before_request
def _limit_body() -> None:
    request.max_content_length = MAX_BODY_BYTES


@blueprint.after_request
def _let_origins_in(response: Response) -> Response:
    allowed = bible().settings.widget_origins
    origin = request.headers.get("Origin", "")
    if "*" in allowed:
        response.headers["Access-Control-Allow-Origin"] = "*"
    else:
        response.vary.add("Origin")
        if origin not in allowed:
            return response
        response.headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)
    else:
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"
    return response


@blueprint.errorhandler(RequestEntityTooLarge)
def _too_large(_error: RequestEntityTooLarge) -> ResponseReturnValue:
    return _too_long(MAX_QUESTION_CHARS)


@blueprint.post("/match")
def match() -> ResponseReturnValue:
    """Find the public answers to a question, by its meaning."""
    body = _asked(PublicMatchRequest)
    if not isinstance(body, PublicMatchRequest):
        return body
    if len(body.message) > MAX_QUESTION_CHARS:
        return _too_long(MAX_QUESTION_CHARS)
    shown = _shown()
    service = body.service if body.service in shown.faq.services else None
    result = bible().engine.match(body.message, limit=body.limit, service=service, public_only=True)
    found = [shown.answer(shown.faq.articles[one.slug]) for one in shown.faq.answers(result, body.limit)]
    return _sent(PublicAnswers(answered=bool(found), results=found, contact=None if found else _contact(shown.faq, result, service)))


@blueprint.post("/search")
def search() -> ResponseReturnValue:
    """Find public answers by words as one types them; those of the asked service come first."""
    body = _asked(PublicSearchRequest)
    if not isinstance(body, PublicSearchRequest):
        return body
    if len(body.query) > MAX_WORDS_CHARS:
        return _too_long(MAX_WORDS_CHARS)
    shown = _shown()
    words = re.findall(r"\w+", body.query.lower())  # in lower case no word is an operator
    slugs: tuple[str, ...] = ()
    if words:
        last = words[-1][:_MAX_PREFIX_CHARS]
        query = " ".join((last, f"{last}*", *words[:-1]))[:MAX_WORDS_CHARS]
        slugs = bible().engine.search(query, audience="public", limit=4 * body.limit).slugs
    articles = [shown.faq.articles[slug] for slug in slugs if slug in shown.faq.articles]
    articles.sort(key=lambda article: article.service != body.service)
    found = [shown.answer(article) for article in articles[: body.limit]]
    service = body.service if body.service in shown.faq.services else None
    return _sent(PublicAnswers(answered=bool(found), results=found, contact=None if found else _contact(shown.faq, None, service)))


@blueprint.get("/services")
def services() -> ResponseReturnValue:
    """List the services with their first questions."""
    return _cacheable(*_shown().services)


@blueprint.get("/articles/<slug>")
def article(slug: str) -> ResponseReturnValue:
    """Read one public answer, by its slug or an old one."""
    shown = _shown()
    target = slug if slug in shown.faq.articles else shown.faq.moved_to(slug)
    if target is None:
        raise NotFound
    return _cacheable(*_with_tag(shown.answer(shown.faq.articles[target])))


@blueprint.get("/openapi.json")
def openapi_document() -> ResponseReturnValue:
    """Describe this API."""
    return jsonify(openapi.public_document(PublicMatchRequest, PublicSearchRequest, PublicAnswers, PublicServices, PublicAnswer))


def _shown() -> _Shown:
    faq = public_faq()
    held: _Shown | None = current_app.extensions.get("bible_widget")
    if held is None or held.faq is not faq:
        held = current_app.extensions["bible_widget"] = _Shown(faq, content_language())
    return held


def _asked(kind: type[bodies.Model]) -> bodies.Model | ResponseReturnValue:
    if not request.is_json:
        raise UnsupportedMediaType
    data = bodies.json_body()
    if isinstance(data, dict) and data.get("lang") in LANGUAGES:
        g.language = data["lang"]
    return bodies.validated(kind, data)


def _contact(faq: PublicFaq, result: MatchResult | None, service: str | None) -> PublicContact:
    """Who to ask when nothing answers: the owner of two of the three nearest answers, else the service of the page, else the desk."""
    near = [one for one in result.matches[:3] if one.slug in faq.articles and one.confidence >= SHOWN_FROM / 2] if result else []
    owners = [faq.articles[one.slug].service for one in near]
    agreed = next((owner for owner in owners if owners.count(owner) >= 2), service)
    found: Service = faq.context.service(agreed) if agreed else faq.contact()
    return contact_of(found)


def contact_of(service: Service) -> PublicContact:
    """What everybody may know of a service."""
    return PublicContact(name=service.name, phone=service.phone, email=service.email, hours=service.hours, url=service.url)


def _too_long(limit: int) -> ResponseReturnValue:
    return error_response(413, _("La question dépasse %(limit)s caractères : gardez l'essentiel.", limit=limit))


def _with_tag(model: BaseModel) -> tuple[bytes, str]:
    body = model.model_dump_json().encode()
    return body, hashlib.blake2b(body, digest_size=12).hexdigest()


def _sent(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), mimetype="application/json")


def _cacheable(body: bytes, tag: str) -> Response:
    response = Response(body, mimetype="application/json")
    response.headers["Cache-Control"] = _SHARED
    response.set_etag(tag)
    response.make_conditional(request)
    return response
