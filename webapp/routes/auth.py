"""Log in and out, by password or at the OpenID Connect provider; one's own account, log-ins and API tokens; the demonstration's roles."""

from __future__ import annotations

import math

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from webapp.accounts import current_account, current_account_or_none, demo, oidc, passwords, people, sessions, throttle, tokens
from webapp.accounts.errors import AccountError, ProviderError
from webapp.accounts.models import User
from webapp.database import session
from webapp.i18n import is_local
from webapp.state import bible

blueprint = Blueprint("auth", __name__)

_NEXT = "after_log_in"
_NEW_TOKEN = "new_token"  # noqa: S105


@blueprint.app_template_filter()
def scope_label(scope: str) -> str:
    """Say what a token's scope permits."""
    labels: dict[str, str] = {
        "match": _("trouver la réponse à un message"),
        "read": _("chercher et lire les articles"),
    }
    return labels[scope]


@blueprint.app_template_filter()
def browser_label(user_agent: str) -> str:
    """Say which browser and which system a user agent is, in words."""
    # Each names those that it is like: the first of the list that is there is the one.
    browsers = {"Edg": "Edge", "Firefox": "Firefox", "FxiOS": "Firefox", "CriOS": "Chrome", "Chrome": "Chrome", "Safari": "Safari"}
    systems = {"Android": "Android", "iPhone": "iOS", "iPad": "iOS", "Windows": "Windows", "Mac OS": "macOS", "Linux": "Linux"}
    browser = next((name for sign, name in browsers.items() if sign in user_agent), None)
    system = next((name for sign, name in systems.items() if sign in user_agent), None)
    if browser is None:
        return str(_("navigateur inconnu"))
    return str(_("%(browser)s sur %(system)s", browser=browser, system=system)) if system else browser


# ---- log in, log out ----
@blueprint.get("/connexion")
def login_page() -> ResponseReturnValue:
    """Show the ways to log in."""
    if current_account_or_none() is not None:
        return redirect(_local(request.args.get("next", "")), code=303)
    return _login_page(target=request.args.get("next", ""), expired="expired" in request.args)


@blueprint.post("/connexion")
def log_in() -> ResponseReturnValue:
    """Log in with a password."""
    settings = bible().settings
    if settings.is_demo or not settings.local_login:
        abort(404)
    email, password, target = (request.form.get(name, "") for name in ("email", "password", "next"))
    address = request.remote_addr or ""
    wait = throttle.knock(email, address)
    if wait:
        response = Response(_login_page(target, email, error=_wait(math.ceil(wait.total_seconds()))), 429)
        response.headers["Retry-After"] = str(math.ceil(wait.total_seconds()))
        return response
    user = people.by_email(email)
    if not passwords.matches(user, password) or user is None or not user.is_active:
        # The same words whatever is wrong: they tell nobody which accounts exist.
        return _login_page(target, email, error=_("Le courriel ou le mot de passe n'est pas le bon.")), 422
    throttle.welcome(email, address)
    sessions.start(user)
    return redirect(_local(target), code=303)


@blueprint.post("/deconnexion")
def log_out() -> ResponseReturnValue:
    """End this log-in, and the provider's when it offers that."""
    ended = sessions.end_current()
    url = oidc.log_out_url(ended, _absolute(url_for("auth.login_page")))
    if url is None:
        return redirect(url_for("auth.login_page"), code=303)
    # Not a redirection: the content policy lets no form lead to another site.
    response = Response(render_template("auth/logged_out.html", url=url, label=bible().settings.oidc_label))
    response.headers["Refresh"] = f"0; url={url}"
    return response


@blueprint.get("/connexion/oidc")
def oidc_start() -> ResponseReturnValue:
    """Go and log in at the provider."""
    if not _has_oidc():
        abort(404)
    cookie[_NEXT] = request.args.get("next", "")[:1000]
    try:
        return oidc.start(_absolute(url_for("auth.oidc_return")))
    except ProviderError as error:
        return _refused(error)


@blueprint.get("/connexion/oidc/retour")
def oidc_return() -> ResponseReturnValue:
    """Come back from the provider."""
    if not _has_oidc():
        abort(404)
    target = cookie.pop(_NEXT, "")
    try:
        found = oidc.identity()
        user = oidc.user_of(found)
    except ProviderError as error:
        return _refused(error)
    sessions.start(user, found.id_token)
    return redirect(_local(target), code=303)


@blueprint.get("/connexion/mot-de-passe/<secret>")
def password_page(secret: str) -> ResponseReturnValue:
    """Ask for a password, by a one-time link."""
    return _password_page(secret)


@blueprint.post("/connexion/mot-de-passe/<secret>")
def set_password(secret: str) -> ResponseReturnValue:
    """Set a password by a one-time link."""
    user = people.by_password_link(secret) if bible().settings.local_login else None
    if user is None:
        return _password_page(secret)
    try:
        people.set_password(user, _new_password())
    except AccountError as error:
        return _password_page(secret, error=str(error))
    flash(_("Votre mot de passe est enregistré : connectez-vous."))
    return redirect(url_for("auth.login_page"), code=303)


@blueprint.post("/demonstration")
def switch_role() -> ResponseReturnValue:
    """Take another of the demonstration's roles."""
    if not bible().settings.is_demo:
        abort(404)
    demo.pick(request.form.get("role", ""))
    return redirect(_local(request.form.get("next", "")), code=303)


