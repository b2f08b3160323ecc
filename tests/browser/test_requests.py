"""Two clicks from the desk to the service, with and without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from kb.library import Library
from tests.browser.conftest import NOTHING, NewPage, Watched, find

FIRST = '.card[data-number="1"]'


def test_a_wrong_answer_is_sent_in_two_clicks(page: Page, question: str, library: Library) -> None:
    find(page, f"{question} Appelez-moi au 06 12 34 56 78")
    page.evaluate("window.same = true")
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.click(f"{FIRST} .wrong")
    form = page.locator(f"{FIRST} .request-form")
    expect(form.locator("textarea")).to_be_visible()
    assert "[téléphone]" in form.locator("textarea").input_value()
    form.locator("[type=submit]").click()
    sent = page.locator(f"{FIRST} .sent")
    owner = library.context.services["dechets"].name
    expect(sent).to_contain_text(f"Envoyé à {owner} : demande n°")
    expect(sent).to_be_focused()
    expect(page.locator(f"{FIRST} .wrong")).to_have_count(0)
    # In place, by POST, with nothing of the message in an address.
    assert page.evaluate("window.same")
    assert [address.rsplit("/", 2)[-2:] for address in addresses] == [["demandes", "mauvaise-reponse"]]
    sent.locator("a").click()
    expect(page.locator("main")).to_contain_text(question.split(maxsplit=1)[0])
    expect(page.locator("main")).not_to_contain_text("06 12 34 56 78")


def test_a_missing_answer_is_asked_for_in_two_clicks(page: Page, library: Library) -> None:
    find(page, NOTHING)
    page.click(".none .ask-service summary")
    form = page.locator(".none .request-form")
    expect(form.locator("select")).to_have_value("relation-usagers")
    form.locator("[type=submit]").click()
    name = library.context.services["relation-usagers"].name
    expect(page.locator(".none .sent")).to_contain_text(f"Envoyé à {name} : demande n°")


def test_the_right_article_is_found_as_one_types(page: Page, question: str, library: Library) -> None:
    find(page, question)
    page.click(f"{FIRST} .wrong")
    page.locator(f"{FIRST} [name=right_title]").press_sequentially("zéphyr")
    title = library.articles["dossier-zephyr"].title
    expect(page.locator(f'{FIRST} datalist option[value="{title}"]')).to_be_attached()
    page.fill(f"{FIRST} [name=right_title]", title)
    page.fill(f"{FIRST} [name=question]", "Le camion est passé, mon dossier aussi ?")
    page.click(f"{FIRST} .request-form [type=submit]")
    expect(page.locator(f"{FIRST} .sent")).to_contain_text("proposition n°")


def test_what_is_wrong_is_said_on_the_card(page: Page, question: str, watched: Watched) -> None:
    watched.expected.append("422")
    find(page, question)
    page.click(f"{FIRST} .wrong")
    page.fill(f"{FIRST} [name=right_title]", "Rien de tel")
    page.click(f"{FIRST} .request-form [type=submit]")
    expect(page.locator(f"{FIRST} .request-form .error")).to_contain_text("Aucun article ne porte ce titre")
    expect(page.locator(f"{FIRST} .request-form textarea")).to_be_focused()
    # Corrected, it goes.
    page.fill(f"{FIRST} [name=right_title]", "")
    page.click(f"{FIRST} .request-form [type=submit]")
    expect(page.locator(f"{FIRST} .sent")).to_be_visible()


def test_the_form_outlives_a_failure_of_the_server(page: Page, question: str, watched: Watched) -> None:
    watched.expected.append("net::ERR_FAILED")
    find(page, question)
    page.route("**/demandes/**", lambda route: route.abort())
    page.click(f"{FIRST} .wrong")
    page.fill(f"{FIRST} textarea[name=question]", "Ma question corrigée ?")
    page.click(f"{FIRST} .request-form [type=submit]")
    expect(page.locator("#toast")).to_contain_text("Le serveur ne répond pas")
    assert page.input_value(f"{FIRST} textarea[name=question]") == "Ma question corrigée ?"
    page.unroute("**/demandes/**")
    page.click(f"{FIRST} .request-form [type=submit]")
    expect(page.locator(f"{FIRST} .sent")).to_be_visible()


def test_it_works_without_scripts(new_page: NewPage, question: str) -> None:
    page = new_page(java_script_enabled=False)
    find_without_scripts(page, question)
    page.click(f"{FIRST} .wrong")
    page.click(f"{FIRST} .request-form [type=submit]")
    expect(page.locator("body")).to_contain_text("Envoyé à")
    assert "/propositions/" in page.url
    find_without_scripts(page, NOTHING)
    page.click(".none .ask-service summary")
    page.fill(".none .request-form textarea", " ")
    page.click(".none .request-form [type=submit]")
    expect(page.locator(".request-form .error")).to_contain_text("Écrivez la question")
    page.fill(".request-form textarea", "Une vraie question ?")
    page.click(".request-form [type=submit]")
    assert "/propositions/" in page.url


def find_without_scripts(page: Page, message: str) -> None:
    page.goto("/")
    page.fill("#message", message)
    page.click("#desk button[type=submit]")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_fits(new_page: NewPage, question: str, width: int, scheme: str) -> None:
    page = new_page(width=width, color_scheme=scheme)
    find(page, question)
    page.click(f"{FIRST} .wrong")
    expect(page.locator(f"{FIRST} .request-form")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for field in page.locator(f"{FIRST} .request-form :is(textarea, select, input:not([type=hidden]))").all():
        assert field.evaluate("one => one.labels.length") == 1
