"""Differences: nothing of either version is lost or invented, and what a reviewer sees is whole, safe and readable."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import nh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kb import render
from kb.diff import FieldChange, Piece, field_changes, html_diff, source_diff, word_diff
from kb.draft import Draft
from tests.conftest import in_cpu_seconds
from tests.kb.test_draft import GOOD


def short(pieces: list[Piece] | tuple[Piece, ...]) -> str:
    """« a [-b-][+c+] »."""
    marks = {"same": "{}", "removed": "[-{}-]", "added": "[+{}+]"}
    return "".join(marks[piece.op].format(piece.text) for piece in pieces)


# Words.

vocabulary = ["La", "carte", "coûte", "25", "30", "euros", ",", ".", " ", " ", " ", "\u00a0!", "l'", "\n", "\n\n", "guichet", "\r\n"]
prose = st.one_of(st.lists(st.sampled_from(vocabulary), max_size=40).map("".join), st.text(max_size=40))


@given(prose, prose)
def test_both_versions_are_in_the_pieces(old: str, new: str) -> None:
    pieces = word_diff(old, new)
    assert "".join(piece.text for piece in pieces if piece.op != "added") == old
    assert "".join(piece.text for piece in pieces if piece.op != "removed") == new
    assert all(piece.text for piece in pieces)
    assert all(one.op != other.op for one, other in pairwise(pieces))
    assert ("added", "removed") not in [(one.op, other.op) for one, other in pairwise(pieces)]
    assert [piece.op for piece in word_diff(old, old)] in ([], ["same"])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Elle coûte 25 euros.", "Elle coûte 30 euros.", "Elle coûte [-25-][+30+] euros."),
        ("Venez lundi.", "Venez lundi ou mardi.", "Venez lundi[+ ou mardi+]."),
        ("C'est gratuit !", "C'est gratuit\u00a0!", "C'est gratuit[- -][+\u00a0+]!"),
        ("rouge, vert et bleu", "noir, blanc et gris", "[-rouge, vert et bleu-][+noir, blanc et gris+]"),
        ("Bonjour à tous", "Au revoir les amis", "[-Bonjour à tous-][+Au revoir les amis+]"),
        ("", "Venez.", "[+Venez.+]"),
        ("Venez.", "", "[-Venez.-]"),
        ("Un.\n\nDeux.\n", "Un.\n\nTrois.\n\nDeux.\n", "Un.\n\n[+Trois.\n\n+]Deux.\n"),
        ("l'hôtel de ville", "l'hôtel du département", "l'hôtel [-de ville-][+du département+]"),
        ("Fermé le samedi matin. Ouvert le lundi.", "Fermé le jeudi matin. Ouvert le mardi.", None),
    ],
)
def test_a_change_reads_as_a_person_would_mark_it(old: str, new: str, expected: str | None) -> None:
    expected = expected or "Fermé le [-samedi-][+jeudi+] matin. Ouvert le [-lundi-][+mardi+]."
    assert short(word_diff(old, new)) == expected


HUGE = {
    "one line": ("mot " * 250_000, "mut " * 250_000),
    "one line, mixed": ("a b " * 60_000, "b a a " * 40_000),
    "short lines": ("a\nb\n" * 60_000, "b\na\na\n" * 40_000),
    "numbers": ("\n".join(map(str, range(40_000))), "\n".join(map(str, range(40_000, 0, -1)))),
    "paragraphs": ("Un mot, puis un autre. " * 20 + "\n") * 800,
}


@pytest.mark.parametrize("kind", list(HUGE))
def test_the_longest_texts_take_seconds_at_worst(kind: str) -> None:
    pair = HUGE[kind]
    old, new = pair if isinstance(pair, tuple) else (pair, pair.replace("autre", "second", 300).replace("puis", "et", 7000))
    in_cpu_seconds(30, lambda: source_diff(old, new))
    pieces = in_cpu_seconds(30, lambda: word_diff(old, new))
    assert "".join(piece.text for piece in pieces if piece.op != "added") == old
    page = in_cpu_seconds(30, lambda: html_diff(f"<p>{old}</p>", f"<p>{new}</p>"))
    assert page.startswith("<p>")


# Source.


@given(prose, prose)
def test_the_lines_of_a_source_are_those_of_each_version(old: str, new: str) -> None:
    hunks = source_diff(old, new)
    assert bool(hunks) == (old != new)
    before, after = ([line.removesuffix("\r") for line in text.split("\n")] for text in (old, new))
    seen_old, seen_new = set(), set()
    for hunk in hunks:
        for line in hunk.lines:
            assert {piece.op for piece in line.pieces} <= {"same", line.op}
            assert (line.old_number is None, line.new_number is None) == (line.op == "added", line.op == "removed")
            if line.old_number is not None:
                assert line.text.rstrip("\r") == before[line.old_number - 1].rstrip("\r")
                seen_old.add(line.old_number)
            if line.new_number is not None:
                assert line.text.rstrip("\r") == after[line.new_number - 1].rstrip("\r")
                seen_new.add(line.new_number)
    # What no hunk shows is the same on both sides.
    hidden = [[line for number, line in enumerate(side, 1) if number not in seen] for side, seen in ((before, seen_old), (after, seen_new))]
    assert [line for line in hidden[0] if line] == [line for line in hidden[1] if line]


def test_a_hunk_has_three_lines_around_its_changes() -> None:
    old = "".join(f"ligne {number}\n" for number in range(1, 41))
    new = old.replace("ligne 10\n", "ligne dix\n").replace("ligne 15\n", "").replace("ligne 30\n", "ligne 30\nune de plus\n")
    one, other = source_diff(old, new)
    assert [(line.op[0], line.old_number, line.new_number) for line in one.lines] == [
        *(("s", n, n) for n in (7, 8, 9)),
        ("r", 10, None),
        ("a", None, 10),
        *(("s", n, n) for n in (11, 12, 13, 14)),
        ("r", 15, None),
        *(("s", n, n - 1) for n in (16, 17, 18)),
    ]
    assert [short(line.pieces) for line in one.lines[3:5]] == ["ligne [-10-]", "ligne [+dix+]"]
    assert [line.text for line in other.lines] == ["ligne 28", "ligne 29", "ligne 30", "une de plus", "ligne 31", "ligne 32", "ligne 33"]


# Fields.


def test_each_kind_of_field_says_what_changed() -> None:
    old = Draft(slug="visa", service="etat-civil", title="Un visa", questions=("A ?", "B ?"), sources=(("Loi", "https://a.example"),))
    new = Draft(
        slug="visa",
        service="dechets",
        audience="internal",
        title="Un visa long",
        questions=("B ?", "C ?"),
        review_by="2027-01-01",
        channels={"sms": "Venez."},
    )
    assert field_changes(old, new) == [
        FieldChange("service", "Service", "value", added=("dechets",), removed=("etat-civil",)),
        FieldChange("audience", "Public visé", "value", added=("interne",), removed=("public",)),
        FieldChange("title", "Titre", "text", (Piece("same", "Un visa"), Piece("added", " long"))),
        FieldChange("questions", "Questions", "list", added=("C ?",), removed=("A ?",)),
        FieldChange("sources", "Sources", "list", removed=("Loi | https://a.example",)),
        FieldChange("review_by", "À relire avant le", "value", added=("2027-01-01",)),
        FieldChange("channels.sms", "Texte du canal « sms »", "text", (Piece("added", "Venez."),)),
    ]
    assert field_changes(new, new) == []


def test_an_order_that_changed_is_a_change() -> None:
    [change] = field_changes(Draft(tags=("a", "b")), Draft(tags=("b", "a")))
    assert (change.field, change.added, change.removed) == ("tags", (), ())


def test_a_new_article_is_all_added_and_one_that_goes_all_removed() -> None:
    assert {change.field for change in field_changes(None, GOOD)} >= {"title", "lead", "details", "slug"}
    assert all(not change.removed and all(piece.op == "added" for piece in change.pieces) for change in field_changes(None, GOOD))
    assert all(not change.added and all(piece.op == "removed" for piece in change.pieces) for change in field_changes(GOOD, None))


# Rendered pages.


def clean(page: str) -> str:
    return nh3.clean(
        page,
        tags=render.ALLOWED_TAGS | {"ins", "mark"},
        attributes={**render.ALLOWED_ATTRIBUTES, "mark": {"class", "data-placeholder"}},
        url_schemes=render.URL_SCHEMES,
        link_rel="noopener noreferrer",
    )


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("br", "hr", "img"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.faults.append(tag)


def assert_whole(page: str) -> None:
    assert clean(page) == page
    balance = _Balance()
    balance.feed(page)
    balance.close()
    assert (balance.faults, balance.stack) == ([], [])


def without(page: str, tag: str) -> str:
    page = re.sub(rf"<(p|li)><{tag}>(?:(?!<{tag}>).)*?</{tag}></\1>", "", page, flags=re.DOTALL) if tag == "del" else page
    return re.sub(rf"<{tag}>(?:(?!<{tag}>).)*?</{tag}>", "", page, flags=re.DOTALL)


def characters(page: str) -> list[str]:
    """What is written on a page, in any order; the bar may stand between the cells of a removed row."""
    return sorted("".join(re.sub(r"<[^>]*>|[|]", " ", page).split()))


fragments = [
    "Un mot ",
    "deux mots ",
    "**gras** ",
    "*penché* ",
    "`code` ",
    "\n\n",
    "\n\n",
    "\n",
    "## Titre\n\n",
    "- point\n",
    "- autre point\n",
    "1. un\n",
    "    - sous-point\n",
    "> cité\n",
    "| a | b |\n|---|---|\n| un | deux |\n",
    "| trois | quatre |\n",
    "```\ncode\n  fin\n```\n",
    "---\n",
    "a<br>b ",
    "x < y & z > t ",
    "«\u00a0oui\u00a0» ",
    "H<sub>2</sub>O ",
    "\n<div>bloc</div>\n",
    "<dl><dt>t</dt><dd>d</dd></dl>\n",
]
links = ["[ici](https://a.example) ", "[là](https://b.example/?a=1&b=2) ", "![image](https://a.example/i.png) ", "<https://c.example> "]
hostile = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<svg onload=alert(1)>",
    "<p><table><p>x",
    "</p></div></li></ul>",
    "<ul><p>x</ul>",
    "<del>faux",
    "<ins>faux</ins>",
    "<!-- x",
    "]]>",
    "<b",
    "&lt;script&gt;",
    "&#60;b&#62;",
    "<p title='><script>'>",
    "<a title='\"><img src=x>' href=https://x.example>y</a>",
    "<em><p>x</em>y",
    "<td>z",
    "<tr><td>w</table>",
    "<table>q<tr><td>r",
    "<pre>\n\nx</pre>",
    "<a href=https://x.example><a href=https://y.example>z</a></a>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript>",
    "<h2><div>x</div></h2>",
    "<li>seul",
    "<dt>t<dd>",
    "<a href=https://a.example/?x=<b>>y</a>",
    "\ue000citizen.name\ue001",
    "<p>\ue000agent.name\ue001",
    "<template><p>x",
    "<select><option>x",
    "<iframe src=//x>",
    "<textarea><p>",
    "<title></title>",
    "<plaintext>",
    "\u202e\u0000\x0b",
]
plain_pages = st.lists(st.sampled_from(fragments), max_size=12).map("".join).map(render.to_html)
any_pages = st.lists(st.sampled_from(fragments + links + hostile), max_size=12).map("".join).map(render.to_html)


@given(plain_pages, plain_pages)
@example("<p>Au revoir</p>", "<ul>\n<li>un</li>\n</ul>")
def test_a_page_without_its_marks_is_the_new_page(old: str, new: str) -> None:
    page = html_diff(old, new)
    assert_whole(page)
    assert re.sub(r"</?ins>", "", without(page, "del")) == new
    assert characters(without(page, "ins")) == characters(old)


@given(any_pages, any_pages)
def test_no_page_breaks_the_tags_or_passes_the_sanitiser(old: str, new: str) -> None:
    if clean(new) == new and clean(old) == old:  # the sanitiser itself changes a few odd pages twice
        assert_whole(html_diff(old, new))
    assert html_diff(new, new) == new


@given(st.text(max_size=60).map(render.to_html), st.text("<>&\"'/ab= \n#-*|`", max_size=60).map(render.to_html))
def test_any_text_makes_a_whole_page(old: str, new: str) -> None:
    if clean(new) == new and clean(old) == old:
        assert_whole(html_diff(old, new))


def diff(old: str, new: str) -> str:
    page = html_diff(render.to_html(old), render.to_html(new))
    assert_whole(page)
    return page.replace(' rel="noopener noreferrer"', "").replace("\n", "")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Elle coûte **25** euros.", "Elle coûte **30** euros.", "<p>Elle coûte <strong><del>25</del><ins>30</ins></strong> euros.</p>"),
        ("Un.\n\nDeux.", "Un.", "<p>Un.</p><p><del>Deux.</del></p>"),
        ("Un.\n\nDeux.", "Deux.", "<p><del>Un.</del></p><p>Deux.</p>"),
        ("- un\n- deux\n- trois", "- un\n- trois", "<ul><li>un</li><li><del>deux</del></li><li>trois</li></ul>"),
        ("- un\n- deux", "- un", "<ul><li>un</li><li><del>deux</del></li></ul>"),
        ("Un.", "Un.\n\n- deux", "<p>Un.</p><ul><li><ins>deux</ins></li></ul>"),
        (
            "Voir [ici](https://a.example).",
            "Voir [ici](https://b.example).",
            '<p>Voir <a href="https://b.example">ici</a><del> (https://a.example)</del><ins> (https://b.example)</ins>.</p>',
        ),
        (
            "Voir [la page](https://a.example) de la mairie.",
            "Voir la page de la mairie.",
            "<p>Voir la page<del> (https://a.example)</del> de la mairie.</p>",
        ),
        (
            "Le plan : ![x](https://a.example/1.png)",
            "Le plan : ![x](https://a.example/2.png)",
            '<p>Le plan : <del><img alt="x" src="https://a.example/1.png"></del><ins><img alt="x" src="https://a.example/2.png"></ins></p>',
        ),
        (
            "| a | b |\n|--|--|\n| un | deux |",
            "| a | b |\n|--|--|\n| un | neuf |",
            "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>un</td><td><del>deux</del><ins>neuf</ins></td></tr></tbody></table>",
        ),
        ("```\na  b\n```", "```\na b\n```", None),
    ],
)
def test_a_rendered_change_shows_where_it_is(old: str, new: str, expected: str | None) -> None:
    expected = expected or "<pre><code>a b</code></pre>"
    assert diff(old, new) == expected


def test_a_removed_row_stands_after_its_table() -> None:
    page = diff("| a | b |\n|--|--|\n| un | deux |\n| trois | quatre |\n", "| a | b |\n|--|--|\n| un | deux |\n")
    assert page.endswith("</table><p><del>trois | quatre</del></p>")
