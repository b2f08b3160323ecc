"""Editorial checks: each rule speaks on an article that breaks it, at the right line, and is silent on good ones."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb import checks, render, wording
from kb.article import Article
from kb.checks import Finding, check_article, check_library, field_of
from kb.draft import Draft, renamed
from kb.library import Library
from tests.conftest import in_cpu_seconds
from tests.kb.conftest import CARD_PATH, PASSPORT, PASSPORT_PATH, Content

TODAY = dt.date(2026, 11, 22)
SHIPPED = Path(__file__).resolve().parents[2] / "kb"


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def only(findings: list[Finding], code: str) -> Finding:
    [finding] = [finding for finding in findings if finding.code == code]
    return finding


def check(content: Content, text: str, path: str = PASSPORT_PATH) -> list[Finding]:
    """Findings on the passport's article with another text."""
    content.write(path, text)
    return [finding for finding in check_library(content.library(), TODAY) if finding.path == path]


def changed(*changes: tuple[str, str]) -> str:
    """The good article with some words changed."""
    text = PASSPORT
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


LEAD = "Le passeport se demande au guichet, {{ service.hours }}. Comptez {{ service.facts.delai }}."
SHORT = "Le passeport se demande au guichet, tél. {{ service.phone }}."
SOURCE_URL = "https://www.service-public.fr/passeport"
SOURCES = f"sources:\n  - title: Passeport\n    url: {SOURCE_URL}\n"
QUESTIONS = PASSPORT[PASSPORT.index("questions:") : PASSPORT.index("tags:")]
SEE_ALSO = "see_also: [carte-identite]"


@pytest.mark.parametrize(
    "public",
    ["le 02 87 00 00 01", "le 02.87.00.00.01", "contact@ville.example", "le 0 800 12 34 56", "le 09 69 39 00 00", "le 02 61 91 99 99",
     "la maison, 12 rue des Tanneurs", "depuis le 12/03/2026", "le formulaire CERFA-2026-12345", "mon fils Lucas", "M. le Maire"],
)  # fmt: skip
def test_what_the_town_says_of_itself_is_no_personal_data(content: Content, public: str) -> None:
    content.write("organisation.yml", "name: Ville\nphone: 02 87 00 00 01\nemail: contact@ville.example\n")
    assert "personal-data" not in codes(check(content, changed(("Une photo", f"Une photo, {public}"))))


def test_an_advice_to_agents_may_quote_who_writes(content: Content) -> None:
    text = changed(("passeport enfant", "je m'appelle Jean Dupuis"))
    assert "personal-data" in codes(check(content, text))
    assert "personal-data" not in codes(check(content, text.replace("audience: public", "audience: public\nkind: advice")))


def test_a_good_article_raises_nothing(content: Content) -> None:
    assert check_library(content.library(), TODAY) == []


