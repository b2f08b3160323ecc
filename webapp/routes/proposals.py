"""Proposals and requests: the list, the review page, comments and decisions."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from markupsafe import Markup

from kb import diff, paths, replies
from kb.article import Article
from kb.diff import FieldChange, Hunk
from kb.draft import Draft
from kb.errors import ContentError, StoreError
from kb.library import check_placeholders
from kb.proposals import FileChange, ProposalError
from webapp import views
from webapp.accounts import Account, current_account
from webapp.database import session
from webapp.proposals import service
from webapp.proposals.models import MAX_TEXT_CHARS, Proposal, State
from webapp.proposals.service import NotPublishable
from webapp.state import Bible, bible

blueprint = Blueprint("proposals", __name__, url_prefix="/propositions")

PAGE_SIZE = 50
_MAX_NUMBER = 2**31 - 1  # what the database counts to


@dataclass(frozen=True)
class ChangeView:
    """One file of a proposal as its reviewer reads it: fields and rendered page, or the source: on demand, or where it is no article."""

    change: FileChange
    fields: tuple[FieldChange, ...]
    page: Markup
    source: tuple[Hunk, ...]
    problem: str = ""

    @property
    def is_moved(self) -> bool:
        return self.change.old_path is not None and self.change.new_path is not None and self.change.old_path != self.change.new_path


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
    text = _text()
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
    return _closed(proposal, "withdrawn", _text())


@blueprint.post("/<int:number>/traiter")
def settle(number: int) -> ResponseReturnValue:
    """Close a request that is dealt with."""
    proposal = find_proposal(number)
    if not proposal.is_request:
        abort(409, _("Une proposition se publie ou se refuse."))
    _must_decide(proposal)
    return _closed(proposal, "accepted", _text())


@blueprint.post("/<int:number>/publier")
def accept(number: int) -> ResponseReturnValue:
    """Publish a proposal."""
    proposal = find_proposal(number)
    if proposal.is_request:
        abort(409, _("Une demande n'a pas de texte à publier : écrivez d'abord la réponse."))
    _must_decide(proposal)
    try:
        service.accept(proposal, current_account(), request.form.get("tip", ""), _text())
    except NotPublishable as error:
        return _page(proposal, error=str(error), status=409)
    except ProposalError as error:
        return _page(proposal, error=str(error), status=409)
    except StoreError as error:
        return _page(proposal, error=str(error), status=503)
    flash(_("« %(title)s » est en ligne.", title=proposal.title), "ok")
    return _back(number)


def find_proposal(number: int) -> Proposal:
    """Find a proposal by its number; 404 when there is none."""
    proposal = session().get(Proposal, number) if 0 < number <= _MAX_NUMBER else None
    if proposal is None:
        abort(404, _("Il n'y a pas de proposition n° %(number)s.", number=number))
    return proposal


def _decided(number: int, state: State, missing: str) -> ResponseReturnValue:
    proposal = find_proposal(number)
    _must_decide(proposal)
    text = _text()
    return _closed(proposal, state, text) if text else _page(proposal, error=missing, status=422)


def _closed(proposal: Proposal, state: State, text: str) -> ResponseReturnValue:
    try:
        service.decide(proposal, current_account(), state, text)
    except ProposalError as error:
        return _page(proposal, error=str(error), status=409)
    return _back(proposal.id)


def _must_decide(proposal: Proposal) -> None:
    account = current_account()
    if not service.may_decide(proposal, account):
        own = _is_own_review(proposal, account)
        abort(
            403, _("Personne ne publie sa propre proposition : un autre rédacteur du service la relit.") if own else _only_editors(proposal)
        )


def _only_editors(proposal: Proposal) -> str:
    names = ", ".join(bible().context.service(key).name for key in proposal.services)
    return str(_("Seuls les rédacteurs du service décident : %(names)s.", names=names))


def _text() -> str:
    return request.form.get("text", "").replace("\r\n", "\n").strip()[:MAX_TEXT_CHARS]


def _back(number: int) -> ResponseReturnValue:
    return redirect(url_for("proposals.show", number=number), code=303)


def _page(proposal: Proposal, error: str = "", status: int = 200) -> ResponseReturnValue:
    state, account = bible(), current_account()
    changes: list[ChangeView] = []
    outlook = None
    try:
        if proposal.base and proposal.tip:
            changes = [_change_view(state, change) for change in state.proposals.file_changes(proposal.base, proposal.tip)]
        outlook = service.outlook(proposal) if proposal.is_open and not proposal.is_request else None
    except StoreError as unreadable:  # it can still be talked of, and refused
        error = error or str(unreadable)
    page = render_template(
        "proposals/show.html",
        proposal=proposal,
        changes=changes,
        outlook=outlook,
        shown=_shown(),
        may_decide=proposal.is_open and service.may_decide(proposal, account),
        may_amend=proposal.is_open and service.may_amend(proposal, account),
        is_author=proposal.author_id == account.id,
        is_own_review=_is_own_review(proposal, account),
        owners=[state.context.service(key) for key in proposal.services],
        article=state.library.articles.get(state.library.aliases.get(proposal.slug, proposal.slug)),
        text=_text() if error else "",
        error=error,
    )
    return page, status


def _is_own_review(proposal: Proposal, account: Account) -> bool:
    """Whether only the rule that nobody publishes their own proposal keeps somebody from deciding."""
    is_own = proposal.author_id == account.id and not proposal.is_request
    return is_own and service.reviews(proposal, account) and not bible().settings.self_publish


def _change_view(state: Bible, change: FileChange) -> ChangeView:
    if _shown() == "source":
        return ChangeView(change, (), Markup(), _source(change))
    try:
        before, after = (_article(text, path) for text, path in ((change.before, change.old_path), (change.after, change.new_path)))
        for article in (before, after):
            if article is not None:
                check_placeholders(article)
        if before is None and after is None:  # a file beside the articles
            return ChangeView(change, (), Markup(), _source(change))
    except ContentError as error:
        return ChangeView(change, (), Markup(), _source(change), error.problem.message)
    drafts = [Draft.from_article(article) if article else None for article in (before, after)]
    fields = tuple(diff.field_changes(*drafts))
    if change.new_path is None or change.new_path.startswith(f"{paths.ARCHIVE}/"):
        fields = ()
    return ChangeView(change, fields, Markup(diff.html_diff(_html(state, before), _html(state, after))), ())  # noqa: S704  # of sanitised pages


def _source(change: FileChange) -> tuple[Hunk, ...]:
    return tuple(diff.source_diff(change.before or "", change.after or ""))


def _shown() -> str:
    return "source" if request.args.get("vue") == "source" else "lecture"


def _article(text: str | None, path: str | None) -> Article | None:
    return Article.parse(text, path) if text is not None and path is not None and path.endswith(".md") else None


def _html(state: Bible, article: Article | None) -> str:
    if article is None:
        return ""
    values = replies.values_for(article, state.context, state.public_url(article))
    return str(views.page_html(article.body, values, views.agent_links(state.library)))
