"""The content on a forge: proposals are pushed and opened as pull requests, what is merged there comes here.

Guarantees: nothing here waits for the forge, which is spoken to from a thread of its own; each pass compares what is here with what is
there and does what is missing, so a forge that is down, or a process that dies, delays and loses nothing; one worker at a time speaks;
no commit that is only there is ever overwritten.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout
from flask import Flask
from flask_babel import gettext as _

from kb.errors import KbError
from kb.forges import Forge, ForgeError, PullRequest, forge_for, parse_address
from kb.git_store import SOFTWARE
from kb.proposals import MergeConflict
from kb.remote import LIMIT_SECONDS, TRACKING, BranchMissing, BranchMoved, Remote
from search.errors import SearchError
from webapp.database import now, session
from webapp.proposals import service
from webapp.proposals.models import OPEN, Proposal
from webapp.settings import Settings
from webapp.state import Bible, bible

log = logging.getLogger(__name__)

_PREFIX = "proposals/"
# Where the live text is pushed when the forge's own branch cannot be merged with it.
_ASIDE = "bible/en-ligne"
# What every forge takes as a title (GitLab: 255).
_TITLE_CHARS = 250
# When another worker was at it while this one was called.
_AGAIN_SECONDS = 2
# The forge refuses us, whatever we ask.
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
_TOLD = {"accepted": "Publiée dans La Bible.", "refused": "Refusée dans La Bible.", "withdrawn": "Retirée dans La Bible."}


@dataclass(frozen=True)
class SyncReport:
    """How the last pass went: when (ISO, UTC), and what could not be done, in French."""

    at: str
    errors: tuple[str, ...] = ()


@dataclass
class _Pass:
    """One pass, with what it speaks to, what it found there and what went wrong on the way.

    ``there`` is the commit of the forge's live branch (``None``: it has none yet); ``pulls`` are the open pull requests by number
    (``None``: unknown, so nothing is decided from them).
    """

    state: Bible
    remote: Remote
    forge: Forge | None = None
    there: str | None = None
    pulls: dict[int, PullRequest] | None = None
    errors: list[str] = field(default_factory=list)


def start(app: Flask, settings: Settings) -> None:
    """Speak to the forge from a thread, when there is one: at once, after every change, and every ``sync_seconds``."""
    if settings.remote:
        threading.Thread(target=_run, args=(app, settings.sync_seconds), name="bible-sync", daemon=True).start()


def _run(app: Flask, every_seconds: int) -> None:
    is_called = False
    while True:
        with app.app_context():
            stirred = bible().stirred
            stirred.clear()
            try:
                # Another worker's pass may be past what this one was called for.
                is_missed = synchronise() is None and is_called
            except Exception:  # the thread must outlive whatever one pass meets
                log.exception("unexpected failure while speaking to the forge; the next pass tries again")
                is_missed = False
        is_called = stirred.wait(min(_AGAIN_SECONDS, every_seconds) if is_missed else every_seconds) or is_missed


def remote_of(settings: Settings) -> Remote:
    """The content repository as the settings say that the forge keeps it."""
    return Remote(settings.remote, settings.remote_user, settings.remote_token, settings.remote_branch)


def synchronise() -> SyncReport | None:
    """Make one pass; ``None`` when another worker is making one, or there is no forge."""
    state = bible()
    settings = state.settings
    if not settings.remote:
        return None
    try:
        with FileLock(settings.var_dir / "sync.lock", timeout=0):
            try:
                report = _made(state)
            except Exception as error:
                _remember(settings, _report([f"Échec inattendu ({type(error).__name__}) : le journal du service en dit plus."]))
                raise
            _remember(settings, report)
            return report
    except Timeout:
        return None


def last_report(settings: Settings) -> SyncReport | None:
    """How the last pass of any worker went."""
    try:
        content = json.loads((settings.var_dir / "sync.json").read_text(encoding="utf-8"))
        return SyncReport(content["at"], tuple(content["errors"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(settings: Settings, report: SyncReport) -> None:
    path = settings.var_dir / "sync.json"
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(asdict(report)), encoding="utf-8")
    temporary.replace(path)


def _report(errors: list[str]) -> SyncReport:
    return SyncReport(now().isoformat(timespec="seconds"), tuple(dict.fromkeys(errors)))


def _made(state: Bible) -> SyncReport:
    one = _Pass(state, remote_of(state.settings))
    for step in (_find_forge, _fetch, _take_live, _take_proposals, _take_decisions, _give_live, _give_proposals, _tell_decisions):
        session().expire_all()  # the steps are long, and people go on working
        try:
            step(one)
        except (KbError, SearchError) as error:
            one.errors.append(str(error))
            if step is _fetch:
                break  # what follows would compare with what was there, and wait again
    report = _report(one.errors)
    for message in report.errors:
        log.warning("%s", message)
    return report


def _find_forge(one: _Pass) -> None:
    """Find the forge's API; a repository on a disk has none, it takes branches but knows no pull requests."""
    settings = one.state.settings
    if not settings.remote_token:
        return
    try:
        parse_address(settings.remote)
    except ForgeError:
        if settings.forge:
            raise
        return
    one.forge = forge_for(settings.remote, settings.forge, settings.forge_api, settings.remote_token)


