"""Is the process alive, and can it answer: for supervisors and load balancers."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from webapp.state import bible

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer as long as the process runs."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Answer 200 once an index is loaded, and say how it searches.

    Anybody may ask, so nothing is counted of the articles, and no path of this server is named: the log says why a model is missing.

    Problems in the content do not make the service unready: the page of the articles lists them.
    """
    engine = bible().engine
    return jsonify(
        status="ready",
        mode=engine.mode,
        degraded=engine.degraded is not None,
    )