# ---- one's own account ----
@blueprint.get("/compte")
def account() -> ResponseReturnValue:
    """Show one's name, roles, password, log-ins and tokens."""
    return _account_page(new_token=cookie.pop(_NEW_TOKEN, ""))


@blueprint.post("/compte/nom")
def change_name() -> ResponseReturnValue:
    """Change one's name."""
    try:
        people.rename(_me(), request.form.get("name", ""))
    except AccountError as error:
        return _account_page(name_error=str(error)), 422
    return _done(_("Votre nom est enregistré."))


@blueprint.post("/compte/mot-de-passe")
def change_password() -> ResponseReturnValue:
    """Change one's password, which logs out everywhere else."""
    if not _may_set_password():
        abort(404)
    user = _me()
    address = request.remote_addr or ""
    try:
        if user.password_hash:
            wait = throttle.knock(user.email, address)
            if wait:
                raise AccountError(_wait(math.ceil(wait.total_seconds())))
            if not passwords.matches(user, request.form.get("current", "")):
                raise AccountError(_("Le mot de passe actuel n'est pas le bon."))
            throttle.welcome(user.email, address)
        people.set_password(user, _new_password(), but=sessions.current())
    except AccountError as error:
        return _account_page(password_error=str(error)), 422
    return _done(_("Votre mot de passe est changé ; vos autres sessions sont fermées."))


@blueprint.post("/compte/sessions/<int:log_in_id>/fermer")
def end_log_in(log_in_id: int) -> ResponseReturnValue:
    """End one of one's own log-ins."""
    found = next((one for one in sessions.of(_me()) if one.id == log_in_id), None)
    if found is None:
        abort(404)
    session().delete(found)
    session().commit()
    return _done(_("La session est fermée."))


@blueprint.post("/compte/jetons")
def create_token() -> ResponseReturnValue:
    """Make an API token, and show it: this once."""
    days = request.form.get("days", type=int)
    try:
        _row, secret = tokens.create(_me(), request.form.get("name", ""), request.form.getlist("scopes"), days)
    except AccountError as error:
        return _account_page(token_error=str(error)), 422
    # Shown by the next page and by no other: one that is reloaded makes no second token.
    cookie[_NEW_TOKEN] = secret
    return redirect(url_for("auth.account", _anchor="jetons"), code=303)


@blueprint.post("/compte/jetons/<int:token_id>/revoquer")
def revoke_token(token_id: int) -> ResponseReturnValue:
    """Revoke one of one's own tokens."""
    try:
        tokens.revoke(token_id, owner=_me())
    except AccountError:
        abort(404)
    return _done(_("Le jeton est révoqué : il n'ouvre plus rien."))


# ---- pages ----
def _login_page(target: str = "", email: str = "", error: str = "", expired: bool = False) -> str:
    settings = bible().settings
    return render_template(
        "auth/login.html",
        target=target if is_local(target) else "",
        email=email[:254],
        error=error,
        expired=expired,
        has_password=settings.local_login,
        oidc_label=settings.oidc_label if _has_oidc() else "",
        has_accounts=people.has_accounts() or _has_oidc(),
    )


def _password_page(secret: str, error: str = "") -> ResponseReturnValue:
    user = people.by_password_link(secret) if bible().settings.local_login else None
    page = render_template("auth/password.html", user=user, error=error, min_chars=passwords.MIN_CHARS)
    return page, (404 if user is None else 422 if error else 200)


def _account_page(**context: object) -> str:
    user = _me()
    return render_template(
        "auth/account.html",
        user=user,
        log_ins=sessions.of(user),
        current_log_in=sessions.current(),
        tokens=tokens.of(user),
        scopes=tokens.SCOPES,
        min_chars=passwords.MIN_CHARS,
        may_set_password=_may_set_password(),
        **context,
    )


def _refused(error: ProviderError) -> ResponseReturnValue:
    page = render_template("auth/refused.html", detail=str(error), label=bible().settings.oidc_label)
    return page, error.status


def _done(words: str) -> ResponseReturnValue:
    flash(words)
    return redirect(url_for("auth.account"), code=303)


def _me() -> User:
    return people.get(current_account().id)


def _new_password() -> str:
    password = request.form.get("password", "")
    if password != request.form.get("again", ""):
        raise AccountError(_("Les deux mots de passe ne sont pas les mêmes : tapez-les de nouveau."))
    return password


def _wait(seconds: int) -> str:
    if seconds < 90:
        wait = ngettext("%(num)s seconde", "%(num)s secondes", seconds)
    else:
        wait = ngettext("%(num)s minute", "%(num)s minutes", math.ceil(seconds / 60))
    return str(
        _(
            "Trop d'essais : attendez %(wait)s. Mot de passe oublié ? Votre administrateur vous enverra un lien.",
            wait=wait,
        )
    )


def _local(target: str) -> str:
    return target if is_local(target) else url_for("desk.show")


def _may_set_password() -> bool:
    return bible().settings.local_login and not bible().settings.is_demo


def _has_oidc() -> bool:
    settings = bible().settings
    return bool(settings.oidc_issuer) and not settings.is_demo


def _absolute(path: str) -> str:
    return (bible().settings.site_url or request.host_url.rstrip("/")) + path
