"""The index on disk: an edit costs its own encoding and finds what a build from scratch finds; no death or damage is ever half-read."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from kb.library import Library
from search import index_store
from search.engine import SearchEngine
from search.errors import SearchError
from search.index_store import MAX_DEAD_SHARE, EmbeddingCache, Index, IndexStore
from search.keyword_index import KeywordIndex
from search.passages import passages
from tests.conftest import FakeEmbedder, MakeKb
from tests.search.conftest import TOWN, article_text

MESSAGES = [
    "Ma poubelle jaune n'a pas été ramassée",
    "Combien coûte un passeport pour ma fille, et comment l'inscrire à la cantine ?",
    "agrandir ma maison",
    "verre composteur jardin",
    "CNI",
    "rien de tout cela",
]
CARD, CANTINE, BIN = "articles/etat-civil/carte-identite.md", "articles/education/cantine.md", "articles/dechets/bac-jaune.md"
# Slug → score, confidence and what it was matched on.
Found = dict[str, tuple[float, float, str]]
GLASS = article_text("Trier le verre", "Le verre va au conteneur.", questions=("Où jeter mes bouteilles ?",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def opened() -> Iterator[list[Index]]:
    """Indexes to close after the test."""
    indexes: list[Index] = []
    yield indexes
    for index in indexes:
        index.keywords.close()


def open_index(root: Path, folder: Path, embedder: FakeEmbedder | None) -> Index:
    return IndexStore(folder, embedder).open(Library.load(root))


def results(index: Index, root: Path, embedder: FakeEmbedder | None) -> list[Found]:
    """What some messages and searches find with an index."""
    engine = SearchEngine(Library.load(root), index, embedder)
    found: list[Found] = []
    for message in MESSAGES:
        matches = engine.match(message, limit=10).matches
        found.append({match.slug: (match.score, match.confidence, match.matched_on) for match in matches})
        found.append(dict.fromkeys(engine.search(message).slugs, (0.0, 0.0, "")))
    assert any(found), "the messages find something"
    return found


def assert_same(found: list[Found], expected: list[Found]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert set(one) == set(other)
        for slug, (score, confidence, matched_on) in one.items():
            assert score == pytest.approx(other[slug][0], abs=1e-4)
            assert confidence == pytest.approx(other[slug][1], abs=2e-4)
            assert matched_on == other[slug][2]


def assert_as_from_scratch(index: Index, root: Path, scratch_folder: Path, embedder: FakeEmbedder | None) -> None:
    scratch = open_index(root, scratch_folder, replace(embedder, encoded=[]) if embedder else None)
    assert_same(results(index, root, embedder), results(scratch, root, embedder))
    scratch.keywords.close()


def write(root: Path, relative: str, text: str | None) -> None:
    path = root / relative
    if text is None:
        path.unlink()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(time.time_ns(), time.time_ns()))


def encoded_texts(root: Path, slug: str) -> list[str]:
    return sorted(passage.encoded for passage in passages(Library.load(root).articles[slug]))


# ---- what an edit costs ----
def test_only_what_changed_is_encoded(town: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]) -> None:
    def reopen() -> list[str]:
        fake_embedder.encoded.clear()
        opened.append(open_index(town, folder, fake_embedder))
        return sorted(fake_embedder.encoded)

    every = sorted({text for slug in Library.load(town).articles for text in encoded_texts(town, slug)})
    assert reopen() == every
    assert reopen() == [], "nothing changed"

    before = set(encoded_texts(town, "bac-jaune"))
    original = (town / BIN).read_text(encoding="utf-8")
    write(town, BIN, original.replace("la veille au soir", "avant six heures"))
    assert reopen() == sorted(set(encoded_texts(town, "bac-jaune")) - before), "the lead alone"

    write(town, "articles/dechets/verre.md", GLASS)
    assert reopen() == encoded_texts(town, "verre")
    write(town, "articles/dechets/verre.md", None)
    assert reopen() == []
    write(town, BIN, original)
    assert reopen() == [], "what was encoded once is kept"
    (town / CANTINE).rename(town / "articles/education/restauration.md")
    assert reopen() == [], "another name, the same texts"
    write(town, "synonyms.yml", "CNI: [pièce d'identité]\n")
    assert reopen() == [], "synonyms are words, not vectors"


def test_an_unchanged_library_opens_the_same_generation(town: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]) -> None:
    opened.append(open_index(town, folder, fake_embedder))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    opened.append(open_index(town, folder, fake_embedder))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("with_model", [True, False])
def test_edits_find_what_a_build_from_scratch_finds(
    town: Path, tmp_path: Path, folder: Path, with_model: bool, opened: list[Index]
) -> None:
    embedder = FakeEmbedder() if with_model else None
    dice = random.Random(7)
    words = ["verre", "composteur", "jardin", "passeport", "cantine", "poubelle", "maison", "portail", "timbre"]
    opened.append(open_index(town, folder, embedder))
    files = [path for path in TOWN if path.endswith(".md")] + [f"articles/divers/fiche-{number}.md" for number in range(4)]
    for round_ in range(8):
        for relative in dice.sample(files, 2):
            text = article_text(
                " ".join(dice.sample(words, 3)), " ".join(dice.choices(words, k=30)), questions=(" ".join(dice.sample(words, 4)),)
            )
            write(town, relative, None if (town / relative).exists() and dice.random() < 0.3 else text)
        held = opened[-1]
        opened.append(IndexStore(folder, embedder).open(Library.load(town), held=held))
        assert_as_from_scratch(opened[-1], town, tmp_path / f"scratch-{round_}", embedder)
        assert set(opened[-1].numbers) == set(Library.load(town).articles)


def test_dead_rows_do_not_pile_up(town: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]) -> None:
    rows = []
    for number in range(24):
        write(town, BIN, article_text(f"Bac numéro {number}", "Sortez le bac.", questions=(f"Question {number} ?",)))
        opened.append(open_index(town, folder, fake_embedder))
        dead = (opened[-1].row_documents < 0).mean()
        rows.append(len(opened[-1].row_documents))
        assert dead <= MAX_DEAD_SHARE + 0.25, "compacted at the next edit once over the limit"
    assert max(rows) <= 2 * rows[0]
    with sqlite3.connect(next(folder.glob("embeddings-*.sqlite"))) as connection:
        [(kept,)] = connection.execute("SELECT count(*) FROM vectors")
    connection.close()
    assert kept <= 3 * rows[0], "nor do the vectors of texts that are gone"


def test_a_change_never_waits_for_all_the_articles(town: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]) -> None:
    """What a running service extends stays an extension, however many rows are dead; the next start clears them."""
    opened.append(open_index(town, folder, fake_embedder))
    for number in range(12):
        write(town, BIN, article_text(f"Bac numéro {number}", "Sortez le bac.", questions=(f"Question {number} ?",)))
        opened.append(IndexStore(folder, fake_embedder).open(Library.load(town), held=opened[-1]))
        assert len(opened[-1].row_documents) > len(opened[-2].row_documents), "an extension, not a new index"
    assert (opened[-1].row_documents < 0).mean() > MAX_DEAD_SHARE
    opened.append(open_index(town, folder, fake_embedder))
    write(town, BIN, article_text("Bac", "Sortez le bac.", questions=("Question ?",)))
    opened.append(open_index(town, folder, fake_embedder))
    assert (opened[-1].row_documents < 0).mean() == 0


def test_an_empty_library_opens_and_grows(
    make_kb: MakeKb, tmp_path: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]
) -> None:
    root = make_kb({})
    opened.append(open_index(root, folder, fake_embedder))
    assert opened[-1].slugs == ()
    opened.append(open_index(root, folder, fake_embedder))
    for relative, text in TOWN.items():
        write(root, relative, text)
    opened.append(open_index(root, folder, fake_embedder))
    assert_as_from_scratch(opened[-1], root, tmp_path / "scratch", fake_embedder)
    for path in (root / "articles").rglob("*.md"):
        path.unlink()
    opened.append(open_index(root, folder, fake_embedder))
    assert opened[-1].numbers == {}
    opened.append(open_index(root, folder, fake_embedder))
    assert opened[-1].numbers == {}


def test_progress_goes_up_to_the_total_of_each_stage(town: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    opened.append(
        IndexStore(folder, fake_embedder).open(
            Library.load(town), lambda stage, done, total: seen.setdefault(stage, []).append((done, total))
        )
    )
    assert set(seen) == {"mots", "sens"}
    for steps in seen.values():
        done = [step for step, _ in steps]
        assert done == sorted(done)
        assert steps[-1][0] == steps[-1][1] > 0
        assert len({total for _, total in steps}) == 1


# ---- models ----
def test_another_model_is_another_index(town: Path, tmp_path: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]) -> None:
    other = FakeEmbedder(name="other", fingerprint="other-32", dimensions=32)
    opened.append(open_index(town, folder, fake_embedder))
    opened.append(open_index(town, folder, other))
    assert opened[-1].meta.model == "other"
    assert opened[-1].vectors is not None
    assert opened[-1].vectors.vectors.shape[1] == 32
    assert len(other.encoded) > 0
    assert_as_from_scratch(opened[-1], town, tmp_path / "scratch", other)
    assert [path.name for path in folder.glob("*.sqlite")] == ["embeddings-other-32.sqlite"]


def test_without_a_model_words_are_indexed_and_the_model_may_come_back(
    town: Path, tmp_path: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]
) -> None:
    opened.append(open_index(town, folder, fake_embedder))
    opened.append(open_index(town, folder, None))
    assert opened[-1].vectors is None
    assert_as_from_scratch(opened[-1], town, tmp_path / "words", None)
    fake_embedder.encoded.clear()
    opened.append(open_index(town, folder, fake_embedder))
    assert fake_embedder.encoded == [], "a night without the model does not cost its vectors"
    assert_as_from_scratch(opened[-1], town, tmp_path / "both", fake_embedder)


# ---- damage ----
def live_generation(folder: Path) -> Path:
    return folder / (folder / "CURRENT").read_text().strip()


FILES = ["meta.json", "postings.npz", "vocabulary.txt", "rows.npz", "vectors.npy", "vectors.faiss", "whoosh/*.toc", "whoosh/*.seg"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "one bit"])
def test_a_damaged_generation_is_rebuilt(
    town: Path, tmp_path: Path, folder: Path, fake_embedder: FakeEmbedder, name: str, damage: str, opened: list[Index]
) -> None:
    open_index(town, folder, fake_embedder).keywords.close()
    [path] = live_generation(folder).glob(name)
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
        path.write_bytes({"truncated": content[:middle], "empty": b"", "one bit": flipped}[damage])
    fake_embedder.encoded.clear()
    if (name, damage) != ("meta.json", "one bit"):  # a changed letter in its list of articles is another list
        assert IndexStore(folder, fake_embedder).load() is None
    opened.append(open_index(town, folder, fake_embedder))
    assert fake_embedder.encoded == [], "rebuilt from the vectors that are kept"
    assert_as_from_scratch(opened[-1], town, tmp_path / "scratch", fake_embedder)


@pytest.mark.parametrize("pointer", [None, b"", b"\xff\xfe\x00", b"absent", b"../../../etc", b"a" * 5_000, b"\x00", b"."])
def test_a_pointer_that_leads_nowhere_is_replaced(
    town: Path, tmp_path: Path, folder: Path, fake_embedder: FakeEmbedder, pointer: bytes | None, opened: list[Index]
) -> None:
    open_index(town, folder, fake_embedder).keywords.close()
    (folder / "CURRENT").unlink()
    if pointer is not None:
        (folder / "CURRENT").write_bytes(pointer)
    assert IndexStore(folder, fake_embedder).load() is None
    opened.append(open_index(town, folder, fake_embedder))
    assert_as_from_scratch(opened[-1], town, tmp_path / "scratch", fake_embedder)
    assert generations(folder) == [live_generation(folder).name]


def test_another_format_is_rebuilt(town: Path, tmp_path: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]) -> None:
    open_index(town, folder, fake_embedder).keywords.close()
    path = live_generation(folder) / "meta.json"
    meta = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(meta | {"format": meta["format"] + 1}), encoding="utf-8")
    assert IndexStore(folder, fake_embedder).load() is None
    opened.append(open_index(town, folder, fake_embedder))
    assert opened[-1].meta.format == meta["format"]
    assert_as_from_scratch(opened[-1], town, tmp_path / "scratch", fake_embedder)


def generations(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def cache_path(folder: Path) -> Path:
    return next(folder.glob("embeddings-*.sqlite"))


def _bigger(root: Path, count: int = 60) -> None:
    for number in range(count):
        text = article_text(
            f"Fiche {number}", f"Texte de la fiche {number}.", questions=(f"Question {number} ?", f"Autre question {number} ?")
        )
        write(root, f"articles/divers/fiche-{number}.md", text)


@pytest.mark.parametrize("damage", ["garbage", "empty", "truncated", "middle", "tail"])
def test_a_damaged_cache_is_made_anew(
    town: Path, tmp_path: Path, folder: Path, fake_embedder: FakeEmbedder, damage: str, opened: list[Index]
) -> None:
    _bigger(town)
    open_index(town, folder, fake_embedder).keywords.close()
    path = cache_path(folder)
    content = path.read_bytes()
    assert len(content) > 16_000, "several pages"
    half = len(content) // 2 // 4096 * 4096
    path.write_bytes(
        {
            "garbage": b"ceci n'est pas une base " * 400,
            "empty": b"",
            "truncated": content[: half + 100],
            "middle": content[:4096] + os.urandom(half) + content[4096 + half :],
            "tail": content[:half] + bytes(len(content) - half),
        }[damage]
    )
    (folder / "CURRENT").unlink()
    opened.append(open_index(town, folder, fake_embedder))
    assert_as_from_scratch(opened[-1], town, tmp_path / "scratch", fake_embedder)
    fake_embedder.encoded.clear()
    (folder / "CURRENT").unlink()
    opened.append(open_index(town, folder, fake_embedder))
    assert fake_embedder.encoded == [], "the cache is whole again"


def test_a_vector_of_another_size_is_encoded_again(folder: Path, fake_embedder: FakeEmbedder) -> None:
    folder.mkdir()
    cache = EmbeddingCache(folder, fake_embedder)
    expected = cache.encode(["un", "deux"], lambda count: None)
    cache.close()
    with sqlite3.connect(cache_path(folder)) as connection:
        connection.execute("UPDATE vectors SET vector = x'00'")
    connection.close()
    cache = EmbeddingCache(folder, fake_embedder)
    np.testing.assert_array_equal(cache.encode(["un", "deux"], lambda count: None), expected)
    cache.close()
    assert len(fake_embedder.encoded) == 4


def test_a_text_said_twice_is_encoded_once_and_progress_counts_all(folder: Path, fake_embedder: FakeEmbedder) -> None:
    folder.mkdir()
    cache = EmbeddingCache(folder, fake_embedder)
    vectors = cache.encode(["un", "deux", "un"], lambda count: None)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert sorted(fake_embedder.encoded) == ["deux", "un"]
    cache.close()


# ---- other processes ----
@pytest.fixture(scope="module")
def processes() -> BaseContext:
    """Real processes that start at once: forked from a server that has no thread and has read the code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _open_in_process(root: Path, folder: Path, start: Any, answers: Any) -> None:
    embedder = FakeEmbedder()
    start.wait()
    try:
        index = open_index(root, folder, embedder)
        answers.put((index.meta.content_hash, len(index.numbers), len(embedder.encoded)))
    except BaseException as error:
        answers.put(repr(error))


