"""Pull requests on the forge that keeps the content: GitHub, GitLab, Forgejo or Gitea behind one interface.

``forge_for`` works out which forge and which API from the git address alone, where its name tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from kb.forges.base import Forge, ForgedWebhook, ForgeError, PullRequest, State, WebhookEvent
from kb.forges.forgejo import Forgejo
from kb.forges.github import GitHub
from kb.forges.gitlab import GitLab

__all__ = ["Forge", "ForgeError", "ForgedWebhook", "GitAddress", "PullRequest", "State", "WebhookEvent", "forge_for", "parse_address"]

_KINDS: dict[str, type[Forge]] = {"github": GitHub, "gitlab": GitLab, "forgejo": Forgejo}
_API_PATHS = {"github": "/api/v3", "gitlab": "/api/v4", "forgejo": "/api/v1"}
# Where the two big ones answer to git over the port of HTTPS.
_SSH_HOSTS = {"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com"}
# user@host:path, where the path is not //… (that would be an address with a scheme) and the host no letter of a Windows disk.
_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]+):(?!//)/?(?P<path>[^:]+)")
_SEGMENT = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True)
class GitAddress:
    """A git address, taken apart: the web site that it belongs to (``https://host[:port]``) and the path on it."""

    site: str
    host: str
    path: str


def parse_address(url: str) -> GitAddress:
    """Take apart a git address: https, ssh or scp-like (``git@host:group/project.git``).

    Raises:
        ForgeError: it is not one of these, or its path cannot name a repository.
    """
    unusable = ForgeError(
        "BIBLE_REMOTE doit être l'adresse d'un dépôt sur une forge, comme https://forge.example/groupe/depot.git ou "
        "git@forge.example:groupe/depot.git.",
        temporary=False,
    )
    scheme, host, port, path = "ssh", None, None, ""
    if "://" in url:
        try:
            parts = urlsplit(url)
            scheme, host, port, path = parts.scheme, parts.hostname, parts.port, parts.path
        except ValueError as error:
            raise unusable from error
        if scheme not in ("http", "https", "ssh", "git+ssh") or parts.query or parts.fragment:
            raise unusable
    elif match := _SCP.fullmatch(url):
        host, path = match["host"].strip("[]").lower(), match["path"]
    path = path.strip("/").removesuffix(".git")
    segments = path.split("/")
    if not host or len(segments) < 2 or any(not _SEGMENT.fullmatch(one) or one in (".", "..") for one in segments):
        raise unusable
    host = _SSH_HOSTS.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    is_web = scheme in ("http", "https")
    # The port of an ssh address is not that of the web site.
    site = f"{scheme if is_web else 'https'}://{shown}" + (f":{port}" if is_web and port else "")
    return GitAddress(site, host, path)


def forge_for(remote_url: str, kind: str = "", api_url: str = "", token: str = "") -> Forge:
    """Make the adapter of a repository's forge.

    Args:
        remote_url: its git address (``BIBLE_REMOTE``).
        kind: ``github``, ``gitlab`` or ``forgejo``; empty: guessed from the host's name.
        api_url: address of the API; empty: worked out from the git address.
        token: access token.

    Raises:
        ForgeError: the address names no repository, or nothing tells which forge it is.
    """
    address = parse_address(remote_url)
    kind = kind or _guess(address.host)
    if kind not in _KINDS:
        message = f"Rien ne dit quelle forge est {address.host} : réglez BIBLE_FORGE sur github, gitlab ou forgejo."
        raise ForgeError(message, temporary=False)
    site, project = address.site, address.path
    if api_url:
        # A forge under a folder (https://ville.example/git): the folder is no part of the repository's path.
        folder = urlsplit(api_url).path.removesuffix("/").removesuffix(_API_PATHS[kind]).strip("/")
        project = project.removeprefix(f"{folder}/") if folder else project
    elif kind != "gitlab" and project.count("/") > 1:
        # There, a repository has an owner and a name: what comes before is such a folder.
        folder, owner, name = project.rsplit("/", 2)
        site, project = f"{site}/{folder}", f"{owner}/{name}"
    if project.count("/") < 1 or (kind != "gitlab" and project.count("/") > 1):
        raise ForgeError(f"« {project} » ne peut pas être un dépôt : vérifiez BIBLE_REMOTE et BIBLE_FORGE_API.", temporary=False)
    return _KINDS[kind](api_url.rstrip("/") or _api(kind, site, address.host), project, token)


def _guess(host: str) -> str:
    if host == "codeberg.org":
        return "forgejo"
    if host.endswith(".ghe.com"):
        return "github"
    words = re.split(r"[.-]", host)
    names = {"github": "github", "gitlab": "gitlab", "forgejo": "forgejo", "gitea": "forgejo"}
    return next((kind for word, kind in names.items() if word in words), "")


def _api(kind: str, site: str, host: str) -> str:
    if kind == "github" and (host == "github.com" or host.endswith(".ghe.com")):
        return f"https://api.{host}"
    return site + _API_PATHS[kind]
