"""From the desk to the services: « ce n'est pas la bonne réponse », « aucune réponse ». Two clicks, a proposal or a request.

What is sent is masked here, whatever the page did; it is never in an address, a log or a cookie.
"""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from kb.article import Article
from kb.errors import ContentError, StoreError, UnknownSlug
from kb.proposals import ProposalError
from webapp import views
from webapp.accounts import current_account
from webapp.errors import expired, shows_again
from webapp.proposals import service
from webapp.proposals.editing import find_article
from webapp.proposals.models import Proposal
from webapp.proposals.service import Change
from webapp.routes.desk import FRAGMENT_HEADER
from webapp.routes.versions import live_text
from webapp.state import Bible, bible

blueprint = Blueprint("requests", __name__, url_prefix="/demandes")

TITLE_CHARS = 80


class _Refused(Exception):
    """The form must be corrected; the message says how."""


@blueprint.post("/mauvaise-reponse")
def wrong_answer() -> ResponseReturnValue:
    """Tell a service that its article does not answer a question; with the right article, propose the question there."""
    state = bible()
    wrong = state.library.get(request.form.get("article", ""))
    question, length = _question()
    try:
        _must_fit(question, length)
        right = _right_article(state)
        if right is not None and right.slug == wrong.slug:
            raise _Refused(_("C'est l'article que vous écartez : choisissez-en un autre, ou aucun."))
        if right is not None and state.store.is_repository:
            return _sent(_propose(state, right, wrong, question))
    except (_Refused, ProposalError, ContentError, StoreError) as error:
        return _again(str(error), article=wrong, question=question)
    instead = f" au lieu de « {right.title} »" if right else ""
    # What is kept is in French, whatever language the agent reads: others will read it.
    title = f"Mauvaise réponse : « {wrong.title} »{instead}"
    return _sent(service.ask(current_account(), wrong.service, title, question, slug=wrong.slug))


@blueprint.post("/sans-reponse")
def no_answer() -> ResponseReturnValue:
    """Ask a service for an answer that no article gives."""
    question, length = _question()
    key = request.form.get("service", "")
    try:
        _must_fit(question, length)
        if key not in bible().library.service_keys:
            raise _Refused(_("Choisissez le service à qui demander une réponse."))
    except _Refused as error:
        return _again(str(error), question=question)
    return _sent(service.ask(current_account(), key, f"Sujet sans réponse : « {views.shortened(question, TITLE_CHARS)} »", question))


@shows_again("requests.wrong_answer", "requests.no_answer")
def again() -> ResponseReturnValue:
    """Show the form whose session expired, with what was typed."""
    is_wrong_answer = request.endpoint == "requests.wrong_answer"
    article = bible().library.get(request.form.get("article", "")) if is_wrong_answer else None
    return _again(expired(), _question()[0], article)


def _question() -> tuple[str, int]:
    """The question, masked, and its length as it was typed."""
    typed = request.form.get("question", "").replace("\r\n", "\n").strip()
    # Beyond the limit nothing is sent: the start is enough to show the form again.
    return views.shareable(typed[: 4 * views.MAX_QUESTION_CHARS]), len(typed)


def _must_fit(question: str, length: int) -> None:
    if not question:
        raise _Refused(_("Écrivez la question de l'usager, en une ou deux phrases."))
    if length > views.MAX_QUESTION_CHARS:
        raise _Refused(
            _("Cette question compte %(n)s caractères, pour %(limit)s au plus : résumez-la.", n=length, limit=views.MAX_QUESTION_CHARS)
        )


def _right_article(state: Bible) -> Article | None:
    """The article that the agent says is right: the title that they typed, else the one that they picked."""
    typed = request.form.get("right_title", "").strip()
    slug = request.form.get("right", "")
    try:
        return find_article(typed) if typed else state.library.get(slug) if slug else None
    except UnknownSlug:
        raise _Refused(_("Aucun article ne porte ce titre : choisissez-le dans la liste, ou laissez ce champ vide.")) from None


def _propose(state: Bible, right: Article, wrong: Article, question: str) -> Proposal:
    live, base = live_text(state, right)
    if question.casefold() in (known.casefold() for known in live.meta.questions):
        raise _Refused(_("« %(title)s » répond déjà à cette question : il n'y a rien à envoyer.", title=live.title))
    new = live.edited({"questions": [*live.meta.questions, question]})
    change = Change("edit", live.slug, live.title, live.service, {live.path: new.source})
    return service.submit(change, current_account(), f"Depuis le guichet : « {wrong.title} » était proposé à la place.", base)


def _sent(proposal: Proposal) -> ResponseReturnValue:
    owner = bible().context.service(proposal.service).name
    if FRAGMENT_HEADER in request.headers:
        return render_template("requests/_sent.html", proposal=proposal, owner=owner)
    if proposal.is_request:
        flash(_("Envoyé à %(name)s : demande n° %(number)s.", name=owner, number=proposal.id), "ok")
    else:
        flash(_("Envoyé à %(name)s : proposition n° %(number)s.", name=owner, number=proposal.id), "ok")
    return redirect(url_for("proposals.show", number=proposal.id), code=303)


def _again(error: str, question: str, article: Article | None = None) -> ResponseReturnValue:
    """Show the form again, with what was typed and what to correct."""
    state = bible()
    page = render_template(
        "requests/_again.html" if FRAGMENT_HEADER in request.headers else "requests/again.html",
        article=article,
        question=question,
        right=request.form.get("right", ""),
        right_title=request.form.get("right_title", "")[:300],
        others=[state.library.articles[slug] for slug in request.form.getlist("other") if slug in state.library.articles][:20],
        services={key: state.context.service(key) for key in state.library.service_keys},
        service_key=request.form.get("service", ""),
        error=error,
    )
    return page, 422
