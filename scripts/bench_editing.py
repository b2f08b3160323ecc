"""Versions and proposals under load: the history of an article among thousands of commits, the list of proposals, an accepted text."""

from __future__ import annotations

import gc
import multiprocessing
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import pygit2
from flask import Flask
from pygit2.enums import FileMode

from kb.article import Article
from kb.git_store import GitStore, Person
from scripts.bench_content import SEED
from scripts.bench_serving import ServingError
from search.embedder import Embedder
from search.live import LiveEngine
from webapp import create_app
from webapp.accounts import demo
from webapp.accounts.account import Account
from webapp.database import session
from webapp.proposals import service
from webapp.proposals.models import Proposal
from webapp.settings import Settings, load_settings

COMMITS = 5_000
PROPOSALS = 1_000
HISTORIES, LISTS, ACCEPTED = 20, 20, 5
WAIT_SECONDS = 30
WHO = Person("Banc d'essai", "banc@ville.example")


@dataclass(frozen=True)
class Editing:
    """What was measured on one repository.

    ``history_ms``: the history of an article that was never asked for, each time another, by one store that just opened; ``list_ms``: the
    page of proposals, rendered, by a client without network; ``accepted_here_seconds`` and ``accepted_elsewhere_seconds``: from the
    reviewer's click until search finds the text, in that worker and in another one that watches the folder. ``git_log_ms`` is what
    git's own command takes for the same histories.
    """

    articles: int
    commits: int
    proposals: int
    history_ms: tuple[float, ...]
    git_log_ms: tuple[float, ...]
    list_ms: tuple[float, ...]
    accepted_here_seconds: tuple[float, ...]
    accepted_elsewhere_seconds: tuple[float, ...]


class BenchSettings(Settings):
    """Settings whose model is loaded already."""

    embedder: object = None

    def load_embedder(self) -> Embedder:
        return cast(Embedder, self.embedder)


def measure_editing(kb: Path, index: Path, embedder: Embedder, work: Path) -> Editing:
    """Make a repository of a collection with ``COMMITS`` commits and ``PROPOSALS`` proposals, and work on it.

    Args:
        kb: the content folder; it is copied.
        index: its index; it is copied.
        embedder: the model.
        work: a folder for the copies; emptied first and removed at the end.

    Raises:
        ServingError: an accepted text was not found within ``WAIT_SECONDS``.
    """
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(kb, work / "kb", copy_function=shutil.copy)
    shutil.copytree(index, work / "var" / "index")
    paths = _committed(work / "kb")
    GitStore(work / "kb").tidy()  # as the service does when it starts
    chance = random.Random(SEED)  # noqa: S311
    asked = chance.sample(paths, HISTORIES)
    store = GitStore(work / "kb")
    histories = tuple(_timed_ms(partial(store.history, path)) for path in asked)
    logs = tuple(_timed_ms(partial(_git, work / "kb", "log", "--format=%H", "--", path)) for path in asked)
    settings = BenchSettings(kb_dir=work / "kb", var_dir=work / "var", watch=False, secret_key="benchmark", embedder=embedder)  # noqa: S106
    app = create_app(settings)
    gc.collect()
    gc.freeze()  # as gunicorn.conf.py does
    try:
        with _other_worker(settings) as other, app.app_context(), app.test_request_context():
            found = [_accepted(app, other, path, number) for number, path in enumerate(chance.sample(paths, ACCEPTED))]
            session().add_all(_row(number, chance) for number in range(PROPOSALS))
            session().commit()
        client = app.test_client()
        client.get("/propositions/")
        lists = tuple(_timed_ms(lambda: client.get("/propositions/?vue=ouvertes")) for _ in range(LISTS))
    finally:
        gc.unfreeze()
        app.extensions["bible"].live.stop()
        shutil.rmtree(work, ignore_errors=True)
    return Editing(len(paths), COMMITS, PROPOSALS, histories, logs, lists, *zip(*found, strict=True))


