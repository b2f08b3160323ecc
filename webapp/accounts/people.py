"""What is done to accounts, by pages and commands alike. Guarantees: there is always an active administrator once there was one;
a person who is deactivated, or whose password changes, is logged out everywhere.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from flask_babel import gettext as _
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from webapp import database
from webapp.accounts import passwords, secrets, sessions
from webapp.accounts.errors import AccountError
from webapp.accounts.models import MAX_EMAIL_CHARS, MAX_NAME_CHARS, LogIn, PasswordLink, User, normal_email
from webapp.database import session

LINK_HOURS = 72
_EMAIL = re.compile(r"[^@\s<>\"(),:;\\\[\]]+@[^@\s<>\"(),:;\\\[\]]+")


def create(name: str, email: str, *, is_admin: bool = False, services: set[str] | None = None, oidc_subject: str | None = None) -> User:
    """Make an account, without a password yet.

    Raises:
        AccountError: the name or the address cannot be, or somebody has this address.
    """
    made = User(name=_name(name), email=_email(email), is_admin=is_admin, oidc_subject=oidc_subject)
    made.set_services(services or set())
    session().add(made)
    try:
        session().commit()
    except IntegrityError as error:
        session().rollback()
        raise AccountError(_("Le courriel %(email)s a déjà un compte.", email=normal_email(email))) from error
    return made


def get(user_id: int) -> User:
    """Find a person.

    Raises:
        AccountError: there is none.
    """
    found = session().get(User, user_id) if user_id <= database.MAX_NUMBER else None
    if found is None:
        raise AccountError(_("Ce compte n'existe pas."))
    return found


def by_email(email: str) -> User | None:
    """Find a person by their address."""
    return session().scalar(select(User).where(User.email == normal_email(email)))


def search(words: str = "") -> Sequence[User]:
    """List the people whose name or address holds these words; active ones first, by name."""
    query = select(User).order_by(User.is_active.desc(), func.lower(User.name), User.id)
    for word in words.split():
        query = query.where(or_(User.name.icontains(word, autoescape=True), User.email.icontains(word, autoescape=True)))
    return session().scalars(query).all()


def has_accounts() -> bool:
    """Tell whether anybody could log in at all."""
    return session().scalar(select(User.id).where(User.is_active).limit(1)) is not None


def rename(user: User, name: str) -> None:
    """Change a person's name.

    Raises:
        AccountError: it is empty or too long.
    """
    user.name = _name(name)
    session().commit()


def change_email(user: User, email: str) -> None:
    """Change a person's address.

    Raises:
        AccountError: it cannot be read, or is another account's.
    """
    user.email = _free_email(user, email)
    session().commit()


def set_roles(user: User, *, is_admin: bool, services: set[str], name: str | None = None, email: str | None = None) -> None:
    """Change what a person may do, and their name and address when they are given: all, or nothing.

    Raises:
        AccountError: they are the last active administrator, and would be one no more; or the name or the address cannot be.
    """
    name = user.name if name is None else _name(name)
    email = user.email if email is None else _free_email(user, email)
    if user.is_admin and not is_admin:
        _keep_an_administrator(user)
    user.name, user.email = name, email
    user.is_admin = is_admin
    user.set_services(services)
    session().commit()


def set_active(user: User, is_active: bool) -> None:
    """Deactivate or activate an account; deactivated, it is logged out at once and its tokens open nothing.

    Raises:
        AccountError: they are the last active administrator.
    """
    if not is_active:
        if user.is_admin:
            _keep_an_administrator(user)
        sessions.end_all(user)
        session().execute(delete(PasswordLink).where(PasswordLink.user_id == user.id))
    user.is_active = is_active
    session().commit()


def set_password(user: User, password: str, but: LogIn | None = None) -> None:
    """Change a person's password and log them out everywhere.

    Args:
        user: the person.
        password: the new one.
        but: the log-in that asks for it, which stays.

    Raises:
        AccountError: it would be guessed.
    """
    passwords.check_new(password, user)
    user.password_hash = passwords.hashed(password)
    sessions.end_all(user, but)
    session().execute(delete(PasswordLink).where(PasswordLink.user_id == user.id))
    session().commit()


def password_link(user: User) -> str:
    """Make the secret of a link by which the person sets their password, once; an older link opens nothing any more."""
    secret = secrets.new()
    session().merge(
        PasswordLink(user_id=user.id, secret_hash=secrets.hashed(secret), expires_at=database.now() + dt.timedelta(hours=LINK_HOURS))
    )
    session().commit()
    return secret


def by_password_link(secret: str) -> User | None:
    """Find who a link that still holds belongs to."""
    found = session().scalar(select(PasswordLink).where(PasswordLink.secret_hash == secrets.hashed(secret)))
    if found is None or found.expires_at <= database.now() or not found.user.is_active:
        return None
    return found.user


def _keep_an_administrator(user: User) -> None:
    # A write that changes nothing holds every administrator's row, so that two who demote each other at once leave one.
    session().execute(update(User).where(User.is_admin).values(is_admin=True).execution_options(synchronize_session=False))
    others = select(User.id).where(User.is_admin, User.is_active, User.id != user.id)
    if user.is_active and session().scalar(others.limit(1)) is None:
        session().rollback()
        raise AccountError(
            _("%(name)s est le dernier compte administrateur actif : donnez d'abord ce rôle à une autre personne.", name=user.name)
        )


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise AccountError(_("Donnez le prénom et le nom de la personne (%(count)s caractères au plus).", count=MAX_NAME_CHARS))
    return name


def _free_email(user: User, email: str) -> str:
    """The address as it is kept, when nobody else has it."""
    address = _email(email)
    holder = by_email(address)
    if holder is not None and holder is not user:
        raise AccountError(_("Le courriel %(email)s a déjà un compte.", email=address))
    return address


def _email(email: str) -> str:
    email = normal_email(email)
    if not _EMAIL.fullmatch(email) or len(email) > MAX_EMAIL_CHARS or not email.isprintable():
        raise AccountError(_("Le courriel « %(email)s » ne se lit pas : prenom.nom@ville.example, par exemple.", email=email[:80]))
    return email
