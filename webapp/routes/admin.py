"""The administrators' pages: people, their roles, every API token, and how it goes with the forge."""

from __future__ import annotations

import datetime as dt

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from webapp import sync
from webapp.accounts import people, tokens
from webapp.accounts.errors import AccountError
from webapp.accounts.models import User
from webapp.state import bible

blueprint = Blueprint("admin", __name__, url_prefix="/administration")


@blueprint.get("/")
def people_list() -> ResponseReturnValue:
    """List people, narrowed by ``?q=``."""
    return _people()


@blueprint.post("/personnes")
def create_person() -> ResponseReturnValue:
    """Make an account, and show the link by which the person sets their password."""
    try:
        made = people.create(
            request.form.get("name", ""), request.form.get("email", ""), is_admin="is_admin" in request.form, services=_services()
        )
    except AccountError as error:
        return _people(error=str(error), form=request.form), 422
    return _person(made, link=_link(made), words=_("Le compte de %(name)s est créé.", name=made.name)), 201


@blueprint.get("/personnes/<int:user_id>")
def person(user_id: int) -> ResponseReturnValue:
    """Show a person's account."""
    return _person(_get(user_id))


@blueprint.post("/personnes/<int:user_id>")
def change_person(user_id: int) -> ResponseReturnValue:
    """Change a person's name, address, role and services."""
    found = _get(user_id)
    try:
        people.set_roles(
            found,
            name=request.form.get("name", ""),
            email=request.form.get("email"),
            is_admin="is_admin" in request.form,
            services=_services(found.services),
        )
    except AccountError as error:
        return _person(found, error=str(error)), 422
    flash(_("Le compte de %(name)s est enregistré.", name=found.name))
    return redirect(url_for("admin.person", user_id=found.id), code=303)


@blueprint.post("/personnes/<int:user_id>/etat")
def set_active(user_id: int) -> ResponseReturnValue:
    """Deactivate or activate an account."""
    found = _get(user_id)
    try:
        people.set_active(found, request.form.get("active") == "1")
    except AccountError as error:
        return _person(found, error=str(error)), 422
    if found.is_active:
        flash(_("Le compte de %(name)s est actif.", name=found.name))
    else:
        flash(_("Le compte de %(name)s est désactivé et ses sessions sont fermées.", name=found.name))
    return redirect(url_for("admin.person", user_id=found.id), code=303)


@blueprint.post("/personnes/<int:user_id>/lien")
def password_link(user_id: int) -> ResponseReturnValue:
    """Make a new one-time link, and show it."""
    found = _get(user_id)
    if not found.is_active:
        abort(422, _("Ce compte est désactivé : activez-le d'abord."))
    return _person(found, link=_link(found)), 201


@blueprint.get("/jetons")
def token_list() -> ResponseReturnValue:
    """List every API token."""
    return render_template("admin/tokens.html", tokens=tokens.of())


@blueprint.post("/jetons/<int:token_id>/revoquer")
def revoke_token(token_id: int) -> ResponseReturnValue:
    """Revoke anybody's token."""
    try:
        revoked = tokens.revoke(token_id)
    except AccountError:
        abort(404)
    flash(_("Le jeton « %(name)s » est révoqué.", name=revoked.name))
    return redirect(url_for("admin.token_list"), code=303)


@blueprint.get("/forge")
def forge() -> ResponseReturnValue:
    """Show how the last pass of the synchronisation went, and what still waits for one."""
    settings = bible().settings
    report = sync.last_report(settings)
    proposals = sync.open_proposals()
    return render_template(
        "admin/forge.html",
        settings=settings,
        address=sync.remote_of(settings).shown,
        report=report,
        made_at=dt.datetime.fromisoformat(report.at) if report else None,
        waiting=[one for one in proposals if one.pushed_tip != one.tip],
        requested=[one for one in proposals if one.pull_request is not None],
    )


@blueprint.post("/forge")
def synchronise() -> ResponseReturnValue:
    """Have the forge looked at now."""
    bible().stirred.set()
    flash(_("La forge est consultée : rechargez cette page dans quelques secondes."))
    return redirect(url_for("admin.forge"), code=303)


def _people(**context: object) -> str:
    query = request.args.get("q", "").strip()[:200]
    return render_template("admin/people.html", people=people.search(query), words=query, services=_known_services(), **context)


def _person(found: User, **context: object) -> str:
    known = _known_services()
    services = {**known, **{key: bible().context.service(key) for key in sorted(found.services - set(known))}}
    return render_template("admin/person.html", person=found, services=services, link_hours=people.LINK_HOURS, **context)


def _link(user: User) -> str:
    """Where the person sets their password; empty where nobody logs in with one."""
    if not bible().settings.local_login:
        return ""
    base = bible().settings.site_url or request.host_url.rstrip("/")
    return base + url_for("auth.password_page", secret=people.password_link(user))


def _services(kept: frozenset[str] = frozenset()) -> set[str]:
    """The services that the form asks for; one that left the content may stay where it was."""
    asked = set(request.form.getlist("services"))
    unknown = asked - set(bible().library.service_keys) - kept
    if unknown:
        raise AccountError(_("Ce service n'existe pas : %(key)s.", key=", ".join(sorted(unknown))[:80]))
    return asked


def _known_services() -> dict[str, object]:
    return {key: bible().context.service(key) for key in bible().library.service_keys}


def _get(user_id: int) -> User:
    try:
        return people.get(user_id)
    except AccountError:
        abort(404)
