"""What an agent does all day at the reply desk, with a real keyboard and a real clipboard."""

from __future__ import annotations

from flask import Flask
from playwright.sync_api import Page, Route, expect

from kb import replies
from kb.library import Library
from tests.browser.conftest import NOTHING, ZEPHYR, NewPage, Watched, clipboard, find, leave_the_field, write_clipboard

FIRST = '.card[data-number="1"]'


def reply_of(app: Flask, slug: str, channel: str, **filled: str) -> str:
    """The text that must be on the clipboard."""
    state = app.extensions["bible"]
    article = state.library.articles[slug]
    url = state.public_url(article)
    named = {name.replace("__", "."): value for name, value in filled.items()}
    return replies.render_reply(article, channel, state.context, url, named, state.resolve_public).text


def pick(page: Page, channel: str) -> None:
    """Pick a channel and wait for its replies."""
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.check(f'input[name="channel"][value="{channel}"]', force=True)
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")


# ---- from the paste to the copy ----
def test_a_paste_shows_the_reply_at_once(page: Page, question: str) -> None:
    page.goto("/")
    write_clipboard(page, f"Bonjour,\n{question}\nMerci")
    page.focus("#message")
    page.keyboard.press("Control+v")
    expect(page.locator(f"{FIRST} h3 a")).to_have_attribute("href", "/articles/collecte-non-faite")
    # Nothing of the message is in an address or kept by the browser.
    assert page.url.endswith("/")
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state])") == "[{},{},null]"


def test_one_copies_plain_text_for_a_private_message(page: Page, app: Flask, question: str) -> None:
    find(page, question)
    pick(page, "private_message")
    leave_the_field(page)
    page.keyboard.press("1")
    expect(page.locator("#toast")).to_have_text("Réponse copiée")
    assert clipboard(page) == {"text/plain": reply_of(app, "collecte-non-faite", "private_message")}


def test_one_copies_rich_text_for_an_email(page: Page, app: Flask, question: str) -> None:
    find(page, question)
    leave_the_field(page)
    page.keyboard.press("1")
    expect(page.locator("#toast")).to_have_text("Réponse copiée, mise en forme comprise")
    copied = clipboard(page)
    assert copied["text/plain"] == reply_of(app, "collecte-non-faite", "email")
    assert "<p" in copied["text/html"]
    assert 'href="https://www.valbourg.example/faq/collecte-non-faite"' in copied["text/html"]
    assert "class=" not in copied["text/html"]


def test_the_button_copies_too(page: Page, app: Flask, question: str) -> None:
    find(page, question)
    pick(page, "sms")
    page.click(f"{FIRST} .copy")
    expect(page.locator("#toast")).to_have_text("Réponse copiée")
    assert clipboard(page)["text/plain"] == reply_of(app, "collecte-non-faite", "sms")


def test_two_copies_the_second_reply_and_alt_works_in_a_field(page: Page, app: Flask, question: str, library: Library) -> None:
    other = library.articles["inscription-ecole"].meta.questions[0]
    find(page, f"{question} Par ailleurs, {other}")
    pick(page, "counter")
    slug = str(page.locator('.card[data-number="2"] h3 a').get_attribute("href")).removeprefix("/articles/")
    page.focus("#message")
    page.keyboard.press("Alt+2")
    expect(page.locator("#toast")).to_have_text("Réponse copiée")
    assert clipboard(page)["text/plain"] == reply_of(app, slug, "counter")
    assert not page.input_value("#message").endswith("2")


def test_a_digit_in_a_field_is_a_digit(page: Page, question: str) -> None:
    find(page, question)
    write_clipboard(page, "avant")
    page.focus("#message")
    page.keyboard.press("End")
    page.keyboard.type("1")
    assert page.input_value("#message").endswith("1")
    assert clipboard(page)["text/plain"] == "avant"


def test_control_enter_finds(page: Page, question: str) -> None:
    page.goto("/")
    page.fill("#message", question)
    page.keyboard.press("Control+Enter")
    expect(page.locator(f"{FIRST} h3 a")).to_have_attribute("href", "/articles/collecte-non-faite")
    assert page.input_value("#message") == question


