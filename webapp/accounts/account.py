"""The person who acts, as the rest of the application sees them."""

from __future__ import annotations

from dataclasses import dataclass

from flask import abort, g
from flask_babel import gettext as _
from flask_login import current_user

from kb.git_store import Person
from webapp.accounts import demo
from webapp.accounts.models import User
from webapp.state import bible


@dataclass(frozen=True)
class Account:
    """A person and what they may do. ``services`` holds the keys of the services that they edit."""

    id: int
    name: str
    email: str
    is_admin: bool
    services: frozenset[str]

    @classmethod
    def of(cls, user: User) -> Account:
        """Read a person's account."""
        return cls(user.id, user.name, user.email, user.is_admin, user.services)

    @classmethod
    def agent_of(cls, user: User) -> Account:
        """Read a person's account as their tokens have it: an agent's, whoever they are."""
        return cls(user.id, user.name, user.email, False, frozenset())

    @property
    def is_editor(self) -> bool:
        """Whether they may review something."""
        return self.is_admin or bool(self.services)

    def may_review(self, service: str) -> bool:
        """Tell whether they may review and publish for a service."""
        return self.is_admin or service in self.services

    @property
    def person(self) -> Person:
        """Them, as the author of a commit."""
        return Person(self.name, self.email)


def current_account() -> Account:
    """The person who acts. Inside a guarded route there is always one."""
    account = current_account_or_none()
    if account is None:
        abort(401, _("Connectez-vous d'abord."))
    return account


def current_account_or_none() -> Account | None:
    """The person who acts, or nobody; looked up once in a request."""
    if "account" not in g:
        g.account = _look_up()
    account: Account | None = g.account
    return account


def _look_up() -> Account | None:
    if bible().settings.is_demo:
        return Account.of(demo.user())
    # Flask-Login's own user is a session of ours: see `sessions`.
    return Account.of(current_user.user) if current_user.is_authenticated else None
