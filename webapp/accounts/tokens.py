"""API tokens: shown once, kept as a hash, limited to their scopes, revocable. A token acts as an agent, whoever owns it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from flask_babel import gettext as _
from sqlalchemy import select

from webapp import database
from webapp.accounts import secrets
from webapp.accounts.errors import AccountError
from webapp.accounts.models import MAX_NAME_CHARS, ApiToken, User
from webapp.database import session

PREFIX = "bible_"
SCOPES = ("match", "read")
MAX_DAYS = 3650
_SHOWN_CHARS = len(PREFIX) + 6
# `last_used_at` is a hint for whoever cleans up: it need not cost a write for every request.
_NOTED_EVERY = dt.timedelta(minutes=5)


def create(user: User, name: str, scopes: Sequence[str], days: int | None) -> tuple[ApiToken, str]:
    """Make a token.

    Args:
        user: its owner.
        name: what it is for.
        scopes: among ``SCOPES``.
        days: how long it lasts; ``None``: until it is revoked.

    Returns:
        The token's row, and the token itself, which nobody will see again.

    Raises:
        AccountError: no name, no scope, or a duration that makes no sense.
    """
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME_CHARS:
        raise AccountError(_("Donnez un nom au jeton : le programme qui s'en servira, par exemple « Chatbot du site »."))
    chosen = [scope for scope in SCOPES if scope in scopes]
    if not chosen or len(chosen) != len(set(scopes)):
        raise AccountError(_("Choisissez ce que le jeton permet : %(scopes)s.", scopes=", ".join(SCOPES)))
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise AccountError(_("La durée du jeton va de 1 à %(days)s jours.", days=MAX_DAYS))
    secret = PREFIX + secrets.new()
    made = ApiToken(
        name=name,
        user=user,
        prefix=secret[:_SHOWN_CHARS],
        secret_hash=secrets.hashed(secret),
        scopes=" ".join(chosen),
        expires_at=database.now() + dt.timedelta(days=days) if days else None,
    )
    session().add(made)
    session().commit()
    return made, secret


def find(secret: str) -> ApiToken | None:
    """Find the live token that a program sent, and note that it was used."""
    found = session().scalar(select(ApiToken).where(ApiToken.secret_hash == secrets.hashed(secret)))
    if found is None or not found.is_live():
        return None
    now = database.now()
    if found.last_used_at is None or now - found.last_used_at > _NOTED_EVERY:
        found.last_used_at = now
        session().commit()
    return found


def revoke(token_id: int, owner: User | None = None) -> ApiToken:
    """Revoke a token for ever.

    Args:
        token_id: its number.
        owner: whose it must be; anybody's when none is given.

    Raises:
        AccountError: there is no such token.
    """
    found = session().get(ApiToken, token_id) if token_id <= database.MAX_NUMBER else None
    if found is None or (owner is not None and found.user_id != owner.id):
        raise AccountError(_("Ce jeton n'existe pas."))
    if found.revoked_at is None:
        found.revoked_at = database.now()
        session().commit()
    return found


def of(user: User | None = None) -> Sequence[ApiToken]:
    """The tokens of a person, or of everybody; newest first."""
    query = select(ApiToken).order_by(ApiToken.created_at.desc(), ApiToken.id.desc())
    return session().scalars(query if user is None else query.where(ApiToken.user_id == user.id)).all()
