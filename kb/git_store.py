"""The content folder as a git repository: made on first start, read at any revision, changed by whole publications.

Guarantees:

- The repository is complete or absent, never half-made; a folder that is not a repository has an empty history, and the rest of the
  software works on it.
- A publication is one commit that is there or is not: the live branch moves in one step, then the files follow under a lock that every
  reader takes (``settled``), so nobody reads half of it; what a killed process left undone is finished by the next one that takes the lock.
- A file that somebody edited by hand is committed before it is replaced: nothing is overwritten that git does not have.
- Objects are on the disk (fsync) before the branch names them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pygit2
from filelock import FileLock, Timeout
from pygit2.enums import FileMode, RepositoryOpenFlag, SortMode

from kb import paths
from kb.article import Article
from kb.errors import ContentError, StoreError, UnknownRevision, UnknownSlug

log = logging.getLogger(__name__)

_CONTENT = ("articles", "organisation.yml", "services.yml", "channels.yml", "synonyms.yml")
_LOCK = "bible.lock"
_LOCK_SECONDS = 30
# In the repository while a process writes. It outlives a killed process, and then tells what to finish.
_JOURNAL = "bible-journal.json"
_STAGING = "bible-staging"
_REVISION = re.compile(r"[0-9a-f]{7,40}")
_NOT_IN_A_NAME = re.compile(r"[<>\x00-\x1f\x7f]+")
_CRUD = " ,:;\"\\'"  # git takes these off both ends of a name

pygit2.settings.enable_fsync_gitdir(True)


@dataclass(frozen=True)
class Person:
    """Who makes a commit."""

    name: str
    email: str

    def signature(self) -> pygit2.Signature:
        """The person as git writes it, now: git allows neither an empty name nor angle brackets."""
        name, email = (" ".join(_NOT_IN_A_NAME.sub(" ", text).split()) for text in (self.name, self.email))
        now = dt.datetime.now().astimezone()
        offset = now.utcoffset() or dt.timedelta()
        name, email = name.strip(_CRUD) or "?", email.strip(_CRUD) or "?"
        return pygit2.Signature(name, email, int(now.timestamp()), int(offset.total_seconds() // 60))


SOFTWARE = Person("La Bible", "bible@localhost")


@dataclass(frozen=True)
class Revision:
    """One publication that changed an article, by its author; ``when`` carries the author's time zone.

    ``path`` is where the article was then; ``writer`` is who wrote a proposal that somebody else published.
    """

    id: str
    author: str
    when: dt.datetime
    summary: str
    path: str = ""
    writer: str = ""


Changes = Mapping[str, str | None]


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
        author = SOFTWARE.signature()
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


def _git_folder(folder: Path) -> Path | None:
    """Where git keeps what it knows of a content folder; ``None`` when the folder is not a repository of its own."""
    if (folder / ".git").is_dir():
        return folder / ".git"
    if not (folder / ".git").exists():
        return None
    try:
        return Path(pygit2.Repository(str(folder), RepositoryOpenFlag.NO_SEARCH).path)
    except pygit2.GitError:
        return None


@contextlib.contextmanager
def settled(folder: Path) -> Iterator[None]:
    """Hold the repository's lock, after finishing what a killed process left undone: no publication runs meanwhile.

    The same thread may enter again. A folder that is no repository, or that cannot be written, has no publications to wait for.

    Raises:
        StoreError: another process keeps the lock, or a publication cannot be finished.
    """
    git_folder = _git_folder(folder)
    if git_folder is None or not os.access(git_folder, os.W_OK):
        yield
        return
    lock = FileLock(git_folder / _LOCK, timeout=_LOCK_SECONDS, is_singleton=True)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreError("Une autre publication dure trop longtemps. Réessayez dans une minute.") from error
    except OSError as error:
        raise StoreError(
            f"Le dossier de contenu ne peut pas être verrouillé ({error.strerror}). Vérifiez les droits et l'espace."
        ) from error
    try:
        if lock.lock_counter == 1 and (git_folder / _JOURNAL).exists():
            _recover(folder, git_folder)
        yield
    finally:
        lock.release()


# Root tree → an entry somewhere under it, where it has one.
Entries = Mapping[pygit2.Oid, pygit2.Oid | None]


class GitStore:
    """A content folder: its versions, and publications on its live branch.

    Args:
        folder: the content folder; not a repository is fine, its history is empty and nothing can be published.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._past: _Past | None = None

    # ---- reading ----
    @property
    def is_repository(self) -> bool:
        """Whether changes can be recorded: a repository of its own, with a first commit on a branch."""
        repository = self._opened()
        return repository is not None and not repository.head_is_unborn and not repository.head_is_detached

    def head(self) -> str:
        """Return the id of the commit that is live, 40 hexadecimal digits.

        Raises:
            StoreError: the folder is not a repository with a commit.
        """
        return str(self.repository().head.target)

    def history(self, path: str, limit: int = 50) -> list[Revision]:
        """List the publications that changed an article, newest first, under the names and services that it had before too.

        Only what was live counts: the drafts of a proposal are one publication, the merge that made them live.

        Args:
            path: path relative to the content folder, as it is now.
            limit: how many at most.

        Raises:
            StoreError: the repository cannot be read.
        """
        repository = self._opened()
        if repository is None or repository.head_is_unborn:
            return []
        try:
            head = repository.head.target
            past = self._past
            if past is None or past.head != head:
                past = self._past = _Past(repository, head)
            found: dict[str, Revision] = {}
            followed = {path}
            current: str | None = path
            while current is not None and len(found) < limit:
                history = [revision for revision in past.history(repository, current) if revision.id not in found]
                found |= {revision.id: revision for revision in history}
                current = _moved_from(repository, history[-1], current) if history else None
                if current in followed:
                    break
                followed.add(current or "")
        except (pygit2.GitError, KeyError, ValueError) as error:
            raise StoreError(f"L'historique ne peut pas être lu ({error}). Lancez « git fsck » dans {self.folder}.") from error
        return list(found.values())[:limit]

    def revision(self, revision: str) -> Revision:
        """Find a commit by its id, abbreviated or not.

        Raises:
            UnknownRevision: there is none.
        """
        return _revision(self._commit(self.repository(), revision))

    def read(self, path: str, revision: str | None = None) -> str:
        """Read a file of the content as it was committed.

        Args:
            path: path relative to the content folder.
            revision: id of a commit, abbreviated or not; the live one by default.

        Raises:
            UnknownRevision: there is no such commit.
            UnknownSlug: there was no such file then.
            StoreError: the repository cannot be read, or the file was not text.
        """
        repository = self.repository()
        commit = self._commit(repository, revision or str(repository.head.target))
        text = text_at(repository, commit, path)
        if text is None:
            raise UnknownSlug(f"« {path[:200]} » n'existait pas dans cette version.")
        return text

    def repository(self) -> pygit2.Repository:
        """Open the repository.

        Raises:
            StoreError: the folder is not a repository whose live branch has a commit.
        """
        repository = self._opened()
        if repository is None and (self.folder / ".git").exists():
            raise StoreError(
                f"Le dépôt {self.folder} ne s'ouvre pas. Vérifiez qu'il appartient au compte du service, puis lancez-y « git fsck »."
            )
        if repository is None:
            raise StoreError(
                f"Le dossier de contenu {self.folder} n'est pas un dépôt git : les versions et les propositions sont indisponibles. "
                "Lancez-y « git init », « git add . » et « git commit »."
            )
        if repository.head_is_unborn or repository.head_is_detached:
            raise StoreError(f"Le dépôt {self.folder} n'est sur aucune branche qui ait un commit. Lancez-y « git switch main ».")
        return repository

    def _opened(self) -> pygit2.Repository | None:
        try:
            repository = pygit2.Repository(str(self.folder), RepositoryOpenFlag.NO_SEARCH)
            if not repository.head_is_unborn:
                repository.head  # noqa: B018 - a damaged one is found out here
        except pygit2.GitError:
            return None
        return repository

    @staticmethod
    def _commit(repository: pygit2.Repository, revision: str) -> pygit2.Commit:
        # Only hexadecimal digits: « main@{1} », « :/fix » or « -x » mean other things to git.
        try:
            found: Any = repository.get(revision) if _REVISION.fullmatch(revision) else None
        except ValueError:  # several objects begin so
            found = None
        if not isinstance(found, pygit2.Commit):
            raise UnknownRevision(f"La version « {revision[:50]} » n'existe pas. Choisissez-la dans l'historique de l'article.")
        return found

    def tidy(self) -> None:
        """Let git pack what thousands of publications left loose, so that histories stay quick to read; without the command, nothing."""
        if self.is_repository and (command := shutil.which("git")):
            # Branches stay as they are: packing them takes locks that a publication would meet.
            options = ["-c", "gc.packRefs=false", "-c", "gc.autoDetach=false", "gc", "--auto", "--quiet"]
            subprocess.run([command, *options], cwd=self.folder, check=False, capture_output=True)  # noqa: S603

    # ---- writing ----
    def publish(self, changes: Changes, author: Person, message: str) -> str:
        """Record a change on the live branch and make the files follow.

        Args:
            changes: path relative to the content folder → new text, or ``None`` to delete the file.
            author: who made the change.
            message: what and why; its first line is shown in the history.

        Returns:
            The id of the commit; that of the live one when nothing changes.

        Raises:
            UnknownSlug: a path does not belong to the content.
            StoreError: it cannot be recorded; the live text is then as it was.
        """
        with self.writing() as writer:
            writer.adopt(changes)
            head = writer.repository.head.target
            tree = writer.tree(head, changes)
            if tree == writer.commit(head).tree_id:
                return str(head)
            return writer.publish(writer.record(tree, [head], author, message), changes)

    def committed(self, path: str) -> str:
        """Return the id of the live commit, a file that was edited by hand being committed first: what is read then has a version.

        Raises:
            UnknownSlug: the path does not belong to the content.
            StoreError: there is no repository, or it cannot be written.
        """
        repository = self.repository()
        target = paths.contained(self.folder, check_path(path))
        there = pygit2.hashfile(str(target)) if target.is_file() else None
        if there == blob_at(repository[repository.head.target], path):
            return str(repository.head.target)
        with self.writing() as writer:
            writer.adopt([path])
            return str(writer.repository.head.target)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """Hold the lock and write. A failure leaves the branch where it was, or a publication finished.

        Raises:
            StoreError: git or the disk refuses.
        """
        with settled(self.folder):
            writer = Writer(self.folder, self.repository())
            try:
                writer.journal({})
                yield writer
            except (pygit2.GitError, OSError, ValueError, KeyError) as error:  # KeyError: an object is missing
                with contextlib.suppress(StoreError):
                    _recover(self.folder, writer.git_folder)
                raise StoreError(f"La modification n'a pas pu être enregistrée ({error}). Vérifiez l'espace et les droits.") from error
            except BaseException:
                _recover(self.folder, writer.git_folder)
                raise
            else:
                shutil.rmtree(writer.git_folder / _STAGING, ignore_errors=True)
                if writer.is_settled:
                    with contextlib.suppress(OSError):  # it is done; the next one that takes the lock finds nothing to finish
                        (writer.git_folder / _JOURNAL).unlink(missing_ok=True)


