"""What each service has to review, late first, and « relu, rien à changer » in one click: a commit by whoever clicked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date
from flask_babel import gettext as _

from kb import freshness
from kb.errors import ContentError
from kb.facts import Service
from kb.freshness import ReviewItem
from kb.git_store import settled
from kb.library import read_article
from webapp import views
from webapp.accounts import current_account
from webapp.errors import error_response
from webapp.i18n import is_local
from webapp.state import bible

blueprint = Blueprint("reviews", __name__)


@dataclass(frozen=True)
class ServiceReviews:
    """What one service has to review; ``is_own`` for the services of the person who looks."""

    service: Service
    items: Sequence[ReviewItem]
    is_own: bool

    @property
    def late(self) -> int:
        """How many articles are late."""
        return sum(item.state == "late" for item in self.items)


@blueprint.get("/a-relire")
def index() -> ResponseReturnValue:
    """Show what each service has to review, the person's own services first."""
    state, account = bible(), current_account()
    found = freshness.to_review(state.library, views.today())
    services = [ServiceReviews(state.context.service(key), items, key in account.services) for key, items in found.items() if items]
    services.sort(key=lambda one: (not one.is_own, -one.late, one.service.name.casefold()))
    return render_template(
        "reviews/index.html",
        services=services,
        late=sum(one.late for one in services),
        total=sum(len(one.items) for one in services),
        has_own=bool(account.services),
    )


@blueprint.post("/articles/<slug>/relu")
def confirm(slug: str) -> ResponseReturnValue:
    """Record that an article was read again and is right as it stands, unless it changed since the page was shown."""
    state, account = bible(), current_account()
    known = state.library.get(slug)
    # Under the lock, from the file: the article that this process last indexed may be older than what another one just published.
    with settled(state.store.folder):
        try:
            article = read_article(state.store.folder, known.path)
        except (FileNotFoundError, ContentError):
            return error_response(409, _changed())
        if not account.may_review(article.service):
            abort(403, _("Seules les personnes qui rédigent pour ce service peuvent dire que l'article est à jour."))
        if request.form.get("content_hash", "") != article.content_hash:
            return error_response(409, _changed())
        confirmed = freshness.confirmed(article, views.today())
        message = _("Relu, rien à changer : %(title)s", title=article.title)
        state.store.publish({article.path: confirmed.source}, account.person, message)
    state.live.refresh()
    flash(
        _(
            "« %(title)s » est noté comme relu, à relire avant le %(date)s.",
            title=article.title,
            date=format_date(confirmed.meta.review_by, "d MMMM yyyy"),
        )
    )
    target = request.form.get("next", "")
    return redirect(target if is_local(target) else url_for("articles.show", slug=article.slug), code=303)


def _changed() -> str:
    return str(_("Cet article a changé depuis que vous avez ouvert la page : rien n'est enregistré. Revenez en arrière et rechargez-la."))
