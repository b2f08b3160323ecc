"""The engine that requests use, kept up to date while content changes.

Guarantees: ``engine`` is always whole, and replaced in one assignment, so no request waits or fails during a rebuild; what cannot be
indexed leaves the last engine in place; a model that cannot load leaves keyword search, with the reason.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from watchfiles import Change, watch

from kb.errors import KbError
from kb.library import Library
from search.embedder import Embedder
from search.engine import SearchEngine
from search.errors import ModelUnavailable, SearchError
from search.index_store import Index, IndexStore, ProgressReport

log = logging.getLogger(__name__)

# Files are often written in bursts (an editor's save, a git checkout): changes are gathered for this long.
_BURST_MS = 50
_MAX_WAIT_MS = 400
# How often the folder is looked at even when no change was seen.
_POLL_MS = 1000


class LiveEngine:
    """Holds the current engine of a content folder.

    Args:
        kb_root: the content folder.
        index_folder: where the index lives.
        load_embedder: makes the model; may raise ``ModelUnavailable``.
        progress: see ``IndexStore.open``.

    Raises:
        KbError: the content folder does not exist.
        SearchError: the index cannot be written.
    """

    def __init__(
        self, kb_root: Path, index_folder: Path, load_embedder: Callable[[], Embedder], progress: ProgressReport | None = None
    ) -> None:
        self._embedder: Embedder | None = None
        self._degraded: str | None = None
        try:
            self._embedder = load_embedder()
        except ModelUnavailable as error:
            log.warning("search by meaning is off: %s", error)
            self._degraded = f"Recherche par mots-clés seulement : {error}"
        self.store = IndexStore(index_folder, self._embedder)
        self._refreshing = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.engine = self._engine(Library.load(kb_root), progress)
        self.engine.warm_up()

    def _engine(self, library: Library, progress: ProgressReport | None = None, held: Index | None = None) -> SearchEngine:
        index = self.store.open(library, progress, held)
        return SearchEngine(library, index, self._embedder, degraded=self._degraded)

    def refresh(self) -> bool:
        """Read what changed on disk and swap the engine; tell whether it was."""
        with self._refreshing:
            library = self.engine.library.refreshed()
            if library is self.engine.library:
                return False
            self.engine = self._engine(library, held=self.engine.index)
            # Only now: a new text is found a quarter of a second sooner, for a first message that may be as much later.
            self.engine.warm_up()
            return True

    def start(self) -> None:
        """Watch the content folder from a thread of its own, until ``stop``."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="bible-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop watching and wait for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None

    def _watch(self) -> None:
        root = self.engine.library.root.resolve()

        def is_content(_: Change, path: str) -> bool:
            relative = Path(path).relative_to(root) if Path(path).is_relative_to(root) else Path(path)
            return not any(part.startswith(".") for part in relative.parts) and relative.suffix in {".md", ".yml", ""}

        while not self._stop.is_set():
            # What changed between loading and watching would be missed without a first look.
            self._try_refresh()
            try:
                for _ in watch(
                    root,
                    watch_filter=is_content,
                    stop_event=self._stop,
                    step=_BURST_MS,
                    debounce=_MAX_WAIT_MS,
                    rust_timeout=_POLL_MS,
                    yield_on_timeout=True,
                    raise_interrupt=False,
                ):
                    self._try_refresh()
            except (OSError, RuntimeError) as error:  # the folder is away for a while, or the system's watches are used up
                log.warning("the content folder cannot be watched and is read again every second: %s", error)
                self._stop.wait(_POLL_MS / 1000)

    def _try_refresh(self) -> None:
        try:
            self.refresh()
        except (KbError, SearchError):
            log.exception("the content changed but could not be indexed; the last good index stays live")
        except Exception:  # the watcher must outlive whatever one edit provokes
            log.exception("unexpected failure while refreshing; the last good index stays live")