# (code, severity, changes to the good article, a piece of the line that is blamed, words of the message)
CASES: list[tuple[str, str, list[tuple[str, str]], str, str]] = [
    ("unknown-service", "error", [("service: etat-civil\n", "service: etat-civile\n")], "service: etat-civile", "« etat-civil »"),
    ("wrong-folder", "error", [("service: etat-civil\n", "service: dechets\n")], "service: dechets", "articles/dechets"),
    ("broken-link", "error", [(SEE_ALSO, "see_also:\n  - passeport\n  - carte-identit\n")], "  - carte-identit", "« carte-identite »"),
    ("broken-link", "error", [("Une photo", "Une photo.\n\nVoir [[ carte-idantite | la carte ]]")], "[[ carte-id", "« carte-identite »"),
    ("broken-link", "error", [(SHORT, "Au guichet, voir [[inconnu]].")], "short:", "« inconnu »"),
    ("malformed-link", "error", [("Une photo", "Une photo.\n\nVoir [[carte-identite#tarif]]")], "[[carte-identite#tarif]]", "sans « # »"),
    ("short-too-long", "error", [(SHORT, "Tél. {{ service.phone }} " + "a" * 270)], "short:", "de "),
    ("reply-over-limit", "error", [(SHORT, "Tél. {{ service.phone }} " + "a" * 120)], "short:", "SMS"),
    ("reply-over-limit", "error", [("channels: {}", "channels:\n  phone: Bonjour.\n  sms: " + "a" * 160)], "  sms:", "propre à ce canal"),
    ("reply-over-limit", "error", [(LEAD, "Au guichet. " * 18), (f"short: {SHORT}\n", "")], "Au guichet. Au", "une réponse courte"),
    ("unknown-fact", "error", [("Une photo", "Une photo.\n\nPrix : {{ service.facts.tarif }}")], "service.facts.tarif", "« État civil »"),
    ("unknown-fact", "error", [("Une photo", "{{ service.facts.delais }}")], "service.facts.delais", "Vouliez-vous dire"),
    ("unknown-fact", "error", [("Une photo", "{{ organisation.facts.x }}")], "organisation.facts.x", "fiche de la collectivité"),
    ("unknown-fact", "error", [("Une photo", "{{ services.dechets.facts.x }}")], "services.dechets.facts.x", "service « Déchets »"),
    ("empty-placeholder", "error", [("Une photo", "{{ services.dechets.hours }}")], "services.dechets.hours", "service « Déchets »"),
    ("empty-placeholder", "error", [("Une photo", "{{ services.voirie.phone }}")], "services.voirie.phone", "service « Voirie »"),
    ("no-lead", "error", [(LEAD + "\n\n", "")], "## Ce qu'il faut", "avant le premier titre"),
    ("alias-taken", "error", [("aliases: []", "aliases:\n  - ancien\n  - carte-identite")], "  - carte-identite", "un article qui existe"),
    ("alias-taken", "error", [("aliases: []", "aliases:\n  - passeport")], "  - passeport", "un article qui existe"),
    ("alias-taken", "error", [("aliases: []", "aliases:\n  - ancien\n  - ancien # bis")], "  - ancien # bis", "deux fois"),
    ("unknown-channel", "error", [("channels: {}", "channels:\n  email: Bonjour.\n  fax: Bonjour.")], "  fax:", "SMS"),
    ("bad-source-url", "error", [(SOURCE_URL, "javascript:alert(1)")], "  - title: Passeport", "Titre | https://"),
    ("bad-source-url", "error", [(SOURCE_URL, "www.service-public.fr")], "  - title: Passeport", "Titre | https://"),
    ("bad-source-url", "error", [(SOURCE_URL, '"http://[x"')], "  - title: Passeport", "Titre | https://"),
    ("few-questions", "warning", [("  - passeport enfant\n", "")], "questions:", "3 questions seulement"),
    ("same-question", "warning", [("passeport enfant", "« REFAIRE ma carte » !")], "REFAIRE ma carte", "« Refaire sa carte d'identité »"),
    ("same-question", "warning", [("passeport enfant", "comment avoir un passeport")], "comment avoir un passeport", "deux fois"),
    ("same-title", "warning", [("Demander un passeport", "refaire sa carte d’identite")], "title:", "« carte-identite »"),
    ("no-source", "warning", [(SOURCES, "sources: []\n")], "sources:", "source"),
    ("no-review-date", "warning", [("review_by: 2099-01-01\n", "")], "reviewed_on:", "« À relire avant le »"),
    ("review-overdue", "warning", [("review_by: 2099-01-01", "review_by: 2026-11-21")], "review_by:", "avant le 21 novembre 2026"),
    ("review-dates-swapped", "warning", [("reviewed_on: 2026-01-01", "reviewed_on: 2099-01-02")], "review_by:", "2 janvier 2099"),
    ("long-lead", "warning", [(LEAD, LEAD + "\n" + "Une phrase de plus. " * 50)], "Le passeport se demande au guichet, {{", "900"),
    ("dismissive", "warning", [("Une photo", "Une photo.\n\nCe n'est pas de notre\nressort")], "Ce n'est pas", "« pas de notre ressort »"),
    ("dismissive", "warning", [(SHORT, "Ce n’est pas de notre faute, tél. {{ service.phone }}.")], "short:", "première étape"),
    ("channel-bound", "warning", [(LEAD, "Bonjour.\n\nCliquez sur le lien.")], "Cliquez", "téléphone"),
    ("only-digital", "warning", [(LEAD, "\nTout se fait en ligne."), (SHORT, "En ligne.")], "Tout se fait en ligne", "{{ service.phone }}"),
    ("unexplained-acronym", "warning", [("Une photo", "Une photo.\n\nVoyez l'ANTS")], "Voyez l'ANTS", "« ANTS »"),
    ("unexplained-acronym", "warning", [("Demander un passeport", "Le passeport et l'ANTS")], "title:", "« ANTS »"),
    ("link-in-lead", "warning", [(LEAD, "Au guichet.\n\nVoir [[carte-identite]].")], "Voir [[carte", "sous un titre"),
    ("link-in-lead", "warning", [(LEAD, "Au guichet.\n\nVoir [ici](https://a.example).")], "Voir [ici]", "sous un titre"),
    ("link-in-lead", "warning", [(LEAD, "Au guichet.\n\nVoir https://a.example.")], "Voir https", "sous un titre"),
    ("few-questions", "warning", [(QUESTIONS, "questions: []\n")], "questions:", "Aucune question"),
    ("few-questions", "warning", [(QUESTIONS, "questions: [Un passeport ?]\n")], "questions:", "Une seule question"),
    ("personal-data", "warning", [("passeport enfant", "je m'appelle Jean Dupuis")], "Jean Dupuis", "« Jean Dupuis »"),
    ("personal-data", "warning", [("passeport enfant", "rappelez au 0612345678")], "0612345678", "téléphone"),
    ("personal-data", "warning", [("passeport enfant", "j'habite 12 rue des Lilas")], "12 rue des", "adresse"),
    ("personal-data", "warning", [("Une photo", "Une photo\n\nde jean.dupuis@mail.example")], "jean.dupuis", "adresse e-mail"),
    ("personal-data", "warning", [(LEAD, LEAD + "\nDemandez Mme Sophie Lambert.")], "Demandez", "« Sophie Lambert »"),
    ("personal-data", "warning", [(SHORT, "Tél. {{ service.phone }}, 06 12 34 56 78.")], "short:", "téléphone"),
    ("personal-data", "warning", [("Demander un passeport", "Le passeport de M. Jean Petit")], "title:", "« Jean Petit »"),
    ("personal-data", "warning", [("tags: [passeport]", "tags:\n  - AB-123-CD")], "  - AB-123", "plaque"),
]  # fmt: skip


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(("code", "severity", "changes", "blamed", "said"), CASES)
def test_each_rule_speaks_at_the_right_line(
    content: Content, newline: str, code: str, severity: str, changes: list[tuple[str, str]], blamed: str, said: str
) -> None:
    text = changed(*changes)
    finding = only(check(content, "\ufeff" + text.replace("\n", newline)), code)
    assert blamed in text.split("\n")[finding.line - 1]
    assert (finding.path, finding.severity) == (PASSPORT_PATH, severity)
    assert said in finding.message


