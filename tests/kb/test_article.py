"""Articles: what is read is what is written, to the byte, and a hostile file costs a message, not the process."""

from __future__ import annotations

import datetime as dt

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kb.article import MAX_ARTICLE_BYTES, Article
from kb.errors import ContentError, Problem, UnknownSlug
from tests.conftest import in_cpu_seconds
from tests.kb.conftest import PASSPORT

PATH = "articles/etat-civil/passeport.md"
HEAD = "---\ntitle: Passeport\n---\n"


def parse(source: str, path: str = PATH) -> Article:
    return Article.parse(source, path)


def problem_of(source: str, path: str = PATH) -> Problem:
    with pytest.raises(ContentError) as caught:
        parse(source, path)
    return caught.value.problem


# Round trips.

line_ends = st.sampled_from(["\n", "\r\n"])
one_line = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\ufeff\x85"), max_size=40)
bodies = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=300)
comments = one_line.map(lambda text: f"# {text}")
unknown_keys = st.from_regex(r"x_[a-z]{1,8}", fullmatch=True)


@st.composite
def sources(draw: st.DrawFn) -> str:
    """An article as people leave it: comments, blank lines, keys of another tool, any line end, maybe a byte order mark."""

    def entry(key: str, value: object) -> list[str]:
        return yaml.safe_dump({key: value}, allow_unicode=True, width=1000).rstrip("\n").split("\n")

    blocks = [entry("title", draw(one_line.filter(str.strip)))]
    blocks.append(entry("questions", draw(st.lists(one_line, max_size=3))))
    blocks.append(["tags: [a, 'b c']   # à relire"])
    blocks.append(["short: >-", "  Une réponse", "  courte."])
    for key in draw(st.lists(unknown_keys, max_size=3, unique=True)):
        blocks.append(entry(key, draw(st.one_of(one_line, st.lists(one_line, max_size=2)))))
    lines: list[str] = []
    for block in draw(st.permutations(blocks)):
        if draw(st.booleans()):
            lines += [draw(comments), ""]
        lines += block
    newline = draw(line_ends)
    text = newline.join(["---", *lines, "---", *draw(bodies).split("\n")])
    return draw(st.sampled_from(["", "\ufeff"])) + text


@given(sources())
def test_parsing_keeps_every_byte(source: str) -> None:
    article = parse(source)
    assert article.source == source
    assert article.edited({}).source == source
    assert source.endswith(article.body)


@given(sources(), one_line.filter(str.strip))
def test_editing_a_key_changes_only_that_key(source: str, title: str) -> None:
    before = parse(source)
    after = before.edited({"title": title})
    assert after.meta.title == title
    assert after.meta.model_copy(update={"title": ""}) == before.meta.model_copy(update={"title": ""})
    assert after.body == before.body
    kept = [line for line in source.splitlines(keepends=True) if not line.lstrip("\ufeff").startswith("title:")]
    assert "".join(line for line in after.source.splitlines(keepends=True) if not line.startswith("title:")) == "".join(kept)


@given(sources(), bodies)
def test_editing_the_body_leaves_the_front_matter_to_the_byte(source: str, body: str) -> None:
    before = parse(source)
    after = before.edited(body=body)
    assert after.meta == before.meta
    assert after.body.lstrip() == body.lstrip(), "blank lines at the start may go with the closing line, nothing else"
    assert after.source.startswith(source[: len(source) - len(before.body)].rstrip())
    assert after.source.endswith(body)


def test_a_new_body_needs_no_blank_line_before_it() -> None:
    """What a form posts starts with a letter: glued to the closing « --- », it would take the front matter with it."""
    assert parse(HEAD + "Avant.\n\n---\n\nEt après.").edited(body="Nouveau.\n").source == HEAD + "Nouveau.\n"
    assert parse("---\r\ntitle: P\r\n---\r\nAvant.\r\n").edited(body="Nouveau.\r\n").source == "---\r\ntitle: P\r\n---\r\nNouveau.\r\n"
    assert parse("---\ntitle: P\n---").edited(body="Nouveau.").source == "---\ntitle: P\n---\nNouveau."


def test_editing_adds_removes_and_replaces_keys_in_place() -> None:
    article = parse(
        "---\n# en tête\ntitle: A\nquestions:\n  - un\n  - deux\n\n# avant les mots-clés\ntags: [x]\nautre: {a: 1}\n---\nTexte.\n"
    )
    edited = article.edited({"questions": ["trois"], "tags": None, "review_by": dt.date(2027, 5, 1)})
    assert edited.source == (
        "---\n# en tête\ntitle: A\nquestions:\n  - trois\n\n# avant les mots-clés\nautre: {a: 1}\nreview_by: 2027-05-01\n---\nTexte.\n"
    )


def test_what_is_read_can_be_edited() -> None:
    # PyYAML's own parser takes this question mark for a key, the one in C does not: both must be the same one.
    edited = parse("---\ntitle: A\nquestions: [Où trouver un bac ?]\n---\nTexte.\n").edited({"title": "B"})
    assert edited.source == "---\ntitle: B\nquestions: [Où trouver un bac ?]\n---\nTexte.\n"


