"""What every forge offers: open, read, list, comment and close pull requests, and understand its webhooks.

Guarantees: an operation that is repeated does nothing twice; the token goes to the forge's own address and nowhere else (no redirect
is followed); every failure is a ``ForgeError`` that says in French what to do and whether trying again later can help; a webhook is
believed only after its signature was verified, in constant time, over the very bytes received.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import requests

from kb.errors import KbError

State = Literal["open", "merged", "closed"]

TIMEOUT_SECONDS = (5, 20)  # to connect, then between two bytes
PAGE_SIZE = 50
MAX_PAGES = 40
_NO_COMMIT = "0" * 40


class ForgeError(KbError):
    """The forge refused or did not answer; ``temporary`` tells whether the same request may succeed later."""

    def __init__(self, message: str, *, temporary: bool, status: int | None = None) -> None:
        super().__init__(message)
        self.temporary = temporary
        self.status = status


class ForgedWebhook(KbError):
    """A webhook whose signature is missing or wrong: nothing in it may be used."""


@dataclass(frozen=True)
class PullRequest:
    """A pull request (GitLab: merge request) of the content.

    ``branch`` is empty when it comes from a fork; ``merge_commit`` is the commit that the merge put on the base branch.
    """

    number: int
    branch: str
    base: str
    title: str
    state: State
    url: str
    head: str
    merge_commit: str | None = None


@dataclass(frozen=True)
class WebhookEvent:
    """What a forge tells.

    ``push``: ``branch`` moved to ``commit`` (``None``: it was deleted). ``pull_request``: ``pull_request`` is now so. ``ping``: the hook
    was just set. ``other``: nothing that concerns this repository's text.
    """

    kind: Literal["push", "pull_request", "ping", "other"]
    branch: str = ""
    commit: str | None = None
    pull_request: PullRequest | None = None


class _Token(requests.auth.AuthBase):
    """The token's header. As an authentication, it keeps requests from looking into ``.netrc``."""

    def __init__(self, header: str, value: str) -> None:
        self._header, self._value = header, value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers[self._header] = self._value
        return request


