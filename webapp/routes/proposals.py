"""Proposals and requests: the list, the review page, comments and decisions."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from markupsafe import Markup

from kb import diff
from kb.archive import Archived, read_archived
from kb.diff import FieldChange, Hunk
from kb.draft import Draft
from kb.errors import ContentError, StoreError, UnknownSlug
from kb.library import check_placeholders
from kb.proposals import FileChange, ProposalError, StaleProposal
from webapp import views
from webapp.accounts import Account, current_account
from webapp.database import MAX_NUMBER, session
from webapp.errors import expired, shows_again
from webapp.proposals import service
from webapp.proposals.editing import Passage, passage_of, sides
from webapp.proposals.models import MAX_TEXT_CHARS, Proposal, State
from webapp.proposals.service import NotPublishable
from webapp.state import Bible, bible

blueprint = Blueprint("proposals", __name__, url_prefix="/propositions")

PAGE_SIZE = 50


@dataclass(frozen=True)
class ChangeView:
    """One file of a proposal as its reviewer reads it: fields and rendered page, or the source: on demand, or where it is no article.

    ``passage`` says what happens to an article that goes off line or comes back; ``title`` is its title, the path of what is no article.
    """

    change: FileChange
    title: str
    fields: tuple[FieldChange, ...]
    page: Markup
    source: tuple[Hunk, ...]
    problem: str = ""
    passage: Passage | None = None


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """List proposals and requests: those to review, one's own, all that are open, those that are closed."""
    account = current_account()
    service.reconcile()
    views_of = ("a-relire", "miennes", "ouvertes", "closes") if account.is_editor else ("miennes", "ouvertes", "closes")
    shown = request.args.get("vue", "")
    shown = shown if shown in views_of else views_of[0]
    of_service = request.args.get("service") or None
    which = service.Which(
        state={"closes": "closed", "miennes": "all"}.get(shown, "open"),
        service=of_service,
        author=account.id if shown == "miennes" else None,
        reviewer=account if shown == "a-relire" else None,
    )
    total = service.count(which)
    pages = -(-total // PAGE_SIZE)
    page = max(1, min(request.args.get("page", 1, type=int), pages))
    return render_template(
        "proposals/index.html",
        proposals=service.listed(which, limit=PAGE_SIZE, offset=(page - 1) * PAGE_SIZE),
        shown=shown,
        views_of=views_of,
        service_key=of_service,
        services={key: bible().context.service(key) for key in bible().library.service_keys},
        waiting=service.open_counts(),
        total=total,
        page=page,
        pages=pages,
        is_repository=bible().store.is_repository,
    )


@blueprint.get("/<int:number>")
def show(number: int) -> ResponseReturnValue:
    """Show what a proposal changes, what was said of it, and what one may do."""
    return _page(find_proposal(number))


@blueprint.post("/<int:number>/commenter")
def comment(number: int) -> ResponseReturnValue:
    """Add a comment."""
    proposal = find_proposal(number)
    text = told_in("text")
    if not text:
        return _page(proposal, error=_("Écrivez votre commentaire."), status=422)
    service.comment(proposal, current_account(), text)
    return _back(number)


@blueprint.post("/<int:number>/demander-modification")
def request_changes(number: int) -> ResponseReturnValue:
    """Send a proposal back to its author, saying what to change."""
    return _decided(number, "changes_requested", _("Dites à l'auteur ce qu'il faut modifier."))


@blueprint.post("/<int:number>/refuser")
def refuse(number: int) -> ResponseReturnValue:
    """Refuse a proposal or a request, saying why."""
    return _decided(number, "refused", _("Donnez le motif du refus : l'auteur le lira."))


@blueprint.post("/<int:number>/retirer")
def withdraw(number: int) -> ResponseReturnValue:
    """Withdraw one's own proposal or request."""
    proposal = find_proposal(number)
    if proposal.author_id != current_account().id:
        abort(403, _("Seul l'auteur peut retirer sa proposition."))
    return _closed(proposal, "withdrawn", told_in("text"))


@blueprint.post("/<int:number>/traiter")
def settle(number: int) -> ResponseReturnValue:
    """Close a request that is dealt with."""
    proposal = find_proposal(number)
    if not proposal.is_request:
        abort(409, _("Une proposition se publie ou se refuse."))
    _must_decide(proposal)
    return _closed(proposal, "accepted", told_in("text"))


@blueprint.post("/<int:number>/publier")
def accept(number: int) -> ResponseReturnValue:
    """Publish a proposal."""
    proposal = find_proposal(number)
    if proposal.is_request:
        abort(409, _("Une demande n'a pas de texte à publier : écrivez d'abord la réponse."))
    if not service.may_publish(proposal, current_account()):
        abort(403, _why_not(proposal, current_account()))
    try:
        service.accept(proposal, current_account(), request.form.get("tip", ""), told_in("text"))
    except NotPublishable as error:
        return _page(proposal, error=str(error), status=409)
    except StaleProposal as error:
        service.reconcile()  # git moved its branch: the page shows the new text, which may then be accepted
        return _page(proposal, error=str(error), status=409)
    except ProposalError as error:
        return _page(proposal, error=str(error), status=409)
    except StoreError as error:
        return _page(proposal, error=str(error), status=503)
    flash(_published(proposal), "ok")
    return _back(number)


def _published(proposal: Proposal) -> str:
    """Say what a publication did."""
    if proposal.kind != "archive":
        return str(_("« %(title)s » est en ligne.", title=proposal.title))
    instead = bible().library.find(proposal.slug)
    if instead is None:
        return str(_("« %(title)s » n'est plus en ligne.", title=proposal.title))
    return str(_("« %(title)s » n'est plus en ligne : son adresse mène à « %(other)s ».", title=proposal.title, other=instead.title))


@shows_again(*(f"proposals.{name}" for name in ("comment", "request_changes", "refuse", "withdraw", "settle", "accept")))
def again(number: int) -> ResponseReturnValue:
    """Show the form whose session expired, with what was typed."""
    return _page(find_proposal(number), error=expired(), status=400)


def find_proposal(number: int) -> Proposal:
    """Find a proposal by its number; 404 when there is none."""
    proposal = session().get(Proposal, number) if 0 < number <= MAX_NUMBER else None
    if proposal is None:
        abort(404, _("Il n'y a pas de proposition n° %(number)s.", number=number))
    return proposal


def _decided(number: int, state: State, missing: str) -> ResponseReturnValue:
    proposal = find_proposal(number)
    _must_decide(proposal)
    if state == "changes_requested" and not is_amendable(proposal):
        abort(409, _("Un rétablissement ne se modifie pas : commentez-le, ou refusez-le."))
    text = told_in("text")
    return _closed(proposal, state, text) if text else _page(proposal, error=missing, status=422)


def _closed(proposal: Proposal, state: State, text: str) -> ResponseReturnValue:
    try:
        service.decide(proposal, current_account(), state, text)
    except ProposalError as error:
        return _page(proposal, error=str(error), status=409)
    said: dict[State, str] = {
        "withdrawn": _("Votre demande est retirée.") if proposal.is_request else _("Votre proposition est retirée."),
        "accepted": _("La demande est close."),
        "refused": _("La demande est refusée : son auteur lira le motif.")
        if proposal.is_request
        else _("La proposition est refusée : son auteur lira le motif."),
        "changes_requested": _("L'auteur est invité à modifier sa proposition."),
    }
    flash(said[state], "ok")
    return _back(proposal.id)


def is_amendable(proposal: Proposal) -> bool:
    """Tell whether a proposal has something to modify: a text, or the article that replaces another."""
    return not proposal.is_request and proposal.kind != "restore"


def _must_decide(proposal: Proposal) -> None:
    if not service.may_decide(proposal, current_account()):
        abort(403, _why_not(proposal, current_account()))


def _why_not(proposal: Proposal, account: Account) -> str:
    """Say why somebody may not publish a proposal, or decide on it, and who may."""
    if not service.reviews(proposal, account):
        return _who_decides(proposal)
    if proposal.author_id == account.id:
        return str(_("Personne ne publie sa propre proposition : un autre rédacteur du service la relit, ou un administrateur."))
    return str(_("Vous avez écrit le dernier texte de cette proposition : un autre rédacteur du service la publie, ou un administrateur."))


def _who_decides(proposal: Proposal) -> str:
    names = [bible().context.service(key).name for key in reversed(proposal.services)]
    if len(names) > 1:
        return str(
            _(
                "Cet article change de service, et il faut l'accord des deux : décide qui est rédacteur de « %(old)s » et de « %(new)s » "
                "à la fois, ou administrateur.",
                old=names[0],
                new=names[1],
            )
        )
    if not names:
        return str(_("Seuls les administrateurs décident."))
    return str(_("Seuls les rédacteurs du service décident : %(names)s.", names=names[0]))


def told_in(field: str) -> str:
    """What somebody wrote in a field of a form, as it may be kept: see ``views.told``."""
    return views.told(request.form.get(field, "").replace("\r\n", "\n").strip()[:MAX_TEXT_CHARS])[:MAX_TEXT_CHARS]


def _back(number: int) -> ResponseReturnValue:
    return redirect(url_for("proposals.show", number=number), code=303)


def _page(proposal: Proposal, error: str = "", status: int = 200) -> ResponseReturnValue:
    state, account = bible(), current_account()
    changes: list[ChangeView] = []
    outlook = None
    try:
        if proposal.base and proposal.tip:
            changes = _change_views(state, state.proposals.file_changes(proposal.base, proposal.tip))
        outlook = service.outlook(proposal) if proposal.is_open and not proposal.is_request else None
    except StoreError as unreadable:  # it can still be talked of, and refused
        error = error or str(unreadable)
    article = state.library.find(proposal.slug)
    is_archived = proposal.kind == "archive" and proposal.state == "accepted" and (article is None or article.slug != proposal.slug)
    page = render_template(
        "proposals/show.html",
        proposal=proposal,
        changes=changes,
        outlook=outlook,
        shown=_shown(),
        may_decide=proposal.is_open and service.may_decide(proposal, account),
        may_publish=proposal.is_open and service.may_publish(proposal, account),
        may_amend=proposal.is_open and service.may_amend(proposal, account),
        is_amendable=is_amendable(proposal),
        is_author=proposal.author_id == account.id,
        why_not=_why_not(proposal, account),
        owners=[state.context.service(key) for key in reversed(proposal.services)],
        article=article,
        is_archived=is_archived,
        archived=_archived(state, proposal.slug) if is_archived else None,
        text=told_in("text") if error else "",
        error=error,
    )
    return page, status


def _archived(state: Bible, slug: str) -> Archived | None:
    """The archived text of an article; git alone may delete one without archiving it."""
    try:
        return read_archived(state.store.folder, slug)
    except UnknownSlug:
        return None


def _change_views(state: Bible, changes: list[FileChange]) -> list[ChangeView]:
    found = [_change_view(state, change, passage_of(change, changes)) for change in changes]
    # Of the article that takes or gives back an address, the passage says it all.
    holders = {view.passage.holder.path for view in found if view.passage and view.passage.holder}
    return [view for view in found if view.change.path not in holders or view.fields or view.source]


def _change_view(state: Bible, change: FileChange, passage: Passage | None) -> ChangeView:
    if _shown() == "source":
        return ChangeView(change, change.path, (), Markup(), _source(change))
    try:
        before, after = sides(change)
        for article in (before, after):
            if article is not None:
                check_placeholders(article)
    except ContentError as error:
        return ChangeView(change, change.path, (), Markup(), _source(change), error.problem.message)
    shown = after or before
    if shown is None:  # a file beside the articles
        return ChangeView(change, change.path, (), Markup(), _source(change))
    drafts = [Draft.from_article(article) if article else None for article in (before, after)]
    fields = () if passage and not passage.comes_back else tuple(diff.field_changes(*drafts))
    sides_html = [views.article_html(state, one) for one in ((shown,) if passage else (before, after))]
    page = sides_html[0] if passage else diff.html_diff(*sides_html)
    return ChangeView(change, shown.title, fields, Markup(page), (), passage=passage)  # noqa: S704  # of sanitised pages


def _source(change: FileChange) -> tuple[Hunk, ...]:
    return tuple(diff.source_diff(change.before or "", change.after or ""))


def _shown() -> str:
    return "source" if request.args.get("vue") == "source" else "lecture"