def test_an_example_is_one_click_away(page: Page) -> None:
    page.goto("/")
    example = page.locator(".example").first
    words = example.inner_text()
    example.click()
    expect(page.locator("#results .summary")).to_be_visible()
    assert page.input_value("#message") == words


def test_another_channel_renders_again_in_place(page: Page, library: Library, question: str) -> None:
    find(page, question)
    page.evaluate("window.same = true")
    for key, channel in list(library.context.channels.items())[1:]:
        pick(page, key)
        expect(page.locator("#results .summary")).to_contain_text(channel.label)
        expect(page.locator(FIRST)).to_have_attribute("data-format", channel.format)
        counter = page.locator(f"{FIRST} .counter").inner_text()
        assert (f"/ {channel.limit_chars} " in counter) == bool(channel.limit_chars)
    assert page.evaluate("window.same"), "the page was loaded again"
    assert page.input_value("#message") == question


# ---- what is missing ----
def two_gaps(route: Route) -> None:
    """Answer as the desk does, with a second gap on the card."""
    if route.request.method != "POST":
        return route.continue_()
    answer = route.fetch()
    gap = '<label>date de la demande <input type="text" data-fill="request.date" form="none"></label>'
    return route.fulfill(response=answer, body=answer.text().replace("</h3>", f"</h3>{gap}", 1))


def test_a_missing_placeholder_blocks_the_copy_until_filled(page: Page, app: Flask) -> None:
    find(page, ZEPHYR)
    pick(page, "private_message")
    write_clipboard(page, "avant")
    leave_the_field(page)
    page.keyboard.press("1")
    expect(page.locator("#toast")).to_contain_text("Complétez d'abord")
    assert clipboard(page)["text/plain"] == "avant"
    # The field to fill has the focus: type, leave, copy.
    field = page.locator(f"{FIRST} [data-fill='request.reference']")
    expect(field).to_be_focused()
    page.keyboard.type("ZX-2041")
    page.keyboard.press("Enter")
    expect(page.locator(FIRST)).to_have_attribute("data-missing", "0")
    leave_the_field(page)
    page.keyboard.press("1")
    expect(page.locator("#toast")).to_have_text("Réponse copiée")
    assert clipboard(page)["text/plain"] == reply_of(app, "dossier-zephyr", "private_message", request__reference="ZX-2041")
    # It is kept for the next message of the same case.
    assert page.input_value("#personalise [name='request.reference']") == "ZX-2041"


def test_what_is_typed_in_the_next_gap_stays_when_replies_come(page: Page) -> None:
    page.route("**/", two_gaps)
    find(page, ZEPHYR)
    page.unroute("**/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/", hold)
    page.locator(f"{FIRST} [data-fill='request.reference']").fill("AB12")
    page.locator(f"{FIRST} [data-fill='request.date']").click()
    page.keyboard.type("12 m")
    two_gaps(held[0])
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    field = page.locator(f"{FIRST} [data-fill='request.date']")
    expect(field).to_be_focused()
    page.keyboard.type("ars")
    expect(field).to_have_value("12 mars")


def test_a_gap_that_is_filled_then_copied_at_once_is_copied(page: Page, app: Flask) -> None:
    find(page, ZEPHYR)
    pick(page, "private_message")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/", hold)
    page.locator(f"{FIRST} [data-fill='request.reference']").fill("ZX-2041")
    box = page.locator(f"{FIRST} .copy").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()  # the field is left, and its reply asked for
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    page.unroute("**/")
    page.wait_for_timeout(200)
    page.mouse.up()
    expect(page.locator("#toast")).to_have_text("Réponse copiée")
    assert clipboard(page)["text/plain"] == reply_of(app, "dossier-zephyr", "private_message", request__reference="ZX-2041")


