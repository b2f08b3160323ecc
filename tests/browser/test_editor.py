"""The editor and the review in a real browser: from a change to the desk, with and without scripts; nobody is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Dialog, Page, expect

from kb import git_store
from kb.article import Article
from kb.draft import Draft
from kb.git_store import GitStore, Person
from tests.browser.conftest import NewPage, Watched, find
from tests.conftest import close, copy_sample, settings_for
from tests.serving import served
from webapp import create_app
from webapp.accounts import Account
from webapp.accounts.models import User
from webapp.database import session
from webapp.proposals import editing, service

# A browser that leaves a page before its icon has come hangs up on the server, which then drops the file.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")

SLUG = "collecte-non-faite"
AXE = {"resultTypes": ["violations"]}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An application of our own on the sample content: what goes live here is seen by no other test."""
    folder = tmp_path_factory.mktemp("editor-app")
    git_store.ensure_repository(folder / "kb", copy_sample(folder / "content"))
    made = create_app(settings_for(folder / "kb", folder / "var"))
    made.test_client().get("/")  # the three people of the demonstration are made at the first visit
    yield made
    close(made)


@pytest.fixture(scope="module")
def live_server(app: Flask) -> Iterator[str]:
    """Its address."""
    with served(app) as address:
        yield address


def article_of(app: Flask, slug: str) -> Article:
    found: Article = app.extensions["bible"].library.articles[slug]
    return found


def propose(app: Flask, slug: str, **changes: Any) -> int:
    """Propose a change as the agent of the demonstration; returns the number of the proposal."""
    with app.test_request_context():
        agent = session().query(User).filter_by(email="agent@demonstration.invalid").one()
        old = article_of(app, slug)
        new = Draft(**({field: getattr(Draft.from_article(old), field) for field in Draft.__dataclass_fields__} | changes)).applied_to(old)
        made = service.submit(editing.change_of(old, new), Account.of(agent), "Pour l'essai.")
        return made.id


def publish(app: Flask, slug: str, **changes: object) -> None:
    """Change the live text without a proposal."""
    live = article_of(app, slug)
    body = changes.pop("body", None)
    assert body is None or isinstance(body, str)
    GitStore(app.extensions["bible"].store.folder).publish(
        {live.path: live.edited(changes, body).source}, Person("Anne Petit", "anne@ville.example"), "Change le texte en ligne"
    )
    app.extensions["bible"].live.refresh()


def take_role(page: Page, label: str) -> None:
    """Change role in the top bar, as a person does."""
    page.click(".menu summary")
    page.click(f".menu-panel button:has-text('{label}')")
    expect(page.locator(".menu-panel button[aria-pressed=true]")).to_have_text(label)


