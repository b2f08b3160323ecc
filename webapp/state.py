"""What every route works on: the settings, the live engine and the content repository, held by the application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event

from flask import current_app

from kb.article import Article
from kb.facts import Context
from kb.git_store import GitStore
from kb.library import Library
from kb.proposals import Proposals
from search.engine import SearchEngine
from search.live import LiveEngine
from webapp.settings import Settings


@dataclass(frozen=True)
class Bible:
    """The application's own objects. ``open_live`` loads the model and the index: what serves does so at start, a command never."""

    settings: Settings
    open_live: Callable[[], LiveEngine]
    store: GitStore
    # Set when something changed that the forge should hear of.
    stirred: Event = field(default_factory=Event)

    @cached_property
    def live(self) -> LiveEngine:
        return self.open_live()

    def refresh(self) -> None:
        """Index what changed now; a command, which opens no engine, leaves that to the service."""
        if "live" in vars(self):
            self.live.refresh()

    @property
    def proposals(self) -> Proposals:
        return Proposals(self.store)

    @property
    def engine(self) -> SearchEngine:
        return self.live.engine

    @property
    def library(self) -> Library:
        return self.live.engine.library if "live" in vars(self) else self._read_library

    @cached_property
    def _read_library(self) -> Library:
        """What a command, which opens no engine, reads for itself."""
        return Library.load(self.settings.content_dir)

    @property
    def context(self) -> Context:
        return self.library.context

    def public_url(self, article: Article) -> str:
        """Stable address of the article's public page; empty for an internal or an advice one, which has none."""
        if not article.is_public or article.is_advice:
            return ""
        base = self.settings.public_url or self.context.organisation.faq_url.rstrip("/")
        return f"{base}/{article.slug}" if base else ""

    def resolve_public(self, slug: str) -> tuple[str, str] | None:
        """Title and public address, empty where it has none, of the article that ``[[slug]]`` points to, for texts that leave the house."""
        article = self.library.find(slug)
        return (article.title, self.public_url(article)) if article is not None and article.is_public else None


def bible() -> Bible:
    """The objects of the current application."""
    state: Bible = current_app.extensions["bible"]
    return state