def test_processes_that_build_at_once_make_one_good_generation(
    town: Path, tmp_path: Path, folder: Path, fake_embedder: FakeEmbedder, processes: BaseContext, opened: list[Index]
) -> None:
    _bigger(town, 100)
    library = Library.load(town)
    start, answers = processes.Barrier(3), processes.Queue()
    builders = [processes.Process(target=_open_in_process, args=(town, folder, start, answers)) for _ in range(3)]
    for builder in builders:
        builder.start()
    given = [answers.get(timeout=60) for _ in builders]
    for builder in builders:
        builder.join(timeout=60)
    assert {answer[:2] for answer in given} == {(library.content_hash, len(library.articles))}
    assert sorted(bool(answer[2]) for answer in given) == [False, False, True], "one built, the others waited for it"
    assert len(generations(folder)) == 1
    opened.append(open_index(town, folder, fake_embedder))
    assert fake_embedder.encoded == []
    assert_as_from_scratch(opened[-1], town, tmp_path / "scratch", fake_embedder)


def _open_and_report(root: Path, folder: Path, begun: Any) -> None:
    library = Library.load(root)
    begun.send(True)
    IndexStore(folder, FakeEmbedder()).open(library)


def _die_at(call: str, count: int, root: Path, folder: Path) -> None:
    """Build an index and die, as by a power cut, just before the ``count``-th call of an ``os`` function."""
    real, seen = getattr(os, call), 0

    def deadly(*arguments: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    setattr(os, call, deadly)
    open_index(root, folder, FakeEmbedder())


@dataclass(frozen=True)
class Killed:
    """A live generation, newer content that is to be indexed over it, and what must hold after any death."""

    root: Path
    folder: Path
    hashes: tuple[str, str]  # of the live content and of the newer one
    expected: list[Found]  # what is found in the newer one
    build_seconds: float

    def copied(self, to: Path) -> Killed:
        """The same in a folder of its own."""
        root, folder = (Path(shutil.copytree(one, to / one.name)) for one in (self.root, self.folder))
        return replace(self, root=root, folder=folder)

    def check(self) -> None:
        embedder = FakeEmbedder()
        survivor = IndexStore(self.folder, embedder).load()
        assert survivor is not None, "there is always a generation to read"
        assert survivor.meta.content_hash in self.hashes
        assert survivor.keywords.search("fiche OR passeport", limit=100).total == 61
        survivor.keywords.close()
        again = open_index(self.root, self.folder, embedder)
        assert again.meta.content_hash == self.hashes[1]
        assert_same(results(again, self.root, embedder), self.expected)
        again.keywords.close()
        write(self.root, BIN, article_text("Bac gris", "Sortez le bac."))
        open_index(self.root, self.folder, embedder).keywords.close()
        assert len(generations(self.folder)) == 2, "what the dead one left is swept by the next build: the live one and the one before stay"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    base, embedder = tmp_path_factory.mktemp("killed"), FakeEmbedder()
    root, folder = base / "kb", base / "index"
    for relative, text in TOWN.items():
        write(root, relative, text)
    _bigger(root)
    for version in ("Première version.", "Deuxième version."):  # a generation that is to be removed, then the live one
        write(root, "articles/divers/version.md", article_text("Version", version))
        open_index(root, folder, embedder).keywords.close()
    old = Library.load(root)
    for number in range(0, 60, 3):
        write(root, f"articles/divers/fiche-{number}.md", article_text(f"Fiche neuve {number}", "Verre.", questions=(f"Neuf {number} ?",)))
    write(root, "synonyms.yml", "CNI: [pièce d'identité]\n")  # everything is indexed anew
    started = time.perf_counter()
    scratch = open_index(root, base / "scratch", embedder)
    seconds = time.perf_counter() - started
    expected = results(scratch, root, embedder)
    scratch.keywords.close()
    return Killed(root, folder, (old.content_hash, Library.load(root).content_hash), expected, seconds)


@pytest.fixture
def killed(template: Killed, tmp_path: Path) -> Killed:
    return template.copied(tmp_path)


@pytest.mark.parametrize("seed", range(10))
def test_a_build_killed_at_any_moment_leaves_the_old_generation(killed: Killed, processes: BaseContext, seed: int) -> None:
    here, there = processes.Pipe(duplex=False)
    builder = processes.Process(target=_open_and_report, args=(killed.root, killed.folder, there))
    builder.start()
    assert here.poll(30)
    time.sleep(random.Random(seed).uniform(0, killed.build_seconds))
    builder.kill()
    builder.join(timeout=30)
    here.close()
    there.close()
    killed.check()


@pytest.mark.parametrize(
    ("call", "count"),
    [("mkdir", 1), ("fsync", 1), ("fsync", 5), ("replace", 1), ("replace", 2), ("unlink", 1), ("unlink", 3), ("rmdir", 2)],
)
def test_a_build_killed_at_a_turning_point_leaves_a_whole_generation(killed: Killed, processes: BaseContext, call: str, count: int) -> None:
    builder = processes.Process(target=_die_at, args=(call, count, killed.root, killed.folder))
    builder.start()
    builder.join(timeout=30)
    assert builder.exitcode == -signal.SIGKILL, "the build never came to this call"
    killed.check()


def test_what_a_dead_process_of_the_same_number_left_does_not_hinder(
    town: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]
) -> None:
    """In a container every start has the same number."""
    leftover = folder / f".building-{os.getpid()}"
    (leftover / "whoosh").mkdir(parents=True)
    (leftover / "meta.json").write_text("{", encoding="utf-8")
    opened.append(open_index(town, folder, fake_embedder))
    assert generations(folder) == [live_generation(folder).name]


