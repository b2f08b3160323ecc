"""What requests hold: fields without NUL; JSON read with care, then checked by a model; what is wrong is located, never quoted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

import flask
from flask import request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import ImmutableMultiDict

from webapp.errors import error_response

Model = TypeVar("Model", bound=BaseModel)


class _Fields(ImmutableMultiDict[str, Any]):
    """Fields of a form or of an address without the NUL that nobody types and PostgreSQL cannot keep."""

    def __init__(self, pairs: Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__([(name, value.replace("\0", "") if isinstance(value, str) else value) for name, value in pairs])


class Request(flask.Request):
    """A request of this application."""

    parameter_storage_class = _Fields


def json_body() -> Any:
    """Read the JSON of the request; ``None`` where there is none that can be read."""
    try:
        # Half an emoji, as programs that cut a text send it, cannot be sent back: it becomes « ? ».
        return json.loads(json.dumps(request.get_json(silent=True), ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError:  # nested beyond what Python reads
        return None


def validated(kind: type[Model], data: Any) -> Model | ResponseReturnValue:
    """Check data against a model; the response of a 422 where it does not fit."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        found = [{"field": ".".join(map(str, item["loc"])), "message": item["msg"]} for item in error.errors(include_input=False)]
        return error_response(422, _("Le corps de la requête est à corriger : voyez « errors »."), found)
