"""The editor's form: what it was filled from, what it says, what its text would look like and what the checks say of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kb import checks, paths, render, replies
from kb.article import Article
from kb.checks import Finding
from kb.draft import CHANNEL_PREFIX, Draft, DraftRefused
from kb.errors import ContentError, TemplateError
from kb.merge import FieldConflict
from kb.replies import Reply
from search import twins
from webapp import views
from webapp.proposals.service import Change
from webapp.state import bible

MIN_NEAR_CHARS = 8
_UNNAMED = "brouillon"
# Pages of ours that an article of this name would never be seen behind.
RESERVED = frozenset({"nouveau", "archives", "service"})


@dataclass(frozen=True)
class Form:
    """A form as it is shown.

    ``original`` is the text that the draft changes (``None``: a new article) as it was at commit ``seen``; ``errors`` and ``findings`` go
    beside the field that they concern; ``conflicts`` are fields to choose.
    """

    draft: Draft
    original: Article | None = None
    seen: str = ""
    message: str = ""
    errors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    conflicts: Mapping[str, FieldConflict] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, str]:
        """Field → text, as the page writes it."""
        return self.draft.to_form()


@dataclass(frozen=True)
class Preview:
    """What a draft would look like: the page, every channel, what the checks say by field, and articles that say nearly the same."""

    article: Article | None
    lead: str = ""
    details: str = ""
    replies: Mapping[str, Reply] = field(default_factory=dict)
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    near: tuple[twins.Near, ...] = ()
    problem: str = ""


def errors_of(draft: Draft, original: Article | None) -> dict[str, tuple[str, ...]]:
    """Field → what must be corrected before the draft can be proposed."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for error in draft.problems(original):
        found[error.field].append(error.message)
    texts = {"lead": draft.lead, "details": draft.details, "short": draft.short}
    for name, text in (texts | {f"{CHANNEL_PREFIX}{key}": text for key, text in draft.channels.items()}).items():
        try:
            render.placeholders(text)
        except TemplateError as error:  # such an article would be left out of the library
            found[name].append(str(error))
    if draft.slug in RESERVED and (original is None or original.slug != draft.slug):
        found["slug"].append(f"L'adresse « {draft.slug} » est celle d'une page de la Bible : choisissez-en une autre.")
    taken = bible().library.articles.get(draft.slug)
    if taken is not None and (original is None or original.slug != draft.slug):
        found["slug"].append(f"L'adresse « {draft.slug} » est déjà prise par « {taken.title} » : choisissez-en une autre.")
    if draft.service and draft.service not in bible().context.services and (original is None or original.service != draft.service):
        found["service"].append("Ce service n'existe pas : choisissez-en un dans la liste.")
    return {name: tuple(messages) for name, messages in found.items()}


def change_of(original: Article | None, new: Article) -> Change:
    """Name the change from one text to another."""
    if original is None:
        return Change("create", new.slug, new.title, new.service, {new.path: new.source})
    changes: dict[str, str | None] = {new.path: new.source}
    if new.path != original.path:
        changes[original.path] = None
    kind = "edit" if new.path == original.path else "rename"
    former = original.service if original.service != new.service else None
    return Change(kind, new.slug, new.title, new.service, changes, former)


def _named(draft: Draft) -> Draft:
    return replace(
        draft,
        title=draft.title or "…",
        slug=draft.slug if paths.is_readable_slug(draft.slug) else _UNNAMED,
        service=draft.service if paths.is_readable_slug(draft.service) else next(iter(bible().context.services), _UNNAMED),
    )


def preview(draft: Draft, original: Article | None) -> Preview:
    """Show what a draft would look like, right or wrong: while its title is being typed, it may have no name nor service yet."""
    state = bible()
    try:
        article = _named(draft).written_on(original)
        library = state.library.changed(
            {article.path: article.source} | ({original.path: None} if original and original.path != article.path else {})
        )
    except DraftRefused as error:
        return Preview(None, problem=str(error))
    except ContentError as error:
        return Preview(None, problem=error.problem.message)
    url = state.public_url(article)
    values = replies.values_for(article, library.context, url)

    resolve = views.agent_links(library)
    found: defaultdict[str, list[Finding]] = defaultdict(list)
    for one in checks.check_article(article, library, views.today()):
        found[checks.field_of(article, one)].append(one)
    near: tuple[twins.Near, ...] = ()
    if original is None and len(draft.title) >= MIN_NEAR_CHARS:
        near = tuple(twins.near(state.engine, draft.title, draft.questions, draft.lead, exclude=(draft.slug,)))
    return Preview(
        article,
        views.page_html(article.lead, values, resolve),
        views.page_html(article.details, values, resolve),
        {key: replies.render_reply(article, key, library.context, url, None, state.resolve_public) for key in library.context.channels},
        {name: tuple(findings) for name, findings in found.items()},
        near,
    )