def test_editing_a_crlf_file_writes_crlf() -> None:
    edited = parse("---\r\ntitle: A\r\ntags: [x]\r\n---\r\nTexte.\r\n").edited({"tags": ["y", "z"]})
    assert edited.source == "---\r\ntitle: A\r\ntags: [y, z]\r\n---\r\nTexte.\r\n"


def test_an_edit_that_breaks_the_article_is_refused() -> None:
    article = parse(HEAD)
    with pytest.raises(ContentError):
        article.edited({"audience": "tout le monde"})
    with pytest.raises(ContentError):
        article.edited({"title": None})


def test_a_value_cannot_escape_its_key() -> None:
    edited = parse(HEAD + "Texte.").edited({"title": "x\n---\naudience: internal\n# "})
    assert edited.title == "x\n---\naudience: internal\n# "
    assert edited.is_public
    assert edited.body == "\nTexte."


def test_a_new_article_is_read_back_in_the_documented_order() -> None:
    meta = {"tags": ["a"], "title": "Été : l'essai", "audience": "internal", "x_outil": 1}
    article = Article.new("ete", "dechets", meta, "Bonjour.\n")
    assert article.path == "articles/dechets/ete.md"
    assert [line.split(":")[0] for line in article.source.splitlines() if ":" in line] == [
        "title",
        "service",
        "audience",
        "tags",
        "x_outil",
    ]
    assert (article.service, article.lead, article.is_public) == ("dechets", "Bonjour.", False)
    with pytest.raises(UnknownSlug):
        Article.new("../x", "dechets", {"title": "A"}, "")


# What is read.


def test_the_lead_is_everything_before_the_first_heading() -> None:
    article = parse(HEAD + "Bonjour.\n\n```\n# pas un titre\n```\n\nEncore #1.\n\n## Détails\nSuite.")
    assert article.lead == "Bonjour.\n\n```\n# pas un titre\n```\n\nEncore #1."
    assert article.details == "## Détails\nSuite."


def test_only_a_title_is_required_and_the_folder_gives_the_service() -> None:
    article = parse(HEAD + "Bonjour.")
    assert (article.slug, article.service, article.is_public) == ("passeport", "etat-civil", True)
    assert parse(HEAD, "articles/passeport.md").service == ""


def test_people_may_write_one_value_where_a_list_is_expected() -> None:
    meta = parse("---\ntitle: 2026\nquestions: Une seule ?\ntags:\nsources: https://a.example\naudience:\nshort: 12\n---\n").meta
    assert (meta.title, meta.questions, meta.tags, meta.audience, meta.short) == ("2026", ("Une seule ?",), (), "public", "12")
    assert meta.sources[0].url == "https://a.example"


def test_links_are_listed_once_with_see_also_first() -> None:
    article = parse("---\ntitle: A\nsee_also: [c, a]\n---\n[[b]] [[ a | mots ]] [[b|autres]] [[pas\nun lien]] [non](x)")
    assert article.links == ("c", "a", "b")


def test_the_hash_follows_the_text_and_the_place() -> None:
    one = parse(HEAD + "A")
    assert one.content_hash == parse(HEAD + "A").content_hash
    assert len({one.content_hash, parse(HEAD + "B").content_hash, parse(HEAD + "A", "articles/x/passeport.md").content_hash}) == 3


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_are_those_of_the_editor(newline: str, mark: str) -> None:
    source = mark + PASSPORT.replace("\n", newline)
    article = parse(source)
    lines = source.split("\n")
    for key in ("title", "service", "questions", "short", "review_by", "aliases"):
        assert lines[article.line_of(key) - 1].lstrip("\ufeff").startswith(f"{key}:")
    assert article.line_of("inconnu") == 1
    assert lines[article.line_of_body(article.body.index("Une photo")) - 1].startswith("Une photo")


# Files that are wrong.


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("Bonjour, sans en-tête.", 1, "L'en-tête manque"),
        ("", 1, "L'en-tête manque"),
        ("---\ntitle: jamais fermé\n", 1, "L'en-tête manque"),
        ("\n---\ntitle: trop tard\n---\n", 1, "L'en-tête manque"),
        ("---\n---\nrien dedans", 1, "clé: valeur"),
        ("---\n- une\n- liste\n---\n", 1, "clé: valeur"),
        ("---\nservice: x\n---\n", 1, "« title » : cette clé est obligatoire"),
        ("---\nservice: x\ntitle: ''\n---\n", 3, "« title » : la valeur est vide"),
        ("---\ntitle: A\nquestions:\n  - deux: points\n---\n", 3, "« questions »"),
        ("---\ntitle: A\ntags: {a: b}\n---\n", 3, "« tags »"),
        ("---\ntitle: A\n\n# mot\naudience: privé\n---\n", 5, "audience : public, internal"),
        ("---\ntitle: A\nreview_by: bientôt\n---\n", 3, "AAAA-MM-JJ"),
        ("---\ntitle: A\nreviewed_on: 2026-02-30\n---\n", 3, "AAAA-MM-JJ"),
        ("---\ntitle: A\nchannels: [sms]\n---\n", 3, "« channels »"),
        ("---\ntitle: A\nsources: [{url: [1]}]\n---\n", 3, "« sources »"),
        ("---\ntitle: A\nshort: un: deux\n---\n", 3, "guillemets"),
        ("---\ntitle: A\ntags: [a, b\n---\n", 4, "YAML"),
        ("---\ntitle: A\nx: !!python/object/apply:os.system [id]\n---\n", 3, "YAML"),
        ("---\ntitle: A\n---\nBon\0jour", 1, "octets nuls"),
    ],
)
def test_a_wrong_file_says_where_and_what(source: str, line: int, said: str) -> None:
    problem = problem_of(source)
    assert (problem.path, problem.line) == (PATH, line)
    assert said in problem.message


