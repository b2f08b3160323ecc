"""Proposals and requests as people follow them: who asked what of whom, what was said, what was decided. Their texts are in git."""

from __future__ import annotations

import logging

from flask import Flask

from kb.errors import KbError
from webapp.accounts import current_account_or_none

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Tell the pages how much waits for the person, and make the rows say what git says."""
    from webapp.proposals import service

    @app.context_processor
    def waiting() -> dict[str, object]:
        account = current_account_or_none()
        if account is None or not account.is_editor:
            return {"waiting_for_me": 0}
        return {"waiting_for_me": service.count("open", services=None if account.is_admin else account.services)}

    with app.app_context():
        try:
            service.reconcile()
        except KbError:
            log.exception("the proposals could not be compared with git; they will be when the list is opened")


def count_open(service_key: str) -> int:
    """How many proposals and requests a service has to look at."""
    from webapp.proposals import service

    return service.count("open", service_key)
