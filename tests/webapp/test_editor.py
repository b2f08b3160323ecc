"""The editor: what people write becomes a proposal, whole, under their name, and nothing else moves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pygit2
import pytest
import sqlalchemy as sa
from filelock import FileLock
from werkzeug.test import TestResponse

from kb import git_store
from kb.article import Article
from kb.draft import Draft
from tests.conftest import close
from tests.webapp.newsroom import ANNE, BAC, FILES, TROU, VERRE, House, Mould, Visitor, errors_in, fields_of, notes
from tests.webapp.reading import Page, read

EDIT = "/articles/bac/modifier"
NEW = "/articles/nouveau"


@pytest.fixture
def agnes(house: House) -> Visitor:
    """An agent."""
    return house.as_("agnes")


@pytest.fixture(scope="module")
def shared(mould: Mould, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The same, for tests where nothing goes live: one for all of them."""
    made = House(mould, tmp_path_factory.mktemp("shared") / "house")
    yield made
    close(made.app)


@pytest.fixture
def still(shared: House) -> Iterator[House]:
    """``shared``, of which nothing may move."""
    yield shared
    nothing_moved(shared)


@pytest.fixture
def basile(still: House) -> Visitor:
    """An agent of ``still``."""
    return still.as_("basile")


@pytest.fixture
def nothing_proposed(still: House) -> Iterator[None]:
    """No proposal is made meanwhile."""
    before = still.proposals.open_branches()
    yield
    assert still.proposals.open_branches() == before


def nothing_moved(house: House) -> None:
    assert [house.live(path) for path in (BAC, VERRE, TROU)] == [FILES[path] for path in (BAC, VERRE, TROU)]
    assert house.store.head() == house.store.history(BAC)[-1].id


# ---- an edit becomes a proposal ----
def test_an_edit_is_a_proposal_under_its_authors_name(house: House, agnes: Visitor) -> None:
    number = agnes.propose(EDIT, lead="Le bac jaune se demande en ligne.", message="Le dépôt a fermé.")
    nothing_moved(house)
    [branch] = house.proposals.open_branches()
    commit = pygit2.Repository(str(house.root))[branch.tip]
    assert isinstance(commit, pygit2.Commit)
    assert (commit.author.name, commit.author.email) == ("Agnès Accueil", "agnes@ville.example")
    assert commit.message.startswith("Modifie « Demander un bac jaune »\n\nLe dépôt a fermé.\n")
    row = house.row(number)
    assert (row.kind, row.state, row.slug, row.service, row.author_name) == ("edit", "open", "bac", "dechets", "Agnès Accueil")
    assert (row.branch, row.tip, row.base) == (branch.name, branch.tip, house.store.head())
    # Only what was written differs, to the byte.
    expected = FILES[BAC].replace("Le bac jaune est au dépôt communal.\n\nIl est gratuit.", "Le bac jaune se demande en ligne.")
    assert house.proposed().source == expected
    # It is on its way: who opens the article sees it.
    assert f"/propositions/{number}" in [link.attributes["href"] for link in agnes.page("/articles/bac").find("main a")]


