"""A town hall and its forge, for the tests: an application on a repository of its own, a real bare repository behind git's own server,
and the API of a forge that sees what is pushed to it, as the real ones do.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pygit2
import sqlalchemy as sa
from flask import Flask
from werkzeug.wrappers import Request, Response

from kb import git_store
from kb.article import Article
from kb.git_store import GitStore, Person
from tests.kb import forge_server, git_server
from tests.kb.forge_server import API_PATHS, TOKEN, FakeForge, Pull
from tests.kb.git_server import GitServer
from webapp import sync
from webapp.accounts import Account, people
from webapp.accounts.models import User
from webapp.database import session
from webapp.proposals import editing, service
from webapp.proposals.models import Proposal, State
from webapp.sync import SyncReport

PROJECT = "ville/bible"
PAULE = Person("Paule Forge", "paule@ville.example")  # works in the forge
NAMES = ("bac", "verre", "compost", "carton", "textile", "encombrants")
Texts = Mapping[str, str | None]


def path_of(name: str) -> str:
    return f"articles/dechets/{name}.md"


def text_of(name: str, words: str = "Texte de départ.", more: str = "Suite de départ.") -> str:
    return f"---\ntitle: Le {name}\nservice: dechets\nquestions: [Que faire du {name} ?]\n---\n{words}\n\n## Détails\n{more}\n"


class Forge:
    """The forge's side, and what people do there. ``detects``: it sees by itself that a branch was merged by a push (GitHub, GitLab)."""

    def __init__(self, kind: str, folder: Path, api: FakeForge, git: GitServer) -> None:
        self.kind, self.folder, self.api, self.git = kind, folder, api, git
        self.repository = pygit2.init_repository(str(folder), bare=True, initial_head="main")
        self.repository.config["http.receivepack"] = True
        self.detects = kind != "forgejo"
        self.fault: Callable[[Request], Response | None] = lambda _: None
        api.before = self._before

    @property
    def settings(self) -> dict[str, object]:
        api = self.api.address + API_PATHS[self.kind]
        return {"remote": f"{self.git.url}/{PROJECT}.git", "remote_token": TOKEN, "forge": self.kind, "forge_api": api}

    def _before(self, request: Request) -> Response | None:
        self.look()
        return self.fault(request)

    def look(self) -> None:
        """See what was pushed, as a forge does."""
        main = self.tip("main")
        for pull in self.api.pulls:
            if pull.state != "open":
                continue
            tip = self.tip(pull.branch)
            if tip is None:  # GitLab leaves the request open
                pull.state = "open" if self.kind == "gitlab" else "closed"
                continue
            pull.head = tip
            if self.detects and main and (main == tip or self.repository.descendant_of(main, tip)):
                pull.state, pull.merge_commit = "merged", main

    def tip(self, branch: str) -> str | None:
        reference = self.repository.references.get(f"refs/heads/{branch}")
        return str(reference.target) if reference else None

    def pull_of(self, branch: str, state: str = "open") -> Pull:
        self.look()
        [found] = [pull for pull in self.api.pulls if pull.branch == branch and pull.state == state]
        return found

    @property
    def open_branches(self) -> list[str]:
        self.look()
        return sorted(pull.branch for pull in self.api.pulls if pull.state == "open")

    # ---- people ----
    def commit(self, branch: str, texts: Texts, message: str = "Changé dans la forge") -> str:
        """Commit on a branch, straight in the forge."""
        repository = self.repository
        parent = repository[self.tip(branch) or ""]
        index = pygit2.Index()
        index.read_tree(parent.tree)
        for path, text in texts.items():
            if text is None:
                index.remove(path)
            else:
                index.add(pygit2.IndexEntry(path, repository.create_blob(text.encode()), pygit2.enums.FileMode.BLOB))
        return self._record(f"refs/heads/{branch}", index.write_tree(repository), [parent.id], message)

    def read(self, path: str, branch: str = "main") -> str | None:
        commit = self.repository[self.tip(branch) or ""]
        return git_store.text_at(self.repository, commit, path)

    def merge(self, pull: Pull, how: str = "merge", deletes: bool = False) -> str:
        """Merge a pull request by a button; the branch may go with it."""
        self.look()
        repository = self.repository
        main, tip = (repository[self.tip(name) or ""].id for name in ("main", pull.branch))
        base = repository.merge_base(main, tip)
        if how == "rebase":
            commits = [commit for commit in repository.walk(tip) if commit.id != base and not repository.descendant_of(base, commit.id)]
            commit_id = main
            for commit in reversed(commits):
                index = repository.merge_trees(commit.parents[0].tree, repository[commit_id].tree, commit.tree)
                commit_id = self._record(None, index.write_tree(repository), [commit_id], commit.message)
            made = str(commit_id)
            if self.kind == "gitlab":  # it rewrites the branch itself, then moves the base forward
                repository.references.create(f"refs/heads/{pull.branch}", made, force=True)
                pull.head = made
            else:
                pull.merge_commit = made
        else:
            tree = repository.merge_trees(repository[base].tree, repository[main].tree, repository[tip].tree).write_tree(repository)
            made = self._record(None, tree, [main, tip] if how == "merge" else [main], f"Fusion de {pull.branch}")
            if self.kind == "gitlab" and how == "squash":
                pull.squash_commit = made
            else:
                pull.merge_commit = made
        repository.references.create("refs/heads/main", made, force=True)
        pull.state = "merged"
        if deletes:
            repository.references.delete(f"refs/heads/{pull.branch}")
        return made

    def protect(self, script: str) -> Path:
        """Refuse pushes, as a protected branch does: a shell script that reads « old new reference » lines."""
        hook = self.folder / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\nwhile read old new ref; do\n{script}\ndone\nexit 0\n")
        hook.chmod(0o755)
        return hook

    def _record(self, reference: str | None, tree: pygit2.Oid, parents: list[object], message: str) -> str:
        who = PAULE.signature()
        return str(self.repository.create_commit(reference, who, who, message, tree, parents))


