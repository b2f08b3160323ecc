"""What people do with proposals and requests, in git first and in the database after it.

Guarantees: a text is in git before a row speaks of it, so a process that dies between the two leaves a row to make, never a text to find
(``reconcile`` makes it); nothing is published that breaks a link or a reply; nobody but an editor of the services concerned decides.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from flask_babel import gettext as _

from kb import checks, paths, personal_data
from kb import proposals as git_proposals
from kb.article import Article
from kb.checks import Finding
from kb.draft import Draft
from kb.errors import ContentError, Problem, StoreError
from kb.git_store import settled
from kb.library import Library
from kb.proposals import Branch, FileChange, Merge, ProposalError
from webapp import views
from webapp.accounts import Account
from webapp.accounts.models import MAX_NAME_CHARS, User
from webapp.database import session
from webapp.proposals.models import OPEN, WRITING, Action, Event, Kind, Proposal, State
from webapp.state import Bible, bible

log = logging.getLogger(__name__)

Query = TypeVar("Query", bound="sa.Select[Any]")

_MESSAGES: Mapping[str, str] = {
    "edit": "Modifie « {title} »",
    "create": "Crée « {title} »",
    "rename": "Renomme « {title} »",
    "archive": "Archive « {title} »",
    "restore": "Rétablit « {title} »",
}


class NotPublishable(ProposalError):
    """Publishing would break something; ``findings`` say what, and where."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(_("La publication est impossible tant que ces points ne sont pas corrigés."))
        self.findings = findings


@dataclass(frozen=True)
class Change:
    """What a person wants to change: which files, and how to name it."""

    kind: str
    slug: str
    title: str
    service: str
    changes: Mapping[str, str | None]
    former_service: str | None = None


# ---- making them ----
def submit(change: Change, account: Account, message: str = "", base: str | None = None, answers: Proposal | None = None) -> Proposal:
    """Propose a change.

    Args:
        change: what changes.
        account: who proposes it.
        message: why, in their words.
        base: commit that they saw the live text at.
        answers: the request that this answers.

    Raises:
        ProposalError: nothing changes.
        StoreError: it cannot be recorded.
    """
    name = f"{views.today():%Y%m%d}-{change.slug[:80]}-{secrets.token_hex(4)}".lower()
    with _in_step():
        branch = bible().proposals.propose(paths.slugify(name), change.changes, account.person, _commit_message(change, message), base)
        proposal = Proposal(
            kind=change.kind,
            slug=change.slug,
            title=change.title,
            service=change.service,
            former_service=change.former_service,
            message=message,
            branch=branch.name,
            base=branch.base,
            tip=branch.tip,
            author_id=account.id,
            author_name=account.name,
            answers=answers,
        )
        proposal.record("opened", account.id, account.name)
        return _saved(proposal)


def amend(proposal: Proposal, change: Change, account: Account, message: str = "", onto: str | None = None) -> Proposal:
    """Replace what a proposal changes; it waits for a review again.

    Raises:
        StaleProposal: it changed meanwhile.
        ProposalError: it is closed, or nothing is left of it.
        StoreError: it cannot be recorded.
    """
    _must_be_open(proposal)
    assert proposal.branch is not None
    assert proposal.tip is not None
    with _in_step():
        branch = bible().proposals.amend(
            proposal.branch, proposal.tip, change.changes, account.person, _commit_message(change, message), onto
        )
        if branch.tip == proposal.tip:
            return proposal
        proposal.base, proposal.tip = branch.base, branch.tip
        proposal.slug, proposal.title, proposal.kind = change.slug, change.title, change.kind
        proposal.service, proposal.former_service = change.service, change.former_service
        proposal.state = "open"
        proposal.record("solved" if onto else "amended", account.id, account.name, message)
        return _saved(proposal)