CHANGES = {
    "title": "Obtenir un bac jaune",
    "lead": "Première ligne.  \nSeconde ligne.\n\n- un\n- deux",
    "short": "Bac jaune : voyez le dépôt, « rue du Port ».",
    "questions": "Où est mon bac ?\nBac : qui ?\n# Pas un commentaire\n- tiret\n\"guillemets\" et 'apostrophes'",
    "details": "## Titre\n\n```\n# pas un titre\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    "sources": "Un titre | https://un.example/?a=1&b=2\nhttps://deux.example/\nUn livre",
    "see_also": "trou\nverre",
    "tags": "CNI\n2026\nyes\nno: maybe",
    "reviewed_on": "2026-02-28",
    "review_by": "2031-12-31",
    "channels.sms": "Bac : dépôt.",
    "channels.letter": "Madame, Monsieur,\n\nVotre bac vous attend.",
    "audience": "internal",
    "kind": "advice",
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_is_kept_as_written(still: House, basile: Visitor, name: str) -> None:
    number = basile.propose(EDIT, **{name: CHANGES[name].replace("\n", "\r\n")})
    before, after = Article.parse(FILES[BAC], BAC), still.proposed(number=number)
    assert Draft.from_article(after).to_form()[name] == CHANGES[name]
    assert Draft.from_article(after).changed_from(Draft.from_article(before)) == (name,)
    assert "\r" not in after.source
    # The comment and the key that the form does not know are there still.
    assert "couleur: jaune" in after.source
    if name != "questions":
        assert "# comme on les reçoit" in after.source
    # Shown again, it is what was written.
    assert basile.form(f"/propositions/{number}/modifier")[name].replace("\r\n", "\n") == CHANGES[name]


def test_a_field_that_is_emptied_is_gone(house: House, agnes: Visitor) -> None:
    emptied = ("short", "tags", "see_also", "sources", "reviewed_on", "review_by", "channels.sms")
    agnes.propose(EDIT, **dict.fromkeys(emptied, ""))
    source = house.proposed().source
    assert [key for key in ("short:", "tags:", "see_also:", "sources:", "review", "channels:") if key in source] == []
    assert house.proposed().body == Article.parse(FILES[BAC], BAC).body


ODD = {
    "as it was": FILES[BAC],
    "windows": FILES[BAC].replace("\n", "\r\n"),
    "mark": "\ufeff" + FILES[BAC],
    "bare": "---\ntitle: Nu\n---\nTexte.",
    "spaces": "---\ntitle:   Nu  \nshort: |\n  un\n   deux\n---\n\n\n\tindenté\n\n\n## T  \n\nfin\n\n\n",
    "no lead": "---\ntitle: Nu\n---\n## Titre\n",
    "old words": "---\ntitle: 2026\ntags: yes\nsources: [https://a.example, un livre]\nquestions: une seule ?\n---\nA [[bac]].\n",
    "other channels": "---\ntitle: Nu\nchannels: {fax: Par fax., sms: Court.}\nshort: ''\n---\nTexte.\n",
    "decomposed": "---\ntitle: De\u0301chets\n---\nE\u0301te\u0301.\n",
    "wrong": "---\ntitle: Nu\nsee_also: [rien du tout]\nsources: [{url: javascript:alert(1)}]\nservice: inconnu\n---\nVoir [[rien]].\n",
}


@pytest.mark.parametrize("name", ODD)
def test_a_form_sent_as_shown_changes_nothing(house: House, agnes: Visitor, name: str) -> None:
    if name != "as it was":
        house.publish(BAC, ODD[name])
    response = agnes.send(EDIT)
    assert response.status_code == 422
    assert "Rien n'a changé" in errors_in(read(response))
    assert house.proposals.open_branches() == []
    assert house.rows() == []


def test_a_hand_edited_file_is_what_the_form_shows(house: House, agnes: Visitor) -> None:
    edited = FILES[BAC].replace("gratuit", "payant")
    (house.root / BAC).write_bytes(edited.encode())
    house.state.live.refresh()
    agnes.propose(EDIT, title="Un autre titre")
    assert house.live() == edited
    assert "payant" in house.proposed().source


# ---- what is wrong is said beside its field ----
WRONG = {
    "title": ("", "Écrivez un titre"),
    "lead": ("Bonjour.\n\n## Un titre", "ne contient pas de titre"),
    "details": ("Sans titre", "commence par un titre"),
    "sources": ("Le site | javascript:alert(1)", "n'est pas une adresse"),
    "see_also": ("../../etc/passwd", "n'est pas le nom d'un article"),
    "reviewed_on": ("31/12/2026", "n'est pas une date"),
    "review_by": ("2026-02-30", "n'est pas une date"),
    "slug": ("../climb", "lettres minuscules"),
    "service": ("../..", "Choisissez un service"),
    "audience": ("everybody", "Choisissez une valeur"),
    "kind": ("essay", "Choisissez une valeur"),
    "questions": ("x" * 1001, "1001 caractères"),
    "tags": ("\n".join(map(str, range(501))), "501 lignes"),
    "short": ("x" * 20_001, "20001 caractères"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.usefixtures("nothing_proposed")
def test_an_error_is_beside_its_field_and_the_text_is_kept(still: House, basile: Visitor, name: str) -> None:
    value, words = WRONG[name]
    written = {"lead": "Mon long texte.", "short": "Court.", "message": "Mes raisons."} | {name: value.replace("\n", "\r\n")}
    response = basile.send(EDIT, **written)
    assert response.status_code == 422
    page = read(response)
    assert words in notes(page, name)
    [field] = [one for one in page.find("#editor .field") if "is-wrong" in one.classes]
    assert page.one(f"#{name}") in [one for one in page.elements if any(parent is field for parent in one.parents)]
    assert "à corriger" in page.one(".error").text
    # Nothing of what was typed is lost.
    kept = fields_of(page, page.one("#editor"))
    assert {key: kept[key] for key in written} == written
    assert kept["seen"] == still.store.head()


@pytest.mark.usefixtures("nothing_proposed")
def test_a_wrong_name_is_not_hidden(basile: Visitor) -> None:
    for name, value in (("slug", "NON"), ("service", "nulle-part"), ("audience", "x"), ("kind", "x")):
        page = read(basile.send(EDIT, **{name: value}))
        around = [one for one in page.one(f"#{name}").parents if one.tag == "details"]
        assert ["open" in one.attributes for one in around] == [True], name


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"lead": "Voir [[nulle-part]]."}, "lead", "Aucun article n'a l'adresse « nulle-part »"),
        ({"see_also": "verre\nnulle-part"}, "see_also", "« nulle-part »"),
        ({"details": "## Suite\n\nVoir [[nulle-part]]."}, "details", "« nulle-part »"),
        ({"short": "x" * 300}, "short", "300 caractères"),
        ({"channels.sms": "x" * 500}, "channels.sms", "SMS"),
        ({"questions": "Une seule ?"}, "questions", "Une seule question"),
        ({"questions": "je m'appelle Jean Dupuis 0612345678"}, "questions", "« Jean Dupuis » ressemble à une donnée personnelle (nom)"),
        ({"sources": ""}, "sources", "Aucune source"),
        ({"review_by": ""}, "review_by", "Aucune date de relecture"),
        ({"lead": ""}, "lead", "La réponse manque"),
        ({"lead": "Le {{ service.fax }} répond."}, "lead", "service.fax"),
        ({"short": "Le {{ service.secret }} répond."}, "short", "service.secret"),
        ({"channels.letter": "Le {{ secret.secret }} répond."}, "channels.letter", "secret.secret"),
    ],
)
@pytest.mark.usefixtures("nothing_proposed")
def test_what_the_checks_find_is_beside_its_field(basile: Visitor, fields: dict[str, str], where: str, words: str) -> None:
    page = read(basile.send(EDIT, **fields, action="preview"))
    found = page.find(".notes")
    [note] = [one for one in found if one.attributes["data-notes"] == where]
    assert words in note.text
    # As a script asks for it, too.
    answer = basile.client.post("/editeur/apercu", data=basile.form(EDIT) | fields)
    assert answer.status_code == 200
    assert words in " ".join(one["message"] for one in answer.json["findings"][where])


@pytest.mark.usefixtures("nothing_proposed")
def test_a_list_of_addresses_takes_no_telephone(basile: Visitor) -> None:
    page = basile.page(EDIT)
    picked = [one.attributes for one in page.find("#editor button")]
    assert {one["data-pick-link"] for one in picked if "data-pick-link" in one} == {"lead", "details", "see_also"}
    assert {one["data-pick-value"] for one in picked if "data-pick-value" in one} == {"lead", "details"}


@pytest.mark.usefixtures("nothing_proposed")
def test_one_wrong_brace_hides_no_other_fault(basile: Visitor) -> None:
    """Nor does a date that is none: everything is told at once, each beside its field, and once."""
    wrong = {
        "lead": "Le {{ service.inconnu }} répond.\r\n\r\nVoir [[nulle-part]].",
        "short": "x" * 300,
        "reviewed_on": "2026-09-07",
        "review_by": "2025-09-07",
        "channels.sms": "Voir {{",
    }
    page = read(basile.send(EDIT, **wrong))
    assert notes(page, "lead").count("« service.inconnu » n'est pas une variable connue") == 1
    assert "« nulle-part »" in notes(page, "lead")
    assert "300 caractères" in notes(page, "short")
    assert "(7 septembre 2025) précède « Relu le » (7 septembre 2026)" in notes(page, "review_by")
    sms = notes(page, "channels.sms")
    assert sms.count("accolades") == 1
    assert "token" not in sms
    shown = basile.client.post("/editeur/apercu", data=basile.form(EDIT) | wrong | {"review_by": "demain"}).json
    assert "{{ service.inconnu }}" in Page(f"<body>{shown['html']}</body>").one(".lead").text
    assert shown["findings"]["review_by"][0]["message"].startswith("« demain » n'est pas une date")
    assert [one["message"].split()[0] for one in shown["findings"]["lead"]].count("«") == 1
    assert "short" in shown["findings"]


@pytest.mark.parametrize("text", ["Le {{ secret }} répond.", "{% for x in y %}", "{{ ''.__class__.__mro__ }}", "{{"])
@pytest.mark.usefixtures("nothing_proposed")
def test_a_placeholder_that_cannot_be_filled_is_never_proposed(basile: Visitor, text: str) -> None:
    response = basile.send(EDIT, lead=text)
    assert response.status_code == 422
    assert notes(read(response), "lead")