@pytest.mark.parametrize(("code", "severity", "changes", "blamed", "said"), CASES)
def test_what_forbids_a_publication_is_every_error_and_no_warning(
    content: Content, code: str, severity: str, changes: list[tuple[str, str]], blamed: str, said: str
) -> None:
    content.write(PASSPORT_PATH, changed(*changes))
    library = content.library()
    article = library.articles["passeport"]
    found = check_article(article, library, TODAY)
    errors = check_article(article, library, TODAY, errors_only=True)
    assert errors == [one for one in found if one.severity == "error"]
    assert (code in codes(errors)) == (severity == "error")


@pytest.mark.parametrize(("code", "severity", "changes", "blamed", "said"), CASES)
def test_a_rule_drags_no_other_with_it(
    content: Content, code: str, severity: str, changes: list[tuple[str, str]], blamed: str, said: str
) -> None:
    """One mistake, one finding: what else is said must follow from the mistake itself."""
    follows = {
        "unknown-service": {"wrong-folder", "unknown-fact", "empty-placeholder"},
        "wrong-folder": {"unknown-fact", "empty-placeholder"},
        "short-too-long": {"reply-over-limit"},
        "long-lead": set(),
        "no-lead": set(),
    }
    assert set(codes(check(content, changed(*changes)))) - {code} <= follows.get(code, set())


TECHNICAL = re.compile(r"\.yml|\.md\b|review_by|reviewed_on|see_also|« (?:short|facts|aliases|channels) »|\(s\)|\d{4}-\d\d-\d\d")


@pytest.mark.parametrize(("code", "severity", "changes", "blamed", "said"), CASES)
def test_a_message_has_the_words_of_the_form(
    content: Content, code: str, severity: str, changes: list[tuple[str, str]], blamed: str, said: str
) -> None:
    for finding in check(content, changed(*changes)):
        assert not TECHNICAL.search(finding.message), finding.message


