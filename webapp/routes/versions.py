"""The versions of an article: read, compared, proposed again; and the articles that were archived.

Only what was once live is shown: a commit that is not part of the live text's history is unknown here.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from markupsafe import Markup

from kb import diff
from kb import proposals as git_proposals
from kb.archive import Archived, list_archived, read_archived
from kb.article import Article
from kb.diff import FieldChange
from kb.draft import Draft
from kb.errors import ContentError, Problem, UnknownRevision, UnknownSlug
from kb.git_store import Revision
from kb.library import check_placeholders
from kb.proposals import ProposalError
from webapp import views
from webapp.accounts import current_account
from webapp.proposals import service
from webapp.proposals.service import Change
from webapp.state import Bible, bible

blueprint = Blueprint("versions", __name__, url_prefix="/articles")

PAGE_SIZE = 50
MAX_REVISIONS = 100_000


@dataclass(frozen=True)
class Version:
    """An article as it was; ``article`` is ``None`` where the text cannot be one, and ``problem`` says why."""

    revision: Revision
    path: str
    source: str
    article: Article | None
    problem: Problem | None


# ---- the versions of an article ----
@blueprint.get("/<slug>/versions")
def history(slug: str) -> ResponseReturnValue:
    """List the versions of an article, its old names included, and let two be chosen."""
    state = bible()
    article = state.library.get(slug)
    if article.slug != slug:
        return redirect(url_for("versions.history", slug=article.slug), code=301)
    page = min(max(1, request.args.get("page", 1, type=int)), 1000)
    found = state.store.history(article.path, limit=PAGE_SIZE * page + 1)
    return render_template(
        "versions/history.html",
        article=article,
        revisions=found[PAGE_SIZE * (page - 1) : PAGE_SIZE * page],
        page=page,
        has_more=len(found) > PAGE_SIZE * page,
    )


@blueprint.get("/<slug>/versions/<revision>")
def show(slug: str, revision: str) -> ResponseReturnValue:
    """Show an article as it was."""
    state = bible()
    article = state.library.get(slug)
    version = _version(state, article, revision)
    return render_template(
        "versions/version.html",
        article=article,
        version=version,
        is_current=(version.path, version.source) == (article.path, article.source),
        head=state.store.head(),
        page=views.article_html(state, version.article),
    )


@blueprint.get("/<slug>/versions/comparer")
def compare(slug: str) -> ResponseReturnValue:
    """Show what changed from one version to another, as people read it or in the source."""
    state = bible()
    article = state.library.get(slug)
    chosen = request.args.get("de", ""), request.args.get("a", "")
    if not all(chosen):
        flash(_("Choisissez deux versions à comparer."), "error")
        return redirect(url_for("versions.history", slug=article.slug), code=303)
    old, new = (_version(state, article, revision) for revision in chosen)
    is_readable = old.article is not None and new.article is not None
    fields: list[FieldChange] = []
    if old.article is not None and new.article is not None:
        fields = diff.field_changes(Draft.from_article(old.article), Draft.from_article(new.article))
    return render_template(
        "versions/compare.html",
        article=article,
        old=old,
        new=new,
        fields=fields,
        # Of two sanitised pages, which `html_diff` keeps so.
        page=Markup(diff.html_diff(views.article_html(state, old.article), views.article_html(state, new.article))) if fields else Markup(),  # noqa: S704
        source=diff.source_diff(old.source, new.source),
        shown="lecture" if is_readable and request.args.get("vue") != "source" else "source",
        is_readable=is_readable,
    )


@blueprint.post("/<slug>/versions/<revision>/retablir")
def restore(slug: str, revision: str) -> ResponseReturnValue:
    """Propose the text of an old version again, under the article's name and service of today."""
    state = bible()
    article = state.library.get(slug)
    version = _version(state, article, revision)
    try:
        if version.problem is not None:
            raise ProposalError(_("Cette version ne peut pas être rétablie : %(problem)s", problem=version.problem.message))
        live, base = live_text(state, article)
        old = Article.parse(version.source, live.path)
        new = old.edited(_kept(live, old))
        change = Change("edit", live.slug, new.title, live.service, {live.path: new.source})
        proposal = service.submit(change, current_account(), f"Rétablit la version du {version.revision.when:%d/%m/%Y}.", base)
    except (ProposalError, ContentError) as error:
        flash(str(error), "error")
        return redirect(url_for("versions.history", slug=article.slug), code=303)
    flash(_("Proposition envoyée au service %(name)s.", name=state.context.service(live.service).name), "ok")
    return redirect(url_for("proposals.show", number=proposal.id), code=303)


