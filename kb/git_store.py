"""The content folder as a git repository: made on first start, and the history of its articles.

Guarantees: the repository is complete or absent, never half-made; a folder that is not a repository has an empty history, and the
rest of the software works on it.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import SortMode

from kb.errors import StoreError

SOFTWARE = ("La Bible", "bible@localhost")
_CONTENT = ("articles", "organisation.yml", "services.yml", "channels.yml", "synonyms.yml")


@dataclass(frozen=True)
class Revision:
    """One commit that changed an article; ``when`` carries the author's time zone."""

    id: str
    author: str
    when: dt.datetime
    summary: str


def ensure_repository(folder: Path, sample: Path) -> bool:
    """Make the content repository from the sample content when ``folder`` is missing or empty.

    Args:
        folder: the content repository (``BIBLE_KB_DIR``).
        sample: a content folder to start from.

    Returns:
        Whether it was made.

    Raises:
        StoreError: it cannot be made; nothing half-made is left.
    """
    if folder.is_dir() and any(folder.iterdir()):
        return False
    staging = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        for name in _CONTENT:
            source = sample / name
            if source.is_dir():
                shutil.copytree(source, staging / name)
            elif source.exists():
                shutil.copy2(source, staging / name)
        repository = pygit2.init_repository(str(staging), initial_head="main")
        repository.index.add_all()
        repository.index.write()
        author = pygit2.Signature(*SOFTWARE)
        tree = repository.index.write_tree()
        repository.create_commit("refs/heads/main", author, author, "Contenu d'exemple de La Bible", tree, [])
        if folder.is_dir():
            folder.rmdir()
        staging.rename(folder)
    except (OSError, pygit2.GitError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        if folder.is_dir() and any(folder.iterdir()):
            return False  # another worker made it meanwhile
        advice = "Vérifiez BIBLE_KB_DIR, les droits et l'espace."
        raise StoreError(f"Le dossier de contenu {folder} ne peut pas être créé ({error}). {advice}") from error
    return True


class GitStore:
    """Read access to the history of a content folder.

    Args:
        folder: the content folder; not a repository is fine, its history is empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def history(self, path: str, limit: int = 50) -> list[Revision]:
        """List the commits that changed a file, newest first.

        Args:
            path: path relative to the content folder.
            limit: how many at most.

        Raises:
            StoreError: the repository cannot be read.
        """
        try:
            repository = pygit2.Repository(str(self._folder), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
        except pygit2.GitError:
            return []
        try:
            if repository.head_is_unborn:
                return []
            found = []
            for revision in _changes(repository, path):
                found.append(revision)
                if len(found) == limit:
                    break
            return found
        except (pygit2.GitError, KeyError, ValueError) as error:
            raise StoreError(f"L'historique ne peut pas être lu ({error}). Lancez « git fsck » dans {self._folder}.") from error


def _changes(repository: pygit2.Repository, path: str) -> Iterator[Revision]:
    """Yield commits whose file differs from that of every parent, by comparing object ids alone: no diff is computed."""
    for commit in repository.walk(repository.head.target, SortMode.TOPOLOGICAL | SortMode.TIME):
        own = _blob_id(commit, path)
        parents = [_blob_id(parent, path) for parent in commit.parents]
        if (own is not None and not parents) or (parents and all(own != other for other in parents)):
            zone = dt.timezone(dt.timedelta(minutes=commit.author.offset))
            when = dt.datetime.fromtimestamp(commit.author.time, tz=zone)
            summary = commit.message.strip().split("\n", 1)[0]
            yield Revision(str(commit.id), commit.author.name, when, summary)


def _blob_id(commit: pygit2.Commit, path: str) -> pygit2.Oid | None:
    tree: pygit2.Object = commit.tree
    for part in path.split("/"):
        if not isinstance(tree, pygit2.Tree) or part not in tree:
            return None
        tree = tree[part]
    return tree.id
