"""Pushes and fetches the content repository, where its text is also kept on a forge.

Guarantees: nothing but branches travels, under names that no git command could take for an option; a branch is moved there only
forward, unless the refspec says « + »; the token is shown to the address that it belongs to and to no other; every failure is a
``RemoteError`` that says in French what to do and whether trying again later can help; nothing waits longer than ``LIMIT_SECONDS``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pygit2
from pygit2.enums import CredentialType, FetchPrune, RepositoryOpenFlag

from kb.errors import KbError

# Where the branches of the forge are kept in the content repository.
TRACKING = "refs/remotes/forge/"
LIMIT_SECONDS = 120
SILENCE_MS = 20_000

_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_MAX_BRANCH_CHARS = 200

pygit2.settings.server_connect_timeout = SILENCE_MS
pygit2.settings.server_timeout = SILENCE_MS


class RemoteError(KbError):
    """The repository on the forge cannot be used; ``temporary`` tells whether the same call may succeed later."""

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary


class BranchMissing(RemoteError):
    """The forge's repository has no such branch (it may be empty)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, temporary=False)


class BranchMoved(RemoteError):
    """A push that would lose commits that are there and not here: fetch and merge first."""

    def __init__(self, message: str) -> None:
        super().__init__(message, temporary=False)


@dataclass(frozen=True)
class Remote:
    """The content repository as the forge keeps it.

    Args:
        url: its git address: https, ssh, or a path.
        user: name that goes with the token, or that ssh logs in with when the address has none.
        token: access token; over ssh, keys come from the agent instead.
        branch: the branch of the live text.
    """

    url: str
    user: str = "oauth2"
    token: str = field(default="", repr=False)
    branch: str = "main"

    def push(self, folder: Path, refspecs: Sequence[str]) -> None:
        """Move branches of the forge to where they are here.

        Args:
            folder: the content repository.
            refspecs: ``name``, ``here:there``, ``:there`` (deletes) or ``+here:there`` (may lose commits), of branches.

        Raises:
            BranchMoved: a branch there has commits that are not in the one here.
            RemoteError: a name is refused, the forge refused, or it did not answer.
        """
        specs = [_full_refspec(spec) for spec in refspecs]
        if not specs:
            return
        callbacks = _Callbacks(self)
        with self._speaking(folder) as remote:
            remote.push(specs, callbacks=callbacks, proxy=True)
        for reference, reason in callbacks.refused.items():
            name = reference.removeprefix("refs/heads/")
            if _is_moved(reason):
                raise BranchMoved(f"La branche « {name} » a changé sur la forge : récupérez-la avant d'envoyer la vôtre.")
            advice = f"La forge refuse la branche « {name} » ({reason[:200]}) : vérifiez la protection des branches et les droits du jeton."
            raise RemoteError(advice, temporary=False)

    def fetch(self, folder: Path) -> str:
        """Bring the forge's branches into ``TRACKING``, those that are gone there removed, and give the live branch's commit.

        Args:
            folder: the content repository; its own branches and files do not move.

        Returns:
            The commit id of ``branch`` there (40 hexadecimal digits).

        Raises:
            BranchMissing: there is no such branch there.
            RemoteError: the forge refused or did not answer.
        """
        _check_branch(self.branch)
        with self._speaking(folder) as remote:
            remote.fetch([f"+refs/heads/*:{TRACKING}*"], message="forge", callbacks=_Callbacks(self), prune=FetchPrune.PRUNE, proxy=True)
        repository = _open(folder)
        reference = repository.references.get(TRACKING + self.branch)
        if reference is None:
            raise BranchMissing(f"La branche « {self.branch} » n'existe pas dans {self.shown} : créez-la, ou corrigez BIBLE_REMOTE_BRANCH.")
        return str(reference.target)

    @property
    def shown(self) -> str:
        """The address without what may be secret in it."""
        return re.sub(r"//[^@/]*@", "//", self.url)

    @contextmanager
    def _speaking(self, folder: Path) -> Iterator[pygit2.Remote]:
        """Give a connection to be, and turn what goes wrong on it into ``RemoteError``."""
        try:
            yield _open(folder).remotes.create_anonymous(self.url)
        except RemoteError:
            raise
        except (pygit2.GitError, OSError, ValueError, KeyError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> RemoteError:
        said = str(error).lower()
        if _is_moved(said):
            return BranchMoved("Une branche a changé sur la forge : récupérez-la avant d'envoyer la vôtre.")
        if isinstance(error, pygit2.AuthError) or re.search(r"authentication|\b40[13]\b", said):
            message = f"{self.shown} refuse BIBLE_REMOTE_USER et BIBLE_REMOTE_TOKEN : le jeton est faux, périmé ou sans droit d'écriture."
            return RemoteError(message, temporary=False)
        if isinstance(error, pygit2.CertificateError) or re.search(r"certificate|hostkey|known_hosts", said):
            return RemoteError(f"L'identité de {self.shown} n'est pas reconnue (certificat, ou clé ssh de la machine).", temporary=False)
        if re.search(r"\b404\b|not found|no such file|failed to resolve path|unsupported url|invalid argument", said):
            message = f"Il n'y a pas de dépôt à l'adresse {self.shown} : vérifiez BIBLE_REMOTE et les droits du jeton."
            return RemoteError(message, temporary=False)
        if "does not match any existing object" in said or isinstance(error, ValueError | KeyError):
            return RemoteError(f"L'échange avec {self.shown} est impossible ({error}).", temporary=False)
        message = f"{self.shown} ne répond pas ({str(error)[:200]}). Rien n'est perdu : un nouvel essai suivra."
        return RemoteError(message, temporary=True)


class _Callbacks(pygit2.RemoteCallbacks):  # type: ignore[misc]
    """What libgit2 asks during an exchange: who we are, and whether to go on."""

    def __init__(self, remote: Remote) -> None:
        super().__init__()
        self.refused: dict[str, str] = {}
        self._remote = remote
        self._asked = False
        self._until = time.monotonic() + LIMIT_SECONDS

    def credentials(self, url: str, username_from_url: str | None, allowed_types: CredentialType) -> object:
        if allowed_types & CredentialType.USERNAME:
            return pygit2.Username(username_from_url or "git")
        # libgit2 asks again and again as long as it is refused; and a redirection must not carry the token elsewhere.
        if self._asked or _origin(url) != _origin(self._remote.url):
            raise pygit2.AuthError("authentication refused")
        self._asked = True
        if allowed_types & CredentialType.USERPASS_PLAINTEXT and self._remote.token:
            return pygit2.UserPass(self._remote.user, self._remote.token)
        if allowed_types & CredentialType.SSH_KEY:
            return pygit2.KeypairFromAgent(username_from_url or "git")
        raise pygit2.AuthError("authentication required")

    def transfer_progress(self, stats: object) -> None:  # noqa: ARG002
        self._go_on()

    def sideband_progress(self, string: str) -> None:  # noqa: ARG002
        self._go_on()

    def push_transfer_progress(self, *counts: int) -> None:  # noqa: ARG002
        self._go_on()

    def push_update_reference(self, refname: str, message: str | None) -> None:
        if message is not None:
            self.refused[refname] = message

    def _go_on(self) -> None:
        if time.monotonic() > self._until:
            message = f"L'échange avec la forge a dépassé {LIMIT_SECONDS} secondes. Rien n'est perdu : un nouvel essai suivra."
            raise RemoteError(message, temporary=True)


def _open(folder: Path) -> pygit2.Repository:
    try:
        return pygit2.Repository(str(folder), RepositoryOpenFlag.NO_SEARCH)
    except pygit2.GitError as error:
        raise RemoteError(f"{folder} n'est pas un dépôt git : vérifiez BIBLE_KB_DIR.", temporary=False) from error


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Where an address leads: scheme, host and port (scp-like addresses are compared whole)."""
    if "://" not in url:
        return ("", url, None)
    parts = urlsplit(url)
    return (parts.scheme, parts.hostname, parts.port)


def _is_moved(said: str) -> bool:
    return any(word in said.lower() for word in ("fast-forward", "fastforward", "not present locally", "fetch first"))


def _check_branch(name: str) -> None:
    """Refuse what git itself refuses, and every name that looks like an option or that climbs."""
    is_plain = len(name) <= _MAX_BRANCH_CHARS and _BRANCH.fullmatch(name) is not None
    if not is_plain or not pygit2.reference_is_valid_name(f"refs/heads/{name}"):
        message = f"« {name[:80]} » ne peut pas être une branche : lettres sans accent, chiffres, « - », « _ », « . » et « / » seulement."
        raise RemoteError(message, temporary=False)


def _full_refspec(spec: str) -> str:
    forced, spec = ("+", spec[1:]) if spec.startswith("+") else ("", spec)
    here, colon, there = spec.partition(":")
    if not colon:
        there = here
    names = [name.removeprefix("refs/heads/") for name in (here, there)]
    for name in names if here or not colon else names[1:]:
        _check_branch(name)
    source = f"refs/heads/{names[0]}" if here else ""
    return f"{forced}{source}:refs/heads/{names[1]}"
