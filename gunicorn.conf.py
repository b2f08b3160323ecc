"""gunicorn's settings, taken from ours, so that there is one place to configure."""

import gc

from webapp.settings import load_settings

_settings = load_settings()

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
workers = _settings.workers
threads = _settings.threads
worker_class = "gthread"
# Loading the model takes some seconds on a slow machine.
timeout = 120
graceful_timeout = 10
# No access log: it would hold nothing useful, and an address may hold an agent's keywords.
accesslog = None
loglevel = "warning"


def post_worker_init(_worker: object) -> None:
    """Leave what was loaded out of later garbage collections: each walks through all the articles, and a publication waits for it."""
    gc.collect()
    gc.freeze()
