"""The tables of proposals and requests. Git holds the texts and says what is live; a row that disagrees follows it (``reconcile``)."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.accounts.models import MAX_NAME_CHARS
from webapp.database import Base, now

MAX_TEXT_CHARS = 5_000

Kind = Literal["edit", "create", "rename", "archive", "restore", "request"]
State = Literal["open", "changes_requested", "accepted", "refused", "withdrawn"]
Action = Literal["opened", "amended", "commented", "changes_requested", "accepted", "refused", "withdrawn", "solved"]
OPEN: tuple[State, ...] = ("open", "changes_requested")
# What writes a proposal's text.
WRITING: tuple[Action, ...] = ("opened", "amended", "solved")


class Proposal(Base):
    """A proposal, or a request (``kind`` ``request``), which has no text of its own yet.

    ``base`` and ``tip`` are the commits between which its change lies, ``live`` the one that published it; ``service`` owns the article,
    and ``former_service`` did before when the proposal moves it.
    """

    __tablename__ = "proposals"
    __table_args__ = (Index("ix_proposals_state_updated", "state", "updated_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), default="open")
    slug: Mapped[str] = mapped_column(String(200), default="", index=True)
    title: Mapped[str] = mapped_column(String(300))
    service: Mapped[str] = mapped_column(String(200), index=True)
    former_service: Mapped[str | None] = mapped_column(String(200))
    message: Mapped[str] = mapped_column(Text, default="")
    branch: Mapped[str | None] = mapped_column(String(200), unique=True)
    base: Mapped[str | None] = mapped_column(String(40))
    tip: Mapped[str | None] = mapped_column(String(40))
    live: Mapped[str | None] = mapped_column(String(40))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    author_name: Mapped[str] = mapped_column(String(MAX_NAME_CHARS))
    answers_id: Mapped[int | None] = mapped_column(ForeignKey("proposals.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime] = mapped_column(default=now)
    updated_at: Mapped[dt.datetime] = mapped_column(default=now)
    # The forge: what it was last told, and the pull request that it made of it.
    pushed_tip: Mapped[str | None] = mapped_column(String(40))
    pull_request: Mapped[int | None]
    pull_request_url: Mapped[str | None] = mapped_column(String(500))
    is_settled_there: Mapped[bool] = mapped_column(default=False)
    events: Mapped[list[Event]] = relationship(cascade="all, delete-orphan", order_by="Event.id", back_populates="proposal")
    answers: Mapped[Proposal | None] = relationship(remote_side="Proposal.id")

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def is_request(self) -> bool:
        return self.kind == "request"

    @property
    def services(self) -> tuple[str, ...]:
        """Keys of the services whose editors must agree."""
        return tuple(dict.fromkeys(key for key in (self.service, self.former_service) if key))

    @property
    def writer_id(self) -> int | None:
        """Who wrote the text that it has now."""
        return next((event.author_id for event in reversed(self.events) if event.action in WRITING), None)

    def record(self, action: Action, author_id: int | None, author_name: str, text: str = "") -> None:
        """Add what somebody did to its story."""
        self.updated_at = now()
        # The name of a commit's author may have any length.
        self.events.append(Event(action=action, author_id=author_id, author_name=author_name[:MAX_NAME_CHARS], text=text[:MAX_TEXT_CHARS]))


class Event(Base):
    """Something that happened to a proposal: a comment, a decision."""

    __tablename__ = "proposal_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposals.id", ondelete="CASCADE"), index=True)
    action: Mapped[str] = mapped_column(String(20))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    author_name: Mapped[str] = mapped_column(String(MAX_NAME_CHARS))
    text: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[dt.datetime] = mapped_column(default=now)
    proposal: Mapped[Proposal] = relationship(back_populates="events")
