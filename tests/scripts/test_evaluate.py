"""``python -m scripts.evaluate``: the contract of DESIGN section 5, as a program that does not know the project sees it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts import evaluate
from search.evaluation import Figures
from tests.scripts.conftest import RunScript, listing

TWO = "Comment inscrire ma fille à la cantine ?\n\nMa poubelle jaune n'a pas été ramassée"
QUERIES = [
    {"id": "direct", "message": "Combien coûte un passeport ?", "expected": ["passeport"]},
    {"id": "deux", "message": TWO, "expected": ["cantine", "bac-jaune"]},
    {"id": 7, "message": "xqzt wvkrp zzzzt", "expected": []},
    {"id": "vide", "message": "", "expected": []},
]
FIGURES = ["messages", "recall@1", "recall@3", "recall@5", "MRR", "good refusals", "false refusals", "AUROC", "p50 / p95 / p99"]


def write_queries(path: Path, queries: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(query, ensure_ascii=False) + "\n" for query in queries), encoding="utf-8")
    return path


def figures_of(output: str) -> dict[str, str]:
    """Name → value of each printed figure."""
    lines = [re.fullmatch(r"(.+?) {2,}(.+)|(p50 / p95 / p99) (.+)", line) for line in output.strip().split("\n")]
    assert all(lines), output
    return {match[1] or match[3]: match[2] or match[4] for match in lines if match}


def test_a_run_writes_a_line_a_query_and_prints_the_figures(small_kb: Path, tmp_path: Path, run_script: RunScript) -> None:
    before = listing(small_kb)
    queries, out = write_queries(tmp_path / "q.jsonl", QUERIES), tmp_path / "r.jsonl"
    done = run_script("scripts.evaluate", "--kb", small_kb, "--queries", queries, "--out", out)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [result["id"] for result in results] == ["direct", "deux", "7", "vide"]
    for result in results:
        assert set(result) == {"id", "ranked", "confidence", "answered", "took_ms"}
        assert len(result["ranked"]) == len(result["confidence"]) == len(set(result["ranked"])) <= 10
        assert all(0 <= value <= 1 for value in result["confidence"])
        assert isinstance(result["answered"], bool)
        assert result["took_ms"] >= 0
    assert results[0]["ranked"][0] == "passeport"
    assert set(results[1]["ranked"][:2]) == {"cantine", "bac-jaune"}
    assert [result["answered"] for result in results] == [True, True, False, False]
    printed = figures_of(done.stdout)
    assert list(printed) == FIGURES
    assert printed["messages"] == "4"
    assert [printed[name] for name in FIGURES[1:8]] == ["1.000"] * 4 + ["1.000", "0.000", "1.000"]
    assert re.fullmatch(r"[\d.]+ / [\d.]+ / [\d.]+ ms", printed["p50 / p95 / p99"])
    assert listing(small_kb) == before, "nothing is written in the content folder"
    assert "BIBLE_MODEL" in done.stderr, "it says that the model is off"


def test_a_folder_with_titles_alone_is_enough(tmp_path: Path, run_script: RunScript) -> None:
    root = tmp_path / "kb"
    (root / "articles" / "divers").mkdir(parents=True)
    for name, title in [("FAQ_12", "Le passeport"), ("un", "La cantine"), ("casse", "")]:
        (root / "articles" / "divers" / f"{name}.md").write_text(f"---\ntitle: {title}\n---\n", encoding="utf-8")
    queries = write_queries(tmp_path / "q.jsonl", [{"id": "1", "message": "passeport", "expected": ["FAQ_12"]}])
    done = run_script("scripts.evaluate", "--kb", root, "--queries", queries, "--out", tmp_path / "r.jsonl")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "r.jsonl").read_text(encoding="utf-8"))["ranked"] == ["FAQ_12"]
    printed = figures_of(done.stdout)
    assert printed["recall@1"] == "1.000"
    assert printed["good refusals"] == printed["AUROC"] == "–", "a figure that the set cannot give is a dash"
    assert "articles/divers/casse.md:2" in done.stderr, "a broken article is reported and the rest works"


def test_a_second_run_reads_the_index_and_a_changed_article_counts(small_kb: Path, tmp_path: Path, run_script: RunScript) -> None:
    queries = write_queries(tmp_path / "q.jsonl", [{"id": "1", "message": "composteur", "expected": ["bac-jaune"]}])
    arguments = ("--kb", small_kb, "--queries", queries, "--out", tmp_path / "r.jsonl")
    assert figures_of(run_script("scripts.evaluate", *arguments).stdout)["recall@1"] == "0.000"
    path = small_kb / "articles/dechets/bac-jaune.md"
    path.write_text(path.read_text(encoding="utf-8") + "\nEt le composteur aussi.\n", encoding="utf-8")
    done = run_script("scripts.evaluate", *arguments)
    assert figures_of(done.stdout)["recall@1"] == "1.000"


@pytest.mark.parametrize("wrong", ["kb", "queries", "line", "out"])
def test_what_cannot_work_is_said(
    small_kb: Path, tmp_path: Path, without_model: None, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    queries = write_queries(tmp_path / "q.jsonl", QUERIES)
    if wrong == "line":
        queries.write_text(queries.read_text(encoding="utf-8") + "{\n", encoding="utf-8")
    places = {"kb": small_kb, "queries": queries, "out": tmp_path / "r.jsonl"}
    if wrong in places:
        places[wrong] = tmp_path / "absent" / "absent"
    assert evaluate.main([part for name, path in places.items() for part in (f"--{name}", str(path))]) == 2
    said = capsys.readouterr()
    assert ("q.jsonl:5" if wrong == "line" else "absent") in said.err
    assert said.out == ""


def test_a_mistake_ends_the_process_with_its_status(small_kb: Path, tmp_path: Path, run_script: RunScript) -> None:
    done = run_script("scripts.evaluate", "--kb", small_kb, "--queries", tmp_path / "absent.jsonl", "--out", tmp_path / "r.jsonl")
    assert done.returncode == 2
    assert "absent.jsonl" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "r.jsonl").exists()


def test_all_three_arguments_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        evaluate.main([])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in ("--kb", "--queries", "--out"))


def test_the_report_lays_out_each_figure() -> None:
    nan = float("nan")
    report = evaluate.report(Figures(3, 0.5, 2 / 3, 1, nan, 0, nan, 0.98765, 1.04, 2, 300))
    assert figures_of(report) == {
        "messages": "3", "recall@1": "0.500", "recall@3": "0.667", "recall@5": "1.000", "MRR": "–", "good refusals": "0.000",
        "false refusals": "–", "AUROC": "0.988", "p50 / p95 / p99": "1.0 / 2.0 / 300.0 ms",
    }  # fmt: skip
