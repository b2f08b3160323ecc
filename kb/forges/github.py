"""GitHub: github.com, GitHub Enterprise Cloud and Server.

Source: https://docs.github.com/rest/pulls/pulls and /rest/issues/comments, API version 2022-11-28;
webhooks: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from kb.forges.base import Forge, PullRequest, State, WebhookEvent, hex_signature_matches


class GitHub(Forge):
    """A repository on GitHub."""

    name = "GitHub"
    headers = MappingProxyType({"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"})
    duplicate_status = 422

    def read(self, number: int) -> PullRequest:
        return self._one("GET", f"{self._repository}/pulls/{number:d}")

    def comment(self, number: int, text: str) -> None:
        self._call("POST", f"{self._repository}/issues/{number:d}/comments", {"body": text})

    @property
    def _repository(self) -> str:
        return f"/repos/{self.project}"

    def _credentials(self, token: str) -> tuple[str, str]:
        return "Authorization", f"Bearer {token}"

    def _filters(self, branch: str, base: str) -> Mapping[str, str]:
        return {"head": f"{self.project.split('/')[0]}:{branch}", "base": base}

    def _open_ones(self, filters: Mapping[str, str]) -> Iterator[PullRequest]:
        return self._many(f"{self._repository}/pulls", {"state": "open", **filters})

    def _create(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        content = {"title": title, "head": branch, "base": base, "body": body}
        return self._one("POST", f"{self._repository}/pulls", content)

    def _close(self, number: int) -> PullRequest:
        return self._one("PATCH", f"{self._repository}/pulls/{number:d}", {"state": "closed"})

    def _is_signed(self, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        scheme, _, given = headers.get("x-hub-signature-256", "").partition("=")
        return scheme == "sha256" and hex_signature_matches(given, body, secret)

    def _event(self, headers: Mapping[str, str], data: Any) -> WebhookEvent:
        event = headers.get("x-github-event")
        if event == "ping":
            return WebhookEvent("ping")
        if event not in ("push", "pull_request") or not self._is_ours(data["repository"]["full_name"]):
            return WebhookEvent("other")
        if event == "push":
            return self._pushed(data["ref"], data["after"])
        return WebhookEvent("pull_request", pull_request=self._parse(data["pull_request"]))

    def _parse(self, data: Any) -> PullRequest:
        head, base = data["head"], data["base"]
        state: State = "merged" if data.get("merged_at") else "open" if data["state"] == "open" else "closed"
        # The repository of a fork may be gone (null); numbers outlive a change of name.
        own = head.get("repo") is not None and head["repo"]["id"] == base["repo"]["id"]
        return PullRequest(
            number=data["number"],
            branch=head["ref"] if own else "",
            base=base["ref"],
            title=data["title"],
            state=state,
            url=data["html_url"],
            head=head["sha"],
            # Before the merge, this field is the commit of a trial merge.
            merge_commit=data.get("merge_commit_sha") if state == "merged" else None,
        )
