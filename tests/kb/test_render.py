"""Rendering: nothing that is written or typed can run, add markup, be blanked or leave raw."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb import render
from kb.errors import TemplateError

XSS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//x.example></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mi//xlink:href='javascript:alert(1)'>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='javascript:alert(1)'></object>",
    "<embed src='javascript:alert(1)'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVa\tScRiPt:alert(1)'>x</a>",
    "<a href=' &#14; javascript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='https://x.example' onclick='alert(1)' style='position:fixed'>x</a>",
    "<form action='https://x.example'><input name=q><button>ok</button></form>",
    "<style>body{display:none}</style>",
    "<div style='background:url(javascript:alert(1))' class='x' id='y'>z</div>",
    "<base href='https://x.example/'>",
    "<meta http-equiv='refresh' content='0;url=javascript:alert(1)'>",
    "<link rel=stylesheet href='https://x.example/x.css'>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<<script>script>alert(1)<</script>/script>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](&#x6a;avascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](javascript:alert(1))",
    '![x" onerror="alert(1)](y.png)',
    '[x](https://a.example "title" onclick="alert(1))',
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "`<script>alert(1)</script>`",
    "```\n<script>alert(1)</script>\n```",
    "```html onload=alert(1)\nx\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
    "[[<img src=x onerror=alert(1)>]]",
    "[[a|<script>alert(1)</script>]]",
    "[[a|x](javascript:alert(1)) [y]]",
]
KNOWN_ATTRIBUTES = set().union(*render.ALLOWED_ATTRIBUTES.values()) | {"rel"}


class _Tags(HTMLParser):
    """Collects the start tags of a page, as a browser would read them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def tags_of(page: str) -> list[tuple[str, dict[str, str]]]:
    parser = _Tags()
    parser.feed(page)
    parser.close()
    return parser.found


def assert_harmless(page: str) -> None:
    """Only the allowed tags, with the allowed attributes and addresses; the marks as they are made here."""
    for tag, attributes in tags_of(page):
        if tag == "mark":
            assert set(attributes) == {"class", "data-placeholder"}, page
            continue
        assert tag in render.ALLOWED_TAGS, page
        assert set(attributes) <= KNOWN_ATTRIBUTES, page
        for name in {"href", "src"} & set(attributes):
            # A browser drops tabs and line ends anywhere in an address, and controls and blanks before it.
            address = re.sub(r"[\t\r\n]", "", attributes[name]).lstrip("".join(map(chr, range(33)))).lower()
            scheme = re.match(r"([a-z][a-z0-9+.-]*):", address)
            assert scheme is None or scheme.group(1) in render.URL_SCHEMES, page


def resolve(slug: str) -> tuple[str, str] | None:
    return {"passeport": ("Demander un passeport", "/faq/passeport"), "piege": ("<b>A</b> [x](javascript:y)", "/faq/piege")}.get(slug)


def page_of(text: str, values: dict[str, str] | None = None) -> str:
    return render.to_html(render.fill(text, values or {}).markdown, resolve)


def plain_of(text: str, values: dict[str, str] | None = None) -> str:
    return render.to_plain(render.fill(text, values or {}).markdown, resolve)


# Hostile texts and values.


@pytest.mark.parametrize("attack", XSS)
def test_no_markup_of_an_article_can_run(attack: str) -> None:
    assert_harmless(render.to_html(attack, resolve))
    assert_harmless(render.to_html(f"Bonjour,\n\n- un {attack}\n\n> {attack}\n\nfin", resolve))
    assert_harmless(render.plain_to_html(attack))