class Writer:
    """What may be done while the lock is held. Ids are pygit2's; nothing is live before ``publish``."""

    def __init__(self, folder: Path, repository: pygit2.Repository) -> None:
        self.folder = folder
        self.repository = repository
        self.git_folder = Path(repository.path)
        self.is_settled = True
        self._old = ""
        self._touched: set[str] = set()

    def commit(self, revision: pygit2.Oid | str) -> pygit2.Commit:
        """Look a commit up."""
        found = self.repository[revision]
        assert isinstance(found, pygit2.Commit)
        return found

    def journal(self, content: dict[str, object]) -> None:
        """Say on disk what is being done."""
        _write_whole(self.git_folder / _JOURNAL, json.dumps(content).encode())

    def adopt(self, touched: Iterable[str], check: Callable[[str], str] | None = None) -> None:
        """Commit what was edited by hand in these files, so that replacing them loses nothing.

        Args:
            touched: paths relative to the content folder.
            check: what refuses a path; ``check_path`` by default.

        Raises:
            UnknownSlug: a path does not belong to the content.
        """
        head = self.commit(self.repository.head.target)
        edited: dict[str, pygit2.Oid | None] = {}
        for path in touched:
            target = paths.contained(self.folder, (check or check_path)(path))
            own = blob_at(head, path)
            there = self.repository.create_blob(target.read_bytes()) if target.is_file() else None
            if there != own:
                edited[path] = there
        if edited:
            tree = self.tree_with(head, edited)
            commit = self.record(tree, [head.id], SOFTWARE, "Fichiers modifiés directement sur le serveur")
            self._move_live(commit, edited)
            self._update_index(edited)

    def tree(self, start: pygit2.Oid | str, changes: Changes) -> pygit2.Oid:
        """Write the tree of a commit with some files changed.

        Raises:
            UnknownSlug: a path does not belong to the content.
        """
        blobs = {
            check_path(path): None if text is None else self.repository.create_blob(text.encode("utf-8")) for path, text in changes.items()
        }
        return self.tree_with(self.commit(start), blobs)

    def tree_with(self, start: pygit2.Commit, blobs: Mapping[str, pygit2.Oid | None]) -> pygit2.Oid:
        """Write the tree of a commit with some blobs replaced (``None``: removed)."""
        index = pygit2.Index()
        index.read_tree(start.tree)
        for path, blob in blobs.items():
            if blob is not None:
                index.add(pygit2.IndexEntry(path, blob, FileMode.BLOB))
            elif path in index:
                index.remove(path)
        return index.write_tree(self.repository)

    def record(
        self, tree: pygit2.Oid, parents: list[pygit2.Oid], author: Person, message: str, committer: Person | None = None
    ) -> pygit2.Oid:
        """Write a commit that no branch names yet."""
        cleaned = message.replace("\0", "").strip() + "\n"
        return self.repository.create_commit(None, author.signature(), (committer or author).signature(), cleaned, tree, list(parents))

    def set_branch(self, name: str, commit: pygit2.Oid | None) -> None:
        """Point a branch (``refs/…``) to a commit, or delete it."""
        if commit is None:
            if name in self.repository.references:
                self.repository.references.delete(name)
        else:
            self.repository.references.create(name, commit, force=True)

    def publish(self, commit: pygit2.Oid, changes: Iterable[str]) -> str:
        """Make a commit live: the branch moves in one step, then the files follow.

        Args:
            commit: a commit whose ancestors include the live one.
            changes: paths whose files may differ.
        """
        touched = list(changes)
        target = self.commit(commit)
        for path in touched:
            paths.contained(self.folder, check_file(path))
        _check_room(self.folder, {path for path in touched if blob_at(target, path) is None}, touched)
        # Written before the branch moves: a full disk is found out while nothing has happened yet.
        staged = _stage(self.repository, self.git_folder, target, touched)
        self._move_live(commit, touched)
        _put_in_place(self.folder, staged)
        self._update_index({path: blob_at(target, path) for path in touched})
        return str(commit)

    def _move_live(self, commit: pygit2.Oid, touched: Iterable[str]) -> None:
        self._old = self._old or str(self.repository.head.target)
        self._touched.update(touched)
        self.journal({"old": self._old, "new": str(commit), "paths": sorted(self._touched)})
        self.repository.references[self.repository.head.name].set_target(commit)

    def _update_index(self, blobs: Mapping[str, pygit2.Oid | None]) -> None:
        self.is_settled = _update_index(self.repository, blobs) and self.is_settled


