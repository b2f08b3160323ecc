"""The index on disk: built aside, swapped atomically, extended by what changed, rebuilt when missing, damaged or stale.

    <folder>/CURRENT                      name of the live generation, replaced in one rename
    <folder>/<generation>/                meta.json, postings.npz, rows.npz, vectors.npy, vectors.faiss, whoosh/
    <folder>/embeddings-<model>.sqlite    every vector ever encoded, by content hash: a killed build resumes where it was

Guarantees: a reader sees a whole generation or none (sizes and digests are checked); one process builds at a time; a build
that fails leaves the live generation as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from kb.article import Article
from kb.library import Library
from search.embedder import Embedder
from search.errors import IndexDamaged, SearchError
from search.keyword_index import KeywordDocument, KeywordIndex
from search.passages import keyword_fields, passages, synonym_table
from search.term_scores import Postings, TermScores
from search.vector_index import Half, VectorIndex

FORMAT = 2
# Beyond this share of dead rows a whole build (from cached embeddings) is cheaper than dragging them along.
MAX_DEAD_SHARE = 0.25
_ENCODE_CHUNK = 1024
_DELETED = ("", "")
_NO_ROWS = (np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int16), np.empty(0, dtype=np.bool_))

ProgressReport = Callable[[str, int, int], None]


class Meta(BaseModel):
    """What a generation is: which model and which content it was made from, and the digest of each of its files."""

    model_config = ConfigDict(frozen=True)

    format: int
    model: str | None
    fingerprint: str | None
    dimensions: int
    content_hash: str
    synonyms_hash: str
    documents: tuple[tuple[str, str], ...]
    files: dict[str, tuple[int, str]] = {}


@dataclass(frozen=True)
class Index:
    """An open generation.

    ``row_documents`` and ``row_passages`` say, for each row of ``vectors``, the number of its article (-1: dead) and of the passage
    within it; ``row_asks`` tells titles and questions from leads and sections. ``vectors`` is ``None`` when the index was
    built without a model.
    """

    meta: Meta
    row_documents: npt.NDArray[np.int32]
    row_passages: npt.NDArray[np.int16]
    row_asks: npt.NDArray[np.bool_]
    vectors: VectorIndex | None
    terms: TermScores
    keywords: KeywordIndex

    @cached_property
    def slugs(self) -> tuple[str, ...]:
        """Slug of each document number; empty for one that was deleted."""
        return tuple(slug for slug, _ in self.meta.documents)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Slug → document number."""
        return {slug: number for number, slug in enumerate(self.slugs) if slug}

    @cached_property
    def _rows_by_document(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        order = np.argsort(self.row_documents, kind="stable").astype(np.int64)
        starts = np.searchsorted(self.row_documents[order], np.arange(len(self.slugs) + 1))
        return order, starts.astype(np.int64)

    def rows_of(self, document: int) -> npt.NDArray[np.int64]:
        """Row numbers of a document's passages."""
        order, starts = self._rows_by_document
        return order[starts[document] : starts[document + 1]]

    def is_fresh(self, library: Library, embedder: Embedder | None) -> bool:
        """Tell whether this generation was made from this content with this model."""
        fingerprint = embedder.fingerprint if embedder else None
        return self.meta.content_hash == library.content_hash and self.meta.fingerprint == fingerprint


class IndexStore:
    """The generations of one content folder with one model.

    Args:
        folder: where the index lives; made when missing.
        embedder: the model, or ``None`` to index words only.
    """

    def __init__(self, folder: Path, embedder: Embedder | None) -> None:
        self.folder = folder
        self.embedder = embedder

    @property
    def pointer(self) -> Path:
        """The file that names the live generation."""
        return self.folder / "CURRENT"

    def open(self, library: Library, progress: ProgressReport | None = None, held: Index | None = None) -> Index:
        """Open the index of a library, building what is missing.

        Args:
            library: the content to index.
            progress: called with (stage, done, total).
            held: an index that this process has open; while it is the live generation it is extended without being read again. Dead
                rows are then left for the next start to clear: a publication does not wait for all the articles to be indexed anew.

        Raises:
            SearchError: the index cannot be written, for want of disk space, say.
        """
        current = self.load(held)
        if current is not None and current.is_fresh(library, self.embedder):
            return current
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "lock"):
                current = self.load(current)
                if current is not None and current.is_fresh(library, self.embedder):
                    return current
                return self._build(library, current, progress, may_compact=held is None)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            advice = "Libérez de l'espace ou corrigez les droits."
            raise SearchError(f"L'index ne peut pas être écrit dans {self.folder} ({reason}). {advice}") from error

    def meta(self) -> Meta | None:
        """Read what the live generation is, without opening it; ``None`` when there is none."""
        try:
            return Meta.model_validate_json((self.folder / self.pointer.read_text(encoding="ascii").strip() / "meta.json").read_bytes())
        except (OSError, ValueError):
            return None

    def load(self, held: Index | None = None) -> Index | None:
        """Open the live generation as it is, or return ``held`` when it is that one; ``None`` when it is missing or damaged."""
        for _ in range(3):  # a generation may be swapped away between reading its name and opening it
            try:
                name = self.pointer.read_text(encoding="ascii").strip()
                if held is not None and name == _generation_name(held) and (self.folder / name / "meta.json").exists():
                    return held
                return _load(self.folder / name, held)
            except (OSError, UnicodeDecodeError, IndexDamaged):
                continue
        return None

    def _build(self, library: Library, current: Index | None, progress: ProgressReport | None, *, may_compact: bool) -> Index:
        base = current if current is not None and self._can_extend(current, library, may_compact=may_compact) else None
        plan = _plan(library, base)
        staging = self.folder / f".building-{os.getpid()}"
        for leftover in self.folder.glob(".building-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        staging.mkdir()
        try:
            meta = self._write(staging, library, base, plan, progress)
            digest = hashlib.blake2b(meta.model_dump_json().encode(), digest_size=10).hexdigest()
            folder = self.folder / digest
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(staging, folder)
            _replace_text(self.pointer, digest)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        self._remove_old(keep={digest, _generation_name(current)})
        return _open(folder, meta)

    def _can_extend(self, current: Index, library: Library, *, may_compact: bool) -> bool:
        meta = current.meta
        dead = float((current.row_documents < 0).mean()) if len(current.row_documents) else 0.0
        fingerprint = self.embedder.fingerprint if self.embedder else None
        is_same_kind = meta.fingerprint == fingerprint and meta.synonyms_hash == library.context.synonyms_hash
        return is_same_kind and (dead <= MAX_DEAD_SHARE or not may_compact)

    def _write(self, folder: Path, library: Library, base: Index | None, plan: _Plan, progress: ProgressReport | None) -> Meta:
        added = {number: library.articles[slug] for number, slug in plan.added.items()}
        synonyms = synonym_table(library.context.synonyms)
        fields = {number: keyword_fields(article, synonyms) for number, article in added.items()}

        whoosh_folder = folder / "whoosh"
        if base is None:
            whoosh_folder.mkdir()
        else:
            _link_tree(base.keywords.folder, whoosh_folder)
        documents = (KeywordDocument(a.slug, a.service, a.meta.audience, a.meta.tags, fields[n]) for n, a in added.items())
        done = _Counter("mots", len(added), progress)
        gone_slugs = [base.slugs[number] for number in plan.gone] if base else []
        KeywordIndex.write(whoosh_folder, gone_slugs, documents, done.add)

        postings = (base.terms.postings if base else Postings.empty()).updated(plan.gone, fields)
        np.savez(
            folder / "postings.npz", documents=postings.documents, fields=postings.fields, terms=postings.terms, counts=postings.counts
        )
        (folder / "vocabulary.txt").write_text("\n".join(postings.vocabulary), encoding="utf-8")

        if self.embedder is not None:
            self._write_vectors(folder, added, base, plan, progress)
        shared = _shared_digests(folder, base) if base else {}
        for path in folder.rglob("*"):
            if path.is_file() and path.relative_to(folder).as_posix() not in shared:
                _sync(path)
        meta = Meta(
            format=FORMAT,
            model=self.embedder.name if self.embedder else None,
            fingerprint=self.embedder.fingerprint if self.embedder else None,
            dimensions=self.embedder.dimensions if self.embedder else 0,
            content_hash=library.content_hash,
            synonyms_hash=library.context.synonyms_hash,
            documents=plan.documents,
            files=_digests(folder, shared),
        )
        (folder / "meta.json").write_text(meta.model_dump_json(), encoding="utf-8")
        _sync(folder / "meta.json")
        return meta

    def _write_vectors(
        self, folder: Path, added: Mapping[int, Article], base: Index | None, plan: _Plan, progress: ProgressReport | None
    ) -> None:
        assert self.embedder is not None
        texts: list[str] = []
        new_documents: list[int] = []
        new_passages: list[int] = []
        new_asks: list[bool] = []
        for number, article in added.items():
            for position, passage in enumerate(passages(article)):
                texts.append(passage.encoded)
                new_documents.append(number)
                new_passages.append(position)
                new_asks.append(passage.field in ("title", "question"))
        new_vectors = self._encoded(texts, progress, forget_others=base is None)
        if base is None or base.vectors is None:
            vectors = VectorIndex.build(new_vectors)
            old_documents, old_passages, old_asks = _NO_ROWS
        else:
            vectors = base.vectors.extended(new_vectors)
            old_documents = np.where(np.isin(base.row_documents, list(plan.gone)), -1, base.row_documents)
            old_passages, old_asks = base.row_passages, base.row_asks
        vectors.save(folder)
        np.savez(
            folder / "rows.npz",
            documents=np.concatenate([old_documents, new_documents]).astype(np.int32),
            passages=np.concatenate([old_passages, new_passages]).astype(np.int16),
            asks=np.concatenate([old_asks, new_asks]).astype(np.bool_),
        )

    def _encoded(self, texts: Sequence[str], progress: ProgressReport | None, *, forget_others: bool) -> Half:
        assert self.embedder is not None

        def encode(embedder: Embedder) -> Half:
            with contextlib.closing(EmbeddingCache(self.folder, embedder)) as cache:
                vectors = cache.encode(texts, _Counter("sens", len(texts), progress).add)
                if forget_others:
                    cache.keep_only(texts)
                return vectors

        try:
            return encode(self.embedder)
        except sqlite3.OperationalError:  # the disk, not the file
            raise
        except sqlite3.DatabaseError:  # a cache: what is damaged is made anew
            EmbeddingCache.drop(self.folder, self.embedder)
            return encode(self.embedder)

    def _remove_old(self, keep: set[str]) -> None:
        for path in self.folder.iterdir():
            if path.is_dir() and path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob("embeddings-*.sqlite*"):
            if self.embedder and self.embedder.fingerprint not in path.name:
                path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Plan:
    """What a build changes: the documents that go, those that come (number → slug), and the list that results."""

    documents: tuple[tuple[str, str], ...]
    gone: frozenset[int]
    added: Mapping[int, str]


def _plan(library: Library, base: Index | None) -> _Plan:
    wanted = {slug: article.content_hash for slug, article in library.articles.items()}
    documents = list(base.meta.documents) if base else []
    gone = {number for number, (slug, digest) in enumerate(documents) if slug and wanted.get(slug) != digest}
    numbers = {slug: number for number, (slug, _) in enumerate(documents) if slug}
    for number in gone:
        documents[number] = _DELETED
    added: dict[int, str] = {}
    for slug, digest in wanted.items():
        if slug not in numbers:
            numbers[slug] = len(documents)
            documents.append(_DELETED)
        elif numbers[slug] not in gone:
            continue
        number = numbers[slug]
        documents[number] = (slug, digest)
        added[number] = slug
    return _Plan(tuple(documents), frozenset(gone), added)


class EmbeddingCache:
    """Vectors by the digest of their text, in SQLite: what was encoded once is never encoded again by the same model."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self._embedder = embedder
        self._connection = sqlite3.connect(_cache_path(folder, embedder))
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
        except sqlite3.Error:
            self._connection.close()
            raise

    @staticmethod
    def drop(folder: Path, embedder: Embedder) -> None:
        """Forget every vector of a model."""
        path = _cache_path(folder, embedder)
        for leftover in path.parent.glob(f"{path.name}*"):
            leftover.unlink(missing_ok=True)

    def encode(self, texts: Sequence[str], progress: Callable[[int], None]) -> Half:
        """Return the passages' vectors, half precision, shape (len(texts), dimensions); encode and keep those that are new."""
        vectors = np.zeros((len(texts), self._embedder.dimensions), dtype=np.float16)
        keys = [_key(text) for text in texts]
        missing: dict[bytes, list[int]] = {}
        for position, key in enumerate(keys):
            row = self._connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
            if row is not None and len(row[0]) == vectors.shape[1] * 2:
                vectors[position] = np.frombuffer(row[0], dtype=np.float16)
            else:
                missing.setdefault(key, []).append(position)
        progress(len(texts) - sum(map(len, missing.values())))
        pending = list(missing.items())
        for start in range(0, len(pending), _ENCODE_CHUNK):
            chunk = pending[start : start + _ENCODE_CHUNK]
            encoded = self._embedder.encode_passages([texts[positions[0]] for _, positions in chunk], progress).astype(np.float16)
            for (_, positions), vector in zip(chunk, encoded, strict=True):
                vectors[positions] = vector
            with self._connection:
                rows = [(key, vector.tobytes()) for (key, _), vector in zip(chunk, encoded, strict=True)]
                self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        return vectors

    def keep_only(self, texts: Iterable[str]) -> None:
        """Forget the vectors of texts that no article holds any more."""
        wanted = {_key(text) for text in texts}
        gone = [(key,) for (key,) in self._connection.execute("SELECT key FROM vectors") if key not in wanted]
        # Some slack: what was deleted yesterday may be restored today.
        if len(gone) > len(wanted):
            with self._connection:
                self._connection.executemany("DELETE FROM vectors WHERE key = ?", gone)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class _Counter:
    def __init__(self, stage: str, total: int, progress: ProgressReport | None) -> None:
        self._stage, self._total, self._progress, self._done = stage, total, progress, 0

    def add(self, count: int) -> None:
        self._done += count
        if self._progress:
            self._progress(self._stage, self._done, self._total)


def _cache_path(folder: Path, embedder: Embedder) -> Path:
    return folder / f"embeddings-{embedder.fingerprint}.sqlite"


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _load(folder: Path, held: Index | None = None) -> Index:
    """Open a generation whose files are whole; those that it shares with one that is open were read already."""
    try:
        meta = Meta.model_validate_json((folder / "meta.json").read_bytes())
    except (OSError, ValueError) as error:
        raise IndexDamaged(f"{folder}: meta.json ({error})") from error
    if meta.format != FORMAT:
        raise IndexDamaged(f"{folder}: format {meta.format}, {FORMAT} expected")
    if _digests(folder, _shared_digests(folder, held) if held else None) != meta.files:
        raise IndexDamaged(f"{folder}: a file is missing or truncated")
    try:
        return _open(folder, meta)
    except Exception as error:  # each library fails on damage in its own way
        raise IndexDamaged(f"{folder}: {error}") from error


def _open(folder: Path, meta: Meta) -> Index:
    with np.load(folder / "postings.npz") as arrays:
        vocabulary = (folder / "vocabulary.txt").read_text(encoding="utf-8")
        postings = Postings(
            arrays["documents"], arrays["fields"], arrays["terms"], arrays["counts"], tuple(vocabulary.split("\n")) if vocabulary else ()
        )
    row_documents, row_passages, row_asks = _NO_ROWS
    vectors = None
    if meta.fingerprint is not None:
        with np.load(folder / "rows.npz") as arrays:
            row_documents, row_passages = arrays["documents"], arrays["passages"]
            row_asks = arrays["asks"]
        vectors = VectorIndex.load(folder)
    alive = sum(1 for slug, _ in meta.documents if slug)
    terms = TermScores(postings, len(meta.documents), alive)
    return Index(meta, row_documents, row_passages, row_asks, vectors, terms, KeywordIndex(folder / "whoosh"))


def _shared_digests(folder: Path, base: Index) -> dict[str, tuple[int, str]]:
    """Sizes and digests of the files that a generation shares with the one that it extends: they are on the disk, and were read once."""
    known = base.keywords.folder.parent
    return {
        name: digest
        for name, digest in base.meta.files.items()
        if (folder / name).exists() and (known / name).exists() and (folder / name).samefile(known / name)
    }


def _digests(folder: Path, shared: Mapping[str, tuple[int, str]] | None = None) -> dict[str, tuple[int, str]]:
    found = dict(shared or {})
    for path in sorted(folder.rglob("*")):
        # Whoosh leaves its lock file behind; it holds nothing.
        if path.is_file() and path.name not in {"meta.json", "MAIN_WRITELOCK"} and path.relative_to(folder).as_posix() not in found:
            digest = hashlib.blake2b(digest_size=16)
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            found[path.relative_to(folder).as_posix()] = (path.stat().st_size, digest.hexdigest())
    return found


def _generation_name(index: Index | None) -> str:
    return index.keywords.folder.parent.name if index else ""


def _link_tree(source: Path, target: Path) -> None:
    """Make a copy that shares its files: Whoosh writes new segments and never changes one that is written."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_file() and path.name != "MAIN_WRITELOCK":
            try:
                os.link(path, target / path.name)
            except OSError:  # a file system without hard links
                shutil.copy2(path, target / path.name)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _replace_text(path: Path, text: str) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(text, encoding="ascii")
    _sync(temporary)
    os.replace(temporary, path)


__all__ = ["EmbeddingCache", "Index", "IndexStore", "Meta", "ProgressReport"]