# ---- the preview ----
@pytest.mark.usefixtures("nothing_proposed")
def test_the_preview_shows_the_page_and_every_channel(still: House, basile: Visitor) -> None:
    form = basile.form(EDIT) | {
        "title": "Un bac neuf",
        "lead": "Le bac neuf. Appelez le {{ service.phone }}.",
        "details": "## Suite\n\nVoir [[trou]].",
    }
    answer = basile.client.post("/editeur/apercu", data=form)
    shown = Page(f"<body>{answer.json['html']}</body>")
    assert shown.one(".preview-title").text == "Un bac neuf"
    assert "Appelez le 02 61 00 00 01" in shown.one(".lead").text
    assert shown.find(".prose a")[0].attributes["href"] == "/articles/trou"
    titles = [one.text.split() for one in shown.find("summary")]
    labels = [channel.label for channel in still.state.context.channels.values()]
    assert len(titles) == 1 + len(labels) > 5
    for title, label in zip(titles[1:], labels, strict=True):
        assert title[: len(label.split())] == label.split()
    counters = [one.text.strip() for one in shown.find(".counter")]
    replies = [one.text.strip() for one in shown.find(".reply")]
    assert len(counters) == len(replies) == len(labels)
    assert all(counter.split(" / ")[0].isdigit() for counter in counters)
    sms = [label for label, one in zip(labels, counters, strict=True) if " / " in one]
    assert "SMS" in sms
    # Without a script, the same comes with the page.
    page = read(basile.client.post(EDIT, data=form | {"action": "preview"}))
    assert page.one("#preview .preview-title").text == "Un bac neuf"
    assert fields_of(page, page.one("#editor"))["lead"] == form["lead"]


@pytest.mark.usefixtures("nothing_proposed")
def test_a_channel_that_is_too_long_is_marked(basile: Visitor) -> None:
    answer = basile.client.post("/editeur/apercu", data=basile.form(EDIT) | {"channels.sms": "x" * 500})
    [over] = Page(f"<body>{answer.json['html']}</body>").find(".over")
    assert over.text.startswith("5")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"title": "", "service": "", "slug": ""},
        {"title": "\0\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"), "service": "dechets"},
        {"title": "x", "service": "../..", "slug": "../.."},
        {"title": "x", "service": "dechets", "lead": "{{ secret }}"},
        {"title": "x", "service": "dechets", "lead": "[" * 5000 + "*" * 5000},
        {"title": "x", "service": "dechets", "reviewed_on": "hier"},
        {"title": "x" * 5000, "service": "dechets"},
        {"title": "x", "service": "dechets", "channels.": "x", "channels.\n": "y", "channels.a b": "z"},
        {"title": "x", "service": "dechets", "slug": "bac"},
    ],
)
@pytest.mark.usefixtures("nothing_proposed")
def test_the_preview_of_anything_is_an_answer(basile: Visitor, fields: dict[str, str]) -> None:
    answer = basile.client.post("/editeur/apercu", data={"csrf_token": basile.token, **fields})
    assert answer.status_code == 200
    assert set(answer.json) == {"html", "near", "findings"}


@pytest.mark.usefixtures("nothing_proposed")
def test_a_near_article_is_shown_while_one_writes(basile: Visitor) -> None:
    written = {"title": "Demander un bac jaune", "lead": "Le bac jaune est au dépôt communal.", "questions": "Où trouver un bac jaune ?"}
    answer = basile.client.post("/editeur/apercu", data=basile.form(NEW) | written)
    near = Page(f"<body>{answer.json['near']}</body>")
    assert "Un article proche existe déjà" in near.text
    assert "/articles/bac" in [link.attributes["href"] for link in near.find("a")]
    # Said again when it is sent without a script; not of the article itself when it is edited.
    page = read(basile.send(NEW, **written, action="preview"))
    assert "Un article proche existe déjà" in page.one("#near").text
    assert basile.client.post("/editeur/apercu", data=basile.form(EDIT)).json["near"].strip() == ""
    assert basile.client.post("/editeur/apercu", data=basile.form(NEW) | {"title": "La piscine municipale"}).json["near"].strip() == ""


# ---- new articles ----
def test_a_new_article_is_named_after_its_title(house: House, agnes: Visitor) -> None:
    number = agnes.propose(NEW, title="L'Été à la déchèterie : horaires & accès", lead="Ouverte l'été.", service="voirie", slug="")
    path = "articles/voirie/l-ete-a-la-decheterie-horaires-acces.md"
    assert house.proposed(path).title == "L'Été à la déchèterie : horaires & accès"
    row = house.row(number)
    assert (row.kind, row.service, row.former_service) == ("create", "voirie", None)
    assert not (house.root / path).exists()
    assert agnes.client.get("/articles/l-ete-a-la-decheterie-horaires-acces").status_code == 404
    assert house.as_("vera").accept(number).status_code == 303
    assert house.live(path).endswith("---\n\nOuverte l'été.\n")
    assert "Ouverte l'été" in agnes.page("/articles/l-ete-a-la-decheterie-horaires-acces").one("main").text


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"title": "Bac", "service": "dechets"}, "slug", "déjà prise par « Demander un bac jaune »"),
        ({"title": "Autre", "slug": "trou", "service": "dechets"}, "slug", "déjà prise par « Signaler un nid-de-poule »"),
        ({"title": "Autre", "service": "impots"}, "service", "Ce service n'existe pas"),
        ({"title": "Autre", "service": ""}, "service", "Choisissez un service"),
        ({"title": "!!!", "service": "dechets"}, "slug", "L'adresse se compose"),
        ({"title": "", "service": "dechets"}, "title", "Écrivez un titre"),
    ],
)
@pytest.mark.usefixtures("nothing_proposed")
def test_a_new_article_that_cannot_be_says_why(basile: Visitor, fields: dict[str, str], where: str, words: str) -> None:
    response = basile.send(NEW, **{"lead": "Texte.", **fields})
    assert response.status_code == 422
    assert words in notes(read(response), where)


def test_an_old_address_is_not_given_to_a_new_article(house: House, agnes: Visitor) -> None:
    page = read(agnes.send(NEW, title="Bouteilles", lead="Texte.", service="dechets", action="preview"))
    assert "ancienne adresse de l'article « Jeter le verre »" in notes(page, "slug")
    number = agnes.propose(NEW, title="Bouteilles", lead="Texte.", service="dechets")
    assert house.as_("dora").accept(number).status_code == 409


@pytest.mark.usefixtures("nothing_proposed")
def test_the_form_of_a_new_article_begins_with_ones_own_service(still: House) -> None:
    assert still.as_("vera").form(NEW)["service"] == "voirie"
    assert still.as_("vera").form(f"{NEW}?service=dechets")["service"] == "dechets"
    assert still.as_("vera").form(f"{NEW}?service=../..")["service"] == "voirie"
    assert still.as_("agnes").form(NEW)["service"] == ""


