"""The figures of a benchmark, what is required of them, and the tables that show both. No input or output."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from scripts.bench_editing import COMMITS, PROPOSALS, Editing
from scripts.bench_public import CLIENTS, PAGES_PER_QUERY, Cost, Public
from scripts.bench_serving import Changes, Load, Serving
from scripts.bench_systems import OURS, TXTAI, Answer
from search.evaluation import Query, figures

REFERENCE_SIZE, LARGE_SIZE = 5_000, 20_000
NET_LIMIT_MS = 15.0
GROWTH_LIMIT = 2.0
CHANGE_LIMIT_SECONDS = 1.0
LOAD_CLIENTS = 32
HISTORY_LIMIT_MS = 200.0
LIST_LIMIT_MS = 100.0
PAGE_LIMIT, QUERY_LIMIT = 1.5, 1.3
TAIL_LIMIT = 10.0
SHIFT_LIMIT = 0.02
FIRST_ANSWER_LIMIT_MS = 300.0

Verdict = Literal["ok", "missed", "not measured"]


@dataclass(frozen=True)
class Latency:
    """Milliseconds a message: the whole, the model's part, the search net of the model, and the processor time of that."""

    took_p50_ms: float
    encode_p50_ms: float
    net_p50_ms: float
    net_p95_ms: float
    net_p99_ms: float
    net_cpu_p50_ms: float

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> Latency:
        """Summarise the answers of one system."""
        net = np.percentile([answer.net_ms for answer in answers], [50, 95, 99])
        took = np.median([answer.took_ms for answer in answers])
        encode = np.median([answer.encode_ms for answer in answers])
        cpu = np.median([answer.net_cpu_ms for answer in answers])
        return cls(float(took), float(encode), float(net[0]), float(net[1]), float(net[2]), float(cpu))


@dataclass(frozen=True)
class Accuracy:
    """What one system found of the messages whose answer is known."""

    system: str
    recall_1: float
    recall_3: float
    recall_5: float
    mrr: float
    latency: Latency

    @classmethod
    def of(cls, system: str, queries: Sequence[Query], answers: Sequence[Answer]) -> Accuracy:
        """Score the answers of one system; queries and answers are parallel."""
        found = figures(queries, [answer.outcome(query) for query, answer in zip(queries, answers, strict=True)])
        return cls(system, found.recall_1, found.recall_3, found.recall_5, found.mrr, Latency.of(answers))


@dataclass(frozen=True)
class Build:
    """Seconds to index a collection from its files, the encoding left out: its vectors were encoded before.

    ``passages`` is how many vectors our index holds (txtai's holds one an article).
    """

    passages: int
    words_seconds: float
    words_and_vectors_seconds: float
    txtai_seconds: float


@dataclass(frozen=True)
class Scale:
    """Everything measured on one size of collection; ``known_recall_5`` is by system."""

    articles: int
    build: Build
    latency: dict[str, Latency]
    known_recall_5: dict[str, float]
    changes: Changes
    editing: Editing
    serving: Serving


@dataclass(frozen=True)
class Check:
    """One required figure with its measured value."""

    name: str
    measured: str
    verdict: Verdict