@pytest.mark.parametrize("attack", XSS)
@pytest.mark.parametrize(
    "text",
    [
        "Bonjour {{ citizen.name }}, voici.",
        "- {{ citizen.name }}",
        "{{ citizen.name }}",
        "[voir]({{ citizen.name }})",
        "[{{ citizen.name }}](https://a.example)",
        "[[passeport|{{ citizen.name }}]]",
        "<https://a.example/{{ citizen.name }}>",
        '<a href="{{ citizen.name }}" title="{{ citizen.name }}">x</a>',
        "`{{ citizen.name }}`",
        "```\n{{ citizen.name }}\n```",
        "| {{ citizen.name }} |\n|---|\n| {{ citizen.name }} |",
        "<b title='{{ citizen.name }}'>x</b>",
    ],
)
def test_no_value_can_run(attack: str, text: str) -> None:
    assert_harmless(page_of(text, {"citizen.name": attack}))
    assert_harmless(render.plain_to_html(render.fill(text, {"citizen.name": attack}, escape=False).markdown))


@pytest.mark.parametrize("attack", XSS)
def test_what_a_citizen_is_called_is_shown_as_typed(attack: str) -> None:
    typed = re.sub(r"[\x00-\x20]+", " ", attack)
    assert plain_of("A {{ citizen.name }} Z", {"citizen.name": typed}) == f"A {typed.strip()} Z"


visible = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Co", "Cn"]), min_size=1, max_size=40)


@given(
    visible,
    st.sampled_from(
        ["{{ service.name }}", "Le {{ service.name }} !", "- {{ service.name }}", "Titre\n{{ service.name }}", "> {{ service.name }}"]
    ),
)
def test_a_value_adds_no_markdown(value: str, text: str) -> None:
    """Whatever the value, the page has the tags that a plain word gives."""
    page, expected = page_of(text, {"service.name": value}), page_of(text, {"service.name": "mot"})
    assert tags_of(page) == tags_of(expected)
    assert plain_of(text, {"service.name": value}) == plain_of(text, {"service.name": "mot"}).replace("mot", value)


@given(
    st.lists(
        st.sampled_from(["# ", "=", "-", "~~~", "```", "1. ", "* ", "> ", "\n", "\n\n", "    ", "a", "|", "[[passeport]]", "&lt;", "\\"]),
        max_size=12,
    )
)
def test_a_value_of_several_lines_adds_no_markdown(parts: list[str]) -> None:
    value = "".join(parts)
    page = page_of("Adresse : {{ service.address }}.", {"service.address": f"1 rue {value}"})
    assert {tag for tag, _ in tags_of(page)} <= {"p", "br"}


def test_an_address_on_two_lines_stays_on_two_lines() -> None:
    values = {"service.address": "1 place de la Mairie\n49999 Valbourg"}
    assert plain_of("Venez : {{ service.address }}.", values) == "Venez : 1 place de la Mairie\n49999 Valbourg."
    assert page_of("- {{ service.address }}", values).count("<li>") == 1


def test_a_value_is_not_a_template() -> None:
    values = {"citizen.name": "{{ organisation.name }}", "organisation.name": "Ville"}
    filled = render.fill("Bonjour {{ citizen.name }}", values)
    assert "Ville" not in filled.markdown
    assert filled.missing == ()
    assert plain_of("Bonjour {{ citizen.name }}", values) == "Bonjour {{ organisation.name }}"


def test_values_keep_the_signs_of_french_texts() -> None:
    value = "« 2 * 3 = 6 », ~10 % d'aide & 5 € #1 [a] (b) <c> _d_ https://x.example/~y?a=1&b=2"
    assert plain_of("Tarif : {{ service.facts.tarif }}", {"service.facts.tarif": value}) == f"Tarif : {value}"


def test_a_link_to_a_fact_works() -> None:
    page = page_of("[le portail]({{ organisation.url }})", {"organisation.url": "https://a-b.example/x_y?q=(1)&r=~2"})
    assert 'href="https://a-b.example/x_y?q=(1)&amp;r=~2"' in page


