"""Search and browse articles by keywords, and the page of one article as agents see it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from kb import render, replies
from kb.archive import Archived, read_archived
from kb.article import Article
from kb.errors import StoreError, UnknownSlug
from search.errors import QueryError
from search.keyword_index import highlighted
from webapp import views
from webapp.proposals import service
from webapp.state import Bible, bible

blueprint = Blueprint("articles", __name__, url_prefix="/articles")

PAGE_SIZE = 20


@dataclass(frozen=True)
class Hit:
    """A result of the article search; ``title`` and ``excerpt`` are (words, is_match) pairs."""

    article: Article
    title: list[tuple[str, bool]]
    excerpt: list[tuple[str, bool]]


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """Browse by service, or search with ``?q=`` narrowed by ``service``, ``tag`` and ``audience``."""
    state = bible()
    query = request.args.get("q", "").strip()
    service, tag = request.args.get("service") or None, request.args.get("tag") or None
    audience = request.args.get("audience") or None
    page = max(1, request.args.get("page", 1, type=int))
    services = {key: state.context.service(key) for key in state.library.service_keys}
    common = {"query": query, "service_key": service, "tag": tag, "audience": audience, "services": services, "page": page}
    if not query and not tag:
        keys = [service] if service in services else list(services)
        groups = {key: [a for a in state.library.by_service(key) if audience in (None, a.meta.audience)] for key in keys}
        counts = {key: len(state.library.by_service(key)) for key in services}
        return render_template("articles/browse.html", groups=groups, counts=counts, problems=state.library.problems, **common)
    try:
        hits = state.engine.search(
            query or "*", service=service, tag=tag, audience=audience, offset=(page - 1) * PAGE_SIZE, limit=PAGE_SIZE
        )
    except QueryError as error:
        return render_template("articles/search.html", hits=None, results=[], error=str(error), **common), 422
    results = [_hit(state, state.library.articles[slug], hits.terms) for slug in hits.slugs if slug in state.library.articles]
    pages = -(-hits.total // PAGE_SIZE)
    return render_template("articles/search.html", hits=hits, results=results, pages=pages, **common)


def _hit(state: Bible, article: Article, stems: frozenset[str]) -> Hit:
    values = replies.values_for(article, state.context, state.public_url(article))
    lead, details = (render.to_plain(render.fill(part, values).markdown) for part in (article.lead or article.title, article.details))
    # Where the words are decides what is shown: the lead, else a section, else a citizen's question; else the start of the lead.
    excerpts = (highlighted(place, stems) for place in (lead, details, *article.meta.questions) if place)
    found = next((excerpt for excerpt in excerpts if any(is_match for _, is_match in excerpt)), None)
    return Hit(article, highlighted(article.title, stems, whole=True), found or highlighted(lead, stems))


def _archived(state: Bible, slug: str) -> Archived | None:
    try:
        return read_archived(state.store.folder, slug)
    except UnknownSlug:
        return None


@blueprint.get("/<slug>")
def show(slug: str) -> ResponseReturnValue:
    """Show one article: page, replies on every channel, links, history. An old slug redirects."""
    state = bible()
    try:
        article = state.library.get(slug)
    except UnknownSlug:
        archived = _archived(state, slug)
        if archived is None:
            raise
        return render_template("versions/not_live.html", archived=archived), 404
    if article.slug != slug:
        return redirect(url_for("articles.show", slug=article.slug), code=301)
    url = state.public_url(article)
    values = replies.values_for(article, state.context, url)

    resolve = views.agent_links(state.library)
    known = state.library.articles
    try:
        history, history_error = state.store.history(article.path, limit=20), None
    except StoreError as error:
        history, history_error = [], str(error)
    return render_template(
        "articles/article.html",
        article=article,
        service=state.context.service(article.service),
        lead=views.page_html(article.lead, values, resolve),
        details=views.page_html(article.details, values, resolve),
        replies={key: views.reply_for(state, article, key) for key in state.context.channels},
        channels=state.context.channels,
        links=[found for found in map(state.library.find, article.links) if found],
        backlinks=[known[source] for source in state.library.backlinks.get(article.slug, ())],
        history=history,
        history_error=history_error,
        public_url=url,
        overdue=article.is_overdue(views.today()),
        open_proposals=service.open_about(article.slug),
    )
