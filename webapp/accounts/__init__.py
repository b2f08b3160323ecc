"""Accounts: who acts, how they log in, what their programs may do.

``current_account()`` is all that the rest of the application needs.
"""

from __future__ import annotations

from flask import Flask

from webapp.accounts import demo, oidc, sessions
from webapp.accounts.account import Account, current_account, current_account_or_none
from webapp.settings import Settings

__all__ = ["Account", "current_account", "current_account_or_none", "init_app"]


def init_app(app: Flask, settings: Settings) -> None:
    """Set up the log-ins; after the database."""
    sessions.init_app(app)
    oidc.init_app(app, settings)
    if not settings.is_demo:
        with app.app_context():
            demo.close_accounts()
