"""What the public may see, taken from one snapshot of the library: the public answers, their services, their links, their changes.

Guarantees: an internal or an advice article leaves no trace (title, slug, tag, service, count, old name, date); everything is made
once for a snapshot and kept with it, so a request only looks things up.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from flask import current_app, g, request
from markupsafe import Markup

from kb import render, replies
from kb.article import WIKI_LINK, Article
from kb.errors import StoreError
from kb.facts import Context, Service
from kb.library import Library, aliases_of
from kb.live_log import LiveLog
from search.engine import SHOWN_FROM, Match, MatchResult
from webapp.settings import Settings
from webapp.state import bible

log = logging.getLogger(__name__)

FAQ = "/faq"
LANGUAGES = {"fr": "Français", "en": "English"}
GENERAL_CONTACT = "relation-usagers"
RECENT = 50
# Set by `export` in the environment of its own requests, where no header can reach.
STATIC_EXPORT = "bible.static_export"
_MAX_CHANGES = 5
_SUMMARY_CHARS = 200
_MAX_STEPS = 50
# These addresses answer everybody, on the public site's name too, with no session: neither a cookie read nor one set.
_PUBLIC_PATH = re.compile(r"/(?:faq|sitemap\.xml|robots\.txt|demo-widget|widget(?:-[\w-]+)?\.js(?:on)?|api/public/v1)(?:/.*)?", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


def is_public_path(path: str) -> bool:
    """Tell whether an address is one of the public site's."""
    return _PUBLIC_PATH.fullmatch(path) is not None


@dataclass(frozen=True)
class Change:
    """A change that the public could see. ``parts`` names what changed: ``title``, ``lead``, ``sources`` or a heading of the page."""

    when: dt.datetime
    kind: Literal["published", "updated", "reviewed"]
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page as it is sent, and its ETag."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, text: str) -> Page:
        body = text.encode()
        return cls(body, hashlib.blake2b(body, digest_size=12).hexdigest())


