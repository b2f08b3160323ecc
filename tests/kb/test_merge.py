"""Merging: what two people did apart is kept from both, and what they did in the same place is never decided for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.article import Article
from kb.draft import Draft
from kb.matching import Work, matching_blocks
from kb.merge import Merged, merge_articles, merge_lists, merge_sequences
from tests.conftest import in_cpu_seconds
from tests.kb.conftest import PASSPORT, PASSPORT_PATH
from tests.kb.test_draft import good_drafts


def parse(source: str, path: str = PASSPORT_PATH) -> Article:
    return Article.parse(source, path)


LEAD = "Le passeport se demande au guichet.\n\nApportez une photo.\n\nComptez trois semaines."
BASE = parse(
    f"""\
---
title: Demander un passeport
service: etat-civil
questions:
  - Comment avoir un passeport ?
  - Combien coûte le passeport ?
tags: [passeport, voyage]
short: Le passeport se demande au guichet.
see_also: [carte-identite]
sources:
  - title: Passeport
    url: https://www.service-public.fr/passeport
reviewed_on: 2026-01-01
review_by: 2027-01-01
channels: {{sms: Venez., email: Bonjour.}}
# tenu par l'accueil
outil: 7
---
{LEAD}

## Prix
86 euros.
"""
)


def edit(article: Article = BASE, **changes: object) -> Article:
    return replace(Draft.from_article(article), **changes).applied_to(article)  # type: ignore[arg-type]


def merge(live: Article, proposed: Article) -> Merged:
    merged = merge_articles(BASE, live, proposed)
    mirrored = merge_articles(BASE, proposed, live)
    assert {one.field for one in merged.conflicts} == {one.field for one in mirrored.conflicts}, "the same from both sides"
    assert (merged.article is None) == bool(merged.conflicts)
    return merged


def clean(live: Article, proposed: Article) -> Draft:
    merged = merge(live, proposed)
    assert merged.article is not None, merged.conflicts
    assert Draft.from_article(merged.article) == merged.draft
    return merged.draft


# Laws.

# Drafts that share their texts, so that sides meet, agree and differ.
texts = st.lists(st.sampled_from(["Venez.", "Appelez.", "", "Écrivez-nous.", "```"]), max_size=6).map("\n".join)
items = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=4, unique=True).map(tuple)


@st.composite
def sides(draw: st.DrawFn) -> Article:
    draft = Draft(
        slug=draw(st.sampled_from(["passeport", "visa"])),
        service=draw(st.sampled_from(["etat-civil", "dechets"])),
        audience=draw(st.sampled_from(["public", "internal"])),
        title=draw(st.sampled_from(["A", "B", "C"])),
        lead=draw(texts),
        details=draw(st.sampled_from(["", "## Prix\n86 euros", "## Prix\n90 euros\n\nOu plus."])),
        questions=draw(items),
        tags=draw(items),
        short=draw(texts),
        sources=draw(st.sampled_from([(), (("Loi", "https://a.example"),), (("Loi", "https://b.example"), ("Avis", ""))])),
        reviewed_on=draw(st.sampled_from(["", "2026-01-01", "2026-05-01"])),
        channels=draw(st.dictionaries(st.sampled_from(["sms", "email"]), texts, max_size=2)),
    ).normalised()
    if draft.problems():
        draft = replace(draft, lead="Venez.")
    article = draft.applied_to(None)
    extra = {"outil": draw(st.sampled_from([None, "1", "2"])), "aliases": list(draw(items)) or None}
    return article.edited({key: value for key, value in extra.items() if value})


@given(sides(), sides())
def test_what_one_side_alone_did_is_taken_to_the_byte(base: Article, other: Article) -> None:
    assert merge_articles(base, base, other).article == other
    assert merge_articles(base, other, base).article == other
    assert merge_articles(base, other, other).article == other


@given(sides(), sides(), sides())
def test_the_sides_can_change_places(base: Article, live: Article, proposed: Article) -> None:
    one, other = merge_articles(base, live, proposed), merge_articles(base, proposed, live)
    assert {conflict.field for conflict in one.conflicts} == {conflict.field for conflict in other.conflicts}
    assert (one.article is None) == (other.article is None) == bool(one.conflicts)


@given(sides(), sides(), sides())
def test_a_clean_merge_is_an_article_that_forgets_no_change(base: Article, live: Article, proposed: Article) -> None:
    merged = merge_articles(base, live, proposed)
    if merged.article is None:
        return
    assert Article.parse(merged.article.source, merged.article.path) == merged.article
    result = Draft.from_article(merged.article)
    assert result == merged.draft
    before, here, there = map(Draft.from_article, (base, live, proposed))
    for name in ("slug", "service", "audience", "kind", "title"):
        old, one, other, new = (getattr(draft, name) for draft in (before, here, there, result))
        assert new == (other if one == old else one), name
    for name in ("questions", "tags", "sources"):
        old, one, other, new = (set(getattr(draft, name)) for draft in (before, here, there, result))
        assert new == (one & other) | (one - old) | (other - old), name


@given(good_drafts, good_drafts, good_drafts)
def test_any_three_texts_merge_or_conflict(base: Draft, live: Draft, proposed: Draft) -> None:
    first = base.applied_to(None)
    merged = merge_articles(first, live.written_on(first), proposed.written_on(first))
    assert (merged.article is None) == bool(merged.conflicts)


lines = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12)


@given(lines, lines, lines)
def test_merged_lines_hold_the_changes_of_both_sides(base: list[str], live: list[str], proposed: list[str]) -> None:
    merged, is_clean = merge_sequences(base, live, proposed)
    mirrored, is_clean_too = merge_sequences(base, proposed, live)
    assert is_clean == is_clean_too
    if is_clean:
        assert merged == mirrored
    assert merge_sequences(base, base, proposed) == (proposed, True)
    assert merge_sequences(base, live, base) == (live, True)


@given(lines, st.lists(st.text("xyz", min_size=1, max_size=2), min_size=1, max_size=2), st.integers(0, 12), st.integers(0, 12))
def test_two_insertions_apart_are_both_kept(base: list[str], added: list[str], first: int, second: int) -> None:
    unique = [f"{number}{line}" for number, line in enumerate(base)]
    first, second = sorted((min(first, len(unique)), min(second, len(unique))))
    live = unique[:first] + added + unique[first:]
    proposed = [*unique[:second], "w", *unique[second:]]
    merged, is_clean = merge_sequences(unique, live, proposed)
    assert is_clean == (first != second)
    if is_clean:
        assert merged == unique[:first] + added + unique[first:second] + ["w"] + unique[second:]


@given(lines, lines)
def test_blocks_are_common_to_both(old: list[str], new: list[str]) -> None:
    at_old = at_new = 0
    for block in matching_blocks(old, new):
        assert block.length > 0
        assert block.old >= at_old
        assert block.new >= at_new
        at_old, at_new = block.old + block.length, block.new + block.length
        assert old[block.old : at_old] == new[block.new : at_new]
    assert sum(block.length for block in matching_blocks(old, new)) == _longest_common(old, new)
    starved = matching_blocks(old, new, Work(0))
    assert sum(block.length for block in starved) <= _longest_common(old, new)


def _longest_common(old: list[str], new: list[str]) -> int:
    row = [0] * (len(new) + 1)
    for one in old:
        previous = row
        row = [0]
        for column, other in enumerate(new):
            row.append(previous[column] + 1 if one == other else max(previous[column + 1], row[-1]))
    return row[-1]


# What people do.


def test_changes_to_different_fields_are_joined() -> None:
    merged = clean(edit(title="Le passeport", tags=("passeport",)), edit(short="Venez.", audience="internal", review_by="2028-01-01"))
    assert merged.title == "Le passeport"
    assert merged.tags == ("passeport",)
    assert merged.short == "Venez."
    assert merged.audience == "internal"
    assert merged.review_by == "2028-01-01"


def test_changes_to_different_paragraphs_are_joined() -> None:
    live = edit(lead=LEAD.replace("au guichet", "à l'accueil"))
    proposed = edit(lead=LEAD.replace("trois", "cinq") + "\n\nMerci.")
    expected = LEAD.replace("au guichet", "à l'accueil").replace("trois", "cinq") + "\n\nMerci."
    assert clean(live, proposed).lead == expected


@pytest.mark.parametrize(
    ("field", "live", "proposed", "attempt"),
    [
        ("title", "Le passeport", "Passeport", "Passeport"),
        ("short", "Venez lundi.", "Venez mardi.", "Venez mardi."),
        ("short", "", "Venez mardi.", "Venez mardi."),
        ("short", "Venez mardi.", "", "Venez mardi."),
        ("lead", LEAD.replace("trois", "deux"), LEAD.replace("trois", "six"), LEAD.replace("trois", "six")),
        (
            "lead",
            LEAD.replace("trois", "deux").replace("une photo", "deux photos"),
            LEAD.replace("trois", "six"),
            LEAD.replace("trois", "six").replace("une photo", "deux photos"),
        ),
        ("details", "## Prix\n90 euros.", "## Prix\n17 euros.", "## Prix\n17 euros."),
        ("slug", "visa", "passeport-adulte", "passeport-adulte"),
        ("service", "dechets", "voirie", "voirie"),
    ],
)
def test_changes_in_the_same_place_are_a_conflict(field: str, live: str, proposed: str, attempt: str) -> None:
    merged = merge(edit(**{field: live, "tags": ("x",)}), edit(**{field: proposed}))
    [conflict] = merged.conflicts
    assert conflict.field == field
    assert (conflict.base, conflict.live, conflict.proposed) == (getattr(Draft.from_article(BASE), field), live, proposed)
    assert conflict.merged_attempt == attempt == getattr(merged.draft, field)
    assert merged.draft.tags == ("x",), "what merges is merged, even beside a conflict"


def test_the_text_of_a_channel_merges_by_itself() -> None:
    merged = clean(edit(channels={"sms": "Venez vite.", "email": "Bonjour."}), edit(channels={"sms": "Venez.", "chatbot": "Oui."}))
    assert merged.channels == {"sms": "Venez vite.", "chatbot": "Oui."}
    [conflict] = merge(edit(channels={"email": "Bonjour."}), edit(channels={"sms": "Allez.", "email": "Bonjour."})).conflicts
    assert (conflict.field, conflict.label, conflict.live) == ("channels.sms", "Texte du canal « sms »", "")


def test_lists_take_the_additions_and_the_removals_of_both() -> None:
    live = edit(questions=("Nouvelle ?", "Comment avoir un passeport ?"), see_also=("carte-identite", "visa"))
    proposed = edit(questions=("Combien coûte le passeport ?", "Et pour un enfant ?"), see_also=())
    merged = clean(live, proposed)
    assert merged.questions == ("Nouvelle ?", "Et pour un enfant ?")
    assert merged.see_also == ("visa",)


@pytest.mark.parametrize(
    ("base", "live", "proposed", "expected"),
    [
        ("abc", "abc", "axbc", "axbc"),
        ("abc", "cab", "abxc", "cabx"),
        ("abc", "ab", "bc", "b"),
        ("", "ab", "ba", "ab"),
        ("ab", "ab", "xab", "xab"),
        ("a", "ay", "ax", "axy"),
        ("a", "", "ax", "x"),
    ],
)
def test_lists_keep_an_order(base: str, live: str, proposed: str, expected: str) -> None:
    assert "".join(map(str, merge_lists(base, live, proposed))) == expected


def test_the_later_date_wins() -> None:
    merged = clean(edit(reviewed_on="2026-05-01", review_by="2027-05-01"), edit(reviewed_on="2026-03-01", review_by="2028-03-01"))
    assert (merged.reviewed_on, merged.review_by) == ("2026-05-01", "2028-03-01")
    assert clean(edit(review_by=""), edit(review_by="2028-01-01")).review_by == "2028-01-01"
    assert clean(edit(review_by="2026-06-01"), edit(title="B")).review_by == "2026-06-01", "one side alone may bring it forward"


def test_comments_are_those_of_the_live_text() -> None:
    live = parse(BASE.source.replace("tenu par l'accueil", "tenu par Mme Roux").replace("outil: 7", "outil: 8"))
    article = merge(live, edit(title="Le passeport")).article
    assert article is not None
    assert article.source == live.source.replace("Demander un passeport", "Le passeport")


def test_a_key_of_another_tool_is_not_lost() -> None:
    live = edit(title="Le passeport")
    proposed = parse(BASE.source.replace("outil: 7", "outil: [8]\nautre: x"))
    article = merge(live, proposed).article
    assert article is not None
    assert "outil:\n  - '8'\n" in article.source
    assert "autre: x\n" in article.source
    both = merge(parse(live.source.replace("outil: 7", "outil: 9")), proposed).article
    assert both is not None
    assert "outil: 9\n" in both.source


def test_a_renamed_article_takes_the_changes_made_under_its_old_name() -> None:
    article = merge(edit(slug="visa"), edit(title="Le passeport")).article
    assert article is not None
    assert (article.path, article.title, article.meta.aliases) == ("articles/etat-civil/visa.md", "Le passeport", ("passeport",))
    other = merge(edit(title="Le passeport"), edit(slug="visa")).article
    assert other is not None
    assert (other.path, other.title, other.meta.aliases) == ("articles/etat-civil/visa.md", "Le passeport", ("passeport",))


def test_two_sound_texts_that_make_an_unsound_one_are_a_conflict() -> None:
    """One side opens a code block in a page that has no second part, the other adds that part: the block would swallow it."""
    base = parse("---\ntitle: A\n---\nVenez.\n")
    live, proposed = edit(base, lead="Venez.\n\n```\ncode"), edit(base, details="## Prix\n86 euros")
    for one, other in ((live, proposed), (proposed, live)):
        merged = merge_articles(base, one, other)
        assert merged.article is None
        assert [conflict.field for conflict in merged.conflicts] == ["details", "lead"]


def test_windows_line_ends_stay_and_are_no_change() -> None:
    live = parse(BASE.source.replace("\n", "\r\n"))
    article = merge_articles(BASE, live, edit(lead=LEAD.replace("trois", "cinq"))).article
    assert article is not None
    assert article.source == BASE.source.replace("trois", "cinq").replace("\n", "\r\n")


def test_a_huge_merge_ends() -> None:
    big = "\n".join(str(number % 97) for number in range(60_000))
    base = parse(PASSPORT + big)
    live, proposed = parse(PASSPORT + big[::-1]), parse(PASSPORT + "\n".join(sorted(big.split("\n"))))
    assert in_cpu_seconds(60, lambda: merge_articles(base, live, proposed)).conflicts
