"""French first, English second: everything that the interface says is translated, and the choice of an agent holds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from flask.testing import FlaskClient

from tests.conftest import MakeApp, MakeKb
from tests.webapp.conftest import PO
from tests.webapp.reading import Element, Page, ask_with, read, token_of
from webapp.settings import PROJECT

# Content in English without one accent: what looks French on a page then comes from the interface.
ENGLISH_CONTENT = {
    "organisation.yml": "name: Testville\nfictional: true\nphone: '0100'\nfaq_url: https://testville.example/faq\nclosing: Regards",
    "services.yml": "waste: {name: Waste, phone: '0101', email: waste@testville.example, hours: mornings, address: 1 High Street}\n"
    "relation-usagers: {name: Front desk, phone: '0102', email: desk@testville.example}",
    "channels.yml": "email: {label: Mail, format: rich, layout: {link: '{{ article.url }}'}}\n"
    "short: {label: Text, limit_chars: 20, layout: {}}",
    "articles/waste/bin.md": "---\ntitle: Yellow bin\nservice: waste\nquestions: [Where is my yellow bin]\ntags: [bin]\nsee_also: [glass]\n"
    "sources: [{title: Law, url: 'https://law.example'}]\nreviewed_on: 2019-01-15\nreview_by: 2020-01-15\n---\n"
    "The yellow bin number {{ request.reference }} is here.\n\n## More\nSee [[glass]].",
    "articles/waste/glass.md": "---\ntitle: Glass\nservice: waste\naudience: internal\n---\nGlass goes there.",
    "articles/waste/rude.md": "---\ntitle: Rude words\nservice: waste\nkind: advice\nquestions: [Stupid clowns]\n---\nStay polite.",
    **{f"articles/waste/zebra-{n}.md": f"---\ntitle: Zebra {n}\nservice: waste\n---\nZebra." for n in range(25)},
}  # fmt: skip
FRENCH_WORDS = set(
    """le la les un une des du de et ou est sont pas pour dans avec sur par votre vos ce cette ces au aux que qui ne plus si depuis sans
    mot mots demande demandes aucun aucune tous toutes copier chercher envoyer fermer ouvrir choisir canal canaux usager
    publique relire relu jamais interne conseil trop langue etiquettes historique""".split()  # noqa: SIM905
)
SPOKEN = ("title", "aria-label", "placeholder", "alt", "value")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The English catalogue."""
    with PO.open("rb") as source:
        return read_po(source, locale="en")


def extracted() -> Iterator[tuple[str | tuple[str, ...], str]]:
    """Yield every message of the code as it is today, with its file."""
    methods = [("**.py", "python"), ("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2")]
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None}
    for file, _, message, *_ in extract_from_dir(PROJECT / "webapp", methods, keywords=keywords):
        yield message, file


def strings_of(message: Message) -> tuple[list[str], list[str]]:
    """(what the code says, what the catalogue says), the plural included."""
    ids = list(message.id) if isinstance(message.id, list | tuple) else [message.id]
    return ids, list(message.string) if isinstance(message.string, list | tuple) else [message.string]


# ---- the catalogue ----
def test_every_message_of_the_code_is_in_the_catalogue(catalog: Catalog) -> None:
    found = list(extracted())
    assert len(found) > 80
    missing = {(message if isinstance(message, str) else message[0], file) for message, file in found if catalog.get(message) is None}
    assert not missing, "run `make translations`"


def test_every_message_is_translated(catalog: Catalog) -> None:
    assert not [message.id for message in catalog if message.id and not all(strings_of(message)[1])]
    assert not [message.id for message in catalog if message.id and message.fuzzy]


def test_translations_keep_their_values(catalog: Catalog) -> None:
    for message in catalog:
        if message.id:
            ids, strings = strings_of(message)
            # One may write « en retard d'un jour » where more say how many: each form against its own.
            for string, own in zip(strings, ids, strict=True):
                assert set(re.findall(r"%\(\w+\)s", string)) == set(re.findall(r"%\(\w+\)s", own)), message.id


def test_the_template_catalogue_is_that_of_the_code(catalog: Catalog) -> None:
    with (PROJECT / "webapp/translations/messages.pot").open("rb") as source:
        template = {strings_of(message)[0][0] for message in read_po(source) if message.id}
    assert template == {message if isinstance(message, str) else message[0] for message, _ in extracted()}
    assert template == {strings_of(message)[0][0] for message in catalog if message.id}


# ---- the switch ----
def test_the_interface_is_french_until_the_agent_picks(client: FlaskClient) -> None:
    # The browser's own language does not decide: the town hall's does.
    page = read(client.get("/", headers={"Accept-Language": "en"}))
    assert page.one("html").attributes["lang"] == "fr"
    assert page.one("#desk button.primary").text.startswith("Trouver la réponse")