def test_readers_never_find_nothing_while_generations_are_swapped(
    town: Path, folder: Path, fake_embedder: FakeEmbedder, opened: list[Index]
) -> None:
    opened.append(open_index(town, folder, fake_embedder))
    hashes, missed, read = {opened[-1].meta.content_hash}, [], []
    stop = threading.Event()

    def reader() -> None:
        while not stop.is_set():
            index = IndexStore(folder, fake_embedder).load()
            if index is None:
                missed.append(time.monotonic())
                continue
            read.append(index.meta.content_hash)
            assert index.keywords.search("passeport").total == 1
            index.keywords.close()

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(12):
        write(town, BIN, article_text(f"Bac {number}", "Sortez le bac."))
        opened.append(open_index(town, folder, fake_embedder))
        hashes.add(opened[-1].meta.content_hash)
    stop.set()
    for thread in threads:
        thread.join()
    assert missed == []
    assert len(read) > 12
    assert set(read) <= hashes


# ---- a full disk ----
def test_a_full_disk_says_so_and_leaves_the_live_generation(
    town: Path, tmp_path: Path, folder: Path, fake_embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch, opened: list[Index]
) -> None:
    opened.append(open_index(town, folder, fake_embedder))
    live = live_generation(folder).name
    write(town, BIN, article_text("Bac gris", "Sortez le bac."))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SearchError, match=r"No space left.*espace"):
        open_index(town, folder, fake_embedder)
    monkeypatch.undo()
    assert live_generation(folder).name == live
    assert generations(folder) == [live]
    survivor = IndexStore(folder, fake_embedder).load()
    assert survivor is not None
    opened += [survivor, open_index(town, folder, fake_embedder)]
    assert_as_from_scratch(opened[-1], town, tmp_path / "scratch", fake_embedder)