# Templates.


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ 7*7 }}",
        "{{ 7 }}",
        "{{ 'a' }}",
        "{{ config }}",
        "{{ self }}",
        "{{ self.__init__.__globals__ }}",
        "{{ request.application.__globals__ }}",
        "{{ citizen }}",
        "{{ citizen.name.upper() }}",
        "{{ citizen['name'] }}",
        "{{ citizen.name[0] }}",
        "{{ citizen.name|upper }}",
        "{{ citizen.name|fallback }}",
        "{{ citizen.name|fallback(7*7) }}",
        "{{ citizen.name|fallback(config) }}",
        "{{ citizen.name|fallback('a')|safe }}",
        "{{ citizen.name|attr('__class__') }}",
        "{{ citizen.name ~ 'a' }}",
        "{{ citizen.name if 1 else 2 }}",
        "{{ citizen.__class__ }}",
        "{{ service.facts }}",
        "{{ service.facts.a.b }}",
        "{{ services.etat_civil }}",
        "{{ services.etat_civil.__class__ }}",
        "{{ lipsum() }}",
        "{{ range(9999999) }}",
        "{{ [1,2] }}",
        "{{ {'a': 1} }}",
        "{% for x in y %}a{% endfor %}",
        "{% if 1 %}a{% endif %}",
        "{% set a = 1 %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% macro a() %}{% endmacro %}",
        "{% raw %}{{ citizen.name }}{% endraw %}{% if x %}{% endif %}",
        "{{ citizen.name",
        "{{ }}",
        "{{{ citizen.name }}}",
        "{% fin",
        "{{ citizen.nom }}",
        "{{ citoyen.name }}",
    ],
)
def test_nothing_but_known_placeholders_is_accepted(text: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render.placeholders(f"Bonjour.\n\n{text}")
    assert caught.value.line == 3
    with pytest.raises(TemplateError):
        render.fill(text, {"citizen.name": "Ada"})


def test_the_placeholders_of_a_text_are_listed_with_their_lines() -> None:
    found = render.placeholders('A {{ service.phone }}\n\n{{ services.etat_civil.facts.delai }} {{citizen.name|fallback("M.")}}')
    assert [(item.name, item.fallback, item.line) for item in found] == [
        ("service.phone", None, 1),
        ("services.etat_civil.facts.delai", None, 3),
        ("citizen.name", "M.", 3),
    ]


def test_an_unfilled_placeholder_is_marked_and_never_blank() -> None:
    text = 'Dossier {{ request.reference }} de {{ citizen.name|fallback("Madame, Monsieur") }} : {{ service.phone }}.'
    filled = render.fill(text, {"service.phone": ""})
    assert filled.missing == ("request.reference", "service.phone")
    page = render.to_html(filled.markdown)
    assert '<mark class="placeholder" data-placeholder="request.reference">[numéro de dossier]</mark>' in page
    assert '<mark class="placeholder" data-placeholder="service.phone">[service.phone]</mark>' in page
    assert render.to_plain(filled.markdown) == "Dossier [numéro de dossier] de Madame, Monsieur : [service.phone]."


@pytest.mark.parametrize("value", ["", " ", "\n\t", "\x00"])
def test_a_name_with_and_without_a_fallback_is_never_blank(value: str) -> None:
    text = 'Bonjour {{ citizen.name|fallback("Madame") }}, merci {{ citizen.name }}. Au revoir, {{ citizen.name|fallback("Madame") }}.'
    for written in (text, text.replace('Bonjour {{ citizen.name|fallback("Madame") }}, ', "")):
        for escape in (True, False):
            filled = render.fill(written, {"citizen.name": value}, escape=escape)
            assert filled.missing == ("citizen.name",)
            assert render.to_plain(filled.markdown).endswith("merci [nom de la personne]. Au revoir, Madame.")
    assert plain_of(text, {"citizen.name": "Zoé"}) == "Bonjour Zoé, merci Zoé. Au revoir, Zoé."


@given(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,15}", fullmatch=True))
def test_any_fact_is_filled_or_marked(name: str) -> None:
    """A fact may be called « items », « tarif_2026 » or « __class__ »: it is a word, not an attribute."""
    if name in {"true", "false", "none", "True", "False", "None", "not", "is", "in", "and", "or", "if", "else"}:
        return
    text = f"Voici {{{{ service.facts.{name} }}}}."
    assert plain_of(text, {f"service.facts.{name}": "12 €"}) == "Voici 12 €."
    filled = render.fill(text, {})
    assert filled.missing == (f"service.facts.{name}",)
    assert f'data-placeholder="service.facts.{name}"' in render.to_html(filled.markdown)
    assert render.to_plain(filled.markdown) == f"Voici [service.facts.{name}]."


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "pop", "copy", "__class__", "__init__"])
def test_a_fact_named_like_a_method_is_no_python(name: str) -> None:
    assert plain_of(f"{{{{ service.facts.{name} }}}}", {f"service.facts.{name}": "oui"}) == "oui"
    assert plain_of(f"{{{{ service.facts.{name} }}}}") == f"[service.facts.{name}]"


