"""What each service has to read again, and « relu, rien à changer ». No input or output.

Guarantees: what is late comes first, the latest date before the others; a confirmation changes the two dates and no other byte.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kb.article import Article
from kb.library import Library

SOON_DAYS = 30
INTERVAL_DAYS = 365
MIN_INTERVAL_DAYS = 30
MAX_INTERVAL_DAYS = 3650

State = Literal["late", "soon", "never"]
_ORDER: tuple[State, ...] = ("late", "soon", "never")


@dataclass(frozen=True)
class ReviewItem:
    """An article to read again: ``days`` late, or ``days`` left (0: today); ``never`` has no date at all."""

    article: Article
    state: State
    days: int = 0


def to_review(library: Library, today: dt.date, soon_days: int = SOON_DAYS) -> Mapping[str, tuple[ReviewItem, ...]]:
    """List what to review by service, in the order of the services; a service that has nothing is left out.

    Args:
        library: the articles.
        today: the day from which a date is late.
        soon_days: how many days ahead to look.
    """
    found: defaultdict[str, list[ReviewItem]] = defaultdict(list)
    for article in library.articles.values():
        if item := review_item(article, today, soon_days):
            found[article.service].append(item)
    keys = dict.fromkeys((*library.service_keys, *found))
    return {key: tuple(sorted(found[key], key=_urgency)) for key in keys if key in found}


def review_item(article: Article, today: dt.date, soon_days: int = SOON_DAYS) -> ReviewItem | None:
    """Tell whether an article is to be read again, and by when."""
    review_by = article.meta.review_by
    if review_by is None:
        return ReviewItem(article, "never")
    days = (review_by - today).days
    if days < 0:
        return ReviewItem(article, "late", -days)
    return ReviewItem(article, "soon", days) if days <= soon_days else None


def confirmed(article: Article, today: dt.date) -> Article:
    """Note that an article was read again and nothing is to change: the next review is as far ahead as it was after the last one.

    Raises:
        ContentError: the front matter cannot take the dates.
    """
    reviewed_on, review_by = article.meta.reviewed_on, article.meta.review_by
    days = INTERVAL_DAYS
    if reviewed_on and review_by and review_by > reviewed_on:
        days = max((review_by - reviewed_on).days, MIN_INTERVAL_DAYS)
    due = today + dt.timedelta(days=min(days, MAX_INTERVAL_DAYS))
    return article.edited({"reviewed_on": today, "review_by": due})


def _urgency(item: ReviewItem) -> tuple[int, int, str]:
    return _ORDER.index(item.state), -item.days if item.state == "late" else item.days, item.article.title.casefold()