# ---- from a change to the desk ----
def test_an_edit_is_previewed_checked_proposed_read_published_and_found(page: Page) -> None:
    page.goto(f"/articles/{SLUG}")
    page.click("main a:has-text('Modifier')")
    expect(page.locator("h1")).to_have_text("Modifier l'article")
    # The preview follows what is typed, the checks stand beside the field.
    page.fill("#lead", "Le camion zinzolin repasse demain. Voir [[nulle-part]].")
    expect(page.locator("#preview .lead")).to_contain_text("Le camion zinzolin repasse demain")
    expect(page.locator("#notes-lead")).to_contain_text("Aucun article n'a l'adresse « nulle-part »")
    page.fill("#lead", "Le camion zinzolin repasse demain, sans que vous ayez à le demander.")
    expect(page.locator("#notes-lead")).not_to_contain_text("nulle-part")
    # Every channel, with its length.
    sms = page.locator("#preview details", has=page.locator("summary:has-text('SMS')"))
    sms.locator("summary").click()
    expect(sms.locator(".reply")).to_be_visible()
    expect(sms.locator(".counter")).to_contain_text(" / ")
    # The counter of the short answer.
    page.fill("#short", "Le camion zinzolin repasse demain.")
    counter = page.locator("[data-count=short]")
    expect(counter).to_have_text("34 / 280")
    page.fill("#short", "x" * 281)
    expect(counter).to_contain_text("281 / 280")
    expect(counter).to_contain_text("trop long")
    expect(page.locator("#notes-short")).to_contain_text("281 caractères")
    # The channel that was open stays open.
    expect(sms.locator(".reply")).to_be_visible()
    page.fill("#short", "Le camion zinzolin repasse demain.")
    # A link by keyboard alone, where the caret is.
    page.fill("#details", "## Ensuite\n\nVoir ")
    page.focus("[data-pick-link=details]")
    page.keyboard.press("Enter")
    expect(page.locator("#link-words")).to_be_focused()
    page.keyboard.type("passeport")
    option = page.locator("#link-list [role=option]")
    expect(option.first).to_contain_text("passeport", ignore_case=True)
    expect(option.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(option.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    slug = option.first.get_attribute("data-slug")
    page.keyboard.press("Enter")
    expect(page.locator("#link-picker")).to_be_hidden()
    expect(page.locator("#details")).to_be_focused()
    expect(page.locator("#details")).to_have_value(f"## Ensuite\n\nVoir [[{slug}]]")
    expect(page.locator(f"#preview .prose a[href='/articles/{slug}']")).to_be_attached()
    page.fill("#questions", page.input_value("#questions") + "\nQuand repasse le camion zinzolin ?")
    page.fill("#why", "Le camion a changé de couleur.")
    page.click("button:has-text('Proposer')")
    page.wait_for_url("**/propositions/*")
    expect(page.locator(".flash")).to_contain_text("Proposition envoyée")
    expect(page.locator("text=Accepter et publier")).to_have_count(0)
    # The live text has not moved; a reviewer reads it, and publishes.
    take_role(page, "Administration")
    expect(page.locator(".change .diff ins").first).to_be_visible()
    expect(page.locator(".change .diff")).to_contain_text("zinzolin")
    page.click(".tabs a:has-text('Source')")
    expect(page.locator(".diff-source").first).to_contain_text("zinzolin")
    page.fill("#text", "Merci !")
    page.click("text=Accepter et publier")
    expect(page.locator(".flash")).to_contain_text("est en ligne")
    expect(page.locator(".meta .state")).to_have_text("publiée")
    find(page, "Quand repasse le camion zinzolin ?")
    expect(page.locator(".card .reply").first).to_contain_text("zinzolin")


def test_a_conflict_is_solved_with_a_button(page: Page, app: Flask) -> None:
    slug = "carte-identite-demande"
    number = propose(app, slug, title="La carte d'Agnès", short="La carte, dite par l'agent.")
    publish(app, slug, title="La carte en ligne", short="La carte, dite en ligne.")
    page.goto(f"/propositions/{number}")
    page.click("text=Résoudre le conflit")
    box = page.locator("[data-conflict=title]")
    expect(box.locator("[data-side=live]")).to_have_text("La carte en ligne")
    expect(page.locator("#title")).to_have_value("La carte d'Agnès")
    # Touching nothing is no choice.
    page.click("text=Enregistrer la proposition")
    expect(page.locator("#notes-title")).to_contain_text("Choisissez le texte à garder")
    box.get_by_label("Garder le texte en ligne").check()
    expect(page.locator("#title")).to_have_value("La carte en ligne")
    expect(page.locator("#preview .preview-title")).to_have_text("La carte en ligne")
    # What is typed is one's own text, and is not lost by looking at the others.
    short = page.locator("[data-conflict=short]")
    page.fill("#short", "La carte, dite par nous deux.")
    expect(short.get_by_label("Garder le texte écrit ci-dessous")).to_be_checked()
    short.get_by_label("Garder le texte en ligne").check()
    expect(page.locator("#short")).to_have_value("La carte, dite en ligne.")
    short.get_by_label("Garder le texte écrit ci-dessous").check()
    expect(page.locator("#short")).to_have_value("La carte, dite par nous deux.")
    short.get_by_label("Garder la proposition").check()
    expect(page.locator("#short")).to_have_value("La carte, dite par l'agent.")
    expect(short.get_by_label("Garder la proposition")).to_be_checked()
    page.click("text=Enregistrer la proposition")
    expect(page.locator(".flash")).to_contain_text("Conflit résolu")
    take_role(page, "Administration")
    page.click("text=Accepter et publier")
    expect(page.locator(".meta .state")).to_have_text("publiée")
    assert (article_of(app, slug).title, article_of(app, slug).meta.short) == ("La carte en ligne", "La carte, dite par l'agent.")


# ---- what the script adds ----
def test_a_near_article_is_shown_as_one_types(page: Page, app: Flask) -> None:
    known = article_of(app, "passeport-demande")
    page.goto("/articles/nouveau")
    page.fill("#title", known.title)
    expect(page.locator("#near")).to_contain_text("Un article proche existe déjà")
    expect(page.locator("#near a").first).to_have_attribute("href", f"/articles/{known.slug}")
    page.fill("#title", "Réserver le chapiteau des jongleurs")
    expect(page.locator("#near")).to_be_empty()


def test_addresses_go_one_a_line_and_values_at_the_caret(page: Page) -> None:
    page.goto("/articles/nouveau")
    for words in ("passeport", "passeport", "maternelle"):
        page.click("[data-pick-link=see_also]")
        page.keyboard.type(words)
        expect(page.locator("#link-list [role=option]").first).to_contain_text(words, ignore_case=True)
        page.keyboard.press("Enter")
    lines = page.input_value("#see_also").split("\n")
    assert len(lines) == len(set(lines)) == 2
    page.fill("#lead", "Appelez le  demain.")
    page.evaluate("document.getElementById('lead').setSelectionRange(11, 11)")
    page.click("[data-pick-value=lead]")
    page.click("#value-picker >> text=Téléphone du service")
    expect(page.locator("#lead")).to_have_value("Appelez le {{ service.phone }} demain.")
    # Left without a choice, nothing is written.
    page.click("[data-pick-link=lead]")
    page.keyboard.press("Escape")
    expect(page.locator("#link-picker")).to_be_hidden()
    expect(page.locator("#lead")).to_have_value("Appelez le {{ service.phone }} demain.")


def test_a_preview_that_fails_says_so_and_loses_nothing(page: Page, watched: Watched) -> None:
    watched.expected.append("net::ERR_FAILED")
    page.goto(f"/articles/{SLUG}/modifier")
    page.route("**/editeur/apercu", lambda route: route.abort())
    page.fill("#title", "Un titre qui reste")
    expect(page.locator("#toast")).to_contain_text("L'aperçu ne répond pas")
    expect(page.locator("#title")).to_have_value("Un titre qui reste")
    page.unroute("**/editeur/apercu")
    page.fill("#title", "Un titre qui revient")
    expect(page.locator("#preview .preview-title")).to_have_text("Un titre qui revient")


def test_a_session_that_expired_loses_nothing(page: Page, watched: Watched) -> None:
    watched.expected.append("400 (BAD REQUEST)")
    page.goto(f"/articles/{SLUG}/modifier")
    page.context.clear_cookies()
    page.fill("#title", "Un titre sauvé")
    expect(page.locator("#toast")).to_contain_text("Votre session a expiré")
    page.click("button:has-text('Proposer')")
    expect(page.locator(".flash")).to_contain_text("relisez, puis envoyez de nouveau")
    expect(page.locator("#title")).to_have_value("Un titre sauvé")
    page.click("button:has-text('Proposer')")
    page.wait_for_url("**/propositions/*")
    expect(page.locator("h1")).to_have_text("Un titre sauvé")


@pytest.mark.parametrize(
    ("act", "warned"),
    [
        (lambda _: None, False),
        (lambda page: page.locator("#title").press_sequentially("x"), True),
        (
            lambda page: (
                page.locator("#title").press_sequentially("x"),
                page.click("button:has-text('Aperçu')"),
                page.wait_for_load_state(),
            ),
            True,
        ),
    ],
    ids=["untouched", "typed", "previewed"],
)
def test_work_is_not_lost_by_leaving(page: Page, act: Callable[[Page], object], warned: bool) -> None:
    heard: list[str] = []

    def hear(dialog: Dialog) -> None:
        heard.append(dialog.type)
        dialog.accept()

    page.goto(f"/articles/{SLUG}/modifier")
    page.on("dialog", hear)
    page.click("#title")
    act(page)
    page.click(".topbar nav a >> nth=0")
    page.wait_for_url(lambda url: url.endswith("/"))
    assert heard == (["beforeunload"] if warned else [])


def test_cancelling_and_proposing_ask_nothing(page: Page) -> None:
    heard: list[str] = []
    page.on("dialog", lambda dialog: (heard.append(dialog.type), dialog.accept()))
    page.goto(f"/articles/{SLUG}/modifier")
    page.locator("#title").press_sequentially(" bis")
    page.click("[data-leave]")
    page.wait_for_url(f"**/articles/{SLUG}")
    page.goto(f"/articles/{SLUG}/modifier")
    page.locator("#title").press_sequentially(" ter")
    page.click("button:has-text('Proposer')")
    page.wait_for_url("**/propositions/*")
    assert heard == []


# ---- without scripts ----
def test_it_works_without_scripts(new_page: NewPage, app: Flask) -> None:
    slug = "bruit-voisinage"
    page = new_page(java_script_enabled=False)
    page.goto(f"/articles/{slug}/modifier")
    expect(page.locator("[data-pick-link=lead]")).to_be_hidden()
    page.fill("#lead", "Un texte amarante. Voir [[nulle-part]].")
    page.click("button:has-text('Aperçu')")
    expect(page.locator("#preview .lead")).to_contain_text("Un texte amarante")
    expect(page.locator("#notes-lead")).to_contain_text("nulle-part")
    page.fill("#lead", "Un texte amarante.")
    page.fill("#title", "")
    page.locator("#title").evaluate("one => one.removeAttribute('required')")
    page.click("button:has-text('Proposer')")
    expect(page.locator("#notes-title")).to_contain_text("Écrivez un titre")
    expect(page.locator("#lead")).to_have_value("Un texte amarante.")
    page.fill("#title", "Un titre amarante")
    page.click("button:has-text('Proposer')")
    expect(page.locator("h1")).to_have_text("Un titre amarante")
    take_role(page, "Administration")
    page.click("text=Accepter et publier")
    expect(page.locator(".meta .state")).to_have_text("publiée")
    assert article_of(app, slug).lead == "Un texte amarante."


# ---- every page ----
@pytest.fixture(scope="module")
def pages(app: Flask) -> dict[str, str]:
    """What to look at → its address: an edit, a conflict, an archive, a request."""
    edit = propose(
        app,
        "inscription-ecole",
        title="Un titre neuf",
        lead="Un tableau neuf.",
        details="## Neuf\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n`code`",
    )
    conflict = propose(app, "acte-de-naissance", title="Ici")
    publish(app, "acte-de-naissance", title="Là")
    broken = propose(app, "passeport-demande", lead="Voir [[nulle-part]].")
    return {
        "form": "/articles/inscription-ecole/modifier",
        "new article": "/articles/nouveau",
        "amend": f"/propositions/{edit}/modifier",
        "review": f"/propositions/{edit}",
        "source": f"/propositions/{edit}?vue=source",
        "not publishable": f"/propositions/{broken}",
        "list": "/propositions/?vue=ouvertes",
        "empty list": "/propositions/?vue=closes&service=nulle-part",
        "conflict": f"/propositions/{conflict}/conflit",
        "archive": "/articles/inscription-ecole/archiver",
    }


NAMES = ("form", "new article", "amend", "review", "source", "not publishable", "list", "empty list", "conflict", "archive")


@pytest.fixture
def reviewer(new_page: NewPage) -> Page:
    """The page of the administrator, who is offered everything."""
    page = new_page()
    page.goto("/")
    take_role(page, "Administration")
    return page


def opened(page: Page, address: str) -> None:
    """Go there, with everything that unfolds unfolded."""
    page.goto(address)
    expect(page.locator("main h1")).to_have_count(1)
    page.evaluate("document.querySelectorAll('main details:not([name])').forEach(one => { one.open = true; })")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_leaves_nobody_out(reviewer: Page, pages: dict[str, str], name: str) -> None:
    opened(reviewer, pages[name])
    for width in (1280, 390):
        reviewer.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            reviewer.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            found = Axe().run(reviewer, options=AXE).response["violations"]
            grave = [one for one in found if one["impact"] in ("serious", "critical")]
            assert [(width, scheme, one["id"], [node["html"][:160] for node in one["nodes"]]) for one in grave] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_a_phone(reviewer: Page, pages: dict[str, str], name: str) -> None:
    opened(reviewer, pages[name])
    for width in (390, 320):
        reviewer.set_viewport_size({"width": width, "height": 844})
        assert reviewer.evaluate("document.documentElement.scrollWidth") <= width
        outside = reviewer.evaluate(
            """width => [...document.querySelectorAll("main *")]
                 .filter(one => { const box = one.getBoundingClientRect(); return box.width && box.height && box.right > width + 1; })
                 .filter(one => !one.closest(".visually-hidden, table, pre, .facets")).map(one => one.outerHTML.slice(0, 120))""",
            width,
        )
        assert outside == []


@pytest.mark.parametrize("picker", ["link", "value"])
def test_a_picker_leaves_nobody_out(page: Page, picker: str) -> None:
    page.goto("/articles/nouveau")
    page.click(f"[data-pick-{picker}=lead]")
    if picker == "link":
        expect(page.locator("#link-list [role=option]").first).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        found = Axe().run(page, options=AXE).response["violations"]
        assert [
            (one["id"], [node["html"][:160] for node in one["nodes"]]) for one in found if one["impact"] in ("serious", "critical")
        ] == []