STAGES: dict[str, tuple[Any, str]] = {
    "the words": (KeywordIndex, "write"),
    "the postings": (np, "savez"),
    "the cache": (EmbeddingCache, "encode"),
    "the vectors": (np, "save"),
    "faiss": (faiss, "write_index"),
    "meta": (index_store, "_digests"),
}


def _open_on_a_disk_that_fills_at(stage: str, root: Path, folder: Path, answers: Any) -> None:
    """Build an index; from a stage on no file may grow, so that the library that writes meets a real failure."""
    owner, name = STAGES[stage]
    real = getattr(owner, name)

    def full(*arguments: Any, **options: Any) -> Any:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        return real(*arguments, **options)

    setattr(owner, name, staticmethod(full) if owner is KeywordIndex else full)
    try:
        open_index(root, folder, FakeEmbedder())
        answers.send(("built", ""))
    except SearchError as error:
        answers.send(("refused", str(error)))
    except BaseException as error:
        answers.send(("failed", repr(error)))


@pytest.mark.parametrize("stage", list(STAGES))
def test_wherever_the_disk_fills_the_live_generation_stays(killed: Killed, processes: BaseContext, stage: str) -> None:
    here, there = processes.Pipe(duplex=False)
    builder = processes.Process(target=_open_on_a_disk_that_fills_at, args=(stage, killed.root, killed.folder, there))
    live, before = live_generation(killed.folder).name, generations(killed.folder)
    builder.start()
    assert here.poll(30)
    outcome, message = here.recv()
    builder.join(timeout=30)
    here.close()
    there.close()
    assert outcome == "refused", message
    assert str(killed.folder) in message
    assert live_generation(killed.folder).name == live
    assert generations(killed.folder) == before
    killed.check()


def test_a_folder_that_cannot_be_made_says_so(town: Path, tmp_path: Path, fake_embedder: FakeEmbedder) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SearchError, match="file"):
        open_index(town, tmp_path / "file" / "index", fake_embedder)


def test_a_file_system_without_links_copies(
    town: Path, tmp_path: Path, folder: Path, fake_embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch, opened: list[Index]
) -> None:
    def no_link(*arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(index_store.os, "link", no_link)
    opened.append(open_index(town, folder, fake_embedder))
    write(town, BIN, article_text("Bac gris", "Sortez le bac."))
    opened.append(open_index(town, folder, fake_embedder))
    assert_as_from_scratch(opened[-1], town, tmp_path / "scratch", fake_embedder)