def ask(account: Account, service: str, title: str, text: str, slug: str = "") -> Proposal:
    """Send a request to a service: a wrong answer, a missing subject. What looks like personal data is masked.

    Args:
        account: who asks.
        service: key of the service that should answer.
        title: what it is about, in a few words.
        text: what the citizen asks, in the agent's words.
        slug: the article concerned, if there is one.
    """
    masked = personal_data.mask(text).text
    proposal = Proposal(
        kind="request",
        slug=slug,
        title=personal_data.mask(title).text[:300],
        service=service,
        message=masked,
        author_id=account.id,
        author_name=account.name,
    )
    proposal.record("opened", account.id, account.name)
    return _saved(proposal)


def _commit_message(change: Change, message: str) -> str:
    return "\n\n".join(part for part in (_MESSAGES[change.kind].format(title=change.title), message) if part)


def _in_step() -> AbstractContextManager[None]:
    """Hold git's lock until the rows say what git says: whoever compares the two meanwhile (``reconcile``) would make them twice."""
    return settled(bible().store.folder)


def _saved(proposal: Proposal) -> Proposal:
    session().add(proposal)
    session().commit()
    bible().stirred.set()
    return proposal


# ---- talking about them, deciding ----
def reviews(proposal: Proposal, account: Account) -> bool:
    """Tell whether somebody edits every service concerned; what belongs to none (``services.yml``) is the administrators'."""
    return account.is_admin or (bool(proposal.services) and all(account.may_review(key) for key in proposal.services))


def may_decide(proposal: Proposal, account: Account) -> bool:
    """Tell whether somebody may accept, refuse or send back a proposal: an editor of every service concerned, its author aside."""
    is_own = proposal.author_id == account.id and not proposal.is_request
    return reviews(proposal, account) and (bible().settings.self_publish or not is_own)


def may_publish(proposal: Proposal, account: Account) -> bool:
    """Tell whether somebody may publish a proposal: who decides on it, whoever wrote its last text aside."""
    return may_decide(proposal, account) and (bible().settings.self_publish or proposal.writer_id != account.id)


def may_amend(proposal: Proposal, account: Account) -> bool:
    """Tell whether somebody may change a proposal: its author, and whoever reviews it."""
    return proposal.author_id == account.id or reviews(proposal, account)


def comment(proposal: Proposal, account: Account, text: str) -> None:
    """Add a comment."""
    proposal.record("commented", account.id, account.name, text)
    _saved(proposal)


def decide(proposal: Proposal, account: Account, state: State, text: str) -> None:
    """Send a proposal back, refuse it or withdraw it, and say why.

    Args:
        proposal: an open one.
        account: who decides; the route made sure that they may.
        state: ``changes_requested``, ``refused`` or ``withdrawn``; ``accepted`` for a request that is dealt with.
        text: why.

    Raises:
        ProposalError: it is closed already.
        StoreError: git cannot record it.
    """
    with _in_step():
        session().refresh(proposal)  # published meanwhile, it is not refused
        _must_be_open(proposal)
        action: Action = state if state != "open" else "opened"
        proposal.state = state
        proposal.record(action, account.id, account.name, text)
        # The reason first: were the branch put aside first, a death in between would leave a closed proposal without one.
        _saved(proposal)
        if not proposal.is_open and proposal.branch is not None:
            bible().proposals.close(proposal.branch)


def accept(proposal: Proposal, account: Account, tip: str, text: str = "") -> None:
    """Publish a proposal: merged with what went live meanwhile, checked, live, indexed.

    Args:
        proposal: an open one.
        account: the reviewer; the route made sure that they may.
        tip: the commit that they read.
        text: a last word.

    Raises:
        StaleProposal: it was amended meanwhile, or is closed.
        MergeConflict: the live text changed in the same places.
        NotPublishable: it would break a link or a reply.
        StoreError: git cannot record it.
    """
    _must_be_open(proposal)
    assert proposal.branch is not None
    message = f"Publie « {proposal.title} » (proposition n° {proposal.id})\n\nBible-Proposal: {proposal.id}"
    state = bible()

    def validate(changes: Mapping[str, str | None]) -> None:
        library = state.library.refreshed()
        findings = _findings(proposal, library, changes)
        if findings:
            raise NotPublishable(findings)
        if not account.is_admin and not owners(library, changes) <= account.services:
            # Its article was moved meanwhile, or a branch that git made changes others beside it.
            raise ProposalError(_("Cette proposition touche aussi un autre service : un rédacteur de tous ces services peut la publier."))

    with _in_step():
        live = state.proposals.accept(proposal.branch, tip, account.person, message, validate)
        _published(proposal, live, account.id, account.name, text)
    state.live.refresh()


