"""Drafts: a form changes what the person changed and nothing else, to the byte, and says everything that is wrong at once."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kb.article import Article
from kb.draft import Draft, DraftRefused, renamed, source_line
from kb.errors import ContentError
from tests.kb.conftest import PASSPORT, PASSPORT_PATH, Content
from tests.kb.test_article import sources as article_sources

SHIPPED = Path(__file__).resolve().parents[2] / "kb"
SAMPLES = sorted((SHIPPED / "articles").rglob("*.md"))


def parse(source: str, path: str = PASSPORT_PATH) -> Article:
    return Article.parse(source, path)


def shipped(path: Path) -> Article:
    return parse(path.read_bytes().decode(), path.relative_to(SHIPPED).as_posix())


def crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


# Drafts as anything may make them.

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
lines = st.lists(words, max_size=3).map(tuple)
slugs = st.from_regex(r"[a-z0-9]{1,6}(-[a-z0-9]{1,4}){0,2}", fullmatch=True)
dates = st.one_of(st.just(""), st.dates(dt.date(1990, 1, 1), dt.date(2200, 1, 1)).map(dt.date.isoformat))
addresses = st.builds("https://{}.example/{}".format, slugs, slugs)
source_pairs = st.one_of(st.tuples(words, addresses), st.tuples(words.filter(lambda text: "://" not in text), st.just("")))
paragraphs = st.lists(words, max_size=4).map("\n".join)


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    details = draw(paragraphs)
    draft = Draft(
        slug=draw(slugs),
        service=draw(slugs),
        audience=draw(st.sampled_from(["public", "internal"])),
        kind=draw(st.sampled_from(["answer", "advice"])),
        title=draw(words),
        lead=draw(paragraphs),
        details=f"## {details}" if draw(st.booleans()) else "",
        questions=draw(lines),
        tags=draw(lines),
        short=draw(paragraphs),
        see_also=tuple(draw(st.lists(slugs, max_size=3))),
        sources=tuple(draw(st.lists(source_pairs, max_size=3))),
        reviewed_on=draw(dates),
        review_by=draw(dates),
        channels=draw(st.dictionaries(st.sampled_from(["sms", "email", "public_comment"]), paragraphs)),
    )
    return draft.normalised()


good_drafts = drafts().filter(lambda draft: not draft.problems())


@given(drafts())
def test_normalising_twice_changes_nothing_more(draft: Draft) -> None:
    assert draft.normalised() == draft


@given(drafts().filter(lambda draft: bool(draft.title)))
def test_a_form_gives_back_what_it_was_given(draft: Draft) -> None:
    assert Draft.from_form(draft.to_form()) == draft
    assert Draft.from_form({key: crlf(text) + " \r\n" for key, text in draft.to_form().items()}) == draft


@given(good_drafts)
def test_a_new_article_reads_back_as_its_draft(draft: Draft) -> None:
    article = draft.applied_to(None)
    assert Draft.from_article(article) == draft
    assert article.path == f"articles/{draft.service}/{draft.slug}.md"


@given(good_drafts, article_sources())
def test_an_article_reads_back_as_the_draft_written_on_it(draft: Draft, source: str) -> None:
    article = parse(source)
    changed = draft.applied_to(article)
    assert Draft.from_article(changed) == draft
    known = set(type(article.meta).model_fields)
    before, after = (yaml.safe_load(_front(one)) for one in (article, changed))
    assert {key: value for key, value in after.items() if key not in known} == {k: v for k, v in before.items() if k not in known}
    if "\r\n" in source:
        assert "\n" not in changed.source.replace("\r\n", ""), "every line end stays one of Windows"


def _front(article: Article) -> str:
    return article.source.removeprefix("\ufeff").split("---", 1)[1][: -len(article.body) or None].rstrip().removesuffix("---")


@given(article_sources())
def test_an_unchanged_draft_gives_the_same_bytes(source: str) -> None:
    article = parse(source)
    draft = Draft.from_article(article)
    assert draft.applied_to(article) is article
    assert Draft.from_form(draft.to_form()).applied_to(article).source == source


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_shipped_article_survives_its_form_to_the_byte(path: Path) -> None:
    article = shipped(path)
    form = {key: crlf(text) for key, text in Draft.from_article(article).to_form().items()}
    draft = Draft.from_form(form)
    assert draft.applied_to(article).source == article.source
    assert draft.problems() == [], "a good article is a good draft"
    # One part of the body changes; the other keeps every byte.
    lead = replace(draft, lead=draft.lead + " Merci.").applied_to(article)
    assert lead.source == article.source.replace(article.lead, article.lead + " Merci.")
    if draft.details:
        details = replace(draft, details=draft.details + "\n\nMerci.").applied_to(article)
        assert details.source == article.source.replace(article.details, article.details + "\n\nMerci.")
    assert replace(draft, details="").applied_to(article).body.rstrip() == article.body[: article.body.index(article.lead)] + article.lead


# What changes, and what does not.

MESSY = """\
---
# tenu par l'accueil
service: etat-civil
title:   "Demander un passeport"   # provisoire
tags: [passeport, 'voyage']   # à relire
aliases:
  - ancien-passeport # 2019
