"""The versions of an article and the archive: what is read, compared, proposed again, and what stays out of reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from kb.article import Article
from kb.git_store import GitStore, Person
from kb.proposals import Proposals
from tests.conftest import MakeApp, MakeKb
from tests.webapp.reading import Page, read, token_of

PAUL = Person("Paul Durand", "paul@ville.example")
ANNE = Person("Anne Petit", "anne@ville.example")
BAC = "articles/dechets/bac.md"
FIRST = "---\ntitle: Le bac jaune\nquestions: [Où trouver un bac ?]\n---\nLe bac est au dépôt.\n\n## Ensuite\nVoir [[verre]].\n"
SECOND = FIRST.replace("au dépôt", "à la déchèterie").replace("[Où trouver un bac ?]", "[Où trouver un bac ?, Comment changer de bac ?]")
VERRE = "---\ntitle: Le verre\naliases: [bouteilles]\n---\nLe verre va au conteneur.\n"
ARCHIVED = "---\ntitle: Les bouteilles consignées\n---\nLa consigne est rendue au magasin.\n"


class House:
    """An application on a repository of its own."""

    def __init__(self, app: Flask, root: Path) -> None:
        self.app, self.root, self.client = app, root, app.test_client()
        self.store = GitStore(root)
        self.proposals = Proposals(self.store)

    def publish(self, text: str | None, message: str, path: str = BAC, author: Person = PAUL) -> str:
        revision = self.store.publish({path: text}, author, message)
        self.app.extensions["bible"].live.refresh()
        return revision

    def get(self, address: str) -> Page:
        response = self.client.get(address)
        assert response.status_code == 200, response.text
        return read(response)

    def post(self, address: str, **fields: str) -> TestResponse:
        return self.client.post(address, data={"csrf_token": token_of(self.client), **fields})


@pytest.fixture
def house(make_kb: MakeKb, make_app: MakeApp) -> House:
    """Three articles: « bac » with two versions, « verre », and one that is archived, whose address « verre » took."""
    root = make_kb(
        {
            "articles/dechets/verre.md": VERRE,
            BAC: FIRST,
            "archive/dechets/bouteilles.md": ARCHIVED,
            "services.yml": "dechets: {name: Déchets}",
        }
    )
    repository = pygit2.init_repository(str(root), initial_head="main")
    repository.index.add_all()
    repository.index.write()
    signature = ANNE.signature()
    repository.create_commit("refs/heads/main", signature, signature, "Premier texte", repository.index.write_tree(), [])
    made = House(make_app(root), root)
    made.publish(SECOND, "Le bac a déménagé")
    return made


@pytest.fixture
def revisions(house: House) -> list[str]:
    """Ids of the versions of « bac », newest first."""
    return [revision.id for revision in house.store.history(BAC)]


def marked(page: Page, tag: str, around: str = ".diff") -> list[str]:
    """What is added (``ins``) or removed (``del``), without what is said for screen readers."""
    return [one.text.replace("ajouté : ", "").replace("retiré : ", "").strip() for one in page.find(f"{around} {tag}")]


def proposed(house: House, response: TestResponse) -> Article:
    """The article that the last proposal would make live."""
    assert response.status_code == 303, response.text
    assert response.location.startswith("/propositions/")
    [branch] = house.proposals.open_branches()
    [change] = [one for one in house.proposals.file_changes(branch.base, branch.tip) if one.new_path == BAC]
    assert change.after is not None
    assert branch.author.name != PAUL.name  # whoever asked for it
    return Article.parse(change.after, BAC)


def said(client: FlaskClient) -> str:
    return read(client.get("/articles/bac/versions")).text


# ---- reading ----
def test_the_history_says_who_when_and_what(house: House, revisions: list[str]) -> None:
    page = house.get("/articles/bac/versions")
    rows = page.find(".versions tr")[1:]
    assert [("Le bac a déménagé" in row.text, "Paul Durand" in row.text) for row in rows] == [(True, True), (False, False)]
    assert "Premier texte" in rows[1].text
    assert "Anne Petit" in rows[1].text
    # Two are chosen already, and the form works without a script.
    chosen = {one.attributes["name"]: one.attributes["value"] for one in page.find(".versions input") if "checked" in one.attributes}
    assert chosen == {"de": revisions[1], "a": revisions[0]}
    assert {one.attributes["form"] for one in page.find(".versions input") if one.attributes["type"] == "radio"} == {"compare"}
    # The text that is live is not restored.
    forms = [one.attributes["action"] for one in page.find(".versions form")]
    assert forms == [f"/articles/bac/versions/{revisions[1]}/retablir"]


def test_the_history_follows_the_old_names(house: House) -> None:
    renamed = SECOND.replace("title:", "aliases: [bac]\ntitle:")
    house.store.publish({BAC: None, "articles/dechets/conteneur.md": renamed}, PAUL, "Renomme")
    house.app.extensions["bible"].live.refresh()
    page = house.get("/articles/conteneur/versions")
    assert [word in page.text for word in ("Renomme", "Le bac a déménagé", "Premier texte")] == [True] * 3
    assert house.client.get("/articles/bac/versions").location == "/articles/conteneur/versions"
    first = house.store.history(BAC)[-1].id
    assert "au dépôt" in house.get(f"/articles/conteneur/versions/{first}").one("article").text


def test_a_long_history_has_pages(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.routes.versions.PAGE_SIZE", 2)
    house.publish(SECOND + "\nFin.", "Troisième")
    page = house.get("/articles/bac/versions")
    assert "Premier texte" not in page.text
    [older] = [link.attributes["href"] for link in page.find(".pager a")]
    page = house.get(older)
    assert "Premier texte" in page.text
    assert "Troisième" not in page.text
    assert [link.attributes["href"] for link in page.find(".pager a")] == ["/articles/bac/versions?page=1"]


def test_a_version_is_read_as_it_was(house: House, revisions: list[str]) -> None:
    page = house.get(f"/articles/bac/versions/{revisions[1]}")
    assert "Le bac est au dépôt" in page.one("article").text
    assert "ce n'est pas le texte en ligne" in page.one(".warning").text
    assert "Anne Petit" in page.one(".warning").text
    assert page.one("pre").text.strip() == FIRST.strip()
    assert "open" not in page.find("main details")[0].attributes
    assert page.find("article a")[0].attributes["href"] == "/articles/verre"
    # Shortened, as people copy it.
    assert "au dépôt" in house.get(f"/articles/bac/versions/{revisions[1][:10]}").one("article").text


def test_the_live_version_says_that_it_is(house: House, revisions: list[str]) -> None:
    page = house.get(f"/articles/bac/versions/{revisions[0]}")
    assert "c'est le texte en ligne" in page.one("main").text
    assert not page.find("main form")


@pytest.mark.parametrize(
    "revision",
    [
        "0" * 40, "deadbeef", "HEAD", "main", "main~1", "-x", "--help", ":/texte", "@{1}", "..", "%2e%2e", "..%2f..%2fservices.yml",
        "a", "é" * 8, "0" * 41, "comparer%20", "f" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_revision_is_not_found(house: House, revision: str) -> None:
    addresses = (f"/articles/bac/versions/{revision}", f"/articles/bac/versions/comparer?de={revision}&a={revision}")
    for address in addresses:
        response = house.client.get(address, follow_redirects=True)
        assert response.status_code == 404
        assert read(response).one("h1").text == "Page introuvable"
    assert house.post(f"/articles/bac/versions/{revision}/retablir").status_code in (404, 405)


def test_a_tree_or_a_file_is_no_revision(house: House) -> None:
    repository = pygit2.Repository(str(house.root))
    commit = repository[repository.head.target]
    assert isinstance(commit, pygit2.Commit)
    for found in (commit.tree_id, commit.tree[BAC].id):
        assert house.client.get(f"/articles/bac/versions/{found}").status_code == 404


def test_what_was_never_live_is_not_found(house: House) -> None:
    branch = house.proposals.propose("secrete", {BAC: SECOND + "\nEn attente."}, PAUL, "Attend")
    for response in (
        house.client.get(f"/articles/bac/versions/{branch.tip}"),
        house.client.get(f"/articles/bac/versions/comparer?de={branch.base}&a={branch.tip}"),
        house.post(f"/articles/bac/versions/{branch.tip}/retablir"),
    ):
        assert response.status_code == 404
        assert "En attente" not in response.text


def test_a_version_without_the_article_is_not_found(house: House, revisions: list[str]) -> None:
    house.publish("---\ntitle: Neuf\n---\nTexte.", "Nouvel article", "articles/dechets/neuf.md")
    response = house.client.get(f"/articles/neuf/versions/{revisions[0]}")
    assert response.status_code == 404
    assert "n'existait pas dans cette version" in read(response).one("main").text


@pytest.mark.parametrize("slug", ["rien", "..", "%2e%2e%2fservices", "../../etc/passwd"])
def test_an_unknown_article_has_no_versions(house: House, slug: str, revisions: list[str]) -> None:
    for end in ("", f"/{revisions[0]}", f"/comparer?de={revisions[0]}&a={revisions[1]}"):
        assert house.client.get(f"/articles/{slug}/versions{end}").status_code == 404


BROKEN = {
    "en-tête": "Pas d'en-tête <script>alert(1)</script>",
    "variable": "---\ntitle: Le bac\n---\n{{ secret }} <script>alert(1)</script>",
    "title": "---\ntags: [a]\n---\n<script>alert(1)</script>",
}


@pytest.mark.parametrize(("words", "text"), BROKEN.items())
def test_a_broken_version_is_shown_as_source(house: House, revisions: list[str], words: str, text: str) -> None:
    broken = house.publish(text, "Cassé")
    house.publish(SECOND, "Réparé")
    page = house.get(f"/articles/bac/versions/{broken}")
    assert page.one("pre").text.strip() == text
    assert words in page.one(".error").text
    assert not page.find("main script")
    assert not page.find(".warning form")
    page = house.get(f"/articles/bac/versions/comparer?de={revisions[0]}&a={broken}&vue=lecture")
    assert words in page.one(".error").text
    assert "<script>" in page.find(".diff-source")[0].text
    assert not page.find("main script")
    response = house.post(f"/articles/bac/versions/{broken}/retablir")
    assert response.location == "/articles/bac/versions"
    assert house.proposals.open_branches() == []
    assert "ne peut pas être rétablie" in said(house.client)


def test_a_folder_without_git_says_so(make_app: MakeApp, one_article: Callable[..., Path]) -> None:
    client = make_app(one_article()).test_client()
    assert "Aucune version enregistrée" in read(client.get("/articles/bac/versions")).text
    response = client.get("/articles/bac/versions/deadbeef")
    assert response.status_code == 503
    assert "git init" in response.text


# ---- comparing ----
def test_two_versions_are_compared_word_by_word(house: House, revisions: list[str]) -> None:
    page = house.get(f"/articles/bac/versions/comparer?de={revisions[1]}&a={revisions[0]}")
    assert [one.text for one in page.find(".diff dt")] == ["Texte de la page", "Questions"]
    assert marked(page, "del", ".page-diff") == ["au dépôt"]
    assert marked(page, "ins", ".page-diff") == ["à la déchèterie"]
    assert [one.text.split(" : ")[-1] for one in page.find(".added ins")] == ["Comment changer de bac ?"]
    # What did not change is there to be read too, as a page.
    assert "Voir Le verre." in page.one(".page-diff").text
    assert page.find(".page-diff h2")
    # Said in words, not in colour alone.
    assert "ajouté :" in page.one(".added ins .visually-hidden").text


def test_the_source_is_compared_line_by_line(house: House, revisions: list[str]) -> None:
    page = house.get(f"/articles/bac/versions/comparer?de={revisions[1]}&a={revisions[0]}&vue=source")
    assert marked(page, "del", ".diff-source") == ["au dépôt"]
    assert "à la déchèterie" in marked(page, "ins", ".diff-source")
    numbers = [[cell.text for cell in page.find("td.number") if row in cell.parents] for row in page.find("tr.removed")]
    assert numbers == [["3", ""], ["5", ""]]
    [shown] = [link.text for link in page.find(".tabs a") if "aria-current" in link.attributes]
    assert shown == "Source"


def test_a_comparison_goes_both_ways(house: House, revisions: list[str]) -> None:
    page = house.get(f"/articles/bac/versions/comparer?de={revisions[0]}&a={revisions[1]}")
    assert marked(page, "ins", ".page-diff") == ["au dépôt"]


def test_a_version_is_the_same_as_itself(house: House, revisions: list[str]) -> None:
    page = house.get(f"/articles/bac/versions/comparer?de={revisions[0]}&a={revisions[0]}")
    assert "Aucun changement visible" in page.text
    assert not page.find("main ins")


def test_two_versions_must_be_chosen(house: House, revisions: list[str]) -> None:
    for query in ("", f"?de={revisions[0]}", f"?a={revisions[0]}"):
        assert house.client.get(f"/articles/bac/versions/comparer{query}").location == "/articles/bac/versions"
    assert "Choisissez deux versions" in said(house.client)


def test_what_was_written_cannot_run_in_a_comparison(house: House, revisions: list[str]) -> None:
    hostile = '<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1)) "><svg onload=alert(1)>'
    new = house.publish(SECOND.replace("Le bac est", f"{hostile} est").replace("Le bac jaune", "<b onclick=alert(1)>Le bac</b>"), "Hostile")
    for view in ("lecture", "source"):
        page = house.get(f"/articles/bac/versions/comparer?de={revisions[0]}&a={new}&vue={view}")
        inside = [one for one in page.elements if one.inside("main")]
        assert not [one for one in inside if one.tag in ("script", "svg", "b") and not one.inside("header")]
        assert not [name for one in inside for name in one.attributes if name.startswith("on")]
        assert "javascript:" not in "".join(value for one in inside for name, value in one.attributes.items() if name in ("href", "src"))


# ---- proposing an old text again ----
def test_restoring_a_version_makes_a_proposal_and_moves_nothing(house: House, revisions: list[str]) -> None:
    response = house.post(f"/articles/bac/versions/{revisions[1]}/retablir")
    assert proposed(house, response).source == FIRST
    assert "Rétablit la version du" in house.proposals.open_branches()[0].message
    assert house.store.read(BAC) == SECOND
    assert (house.root / BAC).read_text(encoding="utf-8") == SECOND
    assert house.client.get(response.location).status_code == 200


def test_restoring_keeps_the_name_the_service_and_the_addresses(house: House) -> None:
    old = house.publish(SECOND.replace("title:", "service: voirie\naliases: [poubelle]\ntitle:"), "À la voirie")
    path = "articles/dechets/conteneur.md"
    house.store.publish({BAC: None, path: SECOND.replace("title:", "service: dechets\naliases: [bac]\ntitle:")}, PAUL, "Renomme")
    house.app.extensions["bible"].live.refresh()
    assert house.post(f"/articles/conteneur/versions/{old}/retablir").status_code == 303
    [branch] = house.proposals.open_branches()
    [change] = house.proposals.file_changes(branch.base, branch.tip)
    assert change.old_path == change.new_path == path
    assert change.after is not None
    new = Article.parse(change.after, path)
    assert new.service == "dechets"
    assert set(new.meta.aliases) == {"bac", "poubelle"}
    assert new.body == Article.parse(SECOND, BAC).body


def test_restoring_what_is_live_is_refused_kindly(house: House, revisions: list[str]) -> None:
    response = house.post(f"/articles/bac/versions/{revisions[0]}/retablir")
    assert response.location == "/articles/bac/versions"
    assert "Rien n'a changé" in said(house.client)


def test_a_hand_edited_file_is_recorded_before(house: House, revisions: list[str]) -> None:
    (house.root / BAC).write_text(SECOND + "\nÀ la main.\n", encoding="utf-8")
    response = house.post(f"/articles/bac/versions/{revisions[1]}/retablir")
    assert proposed(house, response).source == FIRST
    assert house.store.read(BAC).endswith("À la main.\n")


@pytest.mark.parametrize("address", ["/articles/bac/versions/{}/retablir", "/articles/archives/dechets/bouteilles/retablir"])
def test_a_forged_form_restores_nothing(house: House, revisions: list[str], address: str) -> None:
    assert house.client.post(address.format(revisions[1])).status_code == 400
    assert house.client.get(address.format(revisions[1])).status_code in (404, 405)
    assert house.proposals.open_branches() == []


# ---- the archive ----
def test_the_archive_lists_and_shows(house: House) -> None:
    assert "/articles/archives" in [link.attributes["href"] for link in house.get("/articles/").find("main a")]
    page = house.get("/articles/archives")
    [link] = page.find(".group a")
    assert link.text == "Les bouteilles consignées"
    page = house.get(link.attributes["href"])
    assert "La consigne est rendue" in page.one("article").text
    assert "ne vous en servez pas pour répondre" in page.one(".warning").text
    # Its address leads to another article meanwhile.
    assert page.find(".warning a")[0].attributes["href"] == "/articles/verre"


def test_an_archived_address_that_leads_nowhere_says_where_the_text_is(house: House) -> None:
    house.publish(VERRE.replace("aliases: [bouteilles]\n", ""), "Rend l'adresse", "articles/dechets/verre.md")
    response = house.client.get("/articles/bouteilles")
    page = read(response)
    assert response.status_code == 404
    assert "n'est plus en ligne" in page.text
    assert page.find("main a")[0].attributes["href"] == "/articles/archives/dechets/bouteilles"
    assert house.client.get("/articles/rien-du-tout").status_code == 404


def test_a_restored_article_takes_its_address_back(house: House) -> None:
    response = house.post("/articles/archives/bouteilles/retablir")
    assert response.status_code == 303
    assert response.location.startswith("/propositions/")
    [branch] = house.proposals.open_branches()
    changes = {change.path: change for change in house.proposals.file_changes(branch.base, branch.tip)}
    assert changes["articles/dechets/bouteilles.md"].old_path == "archive/dechets/bouteilles.md"
    assert changes["articles/dechets/bouteilles.md"].after == ARCHIVED
    verre = changes["articles/dechets/verre.md"].after
    assert verre is not None
    assert Article.parse(verre, "articles/dechets/verre.md").meta.aliases == ()


def test_an_address_that_another_article_has_is_not_taken(house: House) -> None:
    house.publish("---\ntitle: D'autres bouteilles\n---\nTexte.", "Crée", "articles/dechets/bouteilles.md")
    response = house.post("/articles/archives/bouteilles/retablir")
    assert response.location == "/articles/archives/dechets/bouteilles"
    assert "porte déjà cette adresse" in house.get(response.location).text
    assert house.proposals.open_branches() == []


def test_a_broken_archived_file_is_shown_and_not_restored(house: House) -> None:
    (house.root / "archive/dechets/casse.md").write_text("rien", encoding="utf-8")
    page = house.get("/articles/archives")
    assert "illisible" in page.text
    page = house.get("/articles/archives/dechets/casse")
    assert "archive/dechets/casse.md:1" in page.one(".error").text
    assert not page.find("main form")
    assert house.post("/articles/archives/dechets/casse/retablir").location == "/articles/archives/dechets/casse"
    assert house.proposals.open_branches() == []


@pytest.mark.parametrize("name", ["rien", "../articles/dechets/bac", "%2e%2e/articles/dechets/bac", "bac", "..%2f..%2fetc%2fpasswd"])
def test_nothing_but_the_archive_is_read_there(house: House, name: str) -> None:
    response = house.client.get(f"/articles/archives/{name}", follow_redirects=True)
    assert response.status_code == 404
    assert "déchèterie" not in response.text
    assert house.post(f"/articles/archives/{name}/retablir").status_code in (404, 405, 308)