def _published(proposal: Proposal, live: str, author_id: int | None, author_name: str, text: str = "") -> None:
    proposal.state, proposal.live = "accepted", live
    proposal.record("accepted", author_id, author_name, text)
    request = proposal.answers
    if request is not None and request.is_open:
        request.state = "accepted"
        request.record("accepted", author_id, author_name)
    _saved(proposal)


def decided_elsewhere(proposal: Proposal, state: State, live: str | None, text: str) -> None:
    """Follow a decision that was taken on the forge; the branch, which says no more, is put aside.

    One that was taken here meanwhile stands: the next pass sees to it.
    """
    known = proposal.state
    with _in_step():
        session().refresh(proposal)
        if proposal.state != known:
            return
        proposal.is_settled_there = True
        if state == "accepted":
            _published(proposal, live or bible().store.head(), None, _("La forge"), text)
        else:
            proposal.state = state
            proposal.record(state if state != "open" else "opened", None, _("La forge"), text)
            _saved(proposal)
        if proposal.branch is not None:
            bible().proposals.close(proposal.branch)


def _must_be_open(proposal: Proposal) -> None:
    if not proposal.is_open:
        raise ProposalError(_("Cette proposition est déjà close."))


def _findings(proposal: Proposal, library: Library, changes: Mapping[str, str | None]) -> tuple[Finding, ...]:
    """What forbids publishing a proposal: what its change would break, or a new article that is there already, word for word."""
    there = library.articles.get(proposal.slug) if proposal.kind == "create" else None
    if there is not None and changes.get(there.path) == there.source:
        reason = _(
            "Un article identique est déjà en ligne à cette adresse : cette proposition n'a plus d'objet. Retirez-la, ou refusez-la."
        )
        return (Finding(there.path, 1, "error", "already-live", reason),)
    return blockers(library, changes)


def blockers(library: Library, changes: Mapping[str, str | None]) -> tuple[Finding, ...]:
    """List what forbids publishing a change: a broken link or a new error in an article that it touches, a link elsewhere that it breaks.

    An error that the live article has already forbids nothing: a correction may come one step at a time.

    Args:
        library: the live text.
        changes: path → new text, or ``None`` for a file that goes.
    """
    try:
        new = library.changed(changes)
    except ContentError as error:
        return (_broken(error.problem),)
    found: list[Finding] = []
    for article in new.articles.values():
        if article.path in changes:
            before = next((library.articles[name] for name in (article.slug, *article.meta.aliases) if name in library.articles), None)
            # Counted by kind: a message may hold a length, which changes with the text.
            known = Counter(one.code for one in _errors(before, library)) if before else Counter()
            for one in _errors(article, new):
                known[one.code] -= 1
                if one.code == "broken-link" or known[one.code] < 0:
                    found.append(one)
    lost = {slug for slug, article in library.articles.items() if article.path in changes and slug not in new.articles}
    for slug in sorted(lost - set(new.aliases)):
        for source in library.backlinks.get(slug, ()):
            other = new.articles.get(source)
            if other is not None and other.path not in changes:
                title = library.articles[slug].title
                reason = _("Cet article pointe vers « %(title)s », qui ne serait plus en ligne : modifiez d'abord ce lien.", title=title)
                found.append(Finding(other.path, 1, "error", "broken-link", reason))
    return tuple(found)


def owners(library: Library, changes: Mapping[str, str | None]) -> frozenset[str]:
    """Keys of the services whose articles a change touches; an address that leads elsewhere is nobody's. An empty one: no service's.

    Args:
        library: the live text.
        changes: path → new text, or ``None`` for a file that goes.
    """
    new = library.changed(changes)
    found = set()
    for path in changes:
        before, after = (next((one for one in side.articles.values() if one.path == path), None) for side in (library, new))
        if before is None or after is None or Draft.from_article(before) != Draft.from_article(after):
            found |= {one.service for one in (before, after) if one is not None}
    if any(not path.startswith((f"{paths.ARTICLES}/", f"{paths.ARCHIVE}/")) for path in changes):
        found.add("")
    return frozenset(found)