def test_a_yaml_bomb_is_refused_before_it_unfolds() -> None:
    levels = "".join(f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]\n" for level in range(1, 12))
    bomb = f"---\ntitle: A\nl0: &l0 lol\n{levels}---\n"
    assert "alias YAML" in in_cpu_seconds(10, lambda: problem_of(bomb).message)


def test_a_star_in_a_sentence_is_no_alias() -> None:
    assert parse("---\ntitle: A\nshort: 'Voir *ici* & là, 3 *4'\n---\n").meta.short == "Voir *ici* & là, 3 *4"


@pytest.mark.parametrize(
    "nested", ["[" * 40_000 + "]" * 40_000, "{a: " * 15_000 + "}" * 15_000, "\n  " + "- " * 45_000 + "x", "[" * 90_000]
)
def test_deep_nesting_is_refused_before_it_ends_the_process(nested: str) -> None:
    """The C loader of PyYAML recurses: this ended the whole process with a segmentation fault."""
    assert problem_of(f"---\ntitle: A\nx: {nested}\n---\n").line == (4 if nested.startswith("\n") else 3)


def test_a_long_list_is_not_deep() -> None:
    questions = "".join(f"  - Question [{number}] - et suite ?\n" for number in range(400))
    assert len(parse(f"---\ntitle: A\nquestions:\n{questions}---\n").meta.questions) == 400


def test_huge_files_are_refused_at_once() -> None:
    assert "en-tête dépasse" in problem_of("---\ntitle: A\n" + "x: y\n" * 30_000 + "---\n").message
    assert "dépasse 200 ko" in problem_of("---\ntitle: A\nx: " + "a" * 10_000_000 + "\n---\n").message
    assert "dépasse" in problem_of(HEAD + "a" * MAX_ARTICLE_BYTES).message


@pytest.mark.parametrize("text", ["[" * 50_000, "[[a" + " " * 50_000, "[[" + " " * 50_000, "[[a|" * 20_000, "[[" * 20_000])
def test_reading_links_ends(text: str) -> None:
    """Fifty kilobytes of brackets held a worker for minutes: without a linear pattern this test never ends."""
    assert parse(HEAD + text).links == ()


# ---- what a change leaves as it was ----
WRITTEN = """\
---
title: Le bac
questions:
    - Où est mon bac ?   # la plus posée
    - "C'est quand : le bac ?"
tags: [tri, 'collecte, matin']
sources:
- title: La loi
  url: https://loi.example
---
Le bac.
"""


@pytest.mark.parametrize(
    ("changes", "removed", "added"),
    [
        ({"questions": ["Où est mon bac ?", "C'est quand : le bac ?", "Un : deux ?"]}, [], ["    - 'Un : deux ?'"]),
        ({"questions": ["C'est quand : le bac ?"]}, ["    - Où est mon bac ?   # la plus posée"], []),
        ({"tags": ["tri", "a, b"]}, ["tags: [tri, 'collecte, matin']"], ["tags: [tri, 'a, b']"]),
        (
            {"sources": [{"title": "La loi", "url": "https://loi.example"}, {"title": "Note", "url": ""}]},
            [],
            ["- title: Note", "  url: ''"],
        ),
        ({"short": "Un\nDeux : trois"}, [], ["short: |-", "  Un", "  Deux : trois"]),
    ],
)
def test_a_change_of_a_list_touches_only_the_lines_of_its_items(changes: dict[str, object], removed: list[str], added: list[str]) -> None:
    """Who reads the change in a forge sees what changed, and two services that each add a question do not conflict."""
    old = Article.parse(WRITTEN, "articles/dechets/bac.md")
    before, after = WRITTEN.splitlines(), old.edited(changes).source.splitlines()
    assert [line for line in before if line not in after] == removed
    assert [line for line in after if line not in before] == added


def test_what_people_left_empty_is_not_there() -> None:
    article = parse("---\ntitle: Bac\nsources:\n- title: Délibération\n  url:\n-\nchannels:\n  sms:\n  email: Bonjour.\n---\nTexte.\n")
    assert [(one.title, one.url) for one in article.meta.sources] == [("Délibération", "")]
    assert article.meta.channels == {"email": "Bonjour."}