# ---- there → here ----
def _fetch(one: _Pass) -> None:
    git_folder = Path(one.state.store.repository().path)
    for stale in (git_folder / TRACKING).rglob("*.lock"):  # of a pass that was killed: only one runs at a time
        stale.unlink(missing_ok=True)
    packed = git_folder / "packed-refs.lock"  # somebody's own git may be at work, but not for so long
    with suppress(FileNotFoundError):
        if time.time() - packed.stat().st_mtime > LIMIT_SECONDS:
            packed.unlink()
    with suppress(BranchMissing):  # a repository that is still empty
        one.there = one.remote.fetch(one.state.store.folder)


def _take_live(one: _Pass) -> None:
    """Merge what the forge's main branch has and ours has not."""
    if one.there is None or one.state.proposals.is_live(one.there):
        return
    branch, repository = one.remote.branch, one.state.store.repository()
    if repository.merge_base(one.there, repository.head.target) is None:
        one.errors.append(
            f"La branche {branch} de la forge n'a pas la même origine que le contenu : le dépôt de la forge devait être vide au départ. "
            "Refaites-le vide (sans fichier LISEZ-MOI), ou mettez BIBLE_KB_DIR sur une copie de ce dépôt."
        )
        return
    try:
        one.state.proposals.adopt_commit(one.there, SOFTWARE, f"Réunit la branche {branch} de la forge")
    except MergeConflict as conflict:
        files = ", ".join(each.change.path for each in conflict.merge.conflicts)
        one.errors.append(
            f"La branche {branch} de la forge et le texte en ligne ont changé aux mêmes endroits ({files}). Le texte en ligne reste tel "
            f"quel. Dans la forge, fusionnez « {_ASIDE} » dans « {branch} » par un commit de fusion (sans « squash »), en choisissant "
            "ce qu'il faut garder."
        )


def _take_proposals(one: _Pass) -> None:
    """Follow proposals that were continued there, and make the rows and the index say what git says now."""
    there = _tracked(one.state)
    for branch in one.state.proposals.open_branches():
        tip = there.get(_PREFIX + branch.name, branch.tip)
        if tip != branch.tip:
            one.state.proposals.follow(branch.name, tip)
    service.reconcile()
    for proposal in open_proposals():
        if there.get(f"{_PREFIX}{proposal.branch}") == proposal.tip:
            proposal.pushed_tip = proposal.tip
    session().commit()
    one.state.refresh()


def _tracked(state: Bible) -> dict[str, str]:
    """Branches as the forge has them: name → commit."""
    repository = state.store.repository()
    return {
        name.removeprefix(TRACKING): str(repository.references[name].target) for name in repository.references if name.startswith(TRACKING)
    }