def live_text(state: Bible, article: Article) -> tuple[Article, str]:
    """Read an article as it is live now, and the commit that it is in.

    Raises:
        ContentError: its file was broken meanwhile.
        StoreError: there is no repository.
    """
    base = state.store.committed(article.path)
    return Article.parse(state.store.read(article.path, base), article.path), base


def _kept(live: Article, old: Article) -> dict[str, object]:
    """What an old text does not bring back: another service, and addresses lost since."""
    changes: dict[str, object] = {}
    if old.service != live.service:
        changes["service"] = live.service
    aliases = [alias for alias in dict.fromkeys((*live.meta.aliases, *old.meta.aliases)) if alias != live.slug]
    if set(aliases) != set(old.meta.aliases):
        changes["aliases"] = aliases or None
    return changes


def _version(state: Bible, article: Article, revision: str) -> Version:
    """Find a version of an article.

    Raises:
        UnknownRevision: there is no such commit, or it was never live.
        UnknownSlug: the article did not exist then.
    """
    found = state.store.revision(revision)
    if not state.proposals.is_live(found.id):
        raise UnknownRevision(_("Cette version n'a jamais été en ligne. Choisissez-en une dans l'historique de l'article."))
    for path in dict.fromkeys((article.path, *(one.path for one in state.store.history(article.path, limit=MAX_REVISIONS)))):
        try:
            source = state.store.read(path, found.id)
        except UnknownSlug:
            continue
        try:
            then = Article.parse(source, path)
            check_placeholders(then)
        except ContentError as error:
            return Version(found, path, source, None, error.problem)
        return Version(found, path, source, then, None)
    raise UnknownSlug(_("L'article « %(title)s » n'existait pas dans cette version.", title=article.title))


# ---- the archive ----
@blueprint.get("/archives")
def archive() -> ResponseReturnValue:
    """List the archived articles by service."""
    state = bible()
    groups: dict[str, list[Archived]] = {}
    for archived in list_archived(state.store.folder):
        groups.setdefault(archived.article.service if archived.article else "", []).append(archived)
    services = {key: state.context.service(key) for key in sorted(groups)}
    return render_template("versions/archive.html", groups=groups, services=services)


@blueprint.get("/archives/<path:name>")
def archived(name: str) -> ResponseReturnValue:
    """Show an archived article."""
    state = bible()
    found = read_archived(state.store.folder, name)
    return render_template(
        "versions/archived.html",
        archived=found,
        service=state.context.service(found.article.service) if found.article else None,
        page=views.article_html(state, found.article),
        takes_place=state.library.find(found.slug),
    )


@blueprint.post("/archives/<path:name>/retablir")
def unarchive(name: str) -> ResponseReturnValue:
    """Propose to bring an archived article back; the article that took its address gives it back."""
    state = bible()
    found = read_archived(state.store.folder, name)
    try:
        if found.article is None:
            raise ProposalError(_("Ce fichier ne peut pas être lu : corrigez-le d'abord."))
        if found.slug in state.library.articles:
            raise ProposalError(_("Un article en ligne porte déjà cette adresse : renommez-le d'abord."))
        article, base = live_text(state, found.article)
        holder = state.library.articles.get(state.library.aliases.get(found.slug, ""))
        if holder is not None:
            holder, base = live_text(state, holder)
        change = Change("restore", article.slug, article.title, article.service, git_proposals.restore(article, holder))
        proposal = service.submit(change, current_account(), base=base)
    except (ProposalError, ContentError) as error:
        flash(str(error), "error")
        return redirect(url_for("versions.archived", name=found.name), code=303)
    flash(_("Proposition envoyée au service %(name)s.", name=state.context.service(article.service).name), "ok")
    return redirect(url_for("proposals.show", number=proposal.id), code=303)
