"""The editor: write, change, rename, archive an article, and solve a conflict; everything that it saves is a proposal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from flask import Blueprint, abort, current_app, flash, g, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from kb import diff
from kb import proposals as git_proposals
from kb.archive import free_path
from kb.article import Article
from kb.draft import CHANNEL_PREFIX, Draft
from kb.errors import ContentError, KbError, StoreError, UnknownRevision, UnknownSlug
from kb.git_store import check_path
from kb.merge import FieldConflict
from kb.proposals import FileChange, ProposalError
from webapp import views
from webapp.accounts import current_account
from webapp.errors import expired, shows_again
from webapp.proposals import editing, service
from webapp.proposals.editing import Form
from webapp.proposals.models import Proposal
from webapp.routes.proposals import find_proposal, is_amendable, told_in
from webapp.routes.versions import live_text
from webapp.state import bible

blueprint = Blueprint("editor", __name__)

# The commit that the form was filled from; in a conflict, the proposal's comes before it.
_SEEN = re.compile(r"(?:[0-9a-f]{40}-)?([0-9a-f]{40})")
# Before a field's name: which of its texts solves the conflict.
CHOICE_PREFIX = "choice."


# ---- new and changed articles ----
@blueprint.route("/articles/nouveau", methods=["GET", "POST"])
def create() -> ResponseReturnValue:
    """Write a new article; ``?demande=`` is the number of the request that it answers."""
    answers = _request_answered()
    if request.method == "GET":
        account = current_account()
        keys = list(bible().context.services)
        own = next((key for key in keys if key in account.services), "")
        questions = (answers.message,) if answers and answers.message else ()
        wanted = request.args.get("service", "")
        draft = Draft(service=answers.service if answers else wanted if wanted in keys else own, questions=questions).normalised()
        return _page(Form(draft), answers=answers)
    form = _posted(None)
    if form.errors or _is_only_shown():
        return _page(form, answers=answers, status=422 if form.errors else 200)
    return _submitted(form, form.draft.applied_to(None), answers)


@blueprint.route("/articles/<slug>/modifier", methods=["GET", "POST"])
def edit(slug: str) -> ResponseReturnValue:
    """Change an article."""
    state = bible()
    article = state.library.get(slug)
    answers = _request_answered()
    if request.method == "GET":
        if article.slug != slug:
            return redirect(url_for("editor.edit", slug=article.slug), code=301)
        seen = state.store.committed(article.path)
        original = Article.parse(state.store.read(article.path, seen), article.path)
        return _page(Form(_with_question(Draft.from_article(original), answers), original, seen), answers=answers)
    form = _posted(article)
    assert form.original is not None
    if form.errors or _is_only_shown():
        return _page(form, answers=answers, status=422 if form.errors else 200)
    return _submitted(form, form.draft.applied_to(form.original), answers)


@shows_again(*(f"editor.{name}" for name in ("create", "edit", "amend", "solve", "archive")))
def again(**where: object) -> ResponseReturnValue:
    """Show the form whose session expired, with what was typed."""
    g.is_expired = True
    flash(expired(), "error")
    view = current_app.ensure_sync(current_app.view_functions[request.endpoint or ""])
    response = current_app.make_response(view(**where))
    if not response.location:  # a conflict that went away leads back to its proposal
        response.status_code = 400
    return response


def _with_question(draft: Draft, answers: Proposal | None) -> Draft:
    if answers is None or not answers.message or answers.message in draft.questions:
        return draft
    return replace(draft, questions=(*draft.questions, answers.message)).normalised()


def _submitted(form: Form, new: Article, answers: Proposal | None) -> ResponseReturnValue:
    try:
        proposal = service.submit(editing.change_of(form.original, new), current_account(), form.message, form.seen or None, answers)
    except (ProposalError, StoreError) as error:
        return _page(_told(form, error), answers=answers, status=_status(error, 422))
    flash(_("Proposition envoyée au service %(name)s.", name=bible().context.service(proposal.service).name), "ok")
    return redirect(url_for("proposals.show", number=proposal.id), code=303)


# ---- a proposal that is open already ----
@blueprint.route("/propositions/<int:number>/modifier", methods=["GET", "POST"])
def amend(number: int) -> ResponseReturnValue:
    """Change what a proposal says."""
    proposal = _own_proposal(number)
    if proposal.kind == "archive":
        return _amend_archive(proposal)
    changes = _changes(proposal)
    own, before, after = _texts(changes)
    if request.method == "GET":
        return _page(Form(Draft.from_article(after), after, proposal.tip or ""), proposal=proposal)
    form = _form_from(Draft.from_form(request.form), after if before else None, after)
    if form.errors or _is_only_shown():
        return _page(form, proposal=proposal, status=422 if form.errors else 200)
    if request.form.get("seen") != proposal.tip:
        return _page(_told(form, _stale()), proposal=proposal, status=409)
    new = form.draft.applied_to(after) if before else form.draft.applied_to(None)
    try:
        change = _with_others(editing.change_of(before, new), _files(changes), own.old_path, own.new_path)
        service.amend(proposal, change, current_account(), form.message)
    except (ProposalError, StoreError) as error:
        return _page(_told(form, error), proposal=proposal, status=_status(error, 409))
    return redirect(url_for("proposals.show", number=number), code=303)


@blueprint.route("/propositions/<int:number>/conflit", methods=["GET", "POST"])
def solve(number: int) -> ResponseReturnValue:
    """Choose, field by field, between what is live and what is proposed."""
    proposal = _own_proposal(number)
    state = bible()
    assert proposal.tip is not None
    head = state.store.head()  # before what is compared with it
    conflicts = state.proposals.merge(proposal.tip).conflicts
    conflict = conflicts[0] if conflicts else None
    if len(conflicts) > 1:
        flash(_("Cette proposition est en conflit sur plusieurs articles : résolvez-les avec git."), "error")
        conflict = None
    if conflict is None or conflict.merged is None or conflict.live is None or conflict.live_path is None:
        if not conflicts:
            flash(_("Il n'y a plus de conflit : la proposition peut être publiée."), "ok")
        return redirect(url_for("proposals.show", number=number), code=303)
    live = Article.parse(conflict.live, conflict.live_path)
    chosen = {one.field: one for one in conflict.merged.conflicts}
    seen = f"{proposal.tip}-{head}"
    if request.method == "GET":
        return _page(Form(conflict.merged.draft, live, seen, conflicts=chosen), proposal=proposal)
    form = _chosen(chosen, live)
    if form.errors or _is_only_shown():
        return _page(form, proposal=proposal, status=422 if form.errors else 200)
    if request.form.get("seen") != seen:
        return _page(_told(form, _stale()), proposal=proposal, status=409)
    change = replace(editing.change_of(live, form.draft.applied_to(live)), kind=proposal.kind)
    others = state.proposals.merge(proposal.tip).changes
    own = conflict.change
    try:
        service.amend(
            proposal, _with_others(change, others, own.old_path, own.new_path, conflict.live_path), current_account(), form.message, head
        )
    except (ProposalError, StoreError) as error:
        return _page(_told(form, error), proposal=proposal, status=_status(error, 409))
    flash(_("Conflit résolu. La proposition attend une relecture."), "ok")
    return redirect(url_for("proposals.show", number=number), code=303)


def _chosen(conflicts: Mapping[str, FieldConflict], live: Article) -> Form:
    """Read the form that solves a conflict: the text chosen for each field, or the one that was typed."""
    posted = request.form.to_dict()
    choices = {name: choice for name in conflicts if (choice := posted.get(f"{CHOICE_PREFIX}{name}", "")) in ("live", "proposed", "own")}
    for name, choice in choices.items():
        if choice != "own":
            posted[name] = conflicts[name].live if choice == "live" else conflicts[name].proposed
    form = replace(_form_from(Draft.from_form(posted), live, live), conflicts=conflicts, choices=choices)
    if request.form.get("action") == "preview":
        return form
    missing = {name: (*form.errors.get(name, ()), _("Choisissez le texte à garder.")) for name in conflicts if name not in choices}
    return replace(form, errors={**form.errors, **missing})


def _with_others(change: service.Change, others: Mapping[str, str | None], *own: str | None) -> service.Change:
    """Keep what the proposal changes beside its own article."""
    return replace(change, changes={path: text for path, text in others.items() if path not in own} | dict(change.changes))


def _changes(proposal: Proposal) -> list[FileChange]:
    assert proposal.base is not None
    assert proposal.tip is not None
    return bible().proposals.file_changes(proposal.base, proposal.tip)


def _files(changes: list[FileChange]) -> dict[str, str | None]:
    """Path → text after a proposal, ``None`` for a file that goes."""
    return {path: text for one in changes for path, text in ((one.old_path, None), (one.new_path, one.after)) if path}


def _own_proposal(number: int) -> Proposal:
    proposal = find_proposal(number)
    if not proposal.is_open or not is_amendable(proposal):
        abort(409, _("Cette proposition ne se modifie pas : elle est close, ou elle rétablit l'article sans changer son texte."))
    if not service.may_amend(proposal, current_account()):
        abort(403, _("Seuls l'auteur de la proposition et les rédacteurs du service peuvent la modifier."))
    return proposal


def _texts(changes: list[FileChange]) -> tuple[FileChange, Article | None, Article]:
    """The first article that a proposal changes: before (``None``: there was none) and after it.

    Raises:
        ContentError: the proposed text, written in git, is not an article.
    """
    change = next((one for one in changes if one.new_path and one.new_path.endswith(".md") and one.after is not None), None)
    if change is None or change.new_path is None or change.after is None:
        abort(409, _("Cette proposition ne contient aucun article à modifier."))
    before = Article.parse(change.before, change.old_path) if change.before is not None and change.old_path is not None else None
    return change, before, Article.parse(change.after, change.new_path)


def _told(form: Form, error: KbError | str) -> Form:
    """The form as it was typed, with what stopped it."""
    return replace(form, errors={"": (str(error),)})


def _status(error: KbError, usual: int) -> int:
    """What an error means: git that cannot write, or be read, is no fault of the form's."""
    return 503 if isinstance(error, StoreError) else usual