def check_path(path: str) -> str:
    """Return a path that belongs to the content: an article, live or archived, or one of the files beside them.

    Raises:
        UnknownSlug: it does not.
    """
    parts = path.split("/")
    is_file = len(parts) == 1 and path in _CONTENT[1:]
    is_article = len(parts) >= 2 and parts[0] in (paths.ARTICLES, paths.ARCHIVE) and parts[-1].endswith(".md")
    # A folder « x.md » would take the place of the article x.
    name = parts[-1].removesuffix(".md")
    is_named = paths.is_readable_slug(name) and not name.endswith(".md") and all(map(paths.is_readable_folder, parts[1:-1]))
    if is_file or (is_article and is_named):
        return path
    raise UnknownSlug(f"« {path[:200]} » ne fait pas partie du contenu.")


def check_file(path: str) -> str:
    """Return the path of any file that a commit made elsewhere may bring.

    Raises:
        StoreError: it climbs out of the folder, or into what git keeps for itself (which git never writes, but a forged tree may).
    """
    if any(part.casefold().rstrip(" .") in ("", ".git", "git~1") for part in path.split("/")) or "\0" in path:
        raise StoreError(f"Le chemin « {path[:200]} » est refusé : retirez ce fichier dans la forge.")
    return path


def blob_at(commit: pygit2.Commit, path: str) -> pygit2.Oid | None:
    """Id of a file in a commit, ``None`` where there is none."""
    try:
        tree: pygit2.Object = commit.tree
        for part in path.split("/"):
            if not isinstance(tree, pygit2.Tree) or part not in tree:
                return None
            tree = tree[part]
    except KeyError as error:
        raise StoreError(f"Le dépôt est abîmé : il lui manque l'objet {error}. Lancez-y « git fsck ».") from error
    return tree.id if isinstance(tree, pygit2.Blob) else None