# ---- other names ----
def test_a_renamed_article_keeps_its_old_address_and_its_links(house: House, agnes: Visitor) -> None:
    number = agnes.propose(EDIT, slug="bac-jaune", title="Le bac jaune")
    row = house.row(number)
    assert (row.kind, row.slug, row.former_service) == ("rename", "bac-jaune", None)
    nothing_moved(house)
    assert "articles/dechets/bac.md → articles/dechets/bac-jaune.md" in agnes.page(f"/propositions/{number}?vue=source").text
    page = agnes.page(f"/propositions/{number}")
    assert "Adresse" in [one.text for one in page.find(".change dt")]
    assert "bac.md" not in page.one("main").text
    assert house.as_("dora").accept(number).status_code == 303
    assert not (house.root / BAC).exists()
    assert house.proposals.open_branches() == []
    answer = agnes.client.get("/articles/bac")
    assert (answer.status_code, answer.location) == (301, "/articles/bac-jaune")
    assert agnes.client.get(EDIT).location == "/articles/bac-jaune/modifier"
    # The text of the article that links to it was not touched, and its link leads to the new name.
    assert house.live(TROU) == FILES[TROU]
    assert "/articles/bac-jaune" in [link.attributes["href"] for link in agnes.page("/articles/trou").find(".prose a")]
    assert "Premier texte" in agnes.page("/articles/bac-jaune/versions").text
    # And back again.
    number = agnes.propose("/articles/bac-jaune/modifier", slug="bac")
    assert house.as_("dora").accept(number).status_code == 303
    assert agnes.client.get("/articles/bac-jaune").location == "/articles/bac"
    assert Article.parse(house.live(), BAC).meta.aliases == ("bac-jaune",)


def test_two_articles_do_not_take_the_same_name(house: House, agnes: Visitor) -> None:
    response = agnes.send(EDIT, slug="verre")
    assert response.status_code == 422
    assert "déjà prise par « Jeter le verre »" in notes(read(response), "slug")
    # Nor do two proposals: the first one has it.
    first, second = agnes.propose(EDIT, slug="tri"), agnes.propose("/articles/verre/modifier", slug="tri")
    dora = house.as_("dora")
    assert dora.accept(first).status_code == 303
    response = dora.accept(second)
    assert response.status_code == 409
    assert "Un autre article a pris cette adresse" in read(response).text or "déjà prise" in read(response).text
    assert Article.parse(house.live("articles/dechets/tri.md"), "articles/dechets/tri.md").title == "Demander un bac jaune"


# ---- off line, and back ----
def test_an_archived_article_leads_to_its_replacement_and_comes_back(house: House, agnes: Visitor) -> None:
    page = agnes.page("/articles/bac/archiver")
    assert "Signaler un nid-de-poule" in page.one(".warning").text
    assert {one.attributes["value"] for one in page.find("datalist option")} == {"Jeter le verre", "Signaler un nid-de-poule"}
    number = int(agnes.post("/articles/bac/archiver", replacement=" jeter  LE verre", message="Doublon").location.split("/")[2])
    address = f"/propositions/{number}"
    assert (house.row(number).kind, house.row(number).message) == ("archive", "Doublon")
    nothing_moved(house)
    # The reviewer reads what happens, in words.
    dora = house.as_("dora")
    page = dora.page(address)
    said = " ".join(page.one(".change").text.split())
    assert "« Demander un bac jaune » quitte la recherche et le site." in said
    assert "Son adresse et ses anciens noms (« bac ») mèneront à : Jeter le verre" in said
    assert "Aucun changement visible" not in page.text
    assert ".md" not in page.one("main").text
    assert dora.accept(number).status_code == 303
    page = dora.page(address)
    assert "« Demander un bac jaune » n'est plus en ligne : son adresse mène à « Jeter le verre »." in page.one(".flash").text
    assert page.one(".meta .state").text == "article archivé"
    assert [link.attributes["href"] for link in page.find(".meta a")] == ["/articles/archives/dechets/bac", "/articles/verre"]
    assert "Article en ligne" not in page.text
    answer = agnes.client.get("/articles/bac")
    assert (answer.status_code, answer.location) == (301, "/articles/verre")
    assert "bac" not in agnes.found("communal")
    assert house.live("archive/dechets/bac.md") == FILES[BAC]
    number = int(agnes.post("/articles/archives/bac/retablir").location.split("/")[2])
    assert house.row(number).kind == "restore"
    page = dora.page(f"/propositions/{number}")
    said = " ".join(page.one(".change").text.split())
    assert "« Demander un bac jaune » revient en ligne" in said
    assert "Mèneront de nouveau à lui : « bac ». Jusqu'ici, ces adresses mènent à : Jeter le verre" in said
    # There is nothing to modify in it.
    assert "Demander une modification" not in page.one(".decisions").text
    assert dora.post(f"/propositions/{number}/demander-modification", text="Encore.").status_code == 409
    assert dora.accept(number).status_code == 303
    assert "« Demander un bac jaune » est en ligne." in dora.page(f"/propositions/{number}").one(".flash").text
    page = dora.page(address)
    assert [link.text for link in page.find(".meta a")] == ["Article en ligne"]
    assert house.live() == FILES[BAC]
    assert Article.parse(house.live(VERRE), VERRE).meta.aliases == ("bouteilles",)
    assert agnes.found("communal") == ["bac"]


def test_what_others_link_to_is_not_archived_without_a_replacement(house: House, agnes: Visitor) -> None:
    number = int(agnes.post("/articles/bac/archiver").location.split("/")[2])
    dora = house.as_("dora")
    page = dora.page(f"/propositions/{number}")
    assert "Cet article pointe vers « Demander un bac jaune »" in errors_in(page)
    assert "Accepter et publier" not in page.one(".decisions").text
    assert "Aucun article ne le remplace" in page.one(".change").text
    response = dora.accept(number)
    assert response.status_code == 409
    assert "Signaler un nid-de-poule : Cet article pointe vers « Demander un bac jaune »" in errors_in(read(response))
    nothing_moved(house)
    # Its link corrected, it can go.
    other = agnes.propose("/articles/trou/modifier", details="## Ensuite\n\nPlus rien.")
    assert house.as_("vera").accept(other).status_code == 303
    assert dora.accept(number).status_code == 303
    assert "« Demander un bac jaune » n'est plus en ligne." in dora.page(f"/propositions/{number}").one(".flash").text
    assert agnes.client.get("/articles/bac").status_code == 404


def test_the_replacement_of_an_archived_article_is_amended(house: House, agnes: Visitor) -> None:
    number = int(agnes.post("/articles/bac/archiver", replacement="trou").location.split("/")[2])
    address = f"/propositions/{number}/modifier"
    dora = house.as_("lea")
    assert dora.post(f"/propositions/{number}/demander-modification", text="Plutôt le verre.").status_code == 303
    assert "Modifier la proposition" in agnes.page(f"/propositions/{number}").one(".decisions").text
    page = agnes.page(address)
    assert page.one("h1").text == f"Modifier la proposition n° {number}"
    assert page.one("#replacement").attributes["value"] == "Signaler un nid-de-poule"
    form = fields_of(page, page.one("main form"))
    for wrong in ("Nulle part", "bac"):
        response = agnes.client.post(address, data=form | {"replacement": wrong, "message": "Ma raison."})
        assert response.status_code == 422
        assert read(response).one("#replacement").attributes["value"] == wrong
    live = FILES[BAC].replace("communal", "municipal")
    house.publish(BAC, live)  # meanwhile
    assert agnes.client.post(address, data=form | {"replacement": "Jeter le verre", "message": "D'accord."}).status_code == 303
    row = house.row(number)
    assert [(event.action, event.text) for event in row.events][2:] == [("amended", "D'accord.")]
    assert (row.kind, row.state, row.slug, row.title) == ("archive", "open", "bac", "Demander un bac jaune")
    assert agnes.client.post(address, data=form).status_code == 422  # somebody amended it since
    assert house.as_("basile").client.get(address).status_code == 403
    assert dora.accept(number).status_code == 303
    assert agnes.client.get("/articles/bac").location == "/articles/verre"
    assert house.live(TROU) == FILES[TROU]
    assert house.live("archive/dechets/bac.md") == live


