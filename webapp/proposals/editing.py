"""The editor's form: what it was filled from, what it says, what its text would look like and what the checks say of it."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from kb import checks, paths, render, replies
from kb.article import Article
from kb.checks import Finding
from kb.draft import CHANNEL_PREFIX, Draft, DraftRefused
from kb.errors import ContentError, TemplateError
from kb.facts import Context
from kb.merge import FieldConflict
from kb.proposals import FileChange
from kb.replies import Reply
from search import twins
from webapp import views
from webapp.proposals.service import Change
from webapp.state import bible

MIN_NEAR_CHARS = 8
_UNNAMED = "brouillon"
# Pages of ours that an article of this name would never be seen behind.
RESERVED = frozenset({"nouveau", "archives", "service", "recherche"})


@dataclass(frozen=True)
class Form:
    """A form as it is shown.

    ``original`` is the text that the draft changes (``None``: a new article) as it was at commit ``seen``; ``errors`` and ``findings`` go
    beside the field that they concern; ``conflicts`` are fields to choose, ``choices`` what was chosen for them: ``live``, ``proposed``, or
    ``own``, the text that was typed.
    """

    draft: Draft
    original: Article | None = None
    seen: str = ""
    message: str = ""
    errors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    conflicts: Mapping[str, FieldConflict] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)

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


@dataclass(frozen=True)
class Passage:
    """An article that goes off line, or comes back.

    ``names`` are its own and its old ones; ``holder`` is the article that they will lead to, or led to until then; ``is_kept`` is false
    where it goes without being archived.
    """

    article: Article
    comes_back: bool
    holder: Article | None
    is_kept: bool

    @property
    def names(self) -> tuple[str, ...]:
        return (self.article.slug, *self.article.meta.aliases)


def passage_of(change: FileChange, changes: Sequence[FileChange]) -> Passage | None:
    """Read a file of a proposal as an article that goes off line or comes back; ``None`` when it is neither.

    Args:
        change: the file.
        changes: every file of the proposal.
    """
    was_live, is_live = (path is not None and path.startswith(f"{paths.ARTICLES}/") for path in (change.old_path, change.new_path))
    if was_live == is_live or change.old_path is None:
        return None
    try:
        before, _after = sides(change)
        others = [sides(one)[not is_live] for one in changes if one is not change]
    except ContentError:
        return None
    if before is None:
        return None
    holder = next((one for one in others if one is not None and before.slug in one.meta.aliases), None)
    return Passage(before, is_live, holder, change.new_path is not None)


def sides(change: FileChange) -> tuple[Article | None, Article | None]:
    """Read a file of a proposal, before and after it; ``None`` where there is no article.

    Raises:
        ContentError: a text is not an article.
    """
    before, after = (
        Article.parse(text, path) if text is not None and path is not None and path.endswith(".md") else None
        for text, path in ((change.before, change.old_path), (change.after, change.new_path))
    )
    return before, after


def find_article(words: str) -> Article:
    """Find the article that somebody names: by its exact title, or by its address.

    Raises:
        UnknownSlug: none has that title or address.
    """
    words = " ".join(words.split())
    library = bible().library
    return next((one for one in library.articles.values() if one.title.casefold() == words.casefold()), None) or library.get(words)


def _named(draft: Draft, original: Article | None) -> Draft:
    # A value that no article can have is told beside its field; the rest is shown without it.
    wrong = {error.field for error in draft.problems(original)} & {"reviewed_on", "review_by", "audience", "kind"}
    return replace(
        replace(draft, **{name: getattr(Draft(), name) for name in wrong}),
        title=draft.title or "…",
        slug=draft.slug if paths.is_readable_slug(draft.slug) else _UNNAMED,
        service=draft.service if paths.is_readable_slug(draft.service) else next(iter(bible().context.services), _UNNAMED),
    )


def preview(draft: Draft, original: Article | None) -> Preview:
    """Show what a draft would look like, right or wrong: while its title is being typed, it may have no name nor service yet."""
    state = bible()
    try:
        article = _named(draft, original).written_on(original)
    except DraftRefused as error:
        return Preview(None, problem=str(error))
    except ContentError as error:
        return Preview(None, problem=error.problem.message)
    library = state.library
    if original and original.path != article.path:
        library = library.changed({original.path: None})
    # With a wrong variable it is in no library; its other faults are told all the same.
    with contextlib.suppress(ContentError):
        library = library.changed({article.path: article.source})
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
        _page(article.lead, values, resolve),
        _page(article.details, values, resolve),
        _replies(article, library.context, url),
        {name: tuple(findings) for name, findings in found.items()},
        near,
    )


def _page(text: str, values: Mapping[str, str], resolve: render.LinkResolver) -> Markup:
    """Render a part of a page; one with a wrong variable as it is written."""
    try:
        return views.page_html(text, values, resolve)
    except TemplateError:
        return Markup(render.to_html(text, resolve))  # noqa: S704  # sanitised


def _replies(article: Article, context: Context, url: str) -> dict[str, Reply]:
    """Render the reply on every channel, those aside whose text has a wrong variable."""
    found = {}
    for key in context.channels:
        with contextlib.suppress(TemplateError):
            found[key] = replies.render_reply(article, key, context, url, None, bible().resolve_public)
    return found