def test_the_keys_work_once_a_channel_is_chosen(page: Page, app: Flask, question: str) -> None:
    find(page, question)
    page.locator("input[name=channel][value=sms]").focus()
    page.keyboard.press("Space")
    expect(page.locator("#results .summary")).to_contain_text("SMS")
    page.keyboard.press("1")
    expect(page.locator("#toast")).to_have_text("Réponse copiée")
    assert clipboard(page)["text/plain"] == reply_of(app, "collecte-non-faite", "sms")
    page.keyboard.press("/")
    expect(page.locator("#topsearch")).to_be_focused()


def test_without_a_clipboard_the_text_is_copied_all_the_same(page: Page, app: Flask, question: str) -> None:
    """An intranet in plain HTTP: what the browser then copies is what was selected."""
    page.add_init_script("window.copied = null; document.addEventListener('copy', () => (window.copied = document.activeElement.value));")
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    find(page, question)
    pick(page, "private_message")
    page.click(f"{FIRST} .copy")
    expect(page.locator("#toast")).to_have_text("Réponse copiée")
    assert page.evaluate("window.copied") == reply_of(app, "collecte-non-faite", "private_message")


def test_an_incomplete_reply_is_copied_once_confirmed(page: Page) -> None:
    find(page, ZEPHYR)
    write_clipboard(page, "avant")
    expect(page.locator(f"{FIRST} .copy-anyway")).to_be_hidden()
    page.click(f"{FIRST} .copy")
    assert clipboard(page)["text/plain"] == "avant"
    page.click(f"{FIRST} .copy-anyway")
    expect(page.locator("#toast")).to_contain_text("Réponse copiée")
    copied = clipboard(page)
    assert "[numéro de dossier]" in copied["text/plain"]
    assert "[numéro de dossier]" in copied["text/html"]
    assert "<mark" not in copied["text/html"]


def test_the_article_page_blocks_the_copy_too(page: Page, app: Flask) -> None:
    page.goto("/articles/dossier-zephyr")
    write_clipboard(page, "avant")
    first = page.locator(".replies details").first
    first.locator(".copy").click()
    expect(page.locator("#toast")).to_contain_text("Complétez d'abord")
    assert clipboard(page)["text/plain"] == "avant"
    first.locator(".copy-anyway").click()
    expect(page.locator("#toast")).to_contain_text("Réponse copiée")
    assert clipboard(page)["text/plain"] == reply_of(app, "dossier-zephyr", "email")


def test_an_article_page_copies_each_channel(page: Page, app: Flask) -> None:
    page.goto("/articles/carte-identite-demande")
    page.click(".replies summary:has-text('SMS')")
    page.click(".replies details:has(summary:has-text('SMS')) .copy")
    expect(page.locator("#toast")).to_have_text("Réponse copiée")
    assert clipboard(page) == {"text/plain": reply_of(app, "carte-identite-demande", "sms")}


def test_personalising_renders_every_reply_again(page: Page, question: str) -> None:
    find(page, question)
    page.click("#personalise summary")
    page.fill("#personalise [name='citizen.name']", "Mme Aït Ouali")
    expect(page.locator(f"{FIRST} .reply")).to_contain_text("Bonjour Mme Aït Ouali,")
    expect(page.locator("#personalise [name='citizen.name']")).to_be_focused()


# ---- a wrong answer, no answer, a failure ----
def test_a_wrong_answer_is_set_aside_and_comes_back(page: Page, question: str) -> None:
    find(page, question)
    write_clipboard(page, "avant")
    page.click(f"{FIRST} .wrong")
    expect(page.locator(f"{FIRST} .reply")).to_be_hidden()
    expect(page.locator(f"{FIRST} .request-form")).to_be_visible()
    # What was set aside is not copied by its key, and the keyboard is where it can be undone.
    expect(page.locator(f"{FIRST} .wrong")).to_be_focused()
    page.keyboard.press("1")
    assert clipboard(page)["text/plain"] == "avant"
    page.click(f"{FIRST} .restore")
    expect(page.locator(f"{FIRST} .reply")).to_be_visible()
    expect(page.locator(f"{FIRST} .wrong")).to_be_focused()