def test_a_replacement_that_is_newer_than_the_proposal_is_refused(house: House, agnes: Visitor) -> None:
    number = int(agnes.post("/articles/bac/archiver", replacement="verre").location.split("/")[2])
    house.publish("articles/dechets/neuf.md", "---\ntitle: Neuf\n---\nTexte.\n")
    page = agnes.page(f"/propositions/{number}/modifier")
    response = agnes.client.post(f"/propositions/{number}/modifier", data=fields_of(page, page.one("main form")) | {"replacement": "Neuf"})
    assert response.status_code == 422
    assert "est plus récent que cette proposition" in errors_in(read(response))


def test_who_edits_sees_what_is_open_already(house: House, agnes: Visitor) -> None:
    assert "Déjà en cours" not in agnes.page(EDIT).text
    first = agnes.propose(EDIT, title="Un bac")
    basile = house.as_("basile")
    page = basile.page(EDIT)
    assert "Déjà en cours sur cet article : proposition n° 1 (Agnès Accueil)" in page.text
    assert f"/propositions/{first}" in [link.attributes["href"] for link in page.find("#editor a")]
    assert "Déjà en cours" not in agnes.page(f"/propositions/{first}/modifier").text
    # Of a new article, when its address is known.
    agnes.propose(NEW, title="La piscine", lead="Ouverte.", service="dechets")
    assert "Déjà en cours" not in basile.page(NEW).text
    assert "Déjà en cours" in read(basile.send(NEW, title="La piscine", service="dechets", action="preview")).text


@pytest.mark.parametrize("lead", ["Ouverte.", "Fermée."])
@pytest.mark.parametrize("service", ["dechets", "voirie"])
def test_the_same_new_article_is_not_published_twice(house: House, agnes: Visitor, service: str, lead: str) -> None:
    first = agnes.propose(NEW, title="La piscine", lead="Ouverte.", service="dechets")
    second = house.as_("basile").propose(NEW, title="La piscine", lead=lead, service=service)
    ada = house.as_("ada")
    assert ada.accept(first).status_code == 303
    page = ada.page(f"/propositions/{second}")
    assert "Accepter et publier" not in page.one(".decisions").text
    assert errors_in(page)
    before = house.store.head()
    assert ada.accept(second).status_code == 409
    assert house.store.head() == before
    assert house.row(second).is_open


@pytest.mark.parametrize(("replacement", "words"), [("nulle-part", "nulle-part"), ("bac", "ne se remplace pas lui-même"), ("../x", "../x")])
@pytest.mark.usefixtures("nothing_proposed")
def test_a_replacement_must_be_another_article(basile: Visitor, replacement: str, words: str) -> None:
    response = basile.post("/articles/bac/archiver", replacement=replacement, message="Raison")
    assert response.status_code == 422
    page = read(response)
    assert words in page.one(".error").text
    assert page.one("#replacement").attributes["value"] == replacement
    assert "Raison" in page.one("#why").text


def test_archiving_takes_the_text_that_is_live_now(house: House, agnes: Visitor) -> None:
    new = FILES[VERRE].replace("verte", "bleue")
    house.store.publish({VERRE: new}, ANNE, "Publié par un autre processus, que celui-ci n'a pas encore lu")
    number = int(agnes.post("/articles/verre/archiver", replacement="bac").location.split("/")[2])
    assert house.as_("dora").accept(number).status_code == 303
    assert house.live("archive/dechets/verre.md") == new


# ---- a proposal that is changed ----
def test_a_proposal_is_amended_by_its_author(house: House, agnes: Visitor) -> None:
    number = agnes.propose(EDIT, title="Un bac", short="Un bac vous attend.")
    first = house.row(number).tip
    form = agnes.form(f"/propositions/{number}/modifier")
    assert (form["title"], form["short"]) == ("Un bac", "Un bac vous attend.")
    assert agnes.propose(f"/propositions/{number}/modifier", title="Deux bacs", message="J'avais mal compté.") == number
    row = house.row(number)
    assert (row.title, row.state) == ("Deux bacs", "open")
    assert row.tip != first
    assert [(event.action, event.text) for event in row.events] == [("opened", ""), ("amended", "J'avais mal compté.")]
    assert house.proposed().title == "Deux bacs"
    assert house.proposed().meta.short == "Un bac vous attend."
    nothing_moved(house)
    # Changed back to nothing, there is nothing left to propose.
    live = {key: value for key, value in agnes.form(EDIT).items() if key not in ("seen", "path", "csrf_token")}
    response = agnes.send(f"/propositions/{number}/modifier", **live)
    assert response.status_code == 409
    assert "Retirez-la" in errors_in(read(response))


def test_a_new_article_is_amended_under_another_name_too(house: House, agnes: Visitor) -> None:
    number = agnes.propose(NEW, title="La piscine", lead="Ouverte.", service="dechets")
    address = f"/propositions/{number}/modifier"
    preview = read(agnes.send(address, lead="Fermée.", action="preview"))
    assert "Modifier la proposition" in preview.one("h1").text
    agnes.propose(address, lead="Fermée le lundi.", slug="piscine", service="voirie")
    [branch] = house.proposals.open_branches()
    [change] = house.proposals.file_changes(branch.base, branch.tip)
    assert (change.old_path, change.new_path) == (None, "articles/voirie/piscine.md")
    row = house.row(number)
    assert (row.kind, row.slug, row.service, row.former_service) == ("create", "piscine", "voirie", None)


def test_only_the_author_and_the_reviewers_amend(house: House, agnes: Visitor) -> None:
    number = agnes.propose(EDIT, title="Un bac")
    address = f"/propositions/{number}/modifier"
    for other in ("basile", "vera"):
        response = house.as_(other).client.get(address)
        assert response.status_code == 403
        assert "Seuls l'auteur" in read(response).text
        assert house.as_(other).post(address, title="Pris").status_code == 403
    assert house.as_("denis").propose(address, title="Un bac, relu") == number
    assert house.proposed().title == "Un bac, relu"


def test_an_amendment_of_what_changed_meanwhile_is_not_lost_nor_forced(house: House, agnes: Visitor) -> None:
    number = agnes.propose(EDIT, title="Un bac")
    address = f"/propositions/{number}/modifier"
    form = agnes.form(address)
    house.as_("dora").propose(address, title="Le bac de Dora")
    response = agnes.client.post(address, data=form | {"title": "Le bac d'Agnès"})
    assert response.status_code == 409
    page = read(response)
    assert "Quelqu'un a modifié ce texte" in errors_in(page)
    assert page.one("#title").attributes["value"] == "Le bac d'Agnès"
    assert house.proposed().title == "Le bac de Dora"