@pytest.mark.parametrize(
    "text", ["[le portail]({{ service.url }})", "![plan]({{ service.url }})", "<{{ service.url }}>", "<a href='{{ service.url }}'>x</a>"]
)
def test_an_unfilled_address_breaks_no_tag(text: str) -> None:
    page = page_of(text)
    assert not re.search(r'="[^"]*<', page), page
    assert_harmless(page)


def test_an_unfilled_placeholder_in_plain_text_is_marked_in_its_page() -> None:
    filled = render.fill("Suivi : https://a.example/{{ request.reference }}", {}, escape=False)
    page = render.plain_to_html(filled.markdown)
    assert page.count('<mark class="placeholder"') == 1
    assert not re.search(r'="[^"]*<', page)


def test_a_value_cannot_pass_for_a_mark() -> None:
    """Private-use characters carry the marks; typed by someone, they add no attribute and leave no tag open."""
    assert_harmless(page_of("A {{ citizen.name }}", {"citizen.name": '\ue000x" onclick="y\ue001'}))


# Markdown.


def test_wiki_links_show_the_title_or_the_chosen_words() -> None:
    page = render.to_html("Voir [[passeport]], [[ passeport | le *passeport* ]] et [[absent]] ou [[absent|ces mots]].", resolve)
    assert page == (
        '<p>Voir <a href="/faq/passeport" rel="noopener noreferrer">Demander un passeport</a>, '
        '<a href="/faq/passeport" rel="noopener noreferrer">le <em>passeport</em></a> et absent ou ces mots.</p>'
    )


def test_a_wiki_link_takes_a_placeholder_as_words() -> None:
    assert ">État civil (mairie)</a>" in page_of("[[passeport|{{ service.name }}]]", {"service.name": "État civil (mairie)"})


def test_a_title_adds_no_markup_to_a_link() -> None:
    page = render.to_html("[[piege]]", resolve)
    assert page.count("<a ") == 1
    assert "<b>" not in page
    assert "javascript" not in page.split(">")[1]


def test_outside_links_tell_nothing_of_where_they_come_from() -> None:
    assert 'rel="noopener noreferrer"' in render.to_html("[x](https://a.example)")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Un.\n\nDeux.", "Un.\n\nDeux."),
        ("Une phrase coupée\npar l'éditeur.", "Une phrase coupée par l'éditeur."),
        ("Une ligne.  \nUne autre.", "Une ligne.\nUne autre."),
        ("- un\n- deux", "- un\n- deux"),
        ("Apportez :\n- un\n- deux\n\nMerci.", "Apportez :\n\n- un\n- deux\n\nMerci."),
        ("* un\n\n* deux", "- un\n- deux"),
        ("1. un\n2. deux", "1. un\n2. deux"),
        ("- a\n    - b\n        - c\n- d", "- a\n  - b\n    - c\n- d"),
        ("[le site](https://a.example/x)", "le site (https://a.example/x)"),
        ("[https://a.example](https://a.example) et <https://b.example>", "https://a.example et https://b.example"),
        ("[écrivez-nous](mailto:a@b.example), [appelez](tel:0261914010)", "écrivez-nous (a@b.example), appelez (0261914010)"),
        ("| Jour | Heure |\n|---|---|\n| lundi | 9 h |\n| mardi | 10 h |", "Jour Heure\nlundi 9 h\nmardi 10 h"),
        ("## Titre\nTexte", "Titre\n\nTexte"),
        ("**gras** et *italique* et `code`", "gras et italique et code"),
        ("2 < 3 & 4 > 1", "2 < 3 & 4 > 1"),
        ("12\u00a0€", "12\u00a0€"),
        ("Voir [[passeport]].", "Voir Demander un passeport (/faq/passeport)."),
        ("<script>alert(1)</script>Bonjour", "Bonjour"),
        ("", ""),
    ],
)
def test_plain_text_reads_as_a_person_would_type_it(text: str, plain: str) -> None:
    assert render.to_plain(text, resolve) == plain