def text_at(repository: pygit2.Repository, commit: pygit2.Commit, path: str) -> str | None:
    """Text of a file in a commit, ``None`` where there is none.

    Raises:
        StoreError: the file is not text.
    """
    blob = blob_at(commit, path)
    if blob is None:
        return None
    try:
        return bytes(repository[blob].data).decode("utf-8")
    except KeyError as error:
        raise StoreError(f"Le dépôt est abîmé : il lui manque l'objet {error}. Lancez-y « git fsck ».") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"« {path} » n'est pas un texte en UTF-8 dans cette version.") from error


def changed_paths(repository: pygit2.Repository, old: pygit2.Commit, new: pygit2.Commit) -> list[str]:
    """Paths of the files that differ between two commits, sorted; a renamed file counts under both names."""
    deltas = repository.diff(old, new).deltas
    return sorted({file.path for delta in deltas for file in (delta.old_file, delta.new_file)})


def _revision(commit: pygit2.Commit, path: str = "") -> Revision:
    zone = dt.timezone(dt.timedelta(minutes=commit.author.offset))
    when = dt.datetime.fromtimestamp(commit.author.time, tz=zone)
    proposed = commit.parents[1].author.name if len(commit.parent_ids) == 2 else ""
    writer = proposed if proposed != commit.author.name else ""
    return Revision(str(commit.id), commit.author.name, when, commit.message.strip().split("\n", 1)[0], path, writer)