def _errors(article: Article, library: Library) -> list[Finding]:
    return checks.check_article(article, library, views.today(), errors_only=True)


def _broken(problem: Problem) -> Finding:
    return Finding(problem.path, problem.line, "error", "broken-file", problem.message)


# ---- reading them ----
@dataclass(frozen=True)
class Outlook:
    """What would happen if a proposal were accepted now: what would be written, what conflicts, what forbids it."""

    merge: Merge
    findings: tuple[Finding, ...]

    @property
    def is_publishable(self) -> bool:
        return not (self.merge.conflicts or self.merge.others or self.findings)

    @property
    def foreign_files(self) -> str:
        """What forbids publishing a proposal that changes other files than the content's; empty where it changes none."""
        return git_proposals.foreign_files(self.merge.others) if self.merge.others else ""


def outlook(proposal: Proposal) -> Outlook:
    """Work out what accepting a proposal would do; nothing is changed.

    Raises:
        StoreError: git cannot be read.
    """
    state = bible()
    assert proposal.tip is not None
    merge = state.proposals.merge(proposal.tip)
    return Outlook(merge, () if merge.conflicts else _findings(proposal, state.library, merge.changes))


@dataclass(frozen=True)
class Which:
    """Which proposals and requests: open, closed or all; of a service; by a person; waiting for a person's decision (``reviewer``)."""

    state: str = "open"
    service: str | None = None
    author: int | None = None
    reviewer: Account | None = None


def listed(which: Which, limit: int = 100, offset: int = 0) -> list[Proposal]:
    """List proposals and requests, the latest change first."""
    query = _filtered(sa.select(Proposal), which).order_by(Proposal.updated_at.desc(), Proposal.id.desc())
    return list(session().scalars(query.limit(limit).offset(offset)))


def count(which: Which) -> int:
    """Count what ``listed`` lists."""
    return session().scalar(_filtered(sa.select(sa.func.count(Proposal.id)), which)) or 0


def open_counts() -> dict[str, int]:
    """Service → how many proposals and requests wait."""
    query = sa.select(Proposal.service, sa.func.count()).where(Proposal.state.in_(OPEN)).group_by(Proposal.service)
    return dict(session().execute(query).all())


def open_about(slug: str) -> list[Proposal]:
    """Open proposals and requests about an article."""
    return list(session().scalars(sa.select(Proposal).where(Proposal.slug == slug, Proposal.state.in_(OPEN)).order_by(Proposal.id)))


def _filtered(query: Query, which: Which) -> Query:
    reviewer = which.reviewer
    if reviewer is not None:  # not those that were sent back, nor what somebody else must review
        query = query.where(Proposal.state == "open")
        if not bible().settings.self_publish:
            wrote = sa.select(Event.author_id).where(Event.proposal_id == Proposal.id, Event.action.in_(WRITING))
            writer = wrote.order_by(Event.id.desc()).limit(1).correlate(Proposal).scalar_subquery()
            others = sa.and_(Proposal.author_id.is_distinct_from(reviewer.id), writer.is_distinct_from(reviewer.id))
            query = query.where(sa.or_(Proposal.kind == "request", others))
    elif which.state != "all":
        query = query.where(Proposal.state.in_(OPEN) if which.state == "open" else Proposal.state.not_in(OPEN))
    if which.service is not None:
        query = query.where(sa.or_(Proposal.service == which.service, Proposal.former_service == which.service))
    if reviewer is not None and not reviewer.is_admin:
        query = query.where(Proposal.service.in_(reviewer.services))
        query = query.where(sa.or_(Proposal.former_service.is_(None), Proposal.former_service.in_(reviewer.services)))
    return query.where(Proposal.author_id == which.author) if which.author is not None else query