def test_the_switch_works_and_holds(client: FlaskClient, question: str) -> None:
    [button] = read(client.get("/articles/")).find(".language button")
    assert button.attributes["lang"] == button.attributes["value"] == "en"
    data = {"csrf_token": token_of(client), "language": "en", "next": "/articles/?q=carte"}
    assert client.post("/langue", data=data).location == "/articles/?q=carte"
    for page in (read(client.get("/")), read(ask_with(client, question)), read(client.get("/nulle-part"))):
        assert page.one("html").attributes["lang"] == "en"
    assert client.get("/api/v1/nulle-part").json["detail"] != "Cette adresse ne mène à rien."  # type: ignore[index]
    back = {"csrf_token": token_of(client), "language": "fr"}
    assert client.post("/langue", data=back).location == "/"
    assert read(client.get("/")).one("html").attributes["lang"] == "fr"


def test_the_switch_keeps_the_search(client: FlaskClient) -> None:
    page = read(client.get("/articles/?q=carte&service=etat-civil"))
    [target] = [one.attributes["value"] for one in page.find(".language input") if one.attributes["name"] == "next"]
    assert target == "/articles/?q=carte&service=etat-civil"


@pytest.mark.parametrize("language", ["de", "", "fr-FR", "../en", "<script>"])
def test_an_unknown_language_changes_nothing(client: FlaskClient, language: str) -> None:
    client.post("/langue", data={"csrf_token": token_of(client), "language": language})
    assert read(client.get("/")).one("html").attributes["lang"] == "fr"


def test_the_setting_decides_the_first_language(make_app: MakeApp, make_kb: MakeKb) -> None:
    page = read(make_app(make_kb({}), language="en").test_client().get("/"))
    assert page.one("html").attributes["lang"] == "en"


def test_a_choice_is_one_agents_own(english: FlaskClient, client: FlaskClient) -> None:
    assert read(english.get("/")).one("html").attributes["lang"] == "en"
    assert read(client.get("/")).one("html").attributes["lang"] == "fr"


# ---- no French left ----
def is_interface(element: Element) -> bool:
    """What the interface itself says: not the reply, not the example messages, not the names of languages."""
    content = {"reply", "reply-text", "prose", "example"}
    around = (*element.parents, element)
    return not any(one.classes & content or (one.tag != "html" and "lang" in one.attributes) for one in around)


def words_of(page: Page) -> Iterator[str]:
    """Yield the texts that a person reads or hears on a page."""
    for one in page.elements:
        if is_interface(one):
            children = [other for other in page.elements if one in other.parents]
            is_whole = one.tag not in ("html", "head", "body", "script") and all(is_interface(child) for child in children)
            if is_whole:
                yield one.text
            if one.attributes.get("type") != "hidden":  # a form's token is no word
                yield from (value for name, value in one.attributes.items() if name in SPOKEN or name.startswith("data-"))


def french_in(page: Page) -> set[str]:
    found = set()
    for words in words_of(page):
        own = words.replace("La\xa0Bible", "").replace("La Bible", "")  # its name in every language
        found |= {word for word in re.findall(r"[^\W\d_]+", own.lower()) if word in FRENCH_WORDS or re.search("[à-öø-ÿœ]", word)}
        found |= set(re.findall("[«»]", own))
    return found


def test_the_reader_of_french_sees_it(make_app: MakeApp, make_kb: MakeKb) -> None:
    found = french_in(read(make_app(make_kb(ENGLISH_CONTENT)).test_client().get("/")))
    assert {"réponse", "canal", "de", "la"} <= found


def test_no_french_is_left_in_the_english_interface(make_app: MakeApp, make_kb: MakeKb) -> None:
    kb = make_kb(ENGLISH_CONTENT)
    client = make_app(kb, language="en").test_client()
    addresses = ("/", "/articles/", "/articles/bin", "/articles/glass", "/nowhere")
    searches = ("service=waste", "q=zebra", "q=zebr&tag=bin", "q=xyzzyplugh", "q=zebro")
    pages = {path: read(client.get(path)) for path in (*addresses, *(f"/articles/?{query}" for query in searches))}
    for message in ("Where is my yellow bin", "xyzzy plugh", "Stupid clowns", "", "a" * 20_001):
        pages[message[:30]] = read(ask_with(client, message))
    pages["too long for the channel"] = read(ask_with(client, "Where is my yellow bin", channel="short"))
    pages["expired"] = read(client.post("/", data={"message": "a"}))
    pages["host"] = read(client.get("/", headers={"Host": "evil.example"}))
    pages["method"] = read(client.put("/"))
    pages["other machine"] = read(client.get("/", environ_base={"REMOTE_ADDR": "10.0.0.1"}))
    pages["too large"] = read(ask_with(client, "b" * 3_000_000))
    # These pages show what they are here for.
    assert pages["Where is my yellow bin"].find(".card .missing")
    assert pages["Where is my yellow bin"].find(".card .late")
    assert pages["xyzzy plugh"].find(".none")
    assert pages["too long for the channel"].find(".counter")[0].classes >= {"over"}
    assert pages["Stupid clowns"].find(".advice")
    assert pages["/articles/?q=zebra"].find(".pager")
    assert pages["/articles/?q=zebro"].find(".notice a")
    assert {name: french for name, page in pages.items() if (french := french_in(page))} == {}
