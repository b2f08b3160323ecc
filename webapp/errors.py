"""The one place that turns errors into HTTP: a page for people, ``application/problem+json`` (RFC 9457) for programs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from flask import Flask, Response, current_app, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from kb.errors import KbError, StoreError, UnknownChannel, UnknownRevision, UnknownSlug
from kb.proposals import ProposalError
from search.errors import QueryError, SearchError
from webapp import public, security
from webapp.accounts import current_account_or_none
from webapp.state import bible

log = logging.getLogger(__name__)

View = Callable[..., ResponseReturnValue]

# Endpoint → what shows its form again: see ``shows_again``.
_SHOWN_AGAIN: dict[str, View] = {}

# Our own errors → the status that they mean; the first class that matches wins.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (UnknownSlug, 404),
    (UnknownRevision, 404),
    (UnknownChannel, 422),
    (QueryError, 422),
    (ProposalError, 409),
    (StoreError, 503),
    (SearchError, 503),
    (KbError, 422),
)


class Problem(BaseModel):
    """An error as programs read it (RFC 9457). ``errors`` locates what was wrong in the request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None


def init_app(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(CSRFError, _csrf_error)
    for kind, status in _STATUS:
        app.register_error_handler(kind, lambda error, status=status: error_response(status, str(error)))
    app.register_error_handler(OperationalError, _no_database)
    app.register_error_handler(Exception, _unexpected)


def error_response(status: int, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    """Make the response of an error: JSON under ``/api/`` and for health checks, a page elsewhere."""
    title = HTTPStatus(status).phrase
    if request.path.startswith(("/api/", "/hooks/", "/healthz", "/readyz")):
        response = jsonify(Problem(title=title, status=status, detail=detail, errors=errors).model_dump(exclude_none=True))
        response.content_type = "application/problem+json"
    elif public.is_public_path(request.path):
        response = Response(public.render_page("faq/error.html", heading=_heading(status), detail=detail))
        if public.is_embedded():
            security.let_be_framed(response, bible().settings.widget_origins)
    else:
        response = Response(render_template("errors/error.html", status=status, heading=_heading(status), detail=detail))
    response.status_code = status
    return response


def _heading(status: int) -> str:
    headings: dict[int, str] = {
        400: _("Demande incomprise"),
        401: _("Connexion nécessaire"),
        403: _("Accès refusé"),
        404: _("Page introuvable"),
        405: _("Action impossible"),
        409: _("Action impossible"),
        413: _("Message trop long"),
        422: _("Demande à corriger"),
        429: _("Trop d'essais"),
        503: _("Service momentanément indisponible"),
    }
    return headings.get(status, str(_("Une erreur est survenue")))


def _detail(error: HTTPException) -> str:
    known: dict[int, str] = {
        404: _("Cette adresse ne mène à rien. Vérifiez-la, ou cherchez l'article par ses mots."),
        405: _("Cette adresse n'accepte pas cette méthode."),
        413: _("Ce que vous envoyez dépasse 2 Mo. Gardez le passage qui contient la demande."),
        415: _("Le corps de la requête doit être en JSON (Content-Type: application/json)."),
    }
    # What werkzeug says by default is in English, and for developers.
    own = error.description if error.description != type(error).description else None
    return own or known.get(error.code or 500) or _("Réessayez ; si l'erreur revient, prévenez votre administrateur.")


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    response = error_response(error.code or 500, _detail(error))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def shows_again(*endpoints: str) -> Callable[[View], View]:
    """Let a view show forms again, as they were posted, when their session expired. It gets what their addresses hold, and writes nothing.

    Args:
        endpoints: where the forms are posted.
    """

    def register(view: View) -> View:
        _SHOWN_AGAIN.update(dict.fromkeys(endpoints, view))
        return view

    return register


def kept_form() -> Response | None:
    """Keep what somebody posted in a page while they log in again; ``None`` for a form that is not shown again."""
    if request.endpoint not in _SHOWN_AGAIN or not _is_ours() or "X-Bible-Fragment" in request.headers:
        return None
    return Response(render_template("errors/kept_form.html", fields=list(request.form.items(multi=True))), 401)


def expired() -> str:
    """Say what to do with a form that is shown again."""
    return str(_("Votre session avait expiré : relisez, puis envoyez de nouveau."))


def _is_ours() -> bool:
    """Whether a page of ours posted the form: what another site made is not shown as if its reader had written it."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


def _csrf_error(_error: CSRFError) -> Response:
    is_known = current_account_or_none() is not None
    view = _SHOWN_AGAIN.get(request.endpoint or "") if _is_ours() else None
    if view is not None and is_known:
        try:
            return current_app.make_response(view(**(request.view_args or {})))
        except Exception as error:  # an error's handler has no other one behind it
            return current_app.make_response(current_app.handle_user_exception(error))
    kept = None if is_known else kept_form()
    return kept or error_response(
        400, _("Le formulaire a expiré. Revenez en arrière, copiez votre texte, rechargez la page et collez-le de nouveau.")
    )


def _no_database(error: OperationalError) -> Response:
    log.error("the database does not answer: %s", type(error.orig).__name__)
    g.account = None  # the page of this very error must not ask it who acts
    return error_response(
        503, _("La base de données ne répond pas. Réessayez dans un instant ; si cela dure, prévenez votre administrateur.")
    )


def _unexpected(error: Exception) -> Response:
    # The type and place only: an exception's message may quote what an agent pasted.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    log.error("unexpected %s at %s on %s %s", type(error).__name__, where, request.method, request.path)
    return error_response(500, _("Une erreur inattendue est survenue. Réessayez ; si elle revient, prévenez votre administrateur."))
