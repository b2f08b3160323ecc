"""The service as it runs: start-up, memory and load of a real gunicorn on the loopback, and the time from a file to a search.

Guarantees: everything is bounded in time; a server that was started is stopped, whatever happens.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kb.library import Library
from scripts.bench_content import SEED
from search.embedder import Embedder
from search.evaluation import RANKED
from search.live import LiveEngine
from webapp.settings import PROJECT

START_LIMIT_SECONDS = 300
REQUEST_LIMIT_SECONDS = 30
CHANGE_LIMIT_SECONDS = 60
WORKERS = 2
_POLL_SECONDS = 0.005
# Between two messages of the visitor who keeps asking while content changes: a busy desk, not a load test.
_VISITOR_PAUSE_SECONDS = 0.02


class ServingError(Exception):
    """The service did not start, or a change was never found."""


@dataclass(frozen=True)
class Ask:
    """A request that clients send: a GET, or a POST of JSON where there is a body. Its answer, a 200, holds ``expected``."""

    path: str
    expected: bytes
    body: bytes | None = None


@dataclass(frozen=True)
class Load:
    """What one number of clients got."""

    clients: int
    seconds: float
    requests: int
    errors: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, clients: int, seconds: float, took_ms: Sequence[float], errors: int) -> Load:
        """Summarise what each request took."""
        p50, p95, p99 = np.percentile(took_ms, [50, 95, 99]) if took_ms else [float("nan")] * 3
        return cls(clients, seconds, len(took_ms), errors, len(took_ms) / seconds, float(p50), float(p95), float(p99))


@dataclass(frozen=True)
class Sent:
    """Everything that clients sent for a time: each request with its milliseconds, those that failed apart."""

    clients: int
    seconds: float
    answered: tuple[tuple[Ask, float], ...]
    failed: tuple[Ask, ...]

    def load(self, chosen: Callable[[Ask], bool] = lambda _: True) -> Load:
        """Summarise the requests, or those that are chosen."""
        took_ms = [ms for ask, ms in self.answered if chosen(ask)]
        return Load.of(self.clients, self.seconds, took_ms, sum(map(chosen, self.failed)))


@dataclass(frozen=True)
class Serving:
    """A service over one collection: ``worker_mib`` is the resident memory of its largest worker, ``total_mib`` of all its processes."""

    start_seconds: float
    worker_mib: float
    total_mib: float
    loads: tuple[Load, ...]


@dataclass(frozen=True)
class Changes:
    """Edits made while a visitor keeps asking: ``seconds`` from the file written to the text found, for each edit."""

    seconds: tuple[float, ...]
    visitor_requests: int
    visitor_failures: int

    @property
    def median_seconds(self) -> float:
        return float(np.median(self.seconds))


@dataclass(frozen=True)
class Server:
    """A gunicorn that answers on the loopback."""

    port: int
    pid: int
    start_seconds: float


def measure_serving(kb: Path, var: Path, messages: Sequence[str], clients: Sequence[int], seconds: float) -> Serving:
    """Start the service, wait until it is ready, load it, and stop it.

    Args:
        kb: the content folder.
        var: the folder that holds its index.
        messages: what clients send, in turn.
        clients: numbers of clients, one load each.
        seconds: how long each load lasts.

    Raises:
        ServingError: it did not start.
    """
    asks = [Ask("/api/v1/match", b'"matches"', json.dumps({"message": message}).encode()) for message in messages]
    with running({"BIBLE_KB_DIR": str(kb), "BIBLE_VAR_DIR": str(var)}) as server:
        send_all(server.port, asks, 2 * WORKERS, 2.0)  # each worker answers a few before anything is counted
        memory = _resident_mib(server.pid)
        loads = tuple(send_all(server.port, asks, count, seconds).load() for count in clients)
    return Serving(server.start_seconds, max(memory.values(), default=float("nan")), sum(memory.values()) or float("nan"), loads)


@contextmanager
def running(environment: Mapping[str, str], command: Sequence[str] = ("webapp",), ready: str = "/readyz") -> Iterator[Server]:
    """Run ``python -m command`` on a free port, until the end of the ``with`` block.

    Args:
        environment: more environment, our settings among it.
        command: the module, and what follows it.
        ready: a path that answers 200 once it serves.

    Raises:
        ServingError: it did not start.
    """
    port = _free_port()
    own = {"BIBLE_HOST": "127.0.0.1", "BIBLE_PORT": str(port), "BIBLE_WORKERS": str(WORKERS)}
    with tempfile.TemporaryFile() as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=PROJECT,
            env=os.environ | own | dict(environment),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            while not _is_ready(port, ready):
                if process.poll() is not None or time.perf_counter() - started > START_LIMIT_SECONDS:
                    log.seek(0)
                    raise ServingError(f"the service did not start:\n{log.read()[-2000:].decode(errors='replace')}")
                time.sleep(0.02)
            yield Server(port, process.pid, time.perf_counter() - started)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a service and its workers: asked first, killed when it does not listen."""
    for one in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, one)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connect(port: int) -> http.client.HTTPConnection:
    """Make a connection to a server; it opens at the first request and is kept."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_LIMIT_SECONDS)


def _is_ready(port: int, path: str) -> bool:
    connection = connect(port)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _resident_mib(group: int) -> dict[int, float]:
    """Process → its resident memory in MiB, for a process group; empty where there is no ``ps``."""
    try:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,rss="], capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    rows = (tuple(map(int, line.split())) for line in listed.splitlines() if line.strip())
    return {pid: kib / 1024 for pid, pgid, kib in rows if pgid == group}


def send_all(port: int, asks: Sequence[Ask], clients: int, seconds: float) -> Sent:
    """Send requests from a number of clients, each on a connection that it keeps, one after the other.

    Args:
        port: of the server.
        asks: what each client sends, in turn; each begins at another place.
        clients: how many.
        seconds: for how long.
    """
    answered: list[tuple[Ask, float]] = []
    failed: list[Ask] = []
    stop_at = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection = connect(port)
        for ask in itertools.islice(itertools.cycle(asks), number * 7, None):
            started = time.perf_counter()
            if started >= stop_at:
                break
            if send(connection, ask):
                answered.append((ask, (time.perf_counter() - started) * 1000))
            else:
                failed.append(ask)
        connection.close()

    started = time.perf_counter()
    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=seconds + 2 * REQUEST_LIMIT_SECONDS)
    return Sent(clients, time.perf_counter() - started, tuple(answered), tuple(failed))


def send(connection: http.client.HTTPConnection, ask: Ask) -> bool:
    """Send one request; tell whether it was answered as it should."""
    try:
        if ask.body is None:
            connection.request("GET", ask.path)
        else:
            connection.request("POST", ask.path, ask.body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read()
        return response.status == 200 and ask.expected in body
    except (OSError, http.client.HTTPException):
        connection.close()  # the next request opens a new one
        return False


def measure_changes(kb: Path, index: Path, embedder: Embedder, messages: Sequence[str], work: Path, edits: int = 5) -> Changes:
    """Edit articles of a copy of a collection, and time how long each takes to be found, while a visitor keeps asking.

    Args:
        kb: the content folder; it is copied.
        index: its index; it is copied.
        embedder: the model.
        messages: what the visitor sends, in turn.
        work: a folder for the copies; emptied first and removed at the end.
        edits: how many edits.

    Raises:
        ServingError: an edit was not found within ``CHANGE_LIMIT_SECONDS``.
    """
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(kb, work / "kb", copy_function=shutil.copy)
    shutil.copytree(index, work / "index")
    live = LiveEngine(work / "kb", work / "index", lambda: embedder)
    live.start()
    visitor = _Visitor(live, messages)
    try:
        time.sleep(1.5)  # the watch is set up by then
        visitor.start()
        articles = random.Random(SEED).sample(sorted(live.engine.library.articles), edits)  # noqa: S311
        seconds = tuple(_edit(live, slug, number) for number, slug in enumerate(articles))
    finally:
        visitor.stop()
        live.stop()
        shutil.rmtree(work, ignore_errors=True)
    return Changes(seconds, visitor.requests, visitor.failures)


def _edit(live: LiveEngine, slug: str, number: int) -> float:
    """Give an article a question that no other has; return the seconds until words and meaning both find it."""
    library: Library = live.engine.library
    article = library.articles[slug]
    # A word that no collection holds, of letters only so that the analysis treats it as any other.
    word = "zyx" + "".join(chr(ord("a") + digit) for digit in divmod(number, 10)) + "quorgle"
    question = f"{article.title} : {word} ?"
    changed = article.edited({"questions": [*article.meta.questions, question]})
    path = library.root / article.path
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_text(changed.source, encoding="utf-8")
    started = time.perf_counter()
    os.replace(aside, path)
    _wait(lambda: slug in live.engine.search(word).slugs, f"the words of {slug}")
    _wait(lambda: _is_matched_on(live, question, slug), f"the meaning of {slug}")
    return time.perf_counter() - started


def _is_matched_on(live: LiveEngine, question: str, slug: str) -> bool:
    """Tell whether the article is found, and by this very question."""
    return any(match.slug == slug and match.matched_on == question for match in live.engine.match(question, limit=RANKED).matches)


def _wait(is_found: Callable[[], bool], what: str) -> None:
    give_up_at = time.perf_counter() + CHANGE_LIMIT_SECONDS
    while not is_found():
        if time.perf_counter() > give_up_at:
            raise ServingError(f"{what} was not found within {CHANGE_LIMIT_SECONDS} s of its change")
        time.sleep(_POLL_SECONDS)


class _Visitor:
    """Sends messages from a thread of its own and counts those that fail or find nothing to rank."""

    def __init__(self, live: LiveEngine, messages: Sequence[str]) -> None:
        self.requests = 0
        self.failures = 0
        self._live = live
        self._messages = messages
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="visitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=REQUEST_LIMIT_SECONDS)

    def _ask(self) -> None:
        for message in itertools.cycle(self._messages):
            if self._stop.is_set():
                return
            self.requests += 1
            try:
                if not self._live.engine.match(message).requests:
                    self.failures += 1
            except Exception:  # whatever goes wrong is what is counted
                self.failures += 1
            self._stop.wait(_VISITOR_PAUSE_SECONDS)
