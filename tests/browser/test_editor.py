"""Writing and reviewing in the browser: from « Modifier » to the desk that finds the new text, by three people."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from kb import git_store
from tests.browser.conftest import NewPage, find, grave_faults, too_wide
from tests.conftest import close, copy_sample, settings_for
from webapp import create_app

SLUG = "collecte-non-faite"
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The sample content that these tests write on."""
    folder = tmp_path_factory.mktemp("editing")
    git_store.ensure_repository(folder / "kb", copy_sample(folder / "content"))
    app = create_app(settings_for(folder / "kb", folder / "var"))
    yield app
    close(app)


@pytest.fixture(scope="module")
def address(house: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, house, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


@pytest.fixture
def open_as(new_page: NewPage, address: str) -> Open:
    """Open a page as somebody: ``open_as("admin", width=390)``."""

    def make(role: str, **options: object) -> Page:
        page = new_page(base_url=address, **options)
        page.goto("/")
        if role != "agent":
            page.click(".menu summary")
            page.click(f".menu button[value={role}]")
            page.wait_for_load_state()
        return page

    return make


def propose(page: Page, slug: str, field: str, text: str) -> str:
    """Replace a field's text and send it; returns the address of the proposal."""
    page.goto(f"/articles/{slug}/modifier")
    page.fill(f"#{field}", text)
    page.click("button[value=propose]")
    page.wait_for_url("**/propositions/*")
    return page.url


def publish(page: Page, proposal: str) -> None:
    page.goto(proposal)
    page.get_by_role("button", name="Accepter et publier").click()
    expect(page.locator(".state-accepted")).to_be_visible()


def test_a_sentence_goes_from_an_agent_to_the_desk(open_as: Open, house: Flask) -> None:
    agent, admin = open_as("agent"), open_as("admin")
    agent.goto(f"/articles/{SLUG}")
    agent.get_by_role("link", name="Modifier", exact=True).first.click()
    agent.fill("#short", "Trop long. " * 40)
    expect(agent.locator("[data-count=short]")).to_have_class("counter over")
    expect(agent.locator("#notes-short")).to_contain_text("280")
    agent.fill("#short", "Laissez le bac sorti, nous repassons. Tél. {{ service.phone }}.")
    expect(agent.locator("#notes-short li.note-error")).to_have_count(0)
    lead = agent.input_value("#lead")
    agent.fill("#lead", f"{lead}\n\nLe camion quorgle repasse le samedi.")
    expect(agent.locator("#preview .lead")).to_contain_text("Le camion quorgle repasse le samedi.")
    agent.locator("#preview summary", has_text="SMS").click()
    expect(agent.locator("#preview details[open] .reply")).to_contain_text("nous repassons. Tél. 02 61")
    agent.fill("#questions", f"{agent.input_value('#questions')}\nQuand repasse le camion quorgle ?")
    agent.fill("#why", "Nouveau passage.")
    agent.click("button[value=propose]")
    agent.wait_for_url("**/propositions/*")
    expect(agent.locator("ins", has_text="Le camion quorgle").first).to_be_visible()
    expect(agent.get_by_role("button", name="Accepter et publier")).to_have_count(0)
    assert "quorgle" not in house.extensions["bible"].library.articles[SLUG].lead

    admin.goto(agent.url)
    admin.get_by_role("link", name="Source").click()
    expect(admin.locator("ins", has_text="quorgle").first).to_be_visible()
    publish(admin, agent.url)
    find(agent, "Quand repasse le camion quorgle ?")
    expect(agent.locator(".card .reply").first).to_contain_text("Le camion quorgle repasse le samedi.")


def test_a_link_is_picked_with_the_keyboard(open_as: Open) -> None:
    page = open_as("agent")
    page.goto(f"/articles/{SLUG}/modifier")
    page.focus("#lead")
    page.keyboard.press("Control+End")
    page.locator("[data-pick-link=lead]").press("Enter")
    expect(page.locator("#link-words")).to_be_focused()
    page.keyboard.type("jours de collecte")
    expect(page.locator("#link-list [role=option]").first).to_have_attribute("data-slug", "jours-de-collecte")
    page.keyboard.press("Enter")
    expect(page.locator("#link-picker")).to_be_hidden()
    assert page.input_value("#lead").endswith("[[jours-de-collecte]]")
    expect(page.locator("#lead")).to_be_focused()
    page.locator("[data-pick-link=see_also]").press("Enter")
    page.keyboard.type("encombrants")
    page.keyboard.press("Escape")
    expect(page.locator("#link-picker")).to_be_hidden()


def test_a_near_article_is_told_while_one_types(open_as: Open, house: Flask) -> None:
    article = house.extensions["bible"].library.articles[SLUG]
    page = open_as("agent")
    page.goto("/articles/nouveau")
    page.fill("#title", article.title)
    page.fill("#questions", "\n".join(article.meta.questions[:5]))
    expect(page.locator("#near")).to_contain_text("Un article proche existe déjà")
    expect(page.locator("#near a").first).to_have_attribute("href", f"/articles/{SLUG}")


def test_a_conflict_is_solved_by_choosing(open_as: Open, house: Flask) -> None:
    agent, admin = open_as("agent"), open_as("admin")
    slug = "livret-de-famille"
    lead = house.extensions["bible"].library.articles[slug].lead
    first = propose(agent, slug, "lead", f"Premier texte, proposé. {lead}")
    publish(admin, propose(open_as("editor"), slug, "lead", f"Second texte, publié. {lead}"))
    admin.goto(first)
    expect(admin.locator(".notice.error")).to_contain_text("a changé aux mêmes endroits")
    admin.get_by_role("link", name="Résoudre le conflit").click()
    assert grave_faults(admin) == []
    admin.get_by_role("button", name="Garder le texte en ligne").click()
    assert admin.input_value("#lead").startswith("Second texte, publié.")
    admin.get_by_role("button", name="Garder la proposition").click()
    assert admin.input_value("#lead").startswith("Premier texte, proposé.")
    admin.click("button[value=propose]")
    admin.wait_for_url("**/propositions/*")
    publish(admin, first)
    assert house.extensions["bible"].library.articles[slug].lead.startswith("Premier texte, proposé.")


def test_work_is_not_lost_by_leaving(open_as: Open) -> None:
    page = open_as("agent")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.goto(f"/articles/{SLUG}/modifier")
    page.goto("/")
    assert asked == [], "nothing was typed"
    page.goto(f"/articles/{SLUG}/modifier")
    page.locator("#lead").press_sequentially("Un mot. ")
    page.goto("/")
    assert asked == ["beforeunload"]


def test_it_works_without_scripts(open_as: Open) -> None:
    page = open_as("agent", java_script_enabled=False)
    page.goto("/articles/carte-electorale/modifier")
    lead = page.input_value("#lead")
    page.fill("#lead", "# Un titre\nLa réponse.")
    page.click("button[value=propose]")
    expect(page.locator("#notes-lead")).to_contain_text("La réponse ne contient pas de titre")
    page.fill("#lead", lead)
    page.fill("#title", "Recevoir sa carte électorale, sans script")
    page.click("button[value=preview]")
    expect(page.locator("#preview .preview-title")).to_have_text("Recevoir sa carte électorale, sans script")
    page.click("button[value=propose]")
    page.wait_for_url("**/propositions/*")
    expect(page.locator("ins", has_text="sans script").first).to_be_visible()


# ---- every page of ours ----
@pytest.fixture(scope="module")
def waiting(house: Flask) -> str:
    """Address of a proposal that waits."""
    client = house.test_client()
    page = client.get("/articles/passeport-demande/modifier").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    article = house.extensions["bible"].library.articles["passeport-demande"]
    seen = house.extensions["bible"].store.head()
    form = {"csrf_token": token, "path": article.path, "seen": seen, "title": "Un autre titre", "service": "etat-civil"}
    answer = client.post(
        "/articles/passeport-demande/modifier", data=form | {"lead": article.lead, "slug": article.slug, "action": "propose"}
    )
    assert answer.status_code == 303, answer.text
    return str(answer.location)


PAGES = {
    "editor": f"/articles/{SLUG}/modifier",
    "new article": "/articles/nouveau",
    "archive an article": f"/articles/{SLUG}/archiver",
    "review": "{waiting}",
    "review, source": "{waiting}?vue=source",
    "proposals": "/propositions/?vue=ouvertes",
    "reviews": "/a-relire",
    "twins": "/jumeaux",
    "versions": f"/articles/{SLUG}/versions",
    "archives": "/articles/archives",
    "people": "/administration",
    "forge": "/administration/forge",
    "account": "/compte",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_leaves_nobody_out_and_fits_a_phone(open_as: Open, waiting: str, name: str) -> None:
    page = open_as("admin")
    page.goto(PAGES[name].format(waiting=waiting))
    assert grave_faults(page) == []
    assert too_wide(page) == []
