"""How often one caller may ask the public side a question, whether by the widget's API or by the page's form: one count for both.

The counts are in the process, or in the storage of the settings, which several processes share.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from flask_limiter import Limiter, RequestLimit
from limits.storage import MemoryStorage

from webapp.network import subscriber
from webapp.routes import faq, widget_api
from webapp.settings import Settings

# How often the counts whose time is over are forgotten.
_SWEEP_SECONDS = 60


class Counts(MemoryStorage):
    """The counts of one process. Its parent starts a thread for nearly each question, a tenth of what an answer takes."""

    STORAGE_SCHEME = ["counts"]  # noqa: RUF012  # read by the registry of `limits`

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: str) -> None:
        super().__init__(uri, wrap_exceptions, **options)
        self._lock = threading.Lock()
        self._swept_at = time.time()

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count; see ``MemoryStorage``."""
        now = time.time()
        with self._lock:
            is_late = now >= self._swept_at + _SWEEP_SECONDS
            for old in [*self.expirations] if is_late else [key]:
                self.get(old)  # forgets it when its time is over
            self._swept_at = now if is_late else self._swept_at
            self.storage[key] += amount
            self.expirations.setdefault(key, now + expiry)
            return self.storage[key]


def init_app(app: Flask, settings: Settings) -> None:
    """Register the public API, and limit how often one caller asks it or the page's form a question.

    Each application counts for itself, or with others in the storage of the settings.
    """
    limiter = Limiter(
        lambda: subscriber(request.remote_addr or ""),
        app=app,
        storage_uri="counts://" if settings.rate_limit_storage == "memory://" else settings.rate_limit_storage,
        # Where the shared storage is down, each process counts alone: citizens are answered all the same.
        in_memory_fallback_enabled=True,
        headers_enabled=False,
    )

    def limited(too_often: Callable[[int], Response]) -> Callable[[Any], Any]:
        return limiter.shared_limit(
            settings.rate_limit, scope="questions", exempt_when=_asks_nothing, on_breach=lambda limit: too_often(_seconds_left(limit))
        )

    limited(widget_api.too_often)(widget_api.blueprint)
    app.register_blueprint(widget_api.blueprint)
    app.view_functions["faq.search"] = limited(faq.too_often)(app.view_functions["faq.search"])


def _seconds_left(limit: RequestLimit) -> int:
    return max(1, int(limit.reset_at - time.time()))


def _asks_nothing() -> bool:
    return request.method != "POST"