@dataclass(frozen=True)
class PublicFaq:
    """The public side of a library.

    Args:
        library: the snapshot.
        live_log: when what changed.
        address: absolute address of the FAQ, no slash at its end.
        zone: time zone of the dates shown.
    """

    library: Library
    live_log: LiveLog
    address: str
    zone: ZoneInfo
    # Rendered pages by (view, name, language, …): only of what exists, so they are no more than twice the languages.
    pages: dict[tuple[str, ...], Page] = field(default_factory=dict, repr=False, compare=False)
    # Whole answers (status, headers, body) by what was read of the request: see `kept_pages`.
    sent: dict[tuple[str, ...], tuple[str, tuple[tuple[str, str], ...], bytes]] = field(default_factory=dict, repr=False, compare=False)
    _changes: dict[str, tuple[Change, ...]] = field(default_factory=dict, repr=False, compare=False)
    _moved: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)
    _recent: list[tuple[Article, ...]] = field(default_factory=list, repr=False, compare=False)

    @property
    def context(self) -> Context:
        return self.library.context

    @cached_property
    def articles(self) -> Mapping[str, Article]:
        """Slug → public answer, ordered by path."""
        return MappingProxyType({slug: article for slug, article in self.library.articles.items() if is_shown(article)})

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Old slug → slug of the public article that took its place, whatever an internal one claims."""
        return aliases_of(self.articles)

    @cached_property
    def services(self) -> Mapping[str, tuple[Article, ...]]:
        """Key of a service → its public articles, by title; declared services first, in their order; "" holds those without a service."""
        found: dict[str, list[Article]] = {}
        for article in self.articles.values():
            found.setdefault(article.service, []).append(article)
        order = [key for key in (*self.library.service_keys, "") if key in found]
        return MappingProxyType({key: tuple(sorted(found[key], key=lambda article: article.title.casefold())) for key in order})

    @cached_property
    def version(self) -> str:
        """Hexadecimal digest of everything that is shown: articles, facts (placeholders reach those of any service), templates."""
        services = {key: service.model_dump(mode="json") for key, service in self.context.services.items()}
        facts = [self.context.organisation.model_dump(mode="json"), services, self.address, dict(self.aliases)]
        digest = hashlib.blake2b(json.dumps(facts).encode(), digest_size=12)
        digest.update(_templates_version())
        for article in self.articles.values():
            digest.update(article.content_hash.encode())
        return digest.hexdigest()

    # ---- addresses ----
    def path(self, slug: str) -> str:
        """Address of an article on this server."""
        return f"{FAQ}/{quote(slug, safe='')}"

    def url(self, slug: str) -> str:
        """Absolute, stable address of an article."""
        return f"{self.address}/{quote(slug, safe='')}"

    def service_url(self, key: str) -> str:
        """Absolute address of the page of a service."""
        return f"{self.address}/service/{quote(key)}"

    def get(self, slug: str) -> Article | None:
        """The public article of this slug or old slug."""
        return self.articles.get(self.aliases.get(slug, slug))

    def resolve(self, slug: str) -> tuple[str, str] | None:
        """Title and address on this server of the public article that ``[[slug]]`` points to."""
        found = self.get(slug)
        return (found.title, self.path(found.slug)) if found else None

    def moved_to(self, slug: str) -> str | None:
        """Slug to which an old public address leads; ``None`` also for a name that was only ever internal, which must stay unknown."""
        target = self.aliases.get(slug)
        if target is None:
            return None
        if slug not in self._moved:
            try:
                self._moved[slug] = target if self._was_public(slug) else None
            except StoreError as error:
                _log_failed(error)
                return None
        return self._moved[slug]

    def _was_public(self, slug: str) -> bool:
        is_known = False
        for version in self.live_log.versions_named(slug):
            is_known = True
            if version is not None and is_shown(version):
                return True
        # A name that the log does not know comes from elsewhere: an older FAQ, whose addresses must lead on.
        return not is_known

    # ---- words ----
    def see_also(self, article: Article) -> tuple[Article, ...]:
        """The public articles that the author points to, each once."""
        found = (self.get(slug) for slug in article.meta.see_also)
        return tuple({one.slug: one for one in found if one is not None and one.slug != article.slug}.values())

    def contact(self, article: Article | None = None) -> Service:
        """Who to ask: the service that owns an article, else the general desk."""
        if article is not None:
            return self.context.service(article.service)
        return self.context.service(GENERAL_CONTACT if GENERAL_CONTACT in self.context.services else "")

    def html(self, article: Article, markdown: str, link: Callable[[str], str] | None = None) -> Markup:
        """Render a text of an article for everybody.

        Args:
            article: whose text it is.
            markdown: its lead, its details…
            link: address of the article of a slug; ``path`` by default.
        """
        address = link or self.path

        def resolve(slug: str) -> tuple[str, str] | None:
            found = self.get(slug)
            return (found.title, address(found.slug)) if found else None

        return Markup(render.to_html(self._public_text(article, markdown), resolve))  # noqa: S704 - sanitised

    def plain(self, article: Article, markdown: str) -> str:
        """The same as plain text on one line."""
        return " ".join(render.to_plain(self._public_text(article, markdown), self._only_title).split())

    def summary(self, article: Article) -> str:
        """What a search engine or a feed shows of an article."""
        text = self.plain(article, article.meta.short or article.lead or article.title)
        if len(text) <= _SUMMARY_CHARS:
            return text
        return text[: _SUMMARY_CHARS - 1].rpartition(" ")[0].rstrip(" ,;:") + "…"

    def _public_text(self, article: Article, markdown: str) -> str:
        """Fill a text; a link to an article that is not public leaves the author's words, else the name of the service that can help."""
        filled = render.fill(markdown, replies.values_for(article, self.context, self.url(article.slug))).markdown
        name = render.escape_markdown(self.contact(article).name)

        def hide(match: re.Match[str]) -> str:
            return match.group() if self.get(match.group(1)) else match.group(2) or name

        return WIKI_LINK.sub(hide, filled)

    def _only_title(self, slug: str) -> tuple[str, str] | None:
        found = self.get(slug)
        return (found.title, "") if found else None

    # ---- changes ----
    def changes(self, article: Article) -> tuple[Change, ...]:
        """What changed of a public article since it was made public, newest first; empty where git knows nothing of it."""
        if article.slug not in self._changes:
            try:
                self._changes[article.slug] = self._read_changes(article)
            except StoreError as error:
                _log_failed(error)
                return ()
        return self._changes[article.slug]

    def _read_changes(self, article: Article) -> tuple[Change, ...]:
        found: list[Change] = []
        for count, step in enumerate(self.live_log.steps(article)):
            when = step.when.astimezone(self.zone)
            if step.after is None or not is_shown(step.after) or len(found) == _MAX_CHANGES or count == _MAX_STEPS:
                break
            if step.before is None or not is_shown(step.before):
                found.append(Change(when, "published"))
                break
            parts = self._changed_parts(step.before, step.after, article)
            if parts is not None:
                found.append(Change(when, "updated", parts))
            elif step.before.meta.reviewed_on != step.after.meta.reviewed_on:
                found.append(Change(when, "reviewed"))
        return tuple(found)

    def _changed_parts(self, before: Article, after: Article, now: Article) -> tuple[str, ...] | None:
        """Name what a change touched, as the page calls it today; ``None`` when the public saw no change."""
        old, new, today = (_parts(one) for one in (before, after, now))
        touched = {key for key in old | new if old.get(key) != new.get(key)}
        return tuple(key for key in today if key in touched) if touched else None

    def changed_at(self, article: Article) -> dt.datetime | None:
        """When the text of an article last changed for the public, else when it was reviewed."""
        when = next((change.when for change in self.changes(article) if change.kind != "reviewed"), None)
        day = article.meta.reviewed_on
        return when or (dt.datetime.combine(day, dt.time(), self.zone) if day else None)

    def last_touched(self, article: Article) -> dt.date | None:
        """The day of the last publication of an article: cheaper than ``changed_at``."""
        try:
            when = self.live_log.last_change(article.path)
        except StoreError as error:
            _log_failed(error)
            when = None
        return when.astimezone(self.zone).date() if when else article.meta.reviewed_on

    @property
    def recent(self) -> tuple[Article, ...]:
        """The public articles that changed last, newest first."""
        if self._recent:
            return self._recent[0]
        found = self._read_recent()
        if not is_log_failing():
            self._recent.append(found)
        return found

    def _read_recent(self) -> tuple[Article, ...]:
        by_path = {article.path: article for article in self.articles.values()}
        found: dict[str, Article] = {}
        try:
            for publication in self.live_log.publications():
                if len(found) >= RECENT:
                    break
                for path in publication.paths:
                    if path in by_path and self.changed_at(by_path[path]):
                        found.setdefault(path, by_path[path])
                    if len(found) >= 2 * RECENT:  # the first publication brings everything
                        break
        except StoreError as error:
            _log_failed(error)
        candidates = found or {path: article for path, article in by_path.items() if article.meta.reviewed_on}
        dated = [(when, article) for article in candidates.values() if (when := self.changed_at(article))]
        dated.sort(key=lambda one: (one[0], one[1].meta.reviewed_on or dt.date.min, one[1].slug), reverse=True)
        return tuple(article for _, article in dated[:RECENT])

    # ---- search ----
    def answers(self, result: MatchResult, limit: int) -> tuple[Match, ...]:
        """What answers a question, of a match that was made with ``public_only``: best first; empty where nothing does."""
        shown = {
            match.slug
            for one in result.requests
            if one.answered
            for match in one.matches
            if match.confidence >= SHOWN_FROM and match.slug in self.articles
        }
        return tuple(match for match in result.matches if match.slug in shown)[:limit]


