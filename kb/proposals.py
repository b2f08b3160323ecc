"""Proposals: changes that wait for a review, each on a branch of its own.

Guarantees: the live text does not move before ``accept``; what is accepted is merged with what went live meanwhile, article by article,
and never over it; a proposal that is refused or withdrawn keeps its text (``refs/bible/closed``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pygit2
from pygit2.enums import SortMode

from kb import paths
from kb.article import Article
from kb.errors import ContentError, KbError, StoreError, UnknownSlug
from kb.git_store import Changes, GitStore, Person, Writer, blob_at, changed_paths, check_file, check_path, text_at
from kb.merge import Merged, merge_articles

_OPEN = "refs/heads/proposals/"
_CLOSED = "refs/bible/closed/"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,149}")
_MAX_NAME_CHARS = 200  # of a branch that git made

Kind = Literal["edit", "create", "rename", "archive", "restore"]


class ProposalError(KbError):
    """A proposal cannot be made, changed or accepted; the message says what to do."""


class StaleProposal(ProposalError):
    """The proposal is no longer what the person saw."""


class MergeConflict(ProposalError):
    """The live text changed in the same places; ``merge`` holds what there is to choose between."""

    def __init__(self, merge: Merge) -> None:
        super().__init__("Le texte en ligne a changé aux mêmes endroits. Choisissez ce qu'il faut garder, puis publiez.")
        self.merge = merge


@dataclass(frozen=True)
class FileChange:
    """One article or file of a proposal. ``old_path`` or ``new_path`` is ``None`` where it is created or deleted."""

    old_path: str | None
    new_path: str | None
    before: str | None
    after: str | None

    @property
    def path(self) -> str:
        path = self.new_path or self.old_path
        assert path is not None
        return path


@dataclass(frozen=True)
class Conflict:
    """An article that cannot be merged: what is live, what is proposed, and where both changed the same field."""

    change: FileChange
    live_path: str | None
    live: str | None
    reason: Literal["both-changed", "gone", "exists", "broken"]
    merged: Merged | None = None


@dataclass(frozen=True)
class Merge:
    """What accepting a proposal would write, and what forbids it.

    ``others`` are files that are no content (the forge's own): no page shows them, so no reviewer answers for them.
    """

    changes: dict[str, str | None] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    others: Mapping[str, pygit2.Oid | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Branch:
    """An open proposal as git knows it."""

    name: str
    base: str
    tip: str
    author: Person
    message: str


# ---- what a person wants → which files change ----
def edit(article: Article | None, new: Article) -> dict[str, str | None]:
    """Replace an article, under its name or another; ``None``: create one."""
    changes: dict[str, str | None] = {new.path: new.source}
    if article is not None and article.path != new.path:
        changes[article.path] = None
    return changes


def archive(article: Article, replacement: Article | None = None, into: str = "") -> dict[str, str | None]:
    """Take an article off line.

    Args:
        article: as it is on line.
        replacement: the article to which the address then leads, if there is one.
        into: path in the archive, where its usual place is taken (see ``kb.archive.free_path``).
    """
    changes: dict[str, str | None] = {article.path: None, into or archived_path(article.path): article.source}
    if replacement is not None:
        aliases = tuple(dict.fromkeys((*replacement.meta.aliases, article.slug, *article.meta.aliases)))
        changes[replacement.path] = replacement.edited({"aliases": aliases}).source
    return changes


def restore(archived: Article, holder: Article | None = None) -> dict[str, str | None]:
    """Bring an archived article back; ``holder`` is the article that took its address meanwhile, and gives it back."""
    live_path = paths.ARTICLES + archived.path.removeprefix(paths.ARCHIVE)
    changes: dict[str, str | None] = {archived.path: None, live_path: archived.source}
    if holder is not None:
        taken = {archived.slug, *archived.meta.aliases}
        kept = [alias for alias in holder.meta.aliases if alias not in taken]
        changes[holder.path] = holder.edited({"aliases": kept or None}).source
    return changes


def archived_path(path: str) -> str:
    """Where an article lies once it is off line."""
    return paths.ARCHIVE + path.removeprefix(paths.ARTICLES)


class Proposals:
    """The proposals of a content repository.

    Args:
        store: the repository.
    """

    def __init__(self, store: GitStore) -> None:
        self._store = store

    def propose(self, name: str, changes: Changes, author: Person, message: str, base: str | None = None) -> Branch:
        """Record a change on a branch of its own.

        Args:
            name: lower-case letters, digits and dashes; new.
            changes: path → new text, or ``None`` to delete, against ``base``.
            author: who proposes it.
            message: what and why.
            base: commit of the live text that the person saw (see ``GitStore.committed``); the one that is live now by default.

        Raises:
            ProposalError: the name is not one, is taken, or nothing changes.
            UnknownSlug: a path does not belong to the content.
            StoreError: it cannot be recorded.
        """
        reference = _reference(name)
        with self._store.writing() as writer:
            if {reference, _CLOSED + name} & set(writer.repository.references):
                raise ProposalError(f"Une proposition s'appelle déjà « {name} ».")
            writer.adopt(changes)
            head = writer.repository.head.target
            start = _commit(writer.repository, base).id if base else head
            if not _is_part_of(writer.repository, head, start):
                raise StaleProposal(
                    "Le texte de départ n'est plus dans l'historique. Copiez votre texte, rechargez la page et recommencez."
                )
            tree = writer.tree(start, changes)
            if tree == writer.commit(start).tree_id:
                raise ProposalError("Rien n'a changé : il n'y a rien à proposer.")
            commit = writer.record(tree, [start], author, message)
            writer.set_branch(reference, commit)
            return Branch(name, str(start), str(commit), author, message)

    def amend(self, name: str, expected_tip: str, changes: Changes, author: Person, message: str, onto: str | None = None) -> Branch:
        """Replace what a proposal changes, in a new commit.

        Args:
            name: the proposal's.
            expected_tip: the commit that the person saw.
            changes: the whole change, against the text that the proposal began from.
            author: who amends it.
            message: why.
            onto: the change is against this commit of the live text, the latest: conflicts are solved.

        Raises:
            StaleProposal: somebody else amended it meanwhile, or ``onto`` is live no more.
            ProposalError: nothing is left of the change.
            StoreError: it cannot be recorded.
        """
        reference = self._open_reference(name)
        with self._store.writing() as writer:
            repository = writer.repository
            tip = _tip(repository, reference, expected_tip)
            writer.adopt(changes)
            head = repository.head.target
            if onto is not None and str(head) != onto:
                raise StaleProposal("Le texte en ligne a changé pendant que vous écriviez. Copiez vos changements et rechargez la page.")
            base = head if onto else _base(repository, tip, head)
            tree = writer.tree(base, changes)
            if tree == writer.commit(base).tree_id:
                raise ProposalError("Il ne reste rien de cette proposition. Retirez-la si elle n'a plus d'objet.")
            if tree != writer.commit(tip).tree_id or onto:
                tip = writer.record(tree, [tip, head] if onto else [tip], author, message)
                writer.set_branch(reference, tip)
            return Branch(name, str(base), str(tip), author, message)

    def open_branches(self) -> list[Branch]:
        """List the open proposals that git has, by name."""
        repository = self._store.repository()
        head = repository.head.target
        names = sorted(name for name in repository.references if name.startswith(_OPEN) and len(name) <= len(_OPEN) + _MAX_NAME_CHARS)
        found = ((name, repository.references.get(name)) for name in names)
        # One that is accepted or closed meanwhile is open no more.
        return [_branch(repository, name.removeprefix(_OPEN), one.target, head) for name, one in found if one is not None]

    def is_live(self, commit: str) -> bool:
        """Tell whether a commit is part of the live text's history."""
        repository = self._store.repository()
        try:
            return _is_part_of(repository, repository.head.target, _commit(repository, commit).id)
        except StoreError:
            return False

    def file_changes(self, base: str, tip: str) -> list[FileChange]:
        """List what differs between two commits, a moved article as one change.

        Raises:
            StoreError: git does not have the commits.
        """
        repository = self._store.repository()
        return list(_file_changes(repository, _commit(repository, base), _commit(repository, tip)))

    def merge(self, tip: str) -> Merge:
        """Work out what accepting a commit would write now; nothing is changed."""
        repository = self._store.repository()
        return _merge(repository, _commit(repository, tip).id)

    def accept(
        self,
        name: str,
        expected_tip: str,
        reviewer: Person,
        message: str,
        validate: Callable[[Mapping[str, str | None]], None] = lambda _: None,
    ) -> str:
        """Make a proposal live, merged with what went live since it began.

        Args:
            name: the proposal's.
            expected_tip: the commit that the reviewer read.
            reviewer: who accepts it.
            message: what goes live, and which proposal it was.
            validate: called with what would be written, while nothing else can be published; what it raises stops the publication.

        Returns:
            The id of the commit that is live.

        Raises:
            StaleProposal: it was amended meanwhile, or is closed.
            MergeConflict: the live text changed in the same places.
            ProposalError: it changes files that are no content.
            StoreError: it cannot be recorded.
        """
        reference = self._open_reference(name)

        def examine(merge: Merge) -> None:
            if merge.others:
                raise ProposalError(foreign_files(merge.others))
            validate(merge.changes)

        with self._store.writing() as writer:
            repository = writer.repository
            tip = _tip(repository, reference, expected_tip)
            live = _merge_live(writer, tip, reviewer, message, examine)
            writer.set_branch(reference, None)
            return live

    def adopt_commit(self, commit: str, who: Person, message: str) -> str:
        """Merge a commit that came from elsewhere (a forge) into the live text; its files that are not content follow unless both changed.

        Returns:
            The id of the commit that is live.

        Raises:
            MergeConflict: the live text changed in the same places.
            StoreError: it cannot be recorded.
        """
        with self._store.writing() as writer:
            repository = writer.repository
            tip = _commit(repository, commit).id
            if _is_part_of(repository, repository.head.target, tip):
                return str(repository.head.target)
            touched = changed_paths(repository, writer.commit(_base(repository, tip, repository.head.target)), writer.commit(tip))
            writer.adopt(touched, check_file)
            head = repository.head.target
            if _is_part_of(repository, tip, head):
                # History follows first parents: a merge made elsewhere has ours as its second, and would take our publications out of it.
                is_next = _is_first_parent(repository, tip, head)
                return writer.publish(tip if is_next else writer.record(writer.commit(tip).tree_id, [head, tip], who, message), touched)
            return _merge_live(writer, tip, who, message)

    def follow(self, name: str, commit: str) -> bool:
        """Move an open proposal forward to a commit that continues it, made elsewhere; tell whether it does.

        Raises:
            ProposalError: there is no such name.
            StoreError: git does not have the commit, or cannot record it.
        """
        reference = self._open_reference(name)
        with self._store.writing() as writer:
            tip = _commit(writer.repository, commit).id
            is_open = reference in writer.repository.references
            if not is_open or not _is_part_of(writer.repository, tip, writer.repository.references[reference].target):
                return False
            writer.set_branch(reference, tip)
            return True

    def close(self, name: str) -> None:
        """Put a proposal that is refused or withdrawn aside; its text stays readable. One that is not open stays as it is.

        Raises:
            ProposalError: the name is not one.
            StoreError: it cannot be recorded.
        """
        reference = self._open_reference(name)
        with self._store.writing() as writer:
            if reference in writer.repository.references:
                writer.set_branch(_CLOSED + name, writer.repository.references[reference].target)
                writer.set_branch(reference, None)

    def _open_reference(self, name: str) -> str:
        """The branch of a proposal. One that is open may have a name that git took and ``propose`` would not."""
        reference = _OPEN + name[:_MAX_NAME_CHARS]
        is_open = (
            reference == _OPEN + name and pygit2.reference_is_valid_name(reference) and reference in self._store.repository().references
        )
        return reference if is_open else _reference(name)


# ---- git ----
def _reference(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ProposalError(f"« {name[:100]} » n'est pas un nom de proposition.")
    return _OPEN + name


def _commit(repository: pygit2.Repository, revision: str) -> pygit2.Commit:
    try:
        found = repository[revision]
    except (KeyError, ValueError):
        found = None
    if not isinstance(found, pygit2.Commit):
        raise StoreError(f"Le dépôt n'a pas la version {revision[:12]}.")
    return found


def _tip(repository: pygit2.Repository, reference: str, expected: str) -> pygit2.Oid:
    if reference not in repository.references:
        raise StaleProposal("Cette proposition n'est plus ouverte. Rechargez la page.")
    tip = repository.references[reference].target
    if str(tip) != expected:
        raise StaleProposal("Cette proposition a été modifiée entre-temps. Rechargez la page et relisez-la.")
    assert isinstance(tip, pygit2.Oid)
    return tip


def _base(repository: pygit2.Repository, tip: pygit2.Oid, head: pygit2.Oid) -> pygit2.Oid:
    base = repository.merge_base(tip, head)
    if base is None:
        raise StoreError("Cette branche n'a aucun ancêtre commun avec le texte en ligne : refaites-la à partir de la branche principale.")
    return base


def _branch(repository: pygit2.Repository, name: str, tip: pygit2.Oid, head: pygit2.Oid) -> Branch:
    commit = _commit(repository, str(tip))
    author = Person(commit.author.name, commit.author.email)
    return Branch(name, str(repository.merge_base(tip, head) or tip), str(tip), author, commit.message.strip())


def _is_part_of(repository: pygit2.Repository, head: pygit2.Oid, commit: pygit2.Oid | str) -> bool:
    return str(head) == str(commit) or bool(repository.descendant_of(head, commit))


def _is_first_parent(repository: pygit2.Repository, tip: pygit2.Oid, ancestor: pygit2.Oid) -> bool:
    """Whether a commit is on the line of first parents of another."""
    walker = repository.walk(tip, SortMode.TOPOLOGICAL)
    walker.simplify_first_parent()
    return any(commit.id == ancestor for commit in walker)


# ---- merging ----
def _is_content(path: str) -> bool:
    try:
        check_path(path)
    except UnknownSlug:
        return False
    return True


def foreign_files(names: Iterable[str]) -> str:
    """Say why a proposal that changes other files than the content's is not published."""
    listed = ", ".join(f"« {name[:200]} »" for name in sorted(names)[:5])
    return (
        f"Cette proposition, faite avec git, change aussi ce qui n'est pas un article : {listed}. Personne ne peut le relire ici. "
        "Retirez ces fichiers de la branche, ou fusionnez-la dans la forge."
    )


def _merge_live(writer: Writer, tip: pygit2.Oid, who: Person, message: str, examine: Callable[[Merge], None] = lambda _: None) -> str:
    """Merge a commit into the live text, or raise what forbids it."""
    repository = writer.repository
    merge = _merge(repository, tip)
    head = repository.head.target
    writer.adopt({*merge.changes, *merge.others, *(one.live_path for one in merge.conflicts if one.live_path)}, check_file)
    if repository.head.target != head:  # files edited by hand are live text too
        head, merge = repository.head.target, _merge(repository, tip)
    if merge.conflicts:
        raise MergeConflict(merge)
    examine(merge)
    tree = writer.tree(head, merge.changes)
    if merge.others:
        tree = writer.tree_with(writer.commit(writer.record(tree, [head], who, message)), merge.others)
    return writer.publish(writer.record(tree, [head, tip], who, message), [*merge.changes, *merge.others])


def _other_files(repository: pygit2.Repository, tip: pygit2.Oid, head: pygit2.Oid) -> dict[str, pygit2.Oid | None]:
    """Files that are not content (the forge's own) which only the other side changed."""
    base, other, live = (_commit(repository, str(one)) for one in (_base(repository, tip, head), tip, head))
    touched = (path for path in changed_paths(repository, base, other) if not _is_content(path))
    return {path: blob_at(other, path) for path in touched if blob_at(live, path) == blob_at(base, path)}


def _merge(repository: pygit2.Repository, tip: pygit2.Oid) -> Merge:
    live = _commit(repository, str(repository.head.target))
    base, other = _commit(repository, str(_base(repository, tip, live.id))), _commit(repository, str(tip))
    changes: dict[str, str | None] = {}
    conflicts = []
    for change in _file_changes(repository, base, other):
        merged = _merge_one(repository, live, change)
        if isinstance(merged, Conflict):
            conflicts.append(merged)
        else:
            changes |= merged
    return Merge(changes, tuple(conflicts), _other_files(repository, tip, live.id))


def _merge_one(repository: pygit2.Repository, live: pygit2.Commit, change: FileChange) -> dict[str, str | None] | Conflict:
    """What to write on the live text for one change."""
    old, new = change.old_path, change.new_path
    if old is None:
        assert new is not None
        there = text_at(repository, live, new)
        return {new: change.after} if there in (None, change.after) else Conflict(change, new, there, "exists")
    here = old if blob_at(live, old) else _moved_to(repository, live, old)
    text = text_at(repository, live, here) if here else None
    if here is None or text is None or here.startswith(paths.ARCHIVE) != old.startswith(paths.ARCHIVE):
        already = new is None or (here == new and text == change.after)
        return {} if already else Conflict(change, here, text, "gone")
    if new is None:
        return {here: None} if text == change.before else Conflict(change, here, text, "both-changed")
    target, both_moved = _target(old, here, new)
    moved: dict[str, str | None] = {here: None} if target != here else {}
    if target != here and blob_at(live, target):
        return Conflict(change, here, text, "exists")
    if text == change.before and not both_moved:
        return {target: change.after, **moved}
    if text == change.after and not both_moved:
        return {target: text, **moved}
    assert change.before is not None
    assert change.after is not None
    if not target.endswith(".md"):
        return Conflict(change, here, text, "both-changed")
    try:
        merged = merge_articles(Article.parse(change.before, old), Article.parse(text, here), Article.parse(change.after, target))
    except ContentError:
        return Conflict(change, here, text, "broken")
    if merged.article is None:
        return Conflict(change, here, text, "both-changed", merged)
    return {target: merged.article.source, **moved}


def _target(old: str, here: str, new: str) -> tuple[str, bool]:
    """Where a moved article goes, and whether both sides moved it differently: one may change its name, the other its service."""
    sides = list(zip(*(_parts(path) for path in (old, here, new)), strict=True))
    target = "/".join(part for was, live, wanted in sides if (part := live if wanted == was else wanted))
    return target, any(was not in (live, wanted) and live != wanted for was, live, wanted in sides)


def _parts(path: str) -> tuple[str, str, str]:
    """On line or archived, the service's folder, the name."""
    top, _, rest = path.partition("/")
    folder, _, name = rest.rpartition("/")
    return top, folder, name


def _file_changes(repository: pygit2.Repository, base: pygit2.Commit, tip: pygit2.Commit) -> Iterator[FileChange]:
    """Yield the content files that differ, an article that went under one name and came back under another as one change."""
    texts = {
        path: (text_at(repository, base, path), text_at(repository, tip, path))
        for path in changed_paths(repository, base, tip)
        if _is_content(path)
    }
    gone = {path: before for path, (before, after) in texts.items() if after is None}
    for path, (before, after) in texts.items():
        if after is None:
            continue
        old = _old_path(path, after, gone) if before is None else path
        yield FileChange(old, path, gone.pop(old) if old is not None and before is None else before, after)
    for path, before in gone.items():
        yield FileChange(path, None, before, None)


def _old_path(path: str, text: str, gone: Mapping[str, str | None]) -> str | None:
    """The path, among those that went, of the article now at ``path``: it kept its slug, or calls it an alias, or kept its whole text."""
    slugs = {_slug(path), *_aliases(path, text)}
    named = (old for old in gone if old.endswith(".md") and _slug(old) in slugs)
    return next(named, None) or next((old for old, before in gone.items() if before == text), None)


def _moved_to(repository: pygit2.Repository, live: pygit2.Commit, path: str) -> str | None:
    """Where the article that was at ``path`` is now: another folder, the archive, or another name that keeps this one as an alias."""
    slug = _slug(path)
    named = []
    for candidate in _articles(live):
        if _slug(candidate) == slug:
            return candidate
        named.append(candidate)
    for candidate in named:
        text = text_at(repository, live, candidate) or ""
        if slug in text and slug in _aliases(candidate, text):
            return candidate
    return None


def _articles(commit: pygit2.Commit) -> Iterator[str]:
    # The last is read first: an article on line goes before one of the same name in the archive.
    pending = [(name, commit.tree[name]) for name in (paths.ARCHIVE, paths.ARTICLES) if name in commit.tree]
    while pending:
        path, found = pending.pop()
        if isinstance(found, pygit2.Tree):
            pending += [(f"{path}/{entry.name}", entry) for entry in found]
        elif path.endswith(".md"):
            yield path


def _slug(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".md")


def _aliases(path: str, text: str) -> tuple[str, ...]:
    try:
        return Article.parse(text, path).meta.aliases
    except ContentError:
        return ()
