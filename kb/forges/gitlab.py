"""GitLab: gitlab.com and self-managed, sub-groups included.

Source: https://docs.gitlab.com/api/merge_requests/ and /api/notes/;
webhooks: https://docs.gitlab.com/user/project/integrations/webhooks/, whose signing token follows https://www.standardwebhooks.com/.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from kb.forges.base import Forge, PullRequest, State, WebhookEvent

SIGNING_PREFIX = "whsec_"
SIGNATURE_AGE_SECONDS = 300


class GitLab(Forge):
    """A project on GitLab."""

    name = "GitLab"

    def read(self, number: int) -> PullRequest:
        return self._one("GET", f"{self._requests}/{number:d}")

    def comment(self, number: int, text: str) -> None:
        self._call("POST", f"{self._requests}/{number:d}/notes", {"body": text})

    @property
    def _requests(self) -> str:
        return f"/projects/{quote(self.project, safe='')}/merge_requests"

    def _credentials(self, token: str) -> tuple[str, str]:
        return "PRIVATE-TOKEN", token

    def _filters(self, branch: str, base: str) -> Mapping[str, str]:
        return {"source_branch": branch, "target_branch": base}

    def _open_ones(self, filters: Mapping[str, str]) -> Iterator[PullRequest]:
        return self._many(self._requests, {"state": "opened", **filters})

    def _create(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        content = {"source_branch": branch, "target_branch": base, "title": title, "description": body}
        return self._one("POST", self._requests, content)

    def _close(self, number: int) -> PullRequest:
        return self._one("PUT", f"{self._requests}/{number:d}", {"state_event": "close"})

    def _is_signed(self, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        # The kind of secret decides: whoever knows neither must not be able to choose the weaker proof.
        if secret.startswith(SIGNING_PREFIX):
            return _has_signature(headers, body, secret)
        return hmac.compare_digest(secret.encode(), headers.get("x-gitlab-token", "").encode(errors="replace"))

    def _event(self, headers: Mapping[str, str], data: Any) -> WebhookEvent:
        event = headers.get("x-gitlab-event")
        if event not in ("Push Hook", "Merge Request Hook") or not self._is_ours(data["project"]["path_with_namespace"]):
            return WebhookEvent("other")
        if event == "Push Hook":
            return self._pushed(data["ref"], data["after"])
        told = data["object_attributes"]
        return WebhookEvent("pull_request", pull_request=self._parse({**told, "web_url": told["url"], "sha": told["last_commit"]["id"]}))

    def _parse(self, data: Any) -> PullRequest:
        # « locked » is a merge in progress.
        state: State = {"merged": "merged", "closed": "closed"}.get(data["state"], "open")  # type: ignore[assignment]
        # Without a merge commit, the base was moved forward to the squashed commit or to the branch's own.
        merged_as = data.get("merge_commit_sha") or data.get("squash_commit_sha") or data.get("sha")
        return PullRequest(
            number=data["iid"],
            branch=data["source_branch"] if data["source_project_id"] == data["target_project_id"] else "",
            base=data["target_branch"],
            title=data["title"],
            state=state,
            url=data["web_url"],
            head=data.get("sha") or "",
            merge_commit=merged_as if state == "merged" else None,
        )


def _has_signature(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Verify a « standard webhook »: several signatures may be given, and an old message is refused, as it may be a replay."""
    identity, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
        if abs(time.time() - int(sent_at)) > SIGNATURE_AGE_SECONDS:
            return False
    except (ValueError, binascii.Error):
        return False
    message = f"{identity}.{sent_at}.".encode(errors="replace") + body
    expected = b"v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest())
    given = headers.get("webhook-signature", "").encode(errors="replace").split()
    return any(hmac.compare_digest(expected, one) for one in given)