class House:
    """The town hall's side, and what people do there."""

    def __init__(self, app: Flask, folder: Path) -> None:
        self.app, self.folder = app, folder
        self.store: GitStore = app.extensions["bible"].store
        self.client = app.test_client()
        with app.app_context():
            found = session().scalar(sa.select(User).where(User.email == "zoe@ville.example"))
            self.zoe = Account.of(found or people.create("Zoé Petit", "zoe@ville.example", services={"dechets"}))

    def sync(self) -> SyncReport:
        with self.app.app_context():
            report = sync.synchronise()
        assert report is not None
        return report

    def propose(self, name: str, words: str = "Texte proposé.", message: str = "", **more: str) -> int:
        with self.app.app_context():
            original = Article.parse(self.store.read(path_of(name)), path_of(name))
            change = editing.change_of(original, Article.parse(text_of(name, words, **more), path_of(name)))
            return service.submit(change, self.zoe, message).id

    def amend(self, number: int, words: str) -> None:
        with self.app.app_context():
            proposal = self._get(number)
            original = Article.parse(self.store.read(path_of(proposal.slug), proposal.base), path_of(proposal.slug))
            change = editing.change_of(original, Article.parse(text_of(proposal.slug, words), path_of(proposal.slug)))
            service.amend(proposal, change, self.zoe)

    def accept(self, number: int) -> None:
        with self.app.app_context():
            proposal = self._get(number)
            service.accept(proposal, self.zoe, proposal.tip or "")

    def decide(self, number: int, state: State, text: str = "") -> None:
        with self.app.app_context():
            service.decide(self._get(number), self.zoe, state, text)

    def publish(self, name: str, text: str) -> str:
        return self.store.publish({path_of(name): text}, self.zoe.person, "Publié ici")

    def row(self, number: int) -> Proposal:
        """A proposal as the database has it now, with its events."""
        with self.app.app_context():
            proposal = self._get(number)
            assert proposal.events
            return proposal

    def branch(self, number: int) -> str:
        return f"proposals/{self.row(number).branch}"

    def found(self, words: str) -> list[str]:
        """Slugs that the search finds."""
        answer = self.client.get("/api/v1/search", query_string={"q": words})
        assert answer.status_code == 200
        return [one["slug"] for one in answer.json["results"]]  # type: ignore[index]

    def text(self, name: str) -> str:
        return (self.folder / path_of(name)).read_text(encoding="utf-8")

    @staticmethod
    def _get(number: int) -> Proposal:
        found = session().get(Proposal, number)
        assert found is not None
        return found


def make_content(folder: Path) -> Path:
    """Make a content repository of a few articles."""
    sample = folder.with_name(f"{folder.name}-sample")
    (sample / "articles/dechets").mkdir(parents=True)
    for name in NAMES:
        (sample / path_of(name)).write_text(text_of(name), encoding="utf-8")
    (sample / "services.yml").write_text("dechets: {name: Déchets}\n", encoding="utf-8")
    git_store.ensure_repository(folder, sample)
    return folder


@contextmanager
def serve(kind: str, folder: Path) -> Iterator[Forge]:
    """Serve a forge of a kind, its repository empty."""
    repository = folder / f"{PROJECT}.git"
    with forge_server.serve(kind, PROJECT) as api, git_server.serve(folder) as git:
        git.token = TOKEN
        yield Forge(kind, repository, api, git)


def check(house: House, forge: Forge) -> None:
    """Let healthy passes run, and hold what must then be true of both sides."""
    forge.fault = lambda _: None
    for _ in range(3):  # decisions take a pass to be seen from the other side
        report = house.sync()
        assert report.errors == ()
    assert forge.tip("main") == house.store.head(), "both live branches are the same"
    with house.app.app_context():
        rows = list(session().scalars(sa.select(Proposal).where(Proposal.branch.is_not(None))))
        branches = {branch.name: branch.tip for branch in house.app.extensions["bible"].proposals.open_branches()}
    waiting = {f"proposals/{row.branch}": row.tip for row in rows if row.is_open}
    assert {f"proposals/{name}": tip for name, tip in branches.items()} == waiting
    assert forge.open_branches == sorted(waiting), "one open pull request for each proposal, and no other"
    for row in rows:
        if row.is_open:
            assert row.pushed_tip == row.tip == forge.tip(f"proposals/{row.branch}")
            assert row.pull_request == forge.pull_of(f"proposals/{row.branch}").number
    status = subprocess.run(["git", "status", "--porcelain"], cwd=house.folder, capture_output=True, text=True, check=True).stdout
    assert status == "", "the files are those of the live branch"
    assert forge.api.broken == []
