"""What there is to review, and « relu, rien à changer »: a commit by whoever clicked, refused when the article changed meanwhile."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from flask import Flask, render_template_string
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from kb import git_store
from kb.git_store import Person
from tests.conftest import MakeApp, MakeKb
from tests.webapp.reading import read, token_of
from webapp.accounts import demo

TODAY = dt.date(2026, 11, 22)
SERVICES = (
    "dechets:\n  name: Déchets\n  email: dechets@ville.example\nvoirie:\n  name: Voirie\neau:\n  name: Eau\npiscine:\n  name: Piscine\n"
)


def text(title: str, review_by: str | None, reviewed_on: str = "2025-11-01") -> str:
    dates = f"reviewed_on: {reviewed_on}  # par Dominique\nreview_by: {review_by}\n" if review_by else ""
    return f"---\ntitle: {title}\n{dates}---\nRéponse sur {title}.\n"


FILES = {
    "services.yml": SERVICES,
    "articles/dechets/tard.md": text("Le bac en retard", "2026-11-01"),
    "articles/dechets/tres-tard.md": text("Le bac très en retard", "2026-01-01"),
    "articles/dechets/bientot.md": text("Le bac bientôt", "2026-12-01"),
    "articles/dechets/loin.md": text("Le bac à jour", "2027-11-01"),
    "articles/piscine/bassin.md": text("Le bassin en retard", "2026-11-20"),
}


@pytest.fixture
def site(make_app: MakeApp, make_kb: MakeKb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An application on five articles in git, in November 2026."""
    monkeypatch.setattr("webapp.views.today", lambda: TODAY)
    git_store.ensure_repository(tmp_path / "kb", make_kb(FILES))
    return make_app(tmp_path / "kb")


def as_role(app: Flask, role: str) -> FlaskClient:
    client = app.test_client()
    answer = client.post("/demonstration", data={"csrf_token": token_of(client), "role": role, "next": "/"})
    assert answer.status_code == 303
    return client


def confirm(client: FlaskClient, slug: str, **changes: str) -> TestResponse:
    article = client.application.extensions["bible"].library.get(slug)
    data = {"csrf_token": token_of(client), "content_hash": article.content_hash} | changes
    return client.post(f"/articles/{slug}/relu", data=data)


def file_of(app: Flask, slug: str = "tard") -> str:
    state = app.extensions["bible"]
    return str(state.store.read(state.library.get(slug).path))


# ---- the page ----
def test_late_comes_first_and_what_is_right_does_not_come(site: Flask) -> None:
    page = read(as_role(site, "editor").get("/a-relire"))
    assert [one.text.strip() for one in page.find("section.own .review a") if "/modifier" not in one.attributes["href"]] == [
        "Le bac très en retard",
        "Le bac en retard",
        "Le bac bientôt",
    ]
    assert "Le bac à jour" not in page.text
    assert "en retard de 21 jours" in page.text and "d'ici 9 jours" in page.text


def test_own_services_are_open_and_the_others_folded(site: Flask) -> None:
    page = read(as_role(site, "editor").get("/a-relire"))
    assert "Déchets" in page.one("section.own").text
    assert "Piscine" in page.one("details.other").text
    assert "open" not in page.one("details.other").attributes
    assert "4 articles à relire, dont 3 en retard" in page.text


def test_the_button_is_for_those_who_may(site: Flask) -> None:
    def buttons(role: str) -> set[str]:
        return {form.attributes["action"] for form in read(as_role(site, role).get("/a-relire")).find("form.confirm-review")}

    late = {f"/articles/{slug}/relu" for slug in ("tard", "tres-tard", "bientot")}
    assert buttons("agent") == set()
    assert buttons("editor") == late
    assert buttons("admin") == {*late, "/articles/bassin/relu"}
    # Who has no button is told of none, and the tabs follow an editor to the archives.
    assert "un clic le dit" not in as_role(site, "agent").get("/a-relire").text
    editor = as_role(site, "editor")
    assert "un clic le dit" in editor.get("/a-relire").text
    [shown] = [one for one in read(editor.get("/articles/archives")).find(".tabs a") if "aria-current" in one.attributes]
    assert shown.text == "Archives"


