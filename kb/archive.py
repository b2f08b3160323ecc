"""The articles that were taken off line: ``archive/<service>/<slug>.md`` in the content folder.

Guarantees: links are not followed, so nothing outside the folder is read; a broken file is listed with its problem and hides no
other; a publication is read whole or not at all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PurePosixPath

from kb import paths
from kb.article import Article
from kb.errors import ContentError, Problem, UnknownSlug
from kb.git_store import settled
from kb.library import read_article


@dataclass(frozen=True)
class Archived:
    """A file of the archive: the article, or why it cannot be read. ``name`` is its path without the folder and « .md »."""

    name: str
    article: Article | None
    problem: Problem | None = None

    @property
    def slug(self) -> str:
        return PurePosixPath(self.name).name

    @property
    def title(self) -> str:
        return self.article.title if self.article else self.slug


def list_archived(root: Path) -> tuple[Archived, ...]:
    """List the archived articles of a content folder, ordered by path."""
    with settled(root):
        return tuple(_read(root, name) for name in _names(root))


def read_archived(root: Path, name: str) -> Archived:
    """Read one archived article.

    Args:
        root: the content folder.
        name: its path in the archive without « .md », or its slug alone.

    Raises:
        UnknownSlug: there is none.
    """
    with settled(root):
        # Looked up in what is there: a name is never made into a path, so it cannot climb out.
        names = _names(root)
        found = name if name in names else next((one for one in names if PurePosixPath(one).name == name), None)
        if found is None:
            raise UnknownSlug(f"Aucun article archivé ne s'appelle « {name[:100]} ».")
        return _read(root, found)


def free_path(root: Path, path: str) -> str:
    """Where an article goes in the archive; beside the one that had its address before, where there was one.

    Args:
        root: the content folder.
        path: its path on line.
    """
    name = path.removeprefix(f"{paths.ARTICLES}/").removesuffix(".md")
    taken = {one.casefold() for one in _names(root)}
    free = next(one for one in chain([name], (f"{name}-{number}" for number in count(2))) if one.casefold() not in taken)
    return f"{paths.ARCHIVE}/{free}.md"


def _names(root: Path) -> list[str]:
    top = root / paths.ARCHIVE
    if top.is_symlink():
        return []
    found = []
    for folder, folders, files in os.walk(top):  # it does not enter folders that are links
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(folder, name)
            if path.suffix == ".md" and paths.is_readable_slug(path.stem) and not path.is_symlink():
                found.append(path.relative_to(top).with_suffix("").as_posix())
    return sorted(found)


def _read(root: Path, name: str) -> Archived:
    path = f"{paths.ARCHIVE}/{name}.md"
    try:
        return Archived(name, read_article(root, path))
    except ContentError as error:
        return Archived(name, None, error.problem)
    except (FileNotFoundError, UnknownSlug) as error:
        return Archived(name, None, Problem(path, 1, f"Le fichier n'a pas pu être lu ({error})."))
