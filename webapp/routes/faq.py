"""The public pages: the front page, one per service, one per article, the search, the feed of changes, the sitemap.

Every page but the answer to a question is rendered once for a snapshot and kept; the question is a POST, and is not kept at all.
"""

from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from markupsafe import Markup

from kb.article import Article
from webapp import kept_pages, public, security
from webapp.public import FAQ, Page, PublicFaq, public_faq
from webapp.state import bible

blueprint = Blueprint("faq", __name__)

MAX_QUESTION_CHARS = 1000
ANSWERS = 5
NEWEST = 8
CACHED = "public, max-age=300, stale-while-revalidate=3600"
ATOM = "http://www.w3.org/2005/Atom"
SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
# What XML cannot hold, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# ---- pages ----
@blueprint.get(FAQ)
def home() -> ResponseReturnValue:
    """Show the services and what changed last."""

    def make(faq: PublicFaq) -> str:
        newest = faq.recent[:NEWEST]
        return public.render_page(
            "faq/home.html", newest=newest, html=_embeddable(faq), data=_structured(faq, newest, _("Questions fréquentes"), faq.address)
        )

    return _page(("home",), make)


@blueprint.get(f"{FAQ}/service/<path:key>")
def service(key: str) -> ResponseReturnValue:
    """Show the public articles of a service."""
    if not key or key not in public_faq().services:
        abort(404)

    def make(faq: PublicFaq) -> str:
        owner, articles = faq.context.service(key), faq.services[key]
        return public.render_page(
            "faq/service.html",
            here=url_for("faq.service", key=key),
            service=owner,
            key=key,
            articles=articles,
            html=_embeddable(faq),
            data=_structured(faq, articles, owner.name, faq.service_url(key)),
        )

    return _page(("service", key), make)


@blueprint.get(f"{FAQ}/<slug>")
def article(slug: str) -> ResponseReturnValue:
    """Show a public article; an old public address redirects for ever."""
    faq = public_faq()
    if slug not in faq.articles:
        target = faq.moved_to(slug)
        if target is None:
            abort(404)
        response = redirect(faq.path(target) + public.link_query(), code=301)
        response.headers["Cache-Control"] = CACHED
        return response

    def make(faq: PublicFaq) -> str:
        shown = faq.articles[slug]
        siblings = faq.services[shown.service]
        place = siblings.index(shown)
        return public.render_page(
            "faq/article.html",
            here=faq.path(slug),
            article=shown,
            service=faq.contact(shown),
            html=_embeddable(faq),
            description=faq.summary(shown),
            changes=faq.changes(shown),
            see_also=faq.see_also(shown),
            previous=siblings[place - 1] if place else None,
            following=siblings[place + 1] if place + 1 < len(siblings) else None,
            data=_structured(faq, (shown,), shown.title, faq.url(slug), faq.changed_at(shown)),
        )

    return _page(("article", slug), make)


@blueprint.get(f"{FAQ}/recherche")
def search_form() -> ResponseReturnValue:
    """Show an empty search."""
    return _page(
        ("search",), lambda _: public.render_page("faq/search.html", here=f"{FAQ}/recherche", question="", answers=None, error=None)
    )


@blueprint.post(f"{FAQ}/recherche")
def search() -> ResponseReturnValue:
    """Answer a question from the public articles."""
    question = _question()
    if len(question) > MAX_QUESTION_CHARS:
        return _searched(error=_("Votre question est trop longue : %(limit)s caractères au plus.", limit=MAX_QUESTION_CHARS), status=413)
    if not question:
        return _searched(error=_("Écrivez d'abord votre question."))
    faq = public_faq()
    found = bible().engine.match(question, limit=ANSWERS, public_only=True)
    return _searched([faq.articles[match.slug] for match in faq.answers(found, ANSWERS)])