def _log_failed(error: StoreError) -> None:
    """Note that this request read less than there is: what it makes is good for now, and is not kept."""
    log.warning("the log of publications cannot be read: %s", error)
    g.log_failed = True


def is_log_failing() -> bool:
    """Tell whether this request could not read what changed when."""
    return bool(g.get("log_failed"))


def is_shown(article: Article) -> bool:
    """Tell whether the public may read an article: a public one, and an answer."""
    return article.is_public and not article.is_advice


def _parts(article: Article) -> dict[str, str]:
    """What the public reads of an article, part by part."""
    parts = {"title": article.title, "lead": article.lead}
    _, *pieces = _HEADING.split(article.details)
    for heading, text in zip(pieces[::2], pieces[1::2], strict=True):
        parts[heading] = parts.get(heading, "") + text.strip()
    return parts | {"sources": repr(article.meta.sources)}


@lru_cache(maxsize=1)
def _templates_version() -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted((Path(__file__).parent / "templates" / "faq").rglob("*")):
        digest.update(path.read_bytes())
    return digest.digest()


def faq_address(settings: Settings, context: Context) -> str:
    """Absolute address of the public FAQ: where replies link to, else on this server. That of a fictional town leads nowhere."""
    declared = settings.public_url or ("" if context.organisation.fictional else context.organisation.faq_url.rstrip("/"))
    return declared or f"{settings.site_url or f'http://{settings.host}:{settings.port}'}{FAQ}"