# ---- git has the last word ----
def reconcile(state: Bible | None = None) -> int:
    """Make the rows say what git says: branches without a row, proposals published or changed elsewhere.

    Returns:
        How many rows changed.

    Raises:
        StoreError: git cannot be read.
    """
    state = state or bible()
    if not state.store.is_repository:
        return 0
    with settled(state.store.folder):
        return _reconciled(state)


def _reconciled(state: Bible) -> int:
    branches = {branch.name: branch for branch in state.proposals.open_branches()}
    concerned = sa.and_(Proposal.branch.is_not(None), sa.or_(Proposal.state.in_(OPEN), Proposal.branch.in_(branches)))
    rows = {proposal.branch: proposal for proposal in session().scalars(sa.select(Proposal).where(concerned))}
    changed = 0
    for name, branch in branches.items():
        row = rows.get(name)
        is_merged = branch.base == branch.tip
        if row is None:
            if is_merged:  # made and not written on yet
                continue
            session().add(_row_of(branch))
        elif not row.is_open:
            state.proposals.close(name)
        elif is_merged:  # by git or the forge, with a commit that keeps it
            row.tip = branch.tip
            _published(row, state.store.head(), None, "git", row.pull_request_url or "")
            state.proposals.close(name)
        elif row.tip != branch.tip:
            row.base, row.tip, row.state = branch.base, branch.tip, "open"
            author = _user_of(branch)
            row.record("amended", author.id if author else None, branch.author.name)
        else:
            continue
        changed += 1
    for branch_name, row in rows.items():
        if row.is_open and row.tip and branch_name not in branches:
            if state.proposals.is_live(row.tip):
                _published(row, state.store.head(), None, "git")
            else:
                row.state = "withdrawn"
                row.record("withdrawn", None, "git")
            changed += 1
    session().commit()
    return changed


def _row_of(branch: Branch) -> Proposal:
    """Make the row of a branch that has none. What it changes says whose article it is: a commit's message may say anything."""
    summary, _newline, reason = branch.message.partition("\n")
    try:
        changes = bible().proposals.file_changes(branch.base, branch.tip)
    except StoreError:
        changes = []
    articles = [one for one in changes if one.path.endswith(".md")]
    # An article that comes, goes or moves, before those that are edited for it.
    main = next((one for one in articles if _kind_of(one) != "edit"), articles[0] if articles else None)
    before, after = _service_of(main.old_path, main.before) if main else "", _service_of(main.new_path, main.after) if main else ""
    author = _user_of(branch)
    proposal = Proposal(
        kind=_kind_of(main),
        slug=main.path.rsplit("/", 1)[-1].removesuffix(".md")[:200] if main else "",
        title=_title_of(main) or summary[:300] or branch.name,
        service=(after or before)[:200],
        former_service=before[:200] if before and after and before != after else None,
        message=reason.strip(),
        branch=branch.name,
        base=branch.base,
        tip=branch.tip,
        author_id=author.id if author else None,
        author_name=branch.author.name[:MAX_NAME_CHARS],
    )
    proposal.record("opened", proposal.author_id, proposal.author_name)
    return proposal


def _user_of(branch: Branch) -> User | None:
    """Who wrote a branch, known by the e-mail address."""
    return session().scalar(sa.select(User).where(User.email == branch.author.email.lower()))


def _service_of(path: str | None, text: str | None) -> str:
    """Key of the service that owns an article; its folder's, when the text cannot be read."""
    if path is None or text is None:
        return ""
    try:
        return Article.parse(text, path).service
    except ContentError:
        parts = path.split("/")
        return parts[-2] if len(parts) > 2 else ""


def _kind_of(change: FileChange | None) -> Kind:
    if change is None or (change.old_path and change.old_path == change.new_path):
        return "edit"
    if change.old_path is None:
        return "create"
    if change.new_path is None or change.new_path.startswith(f"{paths.ARCHIVE}/"):
        return "archive"
    return "restore" if change.old_path.startswith(f"{paths.ARCHIVE}/") else "rename"


def _title_of(change: FileChange | None) -> str:
    text = (change.after or change.before) if change else None
    if change is None or text is None:
        return ""
    try:
        return Article.parse(text, change.path).title
    except ContentError:
        return ""
