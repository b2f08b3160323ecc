"""The demonstration: whoever comes is one of three ready people, and changes role in the top bar. On this machine only."""

from __future__ import annotations

from flask import session as cookie
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from webapp.accounts.models import User
from webapp.database import session
from webapp.state import bible

# Role → (e-mail, name). The addresses are reserved by RFC 2606: nobody has them.
PEOPLE = {
    "agent": ("agent@demonstration.invalid", "Camille Agent"),
    "editor": ("redaction@demonstration.invalid", "Dominique Rédaction"),
    "admin": ("administration@demonstration.invalid", "Alix Administration"),
}
# The editor's services: the first of these that the content has, three in all; the desk's first sample is about waste.
EDITED_SERVICES = 3
_FIRST_SERVICES = ("dechets", "etat-civil", "urbanisme")
_ROLE = "demo_role"


def role() -> str:
    """The role that was picked; an agent's at first."""
    chosen = cookie.get(_ROLE, "")
    return chosen if chosen in PEOPLE else "agent"


def pick(chosen: str) -> None:
    """Take another role; an unknown one changes nothing."""
    if chosen in PEOPLE:
        cookie[_ROLE] = chosen


def user() -> User:
    """The person of the role that was picked; all three are made at first use."""
    query = select(User).where(User.email == PEOPLE[role()][0])
    found = session().scalar(query)
    if found is None:
        _make()
        found = session().scalars(query).one()
    return found


def close_accounts() -> None:
    """Deactivate the people of a demonstration that ran on this very database: a real service must not count them."""
    addresses = [email for email, _ in PEOPLE.values()]
    session().execute(update(User).where(User.email.in_(addresses), User.is_active).values(is_active=False))
    session().commit()


def _make() -> None:
    for key, (email, name) in PEOPLE.items():
        made = User(name=name, email=email, is_admin=key == "admin")
        if key == "editor":
            made.set_services(set(sorted(bible().library.service_keys, key=lambda one: one not in _FIRST_SERVICES)[:EDITED_SERVICES]))
        session().add(made)
        try:
            session().commit()
        except IntegrityError:  # another worker made it meanwhile
            session().rollback()
