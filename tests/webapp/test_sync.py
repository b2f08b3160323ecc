"""The content on a forge, for real: git over HTTP to a bare repository, and the API of GitHub, GitLab and Forgejo beside it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pygit2
import pytest
from filelock import FileLock
from flask.testing import FlaskClient
from werkzeug.wrappers import Request, Response

from kb.forges import base as forge_base
from kb.proposals import Proposals
from kb.remote import TRACKING
from tests.conftest import MakeApp
from tests.webapp.forge_house import Forge, House, check, make_content, path_of, serve, text_of
from tests.webapp.reading import read, token_of
from webapp import sync
from webapp.settings import PROJECT
from webapp.state import Bible

KINDS = ("github", "gitlab", "forgejo")
OTHER = "articles/dechets/pneus.md"


@pytest.fixture(params=["github"])
def forge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Forge]:
    """A forge whose repository is empty; GitHub where the kind is not the point."""
    with serve(request.param, tmp_path / "forge") as made:
        yield made


@pytest.fixture(autouse=True)
def _quick_disks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait for no disk: nothing pulls the plug here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    pygit2.settings.enable_fsync_gitdir(False)
    yield
    pygit2.settings.enable_fsync_gitdir(True)


every_kind = pytest.mark.parametrize("forge", KINDS, indirect=True)


@pytest.fixture
def house(forge: Forge, tmp_path: Path, make_app: MakeApp) -> House:
    """An application linked to the forge, which has the live text already."""
    folder = make_content(tmp_path / "kb")
    made = House(make_app(folder, model="none", **forge.settings), folder)
    assert made.sync().errors == ()
    return made


def refuse(status: int = 500) -> Response:
    return Response('{"message": "panne"}', status, content_type="application/json")


def failing(method: str, end: str = "", status: int = 500) -> Callable[[Request], Response | None]:
    """Answer some requests of the API with an error."""
    return lambda request: refuse(status) if request.method == method and request.path.endswith(end) else None


# ---- here → there ----
def test_the_first_pass_fills_an_empty_repository(house: House, forge: Forge) -> None:
    assert forge.tip("main") == house.store.head()
    check(house, forge)


@every_kind
def test_a_proposal_becomes_a_branch_and_a_pull_request(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Le bac est mauve.", message="Nouvelle couleur.")
    assert house.sync().errors == ()
    branch = house.branch(number)
    assert forge.read(path_of("bac"), branch) == text_of("bac", "Le bac est mauve.")
    pull = forge.pull_of(branch)
    assert (pull.base, pull.title) == ("main", "Le bac")
    assert "Nouvelle couleur." in pull.body
    assert "Zoé Petit" in pull.body
    row = house.row(number)
    assert (row.pull_request, row.pushed_tip) == (pull.number, row.tip)
    assert (row.pull_request_url or "").endswith(f"/{pull.number}")
    check(house, forge)


def test_a_pull_request_leads_back_to_the_proposal(forge: Forge, tmp_path: Path, make_app: MakeApp) -> None:
    folder = make_content(tmp_path / "kb")
    house = House(make_app(folder, model="none", accounts="on", site_url="https://bible.ville.example", **forge.settings), folder)
    number = house.propose("bac")
    house.sync()
    assert f"https://bible.ville.example/propositions/{number}" in forge.pull_of(house.branch(number)).body


def test_an_amended_proposal_is_pushed_again_and_keeps_its_pull_request(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Mauve.")
    house.sync()
    first = forge.pull_of(house.branch(number)).number
    house.amend(number, "Violet.")
    assert house.sync().errors == ()
    assert forge.read(path_of("bac"), house.branch(number)) == text_of("bac", "Violet.")
    assert [pull.number for pull in forge.api.pulls] == [first]
    check(house, forge)


@every_kind
def test_what_is_accepted_here_goes_live_there(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Le bac est mauve.")
    house.sync()
    house.accept(number)
    assert house.sync().errors == ()
    assert forge.read(path_of("bac")) == text_of("bac", "Le bac est mauve.")
    check(house, forge)
    [pull] = forge.api.pulls
    if forge.detects:
        assert (pull.state, pull.comments) == ("merged", [])
    else:  # a forge that does not look leaves it open: it is closed with a word
        assert (pull.state, pull.comments) == ("closed", ["Publiée dans La Bible."])
    assert house.row(number).is_settled_there
    assert house.row(number).state == "accepted"


def test_what_is_accepted_before_it_was_ever_pushed_needs_no_pull_request(house: House, forge: Forge) -> None:
    house.accept(house.propose("bac"))
    check(house, forge)
    assert forge.api.pulls == []


@pytest.mark.parametrize(
    ("forge", "state", "reason"),
    [*((kind, "refused", "Cette couleur n'existe pas.") for kind in KINDS), ("github", "withdrawn", "")],
    indirect=["forge"],
)
def test_what_is_refused_here_is_closed_there_with_the_reason(house: House, forge: Forge, state: str, reason: str) -> None:
    number = house.propose("bac")
    house.sync()
    house.decide(number, state, reason)  # type: ignore[arg-type]
    assert house.sync().errors == ()
    [pull] = forge.api.pulls
    assert pull.state == "closed"
    [said] = pull.comments
    assert reason in said
    assert said.startswith("Refusée" if state == "refused" else "Retirée")
    check(house, forge)
    assert len(pull.comments) == 1


def test_a_long_title_is_shortened_for_the_forge(house: House, forge: Forge) -> None:
    number = house.propose("bac")
    with house.app.app_context():
        row = house._get(number)
        row.title = "é" * 300
        sync.session().commit()
    house.sync()
    assert len(forge.pull_of(house.branch(number)).title) == 250


# ---- there → here ----
@every_kind
@pytest.mark.parametrize(("how", "deletes"), [("merge", False), ("squash", True), ("rebase", False)])
def test_what_is_merged_there_is_live_here(house: House, forge: Forge, how: str, deletes: bool) -> None:
    number = house.propose("bac", "Le bac est mauve.")
    house.sync()
    house.amend(number, "Le bac est violine.")
    house.sync()
    forge.commit("main", {path_of("verre"): text_of("verre", "Entre-temps, le verre.")})
    branch = house.branch(number)
    forge.merge(forge.pull_of(branch), how, deletes)
    assert house.found("violine") == []
    assert house.sync().errors == ()
    assert house.text("bac") == text_of("bac", "Le bac est violine.")
    assert house.found("violine") == ["bac"]
    row = house.row(number)
    assert row.state == "accepted"
    assert row.live
    assert row.events[-1].text == row.pull_request_url
    check(house, forge)
    assert (forge.tip(branch) is None) == deletes, "a branch that went with its pull request is not put back"


@every_kind
def test_what_is_closed_there_is_withdrawn_here(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Le bac est mauve.")
    house.sync()
    forge.pull_of(house.branch(number)).state = "closed"
    assert house.sync().errors == ()
    row = house.row(number)
    assert row.state == "withdrawn"
    assert (row.events[-1].author_name, row.events[-1].text) == ("La forge", row.pull_request_url)
    assert forge.api.pulls[0].comments == []
    assert house.text("bac") == text_of("bac")
    check(house, forge)


def test_commits_made_there_amend_the_proposal(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Mauve.")
    house.sync()
    with house.app.app_context():
        sync.service.decide(house._get(number), house.zoe, "changes_requested", "Précisez.")
    tip = forge.commit(house.branch(number), {path_of("bac"): text_of("bac", "Mauve foncé.")})
    assert house.sync().errors == ()
    row = house.row(number)
    assert (row.tip, row.state) == (tip, "open")
    assert (row.events[-1].action, row.events[-1].author_name) == ("amended", "Paule Forge")
    check(house, forge)
    house.accept(number)
    assert house.text("bac") == text_of("bac", "Mauve foncé.")
    check(house, forge)


def test_commits_made_there_and_merged_before_we_look(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Mauve.")
    house.sync()
    forge.commit(house.branch(number), {path_of("bac"): text_of("bac", "Mauve foncé.")})
    forge.merge(forge.pull_of(house.branch(number)), "squash")
    assert house.sync().errors == ()
    assert house.row(number).state == "accepted"
    assert house.text("bac") == text_of("bac", "Mauve foncé.")
    check(house, forge)


def test_a_branch_updated_with_main_there_is_still_the_same_proposal(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Mauve.")
    house.sync()
    forge.commit("main", {path_of("verre"): text_of("verre", "Là-bas.")})
    repository, branch = forge.repository, house.branch(number)
    main, tip = (repository[forge.tip(name) or ""] for name in ("main", branch))
    tree = repository.merge_commits(main, tip).write_tree(repository)
    forge._record(f"refs/heads/{branch}", tree, [tip.id, main.id], "Merge main")
    assert house.sync().errors == ()
    assert house.row(number).state == "open"
    house.accept(number)
    check(house, forge)
    assert house.text("bac") == text_of("bac", "Mauve.")
    assert house.text("verre") == text_of("verre", "Là-bas.")


def test_direct_pushes_there_are_pulled_and_indexed(house: House, forge: Forge) -> None:
    forge.commit("main", {OTHER: text_of("pneus", "Les pneus vont au garage.")}, "Ajoute les pneus")
    forge.commit("main", {path_of("carton"): None, ".forge/ci.yml": "a: 1\n"}, "Retire le carton")
    assert house.sync().errors == ()
    assert house.found("garage") == ["pneus"]
    assert house.found("carton") == []
    assert (house.folder / ".forge/ci.yml").read_text() == "a: 1\n"
    assert forge.tip("main") == house.store.head(), "no merge commit where none is needed"
    assert house.client.get("/articles/pneus").status_code == 200
    check(house, forge)


def test_other_branches_there_are_none_of_our_business(house: House, forge: Forge) -> None:
    for branch in ("essai", "proposals/Mon_Essai", "proposals/a/b", "proposals/inconnue"):
        forge.repository.references.create(f"refs/heads/{branch}", forge.repository[forge.tip("main") or ""].id)
        forge.commit(branch, {OTHER: text_of("pneus")})
    number = house.propose("bac")
    assert house.sync().errors == ()
    assert house.row(number).pull_request == 1
    check(house, forge)


# ---- both sides ----
def test_both_sides_moved_and_are_merged(house: House, forge: Forge) -> None:
    house.publish("bac", text_of("bac", "Ici."))
    forge.commit("main", {path_of("verre"): text_of("verre", "Là-bas."), path_of("bac"): text_of("bac", more="Là-bas.")})
    assert house.sync().errors == ()
    assert house.text("verre") == text_of("verre", "Là-bas.")
    assert house.text("bac") == text_of("bac", "Ici.", "Là-bas."), "two fields of one article"
    check(house, forge)


def conflict(house: House, forge: Forge) -> None:
    house.publish("bac", text_of("bac", "Ici."))
    forge.commit("main", {path_of("bac"): text_of("bac", "Là-bas.")})


def test_a_conflict_leaves_the_live_text_and_is_told_until_people_solve_it(house: House, forge: Forge) -> None:
    conflict(house, forge)
    bible: Bible = house.app.extensions["bible"]
    there, live = forge.tip("main"), house.store.head()
    number = house.propose("verre", "Proposé pendant ce temps.")
    for _ in range(3):
        bible.stirred.clear()
        [error] = house.sync().errors
        assert path_of("bac") in error
        assert not bible.stirred.is_set(), "it waits for people; looking again at once would change nothing"
        assert (forge.tip("main"), house.store.head()) == (there, live)
        assert forge.tip("bible/en-ligne") == live
    assert len(forge.api.pulls) == 2, "one for the conflict, one for the proposal"
    assert house.row(number).pull_request
    house.publish("carton", text_of("carton", "Publié pendant le conflit."))
    assert len(house.sync().errors) == 1
    assert forge.tip("bible/en-ligne") == house.store.head()

    # People solve it there, on the branch that was offered.
    repository = forge.repository
    aside, main = (repository[forge.tip(name) or ""] for name in ("bible/en-ligne", "main"))
    index = pygit2.Index()
    index.read_tree(aside.tree)
    solved = text_of("bac", "Ici et là-bas.")
    index.add(pygit2.IndexEntry(path_of("bac"), repository.create_blob(solved.encode()), pygit2.enums.FileMode.BLOB))
    forge._record("refs/heads/bible/en-ligne", index.write_tree(repository), [aside.id, main.id], "Réunit")
    house.publish("compost", text_of("compost", "Publié pendant qu'on résout."))
    assert len(house.sync().errors) == 1
    assert forge.tip("bible/en-ligne") != house.store.head(), "what people did there is not overwritten"
    forge.merge(forge.pull_of("bible/en-ligne"))
    check(house, forge)
    assert house.text("bac") == solved
    assert house.text("carton") == text_of("carton", "Publié pendant le conflit.")
    assert house.text("compost") == text_of("compost", "Publié pendant qu'on résout.")


def test_a_repository_that_was_not_empty_is_told_and_left_alone(forge: Forge, tmp_path: Path, make_app: MakeApp) -> None:
    tree = forge.repository.TreeBuilder().write()
    there = forge._record("refs/heads/main", tree, [], "README")
    folder = make_content(tmp_path / "kb")
    house = House(make_app(folder, model="none", **forge.settings), folder)
    live = house.store.head()
    for _ in range(2):
        [error] = house.sync().errors
        assert "vide au départ" in error
    assert (forge.tip("main"), house.store.head()) == (there, live)
    assert not house.app.extensions["bible"].stirred.is_set()


def test_a_proposal_changed_on_both_sides_is_told_and_nothing_is_lost(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Mauve.")
    other = house.propose("verre", "Autre.")
    house.sync()
    house.amend(number, "Mauve ici.")
    tip = forge.commit(house.branch(number), {path_of("bac"): text_of("bac", "Mauve là-bas.")})
    house.amend(other, "Autre encore.")
    for _ in range(2):
        [error] = house.sync().errors
        assert f"Proposition n° {number}" in error
    assert forge.tip(house.branch(number)) == tip
    assert house.row(other).pushed_tip == house.row(other).tip, "the others are not held up"
    house.accept(number)
    check(house, forge)
    assert house.text("bac") == text_of("bac", "Mauve ici.")
    assert forge.pull_of(house.branch(number), "closed").comments == ["Publiée dans La Bible."]


def test_merged_there_while_it_was_amended_here(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Mauve.")
    house.sync()
    forge.merge(forge.pull_of(house.branch(number)), "squash")
    house.amend(number, "Mauve et rayé.")
    assert house.sync().errors == ()
    row = house.row(number)
    assert row.state == "open", "what was amended was not merged: it still waits"
    assert house.text("bac") == text_of("bac", "Mauve.")
    check(house, forge)
    assert [pull.state for pull in forge.api.pulls] == ["merged", "open"]


def test_merged_there_and_refused_here_at_once_says_what_is_live(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Mauve.")
    house.sync()
    forge.merge(forge.pull_of(house.branch(number)), "squash")
    house.decide(number, "refused", "Non.")
    check(house, forge)
    assert house.text("bac") == text_of("bac", "Mauve.")
    assert house.row(number).state == "accepted"
    assert forge.api.pulls[0].comments == []


def test_closed_there_and_refused_here_at_once_tells_the_reason(house: House, forge: Forge) -> None:
    number = house.propose("bac", "Mauve.")
    house.sync()
    forge.pull_of(house.branch(number)).state = "closed"
    house.decide(number, "refused", "Non, merci.")
    check(house, forge)
    assert house.row(number).state == "refused"
    assert "Non, merci." in forge.api.pulls[0].comments[0]


def test_a_pull_request_opened_by_hand_is_the_proposals_own(house: House, forge: Forge) -> None:
    forge.fault = failing("POST", "pulls")
    number = house.propose("bac")
    assert house.sync().errors
    forge.fault = lambda _: None
    forge.api.create({"head": house.branch(number), "base": "main", "title": "À la main"})
    check(house, forge)
    assert len(forge.api.pulls) == 1


def test_another_forge_takes_over(house: House, forge: Forge, make_app: MakeApp, tmp_path: Path) -> None:
    numbers = [house.propose(name) for name in ("bac", "verre")]
    house.sync()
    house.decide(numbers[1], "refused", "Non.")
    with serve("gitlab", tmp_path / "new-forge") as new:
        moved = House(make_app(house.folder, model="none", var_dir=tmp_path / "var-0", **new.settings), house.folder)
        check(moved, new)
        assert [moved.row(number).state for number in numbers] == ["open", "refused"]


# ---- the forge is down ----
@dataclass
class Work:
    """Proposals that the next pass has something to do for."""

    amended: int
    accepted: int
    refused: int
    merged: int
    closed: int
    new: int


def make_work(house: House, forge: Forge, turn: int = 0) -> Work:
    """Give the next pass something to do at every step."""
    numbers = [house.propose(name, f"Tour {turn}.") for name in ("verre", "compost", "carton", "textile", "encombrants")]
    assert house.sync().errors == ()
    work = Work(*numbers, new=house.propose("bac", f"Tour {turn}."))
    house.amend(work.amended, f"Tour {turn}, amendé.")
    house.accept(work.accepted)
    house.decide(work.refused, "refused", f"Non, tour {turn}.")
    forge.merge(forge.pull_of(house.branch(work.merged)), "squash")
    forge.pull_of(house.branch(work.closed)).state = "closed"
    forge.commit("main", {OTHER: text_of("pneus", f"Tour {turn}.")})
    return work


def check_work(house: House, forge: Forge, work: Work, turn: int = 0) -> None:
    check(house, forge)
    states = [house.row(number).state for number in (work.amended, work.accepted, work.refused, work.merged, work.closed, work.new)]
    assert states == ["open", "accepted", "refused", "accepted", "withdrawn", "open"]
    assert house.text("compost") == house.text("textile").replace("textile", "compost") == text_of("compost", f"Tour {turn}.")
    assert forge.read(OTHER) == text_of("pneus", f"Tour {turn}.")
    pull = forge.pull_of(house.branch(work.refused), "closed")
    assert [f"Non, tour {turn}." in said for said in pull.comments] == [True]


def outage(forge: Forge, after: int, status: int) -> Callable[[], int]:
    """Let some requests through, then fail each, git's and the API's; returns how many came."""
    came = 0

    def fails() -> bool:
        nonlocal came
        came += 1
        return came > after

    forge.git.fault = lambda _method, _path: status if fails() else 0
    forge.fault = lambda _request: refuse(status) if fails() else None
    return lambda: came


def test_an_outage_at_any_step_delays_and_loses_nothing(house: House, forge: Forge) -> None:
    step = turn = 0
    while True:
        status = (500, 401)[turn % 2]
        work = make_work(house, forge, turn)
        came = outage(forge, step, status)
        report = house.sync()
        forge.git.fault = lambda _method, _path: 0
        if came() <= step:
            break
        assert report.errors
        words = " ".join(report.errors)
        assert ("panne" in words or "ne répond pas" in words) if status == 500 else ("jeton" in words or "TOKEN" in words)
        check_work(house, forge, work, turn)
        turn, step = turn + 1, step + 5
    assert step > 20
    check_work(house, forge, work, turn)


@pytest.mark.parametrize(("method", "end"), [("POST", "pulls"), ("PATCH", "")])
def test_an_answer_that_was_lost_makes_no_second_pull_request(house: House, forge: Forge, method: str, end: str) -> None:
    work = make_work(house, forge)

    def done_and_lost(request: Request) -> Response | None:
        if request.method != method or not request.path.endswith(end):
            return None
        forge.api.answer(request, request.environ["REQUEST_URI"].removeprefix("/api/v3"))
        return refuse(502)

    forge.fault = done_and_lost
    assert house.sync().errors
    check(house, forge)
    assert house.row(work.new).pull_request
    assert len([pull for pull in forge.api.pulls if pull.branch == house.branch(work.new)]) == 1


def test_a_comment_that_fails_comes_at_the_next_pass(house: House, forge: Forge) -> None:
    work = make_work(house, forge)
    forge.fault = failing("POST", "comments")
    for _ in range(2):
        assert f"Proposition n° {work.refused} : " in " ".join(house.sync().errors)
    assert not house.row(work.refused).is_settled_there
    check_work(house, forge, work)


def test_one_proposal_that_the_forge_refuses_does_not_hold_the_others_up(house: House, forge: Forge) -> None:
    refused, other = house.propose("bac"), house.propose("verre")
    branch = house.branch(refused)
    hook = forge.protect(f'[ "$ref" = "refs/heads/{branch}" ] && exit 1')
    for _ in range(2):
        [error] = house.sync().errors
        assert f"Proposition n° {refused} : " in error
    assert forge.open_branches == [house.branch(other)]
    hook.unlink()
    check(house, forge)


def test_nobody_answers(house: House, forge: Forge, make_app: MakeApp, tmp_path: Path) -> None:
    work = make_work(house, forge)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    apart = {"model": "none", "var_dir": tmp_path / "var-0", **forge.settings}
    for settings in ({"remote": f"{address}/ville/bible.git"}, {"forge_api": f"{address}/api/v3"}):
        alone = House(make_app(house.folder, **{**apart, **settings}), house.folder)
        [error] = alone.sync().errors
        assert "Rien n'est perdu : un nouvel essai suivra." in error
        assert alone.client.get("/articles/bac").status_code == 200
    check_work(house, forge, work)


@pytest.mark.parametrize("side", ["git", "api"])
def test_silence_does_not_last(house: House, forge: Forge, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    work = make_work(house, forge)
    monkeypatch.setattr(forge_base, "TIMEOUT_SECONDS", (0.2, 0.2))
    limit, over = pygit2.settings.server_timeout, threading.Event()
    try:
        pygit2.settings.server_timeout = 200
        if side == "git":
            forge.git.fault = lambda _method, _path: over.wait(20) and 0  # type: ignore[return-value]
        else:
            forge.fault = lambda _request: over.wait(20) and None  # type: ignore[func-returns-value,return-value]
        [error] = house.sync().errors
        assert "ne répond pas" in error
    finally:
        over.set()
        pygit2.settings.server_timeout = limit
    forge.git.fault = lambda _method, _path: 0
    check_work(house, forge, work)


def test_a_protected_branch_is_told_at_each_pass_until_it_lets_us_in(house: House, forge: Forge) -> None:
    hook = forge.protect('[ "$ref" = refs/heads/main ] && echo "branche protégée" && exit 1')
    number = house.propose("verre")
    house.publish("bac", text_of("bac", "Publié ici."))
    for _ in range(2):
        [error] = house.sync().errors
        assert "protection des branches" in error
    assert forge.open_branches == [house.branch(number)], "the proposals go on"
    forge.merge(forge.pull_of(house.branch(number)))
    assert len(house.sync().errors) == 1
    assert house.row(number).state == "accepted", "so do the decisions taken there"
    hook.unlink()
    check(house, forge)
    assert forge.read(path_of("bac")) == text_of("bac", "Publié ici.")


def test_somebody_pushes_between_our_fetch_and_our_push(house: House, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    bible: Bible = house.app.extensions["bible"]
    house.publish("bac", text_of("bac", "Ici."))
    give = sync._give_live

    def late(one: sync._Pass) -> None:
        forge.commit("main", {path_of("verre"): text_of("verre", "Là-bas.")})
        give(one)

    with monkeypatch.context() as patch:
        patch.setattr(sync, "_give_live", late)
        bible.stirred.clear()
        assert house.sync().errors == ()
    assert bible.stirred.is_set(), "the next pass comes at once"
    check(house, forge)
    assert house.text("bac") == text_of("bac", "Ici.")


def test_what_cannot_be_foreseen_is_in_the_report(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "_take_live", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        house.sync()
    report = sync.last_report(house.app.extensions["bible"].settings)
    assert report is not None
    assert "ZeroDivisionError" in report.errors[0]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"forge": "", "forge_api": ""}, "BIBLE_FORGE"),
        ({"remote_token": "faux"}, "jeton est faux"),
        ({"forge_api": "http://127.0.0.1:9/api/v3"}, "ne répond pas"),
    ],
)
def test_settings_that_are_wrong_are_told(house: House, forge: Forge, make_app: MakeApp, settings: dict[str, str], expected: str) -> None:
    wrong = House(make_app(house.folder, model="none", **{**forge.settings, **settings}), house.folder)
    assert expected in " ".join(wrong.sync().errors)
    assert "jeton-secret" not in " ".join(wrong.sync().errors)


# ---- without an API ----
@pytest.fixture
def bare(tmp_path: Path, make_app: MakeApp) -> Iterator[tuple[House, Forge]]:
    """An application linked to a repository on a disk: branches, no pull requests."""
    with serve("github", tmp_path / "forge") as forge:
        folder = make_content(tmp_path / "kb")
        house = House(make_app(folder, model="none", remote=str(forge.folder)), folder)
        assert house.sync().errors == ()
        yield house, forge


def test_a_bare_repository_takes_branches_and_gives_what_is_merged_in_it(bare: tuple[House, Forge]) -> None:
    house, forge = bare
    merged, waiting = house.propose("bac", "Mauve."), house.propose("verre")
    assert house.sync().errors == ()
    branch = house.branch(merged)
    main, tip = (forge.repository[forge.tip(name) or ""] for name in ("main", branch))
    forge._record("refs/heads/main", tip.tree.id, [main.id, tip.id], "Fusion")
    assert house.sync().errors == ()
    assert house.row(merged).state == "accepted"
    assert house.found("mauve") == ["bac"]
    assert house.row(waiting).state == "open"
    forge.repository.references.delete(f"refs/heads/{house.branch(waiting)}")
    assert house.sync().errors == ()
    assert forge.tip(house.branch(waiting)) == house.row(waiting).tip, "it waits, so it is there"


# ---- what administrators see ----
def administrator(house: House) -> FlaskClient:
    client = house.app.test_client()
    client.post("/demonstration", data={"csrf_token": token_of(client), "role": "admin"})
    return client


def test_the_page_tells_how_it_goes(house: House, forge: Forge) -> None:
    client = administrator(house)
    assert "Tout est à jour des deux côtés." in read(client.get("/administration/forge")).text
    number = house.propose("bac")
    page = read(client.get("/administration/forge"))
    assert f"n° {number} : Le bac" in page.text
    assert f"{forge.git.url}/ville/bible.git" in page.text
    forge.fault = failing("POST", "pulls", 401)
    house.sync()
    page = read(client.get("/administration/forge"))
    assert "BIBLE_REMOTE_TOKEN est refusé" in page.one("main .error").text
    assert forge.settings["remote_token"] not in page.text
    forge.fault = lambda _: None
    house.sync()
    page = read(client.get("/administration/forge"))
    assert house.row(number).pull_request_url in {one.attributes["href"] for one in page.find(".rows a")}
    assert not page.find("main .error")
    assert read(client.get("/administration/", follow_redirects=True)).find("nav.tabs a")[-1].attributes["href"] == "/administration/forge"


def test_an_address_with_a_password_in_it_is_shown_without(make_app: MakeApp, tmp_path: Path) -> None:
    folder = make_content(tmp_path / "kb")
    house = House(make_app(folder, model="none", remote="http://paule:cachette@127.0.0.1:9/ville/bible.git"), folder)
    assert "ne répond pas" in " ".join(house.sync().errors)
    page = read(administrator(house).get("/administration/forge"))
    assert "http://127.0.0.1:9/ville/bible.git" in page.text
    assert "cachette" not in page.text
    assert "paule" not in page.text


def test_without_a_forge_the_page_says_how_to_link_one(make_app: MakeApp, tmp_path: Path) -> None:
    folder = make_content(tmp_path / "kb")
    house = House(make_app(folder, model="none"), folder)
    page = read(administrator(house).get("/administration/forge"))
    assert "BIBLE_REMOTE" in page.text
    assert not page.find("main button")
    with house.app.app_context():
        assert sync.synchronise() is None


def test_the_button_has_the_forge_looked_at(house: House) -> None:
    bible: Bible = house.app.extensions["bible"]
    bible.stirred.clear()
    client = administrator(house)
    assert client.post("/administration/forge").status_code == 400, "another site asks for nothing"
    assert not bible.stirred.is_set()
    response = client.post("/administration/forge", data={"csrf_token": token_of(client)})
    assert (response.status_code, response.location) == (303, "/administration/forge")
    assert bible.stirred.is_set()


def test_the_command_makes_one_pass_and_says_how_it_went(house: House, forge: Forge) -> None:
    number = house.propose("bac")
    run = house.app.test_cli_runner()
    forge.fault = failing("POST", "pulls", 401)
    result = run.invoke(args=["sync"])
    assert result.exit_code == 1
    assert "jeton BIBLE_REMOTE_TOKEN est refusé" in result.output
    forge.fault = lambda _: None
    result = run.invoke(args=["sync"])
    assert (result.exit_code, result.output) == (0, f"L'échange avec {forge.git.url}/ville/bible.git est fait.\n")
    assert house.row(number).pull_request
    with FileLock(house.app.extensions["bible"].settings.var_dir / "sync.lock"):
        result = run.invoke(args=["sync"])
    assert result.exit_code == 0
    assert "déjà en cours" in result.output


def test_the_command_needs_a_forge_and_loads_no_model(make_app: MakeApp, tmp_path: Path) -> None:
    result = make_app(make_content(tmp_path / "kb"), model="none").test_cli_runner().invoke(args=["sync"])
    assert result.exit_code == 1
    assert "BIBLE_REMOTE" in result.output


def test_a_command_leaves_the_index_to_the_service(house: House, forge: Forge, make_app: MakeApp, tmp_path: Path) -> None:
    forge.commit("main", {OTHER: text_of("pneus")})
    with click.Context(click.Command("sync")):
        app = make_app(house.folder, **forge.settings)
    with app.app_context():
        assert sync.synchronise() == sync.last_report(app.extensions["bible"].settings)
    assert (house.folder / OTHER).exists()
    assert not app.extensions["bible"].settings.index_dir.exists()


# ---- processes that die, workers that meet ----
def test_two_workers_at_once_speak_once(house: House, forge: Forge) -> None:
    house.propose("bac")
    entered, leave = threading.Event(), threading.Event()

    def wait(request: Request) -> None:
        entered.set()
        leave.wait(20)

    forge.fault = wait
    first = threading.Thread(target=house.sync)
    first.start()
    assert entered.wait(20)
    with house.app.app_context():
        assert sync.synchronise() is None
    leave.set()
    first.join(20)
    check(house, forge)
    assert len(forge.api.pulls) == 1


def test_what_is_published_here_while_the_forge_says_closed_stays_published(
    house: House, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = house.propose("bac", "Mauve.")
    house.sync()
    forge.pull_of(house.branch(number)).state = "closed"
    decided = sync.service.decided_elsewhere

    def meanwhile(*given: object) -> None:
        accepting = threading.Thread(target=house.accept, args=(number,))
        accepting.start()
        accepting.join(60)
        decided(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(sync.service, "decided_elsewhere", meanwhile)
        house.sync()
    assert house.text("bac") == text_of("bac", "Mauve.")
    assert house.row(number).state == "accepted"
    check(house, forge)


def test_a_worker_that_is_called_while_another_is_at_it_looks_again(
    forge: Forge, tmp_path: Path, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the webhook told it, the other may have been past."""
    folder = make_content(tmp_path / "kb")
    passes: list[object] = []
    done = threading.Event()
    outcomes = iter([sync.SyncReport("", ()), None, None, sync.SyncReport("", ())])

    def synchronise() -> object:
        passes.append(next(outcomes, None))
        bible.stirred.set() if len(passes) == 1 else None
        if len(passes) == 4:
            done.set()
        return passes[-1]

    monkeypatch.setattr(sync, "synchronise", synchronise)
    monkeypatch.setattr(sync, "_AGAIN_SECONDS", 0.01)
    app = make_app(folder, model="none", sync_seconds=86_400, **forge.settings)
    bible: Bible = app.extensions["bible"]
    sync.start(app, bible.settings)
    assert done.wait(20)


