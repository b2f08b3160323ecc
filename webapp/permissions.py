"""Who may call what: every endpoint and the least role that it asks for, and the guard that holds it before every request.

An endpoint that is not in ``ACCESS`` is refused to everybody. What a role may do to *one* article (an editor, to those of their services)
stays with the route: see ``Account.may_review``.
"""

from __future__ import annotations

from enum import IntEnum

from flask import Flask, Response, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.exc import SQLAlchemyError

from webapp.accounts import Account, current_account_or_none, demo, tokens
from webapp.errors import error_response, kept_form
from webapp.state import bible


class Role(IntEnum):
    """What a person is; each may do what the one before may."""

    PUBLIC = 0
    AGENT = 1
    EDITOR = 2
    ADMIN = 3


# Endpoint → the least role that may call it.
ACCESS: dict[str, Role] = {
    "static": Role.PUBLIC,
    "set_language": Role.PUBLIC,
    "desk.favicon": Role.PUBLIC,
    "health.healthz": Role.PUBLIC,
    "health.readyz": Role.PUBLIC,
    "api.openapi_document": Role.PUBLIC,
    "auth.login_page": Role.PUBLIC,
    "auth.log_in": Role.PUBLIC,
    "auth.log_out": Role.PUBLIC,
    "auth.oidc_start": Role.PUBLIC,
    "auth.oidc_return": Role.PUBLIC,
    "auth.password_page": Role.PUBLIC,
    "auth.set_password": Role.PUBLIC,
    "auth.switch_role": Role.PUBLIC,
    "hooks.forge": Role.PUBLIC,
    "faq.home": Role.PUBLIC,
    "faq.service": Role.PUBLIC,
    "faq.article": Role.PUBLIC,
    "faq.search_form": Role.PUBLIC,
    "faq.search": Role.PUBLIC,
    "faq.feed": Role.PUBLIC,
    "faq.sitemap": Role.PUBLIC,
    "faq.robots": Role.PUBLIC,
    "public_api.match": Role.PUBLIC,
    "public_api.search": Role.PUBLIC,
    "public_api.services": Role.PUBLIC,
    "public_api.article": Role.PUBLIC,
    "public_api.openapi_document": Role.PUBLIC,
    "widget.script": Role.PUBLIC,
    "widget.versioned": Role.PUBLIC,
    "widget.manifest": Role.PUBLIC,
    "widget.demo": Role.PUBLIC,
    "desk.show": Role.AGENT,
    "desk.answer": Role.AGENT,
    "articles.index": Role.AGENT,
    "articles.show": Role.AGENT,
    "versions.history": Role.AGENT,
    "versions.show": Role.AGENT,
    "versions.compare": Role.AGENT,
    "versions.restore": Role.AGENT,
    "versions.archive": Role.AGENT,
    "versions.archived": Role.AGENT,
    "versions.unarchive": Role.AGENT,
    "requests.wrong_answer": Role.AGENT,
    "requests.no_answer": Role.AGENT,
    "api.match": Role.AGENT,
    "api.search": Role.AGENT,
    "api.list_articles": Role.AGENT,
    "api.show_article": Role.AGENT,
    "editor.create": Role.AGENT,
    "editor.edit": Role.AGENT,
    "editor.amend": Role.AGENT,
    "editor.solve": Role.AGENT,
    "editor.archive": Role.AGENT,
    "editor.preview": Role.AGENT,
    "proposals.index": Role.AGENT,
    "proposals.show": Role.AGENT,
    "proposals.comment": Role.AGENT,
    "proposals.withdraw": Role.AGENT,
    "proposals.accept": Role.EDITOR,
    "proposals.refuse": Role.EDITOR,
    "proposals.request_changes": Role.EDITOR,
    "proposals.settle": Role.EDITOR,
    "twins.index": Role.EDITOR,
    "reviews.index": Role.AGENT,
    "reviews.confirm": Role.EDITOR,
    "auth.account": Role.AGENT,
    "auth.change_name": Role.AGENT,
    "auth.change_password": Role.AGENT,
    "auth.end_log_in": Role.AGENT,
    "auth.create_token": Role.AGENT,
    "auth.revoke_token": Role.AGENT,
    "admin.people_list": Role.ADMIN,
    "admin.create_person": Role.ADMIN,
    "admin.person": Role.ADMIN,
    "admin.change_person": Role.ADMIN,
    "admin.set_active": Role.ADMIN,
    "admin.password_link": Role.ADMIN,
    "admin.token_list": Role.ADMIN,
    "admin.revoke_token": Role.ADMIN,
    "admin.forge": Role.ADMIN,
    "admin.synchronise": Role.ADMIN,
}

