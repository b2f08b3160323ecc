"""A forge on the loopback, which holds whoever calls it to the published description of its API (``forge_api/*.json``).

A request that the description does not know, or that breaks it, is kept in ``broken`` and answered with an error; an answer of our
own that would break it is kept there too. The state is small and true: pull requests are opened, found, merged and closed.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator
from werkzeug.datastructures import MultiDict
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

FOLDER = Path(__file__).parent / "forge_api"
API_PATHS = {"github": "/api/v3", "gitlab": "/api/v4", "forgejo": "/api/v1"}
TOKEN = "jeton-secret"
HEADERS = {
    "github": ("Authorization", f"Bearer {TOKEN}"),
    "gitlab": ("PRIVATE-TOKEN", TOKEN),
    "forgejo": ("Authorization", f"token {TOKEN}"),
}
OWN, FORK = 11, 22  # ids of the repository and of a fork


@dataclass
class Pull:
    """A pull request as the forge keeps it."""

    number: int
    branch: str
    base: str
    title: str = "Titre"
    body: str = ""
    state: str = "open"  # open, closed, merged, locked
    merge_commit: str | None = None
    squash_commit: str | None = None
    head: str = "a" * 40
    fork: bool = False
    fork_gone: bool = False
    branch_gone: bool = False
    comments: list[str] = field(default_factory=list)


class FakeForge:
    """One repository of a forge of a kind."""

    def __init__(self, kind: str, project: str) -> None:
        self.kind, self.project = kind, project
        self.pulls: list[Pull] = []
        self.broken: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.address = ""
        self.page_size = 100  # what the forge allows at most
        self.filters = True
        self.unreadable = False  # Forgejo puts null in a list for one that it could not read
        # Runs before a request is answered; may answer in its place.
        self.before: Callable[[Request], Response | None] = lambda _: None
        self.description = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))

    # ---- the description ----
    def validate(self, schema: Mapping[str, Any], value: object) -> str | None:
        """Say what is wrong with a value, ``None`` when nothing is."""
        error = next(Draft202012Validator({**schema, "components": self.description["components"]}).iter_errors(value), None)
        return error and f"{error.json_path}: {error.message}"

    def operation(self, method: str, raw_path: str) -> tuple[dict[str, Any], dict[str, str]] | None:
        for template, methods in self.description["paths"].items():
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
            match = re.fullmatch(pattern, raw_path)
            if match and method.lower() in methods:
                return methods[method.lower()], {key: unquote(value) for key, value in match.groupdict().items()}
        return None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        # The path as it was sent: « ville%2Fbible » is one segment.
        raw_path = environ["REQUEST_URI"].split("?")[0].removeprefix(API_PATHS[self.kind])
        self.requests.append((request.method, raw_path))
        answer = self.before(request) or self.answer(request, raw_path)
        return answer(environ, start_response)

    def answer(self, request: Request, raw_path: str) -> Response:
        found = self.operation(request.method, raw_path)
        if found is None:
            return self.refuse(f"{request.method} {raw_path} is not described")
        operation, path = found
        parameters = {(item["in"], item["name"]): item["schema"] for item in operation["parameters"]}
        given = [("path", key, value) for key, value in path.items()] + [
            ("query", key, value) for key, value in request.args.items(multi=True)
        ]
        for place, key, value in given:
            schema = parameters.get((place, key))
            if schema is None:
                return self.refuse(f"{operation['operationId']}: {place} parameter {key} is not described")
            typed = int(value) if schema.get("type") == "integer" and value.isdigit() else value
            if problem := self.validate(schema, typed):
                return self.refuse(f"{operation['operationId']}: {key}: {problem}")
        body: Any = None
        if "requestBody" in operation:
            if request.mimetype != "application/json":
                return self.refuse(f"{operation['operationId']}: body is {request.mimetype}")
            body = request.get_json()
            if problem := self.validate(operation["requestBody"]["content"]["application/json"]["schema"], body):
                return self.refuse(f"{operation['operationId']}: body: {problem}")
        elif request.get_data():
            return self.refuse(f"{operation['operationId']}: a body is not described")
        header, value = HEADERS[self.kind]
        if request.headers.get(header) != value:
            return Response(json.dumps({"message": "401"}), 401, content_type="application/json")
        status, data, headers = self.act(operation["operationId"], path, request.args, body)
        schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
        if problem := self.validate(schema, data):
            return self.refuse(f"{operation['operationId']}: our answer: {problem}")
        return Response(json.dumps(data), status, headers, content_type="application/json")

    def refuse(self, problem: str) -> Response:
        self.broken.append(problem)
        return Response(json.dumps({"message": problem}), 400, content_type="application/json")

    # ---- what the forge does ----
    def act(self, operation: str, path: Mapping[str, str], query: MultiDict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
        if path.get("id", f"{path.get('owner')}/{path.get('repo')}") != self.project:
            return 404, {"message": "404 Not Found"}, {}
        number = next(
            (int(path[key]) for key in ("pull_number", "merge_request_iid", "noteable_id", "index", "issue_number") if key in path), 0
        )
        if number:
            pull = next((pull for pull in self.pulls if pull.number == number), None)
            if pull is None:
                return 404, {"message": "404 Not Found"}, {}
            if operation.lower().endswith(("comment", "notes")):
                pull.comments.append(body["body"])
                return 201, {"id": len(pull.comments), "html_url": "https://forge.example/c", "body": body["body"]}, {}
            if body is not None:
                assert body in ({"state": "closed"}, {"state_event": "close"})
                assert pull.state == "open", "closed twice"
                pull.state = "closed"
                return (201 if self.kind == "forgejo" else 200), self.shown(pull), {}
            return 200, self.shown(pull), {}
        return self.create(body) if body is not None else self.list_pulls(query)

    def create(self, body: Mapping[str, str]) -> tuple[int, Any, dict[str, str]]:
        branch = body["source_branch" if self.kind == "gitlab" else "head"]
        base = body["target_branch" if self.kind == "gitlab" else "base"]
        if any((pull.branch, pull.base, pull.state, pull.fork) == (branch, base, "open", False) for pull in self.pulls):
            return self.duplicate()
        made = Pull(len(self.pulls) + 1, branch, base, body["title"], body.get("description") or body.get("body") or "")
        self.pulls.append(made)
        return 201, self.shown(made), {}

    def duplicate(self) -> tuple[int, Any, dict[str, str]]:
        if self.kind == "github":
            error = {"resource": "PullRequest", "code": "custom", "message": "A pull request already exists."}
            return 422, {"message": "Validation Failed", "documentation_url": "https://docs.github.com", "errors": [error]}, {}
        return 409, {"message": ["Another open merge request already exists"] if self.kind == "gitlab" else "already exists"}, {}

    def list_pulls(self, query: MultiDict[str, str]) -> tuple[int, Any, dict[str, str]]:
        assert query["state"] in ("open", "opened")
        chosen = [pull for pull in self.pulls if pull.state in ("open", "locked") and self.is_wanted(pull, query)]
        size = min(int(query.get("per_page") or query["limit"]), self.page_size)
        page = int(query["page"])
        more = len(chosen) > page * size
        items: list[Any] = [self.shown(pull) for pull in chosen[(page - 1) * size : page * size]]
        if self.unreadable:
            items.insert(0, None)
        link = f'<{self.address}/elsewhere?page={page + 1}>; rel="next", <{self.address}/x>; rel="last"'
        return 200, items, {"Link": link} if more else {}

    def is_wanted(self, pull: Pull, query: MultiDict[str, str]) -> bool:
        if not self.filters:
            return True
        owner = self.project.split("/")[0]
        head = query.get("head", "").removeprefix(f"{owner}:") if self.kind == "github" else query.get("head")
        branch, base = query.get("source_branch") or head, query.get("target_branch") or query.get("base")
        return (not branch or pull.branch == branch) and (not base or pull.base == base)

    def shown(self, pull: Pull) -> dict[str, Any]:
        """A pull request as this kind of forge writes it."""
        url = f"https://forge.example/{self.project}/pulls/{pull.number}"
        if self.kind == "gitlab":
            return {
                **{"id": 900 + pull.number, "iid": pull.number, "title": pull.title, "description": pull.body, "web_url": url},
                **{"state": "opened" if pull.state == "open" else pull.state, "source_branch": pull.branch, "target_branch": pull.base},
                **{"source_project_id": (None if pull.fork_gone else FORK) if pull.fork else OWN, "target_project_id": OWN},
                **{"sha": pull.head, "merge_commit_sha": pull.merge_commit, "squash_commit_sha": pull.squash_commit},
            }
        merged = pull.state == "merged"
        shown = {
            **{"id": 900 + pull.number, "number": pull.number, "title": pull.title, "body": pull.body, "html_url": url},
            **{
                "state": "open" if pull.state == "open" else "closed",
                "merged": merged,
                "merged_at": "2026-11-01T10:00:00Z" if merged else None,
            },
        }
        if self.kind == "github":
            repository = {"id": FORK if pull.fork else OWN, "full_name": "ailleurs/bible" if pull.fork else self.project}
            head = {"label": f"x:{pull.branch}", "ref": pull.branch, "sha": pull.head, "repo": None if pull.fork_gone else repository}
            base = {"label": f"x:{pull.base}", "ref": pull.base, "sha": "b" * 40, "repo": {"id": OWN, "full_name": self.project}}
            # While it is open: the commit of a trial merge.
            return {**shown, "head": head, "base": base, "merge_commit_sha": pull.merge_commit if merged else "d" * 40}
        ref = f"refs/pull/{pull.number}/head" if pull.branch_gone else pull.branch
        head = {"label": pull.branch, "ref": ref, "sha": pull.head, "repo_id": FORK if pull.fork else OWN}
        base = {"label": pull.base, "ref": pull.base, "sha": "b" * 40, "repo_id": OWN}
        return {**shown, "head": head, "base": base, "merge_commit_sha": pull.merge_commit}


@contextmanager
def serve(kind: str, project: str) -> Iterator[FakeForge]:
    """Serve a forge of a kind on a free port of the loopback."""
    forge = FakeForge(kind, project)
    server = make_server("127.0.0.1", 0, forge, threaded=True)
    forge.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()
