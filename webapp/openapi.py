"""The OpenAPI 3.1 documents of the API and of the public one, their schemas taken from the models that the routes themselves use."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from webapp.errors import Problem

_LICENSE = {"name": "MIT", "identifier": "MIT"}
_REF = "#/components/schemas/{model}"
_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token made on the page « Mon compte », with the scope `match` (POST /match) or `read` (GET); "
    "the demonstration asks for none.",
}


def document(
    match_request: type[BaseModel],
    match_response: type[BaseModel],
    search: type[BaseModel],
    articles: type[BaseModel],
    article: type[BaseModel],
) -> dict[str, Any]:
    """Build the document.

    Args:
        match_request: body of ``POST /match``.
        match_response: its answer.
        search: answer of ``GET /search``.
        articles: answer of ``GET /articles``.
        article: answer of ``GET /articles/{slug}``.
    """
    responses = (match_response, search, articles, article, Problem)
    _, definitions = models_json_schema(
        [(match_request, "validation"), *((model, "serialization") for model in responses)], ref_template=_REF
    )
    paging = [_parameter("limit", "How many at most", "integer"), _parameter("offset", "How many to skip", "integer")]
    narrowing = [_parameter("service", "Key of a service", "string"), _parameter("audience", "public or internal", "string")]
    match_operation = _operation("matchMessage", "Find the approved replies for a message", match_response, (413, 415, 422))
    match_operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": _REF.format(model=match_request.__name__)}}},
    }
    query = {**_parameter("q", 'Words, "phrases", AND / OR / NOT, title:word, word*', "string"), "required": True}
    slug = {"name": "slug", "in": "path", "required": True, "schema": {"type": "string"}, "description": "Slug, or an old one"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "La Bible",
            "version": "1.0.0",
            "description": "One approved answer for every channel. A message is never stored nor logged.",
            "license": _LICENSE,
        },
        "externalDocs": {"description": "The public API, for websites", "url": "/api/public/v1/openapi.json"},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": {
            "/match": {"post": match_operation},
            "/search": {
                "get": _operation(
                    "searchArticles",
                    "Search articles by keywords",
                    search,
                    (422,),
                    [query, *narrowing, _parameter("tag", "A tag", "string"), *paging],
                )
            },
            "/articles": {"get": _operation("listArticles", "List articles", articles, (), [*narrowing, *paging])},
            "/articles/{slug}": {"get": _operation("getArticle", "Read one article", article, (404,), [slug])},
        },
        "components": {"schemas": definitions["$defs"], "securitySchemes": {"token": _TOKEN}},
    }


def public_document(
    match_request: type[BaseModel],
    search_request: type[BaseModel],
    answers: type[BaseModel],
    services: type[BaseModel],
    article: type[BaseModel],
) -> dict[str, Any]:
    """Build the document of the public API, which asks for no token.

    Args:
        match_request: body of ``POST /match``.
        search_request: body of ``POST /search``.
        answers: answer of both.
        services: answer of ``GET /services``.
        article: answer of ``GET /articles/{slug}``.
    """
    requests, responses = (match_request, search_request), (answers, services, article, Problem)
    _, definitions = models_json_schema(
        [*((model, "validation") for model in requests), *((model, "serialization") for model in responses)], ref_template=_REF
    )
    slug = {"name": "slug", "in": "path", "required": True, "schema": {"type": "string"}, "description": "Slug, or an old public one"}
    asked = (413, 415, 422, 429)
    operations = {
        "/match": {"post": _public(_operation("matchQuestion", "Find the public answers to a question", answers, asked), match_request)},
        "/search": {
            "post": _public(_operation("searchAnswers", "Find public answers by words, as one types", answers, asked), search_request)
        },
        "/services": {"get": _public(_operation("listServices", "List the services with their first questions", services, ()))},
        "/articles/{slug}": {"get": _public(_operation("getAnswer", "Read one public answer", article, (404,), [slug]))},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "La Bible, public answers",
            "version": "1.0.0",
            "description": "What the town's websites may show. Browsers may read it from the origins of BIBLE_WIDGET_ORIGINS. "
            "A question is never stored nor logged.",
            "license": _LICENSE,
        },
        "servers": [{"url": "/api/public/v1"}],
        "security": [],
        "paths": operations,
        "components": {"schemas": definitions["$defs"]},
    }


def _public(operation: dict[str, Any], body: type[BaseModel] | None = None) -> dict[str, Any]:
    """Make an operation one that anybody may call, with a body where it has one."""
    for status in ("401", "403"):
        del operation["responses"][status]
    if body:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _REF.format(model=body.__name__)}}},
        }
    return operation


def _parameter(name: str, description: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": {"type": kind}}


def _operation(
    identifier: str, summary: str, answer: type[BaseModel], errors: tuple[int, ...], parameters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    problem = {"content": {"application/problem+json": {"schema": {"$ref": _REF.format(model=Problem.__name__)}}}}
    answers: dict[str, Any] = {
        "200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": _REF.format(model=answer.__name__)}}}}
    }
    for status in (401, 403, *errors):
        answers[str(status)] = {"description": "See the problem's detail", **problem}
    operation: dict[str, Any] = {"operationId": identifier, "summary": summary, "responses": answers}
    if parameters:
        operation["parameters"] = parameters
    return operation