def open_proposals() -> list[Proposal]:
    """The proposals that the forge should have, oldest first."""
    return list(session().scalars(sa.select(Proposal).where(Proposal.state.in_(OPEN), Proposal.branch.is_not(None)).order_by(Proposal.id)))


def _take_decisions(one: _Pass) -> None:
    """Learn which pull requests are open, and follow those that were merged or closed there."""
    if one.forge is None:
        return
    pulls = {found.number: found for found in one.forge.list_open() if found.base == one.remote.branch}
    by_branch = {found.branch: found for found in pulls.values()}
    names = [name.removeprefix(_PREFIX) for name in by_branch if name.startswith(_PREFIX)]
    query = sa.select(Proposal).where(
        Proposal.is_settled_there.is_(False), sa.or_(Proposal.pull_request.is_not(None), Proposal.branch.in_(names))
    )
    for proposal in session().scalars(query.order_by(Proposal.id)):
        found = by_branch.get(f"{_PREFIX}{proposal.branch}")
        if found is not None:  # maybe one that we do not know: opened by hand, or by a process that was killed before it wrote so
            proposal.pull_request, proposal.pull_request_url = found.number, found.url[:500]
        elif proposal.is_open:
            try:
                _decided_there(one, one.forge, proposal)
            except KbError as error:
                _note(one, proposal, error)
        session().commit()
    one.pulls = pulls


def _decided_there(one: _Pass, forge: Forge, proposal: Proposal) -> None:
    found = _read(forge, proposal)
    session().refresh(proposal)
    if not proposal.is_open or (found is not None and found.state == "open"):
        return
    if found is None:
        proposal.pull_request = proposal.pull_request_url = None  # it gets another one
    elif found.state == "closed":
        service.decided_elsewhere(proposal, "withdrawn", None, found.url)
    elif not (found.merge_commit and one.state.proposals.is_live(found.merge_commit)):
        return  # its text is not here yet: the next fetch brings it
    elif proposal.pushed_tip != proposal.tip:
        # Amended here after what was merged there: the rest waits for a review of its own.
        proposal.pull_request = proposal.pull_request_url = None
        said = _("Une version antérieure à la dernière modification a été fusionnée dans la forge : %(url)s", url=found.url)
        proposal.record("commented", None, _("La forge"), said)
    else:
        service.decided_elsewhere(proposal, "accepted", found.merge_commit, found.url)


def _read(forge: Forge, proposal: Proposal) -> PullRequest | None:
    """The proposal's pull request; ``None`` when the forge has none, or its number is another's: the forge was replaced."""
    assert proposal.pull_request is not None
    try:
        found = forge.read(proposal.pull_request)
    except ForgeError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return None
    return found if found.branch == f"{_PREFIX}{proposal.branch}" else None


# ---- here → there ----
def _give_live(one: _Pass) -> None:
    """Push the live text; where the forge's branch could not be merged, beside it, for people to merge there."""
    repository = one.state.store.repository()
    live = repository.head
    if one.there is None or one.state.proposals.is_live(one.there):
        try:
            _push(one, live.shorthand, one.remote.branch, str(live.target))
        except BranchMoved:
            one.state.stirred.set()  # somebody was faster: the next pass merges that first
        return
    if repository.merge_base(one.there, live.target) is None:
        return
    with suppress(BranchMoved):  # people are at it
        _push(one, live.shorthand, _ASIDE, str(live.target))
    if one.forge is not None and one.pulls is not None:
        body = "Les deux branches ont changé aux mêmes endroits. À fusionner par un commit de fusion, sans « squash »."
        _open(one, one.forge, _ASIDE, f"Texte en ligne à réunir avec {one.remote.branch}", body)


def _push(one: _Pass, here: str, there: str, tip: str | None) -> None:
    known = one.state.store.repository().references.get(TRACKING + there)
    if known is None or str(known.target) != tip:
        one.remote.push(one.state.store.folder, [f"{here}:{there}"])


