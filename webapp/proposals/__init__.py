"""Proposals and requests as people follow them: who asked what of whom, what was said, what was decided. Their texts are in git."""

from __future__ import annotations

import logging

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from kb.errors import KbError
from webapp.accounts import current_account_or_none

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Tell the pages how much waits for the person, and make the rows say what git says."""
    from webapp.proposals import service

    @app.context_processor
    def waiting() -> dict[str, object]:
        try:
            account = current_account_or_none()
            is_reviewer = account is not None and account.is_editor
            return {"waiting_for_me": service.count(service.Which(reviewer=account)) if is_reviewer else 0}
        except SQLAlchemyError:  # another error's page must still be shown
            return {"waiting_for_me": 0}

    with app.app_context():
        try:
            service.reconcile()
        except KbError:
            log.exception("the proposals could not be compared with git; they will be when the list is opened")


def count_open(service_key: str) -> int:
    """How many proposals and requests a service has to look at."""
    from webapp.proposals import service

    return service.count(service.Which(service=service_key))