def _stale() -> str:
    return str(_("Quelqu'un a modifié ce texte pendant que vous écriviez. Copiez vos changements, rechargez la page et reprenez-les."))


# ---- off line ----
@blueprint.route("/articles/<slug>/archiver", methods=["GET", "POST"])
def archive(slug: str) -> ResponseReturnValue:
    """Propose to take an article off line, its address leading to another one or to none."""
    state = bible()
    article = state.library.get(slug)
    if request.method == "GET" or _is_only_shown():
        return _archive_page(article)
    try:
        replacement = _replacement_of(article)
        live, base = live_text(state, article)
        if replacement is not None:
            replacement, base = live_text(state, replacement)
        change = service.Change(
            "archive",
            live.slug,
            live.title,
            live.service,
            git_proposals.archive(live, replacement, free_path(state.store.folder, live.path)),
        )
        proposal = service.submit(change, current_account(), _message(), base)
    except (UnknownSlug, ProposalError, ContentError, StoreError) as error:
        return _archive_page(article, error=str(error), status=_status(error, 422))
    flash(_("Proposition envoyée au service %(name)s.", name=state.context.service(proposal.service).name), "ok")
    return redirect(url_for("proposals.show", number=proposal.id), code=303)


def _amend_archive(proposal: Proposal) -> ResponseReturnValue:
    """Change which article replaces the one that a proposal takes off line."""
    changes = _changes(proposal)
    found = ((one, editing.passage_of(one, changes)) for one in changes)
    own, passage = next(((one, passage) for one, passage in found if passage is not None and not passage.comes_back), (None, None))
    if own is None or passage is None:
        abort(409, _("Cette proposition ne contient aucun article à modifier."))
    holder = passage.holder
    if request.method == "GET" or _is_only_shown():
        return _archive_page(passage.article, proposal, holder.title if holder else "")
    try:
        if request.form.get("seen") != proposal.tip:
            raise ProposalError(_stale())
        replacement = _replacement_of(passage.article)
        if replacement is not None:
            replacement = _as_it_was(replacement, proposal.base or "")
        files = git_proposals.archive(passage.article, replacement, own.new_path or "")
        change = service.Change("archive", proposal.slug, proposal.title, proposal.service, files)
        own_paths = own.old_path, own.new_path, holder.path if holder else None
        service.amend(proposal, _with_others(change, _files(changes), *own_paths), current_account(), _message())
    except (UnknownSlug, ProposalError, ContentError, StoreError) as error:
        return _archive_page(passage.article, proposal, error=str(error), status=_status(error, 422))
    return redirect(url_for("proposals.show", number=proposal.id), code=303)