short: >-
  Au guichet,
  sur rendez-vous.
outil: {b: 1, a: [2]}
sources:
  - Délibération du 12 mars
  - https://www.service-public.fr/passeport
channels: {}

# fin
---

   Au guichet. Ligne coupée  \nici.


## Pièces
Une photo.

"""


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("field", "value", "old", "new"),
    [
        ("title", "Un passeport", 'title:   "Demander un passeport"   # provisoire\n', "title: Un passeport\n"),
        ("tags", (), "tags: [passeport, 'voyage']   # à relire\n", ""),
        ("tags", ("visa",), "tags: [passeport, 'voyage']   # à relire\n", "tags: [visa]   # à relire\n"),
        ("short", "Venez.", "short: >-\n  Au guichet,\n  sur rendez-vous.\n", "short: Venez.\n"),
        ("review_by", "2027-03-31", "# fin\n", "# fin\nreview_by: 2027-03-31\n"),
        ("channels", {"sms": "Venez."}, "channels: {}\n", "channels:\n  sms: Venez.\n"),
        ("audience", "internal", "# fin\n", "# fin\naudience: internal\n"),
        ("lead", "Venez.\n\nMerci.", "   Au guichet. Ligne coupée  \nici.\n", "Venez.\n\nMerci.\n"),
        ("lead", "", "\n   Au guichet. Ligne coupée  \nici.\n\n\n", "\n"),
        ("details", "## Prix\n86 euros", "## Pièces\nUne photo.\n", "## Prix\n86 euros\n"),
        ("details", "", "\n\n## Pièces\nUne photo.\n", ""),
        (
            "sources",
            (("Délibération du 12 mars", ""),),
            "  - Délibération du 12 mars\n  - https://www.service-public.fr/passeport\n",
            "  - title: Délibération du 12 mars\n",
        ),
    ],
)
def test_one_change_rewrites_one_place(ends: str, field: str, value: object, old: str, new: str) -> None:
    assert MESSY.count(old) == 1
    article = parse(MESSY.replace("\n", ends))
    draft = replace(Draft.from_article(article), **{field: value})  # type: ignore[arg-type]
    assert draft.applied_to(article).source == MESSY.replace(old, new).replace("\n", ends)


def test_details_come_to_an_article_that_had_none() -> None:
    article = parse("---\ntitle: A\n---\nVenez.")
    draft = replace(Draft.from_article(article), details="## Prix\n86 euros")
    assert draft.applied_to(article).source == "---\ntitle: A\n---\nVenez.\n\n## Prix\n86 euros\n"


def test_a_new_article_has_the_documented_order_and_no_empty_key() -> None:
    draft = Draft(slug="visa", service="etat-civil", title="Un visa", lead="Venez.", tags=("visa",), review_by="2027-01-01")
    assert draft.applied_to(None).source == (
        "---\ntitle: Un visa\nservice: etat-civil\naudience: public\ntags:\n  - visa\nreview_by: 2027-01-01\n---\n\nVenez.\n"
    )


# Forms.


def test_a_form_is_cleaned_as_people_type() -> None:
    draft = Draft.from_form(
        {
            "title": "  Refaire\u00a0sa carte\r\n d'identite\u0301\x07 ",
            "service": "etat-civil",
            "lead": "Bonjour.  \r\nSuite. \t\r\n\r\n \r\nFin.  \r\n",
            "details": "## Prix\u2028Gratuit\u202e.\r\n",
            "questions": "\r\n Une question ? \r\n\r\n  Une autre ?\r\n",
            "sources": "Carte | https://a.example/x\r\nhttps://b.example\r\nDélibération\r\nA | B |\r\n |\r\n",
            "channels.sms": " Venez. \r\n",
            "channels.email": " \r\n",
        }
    )
    assert draft == Draft(
        slug="refaire-sa-carte-d-identite",
        service="etat-civil",
        title="Refaire\u00a0sa carte d'identité",
        lead="Bonjour.  \nSuite.\n\n\nFin.",
        details="## Prix\nGratuit.",
        questions=("Une question ?", "Une autre ?"),
        sources=(("Carte", "https://a.example/x"), ("", "https://b.example"), ("Délibération", ""), ("A | B", "")),
        channels={"sms": "Venez."},
    )


@given(source_pairs)
def test_a_source_keeps_its_line(pair: tuple[str, str]) -> None:
    source = Draft(sources=(pair,)).normalised().sources
    assert Draft.from_form({"title": "x", "sources": "\n".join(map(source_line, source))}).sources == source


GOOD = Draft(slug="visa", service="etat-civil", title="Un visa", lead="Venez.", details="## Prix\nGratuit.")


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"slug": "Un Visa"}, "slug", "« un-visa »"),
        ({"slug": "../../etc/passwd"}, "slug", "lettres minuscules"),
        ({"slug": "a" * 101}, "slug", "lettres minuscules"),
        ({"slug": ""}, "slug", "lettres minuscules"),
        ({"service": ""}, "service", "Choisissez un service"),
        ({"service": "../dechets"}, "service", "Choisissez un service"),
        ({"title": " \n"}, "title", "Écrivez un titre"),
        ({"title": "a" * 301}, "title", "301"),
        ({"audience": "tous"}, "audience", "liste"),
        ({"kind": "x"}, "kind", "liste"),
        ({"lead": "Venez.\n## Prix\nGratuit."}, "lead", "titre"),
        ({"lead": "# Bonjour", "details": ""}, "lead", "titre"),
        ({"lead": "Venez.\n\n#", "details": ""}, "lead", "titre"),
        ({"lead": "Code :\n```\nx"}, "lead", "bloc de code"),
        ({"details": "Gratuit.\n\n## Prix"}, "details", "commence par un titre"),
        ({"lead": "a" * 900_001}, "lead", "découpez"),
        ({"details": "## A\n" + "a" * 900_001}, "details", "découpez"),
        ({"short": "a" * 20_001}, "short", "20001"),
        ({"channels": {"sms": "a" * 20_001}}, "channels.sms", "20001"),
        ({"channels": {"un sms": "a"}}, "channels.un sms", "canal"),
        ({"questions": ("a" * 1001,)}, "questions", "1001"),
        ({"tags": ("a",) * 501}, "tags", "501"),
        ({"questions": ("a" * 900,) * 120}, "questions", "108"),
        ({"see_also": ("../x",)}, "see_also", "« ../x »"),
        ({"sources": (("Piège", "javascript:alert(1)"),)}, "sources", "https://"),
        ({"sources": (("Ici", "www.ville.example"),)}, "sources", "https://"),
        ({"sources": (("Ici", "https://"),)}, "sources", "https://"),
        ({"reviewed_on": "31/12/2026"}, "reviewed_on", "AAAA-MM-JJ"),
        ({"review_by": "2026-02-30"}, "review_by", "AAAA-MM-JJ"),
        ({"review_by": "20260228"}, "review_by", "AAAA-MM-JJ"),
    ],
)
def test_each_wrong_field_is_told(changes: dict[str, object], field: str, words: str) -> None:
    [error] = replace(GOOD, **changes).problems()  # type: ignore[arg-type]
    assert error.field == field
    assert words in error.message


@pytest.mark.parametrize(
    "changes", [{"review_by": "demain"}, {"title": ""}, {"audience": "tous"}, {"title": "a" * 301}, {"slug": "É"}, {"service": ""}]
)
@pytest.mark.parametrize("article", [None, parse(PASSPORT)], ids=["new", "edited"])
def test_a_wrong_draft_written_for_a_preview_fails_as_content_does(changes: dict[str, str], article: Article | None) -> None:
    with pytest.raises((ContentError, DraftRefused)):
        replace(GOOD, **changes).written_on(article)  # type: ignore[arg-type]


def test_all_the_errors_are_told_at_once() -> None:
    draft = replace(GOOD, slug="É", title="", review_by="demain", sources=(("", "ftp://x"), ("", "y:z")))
    with pytest.raises(DraftRefused) as caught:
        draft.applied_to(None)
    assert [error.field for error in caught.value.errors] == ["slug", "title", "sources", "sources", "review_by"]
    assert "Titre : Écrivez un titre." in str(caught.value)


def test_an_old_fault_elsewhere_does_not_stop_a_correction() -> None:
    article = parse("---\ntitle: A\nsources: [{title: x, url: 'ftp://x'}]\n---\nVenez.\n", "articles/etat-civil/FAQ_12.md")
    draft = replace(Draft.from_article(article), title="B")
    assert draft.applied_to(article).source == article.source.replace("title: A", "title: B")
    assert {error.field for error in draft.problems()} == {"slug", "sources"}


def test_a_heading_inside_a_code_block_of_the_lead_is_none() -> None:
    assert replace(GOOD, lead="Tapez :\n\n```\n# commentaire\n```").problems() == []


# Names.


def test_the_old_name_of_a_renamed_article_redirects(content: Content) -> None:
    article = renamed(content.article(PASSPORT_PATH), "passeport-biometrique", "dechets")
    (content.root / PASSPORT_PATH).unlink()
    content.write(article.path, article.source)
    library = content.library()
    assert library.get("passeport").slug == "passeport-biometrique"
    assert library.get("passeport").path == "articles/dechets/passeport-biometrique.md"
    assert library.get("passeport").service == "dechets"
    assert article.source == PASSPORT.replace("service: etat-civil", "service: dechets").replace("aliases: []", "aliases:\n  - passeport")


def test_renaming_there_and_back_leaves_no_alias_of_itself() -> None:
    article = parse(PASSPORT.replace("aliases: []\n", ""))
    there = renamed(article, "visa", "etat-civil")
    assert there.meta.aliases == ("passeport",)
    further = renamed(there, "visa-long", "etat-civil")
    assert further.meta.aliases == ("passeport", "visa")
    assert renamed(further, "passeport", "etat-civil").meta.aliases == ("visa", "visa-long")
    assert renamed(there, "passeport", "etat-civil").meta.aliases == ("visa",)


def test_a_draft_with_another_name_renames() -> None:
    article = parse(PASSPORT)
    draft = replace(Draft.from_article(article), slug="visa", title="Un visa")
    assert draft.applied_to(article) == renamed(article, "visa", "etat-civil").edited({"title": "Un visa"})


@pytest.mark.parametrize(("slug", "service"), [("../x", "etat-civil"), ("X", "etat-civil"), ("", "etat-civil"), ("x", "..")])
def test_a_name_that_is_no_name_is_refused(slug: str, service: str) -> None:
    with pytest.raises(DraftRefused):
        renamed(parse(PASSPORT), slug, service)


def test_the_service_of_a_folder_is_written_when_it_changes() -> None:
    article = parse("---\ntitle: A\n---\nVenez.\n")
    moved = renamed(article, "passeport", "dechets")
    assert (moved.service, moved.path) == ("dechets", "articles/dechets/passeport.md")


def test_an_article_beside_the_folders_can_be_renamed() -> None:
    article = parse("---\ntitle: A\n---\nVenez.\n", "articles/vieux.md")
    assert renamed(article, "neuf", "").path == "articles/neuf.md"


def test_what_cannot_be_written_is_told_and_not_raised() -> None:
    article = parse("---\ntitle: A\nautre: " + "a" * 99_000 + "\n---\nVenez.\n")
    draft = replace(Draft.from_article(article), questions=("a" * 900,) * 20)
    [error] = draft.problems(article)
    assert "L'en-tête dépasse" in error.message
    with pytest.raises(ContentError):
        draft.written_on(article)