def test_a_proposal_of_several_articles_keeps_them_all_when_amended(house: House) -> None:
    changes = {path: FILES[path].replace("---\n\n", "---\n").replace("\n---\n", "\n---\nPartout. ", 1) for path in (BAC, VERRE)}
    house.proposals.propose("a-la-main", changes, ANNE, "Deux articles")
    dora = house.as_("dora")
    dora.page("/propositions/")
    dora.propose("/propositions/1/modifier", title="Un bac")
    [branch] = house.proposals.open_branches()
    assert {one.path: one.after for one in house.proposals.file_changes(branch.base, branch.tip)}[VERRE] == changes[VERRE]
    assert house.proposed().title == "Un bac"
    assert "Partout." in house.proposed().source


def test_a_closed_proposal_is_not_amended(house: House, agnes: Visitor) -> None:
    number = agnes.propose(EDIT, title="Un bac")
    form = agnes.form(f"/propositions/{number}/modifier")
    assert agnes.post(f"/propositions/{number}/retirer").status_code == 303
    for answer in (
        agnes.client.get(f"/propositions/{number}/modifier"),
        agnes.client.post(f"/propositions/{number}/modifier", data=form),
        agnes.client.get(f"/propositions/{number}/conflit"),
    ):
        assert answer.status_code == 409


# ---- the text changes while one writes ----
def test_what_went_live_meanwhile_is_not_reverted(house: House, agnes: Visitor) -> None:
    form = agnes.form(EDIT)
    house.publish(BAC, FILES[BAC].replace("rue du Port", "quai du Port").replace("tags: [bac, tri]", "tags: [bac, tri, port]"))
    response = agnes.client.post(EDIT, data=form | {"title": "Un bac", "tags": "bac\r\ntri\r\njaune"})
    assert response.status_code == 303
    # The reviewer sees what she changed, and nothing that she did not.
    page = house.as_("dora").page(response.location)
    assert "quai du Port" not in page.one(".diff").text
    assert [one.text for one in page.find(".diff dt")] == ["Titre", "Étiquettes"]
    assert house.as_("dora").accept(int(response.location.split("/")[2])).status_code == 303
    live = Article.parse(house.live(), BAC)
    assert live.title == "Un bac"
    assert "quai du Port" in live.body
    assert set(live.meta.tags) == {"bac", "tri", "port", "jaune"}


def test_what_was_renamed_meanwhile_is_found(house: House, agnes: Visitor) -> None:
    form = agnes.form(EDIT)
    dora = house.as_("dora")
    assert house.as_("denis").accept(dora.propose(EDIT, slug="bac-jaune")).status_code == 303
    response = agnes.client.post(EDIT, data=form | {"title": "Un bac"})
    assert response.status_code == 303
    assert dora.accept(int(response.location.split("/")[2])).status_code == 303
    assert not (house.root / BAC).exists()
    assert Article.parse(house.live("articles/dechets/bac-jaune.md"), "articles/dechets/bac-jaune.md").title == "Un bac"


def test_what_was_archived_meanwhile_is_not_found(house: House, agnes: Visitor) -> None:
    form = agnes.form("/articles/trou/modifier")
    house.store.publish({TROU: None, "archive/voirie/trou.md": FILES[TROU]}, ANNE, "Archive")
    house.state.live.refresh()
    assert agnes.client.post("/articles/trou/modifier", data=form | {"title": "Un trou"}).status_code == 404
    assert house.proposals.open_branches() == []


def test_a_text_that_was_rewritten_in_git_is_refused_with_the_text_kept(house: House, agnes: Visitor) -> None:
    form = agnes.form(EDIT)
    repository = pygit2.Repository(str(house.root))
    signature = ANNE.signature()
    head = repository[repository.head.target]
    assert isinstance(head, pygit2.Commit)
    orphan = repository.create_commit(None, signature, signature, "Histoire réécrite", head.tree_id, [])
    repository.references["refs/heads/main"].set_target(orphan)
    response = agnes.client.post(EDIT, data=form | {"title": "Un bac"})
    assert response.status_code == 422
    page = read(response)
    assert "n'est plus dans l'historique" in errors_in(page)
    assert page.one("#title").attributes["value"] == "Un bac"