@pytest.mark.parametrize("moment", ["propose", "amend", "accept"])
def test_rows_and_git_compared_at_any_moment_make_nothing_twice(house: House, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """A pass, or the list of proposals, that comes after git has a change and before the database has."""

    def compare() -> None:
        with house.app.app_context():
            sync.service.reconcile()

    comparing = threading.Thread(target=compare)
    step = getattr(Proposals, moment)

    def compared(*given: object) -> object:
        done = step(*given)
        comparing.start()
        comparing.join(0.5)  # it must wait for us
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Proposals, moment, compared)
        number = house.propose("bac", "Proposé.")
        house.amend(number, "Amendé.")
        house.accept(number)
    comparing.join(60)
    assert [event.action for event in house.row(number).events] == ["opened", "amended", "accepted"]
    assert {event.author_name for event in house.row(number).events} == {"Zoé Petit"}


def test_locks_that_a_dead_process_left_hold_nothing_up(house: House, forge: Forge) -> None:
    number = house.propose("bac")
    house.sync()
    subprocess.run(["git", "pack-refs", "--all"], cwd=house.folder, check=True)
    house.amend(number, "Amendé.")
    house.sync()
    forge.commit("main", {OTHER: text_of("pneus")})
    forge.repository.references.delete(f"refs/heads/{house.branch(number)}")
    tracking = house.folder / ".git" / TRACKING
    tracking.mkdir(parents=True, exist_ok=True)
    packed = house.folder / ".git/packed-refs.lock"
    for stale in (tracking / "main.lock", tracking / f"{house.branch(number)}.lock", packed):
        stale.parent.mkdir(parents=True, exist_ok=True)
        stale.touch()
    os.utime(packed, (0, 0))
    assert house.sync().errors == ()
    assert house.found("pneus") == ["pneus"]
    check(house, forge)


def test_a_killed_pass_is_completed_by_the_next(house: House, forge: Forge, tmp_path: Path) -> None:
    # In a process of its own: it forks, and a test process has threads.
    settings = {**forge.settings, "kb_dir": str(house.folder), "var_dir": str(tmp_path / "var-0")}
    run = subprocess.run(
        [sys.executable, "-m", "tests.webapp.sync_killing", json.dumps(settings)],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads(run.stdout)
    assert found["wrong"] == []
    assert found["killed"] >= 12
    check(house, forge)
    assert house.text("bac") == text_of("bac", found["last"])
    for number in found["open"]:
        assert house.row(number).state == "open"
