"""What the forge tells: something happened there, go and look. What it says is never believed, only that it said it."""

from __future__ import annotations

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue

from kb.forges import ForgedWebhook, ForgeError, forge_for
from webapp.errors import error_response
from webapp.state import bible

blueprint = Blueprint("hooks", __name__, url_prefix="/hooks")


@blueprint.post("/forge")
def forge() -> ResponseReturnValue:
    """Look at the forge now, if it is really the forge that asks."""
    settings = bible().settings
    if not settings.webhook_secret or not settings.remote:
        abort(404)
    try:
        event = forge_for(settings.remote, settings.forge, settings.forge_api).parse_webhook(
            dict(request.headers), request.get_data(cache=False), settings.webhook_secret
        )
    except ForgedWebhook as error:
        return error_response(403, str(error))
    except ForgeError as error:
        return error_response(400, str(error))
    if event.kind in ("push", "pull_request"):
        bible().stirred.set()
    return jsonify(status=event.kind), 202
