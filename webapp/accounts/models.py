"""The tables of the accounts. Secrets (passwords, sessions, tokens, links) are kept as hashes only."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from webapp import database
from webapp.database import Base, now

MAX_NAME_CHARS = 120
MAX_EMAIL_CHARS = 254


class User(Base):
    """A person. Without service nor ``is_admin``, an agent."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(MAX_NAME_CHARS))
    email: Mapped[str] = mapped_column(String(MAX_EMAIL_CHARS), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    is_admin: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    oidc_subject: Mapped[str | None] = mapped_column(String(512), unique=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
    memberships: Mapped[list[Membership]] = relationship(cascade="all, delete-orphan", lazy="selectin", order_by="Membership.service")

    @validates("email")
    def _normalised(self, _key: str, value: str) -> str:
        return normal_email(value)

    @property
    def services(self) -> frozenset[str]:
        """Keys of the services that this person edits."""
        return frozenset(membership.service for membership in self.memberships)

    def set_services(self, keys: set[str]) -> None:
        """Make this person editor of these services, and of no other."""
        self.memberships = [one for one in self.memberships if one.service in keys] + [
            Membership(service=key) for key in sorted(keys - self.services)
        ]


class Membership(Base):
    """One service that a person edits."""

    __tablename__ = "memberships"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    service: Mapped[str] = mapped_column(String(80), primary_key=True)


class LogIn(Base):
    """A log-in of a person on one browser: deleting the row ends it, whatever the browser's cookie says."""

    __tablename__ = "log_ins"

    id: Mapped[int] = mapped_column(primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    browser: Mapped[str] = mapped_column(String(200), default="")
    id_token: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
    expires_at: Mapped[dt.datetime]
    user: Mapped[User] = relationship(lazy="joined")


class ApiToken(Base):
    """A token that a program sends; it acts as an agent, within its scopes."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(MAX_NAME_CHARS))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    prefix: Mapped[str] = mapped_column(String(16))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
    expires_at: Mapped[dt.datetime | None]
    last_used_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]
    user: Mapped[User] = relationship(lazy="joined")

    def is_live(self) -> bool:
        """Tell whether the token still opens anything."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > database.now()) and self.user.is_active


class PasswordLink(Base):
    """A one-time link by which a person sets their own password."""

    __tablename__ = "password_links"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[dt.datetime]
    user: Mapped[User] = relationship(lazy="joined")


class Attempts(Base):
    """Log-ins tried lately under one key: an account, an address, or both. The key is a hash: people type passwords in the wrong box."""

    __tablename__ = "attempts"

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[dt.datetime]
    open_at: Mapped[dt.datetime]


def normal_email(value: str) -> str:
    """An address as it is kept and compared: without case or surrounding space."""
    return value.strip().lower()