def _replacement_of(article: Article) -> Article | None:
    """The article that is to take the place of another, as the form names it."""
    typed = request.form.get("replacement", "").strip()
    if not typed:
        return None
    try:
        found = editing.find_article(typed)
    except UnknownSlug:
        raise ProposalError(_("Aucun article n'a pour titre ou pour adresse « %(typed)s ».", typed=typed[:300])) from None
    if found.slug == article.slug:
        raise ProposalError(_("Un article ne se remplace pas lui-même : choisissez-en un autre, ou aucun."))
    return found


def _as_it_was(article: Article, base: str) -> Article:
    """Read an article at the commit that a proposal began from."""
    try:
        return Article.parse(bible().store.read(article.path, base), article.path)
    except UnknownSlug:
        raise ProposalError(
            _("« %(title)s » est plus récent que cette proposition : retirez-la, puis archivez de nouveau.", title=article.title)
        ) from None


def _archive_page(
    article: Article, proposal: Proposal | None = None, replacement: str = "", error: str = "", status: int = 200
) -> ResponseReturnValue:
    library = bible().library
    page = render_template(
        "editor/archive.html",
        article=article,
        proposal=proposal,
        links=[library.articles[source] for source in library.backlinks.get(article.slug, ())],
        replacement=request.form.get("replacement", replacement),
        message=_message(),
        error=error,
        titles=sorted((one.title for one in library.articles.values() if one.slug != article.slug), key=str.casefold),
    )
    return page, status