def test_a_public_article_may_not_link_to_an_internal_one(content: Content) -> None:
    content.write(
        "articles/dechets/consignes.md", PASSPORT.replace("audience: public", "audience: internal").replace("etat-civil", "dechets")
    )
    text = changed(("see_also: [carte-identite]", "see_also: [consignes]"), ("Une photo", "Voir [[consignes]]"))
    links = [finding for finding in check(content, text) if finding.code == "link-to-internal"]
    assert [text.split("\n")[finding.line - 1] for finding in links] == ["see_also: [consignes]", "Voir [[consignes]] et votre CNI."]
    assert all(finding.severity == "error" for finding in links)
    assert "link-to-internal" not in codes(check(content, text.replace("audience: public", "audience: internal")))


def test_an_old_name_is_no_broken_link(content: Content) -> None:
    content.write("articles/etat-civil/acte.md", changed(("aliases: []", "aliases: [copie-acte]"), ("Demander un passeport", "Acte")))
    findings = check(content, changed(("see_also: [carte-identite]", "see_also: [copie-acte]")))
    assert "broken-link" not in codes(findings)


def test_an_alias_claimed_twice_is_told_in_both_articles(content: Content) -> None:
    other = "articles/etat-civil/acte.md"
    content.write(other, changed(("aliases: []", "aliases: [ancien]"), ("Demander un passeport", "Acte")))
    content.write(PASSPORT_PATH, changed(("aliases: []", "aliases: [ancien]")))
    findings = [finding for finding in check_library(content.library(), TODAY) if finding.code == "alias-taken"]
    assert [(finding.path, "« Demander un passeport »" in finding.message or "« Acte »" in finding.message) for finding in findings] == [
        (other, True),
        (PASSPORT_PATH, True),
    ]


def test_a_name_that_no_address_should_hold(content: Content) -> None:
    finding = only(check(content, PASSPORT, "articles/etat-civil/Demande_Passeport.md"), "invalid-slug")
    assert (finding.severity, finding.line) == ("error", 1)
    assert "« demande-passeport »" in finding.message


def test_what_the_library_left_out_is_an_error_with_its_line(content: Content) -> None:
    content.write("articles/dechets/a.md", "---\ntitle: A\n---\nBonjour.\n{{ 7*7 }}\n")
    content.write("articles/dechets/b.md", "---\ntitle: B\naudience: tous\n---\n")
    content.write("services.yml", (content.root / "services.yml").read_text() + "voirie: [x]\n")
    broken = [(finding.path, finding.line) for finding in check_library(content.library(), TODAY) if finding.code == "broken-file"]
    assert broken == [("articles/dechets/a.md", 5), ("articles/dechets/b.md", 3), ("services.yml", 13)]


def test_a_placeholder_inside_a_value_would_be_sent_raw(content: Content) -> None:
    content.write("organisation.yml", 'name: Ville\nclosing: "Cordialement, {{ agent.name }}"\nsignature: "{{ agent.name }}"\n')
    content.write("services.yml", "etat-civil: {name: État civil, phone: '1', hours: '2', facts: {delai: '{{ x }}'}}\n")
    findings = [finding for finding in check_library(content.library(), TODAY) if finding.code == "placeholder-in-value"]
    assert [(finding.path, finding.message.split("»")[0]) for finding in findings] == [
        ("organisation.yml", "« closing "),
        ("services.yml", "« etat-civil.facts.delai "),
    ]


def test_an_article_without_service_or_folder_is_asked_for_one(content: Content) -> None:
    path = "articles/passeport2.md"
    finding = only(check(content, changed(("service: etat-civil\n", "")), path), "unknown-service")
    assert "Aucun service" in finding.message
    assert "wrong-folder" not in codes(check(content, PASSPORT, path))


def test_a_fallback_makes_an_unknown_fact_harmless(content: Content) -> None:
    findings = check(content, changed(("Une photo", '{{ service.facts.tarif|fallback("une photo") }}, {{ citizen.name }}')))
    assert findings == []


def test_an_internal_article_has_no_address_to_give(content: Content) -> None:
    text = changed(("audience: public", "audience: internal"), ("Une photo", "{{ article.url }}"))
    assert "adresse publique" in only(check(content, text), "empty-placeholder").message
    assert check(content, changed(("Une photo", "{{ article.url }}"))) == []


