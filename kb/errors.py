"""The errors of the knowledge base: each one says where it is and what to do next, in French, as agents read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something wrong in a content file: a path relative to the content folder, a 1-based line, and a sentence in French."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class KbError(Exception):
    """Base of every error that the knowledge base raises on purpose."""


class ContentError(KbError):
    """A content file that cannot be used; ``problem`` says which, where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class TemplateError(KbError):
    """A text whose placeholders cannot be rendered; ``line`` is 1-based within the text."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


class UnknownSlug(KbError):
    """No article and no alias has this slug."""


class UnknownChannel(KbError):
    """No channel of ``channels.yml`` has this key."""


class UnknownRevision(KbError):
    """The content repository has no commit of this id."""


class StoreError(KbError):
    """The git repository of the content cannot be used."""