# ---- what the page's script asks for ----
@blueprint.post("/editeur/apercu")
def preview() -> ResponseReturnValue:
    """Show what the form's text would look like, what the checks say of each field, and near articles."""
    form = _form_from(Draft.from_form(request.form), _original_posted())
    shown = editing.preview(form.draft, form.original)
    beside = {name: [{"severity": "error", "message": message} for message in messages] for name, messages in form.errors.items()}
    for name, findings in shown.findings.items():
        new = [one for one in findings if one.message not in form.errors.get(name, ())]
        beside.setdefault(name, []).extend({"severity": one.severity, "message": one.message} for one in new)
    html = render_template("editor/_preview.html", preview=shown, channels=bible().context.channels)
    near = render_template("editor/_near.html", near=_near(shown))
    return jsonify(html=html, near=near, findings=beside)


# ---- forms ----
def _posted(article: Article | None) -> Form:
    """Read the form that changes an article, from the text that the person saw."""
    original = _original_posted()
    if article is not None:
        if original is None or "-" in request.form["seen"] or bible().library.get(original.slug).slug != article.slug:
            abort(400, _no_original())
    elif original is not None:
        abort(400, _no_original())
    form = _form_from(Draft.from_form(request.form), original)
    return form if original else replace(form, seen="")


def _form_from(draft: Draft, original: Article | None, checked_against: Article | None = None) -> Form:
    errors = editing.errors_of(draft, checked_against or original)
    return Form(draft, original, request.form.get("seen", ""), _message(), errors)


def _original_posted() -> Article | None:
    """The text that the form was filled from, at the version that it names."""
    path, seen = request.form.get("path", ""), _SEEN.fullmatch(request.form.get("seen", ""))
    if not path:
        return None
    if seen is None:
        abort(400, _no_original())
    try:
        return Article.parse(bible().store.read(check_path(path), seen[1]), path)
    except (UnknownRevision, UnknownSlug, ContentError):
        abort(400, _no_original())


def _no_original() -> str:
    return str(_("Le formulaire ne dit pas de quel texte il part. Copiez vos changements, rechargez la page et reprenez-les."))


def _request_answered() -> Proposal | None:
    number = request.values.get("demande", type=int)
    if number is None:
        return None
    proposal = find_proposal(number)
    return proposal if proposal.is_request and proposal.is_open else None


def _message() -> str:
    return told_in("message")


def _is_only_shown() -> bool:
    """Whether a form that was posted is shown again, and nothing written: for a preview, or because its session expired."""
    return request.form.get("action") == "preview" or "is_expired" in g


def _near(shown: editing.Preview) -> list[tuple[Article, int]]:
    articles = bible().library.articles
    return [(articles[one.slug], round(one.likeness * 100)) for one in shown.near if one.slug in articles]


def _page(form: Form, proposal: Proposal | None = None, answers: Proposal | None = None, status: int = 200) -> ResponseReturnValue:
    state = bible()
    shown = editing.preview(form.draft, form.original)
    slug = form.original.slug if form.original else form.draft.slug
    about = service.open_about(slug) if slug else []
    page = render_template(
        "editor/form.html",
        form=form,
        preview=shown,
        near=_near(shown),
        proposal=proposal,
        others=[one for one in about if not one.is_request and one is not proposal],
        answers=answers,
        services={key: state.context.service(key) for key in state.context.services},
        channels=state.context.channels,
        other_channels=[key for key in form.draft.channels if key not in state.context.channels],
        channel_prefix=CHANNEL_PREFIX,
        choice_prefix=CHOICE_PREFIX,
        word_diff=diff.word_diff,
        today=views.today(),
    )
    return page, status