def test_the_short_answer_is_measured_once_filled(content: Content) -> None:
    """« {{ service.hours }} » is longer filled than written, a long fallback that is not used is shorter."""
    content.write("channels.yml", "email: {label: E-mail}\n")
    hours = len("du lundi au vendredi de 9 h à 17 h")
    assert check(content, changed((SHORT, "a" * (280 - hours) + "{{ service.hours }}"))) == []
    assert codes(check(content, changed((SHORT, "a" * (281 - hours) + "{{ service.hours }}")))) == ["short-too-long"]
    assert check(content, changed((SHORT, "Ouvert {{ service.hours|fallback('" + "a" * 300 + "') }}"))) == []


def test_a_reply_is_measured_with_the_links_that_it_will_have(content: Content) -> None:
    """« [[carte-identite]] » becomes a title and an address, far longer than what is written."""
    short = "Au guichet, " + "a" * 60 + " [[carte-identite]]."
    assert len(short) + len("https://ville.example/faq/passeport") < 160
    assert codes(check(content, changed((SHORT, short)))) == ["reply-over-limit"]


def test_a_review_due_today_is_not_overdue(content: Content) -> None:
    assert check(content, changed(("review_by: 2099-01-01", f"review_by: {TODAY}"))) == []


def test_a_draft_is_checked_against_the_library_that_has_its_old_version(content: Content) -> None:
    library = content.library()
    draft = library.articles["passeport"].edited({"title": "Obtenir un passeport"})
    assert check_article(draft, library, TODAY) == []
    broken = draft.edited({"see_also": ["carte-didentite"]}, body="\nBonjour {{ citizen.nom }}.\n\n{{ service.phone }}\n")
    findings = check_article(broken, library, TODAY)
    assert codes(findings) == ["broken-link", "bad-placeholder"]
    assert broken.source.split("\n")[findings[1].line - 1] == "Bonjour {{ citizen.nom }}."
    new = Article.new("timbre", "etat-civil", {"title": "Refaire sa carte d'identité", "see_also": ["timbre"]}, "Au guichet.")
    assert "same-title" in codes(check_article(new, library, TODAY))
    assert "broken-link" not in codes(check_article(new, library, TODAY))


@pytest.mark.parametrize("channel_text", ["{{ 7*7 }}", "{{ x"])
def test_a_draft_that_cannot_be_rendered_hides_no_other_finding(content: Content, channel_text: str) -> None:
    library = content.library()
    draft = library.articles["passeport"].edited({"channels": {"sms": channel_text}, "questions": ["Une ?"], "short": "{% a %}"})
    assert {"bad-placeholder", "few-questions"} == set(codes(check_article(draft, library, TODAY)))


# Wording.


@pytest.mark.parametrize(
    "text",
    [
        "Ce n'est pas de notre compétence.",
        "Ce n'est pas notre faute.",
        "Cela n’est pas de notre ressort, désolés.",
        "Cette route n'est pas du ressort de la mairie.",
        "Adressez-vous ailleurs.",
        "La mairie n'est pas compétente.",
        "Nous n'y pouvons rien.",
        "Nous ne sommes pas responsables.",
        "Cela ne relève pas de nos services.",
        "C'est hors de notre compétence.",
        "CE N'EST PAS DE NOTRE FAUTE",
        "« Bonjour » : ce n'est pas de notre ressort.",
    ],
)
def test_phrases_that_send_people_away_are_found(text: str) -> None:
    assert list(wording.dismissive(text))


@pytest.mark.parametrize(
    "text",
    [
        "N'écrivez ni « ce n'est pas de notre compétence », ni « adressez-vous ailleurs ».",
        "Ne dites jamais que ce n'est pas de notre ressort.",
        "Évitez de répondre que nous n'y pouvons rien.",
        "Orientez la personne plutôt que de dire que ce n'est pas notre faute.",
        "Le propriétaire n'est pas responsable du bruit.",
        "La copie n'est plus de notre temps.",
        "Si vous étiez domicilié ailleurs, apportez une attestation.",
        "Une affiche posée ailleurs peut être retirée.",
        "Le ressort de votre porte ne dépend pas de la saison.",
        "Vous pouvez aussi voir ailleurs sur la carte.",
        "Nos compétences : voirie, eau, déchets.",
        "Vous n'êtes pas responsable de la faute d'un tiers.",
    ],
)
def test_ordinary_sentences_are_left_alone(text: str) -> None:
    assert not list(wording.dismissive(text))