def test_plain_text_has_no_stray_spaces() -> None:
    text = "Bonjour,\n\n- un\n    - deux\n\n1. a\n2. b\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> cité\n\nFin."
    plain = render.to_plain(text)
    assert all(line == line.rstrip() for line in plain.splitlines())
    assert "\n\n\n" not in plain


def test_plain_to_html_keeps_lines_and_links_addresses() -> None:
    page = render.plain_to_html("Bonjour,\nvoir https://a.example/x?a=1&b=2.\n\n<b>Merci</b>")
    assert page == (
        '<p>Bonjour,<br>voir <a href="https://a.example/x?a=1&amp;b=2">https://a.example/x?a=1&amp;b=2</a>.</p>'
        "<p>&lt;b&gt;Merci&lt;/b&gt;</p>"
    )
    assert render.plain_to_html(" ") == ""


@pytest.mark.parametrize("text", ["1. " * 3000, "[" * 60_000, "![" * 60_000, "[a](" * 60_000, "[[" * 60_000, "[a](b\n" * 20_000])
def test_a_text_that_markdown_cannot_take_is_shown_as_it_is_written(text: str) -> None:
    page = render.to_html(text)
    assert page.startswith("<pre>")
    assert text.strip() in page.replace("&gt;", ">")


def test_an_article_full_of_links_is_still_markdown() -> None:
    text = "\n".join(f"- [une page (utile)](https://a.example/{number}) et [[passeport]] (voir [ici])" for number in range(1000))
    assert render.to_html(text, resolve).count("<a href=") == 2000


@pytest.mark.parametrize("text", ["{{" + "(" * 3000, "{{" + "-" * 3000 + "1}}", "{{" + "[" * 3000])
def test_braces_nested_too_deep_are_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        render.placeholders(text)


def test_a_list_keeps_its_numbers_in_plain_text() -> None:
    assert render.to_plain("1. Un\n2. Deux\n\nTexte\n\n3. Trois") == "1. Un\n2. Deux\n\nTexte\n\n3. Trois"


def test_a_value_in_html_or_between_angles_is_written_as_it_is() -> None:
    values = {"service.email": "etat-civil@ville.fr", "service.url": "https://ville.fr/a_b"}
    page = page_of('Écrire à <{{ service.email }}> ou <a href="{{ service.url }}">sur le site</a>.', values)
    assert 'href="mailto:etat-civil@ville.fr"' in html.unescape(page)
    assert 'href="https://ville.fr/a_b"' in page
    assert "\x02" not in page
    filled = render.fill("<p>Bonjour {{ citizen.first_name }}</p>", {})
    assert 'data-placeholder="citizen.first_name"' in render.to_html(filled.markdown)
    assert render.to_plain(filled.markdown) == "Bonjour [prénom]"


def test_a_link_without_address_is_the_title() -> None:
    assert render.to_plain("Voir [[passeport]] ou [[passeport|cette page]].", lambda _: ("Faire un passeport", "")) == (
        "Voir Faire un passeport ou cette page."
    )
