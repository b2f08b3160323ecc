"""Log-ins: a random secret in the signed cookie, its hash in the database. Ending the row ends the log-in, whoever kept the cookie."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from flask import Flask, g, request
from flask import session as cookie
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from sqlalchemy import delete, select

from webapp import database
from webapp.accounts import secrets
from webapp.accounts.models import LogIn, User
from webapp.database import session
from webapp.state import bible


class _Visitor(UserMixin):  # type: ignore[misc]
    """Flask-Login's idea of a person: one log-in of ours."""

    def __init__(self, secret: str, log_in: LogIn) -> None:
        self._secret = secret
        self.log_in = log_in
        self.user: User = log_in.user

    def get_id(self) -> str:
        return self._secret


def init_app(app: Flask) -> None:
    """Let Flask-Login find who a cookie belongs to."""
    manager = LoginManager(app, add_context_processor=False)
    manager.session_protection = None  # an agent whose address changes stays logged in; the row is what counts

    @manager.user_loader  # type: ignore[untyped-decorator]
    def load(secret: str) -> _Visitor | None:
        found = session().scalar(select(LogIn).where(LogIn.secret_hash == secrets.hashed(secret)))
        if found is None or found.expires_at <= database.now() or not found.user.is_active:
            return None
        return _Visitor(secret, found)


def start(user: User, id_token: str | None = None) -> None:
    """Log a person in on this browser, with a session that shares nothing with the one before.

    Args:
        user: the person.
        id_token: the provider's token, which logs them out there as well.
    """
    now = database.now()
    secret = secrets.new()
    log_in = LogIn(
        secret_hash=secrets.hashed(secret),
        user=user,
        browser=request.user_agent.string[:200],
        id_token=id_token,
        created_at=now,
        expires_at=now + dt.timedelta(hours=bible().settings.session_hours),
    )
    end_current()
    session().execute(delete(LogIn).where(LogIn.expires_at <= now))
    session().add(log_in)
    session().commit()
    login_user(_Visitor(secret, log_in))


def end_current() -> LogIn | None:
    """Log out on this browser; returns the log-in that ended."""
    log_in = current()
    language = cookie.get("language")
    logout_user()
    cookie.clear()
    g.pop("account", None)
    if language:
        cookie["language"] = language
    if log_in is not None:
        session().execute(delete(LogIn).where(LogIn.id == log_in.id))
        session().commit()
    return log_in


def current() -> LogIn | None:
    """The log-in of this browser."""
    if not current_user.is_authenticated:
        return None
    found: LogIn = current_user.log_in
    return found


def end_all(user: User, but: LogIn | None = None) -> None:
    """End every log-in of a person; the caller commits.

    Args:
        user: the person.
        but: a log-in to leave.
    """
    query = delete(LogIn).where(LogIn.user_id == user.id)
    session().execute(query.where(LogIn.id != but.id) if but is not None else query)


def of(user: User) -> Sequence[LogIn]:
    """The live log-ins of a person, newest first."""
    query: Any = select(LogIn).where(LogIn.user_id == user.id, LogIn.expires_at > database.now()).order_by(LogIn.created_at.desc())
    found: Sequence[LogIn] = session().scalars(query).all()
    return found
