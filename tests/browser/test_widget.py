"""The widget in pages of another origin, in a real browser: strict policies, keyboard alone, narrow screens, failures; nothing moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Locator, Page, Route, expect
from werkzeug.wrappers import Request, Response

from tests.browser.conftest import NewPage, Watched
from tests.conftest import EXTRA, close, copy_sample, settings_for
from tests.serving import served
from webapp import create_app

QUESTION = "ma poubelle n'a pas été ramassée"
NOTHING = "xyzzy plugh frobozz"
ROOM = "bible-faq { display: block; min-height: 28rem; }"
PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ville de test</title>{head}</head><body><main><h1>Ville de test</h1><p>Avant.</p>
<script type="module" src="{script}"{more}></script>{elements}{after}</main></body></html>"""


@dataclass
class Town:
    """A website of another origin, and the server of the widget. ``policy`` and ``body`` make its next page."""

    bible: str
    origin: str = ""
    policy: str = ""
    body: str = ""
    style: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def element(self) -> str:
        return f'<bible-faq lang="fr"><a href="{self.bible}/faq">Questions fréquentes</a></bible-faq>'

    def __call__(self, environ: dict[str, object], start: Callable[..., object]) -> object:
        request = Request(environ)  # type: ignore[arg-type]
        if request.path == "/style.css":
            return Response(self.style, mimetype="text/css")(environ, start)  # type: ignore[arg-type]
        if request.path != "/":
            return Response(status=204)(environ, start)  # type: ignore[arg-type]
        response = Response(self.body, mimetype="text/html")
        response.headers["Content-Security-Policy"] = self.policy
        return response(environ, start)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, str, Town]]:
    """The application, and the website that it lets in, each on a port of its own."""
    folder = tmp_path_factory.mktemp("widget")
    content = copy_sample(folder / "kb")
    for relative, words in EXTRA.items():
        (content / relative).write_text(words, encoding="utf-8")
    town = Town("")
    with served(town) as town.origin:
        app = create_app(settings_for(Path(content), folder / "var", widget_origins=town.origin, rate_limit="10000/minute"))
        with served(app) as town.bible:
            yield app, town.bible, town
        close(app)


@pytest.fixture
def town(bible: tuple[Flask, str, Town]) -> Town:
    """The website, its page made anew: the snippet under the policy that the guide gives."""
    town = bible[2]
    town.policy = f"default-src 'none'; script-src {town.bible}; connect-src {town.bible}"
    town.style = ""
    lay(town)
    return town


def lay(town: Town, elements: str = "", *, after: int = 3, head: str = "", lang: str = "fr", script: str = "", more: str = "") -> None:
    text = "".join(f"<p>Paragraphe {number} de la page, qui suit la FAQ et ne doit pas bouger.</p>" for number in range(after))
    town.body = PAGE.format(
        script=script or f"{town.bible}/widget.js", more=more, elements=elements or town.element, after=text, head=head, lang=lang
    )


def styled(town: Town, style: str) -> str:
    """Allow the page a sheet of its own; the widget asks for none."""
    town.style = style
    town.policy += "; style-src 'self'"
    return '<link rel="stylesheet" href="/style.css">'


def visit(page: Page, town: Town) -> Locator:
    page.goto(f"{town.origin}/")
    widget = page.locator("bible-faq").first
    expect(widget.get_by_role("combobox")).to_be_visible()
    return widget


def typed(widget: Locator, words: str) -> None:
    """Write at once: on a busy machine, letters that come one by one let the widget answer the first words meanwhile."""
    widget.get_by_role("combobox").click()
    widget.page.keyboard.insert_text(words)


def options(widget: Locator) -> Locator:
    return widget.get_by_role("option")


def answered(widget: Locator, words: str = QUESTION) -> None:
    typed(widget, words)
    expect(options(widget).first).to_contain_text("Signaler une collecte non effectuée")


def hold(page: Page, pattern: str) -> list[Route]:
    """Keep the requests for an address waiting; the list grows as they come."""
    held: list[Route] = []
    page.route(pattern, lambda route: held.append(route))  # noqa: PLW0108 (Playwright cannot wrap a built-in method)
    return held


def until_held(page: Page, held: list[Route], count: int = 1) -> None:
    while len(held) < count:
        page.wait_for_timeout(20)


def opened(widget: Locator) -> Locator:
    return widget.locator(".row[aria-expanded=true]")


# ---- under a strict policy, from another origin ----
def test_it_works_under_the_policy_of_the_guide(new_page: NewPage, town: Town) -> None:
    page = new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    widget = visit(page, town)
    answered(widget)
    options(widget).first.click()
    fold = widget.locator(".fold:visible")
    expect(fold).to_contain_text("déchets")
    expect(fold.get_by_role("link", name="Lire la page complète")).to_have_attribute("href", "http://127.0.0.1:8000/faq/collecte-non-faite")
    # No question in an address, no cookie, nothing kept, nobody else told.
    assert {urlsplit(one.partition(" ")[2]).netloc for one in asked} <= {urlsplit(url).netloc for url in (town.origin, town.bible)}
    assert not [one for one in asked if "poubelle" in one]
    assert page.context.cookies() == []
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])") == "[{},{}]"