@dataclass(frozen=True)
class Report:
    """A whole run. ``machine`` says how busy it was; ``encoded_per_second`` is how many passages the model encodes on it as it is."""

    model: str
    machine: str
    accuracy_messages: int
    long_messages: int
    encoded_per_second: float
    accuracy: tuple[Accuracy, ...]
    scales: tuple[Scale, ...] = field(default=())
    public: Public | None = None

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON holds it, with its checks and ratios."""
        found = asdict(self) | {"checks": [asdict(one) for one in checks(self)], "ratios": ratios(self)}
        cleaned: dict[str, Any] = _without_nan(found)
        return cleaned


def checks(report: Report) -> list[Check]:
    """Compare what is required with what was measured."""
    recall = {one.system: one.recall_1 for one in report.accuracy}
    reference = _scale(report, REFERENCE_SIZE)
    net = {name: latency.net_p50_ms for name, latency in reference.latency.items()} if reference else {}
    changes = reference.changes if reference else None
    editing = reference.editing if reference else None
    growth = ratios(report).get("growth", math.nan)
    busy = [load for scale in report.scales for load in scale.serving.loads if load.clients == LOAD_CLIENTS]
    errors = sum(load.errors for load in busy)
    return [
        _limited(f"60-word message under {NET_LIMIT_MS:.0f} ms p50 net of encoding at 5,000", net.get(OURS), NET_LIMIT_MS, " ms"),
        _limited(f"growth 5,000→20,000 under {GROWTH_LIMIT:.0f}x", growth, GROWTH_LIMIT, "x"),
        _compared("recall@1 at least txtai's", recall.get(OURS), recall.get(TXTAI), "", at_least=True),
        _compared("net p50 no slower than txtai at 5,000", net.get(OURS), net.get(TXTAI), " ms", at_least=False),
        Check(
            "changed article searchable under 1 s at 5,000, no failed request",
            f"{changes.median_seconds:.2f} s, {changes.visitor_failures} of {changes.visitor_requests} failed" if changes else "–",
            _verdict(changes.median_seconds < CHANGE_LIMIT_SECONDS and not changes.visitor_failures) if changes else "not measured",
        ),
        _limited(f"history of one article among {COMMITS} commits", _slowest(editing, "history_ms"), HISTORY_LIMIT_MS, " ms, slowest"),
        _limited(f"page of the proposals, {PROPOSALS} open", _slowest(editing, "list_ms"), LIST_LIMIT_MS, " ms, slowest"),
        _limited(
            "accepted text searchable in every worker",
            _slowest(editing, "accepted_elsewhere_seconds"),
            CHANGE_LIMIT_SECONDS,
            " s, slowest",
        ),
        Check(
            f"0 errors at {LOAD_CLIENTS} clients",
            f"{errors} of {sum(load.requests for load in busy) + errors}" if busy else "–",
            _verdict(errors == 0) if busy else "not measured",
        ),
        *_public_checks(report.public),
    ]


def _public_checks(public: Public | None) -> list[Check]:
    costs = (public.in_process, public.over_http, (public.query,)) if public else ((), (), ())
    in_process, over_http, query = (max((_cost(one) for one in some), default=None) for some in costs)
    tail = max((_tail(load) for load in public.crowd.values()), default=None) if public else None
    everybody = public.crowd["together"] if public else None
    screens = public.screens if public else ()
    errors = sum(screen.console_errors for screen in screens)
    answers = [ms for screen in screens for ms in screen.answers_ms]
    return [
        _limited(f"cached public page, in process, under {PAGE_LIMIT}x a constant route", in_process, PAGE_LIMIT, "x, dearest"),
        _limited(f"cached public page, over HTTP, under {PAGE_LIMIT}x a constant route", over_http, PAGE_LIMIT, "x, dearest"),
        _limited(f"widget query under {QUERY_LIMIT}x the match in process + a constant route", query, QUERY_LIMIT, "x"),
        Check(
            f"0 errors of {CLIENTS} clients on public pages and queries",
            f"{everybody.errors} of {everybody.requests + everybody.errors}" if everybody else "–",
            _verdict(everybody.errors == 0) if everybody else "not measured",
        ),
        _limited(f"p99 under {TAIL_LIMIT:.0f}x p50 for them: pages, queries, together", tail, TAIL_LIMIT, "x, worst"),
        Check("no error in the browser's console", f"{errors}" if screens else "–", _verdict(errors == 0) if screens else "not measured"),
        _limited(f"layout shift under {SHIFT_LIMIT}", max((one.shift for one in screens), default=None), SHIFT_LIMIT, ", worst"),
        _limited(
            f"first answer under {FIRST_ANSWER_LIMIT_MS:.0f} ms after the last key",
            max(answers, default=None),
            FIRST_ANSWER_LIMIT_MS,
            " ms, slowest",
        ),
    ]


def _cost(one: Cost) -> float:
    return ratio(one.took_ms, one.against_ms)


def _tail(load: Load) -> float:
    return ratio(load.p99_ms, load.p50_ms)


def ratios(report: Report) -> dict[str, float]:
    """Ratios worth a look: ours / txtai by size, and the growth of our net p50 from 5,000 to 20,000 articles."""
    found: dict[str, float] = {}
    for scale in report.scales:
        found[f"net_p50_ours_over_txtai_{scale.articles}"] = ratio(scale.latency[OURS].net_p50_ms, scale.latency[TXTAI].net_p50_ms)
        found[f"net_cpu_p50_ours_over_txtai_{scale.articles}"] = ratio(
            scale.latency[OURS].net_cpu_p50_ms, scale.latency[TXTAI].net_cpu_p50_ms
        )
        found[f"build_ours_over_txtai_{scale.articles}"] = ratio(scale.build.words_and_vectors_seconds, scale.build.txtai_seconds)
    small, large = _scale(report, REFERENCE_SIZE), _scale(report, LARGE_SIZE)
    if small and large:
        found["growth"] = ratio(large.latency[OURS].net_p50_ms, small.latency[OURS].net_p50_ms)
        found["growth_cpu"] = ratio(large.latency[OURS].net_cpu_p50_ms, small.latency[OURS].net_cpu_p50_ms)
        found["growth_txtai"] = ratio(large.latency[TXTAI].net_p50_ms, small.latency[TXTAI].net_p50_ms)
    return found


def ratio(one: float, other: float) -> float:
    """``one / other``; ``nan`` when there is nothing to divide by."""
    return one / other if other else math.nan


def render(report: Report) -> str:
    """Lay out the whole report for a terminal."""
    parts = [f"Model {report.model}; {report.machine}; {report.encoded_per_second:.0f} passages encoded a second"]
    if report.accuracy:
        parts.append(_accuracy_table(report))
    if report.public:
        parts += _public_tables(report.public)
    if report.scales:
        parts += [_latency_table(report), _upkeep_table(report), _editing_table(report), _load_table(report)]
    parts.append(table(["required", "measured", ""], [(one.name, one.measured, one.verdict) for one in checks(report)]))
    return "\n\n".join(parts)


def _accuracy_table(report: Report) -> str:
    rows = [
        (one.system, *map(_share, (one.recall_1, one.recall_3, one.recall_5, one.mrr)), *_latency_cells(one.latency))
        for one in report.accuracy
    ]
    by_name = {one.system: one for one in report.accuracy}
    if OURS in by_name and TXTAI in by_name:
        ours, txtai = by_name[OURS], by_name[TXTAI]
        pairs = ((ours.recall_1, txtai.recall_1), (ours.recall_3, txtai.recall_3), (ours.recall_5, txtai.recall_5), (ours.mrr, txtai.mrr))
        rows.append(("ours / txtai", *(_times(ratio(*pair)) for pair in pairs), *_latency_ratios(ours.latency, txtai.latency)))
    head = ["sample content", "recall@1", "recall@3", "recall@5", "MRR", *_LATENCY_HEAD]
    return f"Accuracy on {report.accuracy_messages} test messages\n{table(head, rows)}"


_LATENCY_HEAD = ("took p50 ms", "encode p50", "net p50", "net p95", "net p99", "net CPU p50")


def _latency_table(report: Report) -> str:
    rows: list[tuple[str, ...]] = []
    for scale in report.scales:
        for name, latency in scale.latency.items():
            known = scale.known_recall_5.get(name)
            rows.append((f"{scale.articles}", name, *_latency_cells(latency), "" if known is None else _share(known)))
        known_ratio = ratio(scale.known_recall_5[OURS], scale.known_recall_5[TXTAI])
        rows.append((f"{scale.articles}", "ours / txtai", *_latency_ratios(scale.latency[OURS], scale.latency[TXTAI]), _times(known_ratio)))
    small, large = _scale(report, REFERENCE_SIZE), _scale(report, LARGE_SIZE)
    if small and large:
        for name in large.latency:
            rows.append(("20000 / 5000", name, *_latency_ratios(large.latency[name], small.latency[name]), ""))
    head = ["articles", "system", *_LATENCY_HEAD, "known@5"]
    return f"{report.long_messages} messages of 60 words, in process\n{table(head, rows)}"


def _upkeep_table(report: Report) -> str:
    rows = []
    for scale in report.scales:
        build, changes, serving = scale.build, scale.changes, scale.serving
        rows.append(
            (
                f"{scale.articles}",
                f"{build.passages}",
                f"{build.words_seconds:.1f}",
                f"{build.words_and_vectors_seconds:.1f}",
                f"{build.txtai_seconds:.1f}",
                _times(ratio(build.words_and_vectors_seconds, build.txtai_seconds)),
                f"{changes.median_seconds:.2f} ({min(changes.seconds):.2f}–{max(changes.seconds):.2f})",
                f"{changes.visitor_failures} / {changes.visitor_requests}",
                f"{serving.start_seconds:.1f}",
                f"{serving.worker_mib:.0f}",
                f"{serving.total_mib:.0f}",
            )
        )
    head = ["articles", "vectors", "words s", "all s", "txtai s", "all / txtai", "change s", "failed", "start s", "worker MiB", "all MiB"]
    return f"Index build (encoding left out), change to search, start-up, memory\n{table(head, rows)}"


def _editing_table(report: Report) -> str:
    rows = []
    for scale in report.scales:
        found = scale.editing
        rows.append(
            (
                f"{scale.articles}",
                _middle_and_worst(found.history_ms, 0),
                _middle_and_worst(found.git_log_ms, 0),
                _middle_and_worst(found.list_ms, 0),
                _middle_and_worst(found.accepted_here_seconds, 2),
                _middle_and_worst(found.accepted_elsewhere_seconds, 2),
            )
        )
    head = ["articles", "history ms", "git log ms", "proposals page ms", "accepted, here s", "accepted, other worker s"]
    return f"Versions and proposals, {COMMITS} commits, {PROPOSALS} open proposals: median (slowest)\n{table(head, rows)}"


def _middle_and_worst(values: tuple[float, ...], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({max(values):.{digits}f})"


def _load_table(report: Report) -> str:
    rows = [
        (
            f"{scale.articles}",
            f"{load.clients}",
            f"{load.per_second:.1f}",
            f"{load.p50_ms:.1f}",
            f"{load.p95_ms:.1f}",
            f"{load.p99_ms:.1f}",
            f"{load.requests}",
            f"{load.errors}",
        )
        for scale in report.scales
        for load in scale.serving.loads
    ]
    head = ["articles", "clients", "requests/s", "p50 ms", "p95 ms", "p99 ms", "requests", "errors"]
    return f"POST /api/v1/match over HTTP, 60 words, encoding included\n{table(head, rows)}"


def _public_tables(public: Public) -> list[str]:
    costs = [
        (one.name, f"{one.took_ms:.3f}", f"{one.against_ms:.3f}", _times(_cost(one)))
        for one in (*public.in_process, *public.over_http, public.query)
    ]
    crowd = [
        (
            name,
            f"{load.requests}",
            f"{load.errors}",
            f"{load.per_second:.0f}",
            *(f"{ms:.1f}" for ms in (load.p50_ms, load.p95_ms, load.p99_ms)),
            _times(_tail(load)),
        )
        for name, load in public.crowd.items()
    ]
    screens = [
        (
            screen.path,
            f"{screen.console_errors}",
            f"{screen.shift:.4f}",
            _middle_and_worst(screen.answers_ms, 0) if screen.answers_ms else "",
        )
        for screen in public.screens
    ]
    return [
        f"Public pages and widget, sample content, {public.machine}: medians, against a constant route (and, for a query, its match)\n"
        + table(["cached page, query", "ms", "against ms", "ratio"], costs),
        f"{CLIENTS} clients, {public.crowd['together'].seconds:.0f} s, {PAGES_PER_QUERY} pages to a query\n"
        + table(["requests", "answered", "errors", "a second", "p50 ms", "p95 ms", "p99 ms", "p99 / p50"], crowd),
        *(
            ["In Chromium\n" + table(["page", "console errors", "layout shift", "first answer ms: median (slowest)"], screens)]
            if screens
            else []
        ),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table: the first column to the left, the rest to the right."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    laid = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([laid[0].rstrip(), "  ".join("-" * width for width in widths), *(line.rstrip() for line in laid[1:])])


def _latency_values(latency: Latency) -> tuple[float, ...]:
    net = (latency.net_p50_ms, latency.net_p95_ms, latency.net_p99_ms)
    return (latency.took_p50_ms, latency.encode_p50_ms, *net, latency.net_cpu_p50_ms)


def _latency_cells(latency: Latency) -> tuple[str, ...]:
    return tuple(f"{value:.2f}" for value in _latency_values(latency))


def _latency_ratios(one: Latency, other: Latency) -> tuple[str, ...]:
    return tuple(_times(ratio(*pair)) for pair in zip(_latency_values(one), _latency_values(other), strict=True))


def _limited(name: str, value: float | None, limit: float, unit: str) -> Check:
    if value is None or math.isnan(value):
        return Check(name, "–", "not measured")
    return Check(name, f"{value:.2f}{unit}", _verdict(value < limit))


def _compared(name: str, ours: float | None, other: float | None, unit: str, *, at_least: bool) -> Check:
    if ours is None or other is None:
        return Check(name, "–", "not measured")
    digits = 3 if at_least else 2
    return Check(name, f"{ours:.{digits}f}{unit} against {other:.{digits}f}{unit}", _verdict(ours >= other if at_least else ours <= other))


def _slowest(editing: Editing | None, name: str) -> float | None:
    return max(getattr(editing, name)) if editing else None


def _verdict(is_met: bool) -> Verdict:
    return "ok" if is_met else "missed"


def _scale(report: Report, articles: int) -> Scale | None:
    return next((scale for scale in report.scales if scale.articles == articles), None)


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _times(value: float) -> str:
    return "–" if math.isnan(value) else f"×{value:.2f}"


def _without_nan(value: Any) -> Any:
    """JSON has no ``nan``: it becomes ``null``."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