class _Past:
    """The publications that lead to a state of the live branch, and their folders: read once for the histories of all its articles.

    Only object ids are compared, no diff is computed.
    """

    def __init__(self, repository: pygit2.Repository, head: pygit2.Oid) -> None:
        self.head = head
        walker = repository.walk(head, SortMode.TOPOLOGICAL)
        walker.simplify_first_parent()
        # Newest first: each one's first parent follows it.
        self._commits = tuple(walker)
        # Path of a folder → where each root tree has it.
        self._folders: dict[tuple[str, ...], Entries] = {(): {commit.tree_id: commit.tree_id for commit in self._commits}}
        self._histories: dict[str, tuple[Revision, ...]] = {}

    def history(self, repository: pygit2.Repository, path: str) -> tuple[Revision, ...]:
        """List the publications whose file differs from that of the one before, newest first."""
        if path not in self._histories:
            self._histories[path] = tuple(self._changes(repository, path))
        return self._histories[path]

    def _changes(self, repository: pygit2.Repository, path: str) -> Iterator[Revision]:
        *folders, name = path.split("/")
        blobs = _entries(repository, self._folder(repository, tuple(folders)), name)
        for commit, before in zip_longest(self._commits, self._commits[1:]):
            if blobs[commit.tree_id] != (blobs[before.tree_id] if before else None):
                yield _revision(commit, path)

    def _folder(self, repository: pygit2.Repository, names: tuple[str, ...]) -> Entries:
        if names not in self._folders:
            self._folders[names] = _entries(repository, self._folder(repository, names[:-1]), names[-1])
        return self._folders[names]