def test_it_works_with_trusted_types_and_its_hash(new_page: NewPage, town: Town, bible: tuple[Flask, str, Town]) -> None:
    said = bible[0].test_client().get("/widget.json").json
    assert said is not None
    town.policy += "; require-trusted-types-for 'script'; trusted-types 'none'; base-uri 'none'; form-action 'none'"
    address = f"{town.bible}/{said['url'].rpartition('/')[2]}"
    lay(town, script=address, more=f' integrity="{said["integrity"]}" crossorigin="anonymous"')
    widget = visit(new_page(), town)
    answered(widget)
    options(widget).first.click()
    expect(widget.locator(".fold:visible")).to_contain_text("déchets")


def test_a_modified_script_leaves_the_link(new_page: NewPage, town: Town, watched: Watched) -> None:
    watched.expected += ["integrity"]
    lay(town, more=' integrity="sha384-AAAA" crossorigin="anonymous"')
    page = new_page()
    page.goto(f"{town.origin}/")
    expect(page.get_by_role("link", name="Questions fréquentes")).to_be_visible()
    expect(page.get_by_role("combobox")).to_have_count(0)


def test_the_demonstration_page(new_page: NewPage, town: Town) -> None:
    page = new_page()
    page.goto(f"{town.bible}/demo-widget")
    widget = page.locator("bible-faq")
    expect(widget.get_by_role("button", name="État civil")).to_be_visible()
    page.select_option("[name=service]", "dechets")
    page.select_option("[name=lang]", "en")
    page.select_option("[name=theme]", "dark")
    page.fill("[name=accent]", "#ffff00")
    expect(page.locator("#line")).to_contain_text('<bible-faq service="dechets" lang="en" theme="dark">')
    expect(page.locator("#style")).to_contain_text("--bible-accent: #ffff00;")
    expect(page.locator("#contrast")).to_contain_text("4,5")
    expect(widget.get_by_role("combobox")).to_have_attribute("placeholder", "Ask your question")
    expect(widget.get_by_role("button", name="Faire du compost")).to_have_count(0)
    expect(widget.get_by_text("Déchets et propreté")).to_be_visible()
    expect(page.locator("#frame")).to_contain_text(f'src="{town.bible}/faq/service/dechets?lang=en&embed=1"')
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=town.bible)
    copy = page.locator("[data-copies=height]")
    copy.click()
    expect(copy).to_have_text("Copié")
    assert f'event.origin !== "{town.bible}"' in page.evaluate("navigator.clipboard.readText()")
    no_violation(page)


# ---- when something is missing ----
def test_without_scripts_the_link_is_there(new_page: NewPage, town: Town) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{town.origin}/")
    expect(page.get_by_role("link", name="Questions fréquentes")).to_be_visible()