def test_without_an_answer_there_is_nothing_to_copy(page: Page) -> None:
    find(page, NOTHING)
    expect(page.locator(".none .contact")).to_be_visible()
    # The advice on such messages may have a courteous reply of its own; it is no answer, and no key copies it.
    expect(page.locator(".card:not(.advice) .copy")).to_have_count(0)
    write_clipboard(page, "avant")
    leave_the_field(page)
    page.keyboard.press("1")
    assert clipboard(page)["text/plain"] == "avant"


def test_the_message_outlives_a_failure_of_the_server(page: Page, question: str, watched: Watched) -> None:
    watched.expected.append("net::ERR_FAILED")
    page.goto("/")
    page.route("**/", lambda route: route.abort())
    page.fill("#message", question)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#results .notice")).to_contain_text("Le serveur ne répond pas")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    assert page.input_value("#message") == question
    page.unroute("**/")
    page.keyboard.press("Control+Enter")
    expect(page.locator(FIRST)).to_be_visible()


def test_an_expired_form_says_to_reload(page: Page, question: str) -> None:
    page.goto("/")
    page.context.clear_cookies()
    page.fill("#message", question)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#results .notice")).to_contain_text("Le formulaire a expiré")
    assert page.input_value("#message") == question


def test_a_late_answer_never_replaces_a_newer_one(page: Page, question: str) -> None:
    """The first request is slow, the second quick: what shows is the second's."""
    page.goto("/")
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if route.request.method == "POST" and not held:
            held.append(route)
        else:
            route.continue_()

    page.route("**/", hold_the_first)
    page.fill("#message", NOTHING)
    page.keyboard.press("Control+Enter")
    page.fill("#message", question)
    page.keyboard.press("Control+Enter")
    expect(page.locator(FIRST)).to_be_visible()
    held[0].continue_()
    page.wait_for_timeout(300)
    expect(page.locator(FIRST)).to_be_visible()
    expect(page.locator("#results .none")).to_have_count(0)


def test_a_message_too_long_is_counted_and_not_sent(page: Page) -> None:
    page.goto("/")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.fill("#message", "a" * 25_000)
    expect(page.locator("#message-count")).to_have_text("25\u202f000 / 20\u202f000")
    expect(page.locator("#message-count")).to_have_class("count over")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#results .notice")).to_contain_text("Message trop long")
    assert "POST" not in sent
    assert len(page.input_value("#message")) == 25_000


def test_clearing_forgets_everything_but_the_channel(page: Page, question: str) -> None:
    find(page, question)
    pick(page, "sms")
    page.click("#clear")
    expect(page.locator(".welcome")).to_be_visible()
    assert page.input_value("#message") == ""
    expect(page.locator('input[name="channel"][value="sms"]')).to_be_checked()
    assert "message" not in page.url


# ---- without scripts ----
def test_everything_works_without_scripts(new_page: NewPage, app: Flask, question: str) -> None:
    page = new_page(java_script_enabled=False)
    page.goto("/")
    page.fill("#message", question)
    page.check('input[name="channel"][value="private_message"]', force=True)
    page.click("#desk button[type=submit]")
    card = page.locator(FIRST)
    expect(card.locator("h3 a")).to_have_attribute("href", "/articles/collecte-non-faite")
    # A click selects the whole reply, ready for Ctrl + C; what needs a script is not shown.
    expect(card.locator(".reply")).to_have_css("user-select", "all")
    shown = " ".join(card.locator(".reply").inner_text().split())
    assert shown == " ".join(reply_of(app, "collecte-non-faite", "private_message").split())
    expect(card.locator(".copy")).to_be_hidden()
    expect(page.locator("#palette-open")).to_be_hidden()
    assert page.input_value("#message").strip() == question
    page.fill("#topsearch", "Zéphyr")
    page.press("#topsearch", "Enter")
    expect(page.locator(".hits h2 a").first).to_have_attribute("href", "/articles/dossier-zephyr")
    page.click(".hits h2 a >> nth=0")
    expect(page.locator("h1")).to_have_text("Suivre un dossier Zéphyr")
    page.click(".language button")
    expect(page.locator("html")).to_have_attribute("lang", "en")
