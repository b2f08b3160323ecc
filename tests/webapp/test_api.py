"""The JSON API: the contract that programs outside the project rely on, and a document that tells the truth about it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from kb.library import Library
from tests.conftest import MakeApp
from tests.webapp.reading import ask_with

MATCH = "/api/v1/match"
# Section 5 of the design; ``advice`` came with docs/adr/0006 (a key may be added, none may change or go).
MATCH_KEYS = {"mode", "degraded", "answered", "took_ms", "matches", "requests"}
ADDED_KEYS = {"advice"}
ONE_MATCH = {"slug": str, "title": str, "service": str, "confidence": float, "matched_on": str, "url": str, "reply": dict}
ONE_REPLY = {"channel": str, "text": str, "html": str, "missing": list, "length": int, "limit_chars": (int, type(None))}
ONE_REQUEST = {"text": str, "answered": bool, "matches": list}
SUMMARY = {"slug": str, "title": str, "service": str, "audience": str, "short": str, "tags": list, "url": str}


def assert_shape(given: dict[str, Any], shape: dict[str, Any]) -> None:
    """Exactly these keys, of exactly these types."""
    assert set(given) == set(shape)
    for key, kind in shape.items():
        assert isinstance(given[key], kind), (key, given[key])


def assert_problem(response: TestResponse, status: int) -> dict[str, Any]:
    """A problem of RFC 9457, in one shape everywhere."""
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.data)
    assert set(problem) - {"errors"} == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    assert problem["detail"].strip()
    assert "Traceback" not in response.text
    return problem


# ---- POST /match ----
def test_the_answer_has_the_shape_of_the_contract(client: FlaskClient, question: str, other_question: str) -> None:
    message = f"Bonjour, {question} Par ailleurs, {other_question}"
    response = client.post(MATCH, json={"message": message, "channel": "email", "limit": 5, "service": None})
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    answer = response.json
    assert answer is not None
    assert set(answer) == MATCH_KEYS | ADDED_KEYS
    assert answer["mode"] == "hybrid"
    assert answer["degraded"] is None
    assert answer["answered"] is True
    assert isinstance(answer["took_ms"], float)
    for match in answer["matches"]:
        assert_shape(match, ONE_MATCH)
        assert_shape(match["reply"], ONE_REPLY)
        assert 0 <= match["confidence"] <= 1
        assert match["reply"]["length"] == len(match["reply"]["text"])
    for request in answer["requests"]:
        assert_shape(request, ONE_REQUEST)
    listed = [match["slug"] for match in answer["matches"]]
    assert listed[:2] == ["collecte-non-faite", "inscription-ecole"]
    assert len(set(listed)) == len(listed)
    assert [request["matches"][0] for request in answer["requests"]] == ["collecte-non-faite", "inscription-ecole"]


def test_the_message_alone_is_enough(client: FlaskClient, question: str, library: Library) -> None:
    answer = client.post(MATCH, json={"message": question}).json
    assert answer is not None
    assert answer["matches"][0]["reply"]["channel"] == next(iter(library.context.channels))


def test_every_channel_gives_what_the_desk_gives(client: FlaskClient, library: Library, question: str) -> None:
    for key, channel in library.context.channels.items():
        answer = client.post(MATCH, json={"message": question, "channel": key}).json
        assert answer is not None
        reply = answer["matches"][0]["reply"]
        assert reply["limit_chars"] == channel.limit_chars
        fragment = ask_with(client, question, {"X-Bible-Fragment": "1"}, channel=key).text
        # The desk's page escapes it; the words are the same.
        assert reply["html"].strip() in fragment


def test_when_nothing_fits_it_says_so(client: FlaskClient) -> None:
    answer = client.post(MATCH, json={"message": "xyzzy plugh frobozz"}).json
    assert answer is not None
    assert answer["answered"] is False
    assert answer["matches"] == []
    assert answer["requests"] == [{"text": "xyzzy plugh frobozz", "answered": False, "matches": []}]


def test_values_fill_placeholders(client: FlaskClient) -> None:
    body = {"message": "Où en est mon dossier Zéphyr ?", "channel": "email"}
    bare = client.post(MATCH, json=body).json
    filled = client.post(MATCH, json=body | {"values": {"request.reference": "ZX-1", "organisation.name": "Pirate"}}).json
    assert bare is not None
    assert filled is not None
    assert bare["matches"][0]["reply"]["missing"] == ["request.reference"]
    assert filled["matches"][0]["reply"]["missing"] == []
    assert "numéro ZX-1 est" in filled["matches"][0]["reply"]["text"]
    assert "Pirate" not in filled["matches"][0]["reply"]["text"]


def test_the_limit_is_kept(client: FlaskClient, question: str, other_question: str) -> None:
    answer = client.post(MATCH, json={"message": f"{question} Par ailleurs, {other_question}", "limit": 1}).json
    assert answer is not None
    assert len(answer["matches"]) == 1


def test_no_token_and_no_cookie(app: Flask, question: str) -> None:
    response = app.test_client(use_cookies=False).post(MATCH, json={"message": question})
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("character", ["a", "é", "😀"])
def test_twenty_thousand_characters_pass_and_one_more_does_not(client: FlaskClient, character: str) -> None:
    # As most programs send it: other alphabets escaped, up to twelve bytes for one character.
    for count, status in ((20_000, 200), (20_001, 413)):
        body = json.dumps({"message": character * count}, ensure_ascii=True)
        response = client.post(MATCH, data=body, content_type="application/json")
        assert response.status_code == status
    assert "20000" in assert_problem(response, 413)["detail"].replace("\u202f", "").replace(" ", "")


def test_three_megabytes_are_refused(client: FlaskClient) -> None:
    assert_problem(client.post(MATCH, json={"message": "a" * 3_000_000}), 413)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": None}, "message"),
        ({"message": 12}, "message"),
        ({"message": ["a"]}, "message"),
        ({"message": "a", "limit": 0}, "limit"),
        ({"message": "a", "limit": 21}, "limit"),
        ({"message": "a", "limit": "beaucoup"}, "limit"),
        ({"message": "a", "channel": 3}, "channel"),
        ({"message": "a", "values": {"citizen.name": 3}}, "values.citizen.name"),
        ({"message": "a", "values": {str(number): "a" for number in range(21)}}, "values"),
        ({"message": "a", "mesage": "b"}, "mesage"),
        ([], ""),
        ("a", ""),
    ],
)
def test_a_body_to_correct_says_where(client: FlaskClient, body: object, field: str) -> None:
    problem = assert_problem(client.post(MATCH, json=body), 422)
    assert field in [error["field"] for error in problem["errors"]]


def test_a_problem_never_quotes_the_message(client: FlaskClient) -> None:
    for body in ({"message": {"Zorglub": "7431"}}, {"message": "a", "limit": "Zorglub-7431"}, {"message": "a", "values": "Zorglub-7431"}):
        assert "7431" not in client.post(MATCH, json=body).text


@pytest.mark.parametrize("body", ["", "null", "{", "nul", "\ufeff{}", "[" * 80_000, "NaN"])
def test_a_body_that_is_not_json_is_refused(client: FlaskClient, body: str) -> None:
    assert_problem(client.post(MATCH, data=body.encode(), content_type="application/json"), 422)


def test_half_an_emoji_is_read_as_a_question_mark(client: FlaskClient) -> None:
    body = r'{"message": "cut \ud83d", "values": {"citizen.name": "\udc00"}}'
    answer = client.post(MATCH, data=body, content_type="application/json").json
    assert answer is not None
    assert answer["requests"][0]["text"] == "cut ?"
    for wrong in (r'{"message": "a", "channel": "\ud800"}', r'{"message": "a", "\ud800": 1}'):
        assert_problem(client.post(MATCH, data=wrong, content_type="application/json"), 422)


def test_bytes_that_are_not_utf8_are_refused(client: FlaskClient) -> None:
    assert_problem(client.post(MATCH, data=b'{"message": "\xff\xfe"}', content_type="application/json"), 422)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_another_kind_of_body_is_refused(client: FlaskClient, kind: str | None) -> None:
    assert_problem(client.post(MATCH, data='{"message": "a"}', content_type=kind), 415)


@pytest.mark.parametrize("message", ["a", "xyzzy plugh frobozz"])
def test_an_unknown_channel_is_an_error_even_when_nothing_is_found(client: FlaskClient, message: str) -> None:
    problem = assert_problem(client.post(MATCH, json={"message": message, "channel": "pigeon"}), 422)
    assert "pigeon" in problem["detail"]
    assert "email" in problem["detail"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused_with_those_allowed(client: FlaskClient, method: str) -> None:
    response = client.open(MATCH, method=method)
    assert_problem(response, 405)
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/api/v1/nulle-part", "/api/v2/match", "/api/v1/articles/n-existe-pas", "/api/v1/articles/..%2f..%2fetc"])
def test_an_unknown_address_is_a_problem(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(path), 404)


# ---- GET /search, /articles, /articles/<slug> ----
def test_search(client: FlaskClient) -> None:
    answer = client.get("/api/v1/search?q=Z%C3%A9phyr&limit=3").json
    assert answer is not None
    assert_shape(answer, {"query": str, "total": int, "suggestion": type(None), "services": dict, "tags": dict, "results": list})
    assert answer["query"] == "Zéphyr"
    assert [one["slug"] for one in answer["results"]] == ["dossier-zephyr"]
    assert_shape(answer["results"][0], SUMMARY)
    assert "{{" not in answer["results"][0]["short"]
    assert answer["services"] == {"relation-usagers": 1}


def test_search_suggests_and_pages(client: FlaskClient) -> None:
    suggested = client.get("/api/v1/search?q=z%C3%A9phir").json
    assert suggested is not None
    assert suggested["suggestion"] == "zéphyr"
    first = client.get("/api/v1/search?q=carte&limit=2").json
    second = client.get("/api/v1/search?q=carte&limit=2&offset=2").json
    assert first is not None
    assert second is not None
    assert len(first["results"]) == len(second["results"]) == 2
    assert not {one["slug"] for one in first["results"]} & {one["slug"] for one in second["results"]}


def test_a_search_too_long_is_refused(client: FlaskClient) -> None:
    assert_problem(client.get("/api/v1/search?q=" + "a" * 201), 422)


def test_odd_paging_is_brought_back_within_bounds(client: FlaskClient) -> None:
    for query in ("limit=0", "limit=-3", "limit=abc", "offset=-1", "offset=abc", "offset=" + "9" * 30, "limit=99999999"):
        for path in ("/api/v1/search?q=carte&", "/api/v1/articles?"):
            assert client.get(path + query).status_code == 200


def test_the_list_of_articles(client: FlaskClient, library: Library) -> None:
    answer = client.get("/api/v1/articles?limit=500").json
    assert answer is not None
    assert_shape(answer, {"total": int, "results": list})
    assert [one["slug"] for one in answer["results"]] == sorted(library.articles)
    for one in answer["results"]:
        assert_shape(one, SUMMARY)
    narrowed = client.get("/api/v1/articles?service=relation-usagers&audience=internal").json
    assert narrowed is not None
    assert "standard-mistral" in [one["slug"] for one in narrowed["results"]]
    assert {(one["service"], one["audience"]) for one in narrowed["results"]} == {("relation-usagers", "internal")}


def test_one_article(client: FlaskClient, library: Library) -> None:
    answer = client.get("/api/v1/articles/carte-identite-demande").json
    assert answer is not None
    rest = {
        "kind": str, "lead_html": str, "details_html": str, "questions": list, "sources": list, "see_also": list,
        "reviewed_on": str, "review_by": str, "replies": dict,
    }  # fmt: skip
    assert_shape(answer, SUMMARY | rest)
    assert set(answer["replies"]) == set(library.context.channels)
    for reply in answer["replies"].values():
        assert_shape(reply, ONE_REPLY)
    assert answer["reviewed_on"] == library.articles["carte-identite-demande"].meta.reviewed_on.isoformat()  # type: ignore[union-attr]
    assert "<script" not in answer["lead_html"]


def test_an_old_slug_gives_the_article_that_took_its_place(client: FlaskClient) -> None:
    answer = client.get("/api/v1/articles/suivi-zephyr").json
    assert answer is not None
    assert answer["slug"] == "dossier-zephyr"


def test_an_internal_article_has_no_public_address(client: FlaskClient) -> None:
    answer = client.get("/api/v1/articles/standard-mistral").json
    assert answer is not None
    assert answer["url"] == ""


# ---- the document ----
@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    """The OpenAPI document, as programs read it."""
    response = client.get("/api/v1/openapi.json")
    assert response.status_code == 200
    found: dict[str, Any] = json.loads(response.data)
    return found


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_the_document_lists_the_real_routes(document: dict[str, Any], app: Flask) -> None:
    real = {
        (rule.rule.removeprefix("/api/v1").replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.openapi_document"
        for method in rule.methods - {"HEAD", "OPTIONS"}  # type: ignore[operator]
    }
    assert {(path, method) for path, operations in document["paths"].items() for method in operations} == real


def assert_as_documented(document: dict[str, Any], path: str, method: str, response: TestResponse) -> None:
    """The status, the kind and the body are those of the document."""
    described = document["paths"][path][method]["responses"]
    assert str(response.status_code) in described, f"{response.status_code} is not documented"
    [(kind, content)] = described[str(response.status_code)]["content"].items()
    assert response.mimetype == kind
    closed = json.loads(json.dumps(document["components"]))
    for schema in closed["schemas"].values():
        # A key that the document does not know is a mistake of the document.
        schema.setdefault("additionalProperties", False)
    Draft202012Validator({**content["schema"], "components": closed}).validate(json.loads(response.data))


def test_every_answer_is_as_the_document_says(document: dict[str, Any], client: FlaskClient, library: Library, question: str) -> None:
    messages: list[dict[str, Any]] = [
        {"message": question},
        {"message": question, "channel": "sms", "service": "dechets", "limit": 20, "values": {"citizen.name": "Ana"}},
        {"message": "Où en est mon dossier Zéphyr ?"},
        {"message": "xyzzy plugh"},
        {"message": ""},
        {"message": "a" * 20_001},
        {"message": "a", "channel": "pigeon"},
        {"limit": 5},
    ]
    for body in messages:
        assert_as_documented(document, "/match", "post", client.post(MATCH, json=body))
    assert_as_documented(document, "/match", "post", client.post(MATCH, data="a"))
    for query in ("q=carte", "q=carte&service=etat-civil&tag=CNI&audience=public&limit=1&offset=1", "q=pasport", "q=", "q=" + "a" * 201):
        assert_as_documented(document, "/search", "get", client.get(f"/api/v1/search?{query}"))
    for query in ("", "service=dechets&audience=public&limit=2&offset=1"):
        assert_as_documented(document, "/articles", "get", client.get(f"/api/v1/articles?{query}"))
    for slug in (*list(library.articles)[::10], "dossier-zephyr", "standard-mistral", "suivi-zephyr", "n-existe-pas"):
        assert_as_documented(document, "/articles/{slug}", "get", client.get(f"/api/v1/articles/{slug}"))


def test_every_parameter_of_the_document_is_read(document: dict[str, Any], client: FlaskClient) -> None:
    """Each one changes the answer: none is there for show."""
    values = {"q": "passeport", "service": "etat-civil", "audience": "internal", "tag": "CNI", "limit": "1", "offset": "3"}
    for path in ("/search", "/articles"):
        base = {"q": "carte"} if path == "/search" else {}
        plain = client.get(f"/api/v1{path}", query_string=base).text
        for parameter in document["paths"][path]["get"]["parameters"]:
            name = parameter["name"]
            assert client.get(f"/api/v1{path}", query_string=base | {name: values[name]}).text != plain, name


def test_without_a_model_the_answer_says_so(make_app: MakeApp, one_article: Any) -> None:
    client = make_app(one_article(), model="none").test_client()
    answer = client.post(MATCH, json={"message": "Où trouver un bac jaune ?"}).json
    assert answer is not None
    assert answer["mode"] == "keywords"
    assert "mots-clés" in answer["degraded"]
    assert answer["matches"][0]["slug"] == "bac"
