"""What the live text went through, publication by publication: which files each one changed, and when it went live.

Guarantees: only states that were live are seen (the first parents of the live branch), so neither drafts nor who wrote them can show;
what was read stays read, and a new publication costs only its own reading; a folder that is no repository has an empty log.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import pygit2

from kb import paths
from kb.article import Article
from kb.errors import ContentError, StoreError
from kb.git_store import GitStore, changed_paths, text_at

# A log longer than this is read from its end.
MAX_PUBLICATIONS = 20_000


@dataclass(frozen=True)
class Publication:
    """One step of the live branch; ``parent`` is the state before it, ``None`` for the first one."""

    id: str
    parent: str | None
    when: dt.datetime
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One publication as an article saw it; ``None`` where there was no such article, or a text that could not be one."""

    when: dt.datetime
    before: Article | None
    after: Article | None


class LiveLog:
    """The publications of a content repository, oldest first, read once."""

    def __init__(self, store: GitStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._head: str | None = None
        self._publications: list[Publication] = []
        self._by_path: dict[str, list[int]] = {}

    def publications(self) -> tuple[Publication, ...]:
        """All publications, newest first.

        Raises:
            StoreError: the repository cannot be read.
        """
        self._read()
        return tuple(reversed(self._publications))

    def last_change(self, path: str) -> dt.datetime | None:
        """When a file last changed, ``None`` where the log does not know it.

        Raises:
            StoreError: the repository cannot be read.
        """
        self._read()
        numbers = self._by_path.get(path)
        return self._publications[numbers[-1]].when if numbers else None

    def steps(self, article: Article) -> Iterator[Step]:
        """Yield what happened to an article, newest first, under the names and services that it had before too.

        Raises:
            StoreError: the repository cannot be read.
        """
        self._read()
        path, before = article.path, len(self._publications)
        while True:
            numbers = [number for number in self._by_path.get(path, ()) if number < before]
            for number in reversed(numbers):
                publication = self._publications[number]
                source = self._source_of(publication, path, article) if number == numbers[0] else path
                states = (self._article(publication.parent, source, article), self._article(publication.id, path, article))
                yield Step(publication.when, *states)
            if not numbers or source == path:
                return
            path, before = source, numbers[0]

    def versions_named(self, slug: str) -> Iterator[Article | None]:
        """Yield every live version that an article of this name had, newest first for each of its places.

        Raises:
            StoreError: the repository cannot be read.
        """
        self._read()
        for path in [one for one in self._by_path if one.startswith(f"{paths.ARTICLES}/") and PurePosixPath(one).stem == slug]:
            for number in reversed(self._by_path[path]):
                yield self._article(self._publications[number].id, path)

    def _read(self) -> None:
        if not self._store.is_repository:
            return
        with self._lock:
            repository = self._store.repository()
            head = str(repository.head.target)
            if head == self._head:
                return
            try:
                new, is_whole = _publications(repository, head, self._head)
            except (pygit2.GitError, KeyError, ValueError, TypeError) as error:  # TypeError: a tree is missing
                raise StoreError(f"L'historique ne peut pas être lu ({error}). Lancez « git fsck » dans {self._store.folder}.") from error
            if is_whole:  # the first time, or the branch was rewritten
                self._publications, self._by_path = [], {}
            for publication in reversed(new):
                for path in publication.paths:
                    self._by_path.setdefault(path, []).append(len(self._publications))
                self._publications.append(publication)
            self._head = head

    def _source_of(self, publication: Publication, path: str, known: Article) -> str:
        """Where an article was before the publication that put it at ``path``: the same slug elsewhere, or one that it calls an alias."""
        own = self._article(publication.id, path, known)
        if own is None or publication.parent is None or self._text(publication.parent, path) is not None:
            return path
        names = {own.slug, *own.meta.aliases}
        moved = (one for one in publication.paths if PurePosixPath(one).stem in names and one != path and one.startswith(paths.ARTICLES))
        return next((one for one in moved if self._text(publication.id, one) is None), path)

    def _text(self, commit: str | None, path: str) -> str | None:
        if commit is None:
            return None
        repository = self._store.repository()
        found = repository.get(commit)
        return text_at(repository, found, path) if isinstance(found, pygit2.Commit) else None

    def _article(self, commit: str | None, path: str, known: Article | None = None) -> Article | None:
        try:
            text = self._text(commit, path)
            if known is not None and path == known.path and text == known.source:
                return known
            return Article.parse(text, path) if text is not None else None
        except (ContentError, StoreError):  # it was no article then
            return None


def _publications(repository: pygit2.Repository, head: str, known: str | None) -> tuple[list[Publication], bool]:
    """The publications that lead to ``head``, newest first, down to ``known``; and whether ``known`` was not met on the way."""
    found: list[Publication] = []
    current: str | None = head
    while current is not None and len(found) < MAX_PUBLICATIONS:
        if current == known:
            return found, False
        commit = repository[current]
        assert isinstance(commit, pygit2.Commit)
        parent = repository.get(commit.parent_ids[0]) if commit.parent_ids else None  # absent where the clone is shallow
        zone = dt.timezone(dt.timedelta(minutes=commit.committer.offset))
        when = dt.datetime.fromtimestamp(commit.committer.time, tz=zone)
        if isinstance(parent, pygit2.Commit):
            touched = tuple(path for path in changed_paths(repository, parent, commit) if path.endswith(".md"))
            found.append(Publication(str(commit.id), str(parent.id), when, touched))
            current = str(parent.id)
        else:
            touched = tuple(path for path in _all_paths(commit) if path.endswith(".md"))
            found.append(Publication(str(commit.id), None, when, touched))
            current = None
    return found, True


def _all_paths(commit: pygit2.Commit) -> list[str]:
    index = pygit2.Index()
    index.read_tree(commit.tree)
    return sorted(entry.path for entry in index)


__all__ = ["LiveLog", "Publication", "Step"]