def public_faq() -> PublicFaq:
    """The public side of the current snapshot: the same object until the content changes, and for a whole request."""
    if "public_faq" not in g:
        g.public_faq = _current_faq()
    found: PublicFaq = g.public_faq
    return found


def _current_faq() -> PublicFaq:
    state = bible()
    library = state.library
    held: PublicFaq | None = current_app.extensions.get("bible_public")
    if held is None or held.library is not library:
        live_log = held.live_log if held else LiveLog(state.store)
        held = PublicFaq(library, live_log, faq_address(state.settings, library.context), ZoneInfo(state.settings.timezone))
        current_app.extensions["bible_public"] = held
    return held


def language() -> str:
    """Language of the interface on a public page: asked for in its address, so that a shared cache holds each one apart."""
    asked = g.get("language") or request.args.get("lang", "")
    return asked if asked in LANGUAGES else content_language()


def content_language() -> str:
    """Language of the articles."""
    return str(current_app.config["BABEL_DEFAULT_LOCALE"])


def is_embedded() -> bool:
    """Tell whether the page is asked for inside another site's."""
    return request.args.get("embed") == "1"


def is_static() -> bool:
    """Tell whether the page is rendered for the static export: no server will answer its forms."""
    return STATIC_EXPORT in request.environ


def link_query(lang: str | None = None) -> str:
    """What the addresses of a page end with, so that its links keep its language and its frame.

    Args:
        lang: another language than that of this request.
    """
    lang = lang or language()
    wanted = {"lang": lang} if lang != content_language() else {}
    wanted |= {"embed": "1"} if is_embedded() else {}
    return f"?{urlencode(wanted)}" if wanted else ""


def render_page(template: str, here: str = FAQ, **context: object) -> str:
    """Render a template of the public site, which sees nothing of who asks: the context of the agents' pages stays out.

    Args:
        template: its name.
        here: address of the page on this server; the front page's for an error, whose own address must not show.
        context: what the template shows.
    """
    state = bible()
    faq = public_faq()
    return current_app.jinja_env.get_template(template).render(
        faq=faq,
        organisation=faq.context.organisation,
        content_language=content_language(),
        here=here,
        query=link_query(),
        other_languages=[(code, name, here + link_query(code)) for code, name in LANGUAGES.items() if code != language()],
        is_embedded=is_embedded(),
        is_static=is_static(),
        origins=state.settings.widget_origins,
        **context,
    )
