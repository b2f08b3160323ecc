"""The YAML files beside the articles: a mistake in one of them is reported and costs only what it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.facts import Context, load_context
from kb.library import Library
from tests.kb.conftest import Content


def test_an_empty_folder_answers_with_defaults(tmp_path: Path) -> None:
    context, problems = load_context(tmp_path)
    assert problems == []
    assert context == Context()
    assert list(context.channels) == ["email"]
    assert context.service("etat-civil").name == "Etat civil"


def test_the_files_are_read(content: Content) -> None:
    context, problems = load_context(content.root)
    assert problems == []
    assert context.services["etat-civil"].facts == {"delai": "trois semaines"}
    assert context.organisation.facts["portail"] == "https://demarches.ville.example"
    assert context.channels["sms"].limit_chars == 160
    assert context.synonyms == (("CNI", "carte nationale d'identité"),)


def test_an_undeclared_service_answers_with_the_organisation_contact(content: Content) -> None:
    context, _ = load_context(content.root)
    service = context.service("petite-enfance")
    assert (service.name, service.phone) == ("Petite enfance", "02 61 91 40 00")


@pytest.mark.parametrize("name", ["services.yml", "organisation.yml", "channels.yml", "synonyms.yml"])
@pytest.mark.parametrize(
    ("broken", "line"),
    [
        (b"a: [1, 2\nb: 3\n", 2),
        (b"a: 1\nb: c: d\n", 2),
        (b"- une\n- liste\n", 1),
        (b"texte", 1),
        (b"\xff\xfe\x00 pas de l'UTF-8", 1),
        (b"a: !!python/name:os.system\n", 1),
        (b"a: " + b"[" * 2000, 1),
    ],
)
def test_a_broken_file_is_reported_and_the_rest_works(content: Content, name: str, broken: bytes, line: int) -> None:
    content.write(name, broken)
    library = content.library()
    assert [(problem.path, problem.line) for problem in library.problems] == [(name, line)]
    assert set(library.articles) == {"passeport", "carte-identite"}


def test_a_broken_entry_leaves_the_others(content: Content) -> None:
    content.write("services.yml", "dechets: {name: Déchets}\nvoirie: [liste]\neau: {name: Eau, phone: {a: b}}\n")
    content.write("channels.yml", "email: {label: E-mail}\nsms: {label: SMS, limit_chars: 0}\nlettre: {format: gothique}\n")
    context, problems = load_context(content.root)
    assert list(context.services) == ["dechets"]
    assert list(context.channels) == ["email"]
    assert ["voirie" in p.message or "eau.phone" in p.message for p in problems if p.path == "services.yml"] == [True, True]
    assert ["sms.limit_chars" in p.message or "lettre.format" in p.message for p in problems if p.path == "channels.yml"] == [True, True]


def test_a_layout_that_cannot_be_rendered_is_reported_not_found_out_by_an_agent(content: Content) -> None:
    content.write("channels.yml", "email: {label: E-mail}\nsms: {label: SMS, layout: {link: '{{ article.lien }}'}}\n")
    content.write("organisation.yml", "name: Ville\nsignature: '{% if x %}{{ service.name }}{% endif %}'\n")
    context, problems = load_context(content.root)
    assert list(context.channels) == ["email"]
    assert "{%" not in context.organisation.signature
    assert [(problem.path, "sms.layout.link" in problem.message) for problem in problems] == [
        ("organisation.yml", False),
        ("channels.yml", True),
    ]


def test_an_empty_fact_is_empty_not_the_word_none(content: Content) -> None:
    content.write("services.yml", "etat-civil:\n  name: État civil\n  facts:\n    delai:\n    tarif: 12\n")
    context, problems = load_context(content.root)
    assert problems == []
    assert context.services["etat-civil"].facts == {"delai": "", "tarif": "12"}


def test_numbers_are_read_as_text(content: Content) -> None:
    content.write("services.yml", "etat-civil: {name: 17, phone: 3919}\n")
    service = load_context(content.root)[0].services["etat-civil"]
    assert (service.name, service.phone) == ("17", "3919")


def test_the_synonyms_hash_follows_the_synonyms(content: Content) -> None:
    before = load_context(content.root)[0].synonyms_hash
    content.write("services.yml", "x: {name: X}\n")
    assert load_context(content.root)[0].synonyms_hash == before
    content.write("synonyms.yml", "CNI: [carte nationale d'identité, carte]\n")
    assert load_context(content.root)[0].synonyms_hash != before


def test_a_changed_fact_reaches_a_refreshed_library(content: Content) -> None:
    library = Library.load(content.root)
    content.write("services.yml", "etat-civil: {name: État civil, phone: 01 99 00 00 00}\n")
    assert library.refreshed().context.services["etat-civil"].phone == "01 99 00 00 00"
