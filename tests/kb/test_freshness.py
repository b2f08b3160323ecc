"""Freshness: a service sees what is late before the rest, and one click moves two dates and nothing else."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given

from kb.article import Article
from kb.freshness import confirmed, to_review
from tests.kb.conftest import CARD_PATH, IDENTITY_CARD, PASSPORT, PASSPORT_PATH, Content
from tests.kb.test_article import sources

TODAY = dt.date(2026, 11, 22)


def dated(title: str, review_by: str) -> str:
    return f"---\ntitle: {title}\n{f'review_by: {review_by}' if review_by else 'tags: []'}\n---\nVenez.\n"


def test_each_service_sees_the_latest_first(content: Content) -> None:
    for slug, review_by in {
        "a-demain": "2026-11-23",
        "b-hier": "2026-11-21",
        "c-jamais": "",
        "d-vieux": "2020-01-01",
        "e-aujourd-hui": "2026-11-22",
        "f-dans-un-mois": "2026-12-22",
        "g-plus-tard": "2026-12-23",
        "h-jamais": "",
    }.items():
        content.write(f"articles/dechets/{slug}.md", dated(slug.upper(), review_by))
    content.write(PASSPORT_PATH, PASSPORT.replace("2099-01-01", "2026-11-22"))
    content.write("articles/inconnu/x.md", dated("X", ""))
    found = to_review(content.library(), TODAY)
    assert list(found) == ["etat-civil", "dechets", "inconnu"], "the services in the order of services.yml"
    assert [(item.article.slug, item.state, item.days) for item in found["dechets"]] == [
        ("d-vieux", "late", 2517),
        ("b-hier", "late", 1),
        ("e-aujourd-hui", "soon", 0),
        ("a-demain", "soon", 1),
        ("f-dans-un-mois", "soon", 30),
        ("c-jamais", "never", 0),
        ("h-jamais", "never", 0),
    ]
    assert [item.article.slug for item in found["etat-civil"]] == ["passeport"]
    assert [item.article.slug for item in to_review(content.library(), TODAY, soon_days=31)["dechets"]].count("g-plus-tard") == 1


def test_a_service_with_nothing_to_review_is_left_out(content: Content) -> None:
    assert to_review(content.library(), TODAY) == {}


@pytest.mark.parametrize(
    ("reviewed_on", "review_by", "expected"),
    [
        ("2026-01-01", "2026-07-01", "2027-05-22"),  # 181 days
        ("2026-01-01", "2026-01-08", "2026-12-22"),  # 30 at least
        ("2026-01-01", "2025-01-01", "2027-11-22"),  # the wrong way round
        ("", "2026-07-01", "2027-11-22"),
        ("2026-01-01", "", "2027-11-22"),
        ("", "", "2027-11-22"),
        ("2026-01-01", "9999-12-31", "2036-11-19"),  # ten years at most
    ],
)
def test_the_next_review_is_as_far_as_the_last_one_was(reviewed_on: str, review_by: str, expected: str) -> None:
    dates = f"reviewed_on: {reviewed_on}\nreview_by: {review_by}\n"
    article = confirmed(Article.parse(f"---\ntitle: A\n{dates}---\nVenez.\n", CARD_PATH), TODAY)
    assert article.source == f"---\ntitle: A\nreviewed_on: 2026-11-22\nreview_by: {expected}\n---\nVenez.\n"


@given(sources())
def test_a_confirmation_changes_two_lines(source: str) -> None:
    article = Article.parse(source, CARD_PATH)
    after = confirmed(article, TODAY)
    assert (after.meta.reviewed_on, after.meta.review_by) == (TODAY, dt.date(2027, 11, 22))
    kept = [line for line in after.source.splitlines(keepends=True) if not line.startswith(("reviewed_on:", "review_by:"))]
    assert "".join(kept) == source
    assert after.body == article.body


def test_a_confirmed_article_is_no_longer_to_review(content: Content) -> None:
    content.write(CARD_PATH, IDENTITY_CARD.replace("2099-01-01", "2026-02-01"))
    [item] = to_review(content.library(), TODAY)["etat-civil"]
    content.write(CARD_PATH, confirmed(item.article, TODAY).source)
    assert to_review(content.library(), TODAY, soon_days=29) == {}
