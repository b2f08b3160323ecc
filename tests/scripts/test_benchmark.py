"""The parts of the benchmark that need no service: what it generates, what its clients count, and how it reports."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from kb.library import Library
from scripts import bench_content, bench_public, bench_report, bench_serving
from scripts.bench_editing import Editing
from scripts.bench_public import Cost, Public, Screen
from scripts.bench_report import Accuracy, Build, Check, Latency, Report, Scale
from scripts.bench_serving import Ask, Changes, Load, Sent, Serving, ServingError
from scripts.bench_systems import Answer, System, interleaved, txtai_text
from scripts.training_messages import Message, messages, split_of
from search.evaluation import Query
from tests.serving import served
from webapp.settings import SAMPLE_KB

COUNT = 400


@pytest.fixture(scope="module")
def sample() -> Library:
    return Library.load(SAMPLE_KB)


def test_generated_articles_are_distinct_and_as_announced(sample: Library) -> None:
    articles = list(bench_content.generated(sample, COUNT))
    assert len({article.title for article in articles}) == len({article.slug for article in articles}) == COUNT
    for article in articles:
        assert len(set(article.meta.questions)) == bench_content.QUESTIONS
        assert bench_content.LEAD_WORDS[0] <= len(article.lead.split()) <= bench_content.LEAD_WORDS[1]
        assert article.meta.tags
        assert article.service


def test_generated_articles_are_the_same_each_time_and_in_any_size(sample: Library) -> None:
    large = [article.source for article in bench_content.generated(sample, COUNT)]
    assert [article.source for article in bench_content.generated(sample, 50)] == large[:50]


def test_generated_folder_is_a_content_folder_and_is_reused(sample: Library, tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    assert bench_content.write_articles(sample, 20, folder)
    library = Library.load(folder)
    assert len(library.articles) == 20
    assert not library.problems
    assert not bench_content.write_articles(sample, 20, folder)
    assert bench_content.write_articles(sample, 10, folder)
    assert len(Library.load(folder).articles) == 10


def test_too_many_articles_are_refused(sample: Library) -> None:
    with pytest.raises(bench_content.ContentError, match="at most"):
        list(bench_content.generated(sample, 10**6))


def test_sentences_with_placeholders_are_left_out() -> None:
    markdown = (
        "Venez au guichet du {{ service.name }} avec vos papiers. Apportez un **justificatif** de domicile récent.\n\n## Où venir\nOui."
    )
    assert bench_content.plain_sentences(markdown) == ["Apportez un justificatif de domicile récent."]


def test_long_messages_have_the_asked_length() -> None:
    short = [
        Message("topic", "mail", f"need/{n}", (f"slug-{n % 3}",), "un deux trois quatre cinq " * 3 + str(n), "", ()) for n in range(30)
    ]
    made = bench_content.long_messages(short, 60, 8)
    assert len(set(made)) == 8
    assert {len(message.split()) for message in made} == {60}
    assert made == bench_content.long_messages(short, 60, 8)
    with pytest.raises(bench_content.ContentError):
        bench_content.long_messages(short[:1], 60, 8)


def test_known_items_come_from_their_article(sample: Library) -> None:
    items = bench_content.known_items(sample, 30)
    assert items == bench_content.known_items(sample, 30)
    assert all(item.slug in sample.articles for item in items)
    assert len({item.slug for item in items}) == 30


def test_typos_touch_some_words_only() -> None:
    question = "Comment demander une place en crèche pour ma fille de deux ans à la rentrée ?"
    made = [bench_content.disturbed(question, random.Random(seed)) for seed in range(20)]
    assert any(one != question for one in made)
    assert all(len(one.split()) == len(question.split()) for one in made)
    assert all(abs(len(one) - len(question)) < len(question) / 5 for one in made)


def test_split_is_by_need_and_covers_everything() -> None:
    shares = [split_of(f"need-{number}") for number in range(2000)]
    assert split_of("need-1") == split_of("need-1")
    assert 0.55 < shares.count("train") / 2000 < 0.65
    assert 0.15 < shares.count("dev") / 2000 < 0.25
    needs = {split: {message.need for message in messages(split)} for split in ("train", "dev", "test")}
    assert not needs["test"] & (needs["train"] | needs["dev"])


class _Recorder:
    """A system that notes the order in which it is asked."""

    def __init__(self, name: str, order: list[str]) -> None:
        self.name = name
        self._order = order

    def answer(self, message: str) -> Answer:
        self._order.append(f"{self.name}:{message}")
        return Answer((message,), (1.0,), 3.0, 2.0, 0.5)


def test_systems_take_turns() -> None:
    order: list[str] = []
    systems: list[System] = [_Recorder("a", order), _Recorder("b", order)]
    answers = interleaved(systems, ["1", "2"], warm_up=1)
    assert order == ["a:1", "b:1", "a:1", "b:1", "b:2", "a:2"]
    assert [answer.slugs for answer in answers["b"]] == [("1",), ("2",)]
    assert answers["a"][0].net_ms == 1.0


def test_txtai_gets_every_part_of_an_article(sample: Library) -> None:
    article = next(iter(sample.articles.values()))
    made = txtai_text(article)
    assert article.title in made
    assert all(question in made for question in article.meta.questions)
    assert "{{" not in made


def test_accuracy_scores_answers() -> None:
    queries = [Query(id="1", message="m", expected=("a",)), Query(id="2", message="m", expected=("b",))]
    answers = [Answer(("a", "c"), (0.9, 0.1), 5.0, 4.0, 1.0), Answer(("c", "b"), (0.5, 0.2), 7.0, 4.0, 1.0)]
    found = Accuracy.of("hybrid", queries, answers)
    assert (found.recall_1, found.recall_3, found.mrr) == (0.5, 1.0, 0.75)
    assert found.latency.net_p50_ms == 2.0
    assert found.latency.encode_p50_ms == 4.0


def test_table_lines_up() -> None:
    made = bench_report.table(["name", "n"], [("a", "1"), ("longer", "1000")])
    assert made.split("\n") == ["name       n", "------  ----", "a          1", "longer  1000"]


def test_ratio_of_nothing_is_nan() -> None:
    assert bench_report.ratio(4.0, 2.0) == 2.0
    assert math.isnan(bench_report.ratio(4.0, 0.0))


def _scale(articles: int, net_ms: float, *, txtai_ms: float = 10.0, failures: int = 0, errors: int = 0, history_ms: float = 50.0) -> Scale:
    def latency(net: float) -> Latency:
        return Latency(net + 5.0, 5.0, net, net, net, net)

    return Scale(
        articles,
        Build(articles * 5, 1.0, 2.0, 4.0),
        {"hybrid": latency(net_ms), "txtai": latency(txtai_ms)},
        {"hybrid": 0.9, "txtai": 0.8},
        Changes((0.4, 0.5, 0.6), 100, failures),
        Editing(articles, 5_000, 1_000, (20.0, history_ms), (30.0, 40.0), (10.0, 20.0), (0.5,), (0.6,)),
        Serving(3.0, 400.0, 900.0, (Load(32, 10.0, 500, errors, 50.0, 1.0, 2.0, 3.0),)),
    )


def _public(dearest: float, *, errors: int = 0, p99_ms: float = 20.0, screens: tuple[Screen, ...] | None = None) -> Public:
    load = Load(64, 10.0, 500, errors, 50.0, 5.0, 8.0, p99_ms)
    return Public(
        "load 0.1 before",
        (Cost("/faq, in process", 0.5, 1.0), Cost("/faq/bac, in process", dearest, 1.0)),
        (Cost("/faq, over HTTP", dearest, 1.0),),
        Cost("query", dearest, 1.0),
        {"pages": load, "queries": load, "together": load},
        (Screen("/faq", 0, 0.0, ()), Screen("/demo-widget", 0, 0.001, (180.0, 190.0))) if screens is None else screens,
    )


def _report(*scales: Scale) -> Report:
    latency = Latency(6.0, 5.0, 1.0, 1.0, 1.0, 1.0)
    accuracy = tuple(Accuracy(name, share, share, share, share, latency) for name, share in (("hybrid", 0.8), ("txtai", 0.7)))
    return Report("model", "2 cores", 10, 5, 300.0, accuracy, scales)


def _verdicts(report: Report) -> list[str]:
    return [check.verdict for check in bench_report.checks(report)][:9]


def _public_verdicts(public: Public | None) -> list[str]:
    return [check.verdict for check in bench_report.checks(replace(_report(), public=public))][9:]


def test_checks_say_what_is_met() -> None:
    good = _report(_scale(5_000, 8.0), _scale(20_000, 15.0))
    assert _verdicts(good) == ["ok"] * 9
    bad = _report(_scale(5_000, 16.0, failures=1, history_ms=250.0), _scale(20_000, 40.0, errors=1))
    assert _verdicts(bad) == ["missed", "missed", "ok", "missed", "missed", "missed", "ok", "ok", "missed"]
    assert _verdicts(_report()) == ["not measured", "not measured", "ok", *["not measured"] * 6]
    assert isinstance(bench_report.checks(good)[0], Check)


def test_checks_of_the_public_side_say_what_is_met() -> None:
    assert _public_verdicts(_public(1.2)) == ["ok"] * 8
    shaken = (Screen("/faq", 1, 0.0, ()), Screen("/demo-widget", 0, 0.03, (180.0, 310.0)))
    assert _public_verdicts(_public(1.6, errors=1, p99_ms=51.0, screens=shaken)) == ["missed"] * 8
    assert _public_verdicts(_public(1.4)) == ["ok", "ok", "missed", *["ok"] * 5], "a query must cost less"
    assert _public_verdicts(_public(1.2, screens=())) == [*["ok"] * 5, *["not measured"] * 3], "where there is no browser"
    assert _public_verdicts(None) == ["not measured"] * 8


def test_ratios_compare_systems_and_sizes() -> None:
    found = bench_report.ratios(_report(_scale(5_000, 8.0), _scale(20_000, 12.0)))
    assert found["growth"] == 1.5
    assert found["net_p50_ours_over_txtai_5000"] == 0.8
    assert found["build_ours_over_txtai_20000"] == 0.5


def test_report_shows_every_part_and_has_no_nan_in_json() -> None:
    report = _report(_scale(5_000, 8.0), _scale(20_000, 12.0, txtai_ms=0.0))
    shown = bench_report.render(report)
    assert "ours / txtai" in shown
    assert "20000 / 5000" in shown
    assert "×1.50" in shown
    found = report.as_dict()
    assert "Chromium" not in shown
    assert found["ratios"]["net_p50_ours_over_txtai_20000"] is None
    assert [check["verdict"] for check in found["checks"]][:2] == ["ok", "ok"]


def test_report_shows_the_public_side_alone() -> None:
    report = replace(_report(), accuracy=(), public=_public(1.25))
    shown = bench_report.render(report)
    for words in ("/faq/bac, in process", "×1.25", "185 (190)", "64 clients, 10 s", "×4.00"):
        assert words in shown
    assert "Accuracy" not in shown
    assert report.as_dict()["public"]["query"]["took_ms"] == 1.25


def test_a_load_counts_what_failed_apart() -> None:
    page, query = Ask("/faq", b""), Ask("/match", b"", b"{}")
    sent = Sent(2, 2.0, ((page, 1.0), (page, 3.0), (query, 8.0)), (query,))
    together, queries = sent.load(), sent.load(lambda ask: ask.body is not None)
    assert (together.requests, together.errors, together.per_second, together.p50_ms) == (3, 1, 1.5, 3.0)
    assert (queries.requests, queries.errors, queries.p99_ms) == (1, 1, 8.0)
    assert math.isnan(Sent(1, 1.0, (), (page,)).load().p50_ms)


def test_clients_tell_an_answer_from_another() -> None:
    with served(bench_public.constant_app()) as address:
        port = int(address.rpartition(":")[2])
        wrong = (Ask("/", b"other"), Ask("/nowhere", b""), Ask("/", b"", b"{}"))
        sent = bench_serving.send_all(port, (bench_public.CONSTANT, *wrong), clients=3, seconds=0.2)
    assert {ask for ask, _ in sent.answered} == {bench_public.CONSTANT}
    assert set(sent.failed) == set(wrong)


def test_a_service_that_does_not_start_says_why() -> None:
    with pytest.raises(ServingError, match="No module named"), bench_serving.running({}, ("nowhere",)):
        pass