# ---- forged forms ----
@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("../../etc/passwd", None), ("/etc/passwd", None), ("articles/../services.yml", None), ("services.yml", None),
        (".git/config", None),
        ("articles/dechets", None), (VERRE, None), (TROU, None), ("", None), (BAC.upper(), None),
        (BAC, ""), (BAC, "HEAD"), (BAC, "main"), (BAC, "--help"), (BAC, "0" * 40), (BAC, "é"), (BAC, "a" * 10_000), (BAC, "-"),
        (BAC, "x-{head}"), (BAC, "{head}-"), (BAC, "{head}\n"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nothing_proposed")
def test_a_form_that_lies_about_its_text_is_refused(still: House, basile: Visitor, path: str, seen: str | None) -> None:
    head = still.store.head()
    fields = basile.form(EDIT) | {"title": "Forgé", "path": path, "seen": head if seen is None else seen.format(head=head)}
    response = basile.client.post(EDIT, data=fields)
    assert response.status_code == 400
    assert "de quel texte il part" in read(response).text
    if path and path not in (VERRE, TROU):
        assert basile.client.post("/editeur/apercu", data=fields).status_code == 400


@pytest.mark.parametrize("fields", [{"path": BAC}, {"path": BAC, "seen": "{head}"}, {"seen": "0" * 40}, {"seen": "../.."}])
def test_a_new_article_has_no_former_text(house: House, agnes: Visitor, fields: dict[str, str]) -> None:
    named = {name: value.format(head=house.store.head()) for name, value in fields.items()}
    response = agnes.client.post(NEW, data=agnes.form(NEW) | {"title": "Piscine", "lead": "Texte.", "service": "dechets"} | named)
    assert response.status_code in (303, 400)
    if response.status_code == 303:
        [branch] = house.proposals.open_branches()
        [change] = house.proposals.file_changes(branch.base, branch.tip)
        assert (change.old_path, change.new_path) == (None, "articles/dechets/piscine.md")
        assert branch.base == house.store.head()


def test_an_unpublished_text_is_not_what_one_saw(house: House, agnes: Visitor) -> None:
    agnes.propose(EDIT, title="En attente")
    [branch] = house.proposals.open_branches()
    response = agnes.client.post(EDIT, data=agnes.form(EDIT) | {"seen": branch.tip, "short": "Forgé"})
    assert response.status_code in (400, 422)
    assert len(house.proposals.open_branches()) == 1


def test_a_field_that_the_form_does_not_have_changes_nothing(house: House, agnes: Visitor) -> None:
    agnes.propose(EDIT, title="Un bac", aliases="verre", branch="main", author="Denis", couleur="verte", **{"channels.sms": "Court."})
    after = house.proposed()
    assert after.meta.aliases == ()
    assert "couleur: jaune" in after.source


@pytest.mark.parametrize("field", ["lead", "details", "message"])
def test_a_megabyte_is_refused_or_kept_whole(house: House, agnes: Visitor, field: str) -> None:
    words = "## Titre\n\n" if field == "details" else ""
    response = agnes.send(EDIT, **{"title": "Un bac"} | {field: words + "mot " * 250_000})
    if field == "message":
        assert response.status_code == 303
        assert len(house.row(1).message) <= 5000
    else:
        assert response.status_code == 422
        assert notes(read(response), field)
        assert house.proposals.open_branches() == []


@pytest.mark.usefixtures("nothing_proposed")
def test_more_than_a_form_may_hold_is_refused(basile: Visitor) -> None:
    response = basile.send(EDIT, lead="mot " * 600_000)
    assert response.status_code == 413


POSTS = (EDIT, NEW, "/propositions/1/modifier", "/propositions/1/conflit", "/articles/bac/archiver", "/editeur/apercu")
DECISIONS = tuple(f"/propositions/1/{verb}" for verb in ("commenter", "demander-modification", "refuser", "retirer", "traiter", "publier"))


@pytest.mark.parametrize("address", POSTS + DECISIONS)
def test_a_forged_form_does_nothing(house: House, address: str) -> None:
    author, reviewer = house.as_("agnes"), house.as_("dora")
    author.propose(EDIT, title="Un bac")
    live = FILES[BAC].replace("Demander un bac jaune", "Ici")
    house.publish(BAC, live)
    before = house.row(1)
    fields = author.form(EDIT) | {"text": "Forgé", "tip": before.tip or "", "replacement": "verre", "title": "Forgé"}
    for who in (author, reviewer):
        for token in ("", "forged", house.as_("ada").token):
            response = who.client.post(address, data=fields | {"csrf_token": token})
            assert response.status_code == 400
            assert ("Le formulaire a expiré" if address == "/editeur/apercu" else "Votre session avait expiré") in read(response).text
        fields.pop("csrf_token", None)
        assert who.client.post(address, data=fields).status_code == 400
    after = house.row(1)
    assert (after.state, after.tip, len(after.events)) == ("open", before.tip, 1)
    assert len(house.proposals.open_branches()) == 1
    assert house.live() == live


# ---- a session that ended ----
def hidden(page: Page) -> dict[str, str]:
    """The fields that a page keeps to send them again."""
    return fields_of(page, page.one("main form"))


@pytest.mark.parametrize("address", [EDIT, NEW, "/propositions/1/modifier", "/propositions/1/conflit"])
def test_a_form_whose_session_expired_comes_back_with_the_text(house: House, agnes: Visitor, address: str) -> None:
    agnes.propose(EDIT, title="Un bac")
    house.publish(BAC, FILES[BAC].replace("Demander un bac jaune", "Ici"))
    form = agnes.form(address)
    written = {"title": "Mon titre", "lead": "Mon long texte.", "message": "Mes raisons.", "service": "dechets"}
    choice = {"choice.title": "own"} if "conflit" in address else {}
    page = read(agnes.client.post(address, data=form | written | choice | {"csrf_token": "expired"}))
    assert "Votre session avait expiré : relisez, puis envoyez de nouveau." in page.one(".flash-error").text
    again = fields_of(page, page.one("#editor"))
    assert {name: again[name] for name in written} == written
    # Sent again, it goes.
    assert house.row(1).tip == house.proposals.open_branches()[0].tip
    assert agnes.client.post(address, data=again).status_code == 303
    assert "Mon long texte." in {one.lead for one in texts(house)}


def texts(house: House) -> list[Article]:
    """The articles of every open proposal."""
    found = (one for branch in house.proposals.open_branches() for one in house.proposals.file_changes(branch.base, branch.tip))
    return [Article.parse(one.after, one.new_path) for one in found if one.after and one.new_path]


def test_every_other_form_comes_back_too(house: House, agnes: Visitor) -> None:
    agnes.propose(EDIT, title="Un bac")
    page = read(agnes.client.post("/propositions/1/commenter", data={"text": "Mon long commentaire."}))
    assert "Votre session avait expiré" in errors_in(page)
    assert page.one("#text").text.strip() == "Mon long commentaire."
    page = read(agnes.client.post("/articles/bac/archiver", data={"replacement": "Jeter le verre", "message": "Ma raison."}))
    assert (page.one("#replacement").attributes["value"], page.one("#why").text) == ("Jeter le verre", "Ma raison.")
    for name, fields in (("sans-reponse", {"service": "voirie"}), ("mauvaise-reponse", {"article": "bac", "right_title": "Verre"})):
        page = read(agnes.client.post(f"/demandes/{name}", data={"question": "Où est le camion ?", **fields}))
        assert "Votre session avait expiré" in errors_in(page)
        kept = fields_of(page, page.one(".request-form"))
        assert kept["question"] == "Où est le camion ?"
        assert {key: kept[key] for key in fields} == fields
    assert len(house.rows()) == 1


def test_who_must_log_in_again_loses_nothing(house: House, agnes: Visitor) -> None:
    form = agnes.form(EDIT) | {"title": "Mon titre", "lead": 'Mon "long" texte <b>.'}
    stranger = Visitor(house.app.test_client())
    response = stranger.client.post(EDIT, data=form)
    assert response.status_code == 401
    page = read(response)
    assert "Votre session a pris fin" in page.one("h1").text
    assert hidden(page) == {name: value for name, value in form.items() if name != "csrf_token"}
    # Once logged in, in another tab, the form comes back.
    page = read(house.as_("agnes").client.post(EDIT, data=hidden(page)))
    assert page.one("#title").attributes["value"] == "Mon titre"
    assert agnes.client.post(EDIT, data=fields_of(page, page.one("#editor")) | {"csrf_token": agnes.token}).status_code == 303
    # A log-in that ended on the server, the cookie still there, is no different.
    house.database.execute(sa.text("DELETE FROM log_ins"))
    house.database.commit()
    assert hidden(read(agnes.client.post(EDIT, data=form)))["lead"] == form["lead"]


def test_what_another_site_posts_is_not_shown(agnes: Visitor) -> None:
    for who in (agnes.client, agnes.client.application.test_client()):
        response = who.post(EDIT, data=agnes.form(EDIT) | {"title": "Forgé", "csrf_token": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
        assert response.status_code == 400
        assert "Forgé" not in response.text


# ---- hostile text ----
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "</textarea><script>alert(1)</script>",
    "</pre></details><iframe src=javascript:alert(1)></iframe>",
    "[a](javascript:alert(1)) [b](JaVaScRiPt&colon;alert(1)) [c](data:text/html;base64,PHNjcmlwdD4=) ![d](javascript:alert(1))",
    "<a href=\"java&#x0A;script:alert(1)\">a</a> <form action=javascript:alert(1)><button formaction=javascript:alert(1)>b</button></form>",
    "<math><mi xlink:href=\"javascript:alert(1)\">x</mi></math> <object data=x></object> <embed src=x> <base href=//evil.example/>",
    "<style>*{background:url(//evil.example)}</style> <p style=\"color:red\">x</p>",
    "<link rel=stylesheet href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example> <!--><script>alert(1)</script>-->",
    "{{ ''.__class__ }}<template><script>alert(1)</script></template>",
)  # fmt: skip
FORBIDDEN = {"iframe", "object", "embed", "base", "math", "style", "template"}


def nothing_runs(page: Page) -> None:
    """Nothing that a person wrote is an element or an attribute that can run, load or send."""
    own_scripts = {"theme.js", "app.js", "editor.js", "article.js", "copy.js", "desk.js"}
    for one in page.elements:
        assert one.tag not in FORBIDDEN, one
        if one.tag == "script":
            assert one.attributes["src"].split("/")[-1].split("?")[0] in own_scripts
            assert one.text == ""
        if one.tag in ("meta", "link"):
            assert one.inside("head"), one
            assert "evil" not in "".join(one.attributes.values())
        assert not [name for name in one.attributes if name.startswith("on") or name == "style"], one
        for name in ("href", "src", "action", "formaction", "data", "xlink:href"):
            address = "".join(one.attributes.get(name, "").split()).lower()
            assert not address.startswith(("javascript:", "data:", "vbscript:", "//")), one
        if one.tag == "svg":
            assert one.attributes["class"].startswith("icon"), one


@pytest.mark.parametrize("text", [" ".join(HOSTILE[start::3]) for start in range(3)])
def test_what_was_written_never_runs(house: House, agnes: Visitor, text: str) -> None:
    names = ("title", "lead", "short", "questions", "details", "sources", "see_also", "tags", "slug", "service", "audience", "kind")
    dates = ("reviewed_on", "review_by", "message", "channels.sms", "channels.<b onclick=alert(1)>", "demande", "path", "seen")
    # Refused: the form shows it again.
    refused = agnes.client.post(NEW, data={"csrf_token": agnes.token} | dict.fromkeys((*names, *dates[:5]), text))
    assert refused.status_code == 422
    nothing_runs(read(refused))
    for answer in (agnes.client.post("/editeur/apercu", data={"csrf_token": agnes.token} | dict.fromkeys((*names, *dates[:5]), text)),):
        for part in ("html", "near"):
            nothing_runs(Page(f"<body>{answer.json[part]}</body>"))
    # Proposed, where such a text may stand.
    safe = text.replace("{{", "{")
    fields = dict.fromkeys(("title", "lead", "short", "questions", "tags", "message", "channels.sms"), safe) | {
        "details": f"## T\n\n{safe}"
    }
    number = agnes.propose(EDIT, **fields, sources=f"{safe.replace('|', ' ')} | https://a.example/")
    dora = house.as_("dora")
    dora.post(f"/propositions/{number}/commenter", text=text)
    for address in (f"/propositions/{number}", f"/propositions/{number}?vue=source", "/propositions/", f"/propositions/{number}/modifier"):
        nothing_runs(dora.page(address))
    answer = dora.client.post("/editeur/apercu", data=agnes.form(f"/propositions/{number}/modifier") | {"csrf_token": dora.token})
    nothing_runs(Page(f"<body>{answer.json['html']}</body>"))
    # A conflict, where it is on both sides.
    house.publish(BAC, FILES[BAC].replace("Le bac jaune est au dépôt", f"{safe} Le dépôt").replace("Demander un bac jaune", "Autre"))
    nothing_runs(dora.page(f"/propositions/{number}"))
    nothing_runs(dora.page(f"/propositions/{number}/conflit"))
    # Live, in spite of it all.
    house.publish(BAC, house.proposed().source)
    revisions = [one.id for one in house.store.history(BAC)]
    for address in (
        "/articles/bac",
        EDIT,
        "/articles/bac/archiver",
        "/articles/bac/versions",
        f"/articles/bac/versions/{revisions[0]}",
        f"/articles/bac/versions/comparer?de={revisions[-1]}&a={revisions[0]}",
        f"/articles/bac/versions/comparer?de={revisions[-1]}&a={revisions[0]}&vue=source",
    ):
        nothing_runs(dora.page(address))


# ---- answering a request ----
def test_a_request_fills_the_form_of_the_article_that_will_answer(house: House, agnes: Visitor) -> None:
    answer = agnes.post("/demandes/sans-reponse", service="voirie", question="Quand la rue sera-t-elle refaite ?")
    number = int(answer.location.split("/")[2])
    vera = house.as_("vera")
    form = vera.form(f"{NEW}?demande={number}")
    assert (form["service"], form["questions"], form["demande"]) == ("voirie", "Quand la rue sera-t-elle refaite ?", str(number))
    form = vera.form(f"/articles/trou/modifier?demande={number}")
    assert form["questions"].split("\r\n")[-1] == "Quand la rue sera-t-elle refaite ?"


@pytest.mark.parametrize("number", ["0", "-1", "x", "", "999", "9" * 40])
@pytest.mark.usefixtures("nothing_proposed")
def test_a_request_that_is_none_is_not_answered(basile: Visitor, number: str) -> None:
    assert basile.client.get(f"{NEW}?demande={number}").status_code in (200, 404)


# ---- what cannot be edited ----
@pytest.mark.parametrize(
    "address", ["/articles/rien/modifier", "/articles/rien/archiver", "/articles/..%2f..%2fetc/modifier", "/propositions/99/modifier"]
)
@pytest.mark.usefixtures("nothing_proposed")
def test_what_does_not_exist_is_not_edited(basile: Visitor, address: str) -> None:
    assert basile.client.get(address).status_code == 404
    assert basile.post(address, title="x").status_code == 404


def test_a_repository_that_another_process_holds_loses_nothing_that_was_typed(
    house: House, agnes: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = agnes.propose(EDIT, short="Court.")
    archive = agnes.post("/articles/trou/archiver").location.split("/")[2]
    monkeypatch.setattr(git_store, "_LOCK_SECONDS", 0.01)
    with FileLock(house.root / ".git" / "bible.lock"):
        for address in (EDIT, f"/propositions/{number}/modifier"):
            answer = agnes.send(address, lead="Un texte qui a pris la matinée.", message="Il le fallait.")
            assert answer.status_code == 503
            page = read(answer)
            assert fields_of(page, page.one("#editor"))["lead"] == "Un texte qui a pris la matinée."
            assert errors_in(page)
        for address in ("/articles/verre/archiver", f"/propositions/{archive}/modifier"):
            answer = agnes.post(address, message="Il le fallait.", seen=house.row(int(archive)).tip or "")
            assert answer.status_code == 503
            assert "Il le fallait." in answer.text
        sent = agnes.post("/demandes/mauvaise-reponse", article="trou", right="verre", question="Où jeter le miroir ?")
        assert "Où jeter le miroir ?" in sent.text
    assert agnes.propose(EDIT, lead="Un texte qui a pris la matinée.")


def test_a_folder_without_git_is_read_only_and_says_so(house: House, agnes: Visitor) -> None:
    shutil.rmtree(house.root / ".git")
    assert "n'est pas un dépôt git" in read(agnes.client.get("/propositions/")).text
    answers: list[TestResponse] = [
        agnes.client.get(EDIT),
        agnes.send(NEW, title="Piscine", lead="Texte.", service="dechets"),
        agnes.post("/articles/bac/archiver"),
    ]
    for answer in answers:
        assert answer.status_code == 503
        assert "n'est pas un dépôt git" in read(answer).text
    assert agnes.client.get("/articles/bac").status_code == 200