@pytest.mark.parametrize(
    "text",
    [
        "Cliquez ici.",
        "Il suffit de cliquer.",
        "Voir ci-dessous.",
        "Le formulaire ci‑joint.",
        "Répondez à ce courriel.",
        "Pendant cet appel.",
    ],
)
def test_words_of_one_channel_are_found(text: str) -> None:
    assert list(wording.channel_bound(text))


@pytest.mark.parametrize(
    "text",
    [
        "Ne cliquez pas sur le lien.",
        "N'ouvrez rien, sans cliquer.",
        "Il ne faut pas cliquer.",
        "Répondez à cet appel à projets.",
        "Ce courriel frauduleux n'est pas de nous.",
        "Le message dit « cliquez ici » : effacez-le.",
        "Le déclic.",
    ],
)
def test_words_that_speak_of_something_else_are_left_alone(text: str) -> None:
    assert not list(wording.channel_bound(text))


@pytest.mark.parametrize(
    ("acronym", "text"),
    [
        ("CCAS", "Le centre communal d'action sociale (CCAS) vous aide."),
        ("CCAS", "Le CCAS. C'est le Centre Communal d’Action Sociale."),
        ("PACS", "Le PACS, ou pacte civil de solidarité."),
        ("PACS", "Un pacte civil de solidarité. Le PACS"),
        ("ZFE", "La zone à faibles émissions : ZFE."),
        ("ADIL", "L'ADIL (agence départementale d'information sur le logement)."),
        ("MDPH", "MDPH : maison départementale des personnes handicapées."),
        ("CNIL", "La CNIL (Commission nationale de l'informatique et des libertés)."),
        ("INSEE", "L'Institut national de la statistique et des études économiques, l'INSEE"),
        ("PFAS", "Les polluants éternels (PFAS) sont mesurés."),
    ],
)
def test_an_acronym_that_is_spelled_out_is_known(acronym: str, text: str) -> None:
    assert wording.is_spelled_out(acronym, text)


@pytest.mark.parametrize(
    ("acronym", "text"),
    [
        ("CCAS", "Le CCAS vous aide, appelez le CCAS."),
        ("CAF", "La CAF est un cadre familial."),
        ("RSA", "Le RSA (voir) est versé par la CAF."),
    ],
)
def test_an_acronym_that_is_not_spelled_out_is_told(acronym: str, text: str) -> None:
    assert not wording.is_spelled_out(acronym, text)


@pytest.mark.parametrize(
    "text",
    [
        "Louis XIV et le XVIII",
        "par SMS ou PDF",
        "NE PAS JETER",
        "{{ service.facts.ABC }}",
        "https://a.example/LEGITEXT/ABCD",
        "A1B2C",
        "Été",
    ],
)
def test_capitals_that_are_no_acronym(text: str) -> None:
    assert not list(wording.acronyms(text))


def test_an_acronym_of_the_synonyms_needs_no_words(content: Content) -> None:
    assert check(content, changed(("Une photo", "Une photo, votre CNI, le PLU"))) != []
    content.write("synonyms.yml", "CNI: [carte nationale d'identité]\nplan local d'urbanisme: [PLU, PLUi]\n")
    assert check(content, changed(("Une photo", "Une photo, votre CNI, le PLU"))) == []


@pytest.mark.parametrize(
    "way",
    ["Appelez-nous.", "Venez à l'accueil.", "Au guichet.", "Tél. : 02 61 91 40 10.", "Composez le 39 19.", "{{ organisation.phone }}",
     "{{ service.facts.urgence }}", "Par courrier."],
)  # fmt: skip
def test_a_way_without_internet_is_recognised(content: Content, way: str) -> None:
    content.write("services.yml", "etat-civil: {name: É, phone: '', facts: {delai: x, urgence: 02 61 91 40 13}}\n")
    findings = check(content, changed((LEAD, f"Tout se fait en ligne. {way}"), (SHORT, "En ligne.")))
    assert "only-digital" not in codes(findings)


# The whole.

