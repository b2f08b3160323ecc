"""What the model and the figures rest on: the messages and lexical fields that were written for training, and their splits."""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, get_args

import pytest

from kb.library import Library
from scripts import training_lexicon, training_messages
from scripts.train_model import OFF_TOPIC_ADVICE
from scripts.training_lexicon import FieldKind, LexicalField, lexical_fields
from scripts.training_messages import SPLITS, Message, Split, messages, split_of
from search.engine import MAX_READ_CHARS
from webapp.settings import SAMPLE_KB

STYLES = {"mail", "pm", "situation", "note", "voice", "senior", "nonnative", "angry"}


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.load(SAMPLE_KB)


@pytest.fixture(scope="module")
def by_split() -> dict[Split, list[Message]]:
    return {split: messages(split) for split in SPLITS}


@pytest.fixture(scope="module")
def every(by_split: dict[Split, list[Message]]) -> list[Message]:
    return [message for split in SPLITS for message in by_split[split]]


def lines_of(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every line of a folder's files, after the name of the file and its number."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found.append((f"{path.name}:{number}", json.loads(line)))
    return found


def is_text(value: object) -> bool:
    return isinstance(value, str) and value == value.strip() != ""


def letters(words: str) -> str:
    """A text without what two copies of it may differ in: capitals, blanks, punctuation."""
    return "".join(re.findall(r"\w", words.casefold())) or words


# ---- messages ----
def test_every_line_of_messages_has_its_shape() -> None:
    wrong = []
    for place, entry in lines_of(training_messages.FOLDER):
        shape = set(entry) == {"need", "topics", "question", "paraphrases", "messages"} and all(
            isinstance(entry[name], list) for name in ("topics", "paraphrases", "messages")
        )
        good = shape and (
            re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", entry["need"])
            and (is_text(entry["question"]) or entry["question"] == "")
            and all(map(is_text, (*entry["topics"], *entry["paraphrases"])))
            and entry["messages"]
            and all(set(one) == {"style", "text"} and one["style"] in STYLES and is_text(one["text"]) for one in entry["messages"])
            and all(len(one["text"]) <= MAX_READ_CHARS for one in entry["messages"])
        )
        if not good:
            wrong.append(place)
    assert wrong == []


def test_each_kind_of_message_expects_what_its_kind_means(every: list[Message]) -> None:
    expected = {"topic": {1, 2, 3}, "multi": {2, 3}, "off-topic": {0}, "beyond": {0}}
    assert {message.kind for message in every} == set(expected)
    assert [message for message in every if len(message.topics) not in expected[message.kind]] == []
    assert [message for message in every if len(set(message.topics)) != len(message.topics)] == []
    for kind in ("off-topic", "multi"):
        assert {message.kind for message in every if message.need.startswith(f"{kind}/")} == {kind}, "its file says what it is"
    # What was asked in plain words: the model learns the meaning from it, the calibration asks it.
    assert [message.need for message in every if message.kind in {"topic", "beyond"} and not message.question] == []
    assert [message.need for message in every if message.kind in {"off-topic", "multi"} and message.question] == []


def test_the_topics_are_answers_of_the_sample_and_all_of_them_are_asked_for(every: list[Message], library: Library) -> None:
    public = {slug for slug, article in library.articles.items() if article.meta.audience == "public" and not article.is_advice}
    assert {topic for message in every for topic in message.topics} == public
    assert OFF_TOPIC_ADVICE in library.articles


def test_a_need_is_about_its_own_topic(every: list[Message], library: Library) -> None:
    """A need that is named after an article is answered by it, first or after another; a slip would teach the model nonsense."""
    named = [(message.need, message.topics) for message in every if message.need.partition("/")[0] in library.articles]
    assert len(named) > 4_000
    assert [need for need, topics in named if need.partition("/")[0] not in topics] == []


def test_there_are_enough_of_each(every: list[Message]) -> None:
    assert len({letters(message.text) for message in every}) >= 4_000
    assert len({message.need for message in every}) >= 600
    assert len({message.text for message in every if message.kind == "off-topic"}) >= 300
    assert len({message.text for message in every if message.kind == "multi" and len(message.topics) in {2, 3}}) >= 200
    styles = Counter(message.style for message in every)
    assert set(styles) == STYLES
    assert min(styles.values()) >= 100


def test_no_message_is_there_twice(every: list[Message]) -> None:
    told = Counter(message.text for message in every)
    assert [words for words, count in told.items() if count > 1] == []


# ---- splits ----
def test_every_message_is_in_one_split(every: list[Message]) -> None:
    written = [one["text"] for _, entry in lines_of(training_messages.FOLDER) for one in entry["messages"]]
    assert sorted(message.text for message in every) == sorted(written)


def test_nothing_is_both_learnt_and_tested(by_split: dict[Split, list[Message]]) -> None:
    needs, texts = defaultdict(set), defaultdict(set)
    for split, told in by_split.items():
        for message in told:
            needs[message.need].add(split)
            texts[letters(message.text)].add(split)
    assert [need for need, splits in needs.items() if len(splits) > 1] == []
    assert [words for words, splits in texts.items() if len(splits) > 1] == []


def test_no_plain_question_is_both_learnt_and_tested(by_split: dict[Split, list[Message]]) -> None:
    asked = defaultdict(set)
    for split, told in by_split.items():
        for message in told:
            for question in (message.question, *message.paraphrases):
                asked[letters(question)].add(split)
    assert [question for question, splits in asked.items() if question and len(splits) > 1] == []


def test_the_splits_have_their_shares_of_every_kind(by_split: dict[Split, list[Message]]) -> None:
    shares = {"train": (0.5, 0.75), "dev": (0.12, 0.28), "test": (0.12, 0.28)}
    for kind in ("topic", "multi", "off-topic", "beyond"):
        needs = {split: {message.need for message in told if message.kind == kind} for split, told in by_split.items()}
        total = sum(map(len, needs.values()))
        for split, (low, high) in shares.items():
            assert low <= len(needs[split]) / total <= high, (kind, split)


@pytest.mark.parametrize(
    ("need", "split"),
    [
        ("carte-identite-demande/enfant-premiere", "train"),
        ("titre-suivi-retrait/ou-en-est-ma-demande", "dev"),
        ("acte-de-naissance/ne-a-letranger", "test"),
        ("multi/001", "train"),
    ],
)
def test_a_need_stays_in_the_split_that_it_was_given(need: str, split: Split) -> None:
    """Were the rule to change, what was tested would have been learnt: the reported figures would mean nothing."""
    assert split_of(need) == split


def test_a_folder_is_read_by_the_names_of_its_files(tmp_path: Path) -> None:
    one = {"need": "a/b", "topics": ["a"], "question": "Quoi ?", "paraphrases": ["Hein ?"], "messages": [{"style": "pm", "text": "koi"}]}
    for name in ("topics-1", "multi", "off-topic-2", "beyond-3"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(one) + "\n\n", encoding="utf-8")
    found = {split: messages(split, tmp_path) for split in SPLITS}
    [read] = [told for told in found.values() if told]
    assert [message.kind for message in read] == ["beyond", "multi", "off-topic", "topic"]
    assert read[0] == Message("beyond", "pm", "a/b", ("a",), "koi", "Quoi ?", ("Hein ?",))
    assert read == found[split_of("a/b")]


# ---- lexical fields ----
def test_every_line_of_the_lexicon_has_its_shape() -> None:
    wrong = []
    for place, entry in lines_of(training_lexicon.FOLDER):
        good = (
            {"topic", "words"} <= set(entry) <= {"topic", "title", "words"}
            and re.fullmatch(r"(?:(?:beyond|off-topic|general)/)?[a-z0-9-]+", entry["topic"])
            and is_text(entry.get("title", "…"))
            and len(entry["words"]) >= 5
            and all(map(is_text, entry["words"]))
        )
        if not good:
            wrong.append(place)
    assert wrong == []


def test_the_lexical_fields_cover_every_public_article_of_the_sample(library: Library) -> None:
    fields = lexical_fields()
    public = {slug for slug, article in library.articles.items() if article.meta.audience == "public" and not article.is_advice}
    assert len(public) == 146
    assert {field.subject for field in fields if field.kind == "topic"} == public
    assert {"beyond", "off-topic"} <= {field.kind for field in fields} <= set(get_args(FieldKind))
    assert [field.subject for field in fields if len(field.expressions) < 30] == []
    # A subject without an article must say what it is about.
    assert [field.subject for field in fields if field.kind != "topic" and not field.title] == []


def test_the_lexicon_holds_no_message_that_is_tested(by_split: dict[Split, list[Message]]) -> None:
    """A greeting of two letters may be both; a sentence may not."""
    tested = {letters(message.text) for split in SPLITS if split != "train" for message in by_split[split]}
    expressions = {letters(one) for field in lexical_fields() for one in field.expressions}
    assert {one for one in tested & expressions if len(one) > 12} == set()


def test_the_lines_of_one_subject_are_joined(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"topic": "x", "words": ["un", "deux"]}\n\n{"topic": "general/y", "title": "Y", "words": ["trois"]}\n'
    )
    (tmp_path / "b.jsonl").write_text('{"topic": "x", "words": ["deux", "quatre"]}\n{"topic": "off-topic/z", "words": ["cinq"]}\n')
    assert lexical_fields(tmp_path) == [
        LexicalField("topic", "x", "", ("un", "deux", "quatre")),
        LexicalField("general", "general/y", "Y", ("trois",)),
        LexicalField("off-topic", "off-topic/z", "", ("cinq",)),
    ]


def test_a_sample_is_some_different_expressions_and_the_same_with_one_seed() -> None:
    field = LexicalField("topic", "x", "", tuple("abcdef"))
    drawn = [field.sample(random.Random(seed), 2, 4).split(", ") for seed in range(50)]
    assert {len(one) for one in drawn} == {2, 3, 4}
    assert all(len(set(one)) == len(one) and set(one) <= set("abcdef") for one in drawn)
    assert len({tuple(one) for one in drawn}) > 30
    assert field.sample(random.Random(3), 2, 4) == field.sample(random.Random(3), 2, 4)
    assert sorted(field.sample(random.Random(1), 9, 9).split(", ")) == list("abcdef"), "all there is"