def test_nothing_to_review_is_said(make_app: MakeApp, make_kb: MakeKb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.views.today", lambda: TODAY)
    client = make_app(make_kb({"articles/dechets/loin.md": FILES["articles/dechets/loin.md"]})).test_client()
    assert "Rien à relire" in read(client.get("/a-relire")).text


# ---- one click ----
def test_one_click_is_a_commit_by_that_person(site: Flask) -> None:
    client, state = as_role(site, "editor"), site.extensions["bible"]
    before = file_of(site)
    response = confirm(client, "tard")
    assert (response.status_code, response.location) == (303, "/articles/tard")
    assert file_of(site) == before.replace("2025-11-01  # par Dominique", "2026-11-22").replace("2026-11-01", "2027-11-22")
    [last, *_] = state.store.history("articles/dechets/tard.md")
    assert (last.author, last.summary) == ("Dominique Rédaction", "Relu, rien à changer : Le bac en retard")
    assert state.library.get("tard").meta.reviewed_on == TODAY
    assert (state.store.folder / "articles/dechets/tard.md").read_text(encoding="utf-8") == file_of(site)


def test_after_the_click_the_article_is_off_the_list(site: Flask) -> None:
    client = as_role(site, "editor")
    response = confirm(client, "tard", next="/a-relire")
    page = read(client.get(response.location))
    assert "est noté comme relu" in page.text
    assert "/articles/tard/relu" not in {form.attributes["action"] for form in page.find("form")}


def test_a_second_click_is_refused(site: Flask) -> None:
    client = as_role(site, "editor")
    shown = site.extensions["bible"].library.get("tard").content_hash
    assert confirm(client, "tard").status_code == 303
    assert confirm(client, "tard", content_hash=shown).status_code == 409
    assert len(site.extensions["bible"].store.history("articles/dechets/tard.md")) == 2


@pytest.mark.parametrize("by_hand", [True, False])
def test_an_article_that_changed_since_is_not_confirmed(site: Flask, by_hand: bool) -> None:
    """Even when this process has not indexed the change yet."""
    client, state = as_role(site, "editor"), site.extensions["bible"]
    changed = file_of(site).replace("Réponse", "Nouvelle réponse")
    if by_hand:
        (state.store.folder / "articles/dechets/tard.md").write_text(changed, encoding="utf-8")
    else:
        state.store.publish({"articles/dechets/tard.md": changed}, Person("Alix", "alix@ville.example"), "Réponse revue")
    response = confirm(client, "tard")
    assert response.status_code == 409
    assert "a changé depuis" in read(response).text
    assert (state.store.folder / "articles/dechets/tard.md").read_text(encoding="utf-8") == changed


def test_an_article_that_was_deleted_since_is_not_brought_back(site: Flask) -> None:
    client, state = as_role(site, "editor"), site.extensions["bible"]
    state.store.publish({"articles/dechets/tard.md": None}, Person("Alix", "alix@ville.example"), "Supprimé")
    assert confirm(client, "tard").status_code == 409
    assert not (state.store.folder / "articles/dechets/tard.md").exists()


@pytest.mark.parametrize(("role", "slug"), [("agent", "tard"), ("editor", "bassin")])
def test_nobody_confirms_for_another_service(site: Flask, role: str, slug: str) -> None:
    before = file_of(site, slug)
    assert confirm(as_role(site, role), slug).status_code == 403
    assert file_of(site, slug) == before


def test_the_form_needs_its_token_and_the_text_that_was_read(site: Flask) -> None:
    client = as_role(site, "admin")
    before = file_of(site)
    assert confirm(client, "tard", csrf_token="").status_code == 400
    assert confirm(client, "tard", content_hash="").status_code == 409
    assert client.get("/articles/tard/relu").status_code == 405
    assert confirm(client, "tard", content_hash="é" * 40).status_code == 409
    assert file_of(site) == before


def test_an_article_that_never_was_is_not_found(site: Flask) -> None:
    client = as_role(site, "admin")
    assert client.post("/articles/absent/relu", data={"csrf_token": token_of(client)}).status_code == 404


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_the_click_never_leads_away(site: Flask, target: str) -> None:
    assert confirm(as_role(site, "admin"), "tard", next=target).location == "/articles/tard"


@pytest.mark.parametrize(("role", "has_button"), [("agent", False), ("editor", True)])
def test_the_banner_has_the_button_for_those_who_may(site: Flask, role: str, has_button: bool) -> None:
    """The macro that the article page includes."""
    words = "{% from 'reviews/_macros.html' import review_banner with context %}{{ review_banner(article, late) }}"
    article = site.extensions["bible"].library.get("tard")
    with site.test_request_context():
        demo.pick(role)
        shown = render_template_string(words, article=article, late=True)
        assert "La date de relecture est passée" in shown
        assert ("/articles/tard/relu" in shown and article.content_hash in shown) is has_button
        assert not render_template_string(words, article=article, late=False).strip()