def too_often(seconds: int) -> Response:
    """Answer a question too many: it stays in its field."""
    response = _searched(error=_("Trop de questions à la suite : attendez un instant, puis réessayez."), status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _question() -> str:
    return "".join(character if character.isprintable() else " " for character in request.form.get("question", "")).strip()


def _searched(answers: list[Article] | None = None, *, error: str | None = None, status: int = 200) -> Response:
    faq = public_faq()
    body = public.render_page(
        "faq/search.html",
        here=f"{FAQ}/recherche",
        question=_question()[:MAX_QUESTION_CHARS],
        answers=answers,
        error=error,
        contact=faq.contact(),
        html=_embeddable(faq),
    )
    return _framed(Response(body, status=status))


# ---- files for programs ----
@blueprint.get(f"{FAQ}/feed.xml")
def feed() -> ResponseReturnValue:
    """List what changed last, as an Atom feed (RFC 4287)."""
    return _page(("feed",), _feed, "application/atom+xml")


@blueprint.get("/sitemap.xml")
def sitemap() -> ResponseReturnValue:
    """List every public page for search engines."""
    return _page(("sitemap",), _sitemap, "application/xml")


@blueprint.get("/robots.txt")
def robots() -> ResponseReturnValue:
    """Lead search engines to the public pages and away from the agents'."""
    site = f"{urlsplit(public_faq().address).scheme}://{urlsplit(public_faq().address).netloc}"
    lines = (
        "User-agent: *",
        f"Allow: {FAQ}",
        "Allow: /static/",
        f"Allow: {url_for('faq.sitemap')}",
        "Disallow: /",
        "",
        f"Sitemap: {site}{url_for('faq.sitemap')}",
        "",
    )
    return _page(("robots",), lambda _: "\n".join(lines), "text/plain")


def _feed(faq: PublicFaq) -> str:
    dated = [(when, one) for one in faq.recent if (when := faq.changed_at(one))]
    updated = max((when for when, _ in dated), default=dt.datetime.fromtimestamp(0, dt.UTC))
    root = ET.Element("feed", {"xmlns": ATOM, "xml:lang": public.language()})
    town = faq.context.organisation.name
    _add(root, "id", faq.address)
    _add(root, "title", _("Questions fréquentes : ce qui change · %(name)s", name=town))
    _add(root, "updated", updated.isoformat())
    _add(root, "link", rel="self", type="application/atom+xml", href=f"{faq.address}/feed.xml")
    _add(root, "link", rel="alternate", type="text/html", href=faq.address)
    _add(_add(root, "author"), "name", town)
    for when, shown in dated:
        entry = _add(root, "entry")
        # The first public address, which redirects for ever: a renamed article stays the same entry.
        first = next((old for old in shown.meta.aliases if faq.moved_to(old) == shown.slug), shown.slug)
        _add(entry, "id", faq.url(first))
        _add(entry, "title", shown.title)
        _add(entry, "updated", when.isoformat())
        _add(entry, "link", rel="alternate", type="text/html", href=faq.url(shown.slug))
        _add(entry, "category", term=shown.service or FAQ, label=faq.contact(shown).name)
        _add(entry, "summary", faq.summary(shown))
    return _xml(root)


def _sitemap(faq: PublicFaq) -> str:
    root = ET.Element("urlset", {"xmlns": SITEMAP})
    for address in (faq.address, *(faq.service_url(key) for key in faq.services if key)):
        _add(_add(root, "url"), "loc", address)
    for shown in faq.articles.values():
        entry = _add(root, "url")
        _add(entry, "loc", faq.url(shown.slug))
        if day := faq.last_touched(shown):
            _add(entry, "lastmod", day.isoformat())
    return _xml(root)


def _add(parent: ET.Element, name: str, text: str = "", **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, name, {key: _NOT_XML.sub("", value) for key, value in attributes.items()})
    element.text = _NOT_XML.sub("", text) or None
    return element


def _xml(root: ET.Element) -> str:
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


# ---- what pages are made of ----
def _embeddable(faq: PublicFaq) -> Callable[[Article, str], Markup]:
    """Make what renders a text of an article on a page whose links keep its language and its frame."""
    query = public.link_query()

    def html(shown: Article, markdown: str) -> Markup:
        rendered = str(faq.html(shown, markdown, lambda slug: faq.path(slug) + query))
        # In a frame the other links open a tab of their own: most sites refuse to be shown in one.
        if public.is_embedded():
            rendered = rendered.replace(f'<a href="{FAQ}/', f'<a target="_self" href="{FAQ}/')
        return Markup(rendered)  # noqa: S704 - sanitised

    return html


def _structured(
    faq: PublicFaq, articles: Sequence[Article], name: str, url: str, changed: dt.datetime | None = None
) -> dict[str, object] | None:
    """What search engines read of a page (schema.org ``FAQPage``): the very answers that it shows."""
    questions = [
        {
            "@type": "Question",
            "name": one.title,
            "url": faq.url(one.slug),
            "acceptedAnswer": {"@type": "Answer", "text": str(faq.html(one, one.lead or one.title, faq.url)), "url": faq.url(one.slug)},
        }
        for one in articles
    ]
    if not questions:
        return None
    data = {
        "@context": "https://schema.org",
        "@type": "FAQPage",
        "@id": url,
        "url": url,
        "name": name,
        "inLanguage": public.content_language(),
    }
    dates = {"dateModified": changed.isoformat()} if changed else {}
    return data | dates | {"publisher": {"@type": "GovernmentOrganization", "name": faq.context.organisation.name}, "mainEntity": questions}


def _page(name: tuple[str, ...], make: Callable[[PublicFaq], str], mimetype: str = "text/html") -> Response:
    """Send a page that is rendered once for a snapshot, a language and a frame; only its ETag when the caller has it."""
    faq = public_faq()
    key = (*name, public.language(), "embed" if public.is_embedded() else "", "static" if public.is_static() else "")
    page = faq.pages.get(key) or Page.of(make(faq))
    is_held = request.if_none_match.contains_weak(page.etag)  # proxies that compress make it weak
    response = Response(b"" if is_held else page.body, status=304 if is_held else 200, mimetype=mimetype)
    response.headers["ETag"] = f'"{page.etag}"'
    if public.is_log_failing():
        response.headers["Cache-Control"] = "no-store"
    else:
        faq.pages[key] = page
        response.headers["Cache-Control"] = CACHED
        kept_pages.keep(faq)
    return _framed(response)


def _framed(response: Response) -> Response:
    if public.is_embedded():
        security.let_be_framed(response, bible().settings.widget_origins)
    return response