fragments = st.sampled_from(
    ["mot ", "\n", "\n\n", "- ", "1. ", "12) ", "## T\n", "> ", "    ", "\t- ", "**a** ", "& ", "&amp; ", "<br>", "| a |\n|---|\n",
     "[x](https://a.example) ",
     "[[carte-identite]] ", "{{ service.hours }} ", "{{ service.facts.absent }} ", "{{ citizen.name }} ",
     '{{ citizen.name|fallback("vous") }} ', "```\n", "\\* ", "#", "=\n"]
)  # fmt: skip


INDEX = checks._Index(Library.load(SHIPPED))
SUBJECT = checks._Subject(INDEX.library.articles["passeport-demande"], INDEX, TODAY)


@given(st.lists(fragments, max_size=25).map("".join))
def test_the_cheap_bound_is_never_below_the_true_length(text: str) -> None:
    """The bound decides that a reply needs no rendering: too low, it would hide a reply that is over the limit."""
    subject, index = SUBJECT, SUBJECT.index
    longest = subject.longest(text)
    if longest is not None:
        filled = render.fill(text, subject.values)
        assert len(render.to_plain(filled.markdown, index.resolve)) <= longest


@given(
    st.lists(
        st.one_of(fragments, st.sampled_from(["{", "}", "{{", "}}", "{%", "%}", "{#", "#}", "{{ x }}", "{{ service.nom }}"])), max_size=12
    ).map("".join)
)
def test_placeholders_are_read_as_the_renderer_reads_them(text: str) -> None:
    def read(function: Callable[[str], object]) -> object:
        try:
            return list(function(text))  # type: ignore[call-overload]
        except render.TemplateError as error:
            return error.line

    assert read(checks._placeholders) == read(render.placeholders)


def test_findings_are_in_the_order_of_the_files(content: Content) -> None:
    content.write(CARD_PATH, "---\ntitle: Carte\n---\n\nBonjour [[x]].\n")
    content.write(PASSPORT_PATH, changed(("  - passeport enfant\n", "")))
    findings = check_library(content.library(), TODAY)
    assert [(finding.path, finding.line) for finding in findings] == sorted((finding.path, finding.line) for finding in findings)
    assert {finding.path for finding in findings} == {CARD_PATH, PASSPORT_PATH}


def test_a_bare_article_gets_advice_not_a_crash(tmp_path: Path) -> None:
    folder = Content(tmp_path / "kb")
    folder.write("articles/FAQ_12.md", "---\ntitle: Une question\n---")
    found = set(codes(check_library(folder.library(), TODAY)))
    assert {"invalid-slug", "no-lead", "unknown-service", "few-questions", "no-source", "no-review-date"} <= found


def test_thousands_of_faulty_articles_take_a_few_seconds(tmp_path: Path) -> None:
    """Every link is broken, every question asked twice: nothing may be compared with all the rest, nor rendered without need."""
    folder = Content(tmp_path / "kb")
    for name in ("services.yml", "organisation.yml", "channels.yml", "synonyms.yml"):
        folder.write(name, (SHIPPED / name).read_bytes())
    originals = sorted((SHIPPED / "articles").glob("*/*.md"))
    for number in range(2000):
        original = originals[number % len(originals)]
        text = original.read_text().replace("see_also: [", f"see_also: [absent-{number}, ", 1)
        folder.write(f"articles/{original.parent.name}/{original.stem}-{number}.md", text)
    library = folder.library()
    assert len(library.articles) == 2000
    findings = in_cpu_seconds(60, lambda: check_library(library, TODAY))  # three seconds of a slow core
    assert sum("absent-" in finding.message for finding in findings) == 2000


def test_the_shipped_articles_have_no_error() -> None:
    errors = [finding for finding in check_library(Library.load(SHIPPED), TODAY) if finding.severity == "error"]
    assert errors == []


# Drafts: an article that the library does not hold yet, or holds otherwise.


def errors(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings if finding.severity == "error"]


def test_a_renamed_article_is_no_twin_of_itself(content: Content) -> None:
    library = content.library()
    old = library.articles["passeport"]
    text = old.edited(body=f"\n{LEAD}\n\n## Suite\nVoir [[passeport]] et [[passeport-adulte]].\n").source
    new = renamed(Article.parse(text, old.path), "passeport-adulte", "etat-civil")
    assert check_article(new, library, TODAY) == [], "against the library of before"
    assert check_article(new, library.changed({old.path: None, new.path: new.source}), TODAY) == [], "and that of after"
    twin = Article.parse(old.source, "articles/etat-civil/passeport-bis.md")
    assert {"same-title", "same-question"} <= set(codes(check_article(twin, library, TODAY))), "a copy is one"