@pytest.mark.parametrize("what", ["**/widget.js", "**/api/public/v1/services"])
def test_when_the_server_is_down_the_link_stays(new_page: NewPage, town: Town, watched: Watched, what: str) -> None:
    watched.expected.append("ERR_FAILED")
    page = new_page()
    page.route(what, lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.goto(f"{town.origin}/")
    expect(page.get_by_role("link", name="Questions fréquentes")).to_be_visible()
    expect(page.get_by_role("combobox")).to_have_count(0)


@pytest.mark.parametrize("status", [0, 500, 503, 403])
def test_when_the_server_goes_down_the_link_comes_back(new_page: NewPage, town: Town, watched: Watched, status: int) -> None:
    watched.expected += ["ERR_FAILED", f"status of {status}"]
    page = new_page()
    widget = visit(page, town)
    link = page.get_by_role("link", name="Questions fréquentes")
    expect(link).to_be_hidden()
    fail: Callable[[Route], None] = lambda route: route.fulfill(  # noqa: E731
        status=status, body="<p>", headers={"Access-Control-Allow-Origin": "*"}
    )
    page.route("**/match", fail if status else lambda route: route.abort())
    typed(widget, QUESTION)
    expect(link).to_be_visible()
    expect(widget.get_by_role("status")).to_contain_text("ne répond pas")
    # It is tried again with the next question.
    page.unroute("**/match")
    page.keyboard.type(" !")
    expect(options(widget).first).to_be_visible()
    expect(link).to_be_hidden()


def test_who_asks_too_often_is_answered_a_little_later(new_page: NewPage, town: Town, watched: Watched) -> None:
    watched.expected.append("status of 429")
    page = new_page()
    widget = visit(page, town)
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After", "Retry-After": "1"}
    page.route("**/match", lambda route: route.fulfill(status=429, body="{}", headers=headers), times=1)
    typed(widget, QUESTION)
    expect(widget.get_by_role("status")).to_contain_text("dans un instant")
    expect(options(widget).first).to_be_visible()


def test_another_origin_keeps_its_link(new_page: NewPage, town: Town, watched: Watched) -> None:
    watched.expected += ["CORS policy", "ERR_FAILED"]
    page = new_page()
    page.goto(f"{town.origin.replace('127.0.0.1', 'localhost')}/")
    expect(page.get_by_role("link", name="Questions fréquentes")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("combobox")).to_have_count(0)


# ---- what it shows ----
def test_services_are_browsed_before_typing(new_page: NewPage, town: Town) -> None:
    page = new_page()
    widget = visit(page, town)
    widget.get_by_role("combobox").click()
    widget.get_by_role("button", name="Élections").click()
    widget.get_by_role("button", name="Voter par procuration").click()
    expect(widget.locator(".fold:visible .fold:visible")).to_contain_text("procuration")
    expect(widget.get_by_role("link", name="Toutes les questions").last).to_have_attribute("href", "http://127.0.0.1:8000/faq")


def test_a_service_of_its_own(new_page: NewPage, town: Town) -> None:
    lay(town, town.element.replace("<bible-faq", '<bible-faq service="elections"'))
    widget = visit(new_page(), town)
    widget.get_by_role("combobox").click()
    expect(widget.get_by_text("Élections", exact=True)).to_be_visible()
    expect(widget.get_by_role("button", name="Voter par procuration")).to_be_visible()
    expect(widget.get_by_role("button", name="État civil")).to_have_count(0)


def test_one_word_is_completed(new_page: NewPage, town: Town) -> None:
    widget = visit(new_page(), town)
    widget.get_by_role("combobox").press_sequentially("passep")
    expect(options(widget).first).to_contain_text("passeport")


def test_nothing_found_says_who_to_ask(new_page: NewPage, town: Town) -> None:
    widget = visit(new_page(), town)
    typed(widget, NOTHING)
    expect(widget.get_by_role("status")).to_have_text("Nous n’avons pas trouvé de réponse à cette question.")
    expect(widget.get_by_role("link", name="02 61 91 40 70")).to_have_attribute("href", "tel:0261914070")
    expect(options(widget)).to_have_count(0)


def test_an_internal_answer_is_never_shown(new_page: NewPage, town: Town) -> None:
    widget = visit(new_page(), town)
    typed(widget, "Comment transférer un appel Mistral ?")
    expect(widget.get_by_role("status")).not_to_be_empty()
    assert "Transférer" not in str(widget.evaluate("one => one.shadowRoot.textContent"))


def test_in_english(new_page: NewPage, town: Town) -> None:
    lay(town, town.element.replace('lang="fr"', 'lang="en"'))
    widget = visit(new_page(), town)
    expect(widget.get_by_role("combobox", name="Ask your question")).to_be_visible()
    answered(widget)
    expect(widget.get_by_role("status")).to_contain_text("possible answers")
    expect(options(widget).first).to_have_attribute("lang", "fr")


@pytest.mark.parametrize(
    ("lang", "words"), [("en-GB", "Ask your question"), ("fr", "Posez votre question"), ("de", "Posez votre question")]
)
def test_it_speaks_the_language_of_the_page(new_page: NewPage, town: Town, lang: str, words: str) -> None:
    lay(town, town.element.replace(' lang="fr"', ""), lang=lang)
    expect(visit(new_page(), town).get_by_role("combobox")).to_have_attribute("placeholder", words)


def test_the_last_question_wins(new_page: NewPage, town: Town) -> None:
    page = new_page()
    widget = visit(page, town)
    held: list[Route] = []

    def hold_back(route: Route) -> None:
        if "poubelle" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/match", hold_back)
    typed(widget, QUESTION)
    page.wait_for_timeout(400)
    assert held
    widget.get_by_role("combobox").fill("comment refaire mon passeport")
    expect(options(widget).first).to_contain_text("passeport")
    for route in held:
        route.abort()
    expect(options(widget).first).to_contain_text("passeport")
    expect(page.get_by_role("link", name="Questions fréquentes")).to_be_hidden()


# ---- what is hostile ----
@pytest.mark.parametrize(
    "attributes",
    [
        'service="&lt;img src=x onerror=alert(1)&gt;" lang="&lt;b&gt;" theme="&lt;i&gt;"',
        'service="../../v1/articles" lang="__proto__" theme="constructor"',
        'service="dechets\'];x[\'" lang="constructor"',
        'service="" lang="" theme=""',
    ],
)
def test_hostile_attributes(new_page: NewPage, town: Town, attributes: str) -> None:
    lay(town, f'<bible-faq {attributes}><a href="{town.bible}/faq">Questions fréquentes</a></bible-faq>')
    widget = visit(new_page(), town)
    answered(widget)
    assert widget.evaluate("one => one.shadowRoot.querySelectorAll('img, b, i').length") == 0


def test_a_hostile_answer_does_nothing(new_page: NewPage, town: Town) -> None:
    """The server sanitises; were it taken over, the page that trusts it would still run nothing."""
    html = (
        '<p onclick="window.broken=1">Un <script>window.broken=1</script><img src="x" onerror="window.broken=1" alt="deux">'
        '<a href="javascript:window.broken=1">trois</a> <a href="JaVaScRiPt&#58;window.broken=1">quatre</a><svg onload="window.broken=1">'
        '<iframe src="https://evil.example"></iframe><style>*{display:none}</style></p></div></p> 5 &lt; 6 &amp; fin < &#x110000;'
    )
    answer = {"slug": "a", "title": "<b>Titre</b>", "service": "x", "url": "javascript:alert(1)", "answer_html": html, "confidence": 1}
    page = new_page()
    widget = visit(page, town)
    body = json.dumps({"answered": True, "results": [answer], "contact": None})
    page.route("**/match", lambda route: route.fulfill(body=body, headers={"Access-Control-Allow-Origin": "*"}))
    typed(widget, QUESTION)
    expect(options(widget).first).to_have_text("<b>Titre</b>")
    options(widget).first.click()
    fold = widget.locator(".fold:visible")
    expect(fold).to_contain_text("5 < 6 & fin <")
    expect(fold).to_contain_text("deux")
    assert fold.evaluate("one => one.querySelectorAll('script, img, svg, iframe, style, [href], [onclick], [onerror]').length") == 0
    for link in fold.locator("a").all():
        link.click(force=True)
    assert page.evaluate("window.broken") is None


# ---- a page that lives: slow answers, moves ----
def procuration(widget: Locator) -> Locator:
    """The row of an article whose answer is asked when it opens."""
    widget.get_by_role("combobox").click()
    widget.get_by_role("button", name="Élections").click()
    return widget.get_by_role("button", name="Voter par procuration")


def test_an_answer_that_fails_late_leaves_what_came_since(new_page: NewPage, town: Town, watched: Watched) -> None:
    watched.expected.append("ERR_FAILED")
    page = new_page()
    widget = visit(page, town)
    held = hold(page, "**/articles/*")
    procuration(widget).click()
    until_held(page, held)
    answered(widget)
    with page.expect_event("requestfailed"):
        held[0].abort()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(options(widget).first).to_contain_text("Signaler une collecte non effectuée")
    expect(page.get_by_role("link", name="Questions fréquentes")).to_be_hidden()


def test_an_impatient_opening_writes_the_answer_once(new_page: NewPage, town: Town, watched: Watched) -> None:
    watched.expected.append("ERR_FAILED")
    page = new_page()
    widget = visit(page, town)
    held = hold(page, "**/articles/*")
    row = procuration(widget)
    for _ in range(4):
        row.click()
    until_held(page, held)
    with page.expect_event("requestfailed"):
        held[0].abort()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    # It was closed: nothing is lost, and opening it asks again, once.
    for _ in range(3):
        row.click()
    until_held(page, held, 2)
    held[1].continue_()
    expect(widget.get_by_role("link", name="Lire la page complète")).to_have_count(1)
    page.unroute("**/articles/*")
    row.click()
    row.click()
    expect(widget.get_by_role("link", name="Lire la page complète")).to_have_count(1)
    assert len(held) == 2


MOVE = "one => { const aside = document.createElement('div'); document.querySelector('main').append(aside); aside.append(one); }"


def test_moved_while_it_waits_it_asks_again(new_page: NewPage, town: Town, watched: Watched) -> None:
    watched.expected.append("status of 429")
    page = new_page()
    widget = visit(page, town)
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After", "Retry-After": "60"}
    page.route("**/match", lambda route: route.fulfill(status=429, body="{}", headers=headers), times=1)
    typed(widget, QUESTION)
    expect(widget.get_by_role("status")).to_contain_text("dans un instant")
    widget.evaluate(MOVE)
    expect(options(widget).first).to_be_visible()


def test_moved_while_a_question_is_on_its_way_it_asks_again(new_page: NewPage, town: Town) -> None:
    page = new_page()
    widget = visit(page, town)
    held = hold(page, "**/match")
    typed(widget, QUESTION)
    until_held(page, held)
    page.unroute("**/match")
    widget.evaluate(MOVE)
    expect(options(widget).first).to_be_visible()
    # An answer that is there, unfolded, stays as it is.
    options(widget).first.click()
    expect(widget.locator(".fold:visible")).to_contain_text("déchets")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    widget.evaluate(MOVE)
    page.wait_for_timeout(400)
    expect(widget.locator(".fold:visible")).to_contain_text("déchets")
    assert asked == []


def test_two_widgets_live_side_by_side(new_page: NewPage, town: Town) -> None:
    lay(town, town.element.replace("<bible-faq", '<bible-faq service="elections"') + "<p>Entre les deux.</p>" + town.element)
    page = new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    first = visit(page, town)
    second = page.locator("bible-faq").nth(1)
    answered(second)
    expect(options(first)).to_have_count(0)
    typed(first, "comment refaire mon passeport")
    expect(options(first).first).to_contain_text("passeport")
    expect(options(second).first).to_contain_text("collecte")
    assert len([one for one in asked if one.endswith("/services")]) == 1
    no_violation(page)


# ---- the keyboard alone ----
def test_by_keyboard_alone(new_page: NewPage, town: Town) -> None:
    page = new_page()
    widget = visit(page, town)
    field = widget.get_by_role("combobox")
    page.keyboard.press("Tab")
    expect(field).to_be_focused()
    page.keyboard.insert_text(QUESTION)
    expect(field).to_have_attribute("aria-expanded", "true")
    expect(options(widget).first).to_be_visible()
    last = options(widget).count() - 1
    selected = widget.locator("[aria-selected=true]")
    for key, place in (("ArrowDown", 0), ("ArrowDown", 1), ("ArrowUp", 0), ("ArrowUp", last), ("ArrowDown", 0), ("End", last), ("Home", 0)):
        page.keyboard.press(key)
        expect(selected).to_have_count(1)
        expect(selected).to_have_attribute("id", f"o{place}")
        expect(field).to_have_attribute("aria-activedescendant", f"o{place}")
    page.keyboard.press("Enter")
    row = opened(widget)
    expect(row).to_be_focused()
    expect(row).to_contain_text("Signaler une collecte non effectuée")
    expect(field).to_have_attribute("aria-expanded", "false")
    expect(widget.locator(".fold:visible")).to_have_count(1)
    # Its link comes next; arrows walk the other questions; Enter folds.
    page.keyboard.press("Tab")
    expect(widget.get_by_role("link", name="Lire la page complète")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(opened(widget)).to_have_count(2)
    page.keyboard.press("Enter")
    expect(opened(widget)).to_have_count(1)
    page.keyboard.press("End")
    expect(widget.locator(".row").last).to_be_focused()
    page.keyboard.press("Home")
    expect(row).to_be_focused()
    # Escape goes back to the field, then empties it.
    page.keyboard.press("Escape")
    expect(field).to_be_focused()
    expect(field).to_have_value(QUESTION)
    page.keyboard.press("Escape")
    expect(field).to_have_value("")
    expect(widget.get_by_role("button", name="État civil")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(widget.locator(".row").first).to_be_focused()


def test_enter_opens_the_best_answer_without_waiting_for_the_pause(new_page: NewPage, town: Town) -> None:
    page = new_page()
    page.clock.install()
    widget = visit(page, town)
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))  # the pause would last for ever
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    typed(widget, QUESTION)
    page.keyboard.press("Enter")
    expect(opened(widget)).to_contain_text("Signaler une collecte non effectuée")
    assert len([one for one in asked if one.endswith("/match")]) == 1


def test_an_impatient_enter_asks_once(new_page: NewPage, town: Town) -> None:
    page = new_page()
    widget = visit(page, town)
    held = hold(page, "**/match")
    typed(widget, QUESTION)
    for _ in range(3):
        page.keyboard.press("Enter")
    expect(options(widget)).to_have_count(0)
    page.wait_for_timeout(300)
    assert len(held) == 1
    held[0].continue_()
    expect(opened(widget)).to_contain_text("Signaler une collecte non effectuée")
    # What is written after it does not open by itself.
    page.unroute("**/match")
    widget.get_by_role("combobox").fill(f"{QUESTION} ce matin")
    expect(options(widget).first).to_be_visible()
    expect(opened(widget)).to_have_count(0)


def test_the_caret_keeps_its_keys(new_page: NewPage, town: Town) -> None:
    page = new_page()
    widget = visit(page, town)
    answered(widget)
    page.keyboard.press("Home")
    page.keyboard.type("Bonjour, ")
    expect(widget.get_by_role("combobox")).to_have_value(f"Bonjour, {QUESTION}")


def test_the_focus_is_seen(new_page: NewPage, town: Town) -> None:
    page = new_page()
    widget = visit(page, town)
    page.keyboard.press("Tab")
    for _ in range(4):
        style = widget.evaluate(
            "one => { const s = getComputedStyle(one.shadowRoot.activeElement); return [s.outlineStyle, parseFloat(s.outlineWidth)]; }"
        )
        assert style[0] == "solid"
        assert style[1] >= 2
        page.keyboard.press("Tab")


# ---- nobody left out, nothing that moves ----
def no_violation(page: Page) -> None:
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(new_page: NewPage, town: Town, scheme: str) -> None:
    lay(town, town.element.replace("<bible-faq", '<bible-faq theme="auto"'))
    page = new_page(color_scheme=scheme, reduced_motion="reduce")
    widget = visit(page, town)
    no_violation(page)
    widget.get_by_role("combobox").click()
    widget.get_by_role("button", name="Élections").click()
    no_violation(page)
    answered(widget)
    page.keyboard.press("ArrowDown")
    no_violation(page)
    page.keyboard.press("Enter")
    no_violation(page)
    widget.get_by_role("combobox").fill(NOTHING)
    expect(widget.get_by_role("status")).to_contain_text("pas trouvé")
    no_violation(page)


@pytest.mark.parametrize(("scheme", "theme", "is_dark"), [
    ("dark", "auto", True), ("light", "auto", False), ("light", "dark", True), ("dark", "light", False), ("dark", "", False),
])  # fmt: skip
def test_themes(new_page: NewPage, town: Town, scheme: str, theme: str, is_dark: bool) -> None:
    lay(town, town.element.replace("<bible-faq", f'<bible-faq theme="{theme}"'))
    widget = visit(new_page(color_scheme=scheme), town)
    surface = widget.locator(".box").evaluate("one => getComputedStyle(one).backgroundColor")
    assert (surface == "rgb(28, 34, 38)") == is_dark
    assert (surface == "rgb(255, 255, 255)") != is_dark


def test_custom_properties_change_its_looks(new_page: NewPage, town: Town) -> None:
    head = styled(
        town, "bible-faq { --bible-surface: #fffbe6; --bible-ink: #111; --bible-accent: #006; --bible-radius: 0; --bible-font: serif; }"
    )
    lay(town, head=head)
    box = visit(new_page(), town).locator(".box")
    style = box.evaluate("one => { const s = getComputedStyle(one); return [s.backgroundColor, s.color, s.borderRadius, s.fontFamily]; }")
    assert style == ["rgb(255, 251, 230)", "rgb(17, 17, 17)", "0px", "serif"]


def test_nothing_moves_where_that_is_asked(new_page: NewPage, town: Town) -> None:
    durations = {}
    for motion in ("reduce", "no-preference"):
        widget = visit(new_page(reduced_motion=motion), town)
        widget.get_by_role("combobox").click()
        durations[motion] = widget.locator(".row").first.evaluate("one => getComputedStyle(one, '::before').transitionDuration")
    assert durations == {"reduce": "0s", "no-preference": "0.15s"}


def fits(page: Page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.locator("bible-faq").first.evaluate(
        """(one, width) => [...one.shadowRoot.querySelectorAll("*")].filter(node => {
             const box = node.getBoundingClientRect();
             return box.width > 1 && box.height > 1 && (box.right > width + .5 || box.left < 0); })
             .map(node => node.outerHTML.slice(0, 90))""",
        width,
    )
    assert outside == []


@pytest.mark.parametrize(("width", "scale"), [(280, 1), (320, 1), (640, 2)])
def test_it_fits_narrow_screens(new_page: NewPage, town: Town, width: int, scale: int) -> None:
    """At 200 % zoom a screen of 640 pixels is one of 320, of two device pixels each."""
    page = new_page(width=width // scale, height=640, device_scale_factor=scale)
    widget = visit(page, town)
    widget.get_by_role("combobox").click()
    fits(page, width // scale)
    answered(widget)
    fits(page, width // scale)
    options(widget).first.click()
    fits(page, width // scale)
    widget.get_by_role("combobox").fill(NOTHING)
    expect(widget.get_by_role("status")).to_contain_text("pas trouvé")
    fits(page, width // scale)


def test_twice_the_text_fits(new_page: NewPage, town: Town) -> None:
    lay(town, head=styled(town, "html { font-size: 200%; }"))
    page = new_page(width=320, height=640)
    widget = visit(page, town)
    answered(widget)
    options(widget).first.click()
    fits(page, 320)


@pytest.mark.parametrize("code", ["sudo mettre à jour la page " * 12, "x" * 200])
@pytest.mark.parametrize("tags", ["<pre>{}</pre>", "<pre><code>{}</code></pre>", "<p><code>{}</code></p>"])
def test_code_fits_narrow_screens(new_page: NewPage, town: Town, code: str, tags: str) -> None:
    page = new_page(width=320, height=640)
    answer = {"slug": "a", "title": "Titre", "service": "x", "url": "https://a.example", "answer_html": tags.format(code), "confidence": 1}
    body = json.dumps({"answered": True, "results": [answer], "contact": None})
    page.route("**/match", lambda route: route.fulfill(body=body, headers={"Access-Control-Allow-Origin": "*"}))
    widget = visit(page, town)
    typed(widget, QUESTION)
    options(widget).first.click()
    expect(widget.locator(".fold:visible")).to_contain_text(code.strip())
    fits(page, 320)


def test_in_a_page_written_from_right_to_left(new_page: NewPage, town: Town) -> None:
    """Its words are French or English: a question mark stays at their end, and the arrow before them."""
    lay(town, town.element.replace(' lang="fr"', ""), lang='ar" dir="rtl', head=styled(town, ROOM))
    widget = visit(new_page(), town)
    row = widget.get_by_role("button", name="État civil")
    assert row.evaluate("one => getComputedStyle(one).direction") == "ltr"
    assert widget.get_by_role("combobox").evaluate("one => getComputedStyle(one).direction") == "ltr"
    words, whole = row.locator("span").first.bounding_box(), row.bounding_box()
    assert words
    assert whole
    assert words["x"] - whole["x"] < 40
    starts = widget.locator(".title").evaluate(
        "one => { const range = document.createRange(); range.selectNodeContents(one);"
        " return range.getBoundingClientRect().left - one.getBoundingClientRect().left; }"
    )
    assert starts < 2


# ---- its room ----
def sizes(widget: Locator) -> dict[str, float]:
    """Heights of the element and of its box, their width, and how far the box goes past what follows (0 or less: not at all)."""
    found: dict[str, float] = widget.evaluate(
        """one => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
             const box = one.shadowRoot.querySelector(".box").getBoundingClientRect(), host = one.getBoundingClientRect();
             const next = one.nextElementSibling?.getBoundingClientRect().top ?? Infinity;
             const inner = one.shadowRoot.querySelector(".panel").getBoundingClientRect().bottom;
             done({ host: host.height, box: box.height, width: host.width, over: Math.max(box.bottom, inner) - next });
           })))"""
    )
    return found


def fills(widget: Locator) -> None:
    """The questions show, in the whole room and nowhere else."""
    expect(widget.get_by_role("button", name="État civil")).to_be_visible()
    size = sizes(widget)
    assert size["box"] == pytest.approx(size["host"], abs=1)
    assert size["box"] >= 200
    assert size["over"] <= 0


def shows_the_field_alone(widget: Locator) -> None:
    expect(widget.get_by_role("combobox")).to_be_visible()
    expect(widget.locator(".panel")).to_be_hidden()
    size = sizes(widget)
    assert size["host"] == pytest.approx(size["box"], abs=12)
    assert size["box"] < 60


# What the browser tells a page whose sizes change while it tells sizes: towns count such errors as ours. `watched` hears them.
HEAR_ERRORS = "addEventListener('error', event => console.error(event.message))"


HIDDEN = {
    "tab": ("<div hidden>{}</div>", "document.querySelector('[hidden]').hidden = false"),
    "dialog": ("<dialog>{}</dialog>", "document.querySelector('dialog').showModal()"),
    "details": ("<details><summary>Une question ?</summary>{}</details>", "document.querySelector('details').open = true"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_room_that_is_hidden_at_first(new_page: NewPage, town: Town, name: str) -> None:
    around, show = HIDDEN[name]
    lay(town, around.format(town.element + "<p>Après.</p>"), head=styled(town, ROOM))
    page = new_page()
    page.add_init_script(HEAR_ERRORS)
    page.goto(f"{town.origin}/")
    expect(page.locator("bible-faq .box")).to_be_attached()
    page.evaluate(show)
    widget = page.locator("bible-faq")
    fills(widget)
    assert sizes(widget)["host"] == 448


def test_without_room_what_was_hidden_shows_its_field(new_page: NewPage, town: Town) -> None:
    around, show = HIDDEN["tab"]
    lay(town, around.format(town.element + "<p>Après.</p>"))
    page = new_page()
    page.goto(f"{town.origin}/")
    expect(page.locator("bible-faq .box")).to_be_attached()
    page.evaluate(show)
    shows_the_field_alone(page.locator("bible-faq"))


def test_changed_while_it_is_out_of_the_page(new_page: NewPage, town: Town) -> None:
    lay(town, head=styled(town, ROOM))
    page = new_page()
    widget = visit(page, town)
    page.evaluate(
        "window.kept = document.querySelector('bible-faq'); kept.remove(); kept.lang = 'en'; document.querySelector('h1').after(kept)"
    )
    expect(widget.get_by_role("combobox")).to_have_attribute("placeholder", "Ask your question")
    fills(widget)


def test_room_follows_the_window(new_page: NewPage, town: Town) -> None:
    lay(town, head=styled(town, "bible-faq { display: block; height: 80vh; }"))
    page = new_page(width=390, height=844)
    widget = visit(page, town)
    fills(widget)
    # An answer that came late holds the height of nothing here.
    held = hold(page, "**/match")
    typed(widget, QUESTION)
    until_held(page, held)
    page.wait_for_timeout(500)
    held[0].continue_()
    expect(options(widget).first).to_be_visible()
    for width, height in ((844, 390), (390, 844), (320, 300)):
        page.set_viewport_size({"width": width, "height": height})
        size = sizes(widget)
        assert size["box"] == pytest.approx(size["host"], abs=1)
        assert size["host"] == pytest.approx(height * 0.8, abs=1)
        assert size["over"] <= 0
        fits(page, width)


def test_room_is_taken_away_and_given_back(new_page: NewPage, town: Town) -> None:
    lay(town, head=styled(town, "@media (min-width: 600px) { bible-faq { display: block; min-height: 28rem; } }"))
    page = new_page(width=800)
    page.add_init_script(HEAR_ERRORS)
    widget = visit(page, town)
    for width in (400, 800, 400, 800):
        page.set_viewport_size({"width": width, "height": 800})
        (fills if width > 600 else shows_the_field_alone)(widget)
    # Who reads goes on reading.
    answered(widget)
    page.set_viewport_size({"width": 400, "height": 800})
    sizes(widget)
    expect(options(widget).first).to_be_visible()


def test_an_open_panel_is_no_room(new_page: NewPage, town: Town) -> None:
    widget = visit(new_page(), town)
    closed = sizes(widget)
    widget.get_by_role("combobox").click()
    opened = sizes(widget)
    assert opened["box"] > 300
    assert opened["host"] > closed["host"] + 250, "it is in the flow: what follows makes way"
    assert opened["over"] <= 0


def test_moved_it_takes_the_room_that_is_there(new_page: NewPage, town: Town) -> None:
    style = "main > p { margin: 1rem 0; } .room bible-faq { min-height: 28rem; } .tight p { margin: 0; }"
    lay(town, head=styled(town, style))
    page = new_page()
    widget = visit(page, town)
    assert widget.locator(".box").evaluate("one => parseFloat(one.style.marginBlockEnd)") < 0
    for name in ("tight", "room", "tight"):
        page.evaluate(
            """name => { const place = document.createElement("div"), after = document.createElement("p"); place.className = name;
                 after.textContent = "Après."; place.append(document.querySelector("bible-faq"), after);
                 document.querySelector("main").append(place); }""",
            name,
        )
        (fills if name == "room" else shows_the_field_alone)(widget)
        assert sizes(widget)["over"] <= 0


@pytest.mark.parametrize(
    ("style", "position"),
    [
        ("bible-faq { all: initial; display: block; min-height: 28rem; }", "relative"),
        ("bible-faq { position: sticky; top: 0; min-height: 28rem; }", "sticky"),
        ("main { display: flex; } bible-faq { min-height: 28rem; }", "relative"),
    ],
)
def test_the_page_places_it(new_page: NewPage, town: Town, style: str, position: str) -> None:
    lay(town, head=styled(town, style), after=0)
    widget = visit(new_page(), town)
    fills(widget)
    assert widget.evaluate("one => getComputedStyle(one).position") == position
    assert sizes(widget)["width"] > 150, "a page that leaves it its width gives it one"


SHIFTS = """() => new Promise(done => { let sum = 0;
  const observer = new PerformanceObserver(list => { for (const one of list.getEntries()) if (!one.hadRecentInput) sum += one.value; });
  observer.observe({ type: "layout-shift", buffered: true }); setTimeout(() => { observer.disconnect(); done(sum); }, 300); })"""


@pytest.mark.parametrize("room", ["", ROOM, "p { margin: 1em 0; } html { line-height: 1.5; }"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (320, 640)])
def test_the_page_does_not_jump(new_page: NewPage, town: Town, width: int, height: int, room: str) -> None:
    lay(town, after=60, head=styled(town, room))
    page = new_page(width=width, height=height)
    # The widget comes late, well after the page was painted.
    page.route("**/services", lambda route: (page.wait_for_timeout(300), route.continue_())[1])
    widget = visit(page, town)
    assert page.evaluate(SHIFTS) < 0.02
    answered(widget)
    options(widget).first.click()
    expect(widget.locator(".fold:visible")).to_be_visible()
    assert page.evaluate(SHIFTS) < 0.02


def test_the_demonstration_does_not_jump(new_page: NewPage, town: Town) -> None:
    for width in (1280, 320):
        page = new_page(width=width, height=800)
        page.goto(f"{town.bible}/demo-widget")
        expect(page.locator("bible-faq").get_by_role("combobox")).to_be_visible()
        assert page.evaluate(SHIFTS) < 0.02
        fits(page, width)


def test_the_first_answer_comes_soon(new_page: NewPage, town: Town) -> None:
    page = new_page()
    widget = visit(page, town)
    answered(widget)  # whatever is made on first use
    took: float = widget.evaluate(
        """one => new Promise(done => { const list = one.shadowRoot.querySelector("#options");
             const input = one.shadowRoot.querySelector("input");
             input.value = "comment refaire mon passeport"; const from = performance.now();
             new MutationObserver(() => list.children.length && done(performance.now() - from)).observe(list, { childList: true });
             input.dispatchEvent(new Event("input")); })"""
    )
    assert took < 600, "300 ms on a quiet machine, of which 150 are the pause"
