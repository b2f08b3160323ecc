"""The public pages and the widget as they are served, on the sample content: what each costs, a crowd of clients, a real browser.

A page is held against a route that returns a constant string, in a Flask application that has nothing else. Over HTTP that application
has a gunicorn of its own, with our settings: mounted in ours, it would pay for our hooks or share our workers. The sides that are
compared take turns, so that noise hits both. Nothing leaves the loopback.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.types import WSGIApplication

from flask import Flask
from werkzeug.test import EnvironBuilder
from werkzeug.wsgi import ClosingIterator

from kb.git_store import ensure_repository
from scripts.bench_editing import BenchSettings
from scripts.bench_serving import Ask, Load, ServingError, connect, running, send, send_all
from search.embedder import Embedder
from search.engine import SearchEngine
from webapp import create_app
from webapp.public import FAQ, PublicFaq, public_faq
from webapp.settings import SAMPLE_KB

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

Action = Callable[[int], object]
CLIENTS = 64
PAGES_PER_QUERY = 3
ANSWERS = 5
ROUNDS = 300
WARM_UP = 30
# Nobody is refused: what is measured is the service, not its limit.
RATE_LIMIT = "1000000/second"
STRING = "constant"
CONSTANT = Ask("/", STRING.encode())
BARE = ("gunicorn", "--config", "gunicorn.conf.py", "scripts.bench_public:constant_app()")
# The pause between two keys of somebody who types fast; longer than the widget's own, each word would be a question.
KEY_PAUSE_MS = 40
SETTLED_MS = 2_000
SCREENS = (FAQ, "/demo-widget")
WINDOW: ViewportSize = {"width": 1280, "height": 900}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
TYPED = ("comment refaire mon passeport", "ma poubelle n'a pas été ramassée", "inscrire mon fils à la cantine", "déchetterie")


@dataclass(frozen=True)
class Cost:
    """Medians, in milliseconds, of something and of what it is held against, measured in turns."""

    name: str
    took_ms: float
    against_ms: float


@dataclass(frozen=True)
class Screen:
    """A page in a browser: ``shift`` is its cumulative layout shift, ``answers_ms`` from the last key to the first answer, by question."""

    path: str
    console_errors: int
    shift: float
    answers_ms: tuple[float, ...]


@dataclass(frozen=True)
class Public:
    """What was measured: pages in process and over HTTP, a query, a crowd by kind of request; no ``screens`` where there is no browser."""

    machine: str
    in_process: tuple[Cost, ...]
    over_http: tuple[Cost, ...]
    query: Cost
    crowd: dict[str, Load]
    screens: tuple[Screen, ...]


def constant_app() -> Flask:
    """Make the application that pages are held against."""
    app = Flask("constant")
    app.add_url_rule(CONSTANT.path, "constant", lambda: STRING)
    return app


def measure_public(embedder: Embedder, index: Path, questions: Sequence[str], seconds: float, work: Path) -> Public:
    """Serve the sample content, and measure its public side.

    Args:
        embedder: the model.
        index: an index of the sample; it is copied.
        questions: what citizens ask.
        seconds: how long the crowd lasts.
        work: a folder for the copies; emptied first and removed at the end.

    Raises:
        ServingError: a service did not start, or a page failed.
    """
    machine = f"load {os.getloadavg()[0]:.1f} before"
    shutil.rmtree(work, ignore_errors=True)
    ensure_repository(work / "kb", SAMPLE_KB)
    shutil.copytree(index, work / "var" / "index")
    app = create_app(BenchSettings(kb_dir=work / "kb", var_dir=work / "var", watch=False, embedder=embedder))
    environment = {"BIBLE_KB_DIR": str(work / "kb"), "BIBLE_VAR_DIR": str(work / "var"), "BIBLE_RATE_LIMIT": RATE_LIMIT}
    try:
        with app.app_context():
            faq = public_faq()
        paths = (FAQ, faq.path(next(iter(faq.articles))))
        called = [_call(app, path) for path in paths]
        in_process = _costs("in process", paths, called, _call(constant_app(), CONSTANT.path), 10 * ROUNDS)
        with running(environment) as service, running(environment, BARE, CONSTANT.path) as constant:
            with closing(connect(service.port)) as ours, closing(connect(constant.port)) as bare:
                sent = [_sends(ours, Ask(path, b"</html>")) for path in paths]
                over_http = _costs("over HTTP", paths, sent, _sends(bare, CONSTANT), ROUNDS)
                query = _query(ours, bare, app.extensions["bible"].engine, faq, questions)
            crowd = _crowd(service.port, faq, questions, seconds)
            screens = tuple(_screens(service.port))
    finally:
        app.extensions["bible"].live.stop()
        shutil.rmtree(work, ignore_errors=True)
    return Public(machine, in_process, over_http, query, crowd, screens)


# ---- what a page and a query cost ----
def _costs(how: str, paths: Sequence[str], pages: Sequence[Action], constant: Action, rounds: int) -> tuple[Cost, ...]:
    against, *took = _medians_ms([constant, *pages], rounds)
    return tuple(Cost(f"{path}, {how}", ms, against) for path, ms in zip(paths, took, strict=True))


def _call(app: WSGIApplication, path: str) -> Action:
    """Make what calls an application as a server does, its answer thrown away."""
    environ = EnvironBuilder(path=path, base_url="http://127.0.0.1/", environ_base={"REMOTE_ADDR": "127.0.0.1"}).get_environ()

    def start(status: str, _headers: object, _error: object = None) -> Callable[[bytes], object]:
        if not status.startswith("200"):
            raise ServingError(f"{path}: {status}")
        return lambda _: None

    def call(_number: int) -> None:
        with closing(ClosingIterator(app(environ.copy(), start))) as body:
            b"".join(body)

    return call


def _query(ours: HTTPConnection, bare: HTTPConnection, engine: SearchEngine, faq: PublicFaq, questions: Sequence[str]) -> Cost:
    def match(number: int) -> None:
        faq.answers(engine.match(questions[number % len(questions)], limit=ANSWERS, public_only=True), ANSWERS)

    actions = [_sends(ours, *map(_asked, questions)), match, _sends(bare, CONSTANT)]
    _medians_ms(actions, len(questions))  # what is made once for an answer is made by then
    took, in_process, constant = _medians_ms(actions, ROUNDS)
    return Cost("widget query, over HTTP", took, in_process + constant)


def _asked(question: str) -> Ask:
    return Ask("/api/public/v1/match", b'"answered"', json.dumps({"message": question, "limit": ANSWERS}).encode())


def _sends(connection: HTTPConnection, *asks: Ask) -> Action:
    """Make what sends requests in turn; it stops at the first that fails."""

    def call(number: int) -> None:
        ask = asks[number % len(asks)]
        if not send(connection, ask):
            raise ServingError(f"{ask.path} failed")

    return call


def _medians_ms(actions: Sequence[Action], rounds: int) -> list[float]:
    """Time actions that take turns, now from the first, now from the last; the median of each."""
    took: list[list[float]] = [[] for _ in actions]
    for number in range(-WARM_UP, rounds):
        turns = list(zip(actions, took, strict=True))
        for action, mine in turns if number % 2 else reversed(turns):
            started = time.perf_counter()
            action(number)
            if number >= 0:
                mine.append((time.perf_counter() - started) * 1000)
    return [statistics.median(one) for one in took]


# ---- a crowd ----
def _crowd(port: int, faq: PublicFaq, questions: Sequence[str], seconds: float) -> dict[str, Load]:
    """Let clients read pages and ask questions as fast as they are answered, every page rendered before."""
    paths = [FAQ, *(f"{FAQ}/service/{key}" for key in faq.services if key), *map(faq.path, faq.articles)]
    pages = [Ask(path, b"</html>") for path in paths]
    queries = itertools.cycle(map(_asked, questions))
    asks: list[Ask] = []
    for number, page in enumerate(pages, start=1):
        asks += [page] if number % PAGES_PER_QUERY else [page, next(queries)]
    send_all(port, pages, CLIENTS, 3.0)
    sent = send_all(port, asks, CLIENTS, seconds)
    return {"pages": sent.load(lambda ask: not ask.body), "queries": sent.load(lambda ask: bool(ask.body)), "together": sent.load()}


# ---- a browser ----
_WATCH = """(() => {
  window.shift = 0;
  new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) window.shift += one.value; })
    .observe({ type: "layout-shift", buffered: true });
  addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
})()"""
# Until the frame that shows the first answer is made; ten seconds where there is none.
_ANSWERED = """(one) => {
  const list = one.shadowRoot.querySelector("[role=listbox]");
  window.answered = new Promise((done) => {
    const shown = () => setTimeout(() => done(performance.now() - window.pressed));
    new MutationObserver(() => list.children.length && requestAnimationFrame(shown)).observe(list, { childList: true });
    setTimeout(done, 10000, 10000);
  });
}"""


def _screens(port: int) -> Iterator[Screen]:
    """Open the pages in Chromium, and type where there is a widget; nothing without a browser."""
    chromium = shutil.which("chromium")
    if chromium is None or find_spec("playwright") is None:
        return
    from playwright.sync_api import sync_playwright  # comes with `make setup-dev`

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for path in SCREENS:
            yield _screen(browser.new_page(base_url=f"http://127.0.0.1:{port}", viewport=WINDOW, locale="fr-FR"), path)
        browser.close()


def _screen(page: Page, path: str) -> Screen:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(error.message))
    page.add_init_script(_WATCH)
    page.goto(path)
    page.wait_for_timeout(SETTLED_MS)
    widget = page.locator("bible-faq")
    answers_ms = []
    for question in TYPED if widget.count() else ():
        widget.evaluate(_ANSWERED)
        field = widget.get_by_role("combobox")
        field.press_sequentially(question, delay=KEY_PAUSE_MS)
        answers_ms.append(float(page.evaluate("window.answered")))
        field.press("Escape")
    return Screen(path, len(errors), float(page.evaluate("window.shift")), tuple(answers_ms))
