"""Articles that repeat or contradict one another across services, side by side, for those who may change them."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from kb import render, replies
from kb.article import Article
from search import contradictions as statements
from search.contradictions import Contradiction
from search.engine import SearchEngine
from search.twins import Twins, twins
from webapp.state import Bible, bible

blueprint = Blueprint("twins", __name__, url_prefix="/jumeaux")

MAX_SHOWN = 100
WAIT_SECONDS = 5
_EXCERPT_CHARS = 400


@dataclass(frozen=True)
class Found:
    """What one snapshot of the articles holds."""

    twins: list[Twins]
    contradictions: list[Contradiction]


@dataclass(frozen=True)
class Side:
    """One article of two: ``excerpt`` is (words, is_value) pairs."""

    article: Article
    service: str
    excerpt: list[tuple[str, bool]]


@dataclass(frozen=True)
class Pair:
    """Two articles side by side; ``what`` differs, or ``likeness`` says how much they repeat one another."""

    a: Side
    b: Side
    likeness: float = 0.0
    what: str = ""

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.a, self.b


# One comparison at a time: the others wait for it, and requests keep the rest of the processor.
_comparing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bible-twins")
_kept: WeakKeyDictionary[SearchEngine, Future[Found]] = WeakKeyDictionary()
_keeping = threading.Lock()


def found_in(engine: SearchEngine) -> Found | None:
    """Look for twins and contradictions, once for each snapshot; ``None`` while that takes longer than a page may wait."""
    with _keeping:
        comparison = _kept.get(engine)
        if comparison is None:
            comparison = _kept[engine] = _comparing.submit(_compare, engine)
    try:
        return comparison.result(timeout=WAIT_SECONDS)
    except TimeoutError:
        return None


def _compare(engine: SearchEngine) -> Found:
    return Found(twins(engine), statements.contradictions(engine))


@blueprint.get("")
def index() -> ResponseReturnValue:
    """Show the pairs, the nearest first."""
    state = bible()
    engine = state.engine
    found = found_in(engine)
    if found is None:
        return render_template("twins/index.html", is_comparing=True)
    return render_template(
        "twins/index.html",
        twins=[_twins(state, engine, one) for one in found.twins[:MAX_SHOWN]],
        twins_total=len(found.twins),
        contradictions=[_contradiction(engine, one) for one in found.contradictions[:MAX_SHOWN]],
        contradictions_total=len(found.contradictions),
        max_shown=MAX_SHOWN,
    )


def _twins(state: Bible, engine: SearchEngine, pair: Twins) -> Pair:
    a, b = (_side(engine, slug, [(_lead(state, engine.library.articles[slug]), False)]) for slug in (pair.a, pair.b))
    return Pair(a, b, likeness=pair.likeness)


def _contradiction(engine: SearchEngine, found: Contradiction) -> Pair:
    a = _side(engine, found.a, _marked(found.sentence_a, found.value_a))
    b = _side(engine, found.b, _marked(found.sentence_b, found.value_b))
    return Pair(a, b, what=found.what)


def _side(engine: SearchEngine, slug: str, excerpt: list[tuple[str, bool]]) -> Side:
    article = engine.library.articles[slug]
    return Side(article, engine.library.context.service(article.service).name, excerpt)


def _lead(state: Bible, article: Article) -> str:
    values = replies.values_for(article, state.context, state.public_url(article))
    plain = render.to_plain(render.fill(article.lead, values).markdown)
    return plain if len(plain) <= _EXCERPT_CHARS else plain[:_EXCERPT_CHARS].rsplit(" ", 1)[0] + " …"


def _marked(sentence: str, value: str) -> list[tuple[str, bool]]:
    before, found, after = sentence.partition(value)
    return [(words, is_value) for words, is_value in ((before, False), (found, True), (after, False)) if words]
