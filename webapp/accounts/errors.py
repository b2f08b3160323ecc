"""What an account refuses; the message says what to do, in the reader's language."""

from __future__ import annotations


class AccountError(Exception):
    """Something about an account cannot be done as asked."""


class ProviderError(Exception):
    """The OpenID Connect provider cannot log this person in; ``status`` is the HTTP status to answer with."""

    def __init__(self, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.status = status