def test_a_new_article_cannot_take_an_old_address_that_redirects(content: Content) -> None:
    content.write(PASSPORT_PATH, changed(("aliases: []", "aliases: [visa]")))
    library = content.library()
    new = Draft(slug="visa", service="etat-civil", title="Un visa", lead=LEAD).applied_to(None)
    for one in (library, library.changed({new.path: new.source})):
        found = only(check_article(new, one, TODAY), "slug-taken")
        assert (found.severity, found.line) == ("error", 1)
        assert "« Demander un passeport »" in found.message
    back = renamed(library.articles["passeport"], "visa", "etat-civil")
    assert errors(check_article(back, library, TODAY)) == [], "but an article can go back to its own"


def test_a_link_follows_an_alias_and_breaks_on_what_is_archived_or_missing(content: Content) -> None:
    content.write(CARD_PATH, (content.root / CARD_PATH).read_text().replace("---\nLa carte", "aliases: [cni]\n---\nLa carte"))
    content.write("archive/etat-civil/vieux.md", PASSPORT)
    article = content.article(PASSPORT_PATH).edited(body=f"\n{LEAD}\n\n## Suite\nVoir [[cni]], [[vieux]] et [[jamais]].\n")
    found = [finding for finding in check_article(article, content.library(), TODAY) if finding.code == "broken-link"]
    assert [re.findall("« (.*?) »", finding.message)[0] for finding in found] == ["jamais", "vieux"]
    assert {finding.severity for finding in found} == {"error"}
    assert {field_of(article, finding) for finding in found} == {"details"}


# Which field a finding is beside.

FIELD_OF_PIECE = {
    "title: Dem": "title",
    "  - passeport enfant": "questions",
    "tags:": "tags",
    "short:": "short",
    "see_also:": "see_also",
    "    url:": "sources",
    "review_by:": "review_by",
    "  sms:": "channels.sms",
    "    encore": "channels.sms",
    "  email:": "channels.email",
    "Le passeport se demande au guichet, {{": "lead",
    "## Ce": "details",
    "Une photo": "details",
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(("piece", "field"), FIELD_OF_PIECE.items())
def test_a_finding_is_beside_the_field_of_its_line(piece: str, field: str, newline: str) -> None:
    text = changed(("channels: {}", "channels:\n  sms: Venez,\n    encore.\n  email: Bonjour."), ("aliases: []", "autre: x"))
    lines = text.split("\n")
    [line] = [number for number, one in enumerate(lines, 1) if one.startswith(piece)]
    article = Article.parse(newline.join(lines), PASSPORT_PATH)
    assert field_of(article, Finding(PASSPORT_PATH, line, "error", "x", "")) == field


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ("no-source", "sources"),
        ("few-questions", "questions"),
        ("no-review-date", "review_by"),
        ("no-lead", "lead"),
        ("unknown-service", "service"),
    ],
)
def test_a_finding_about_what_is_missing_is_beside_its_field(content: Content, code: str, field: str) -> None:
    article = Article.parse("---\ntitle: Passeport\n---\n## Prix\nGratuit.\n", "articles/passeport.md")
    assert field_of(article, only(check_article(article, content.library(), TODAY), code)) == field


def test_every_finding_has_a_field_of_the_form(content: Content) -> None:
    fields = {*Draft.__dataclass_fields__, "channels.sms", "channels.phone"}
    for code, _, changes, _, _ in CASES:
        for finding in check(content, changed(*changes)):
            if finding.code != "broken-file":
                assert field_of(content.article(PASSPORT_PATH), finding) in fields, code


def test_a_line_that_is_in_no_known_field_goes_to_the_title() -> None:
    article = Article.parse("---\n# note\nautre: x\nchannels: {sms: a, email: b}\ntitle: A\n---\nVenez.\n", PASSPORT_PATH)
    assert [field_of(article, Finding(PASSPORT_PATH, line, "error", "x", "")) for line in range(1, 8)] == [
        *("title", "title", "title", "channels", "title", "title", "lead"),
    ]