class Forge(ABC):
    """One repository on one forge.

    Args:
        api: address of the forge's API, without a slash at the end.
        project: path of the repository (``ville/bible``, sub-groups included).
        token: access token; empty for none.
    """

    name: str
    page_size_key = "per_page"
    headers: Mapping[str, str] = MappingProxyType({"Accept": "application/json"})
    duplicate_status = 409

    def __init__(self, api: str, project: str, token: str = "") -> None:
        self.api, self.project = api, project
        self._auth = _Token(*self._credentials(token)) if token else _Token("Authorization", "")

    # ---- what the rest of the software calls ----
    def open(self, branch: str, base: str, title: str, body: str = "") -> PullRequest:
        """Open a pull request, or return the one that is already open from ``branch`` into ``base``.

        Raises:
            ForgeError: the forge refused (no such branch, nothing to merge, rights) or did not answer.
        """
        found = self._find(branch, base)
        if found is not None:
            return found
        try:
            return self._create(branch, base, title, body)
        except ForgeError as error:
            # Another worker, or a person, opened it between the two requests.
            found = self._find(branch, base) if error.status == self.duplicate_status else None
            if found is None:
                raise
            return found

    def close(self, number: int) -> PullRequest:
        """Close a pull request without merging it; one that is no longer open is left as it is.

        Raises:
            ForgeError: the forge refused or did not answer.
        """
        current = self.read(number)
        return self._close(number) if current.state == "open" else current

    def list_open(self) -> list[PullRequest]:
        """List the open pull requests whose branch is in this repository (those of forks have none of our proposals).

        Raises:
            ForgeError: the forge refused or did not answer.
        """
        return [item for item in self._open_ones({}) if item.branch]

    @abstractmethod
    def read(self, number: int) -> PullRequest:
        """Read a pull request's state.

        Raises:
            ForgeError: there is none with this number, or the forge did not answer.
        """

    @abstractmethod
    def comment(self, number: int, text: str) -> None:
        """Write a comment under a pull request.

        Raises:
            ForgeError: the forge refused or did not answer.
        """

    def parse_webhook(self, headers: Mapping[str, str], body: bytes, secret: str) -> WebhookEvent:
        """Verify what the forge sent and say what it means.

        Args:
            headers: the request's headers, in any case.
            body: the request's body, as received.
            secret: the secret shared with the forge (``BIBLE_WEBHOOK_SECRET``).

        Raises:
            ForgedWebhook: the signature is missing or wrong, or no secret is set.
            ForgeError: the signature is right and the body is not what the forge documents.
        """
        lower = {key.lower(): value for key, value in headers.items()}
        if not secret or not self._is_signed(lower, body, secret):
            raise ForgedWebhook("La signature de cette notification manque ou ne correspond pas à BIBLE_WEBHOOK_SECRET.")
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as error:
            message = "Cette notification n'est pas en JSON : choisissez le type de contenu « application/json » dans la forge."
            raise ForgeError(message, temporary=False) from error
        try:
            return self._event(lower, data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ForgeError("Cette notification n'a pas la forme que la forge documente.", temporary=False) from error

    # ---- what an adapter says of its forge ----
    @abstractmethod
    def _credentials(self, token: str) -> tuple[str, str]:
        """Name and value of the header that carries the token."""

    @abstractmethod
    def _open_ones(self, filters: Mapping[str, str]) -> Iterator[PullRequest]:
        """Yield the open pull requests; ``filters`` are what ``_filters`` made."""

    @abstractmethod
    def _filters(self, branch: str, base: str) -> Mapping[str, str]:
        """Query parameters that keep the pull requests of a branch."""

    @abstractmethod
    def _create(self, branch: str, base: str, title: str, body: str) -> PullRequest: ...

    @abstractmethod
    def _close(self, number: int) -> PullRequest: ...

    @abstractmethod
    def _is_signed(self, headers: Mapping[str, str], body: bytes, secret: str) -> bool: ...

    @abstractmethod
    def _parse(self, data: Any) -> PullRequest:
        """Read a pull request as the forge writes it, in its API and in its webhooks."""

    @abstractmethod
    def _event(self, headers: Mapping[str, str], data: Any) -> WebhookEvent: ...

    # ---- shared ----
    def _find(self, branch: str, base: str) -> PullRequest | None:
        # A filter may be looser than its name (another owner's fork, an older version that ignores it).
        items = self._open_ones(self._filters(branch, base))
        return next((item for item in items if (item.branch, item.base) == (branch, base)), None)

    def _pushed(self, ref: str, after: str) -> WebhookEvent:
        branch = ref.removeprefix("refs/heads/")
        if branch == ref:  # a tag
            return WebhookEvent("other")
        return WebhookEvent("push", branch, None if after in ("", _NO_COMMIT) else after)

    def _is_ours(self, path: str) -> bool:
        """Tell whether a webhook speaks of this repository: the hook of a whole group or organisation tells of others too."""
        return path.lower() == self.project.lower()

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        """Yield the items of a list, page after page."""
        for page in range(1, MAX_PAGES + 1):
            answer = self._send("GET", path, query={**query, "page": str(page), self.page_size_key: str(PAGE_SIZE)})
            yield from (item for item in self._json(answer, list) if item is not None)  # Forgejo: null is one it could not read
            if "next" not in answer.links:
                return

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        return self._json(self._send(method, path, body=body), dict)

    def _one(self, method: str, path: str, body: Mapping[str, str] | None = None) -> PullRequest:
        return self._parsed(self._call(method, path, body))

    def _many(self, path: str, query: Mapping[str, str]) -> Iterator[PullRequest]:
        yield from map(self._parsed, self._pages(path, query))

    def _parsed(self, data: Any) -> PullRequest:
        try:
            return self._parse(data)
        except (KeyError, TypeError, AttributeError) as error:
            raise self._undocumented() from error

    def _undocumented(self) -> ForgeError:
        message = f"{self.name} a répondu autre chose que ce que son API documente : vérifiez BIBLE_FORGE_API ({self.api})."
        return ForgeError(message, temporary=False)

    def _json(self, answer: requests.Response, kind: type) -> Any:
        try:
            data = answer.json()
        except ValueError:
            data = None
        if not isinstance(data, kind):
            raise self._undocumented()
        return data

    def _send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, str] | None = None
    ) -> requests.Response:
        try:
            answer = requests.request(
                method,
                self.api + path,
                params=query,
                json=body,
                headers=self.headers,
                auth=self._auth,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            message = f"Le certificat de {self.name} ({self.api}) n'est pas reconnu : vérifiez-le, ou l'autorité qui l'a émis."
            raise ForgeError(message, temporary=False) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema) as error:
            raise ForgeError(f"BIBLE_FORGE_API n'est pas une adresse utilisable ({self.api}).", temporary=False) from error
        except requests.RequestException as error:
            raise ForgeError(
                f"{self.name} ne répond pas ({self.api}). Rien n'est perdu : un nouvel essai suivra.", temporary=True
            ) from error
        if not 200 <= answer.status_code < 300:
            raise self._refusal(answer)
        return answer

    def _refusal(self, answer: requests.Response) -> ForgeError:
        status = answer.status_code
        # GitHub says 403 when one asks too often: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
        spent = "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0"
        if status in (408, 429) or status >= 500 or (status == 403 and spent):
            message = f"{self.name} est saturé ou en panne (code {status}). Rien n'est perdu : un nouvel essai suivra."
            return ForgeError(message, temporary=True, status=status)
        if 300 <= status < 400:
            advice = "son adresse a changé : corrigez BIBLE_REMOTE ou BIBLE_FORGE_API."
        elif status == 401:
            advice = "le jeton BIBLE_REMOTE_TOKEN est refusé : il est faux ou périmé."
        elif status == 403:
            advice = "le jeton BIBLE_REMOTE_TOKEN n'a pas les droits nécessaires (voir docs/guide-administration.md)."
        elif status == 404:
            advice = f"« {self.project} », ou cette demande, n'y existe pas, ou le jeton ne permet pas de les voir."
        else:
            advice = f"la demande est refusée : {_reason(answer)}"
        return ForgeError(f"{self.name} (code {status}) : {advice}", temporary=False, status=status)


def _reason(answer: requests.Response) -> str:
    """What the forge itself says of a refusal, in its own language, shortened."""
    try:
        data = answer.json()
    except ValueError:
        return "sans explication."
    if not isinstance(data, dict):
        return "sans explication."
    details = [item.get("message") for item in data.get("errors") or () if isinstance(item, dict)]
    said = data.get("message")
    parts = [*(said if isinstance(said, list) else [said]), data.get("error"), *details]  # GitLab: a list
    return " ; ".join(str(part) for part in parts if part)[:300] or "sans explication."


def hex_signature_matches(given: str, body: bytes, secret: str) -> bool:
    """Compare a hexadecimal HMAC-SHA256 with that of a body, in constant time."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), given.strip().lower().encode(errors="replace"))
