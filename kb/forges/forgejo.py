"""Forgejo (Codeberg and others) and Gitea, whose API it shares.

Source: the Swagger description that every instance serves at ``/swagger.v1.json``;
webhooks: https://forgejo.org/docs/latest/user/webhooks/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kb.forges.base import Forge, PullRequest, State, WebhookEvent, hex_signature_matches

# Forgejo's own first; an older Forgejo and Gitea send the others, with the same value.
_SIGNATURES = ("x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256")
_EVENTS = ("x-forgejo-event", "x-gitea-event")


class Forgejo(Forge):
    """A repository on Forgejo or Gitea."""

    name = "Forgejo"
    page_size_key = "limit"

    def read(self, number: int) -> PullRequest:
        return self._one("GET", f"{self._repository}/pulls/{number:d}")

    def comment(self, number: int, text: str) -> None:
        self._call("POST", f"{self._repository}/issues/{number:d}/comments", {"body": text})

    @property
    def _repository(self) -> str:
        return f"/repos/{self.project}"

    def _credentials(self, token: str) -> tuple[str, str]:
        return "Authorization", f"token {token}"

    def _filters(self, branch: str, base: str) -> Mapping[str, str]:
        return {"base": base, "head": branch}  # a version that knows neither ignores them, and the list is sifted

    def _open_ones(self, filters: Mapping[str, str]) -> Iterator[PullRequest]:
        return self._many(f"{self._repository}/pulls", {"state": "open", **filters})

    def _create(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        content = {"title": title, "head": branch, "base": base, "body": body}
        return self._one("POST", f"{self._repository}/pulls", content)

    def _close(self, number: int) -> PullRequest:
        return self._one("PATCH", f"{self._repository}/pulls/{number:d}", {"state": "closed"})

    def _is_signed(self, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        given = next((headers[name] for name in _SIGNATURES if name in headers), "")
        return hex_signature_matches(given.removeprefix("sha256="), body, secret)

    def _event(self, headers: Mapping[str, str], data: Any) -> WebhookEvent:
        event = next((headers[name] for name in _EVENTS if name in headers), "")
        # « pull_request_sync » and the like are told of the same object.
        is_request = event.startswith("pull_request") and "pull_request" in data
        if not (event == "push" or is_request) or not self._is_ours(data["repository"]["full_name"]):
            return WebhookEvent("other")
        if event == "push":
            return self._pushed(data["ref"], data["after"])
        return WebhookEvent("pull_request", pull_request=self._parse(data["pull_request"]))

    def _parse(self, data: Any) -> PullRequest:
        head, base = data["head"], data["base"]
        state: State = "merged" if data.get("merged") else "open" if data["state"] == "open" else "closed"
        return PullRequest(
            number=data["number"],
            # Once the branch is deleted, « ref » is refs/pull/N/head; the label keeps its name.
            branch=(head.get("label") or head["ref"]) if head["repo_id"] == base["repo_id"] else "",
            base=base["ref"],
            title=data["title"],
            state=state,
            url=data["html_url"],
            head=head["sha"],
            merge_commit=(data.get("merge_commit_sha") or None) if state == "merged" else None,
        )
