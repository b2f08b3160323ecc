"""Passwords: what is accepted, how they are kept (argon2id), how they are compared without telling which accounts exist."""

from __future__ import annotations

import functools
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask_babel import gettext as _

from webapp.accounts.errors import AccountError
from webapp.accounts.models import User

MIN_CHARS = 12
MAX_CHARS = 256
_MIN_DISTINCT = 5
# The long ones among the most used passwords, and what people here would think of first; compared without case.
_COMMON = frozenset(
    """\
    123456789012 1234567890123 12345678901234 0123456789012 motdepasse123 motdepasse1234 motdepasse12345 monmotdepasse azertyuiop123
    azertyuiop12 azertyuiopqsdf azertyuiopqsdfghjklm qwertyuiop123 qwertyuiop12 qwertyuiopasdf password1234 password12345 passwordpassword
    motdepassemotdepasse administrateur administrator administrateur1 bienvenue123 bienvenue1234 changezmoi123 changemechangeme
    labible12345 labiblelabible mairie123456 mairiemairie iloveyou1234 jetaimejetaime doudou123456 loulou123456 soleil123456
    """.split()  # noqa: SIM905  # reads better than a list
)
_hasher = PasswordHasher()


def check_new(password: str, user: User) -> None:
    """Refuse a password that would be guessed.

    Raises:
        AccountError: it is too short, too long, very common, or the person's own name or address.
    """
    if len(password) < MIN_CHARS:
        raise AccountError(
            _("Le mot de passe doit compter au moins %(count)s caractères : une phrase fait très bien l'affaire.", count=MIN_CHARS)
        )
    if len(password) > MAX_CHARS:
        raise AccountError(_("Le mot de passe doit compter au plus %(count)s caractères.", count=MAX_CHARS))
    plain = password.casefold()
    if plain in _COMMON or len(set(plain)) < _MIN_DISTINCT:
        raise AccountError(_("Ce mot de passe est trop courant : il serait vite deviné. Choisissez-en un autre."))
    own = {user.email, user.email.partition("@")[0], user.name.casefold(), *user.name.casefold().split()}
    if any(len(word) >= 4 and word in plain for word in own):
        raise AccountError(_("Le mot de passe ne doit contenir ni votre nom ni votre courriel."))


def hashed(password: str) -> str:
    """Hash a password, with its salt and its parameters."""
    return _hasher.hash(password)


def matches(user: User | None, password: str) -> bool:
    """Tell whether this is the person's password; as long for an account that does not exist. A hash of old parameters is renewed."""
    kept = user.password_hash if user is not None and user.password_hash else None
    try:
        _hasher.verify(kept or _nobody(), password[: MAX_CHARS + 1])
    except (VerificationError, InvalidHashError):
        return False
    if user is None or kept is None:
        return False
    if _hasher.check_needs_rehash(kept):
        user.password_hash = hashed(password)
    return True


@functools.cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe())
