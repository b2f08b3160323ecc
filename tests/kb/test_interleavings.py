"""Three editors over twenty articles, in any order and at the same time: nothing accepted is lost, nothing is half there."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest

from kb.git_store import GitStore, blob_at, changed_paths
from kb.library import Library
from tests.kb.bible import Bible, unplugged
from tests.kb.editors import ARTICLES, Walk, Worked, first_state, first_text, work


@pytest.fixture
def bible(tmp_path: Path) -> Iterator[Bible]:
    with unplugged():
        yield Bible(tmp_path / "kb", {first_state(number).path: first_text(number) for number in range(ARTICLES)})


# ---- one after the other ----
@pytest.mark.parametrize("seed", [104, 107, 110])
def test_any_order_of_work_gives_what_the_model_says(bible: Bible, seed: int) -> None:
    walk = Walk(bible.folder, seed)
    for _ in range(120):
        walk.step()
    # Every kind of work was done; else the walk proves little.
    assert {"propose", "accept", "amend", "solve", "refuse", "by_hand_edit", "review", "stale", "conflict"} <= set(walk.done)
    assert walk.done["accept"] >= 15
    for path, words in walk.by_hand.items():
        assert bible.read(path) == words, "what nobody touched since is as the hand left it"
    for state in walk.live.values():
        bible.store.committed(state.path)
    bible.check()
    history = set(bible.git("rev-list", "HEAD").split())
    assert set(walk.published) <= history, "what went live is in the history for ever"
    objects = {line.split(" ")[0] for line in bible.git("rev-list", "--objects", "HEAD").splitlines()}
    assert {str(pygit2.hash(words.encode())) for words in walk.kept} <= objects, "and so is what was edited by hand"
    for name, (tip, path, words) in walk.closed.items():
        assert bible.references()[f"refs/bible/closed/{name}"] == tip
        assert bible.show(tip, path) == words
    assert set(bible.references()) == {"refs/heads/main"} | {f"refs/heads/proposals/{name}" for name in walk.proposals} | {
        f"refs/bible/closed/{name}" for name in walk.closed
    }
    followed = walk.stores[0]
    for state in walk.live.values():
        assert followed.history(state.path) == GitStore(bible.folder).history(state.path)


# ---- at the same time ----
def _work(folder: Path, who: str, steps: int, start: Any, results: Any) -> None:
    start.wait(60)
    with unplugged():
        results.put(work(folder, who, steps))


def test_threads_and_processes_that_work_at_the_same_time_lose_nothing(bible: Bible) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(6), context.Queue()
    workers: list[Any] = [
        context.Process(target=_work, args=(bible.folder, f"processus{number}", 18, start, results)) for number in range(3)
    ]
    done: list[Worked] = []

    def in_thread(who: str) -> None:
        start.wait(60)
        done.append(work(bible.folder, who, 18))

    workers += [threading.Thread(target=in_thread, args=(f"fil{number}",)) for number in range(3)]
    for worker in workers:
        worker.start()
    done += [results.get(timeout=90) for _ in range(3)]
    for worker in workers:
        worker.join(timeout=90)
    assert len(done) == 6
    assert [failure for one in done for failure in one.failures] == []
    published = [commit for one in done for commit in one.published]
    assert len(published) >= 20, "they did work"
    bible.check()
    assert len(Library.load(bible.folder).articles) + len(list(bible.folder.glob("archive/*/*.md"))) == ARTICLES
    history = set(bible.git("rev-list", "HEAD").split())
    assert set(published) <= history
    references = bible.references()
    for one in done:
        for name, tip in one.proposed.items():
            is_open, is_closed = f"refs/heads/proposals/{name}" in references, f"refs/bible/closed/{name}" in references
            assert [is_open, is_closed, tip in history and not is_open].count(True) == 1, f"{name} is live, open or closed"
            where = references.get(f"refs/heads/proposals/{name}") or references.get(f"refs/bible/closed/{name}") or "HEAD"
            assert tip in bible.git("rev-list", where).split(), "its text can be read"
    _nothing_else_was_written(bible)


def _nothing_else_was_written(bible: Bible) -> None:
    """Each merge changed on the live text what its proposal changes, and nothing that others had published."""
    repository = pygit2.Repository(str(bible.folder))
    commit: Any = repository[repository.head.target]
    merges = 0
    while commit.parents:
        before = commit.parents[0]
        if len(commit.parents) == 2:
            merges += 1
            tip = commit.parents[1]
            base = repository[repository.merge_base(before.id, tip.id)]
            proposed = {path.rsplit("/", 1)[-1].split("-")[0].removesuffix(".md") for path in changed_paths(repository, base, tip)}
            written = changed_paths(repository, before, commit)
            assert {path.rsplit("/", 1)[-1].split("-")[0].removesuffix(".md") for path in written} <= proposed
            assert all(blob_at(before, path) or blob_at(commit, path) for path in written)
        commit = before
    assert merges >= 5
