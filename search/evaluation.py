"""How well the search finds what it should: the protocol of ``scripts.evaluate`` and the figures that it prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from search.engine import SearchEngine
from search.errors import SearchError

RANKED = 10


class Query(BaseModel):
    """A message and the slugs that answer it; an empty list means that nothing should be found."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    id: str
    message: str
    expected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What the search gave for a query: up to ``RANKED`` slugs, best first, with their confidences."""

    id: str
    ranked: tuple[str, ...]
    confidence: tuple[float, ...]
    answered: bool
    took_ms: float

    def json_line(self) -> str:
        """The line of the results file."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True)
class Figures:
    """What is reported of a set of queries; ``nan`` where the set has nothing to measure it on.

    ``recall_*`` is the mean share of the expected slugs within the first 1, 3 or 5; ``mrr`` the mean reciprocal rank of the first
    one; ``good_refusals`` the share of the queries without answer that got none; ``false_refusals`` the share of the others that got
    none; ``auroc`` how well the first confidence separates the two.
    """

    queries: int
    recall_1: float
    recall_3: float
    recall_5: float
    mrr: float
    good_refusals: float
    false_refusals: float
    auroc: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def read_queries(path: Path) -> list[Query]:
    """Read a JSON-lines file of queries.

    Raises:
        SearchError: the file cannot be read, or a line is not a query; the message gives the line.
    """
    queries = []
    try:
        # Not splitlines(): a message may hold other line ends, U+2028 say, which JSON does not escape.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SearchError(f"{path} : ce fichier ne peut pas être lu ({error}).") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            queries.append(Query.model_validate_json(line))
        except ValidationError as error:
            raise SearchError(
                f"{path}:{number}: une ligne est {{'id', 'message', 'expected': [slug, …]}} ({error.errors()[0]['msg']})."
            ) from error
    return queries


def run(engine: SearchEngine, queries: Iterable[Query]) -> list[Outcome]:
    """Send every message through the engine, as the desk would."""
    outcomes = []
    for query in queries:
        result = engine.match(query.message, limit=RANKED)
        outcomes.append(
            Outcome(
                id=query.id,
                ranked=tuple(match.slug for match in result.matches),
                confidence=tuple(match.confidence for match in result.matches),
                answered=result.answered,
                took_ms=round(result.took_ms, 3),
            )
        )
    return outcomes


def figures(queries: Sequence[Query], outcomes: Sequence[Outcome]) -> Figures:
    """Compute the figures of a set; queries and outcomes are parallel."""
    pairs = list(zip(queries, outcomes, strict=True))
    real = [(query, outcome) for query, outcome in pairs if query.expected]
    off = [outcome for query, outcome in pairs if not query.expected]
    took = np.array([outcome.took_ms for outcome in outcomes]) if outcomes else np.array([np.nan])

    def mean_recall(first: int) -> float:
        return _mean([recall(query, outcome, first) for query, outcome in real])

    return Figures(
        queries=len(pairs),
        recall_1=mean_recall(1),
        recall_3=mean_recall(3),
        recall_5=mean_recall(5),
        mrr=_mean([reciprocal_rank(query, outcome) for query, outcome in real]),
        good_refusals=_mean([float(not outcome.answered) for outcome in off]),
        false_refusals=_mean([float(not outcome.answered) for _, outcome in real]),
        auroc=auroc([_top(outcome) for _, outcome in real], [_top(outcome) for outcome in off]),
        p50_ms=float(np.percentile(took, 50)),
        p95_ms=float(np.percentile(took, 95)),
        p99_ms=float(np.percentile(took, 99)),
    )


def recall(query: Query, outcome: Outcome, first: int) -> float:
    """The share of the expected slugs that are within the ``first`` ones, of those that could be."""
    expected = set(query.expected)
    return len(expected & set(outcome.ranked[:first])) / min(len(expected), first)


def reciprocal_rank(query: Query, outcome: Outcome) -> float:
    """1 / rank of the first expected slug, 0 when none is ranked."""
    return next((1 / rank for rank, slug in enumerate(outcome.ranked, start=1) if slug in query.expected), 0.0)


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Probability that a positive scores above a negative, ties counting half; ``nan`` when either is empty."""
    if not positive or not negative:
        return float("nan")
    low = np.sort(np.asarray(negative))
    below = np.searchsorted(low, positive, side="left")
    ties = np.searchsorted(low, positive, side="right") - below
    return float((below + ties / 2).sum() / (len(positive) * len(negative)))


def _top(outcome: Outcome) -> float:
    return outcome.confidence[0] if outcome.confidence else 0.0


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