_READING = ("GET", "HEAD", "OPTIONS")
# What a token needs to send something to the API; to read, it needs « read ».
_SENDING_SCOPES = {"api.match": "match"}


def init_app(app: Flask) -> None:
    """Put the guard before every request, and who acts into every template."""
    app.before_request(_guard)

    @app.context_processor
    def who() -> dict[str, object]:
        try:
            account = current_account_or_none()
        except SQLAlchemyError:  # another error's page must still be shown
            account = g.account = None
        is_demo = bible().settings.is_demo
        names = {"agent": _("Agent"), "editor": _("Rédaction"), "admin": _("Administration")} if is_demo else {}
        return {"account": account, "is_demo": is_demo, "demo_roles": names, "demo_role": demo.role() if is_demo else ""}


def role_of(account: Account | None) -> Role:
    """The role of whoever acts."""
    if account is None:
        return Role.PUBLIC
    if account.is_admin:
        return Role.ADMIN
    return Role.EDITOR if account.is_editor else Role.AGENT


def scope_of(endpoint: str, method: str) -> str | None:
    """The scope that a token needs for a call of the API; ``None`` where no token may."""
    return "read" if method in _READING else _SENDING_SCOPES.get(endpoint)


def _guard() -> ResponseReturnValue | None:
    if request.endpoint is None:  # no such address, or not by this method: the error says so to anybody
        return None
    needed = ACCESS.get(request.endpoint)
    if needed is None:
        return error_response(403, _("Cette page n'est ouverte à personne : prévenez votre administrateur."))
    if needed is Role.PUBLIC:
        return None
    is_api = request.path.startswith("/api/")
    bearer = request.authorization.token if is_api and request.authorization and request.authorization.type == "bearer" else None
    if bearer is not None:
        refusal = _let_token_in(bearer, request.endpoint)
        if refusal is not None:
            return refusal
    account = current_account_or_none()
    if account is None:
        return _unknown(is_api)
    if role_of(account) < needed:
        return error_response(403, _refusal(needed))
    if is_api and not bible().settings.is_demo and bearer is None:
        # The cookie of a person: another site must not use it. Only in the demonstration is the API open to any program here.
        current_app.extensions["csrf"].protect()
    return None


def _let_token_in(secret: str, endpoint: str) -> Response | None:
    token = tokens.find(secret)
    if token is None:
        refusal = error_response(
            401, _("Ce jeton n'est pas reconnu : il a pu expirer ou être révoqué. Créez-en un sur la page « Mon compte ».")
        )
        refusal.headers["WWW-Authenticate"] = 'Bearer realm="La Bible", error="invalid_token"'
        return refusal
    scope = scope_of(endpoint, request.method)
    if scope is None:
        return error_response(403, _("Aucun jeton ne permet cet appel."))
    if scope not in token.scopes.split():
        refusal = error_response(403, _("Ce jeton ne permet pas cet appel : il y faut la permission « %(scope)s ».", scope=scope))
        refusal.headers["WWW-Authenticate"] = f'Bearer realm="La Bible", error="insufficient_scope", scope="{scope}"'
        return refusal
    g.account = Account.agent_of(token.user)
    return None


def _unknown(is_api: bool) -> ResponseReturnValue:
    if is_api:
        refusal = error_response(401, _("Envoyez un jeton d'accès (Authorization: Bearer bible_…), créé sur la page « Mon compte »."))
        refusal.headers["WWW-Authenticate"] = 'Bearer realm="La Bible"'
        return refusal
    if "X-Bible-Fragment" in request.headers:  # a script asks for a part of a page: the log-in page is none
        return error_response(401, _("Votre session a pris fin : rechargez la page pour vous reconnecter."))
    if request.method in ("GET", "HEAD"):
        # The query of a search may come back; a message never travels in one.
        target = request.full_path if request.query_string else request.path
        return redirect(url_for("auth.login_page", next=target), code=303)
    return kept_form() or redirect(url_for("auth.login_page", expired="1"), code=303)


def _refusal(needed: Role) -> str:
    if needed is Role.ADMIN:
        return str(_("Cette page est réservée aux administrateurs."))
    return str(_("Cette page est réservée à qui rédige pour un service : demandez ce rôle à votre administrateur."))