def _entries(repository: pygit2.Repository, folders: Entries, name: str) -> Entries:
    """Find an entry in folders, each read once however many root trees share it."""
    found: dict[pygit2.Oid | None, pygit2.Oid | None] = {None: None}
    for folder in folders.values():
        if folder not in found:
            tree = repository[folder]
            found[folder] = tree[name].id if isinstance(tree, pygit2.Tree) and name in tree else None
    return {root: found[folder] for root, folder in folders.items()}


def _moved_from(repository: pygit2.Repository, first: Revision, path: str) -> str | None:
    """Where an article was before the commit that put it at ``path``: under this slug elsewhere, or under one that it calls an alias."""
    commit = repository[first.id]
    assert isinstance(commit, pygit2.Commit)
    if not commit.parents:
        return None
    parent = commit.parents[0]
    gone = [other for other in changed_paths(repository, parent, commit) if blob_at(commit, other) is None and other.endswith(".md")]
    slug, text = path.rsplit("/", 1)[-1], text_at(repository, commit, path) or ""
    same = (other for other in gone if other.rsplit("/", 1)[-1] == slug)
    try:
        aliases = Article.parse(text, path).meta.aliases if gone else ()
    except ContentError:
        aliases = ()
    return next(same, None) or next((other for other in gone if other.rsplit("/", 1)[-1].removesuffix(".md") in aliases), None)


# ---- files follow the branch ----
def _write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step, on the disk when it returns."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _stage(repository: pygit2.Repository, git_folder: Path, commit: pygit2.Commit, touched: Iterable[str]) -> dict[str, Path | None]:
    """Write the files of a commit aside, ready to be moved into place; ``None`` for one that goes."""
    staging = git_folder / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    staged: dict[str, Path | None] = {}
    for number, path in enumerate(touched):
        blob = blob_at(commit, path)
        staged[path] = None if blob is None else staging / str(number)
        if blob is not None:
            _write_whole(staging / str(number), bytes(repository[blob].data))
    return staged


def _check_room(folder: Path, going: set[str], touched: Iterable[str]) -> None:
    """Make sure that no folder lies where a file must go, and no file where a folder must, but for what goes away.

    Raises:
        StoreError: something does, and the branch has not moved yet.
    """
    for path in touched:
        if path in going:
            continue
        place = folder / path
        inside = [one for one in place.rglob("*") if not one.is_dir() or not any(one.iterdir())] if place.is_dir() else []
        in_the_way = [one for one in inside if str(one.relative_to(folder)) not in going]
        if place.is_dir() and not inside:
            in_the_way.append(place)
        in_the_way += [
            one for one in place.parents if folder in one.parents and one.is_file() and str(one.relative_to(folder)) not in going
        ]
        if in_the_way:
            raise StoreError(f"« {in_the_way[0]} » est à la place de « {path} » : déplacez-le, puis recommencez.")