def _open(one: _Pass, forge: Forge, branch: str, title: str, body: str) -> PullRequest:
    opened = forge.open(branch, one.remote.branch, title[:_TITLE_CHARS], body)
    if one.pulls is not None:
        one.pulls[opened.number] = opened
    return opened


def _give_proposals(one: _Pass) -> None:
    """Push the branches that moved and open a pull request for each that has none."""
    for proposal in open_proposals():
        branch = f"{_PREFIX}{proposal.branch}"
        # A branch that went with its pull request is not put back.
        is_wanted = proposal.pushed_tip != proposal.tip or one.forge is None or proposal.pull_request in (None, *(one.pulls or ()))
        try:
            if is_wanted:
                _push(one, branch, branch, proposal.tip)
                proposal.pushed_tip = proposal.tip
            if one.forge is not None and one.pulls is not None and proposal.pull_request is None:
                opened = _open(one, one.forge, branch, proposal.title, _body(proposal))
                proposal.pull_request, proposal.pull_request_url = opened.number, opened.url[:500]
        except BranchMoved:
            one.errors.append(
                f"Proposition n° {proposal.id} : elle a changé ici et dans la forge à la fois ; rien n'est perdu, mais la dernière version "
                "d'ici n'y est pas. Reprenez ici ce qui n'est que dans la forge, puis publiez ou refusez ici."
            )
        except KbError as error:
            _note(one, proposal, error)
        finally:
            session().commit()


def _note(one: _Pass, proposal: Proposal, error: KbError) -> None:
    """Note what could not be done for one proposal; what would befall the next ones too ends the step."""
    status = getattr(error, "status", None)
    if (getattr(error, "temporary", False) and status is None) or status in _REFUSED:
        raise error
    one.errors.append(f"Proposition n° {proposal.id} : {error}")


def _body(proposal: Proposal) -> str:
    settings = bible().settings
    where = f"{settings.site_url}/propositions/{proposal.id}" if settings.site_url else ""
    return "\n\n".join(part for part in (proposal.message, f"Proposition de {proposal.author_name}.", where) if part)


def _tell_decisions(one: _Pass) -> None:
    """Tell those that were taken here. The push of the live text merges what was accepted, on most forges."""
    if one.forge is None or one.pulls is None:
        return
    query = sa.select(Proposal).where(Proposal.state.not_in(OPEN), Proposal.pull_request.is_not(None), Proposal.is_settled_there.is_(False))
    for proposal in session().scalars(query.order_by(Proposal.id)):
        try:
            _tell(one, one.forge, proposal)
        except KbError as error:
            _note(one, proposal, error)
        session().commit()


def _tell(one: _Pass, forge: Forge, proposal: Proposal) -> None:
    """Close the pull request of a proposal that was decided here, and say why."""
    is_accepted = proposal.state == "accepted"
    is_open_there = one.pulls is not None and proposal.pull_request in one.pulls
    if is_accepted and is_open_there and not _has(one, proposal.live):
        return  # the forge may still see by itself that it is merged
    found = _read(forge, proposal) if is_open_there or not is_accepted else None
    if found is None:
        proposal.is_settled_there = True
        return
    if found.state == "merged" and not is_accepted:
        if found.merge_commit and one.state.proposals.is_live(found.merge_commit):  # both decided at once: it is live
            service.decided_elsewhere(proposal, "accepted", found.merge_commit, found.url)
        return
    # Closed first: the next pass still says why, if this one dies in between; the other way round it would say so again and again.
    if found.state == "open":
        forge.close(found.number)
    reason = next((event.text for event in reversed(proposal.events) if event.action == proposal.state and event.text), "")
    forge.comment(found.number, "\n\n".join(part for part in (_TOLD[proposal.state], reason) if part))
    proposal.is_settled_there = True


def _has(one: _Pass, commit: str | None) -> bool:
    """Tell whether the forge's live branch had a commit when this pass began."""
    repository = one.state.store.repository()
    return bool(one.there and commit) and (one.there == commit or repository.descendant_of(one.there, commit))