def _timed_ms(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def _committed(folder: Path) -> list[str]:
    """Make the folder a repository whose articles have changed ``COMMITS`` times; every commit changes one article."""
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["-c", "user.name=b", "-c", "user.email=b@c", "commit", "-qm", "Départ"]):
        _git(folder, *arguments)
    paths = sorted(str(path.relative_to(folder)) for path in (folder / "articles").rglob("*.md"))
    chance = random.Random(SEED)  # noqa: S311
    pygit2.settings.enable_fsync_gitdir(False)  # only to get there
    with GitStore(folder).writing() as writer:
        texts = {path: (folder / path).read_text(encoding="utf-8") for path in paths}
        head = writer.repository.head.target
        touched = set()
        index = pygit2.Index()
        index.read_tree(writer.commit(head).tree)
        for number in range(COMMITS):
            path = chance.choice(paths)
            texts[path] = texts[path].rstrip("\n") + f"\n\nVersion {number}.\n"
            index.add(pygit2.IndexEntry(path, writer.repository.create_blob(texts[path].encode()), FileMode.BLOB))
            head = writer.record(index.write_tree(writer.repository), [head], WHO, f"Version {number}")
            touched.add(path)
        writer.publish(head, touched)
    pygit2.settings.enable_fsync_gitdir(True)
    return paths


def _row(number: int, chance: random.Random) -> Proposal:
    return Proposal(
        kind="request", title=f"Demande {number}", service=chance.choice(("dechets", "etat-civil")), message="…", author_name="Banc d'essai"
    )


@contextmanager
def _other_worker(settings: Settings) -> Iterator[Connection]:
    """A process like another gunicorn worker's: sent a slug and a word, it answers with the moment at which its own search finds both."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_watch, args=(there, settings.content_dir, settings.index_dir), daemon=True)
    process.start()
    try:
        if not here.poll(2 * WAIT_SECONDS):
            raise ServingError(f"the second worker was not ready within {2 * WAIT_SECONDS} s")
        here.recv()
        yield here
    finally:
        process.kill()
        process.join()


def _watch(there: Connection, kb: Path, index: Path) -> None:
    live = LiveEngine(kb, index, load_settings().load_embedder)
    live.start()
    gc.collect()
    gc.freeze()
    time.sleep(1.5)  # the watch is set up by then
    there.send("ready")
    while True:
        slug, word = there.recv()
        _wait(lambda slug=slug, word=word: slug in live.engine.search(word).slugs, word)  # type: ignore[misc]
        there.send(time.perf_counter())  # one clock for all the processes of a machine


def _accepted(app: Flask, other: Connection, path: str, number: int) -> tuple[float, float]:
    """Propose a sentence with a word that no other text has, accept it, and wait until both workers find it."""
    state = app.extensions["bible"]
    word = "zyx" + "".join(chr(ord("a") + digit) for digit in divmod(number, 10)) + "quorgle"
    article = Article.parse(state.store.read(path), path)
    new = article.edited({"questions": [*article.meta.questions, f"{article.title} : {word} ?"]})
    account = replace(Account.of(demo.user()), is_admin=True)
    proposal = service.submit(service.Change("edit", article.slug, article.title, article.service, {path: new.source}), account)
    other.send((article.slug, word))
    started = time.perf_counter()
    service.accept(proposal, account, proposal.tip or "")
    _wait(lambda: article.slug in state.engine.search(word).slugs, word)
    here = time.perf_counter() - started
    if not other.poll(WAIT_SECONDS):
        raise ServingError(f"{word} was not found in the second worker within {WAIT_SECONDS} s")
    return here, other.recv() - started


def _wait(is_found: Callable[[], bool], what: str) -> None:
    limit = time.perf_counter() + WAIT_SECONDS
    while not is_found():
        if time.perf_counter() > limit:
            raise ServingError(f"{what} was not found within {WAIT_SECONDS} s")
        time.sleep(0.02)  # a question every 5 ms would itself slow the worker that is asked