def _put_in_place(folder: Path, staged: Mapping[str, Path | None]) -> None:
    for path in (path for path, new in staged.items() if new is None):  # first: a file may take the place of their folder
        if (folder / path).is_dir():
            continue
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (folder / path).unlink()
        with contextlib.suppress(OSError):  # not empty: others are in it
            for parent in (folder / path).parents:
                if parent == folder:
                    break
                parent.rmdir()
    for path, new in staged.items():
        if new is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(new, folder / path)


def _update_index(repository: pygit2.Repository, blobs: Mapping[str, pygit2.Oid | None]) -> bool:
    """Tell git's own index what the files are now, for people who type ``git status``; say whether it could be written."""
    try:
        index = repository.index
        index.read(False)
        for path, blob in blobs.items():
            if blob is not None:
                index.add(pygit2.IndexEntry(path, blob, FileMode.BLOB))
            elif path in index:
                index.remove(path)
        index.write()
    except pygit2.GitError as error:  # somebody's own git holds it: the journal stays, and the next publication tries again
        log.warning("git's index could not be updated: %s", error)
        return False
    return True


def _recover(folder: Path, git_folder: Path) -> None:
    """Finish, or forget, what a process that died while writing had begun. The caller holds the lock.

    Raises:
        StoreError: the disk refuses; the journal stays for the next try.
    """
    journal = git_folder / _JOURNAL
    try:
        content = json.loads(journal.read_text(encoding="utf-8")) if journal.exists() else {}
        # No process of ours is alive in there, so these locks are the dead one's.
        for stale in (*git_folder.glob("*.lock"), *(git_folder / "refs").rglob("*.lock"), *(git_folder / "logs").rglob("*.lock")):
            if stale.name != _LOCK and "remotes" not in stale.parts:  # a fetch holds no lock of ours
                stale.unlink(missing_ok=True)
        repository = pygit2.Repository(str(folder), RepositoryOpenFlag.NO_SEARCH)
        is_done = True
        if content and str(repository.head.target) != content["old"]:
            is_done = _finish(folder, git_folder, repository, content["old"], content["paths"])
        shutil.rmtree(git_folder / _STAGING, ignore_errors=True)
        if is_done:
            journal.unlink(missing_ok=True)
    except (pygit2.GitError, OSError, ValueError, KeyError) as error:
        raise StoreError(f"Une publication interrompue ne peut pas être terminée ({error}). Vérifiez l'espace et les droits.") from error


def _finish(folder: Path, git_folder: Path, repository: pygit2.Repository, old: str, touched: list[str]) -> bool:
    """Make the files of an interrupted publication what the live branch says."""
    before, live = repository[old], repository[repository.head.target]
    assert isinstance(before, pygit2.Commit)
    assert isinstance(live, pygit2.Commit)
    behind = []
    for path in touched:
        target = folder / path
        found = repository.create_blob(target.read_bytes()) if target.is_file() else None
        if found != blob_at(live, path):
            behind.append(path)
        if found is not None and found not in (blob_at(before, path), blob_at(live, path)):
            # Edited by hand after the death: kept on a branch of its own, as the accepted text goes live.
            writer = Writer(folder, repository)
            tree = writer.tree_with(live, {path: found})
            commit = writer.record(tree, [live.id], SOFTWARE, f"Texte trouvé sur le serveur : {path}")
            writer.set_branch(f"refs/heads/recovered/{str(commit)[:12]}", commit)
    if behind:
        log.warning("finishing an interrupted publication: %s", ", ".join(behind))
        _put_in_place(folder, _stage(repository, git_folder, live, behind))
    return _update_index(repository, {path: blob_at(live, path) for path in touched})
