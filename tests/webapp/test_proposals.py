"""Proposals: read as people read them, decided by those who may, live at once; git and the database agree whatever happens between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pygit2
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from kb import git_store
from kb.article import Article
from kb.git_store import Person
from kb.proposals import ProposalError
from search.live import LiveEngine
from tests.conftest import close
from tests.webapp.conftest import MakeHouse
from tests.webapp.newsroom import ANNE, BAC, FILES, TROU, VERRE, House, Mould, Visitor, errors_in, fields_of
from tests.webapp.reading import Page, read
from webapp import views
from webapp.accounts import Account
from webapp.accounts.models import User
from webapp.database import session
from webapp.proposals import service
from webapp.proposals.models import Proposal

EDIT = "/articles/bac/modifier"


@pytest.fixture(scope="module")
def shared(mould: Mould, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The same, with one proposal of Agnès's that nobody decides on."""
    made = House(mould, tmp_path_factory.mktemp("shared") / "house")
    made.as_("agnes").propose(
        EDIT,
        title="Demander un bac bleu",
        lead="Le bac bleu est au dépôt communal.\r\n\r\nIl est gratuit.",
        questions="Où trouver un bac jaune ?\r\nBac bleu ?",
        message="La couleur change.",
    )
    yield made
    assert made.row(1).is_open
    assert made.live() == FILES[BAC]
    close(made.app)


def offered(page: Page) -> set[str]:
    """What the page lets a person do."""
    found = page.find(".decisions button") + page.find(".decisions a")
    return {" ".join(one.text.split()) for one in found}


def authors(house: House) -> set[str]:
    """Who wrote a commit of what is live."""
    repository = pygit2.Repository(str(house.root))
    return {commit.author.name for commit in repository.walk(repository.head.target)}


def words(page: Page, tag: str, around: str = ".change .diff") -> list[str]:
    """What is shown as added (``ins``) or removed (``del``), without what is said for screen readers."""
    return [one.text.replace("ajouté : ", "").replace("retiré : ", "").strip() for one in page.find(f"{around} {tag}")]


# ---- reading ----
def test_the_review_page_shows_the_words_that_change(shared: House) -> None:
    page = shared.as_("dora").page("/propositions/1")
    assert page.one("h1").text == "Demander un bac bleu"
    assert "La couleur change." in page.one(".why-change").text
    assert "Agnès Accueil" in page.one(".meta").text
    assert "Déchets" in page.one(".owner").text
    assert [one.text for one in page.find(".change dt")] == ["Titre", "Réponse", "Questions"]
    assert words(page, "del")[:2] == ["jaune", "jaune"]
    assert words(page, "ins")[:2] == ["bleu", "bleu"]
    assert [one.split(" : ")[-1] for one in words(page, "ins", ".added")] == ["Bac bleu ?"]
    # The page that citizens would read, with what changes in it.
    assert words(page, "ins", ".page-diff") == ["bleu"]
    assert page.find(".page-diff h2")
    assert page.find(".page-diff a")[0].attributes["href"] == "/articles/verre"
    assert offered(page) == {"Accepter et publier", "Commenter", "Demander une modification", "Refuser", "Modifier la proposition"}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Une usagère m'a écrit (marie@orange.fr, 06 12 34 56 78).", "Une usagère m'a écrit ([adresse e-mail], [téléphone])."),
        ("Cet administré rappelle au 02 61 12 34 56.", "Cet administré rappelle au [téléphone]."),
        ("À rappeler : 06.12.34.56.78", "À rappeler : [téléphone]"),
        ("Voir son dossier 2026-004512.", "Voir son dossier [numéro]."),
        ("L'arrêté n° 2026-123 fixe le tarif : 02 61 91 40 70.", None),
        ("Le nouveau numéro du service est 02 61 91 40 70.", None),
        ("Les usagers écrivent à dechets@ville.example.", None),
    ],
)
def test_what_belongs_to_somebody_is_masked_and_what_is_the_service_s_stays(said: str, kept: str | None) -> None:
    assert views.told(said) == (kept or said)


def test_the_source_is_shown_line_by_line(shared: House) -> None:
    page = shared.as_("dora").page("/propositions/1?vue=source")
    assert page.one(".change h2").text == BAC
    assert "jaune" in words(page, "del", ".diff-source")
    assert "bleu" in words(page, "ins", ".diff-source")
    assert page.find("tr.removed .number")[0].text == "2"
    [shown] = [link.text for link in page.find(".tabs a") if "aria-current" in link.attributes]
    assert shown == "Source"


@pytest.mark.parametrize(
    ("who", "decides", "amends", "withdraws", "said"),
    [
        ("agnes", False, True, True, "Seuls les rédacteurs du service décident : Déchets"),
        ("basile", False, False, False, "Seuls les rédacteurs du service décident : Déchets"),
        ("vera", False, False, False, "Seuls les rédacteurs du service décident : Déchets"),
        ("denis", True, True, False, ""),
        ("lea", True, True, False, ""),
        ("ada", True, True, False, ""),
    ],
)
def test_people_are_offered_what_they_may_do(shared: House, who: str, decides: bool, amends: bool, withdraws: bool, said: str) -> None:
    page = shared.as_(who).page("/propositions/1")
    found = offered(page)
    assert "Commenter" in found
    assert (
        {"Accepter et publier", "Demander une modification", "Refuser"} <= found
        if decides
        else not {"Refuser", "Accepter et publier"} & found
    )
    assert ("Modifier la proposition" in found) == amends
    assert ("Retirer" in found) == withdraws
    assert said in page.one(".decision").text


@pytest.mark.parametrize("who", ["agnes", "basile", "vera"])
@pytest.mark.parametrize("verb", ["publier", "refuser", "demander-modification"])
def test_what_is_not_offered_is_refused(shared: House, who: str, verb: str) -> None:
    visitor = shared.as_(who)
    response = visitor.post(f"/propositions/1/{verb}", text="Je décide.", tip=shared.row(1).tip or "")
    assert response.status_code == 403
    assert len(shared.row(1).events) == 1


def test_only_its_author_withdraws_a_proposal(shared: House) -> None:
    for who in ("basile", "dora", "ada"):
        response = shared.as_(who).post("/propositions/1/retirer")
        assert response.status_code == 403
        assert "Seul l'auteur" in read(response).text


@pytest.mark.parametrize(
    "address", ["/propositions/99", "/propositions/0", f"/propositions/{'9' * 40}", "/propositions/2147483648", "/propositions/x"]
)
def test_what_does_not_exist_is_not_found(shared: House, address: str) -> None:
    ada = shared.as_("ada")
    for path in (address, f"{address}/modifier", f"{address}/conflit"):
        assert ada.client.get(path).status_code == 404
    for verb in ("publier", "refuser", "retirer", "commenter", "traiter", "demander-modification"):
        assert ada.post(f"{address}/{verb}", text="x").status_code == 404


# ---- the story of a proposal ----
def test_a_proposal_is_discussed_amended_and_published(house: House) -> None:
    agnes, dora = house.as_("agnes"), house.as_("dora")
    number = agnes.propose(EDIT, lead="Le bac zinzolin est au dépôt.")
    address = f"/propositions/{number}"
    assert agnes.post(f"{address}/commenter", text="Qu'en pensez-vous ?\r\nMerci.").status_code == 303
    assert dora.post(f"{address}/demander-modification", text="Dites l'adresse.").status_code == 303
    page = agnes.page(address)
    assert "modification demandée" in page.one(".meta .state").text
    assert "Dites l'adresse." in page.one(".story").text
    agnes.propose(f"{address}/modifier", lead="Le bac zinzolin est au dépôt, rue du Port.", message="Voilà.")
    page = dora.page(address)
    assert "en attente de relecture" in page.one(".meta .state").text
    assert "rue du Port" in " ".join(words(page, "ins"))
    assert dora.found("zinzolin") == []
    response = dora.accept(number, text="Merci !")
    assert (response.status_code, response.location) == (303, address)
    # Live at once: the file, the page, the search, the match.
    assert "zinzolin est au dépôt, rue du Port" in house.live()
    assert "zinzolin" in agnes.page("/articles/bac").one("main").text
    assert agnes.found("zinzolin") == ["bac"]
    assert "bac" in agnes.matched("Où trouver un bac zinzolin ?")
    page = agnes.page(address)
    assert "est en ligne" in dora.page(address).one(".flash").text
    assert "publiée" in page.one(".meta .state").text
    story = [" ".join(one.text.split()) for one in page.find(".story li")]
    expected = (
        "Agnès Accueil a proposé",
        "Agnès Accueil a commenté",
        "Dora Déchets demande",
        "Agnès Accueil a modifié",
        "Dora Déchets a publié",
    )
    assert [one.startswith(begin) for one, begin in zip(story, expected, strict=True)] == [True] * 5
    assert "Merci !" in story[-1]
    assert offered(page) == {"Commenter"}
    # What it changed can still be read, though the live text is the same now.
    assert "rue du Port" in " ".join(words(page, "ins"))
    # Who wrote and who published are both in git.
    merge = pygit2.Repository(str(house.root))[house.store.head()]
    assert isinstance(merge, pygit2.Commit)
    assert merge.author.name == "Dora Déchets"
    assert {parent.author.name for parent in merge.parents} == {"Anne Petit", "Agnès Accueil"}
    assert house.row(number).live == str(merge.id)


def test_what_people_say_of_a_citizen_is_masked(house: House) -> None:
    """In the discussion and in git; the day that a rule changes, and where it is written, tell nothing of anybody."""
    citizen = "Mme Sophie Lambert, 06 12 34 56 78, attend depuis le 07/09/2026 : https://ville.example/avis?n=12."
    masked = "Mme [nom], [téléphone], attend depuis le 07/09/2026 : https://ville.example/avis?n=12."
    agnes = house.as_("agnes")
    number = agnes.propose(EDIT, lead="Le bac est à la mairie.", message=citizen)
    agnes.post(f"/propositions/{number}/commenter", text=citizen)
    proposal = house.row(number)
    assert proposal.message == masked
    assert [event.text for event in proposal.events if event.text] == [masked]
    assert proposal.tip is not None
    assert "Lambert" not in str(pygit2.Repository(str(house.root))[proposal.tip].message)  # type: ignore[attr-defined]


def test_what_colleagues_say_of_a_service_is_kept(house: House) -> None:
    """Else the reviewer who writes the new number of a desk would lose it."""
    said = "Le nouveau numéro de l'accueil : 02 61 91 40 99, 3 rue du Port, accueil@ville.example."
    agnes = house.as_("agnes")
    number = agnes.propose(EDIT, lead="Le bac est à la mairie.")
    agnes.post(f"/propositions/{number}/commenter", text=said)
    assert [event.text for event in house.row(number).events if event.text] == [said]


def test_a_reviewer_reads_names_and_dates_not_keys(shared: House) -> None:
    number = shared.as_("agnes").propose(EDIT, service="voirie", review_by="2031-09-07", see_also="trou")
    page = shared.as_("lea").page(f"/propositions/{number}")
    said = words(page, "ins") + words(page, "del")
    assert {"Voirie", "Déchets", "7 septembre 2031", "1 novembre 2030", "Signaler un nid-de-poule", "Jeter le verre"} <= set(said)


def test_a_change_request_and_a_refusal_need_a_reason(house: House) -> None:
    agnes, dora = house.as_("agnes"), house.as_("dora")
    number = agnes.propose(EDIT, title="Un bac")
    for verb, said in (("refuser", "Donnez le motif"), ("demander-modification", "Dites à l'auteur"), ("commenter", "Écrivez votre")):
        for text in ("", "  \r\n "):
            response = dora.post(f"/propositions/{number}/{verb}", text=text)
            assert response.status_code == 422
            assert said in errors_in(read(response))
    assert [event.action for event in house.row(number).events] == ["opened"]
    assert dora.post(f"/propositions/{number}/refuser", text="Ce n'est pas <b>exact</b>.").status_code == 303
    page = agnes.page(f"/propositions/{number}")
    assert "refusée" in page.one(".meta .state").text
    assert "Ce n'est pas <b>exact</b>." in page.one(".event-refused .said").text
    # Its text can still be read, and is kept in git.
    assert words(page, "ins")
    assert house.proposals.open_branches() == []
    assert f"refs/bible/closed/{house.row(number).branch}" in pygit2.Repository(str(house.root)).references
    assert house.live() == FILES[BAC]


def test_a_proposal_is_withdrawn_by_its_author(house: House) -> None:
    agnes = house.as_("agnes")
    number = agnes.propose(EDIT, title="Un bac")
    assert agnes.post(f"/propositions/{number}/retirer").status_code == 303
    assert house.row(number).state == "withdrawn"
    page = agnes.page(f"/propositions/{number}")
    assert "retirée" in page.one(".meta .state").text
    assert "Votre proposition est retirée" in page.one(".flash").text


@pytest.mark.parametrize("end", ["publier", "refuser", "retirer"])
def test_a_closed_proposal_stays_closed(house: House, end: str) -> None:
    agnes, lea = house.as_("agnes"), house.as_("lea")
    number = agnes.propose(EDIT, title="Un bac")
    tip = house.row(number).tip or ""
    assert (agnes if end == "retirer" else lea).post(f"/propositions/{number}/{end}", text="Fin.", tip=tip).status_code == 303
    before = house.row(number)
    for verb in ("publier", "refuser", "demander-modification", "retirer"):
        response = (agnes if verb == "retirer" else lea).post(f"/propositions/{number}/{verb}", text="Encore.", tip=tip)
        assert response.status_code == 409, verb
    after = house.row(number)
    assert (after.state, len(after.events)) == (before.state, len(before.events))


# ---- who decides ----
def test_nobody_publishes_their_own(house: House) -> None:
    for who in ("dora", "ada"):
        visitor = house.as_(who)
        number = visitor.propose(EDIT, title=f"Le bac de {who}")
        page = visitor.page(f"/propositions/{number}")
        assert "Personne ne publie sa propre proposition" in page.one(".decision").text
        assert not {"Accepter et publier", "Refuser"} & offered(page)
        response = visitor.accept(number)
        assert response.status_code == 403
        assert "Personne ne publie sa propre proposition" in read(response).text
    assert house.live() == FILES[BAC]
    assert house.as_("denis").accept(1).status_code == 303


def test_nobody_publishes_what_they_wrote_last(house: House) -> None:
    number = house.as_("agnes").propose(EDIT, title="Un bac")
    dora = house.as_("dora")
    assert listed(dora) == ["Un bac"]
    dora.propose(f"/propositions/{number}/modifier", title="Un bac, relu")
    page = dora.page(f"/propositions/{number}")
    assert offered(page) == {"Commenter", "Demander une modification", "Refuser", "Modifier la proposition"}
    assert "un autre rédacteur du service la publie, ou un administrateur" in page.one(".decision").text
    assert listed(dora) == []
    response = dora.accept(number)
    assert response.status_code == 403
    assert "Vous avez écrit le dernier texte" in read(response).text
    assert house.live() == FILES[BAC]
    # It is the author's text again, or another editor publishes it, under both names.
    agnes = house.as_("agnes")
    agnes.propose(f"/propositions/{number}/modifier", title="Un bac, relu deux fois")
    assert listed(dora) == ["Un bac, relu deux fois"]
    dora.propose(f"/propositions/{number}/modifier", title="Un bac, relu")
    assert house.as_("denis").accept(number).status_code == 303
    assert {"Agnès Accueil", "Dora Déchets", "Denis Déchets"} <= authors(house)


def test_nobody_publishes_what_they_wrote_last_with_git(house: House) -> None:
    number, branch = stay_open(house)
    person = Person("Dora Déchets", "Dora@ville.example")
    house.proposals.amend(branch, house.row(number).tip or "", {BAC: FILES[BAC].replace("jaune", "vert")}, person, "Par git")
    dora = house.as_("dora")
    assert listed(dora) == []
    assert dora.accept(number).status_code == 403
    assert house.as_("denis").accept(number).status_code == 303


def test_the_setting_allows_it(make_house: MakeHouse) -> None:
    house = make_house(self_publish=True)
    dora = house.as_("dora")
    number = dora.propose(EDIT, title="Le bac de Dora")
    assert "Accepter et publier" in offered(dora.page(f"/propositions/{number}"))
    assert dora.accept(number).status_code == 303
    assert Article.parse(house.live(), BAC).title == "Le bac de Dora"
    number = house.as_("agnes").propose(EDIT, title="Le bac d'Agnès")
    dora.propose(f"/propositions/{number}/modifier", title="Le bac relu")
    assert listed(dora) == ["Le bac relu"]
    assert dora.accept(number).status_code == 303
    # Not to an agent, nor to another service.
    number = house.as_("agnes").propose(EDIT, title="Le bac d'Agnès")
    assert house.as_("agnes").accept(number).status_code == 403
    number = house.as_("vera").propose(EDIT, title="Le bac de Véra")
    assert house.as_("vera").accept(number).status_code == 403


def test_a_move_between_services_needs_both(house: House) -> None:
    agnes = house.as_("agnes")
    number = agnes.propose(EDIT, service="voirie")
    row = house.row(number)
    assert (row.kind, row.service, row.former_service) == ("rename", "voirie", "dechets")
    page = agnes.page(f"/propositions/{number}")
    assert page.one(".owner").text == "Déchets → Voirie"
    assert "Changement de service" in page.one(".crumbs").text
    assert "Changement de service" in agnes.page("/propositions/").one(".rows").text
    assert "rédacteur de « Déchets » et de « Voirie » à la fois, ou administrateur" in page.one(".decision").text
    for who in ("dora", "vera"):
        visitor = house.as_(who)
        assert "Accepter et publier" not in offered(visitor.page(f"/propositions/{number}"))
        response = visitor.accept(number)
        assert response.status_code == 403
        assert "Voirie" in read(response).text
        assert f'href="/propositions/{number}"' not in visitor.client.get("/propositions/?vue=a-relire").text
    assert house.as_("lea").accept(number).status_code == 303
    assert Article.parse(house.live("articles/voirie/bac.md"), "articles/voirie/bac.md").service == "voirie"
    assert not (house.root / BAC).exists()


def test_an_article_that_moved_meanwhile_is_not_published_by_its_former_service(house: House) -> None:
    number = house.as_("agnes").propose(EDIT, short="Autre texte court.")
    assert house.as_("lea").accept(house.as_("basile").propose(EDIT, service="voirie")).status_code == 303
    assert house.as_("dora").accept(number).status_code in (403, 409)
    assert "Autre texte court" not in house.live("articles/voirie/bac.md")
    assert house.as_("lea").accept(number).status_code == 303
    assert "Autre texte court" in house.live("articles/voirie/bac.md")


def test_an_article_that_git_changes_beside_is_not_published_by_another_service(house: House) -> None:
    changes = {path: FILES[path].replace("\n---\n", "\n---\nPartout. ") for path in (BAC, TROU)}
    house.proposals.propose("a-la-main", changes, ANNE, "Deux articles\n\nBible-Kind: edit\nBible-Service: dechets")
    dora = house.as_("dora")
    dora.page("/propositions/")
    assert dora.accept(1).status_code in (403, 409)
    assert house.live(TROU) == FILES[TROU]
    assert house.as_("lea").accept(1).status_code == 303
    assert "Partout." in house.live(TROU)


# ---- the text changes meanwhile ----
def test_what_the_reviewer_did_not_read_is_not_published(house: House) -> None:
    agnes, dora = house.as_("agnes"), house.as_("dora")
    number = agnes.propose(EDIT, title="Un bac")
    read_tip = house.row(number).tip or ""
    agnes.propose(f"/propositions/{number}/modifier", title="Un bac surprise")
    for tip in (read_tip, "", "x", "HEAD", house.store.head()):
        response = dora.post(f"/propositions/{number}/publier", tip=tip, text="Mon mot.")
        assert response.status_code == 409
        page = read(response)
        assert "modifiée entre-temps" in errors_in(page)
        assert "Un bac surprise" in page.text
        assert "Mon mot." in page.one("#text").text
    assert house.live() == FILES[BAC]


def test_a_proposal_is_merged_with_what_went_live_meanwhile(house: House) -> None:
    number = house.as_("agnes").propose(
        EDIT, title="Un bac", questions="Où trouver un bac jaune ?\nQui livre les bacs ?\nJe veux un bac\nBac cassé\nBac volé ?"
    )
    house.publish(BAC, FILES[BAC].replace("rue du Port", "quai du Port").replace("Je veux un bac, ", ""))
    dora = house.as_("dora")
    page = dora.page(f"/propositions/{number}")
    assert "Accepter et publier" in offered(page)
    # What others did is not shown as this proposal's.
    assert "quai" not in " ".join(words(page, "ins") + words(page, "del"))
    assert dora.accept(number).status_code == 303
    live = Article.parse(house.live(), BAC)
    assert live.title == "Un bac"
    assert "quai du Port" in live.body
    assert live.meta.questions == ("Où trouver un bac jaune ?", "Qui livre les bacs ?", "Bac cassé", "Bac volé ?")


@pytest.fixture
def conflict(house: House) -> int:
    """A proposal that gives the bin another title and another lead, while both changed on line."""
    number = house.as_("agnes").propose(
        EDIT, title="Le bac d'Agnès", lead="Le bac est chez Agnès.\r\n\r\nIl est gratuit.", short="Court d'Agnès."
    )
    live = FILES[BAC].replace("Demander un bac jaune", "Le bac en ligne").replace("au dépôt communal", "à la mairie")
    house.publish(BAC, live.replace("rue du Port", "quai du Port"))
    return number


def test_a_conflict_is_shown_not_published(house: House, conflict: int) -> None:
    dora = house.as_("dora")
    page = dora.page(f"/propositions/{conflict}")
    assert "a changé aux mêmes endroits" in errors_in(page)
    assert "Champs concernés : Titre, Réponse." in errors_in(page)
    assert "Accepter et publier" not in offered(page)
    before = house.live()
    response = dora.accept(conflict)
    assert response.status_code == 409
    assert "Choisissez ce qu'il faut garder" in errors_in(read(response))
    assert house.live() == before
    assert house.row(conflict).state == "open"
    page = dora.page(f"/propositions/{conflict}/conflit")
    assert page.one("h1").text == "Résoudre le conflit"
    boxes = {one.attributes["data-conflict"]: one for one in page.find(".conflict")}
    assert set(boxes) == {"title", "lead"}
    sides = {
        (name, one.attributes["data-side"]): one.text
        for name, box in boxes.items()
        for one in page.find("pre.side")
        if any(parent is box for parent in one.parents)
    }
    assert sides == {
        ("title", "live"): "Le bac en ligne",
        ("title", "proposed"): "Le bac d'Agnès",
        ("lead", "live"): "Le bac jaune est à la mairie.\n\nIl est gratuit.",
        ("lead", "proposed"): "Le bac est chez Agnès.\n\nIl est gratuit.",
    }
    # Nothing is chosen beforehand.
    assert [one for one in page.find(".conflict input") if "checked" in one.attributes] == []
    assert [link.text for link in page.find(".crumbs a")] == ["Propositions", f"Proposition n° {conflict}"]
    # What could be joined is: hers, and the street that changed on line.
    form = dora.form(f"/propositions/{conflict}/conflit")
    assert form["short"] == "Court d'Agnès."
    assert "quai du Port" in form["details"]


@pytest.mark.parametrize(
    ("who", "chosen"),
    [
        ("denis", {"title": ("live", "Le bac en ligne"), "lead": ("live", "Le bac jaune est à la mairie.\n\nIl est gratuit.")}),
        ("agnes", {"title": ("proposed", "Le bac d'Agnès"), "lead": ("proposed", "Le bac est chez Agnès.\n\nIl est gratuit.")}),
        ("agnes", {"title": ("own", "Ni l'un ni l'autre"), "lead": ("live", "Le bac jaune est à la mairie.\n\nIl est gratuit.")}),
    ],
)
def test_a_conflict_is_solved_and_published(house: House, conflict: int, who: str, chosen: dict[str, tuple[str, str]]) -> None:
    address = f"/propositions/{conflict}/conflit"
    choices = {f"choice.{name}": choice for name, (choice, _text) in chosen.items()}
    typed = {name: text for name, (choice, text) in chosen.items() if choice == "own"}
    response = house.as_(who).send(address, **choices, **typed, message="J'ai choisi.")
    assert (response.status_code, response.location) == (303, f"/propositions/{conflict}")
    row = house.row(conflict)
    assert [(event.action, event.text) for event in row.events][1:] == [("solved", "J'ai choisi.")]
    assert "quai du Port" in house.live()
    dora = house.as_("dora")
    page = dora.page(f"/propositions/{conflict}")
    assert "quai du Port" not in " ".join(words(page, "ins"))
    assert dora.accept(conflict).status_code == 303
    live = Article.parse(house.live(), BAC)
    assert (live.title, live.lead) == (chosen["title"][1], chosen["lead"][1])
    assert live.meta.short == "Court d'Agnès."
    assert "quai du Port" in live.body
    # Nothing was lost on the way: what was proposed first is in git too.
    assert {"Agnès Accueil", "Anne Petit"} <= authors(house)


def test_a_conflict_is_not_solved_without_a_choice(house: House, conflict: int) -> None:
    agnes = house.as_("agnes")
    address = f"/propositions/{conflict}/conflit"
    for choices, missing in (({}, {"title", "lead"}), ({"choice.title": "own", "choice.lead": "base"}, {"lead"})):
        response = agnes.send(address, **choices, title="Mon titre", short="Mon texte court.")
        assert response.status_code == 422
        page = read(response)
        said = {name for name in ("title", "lead", "short") if "Choisissez le texte à garder" in page.one(f"#notes-{name}").text}
        assert said == missing
        # What was typed and chosen is kept.
        kept = fields_of(page, page.one("#editor"))
        assert (kept["title"], kept["short"]) == ("Mon titre", "Mon texte court.")
        assert {name: value for name, value in kept.items() if name.startswith("choice.")} == {
            f"choice.{name}": "own" for name in {"title", "lead"} - missing
        }
    assert [event.action for event in house.row(conflict).events] == ["opened"]
    # A preview needs no choice, and shows the one that was made.
    response = agnes.send(address, **{"choice.title": "live", "action": "preview"})
    assert response.status_code == 200
    page = read(response)
    assert (page.one("#title").attributes["value"], page.one(".preview-title").text) == ("Le bac en ligne", "Le bac en ligne")
    assert "Choisissez" not in page.one("#notes-lead").text


def test_a_conflict_that_moves_while_it_is_solved_is_not_forced(house: House, conflict: int) -> None:
    agnes = house.as_("agnes")
    address = f"/propositions/{conflict}/conflit"
    chosen = {"title": "Mon choix", "choice.title": "own", "choice.lead": "live"}
    form = agnes.form(address) | chosen
    house.publish(BAC, house.live().replace("Il est gratuit", "Il est payant").replace("tags: [bac, tri]", "tags: [bac, tri, neuf]"))
    for fields in (form, form | {"action": "preview"}):
        response = agnes.client.post(address, data=fields)
        page = read(response)
        assert page.one("#title").attributes["value"] == "Mon choix"
        assert next(one.attributes["value"] for one in page.find("#editor input") if one.attributes["name"] == "seen") == form["seen"]
    response = agnes.client.post(address, data=form)
    assert response.status_code == 409
    assert "Quelqu'un a modifié ce texte" in errors_in(read(response))
    assert [event.action for event in house.row(conflict).events] == ["opened"]
    # Begun again from what is live, it keeps what others did.
    assert agnes.send(address, **chosen).status_code == 303
    assert house.as_("dora").accept(conflict).status_code == 303
    assert "neuf" in Article.parse(house.live(), BAC).meta.tags


def test_a_conflict_is_solved_by_those_who_may(house: House, conflict: int) -> None:
    for who in ("basile", "vera"):
        assert house.as_(who).client.get(f"/propositions/{conflict}/conflit").status_code == 403
        assert house.as_(who).post(f"/propositions/{conflict}/conflit", title="x").status_code == 403


def test_a_solution_with_an_error_is_shown_again(house: House, conflict: int) -> None:
    response = house.as_("agnes").send(
        f"/propositions/{conflict}/conflit", title="", short="Mon texte court.", choice__title="own", choice__lead="live"
    )
    assert response.status_code == 422
    page = read(response)
    assert "Écrivez un titre" in page.one("#notes-title").text
    assert page.find(".conflict")
    assert "Mon texte court." in page.one("#short").text


def test_a_conflict_that_went_away_says_so(house: House, conflict: int) -> None:
    house.publish(BAC, FILES[BAC])
    response = house.as_("dora").client.get(f"/propositions/{conflict}/conflit")
    assert (response.status_code, response.location) == (303, f"/propositions/{conflict}")
    assert house.as_("dora").accept(conflict).status_code == 303


def test_an_article_that_went_meanwhile_cannot_be_changed(house: House) -> None:
    number = house.as_("agnes").propose("/articles/trou/modifier", title="Un trou")
    house.store.publish({TROU: None, "archive/voirie/trou.md": FILES[TROU]}, ANNE, "Archive")
    house.state.live.refresh()
    vera = house.as_("vera")
    page = vera.page(f"/propositions/{number}")
    assert "a été archivé ou supprimé" in errors_in(page)
    assert "Accepter et publier" not in offered(page)
    assert vera.accept(number).status_code == 409
    assert vera.client.get(f"/propositions/{number}/conflit").status_code == 303
    assert vera.post(f"/propositions/{number}/refuser", text="Il est archivé.").status_code == 303


def test_two_reviewers_accept_at_the_same_moment(house: House) -> None:
    numbers = [house.as_("agnes").propose(EDIT, title="Un bac"), house.as_("basile").propose("/articles/verre/modifier", title="Du verre")]
    visitors = [house.as_(who) for who in ("dora", "denis", "lea", "ada")]
    tips = {number: house.row(number).tip or "" for number in numbers}
    tokens = [visitor.token for visitor in visitors]
    begin = threading.Barrier(8)
    statuses: dict[int, list[int]] = {number: [] for number in numbers}

    def press(client: FlaskClient, token: str, number: int) -> None:
        begin.wait(30)
        response = client.post(f"/propositions/{number}/publier", data={"csrf_token": token, "tip": tips[number]})
        statuses[number].append(response.status_code)

    threads = []
    for visitor, token in zip(visitors, tokens, strict=True):
        for number in numbers:
            client = house.app.test_client()
            cookie = visitor.client.get_cookie("session")
            assert cookie is not None
            client.set_cookie("session", cookie.value)
            threads.append(threading.Thread(target=press, args=(client, token, number)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {number: sorted(found) for number, found in statuses.items()} == {number: [303, 409, 409, 409] for number in numbers}
    for number in numbers:
        assert [event.action for event in house.row(number).events] == ["opened", "accepted"]
    assert Article.parse(house.live(), BAC).title == "Un bac"
    assert Article.parse(house.live(VERRE), VERRE).title == "Du verre"
    assert house.proposals.open_branches() == []
    # Two publications, no more.
    assert sum("Publie" in one.summary for path in (BAC, VERRE) for one in house.store.history(path)) <= 2


@pytest.mark.parametrize("state", ["refused", "withdrawn", "changes_requested"])
def test_what_was_published_meanwhile_is_not_refused(house: House, state: service.State) -> None:
    number = house.as_("agnes").propose(EDIT, title="Un bac")
    with house.app.test_request_context():
        old = session().get(Proposal, number)
        dora = session().query(User).filter_by(email="dora@ville.example").one()
        assert old is not None
        assert house.as_("denis").accept(number).status_code == 303
        with pytest.raises(ProposalError, match="close"):
            service.decide(old, Account.of(dora), state, "Trop tard.")
    row = house.row(number)
    assert (row.state, [event.action for event in row.events]) == ("accepted", ["opened", "accepted"])


# ---- what may not be published ----
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lead": "Voir [[nulle-part]]."}, "Aucun article n'a l'adresse « nulle-part »"),
        ({"see_also": "verre\nnulle-part"}, "Aucun article n'a l'adresse « nulle-part »"),
        ({"details": "## T\n\n[[verre"}, "s'afficherait tel quel"),
        ({"lead": ""}, "La réponse manque"),
        ({"short": "x" * 300}, "300 caractères"),
    ],
)
def test_what_would_be_wrong_live_is_not_published(house: House, fields: dict[str, str], said: str) -> None:
    number = house.as_("agnes").propose(EDIT, **fields)
    dora = house.as_("dora")
    page = dora.page(f"/propositions/{number}")
    assert "La publication est impossible" in errors_in(page)
    assert said in errors_in(page)
    assert "Demander un bac jaune : " in errors_in(page)
    assert "Accepter et publier" not in offered(page)
    response = dora.accept(number)
    assert response.status_code == 409
    assert said in errors_in(read(response))
    assert house.live() == FILES[BAC]
    # Put right, it goes.
    right = {"lead": "Le bac.", "see_also": "trou", "details": "## T\n\n[[verre]]", "short": "Court."}
    house.as_("agnes").propose(f"/propositions/{number}/modifier", **{name: right[name] for name in fields})
    assert dora.accept(number).status_code == 303


def test_a_link_that_breaks_meanwhile_forbids_the_publication(house: House) -> None:
    number = house.as_("agnes").propose("/articles/trou/modifier", lead="Voir [[verre]].")
    vera = house.as_("vera")
    assert "Accepter et publier" in offered(vera.page(f"/propositions/{number}"))
    house.publish(BAC, FILES[BAC].replace("[[verre|le verre]]", "rien").replace("see_also: [verre]\n", ""))
    house.publish(VERRE, None)
    assert vera.accept(number).status_code == 409
    assert house.live(TROU) == FILES[TROU]


# ---- requests ----
def ask(visitor: Visitor, key: str = "dechets", question: str = "Peut-on jeter un sapin ?") -> int:
    response = visitor.post("/demandes/sans-reponse", service=key, question=question)
    assert response.status_code == 303
    return int(response.location.split("/")[2])


def test_a_request_closes_with_the_proposal_that_answers_it(house: House) -> None:
    agnes, dora = house.as_("agnes"), house.as_("dora")
    number = ask(agnes)
    page = dora.page(f"/propositions/{number}")
    assert "Écrire un nouvel article" in page.text
    assert "Peut-on jeter un sapin ?" in page.one(".why-change").text
    answer = dora.propose(f"/articles/nouveau?demande={number}", title="Le sapin", lead="Au dépôt.")
    assert f"/propositions/{number}" in [link.attributes["href"] for link in agnes.page(f"/propositions/{answer}").find(".meta a")]
    assert house.row(number).state == "open"
    assert house.as_("denis").accept(answer).status_code == 303
    row = house.row(number)
    assert (row.state, row.events[-1].action, row.events[-1].author_name) == ("accepted", "accepted", "Denis Déchets")
    assert "traitée" in agnes.page(f"/propositions/{number}").one(".meta .state").text
    assert agnes.matched("Peut-on jeter un sapin ?")[0] == "le-sapin"


def test_a_refused_answer_leaves_the_request_open(house: House) -> None:
    number = ask(house.as_("agnes"))
    answer = house.as_("dora").propose(f"/articles/nouveau?demande={number}", title="Le sapin", lead="Au dépôt.")
    assert house.as_("denis").post(f"/propositions/{answer}/refuser", text="Non.").status_code == 303
    assert house.row(number).is_open


def test_a_request_is_closed_refused_or_withdrawn(house: House) -> None:
    agnes, dora, vera = (house.as_(who) for who in ("agnes", "dora", "vera"))
    first, second, third = (ask(agnes, question=f"Peut-on jeter {what} ?") for what in ("un sapin", "un pneu", "un lit"))
    assert offered(dora.page(f"/propositions/{first}")) == {"Clore : demande traitée", "Commenter", "Refuser"}
    assert offered(agnes.page(f"/propositions/{first}")) == {"Commenter", "Retirer"}
    assert vera.post(f"/propositions/{first}/traiter").status_code == 403
    assert dora.post(f"/propositions/{first}/publier").status_code == 409
    assert dora.client.get(f"/propositions/{first}/modifier").status_code == 409
    assert dora.post(f"/propositions/{first}/traiter", text="Déjà dit.").status_code == 303
    assert "La demande est close" in dora.page(f"/propositions/{first}").one(".flash").text
    assert dora.post(f"/propositions/{second}/refuser").status_code == 422
    assert dora.post(f"/propositions/{second}/refuser", text="Hors sujet.").status_code == 303
    assert agnes.post(f"/propositions/{third}/retirer").status_code == 303
    assert [house.row(number).state for number in (first, second, third)] == ["accepted", "refused", "withdrawn"]
    assert dora.post(f"/propositions/{first}/traiter").status_code == 409
    # One's own request may be closed by oneself: nothing is published by it.
    own = ask(dora, question="Et un arbre ?")
    assert dora.post(f"/propositions/{own}/traiter").status_code == 303
    assert house.live() == FILES[BAC]


def test_a_proposal_is_not_closed_as_if_it_were_a_request(shared: House) -> None:
    assert shared.as_("dora").post("/propositions/1/traiter").status_code == 409


# ---- the list ----
def listed(visitor: Visitor, query: str = "") -> list[str]:
    page = visitor.page(f"/propositions/{query}")
    return [link.text for link in page.find(".rows .row-main a")]


def test_the_list_has_what_each_one_must_see(house: House) -> None:
    agnes, dora, vera, ada = (house.as_(who) for who in ("agnes", "dora", "vera", "ada"))
    agnes.propose(EDIT, title="Premier")
    dora.propose(EDIT, title="Deuxième")
    agnes.propose("/articles/trou/modifier", title="Troisième")
    refused = agnes.propose("/articles/verre/modifier", title="Refusé")
    dora.post(f"/propositions/{refused}/refuser", text="Non.")
    sent_back = agnes.propose("/articles/verre/modifier", title="Renvoyé")
    dora.post(f"/propositions/{sent_back}/demander-modification", text="Encore un effort.")
    # To an editor, what waits for them; to an agent, what is theirs.
    assert listed(dora) == listed(dora, "?vue=a-relire") == ["Premier"]
    assert listed(vera) == ["Troisième"]
    assert listed(ada) == ["Troisième", "Deuxième", "Premier"]
    assert listed(agnes) == ["Renvoyé", "Refusé", "Troisième", "Premier"]
    assert listed(agnes, "?vue=a-relire") == listed(agnes)
    assert listed(dora, "?vue=miennes") == ["Deuxième"]
    assert listed(house.as_("basile")) == []
    assert listed(agnes, "?vue=ouvertes") == ["Renvoyé", "Troisième", "Deuxième", "Premier"]
    assert listed(agnes, "?vue=ouvertes&service=voirie") == ["Troisième"]
    assert listed(agnes, "?vue=ouvertes&service=nulle-part") == []
    assert listed(agnes, "?vue=closes") == ["Refusé"]
    assert listed(agnes, "?vue=n%27importe&page=x") == listed(agnes)
    # How much waits, by service, and for oneself in the bar at the top.
    page = agnes.page("/propositions/")
    assert page.find(".facet")[1].text.split() == ["Déchets", "3Voirie", "1"]
    assert [one.text for one in dora.page("/").find(".topbar .badge")] == ["1"]
    assert agnes.page("/").find(".topbar .badge") == []


def test_a_long_list_has_pages(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.routes.proposals.PAGE_SIZE", 2)
    agnes = house.as_("agnes")
    for number in range(5):
        agnes.propose(EDIT, title=f"Bac {number}")
    assert listed(agnes, "?vue=miennes") == ["Bac 4", "Bac 3"]
    page = agnes.page("/propositions/?vue=miennes&page=2")
    assert [link.text for link in page.find(".rows a")] == ["Bac 2", "Bac 1"]
    assert "Page 2 sur 3" in page.one(".pager").text
    assert [link.attributes["href"] for link in page.find(".pager a")] == [
        "/propositions/?vue=miennes&page=1",
        "/propositions/?vue=miennes&page=3",
    ]
    assert listed(agnes, "?vue=miennes&page=3") == ["Bac 0"]
    assert listed(agnes, "?vue=miennes&page=-4") == ["Bac 4", "Bac 3"]
    for beyond in ("4", "9" * 30):
        assert agnes.client.get(f"/propositions/?vue=miennes&page={beyond}").status_code == 200


# ---- git has the last word ----
def stay_open(house: House) -> tuple[int, str]:
    number = house.as_("agnes").propose(EDIT, title="Un bac", message="Une raison.\r\n\r\nBible-Service: voirie")
    return number, house.row(number).branch or ""


def test_a_branch_made_by_git_alone_becomes_a_proposal(house: House) -> None:
    person = Person("Agnès Accueil", "AGNES@ville.example")
    house.proposals.propose("par-git", {BAC: FILES[BAC].replace("jaune", "vert")}, person, "Le bac est vert\n\nParce que.")
    dora = house.as_("dora")
    assert listed(dora) == ["Demander un bac vert"]
    row = house.row(1)
    assert (row.kind, row.slug, row.service, row.author_name, row.message) == ("edit", "bac", "dechets", "Agnès Accueil", "Parce que.")
    # Known by the e-mail address: it is her own.
    assert listed(house.as_("agnes"), "?vue=miennes") == ["Demander un bac vert"]
    assert dora.accept(1).status_code == 303
    assert "vert" in house.live()


@pytest.mark.parametrize(
    ("changes", "kind", "slug"),
    [
        ({"articles/voirie/neuf.md": "---\ntitle: Neuf\n---\nTexte.\n"}, "create", "neuf"),
        ({VERRE: None}, "archive", "verre"),
        ({VERRE: None, "archive/dechets/verre.md": FILES[VERRE]}, "archive", "verre"),
        ({VERRE: None, "articles/dechets/du-verre.md": FILES[VERRE].replace("[bouteilles]", "[bouteilles, verre]")}, "rename", "du-verre"),
        ({"services.yml": "dechets: {name: Ordures}\n"}, "edit", ""),
    ],
)
def test_a_branch_of_any_kind_is_shown(house: House, changes: dict[str, str | None], kind: str, slug: str) -> None:
    house.proposals.propose("par-git", changes, ANNE, "À la main")
    ada = house.as_("ada")
    assert len(listed(ada)) == 1
    row = house.row(1)
    assert (row.kind, row.slug) == (kind, slug)
    for view in ("lecture", "source"):
        page = ada.page(f"/propositions/1?vue={view}")
        assert page.find(".change")
        if kind != "archive":  # what would go live is read, whatever the view
            assert page.find(".change ins") or "Les deux textes sont les mêmes" in page.text or "Aucun changement visible" in page.text
        if not slug:
            assert words(page, "ins", ".diff-source") == ["Ordures"]
    if not slug:  # it is of no service: administrators decide
        assert house.as_("dora").accept(1).status_code == 403
        assert house.as_("agnes").client.get("/propositions/1/modifier").status_code in (403, 409)
    assert ada.post("/propositions/1/refuser", text="Non.").status_code == 303


@pytest.mark.parametrize(("kept", "where"), [({}, []), ({"archive/voirie/trou.md": FILES[TROU]}, ["/articles/archives/voirie/trou"])])
def test_an_article_gone_from_the_site_leads_to_its_archive_where_it_has_one(house: House, kept: dict[str, str], where: list[str]) -> None:
    house.proposals.propose("par-git", {TROU: None} | kept, ANNE, "Archive")
    ada = house.as_("ada")
    assert len(listed(ada)) == 1
    offers = offered(ada.page("/propositions/1"))
    assert "Accepter et archiver" in offers
    assert "Accepter et publier" not in offers
    assert ada.accept(1).status_code == 303
    links = [one.attributes["href"] for one in ada.page("/propositions/1").find(".meta a")]
    assert links == where
    assert [ada.client.get(link).status_code for link in links] == [200] * len(where)


def by_hand(house: House, name: str, files: dict[str, bytes], message: str = "À la main") -> pygit2.Oid:
    """Push a branch as git would: any name, any bytes."""
    repository = pygit2.Repository(str(house.root))
    head = repository[repository.head.target]
    assert isinstance(head, pygit2.Commit)
    index = pygit2.Index()
    index.read_tree(head.tree)
    for path, content in files.items():
        index.add(pygit2.IndexEntry(path, repository.create_blob(content), pygit2.enums.FileMode.BLOB))
    signature = ANNE.signature()
    commit = repository.create_commit(None, signature, signature, message, index.write_tree(repository), [head.id])
    repository.references.create(f"refs/heads/proposals/{name}", commit)
    return commit


BAD = {
    "no front matter": {BAC: b"Plus rien <script>alert(1)</script>"},
    "broken yaml": {BAC: b"---\ntitle: [\n---\nTexte <script>alert(1)</script>\n"},
    "yaml bomb": {BAC: b"---\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\ntitle: x\n---\nTexte.\n"},
    "no title": {BAC: b"---\ntags: [a]\n---\nTexte.\n"},
    "placeholder": {BAC: b"---\ntitle: Bac\n---\n{{ secret }} {% for x in y %}\n"},
    "deep": {BAC: b"---\ntitle: Bac\n---\n" + b"1. " * 400 + b"\n" + b"> " * 200 + b"\n" + b"[" * 1000},
    "huge": {BAC: b"---\ntitle: Bac\n---\n" + b"mot " * 300_000},
    "large": {BAC: b"---\ntitle: Bac\n---\n" + b"Un mot, puis un autre.\n\n" * 200},
    "not text": {BAC: b"---\ntitle: Bac\n---\n\xff\xfe\x00"},
    "nul": {BAC: b"---\ntitle: Bac\n---\n\x00"},
    "taken": {"articles/voirie/bac.md": b"---\ntitle: Bac\n---\nTexte.\n"},
    "no content": {"README.md": b"Rien", ".github/workflows/x.yml": b"x"},
    "odd path": {"articles/dechets/a/b/c/d.md": b"---\ntitle: Loin\n---\nTexte.\n", "articles/..x.md": b"x"},
}


@pytest.mark.parametrize("name", BAD)
def test_a_branch_of_bad_text_is_listed_read_and_refused(house: House, name: str) -> None:
    by_hand(house, "mauvais", BAD[name])
    ada = house.as_("ada")
    assert len(listed(ada)) == 1
    for view in ("lecture", "source"):
        page = ada.page(f"/propositions/1?vue={view}")
        assert page.one("#text")
        assert "script" not in {one.tag for one in page.elements if one.inside("main")}
        assert "Refuser" in offered(page)
    for address in ("/propositions/1/modifier", "/propositions/1/conflit"):
        assert ada.client.get(address).status_code != 500
    before = house.store.head()
    if "Accepter et publier" not in offered(ada.page("/propositions/1")):
        assert ada.accept(1).status_code in (409, 503)
        assert house.store.head() == before
    assert ada.post("/propositions/1/refuser", text="Illisible.").status_code == 303
    assert house.row(1).state == "refused"
    assert house.proposals.open_branches() == []
    assert listed(ada) == []


def test_what_a_branch_holds_beside_its_articles_is_told_and_not_published(house: House) -> None:
    unseen = "---\ntitle: Réparer un trou\n---\nTexte que personne n'a lu.\n"
    files = {BAC: FILES[BAC].replace("jaune", "vert").encode(), "articles/a~1/trou.md": unseen.encode(), ".github/workflows/x.yml": b"x"}
    by_hand(house, "double-fond", files)
    ada = house.as_("ada")
    assert listed(ada) == ["Demander un bac vert"]
    page = ada.page("/propositions/1")
    assert "articles/a~1/trou.md" in errors_in(page)
    assert ".github/workflows/x.yml" in errors_in(page)
    assert "Accepter et publier" not in offered(page)
    before = house.store.head()
    assert ada.accept(1).status_code == 409
    assert house.store.head() == before


def test_a_branch_that_git_moved_is_read_again_then_published(house: House) -> None:
    number, branch = stay_open(house)
    dora = house.as_("dora")
    page = dora.page(f"/propositions/{number}")
    tip = next(one.attributes["value"] for one in page.find(".decision input") if one.attributes["name"] == "tip")
    moved = house.proposals.amend(branch, house.row(number).tip or "", {BAC: FILES[BAC].replace("jaune", "mauve")}, ANNE, "Encore")
    answer = dora.post(f"/propositions/{number}/publier", tip=tip)
    assert answer.status_code == 409
    assert "mauve" in read(answer).one(".page-diff").text
    assert house.row(number).tip == moved.tip
    assert dora.accept(number).status_code == 303
    assert "mauve" in house.live()


def test_a_long_address_is_proposed_as_often_as_one_likes(house: House) -> None:
    slug = "a" * 100
    house.store.publish({f"articles/dechets/{slug}.md": FILES[BAC]}, ANNE, "Long")
    house.state.refresh()
    agnes, dora = house.as_("agnes"), house.as_("dora")
    first = agnes.propose(f"/articles/{slug}/modifier", short="Un.")
    assert agnes.propose(f"/articles/{slug}/modifier", short="Deux.") > first
    dora.post(f"/propositions/{first}/refuser", text="Non.")
    assert agnes.propose(f"/articles/{slug}/modifier", short="Un.")


def test_an_address_archived_twice_keeps_both_texts(house: House) -> None:
    agnes, ada = house.as_("agnes"), house.as_("ada")

    def archived() -> None:
        number = int(agnes.post("/articles/trou/archiver").location.split("/")[2])
        assert "quitte la recherche" in ada.page(f"/propositions/{number}").one(".change").text
        assert ada.accept(number).status_code == 303

    archived()
    number = agnes.propose("/articles/nouveau", title="Un autre trou", slug="trou", lead="Le trou nouveau.", service="voirie")
    assert ada.accept(number).status_code == 303
    archived()
    page = ada.page("/articles/archives")
    links = {one.attributes["href"]: one.text for one in page.find("main a") if "/archives/" in one.attributes["href"]}
    assert set(links) == {"/articles/archives/voirie/trou", "/articles/archives/voirie/trou-2"}
    assert "Le trou nouveau." in ada.page("/articles/archives/voirie/trou-2").text
    assert "Le trou nouveau." not in ada.page("/articles/archives/voirie/trou").text


@pytest.mark.parametrize("name", ["Titre_En.Capitales", "dora/mon-travail", "-é", "a" * 180])
def test_a_branch_of_any_name_lives_like_the_others(house: House, name: str) -> None:
    by_hand(house, name, {BAC: FILES[BAC].replace("jaune", "vert").encode()})
    dora = house.as_("dora")
    assert listed(dora) == ["Demander un bac vert"]
    assert dora.propose("/propositions/1/modifier", short="Court.") == 1
    assert dora.post("/propositions/1/refuser", text="Non.").status_code == 303
    assert listed(dora) == []
    by_hand(house, f"{name}2", {BAC: FILES[BAC].replace("jaune", "rouge").encode()})
    assert listed(dora) == ["Demander un bac rouge"]
    assert dora.accept(2).status_code == 303
    assert "rouge" in house.live()
    assert listed(dora) == []


SAID = (
    "",
    "\n\n",
    "Bible-Kind: request",
    "X\n\nBible-Kind: <script>\nBible-Service: voirie\nBible-Slug: ../../etc/passwd",
    "x" * 10_000,
    "\x1b[31mrouge\x07",
)


def test_a_branch_may_say_anything(house: House) -> None:
    for number, message in enumerate(SAID):
        by_hand(house, f"dit-{number}", {BAC: FILES[BAC].replace("jaune", "vert").encode()}, message)
    dora = house.as_("dora")
    assert listed(dora) == ["Demander un bac vert"] * len(SAID)
    # Whose article it is, the article says.
    assert {(row.kind, row.slug, row.service, row.former_service) for row in house.rows()} == {("edit", "bac", "dechets", None)}
    for row in house.rows():
        assert "Accepter et publier" in offered(dora.page(f"/propositions/{row.id}"))
    assert dora.accept(1).status_code == 303


def test_a_branch_without_a_common_ancestor_is_shown(house: House) -> None:
    repository = pygit2.Repository(str(house.root))
    signature = ANNE.signature()
    head = repository[repository.head.target]
    assert isinstance(head, pygit2.Commit)
    repository.create_commit("refs/heads/proposals/orpheline", signature, signature, "Sans racine", head.tree_id, [])
    ada = house.as_("ada")
    assert ada.client.get("/propositions/").status_code == 200
    if listed(ada):
        assert "ancêtre commun" in errors_in(ada.page("/propositions/1"))
        assert ada.post("/propositions/1/refuser", text="Non.").status_code == 303


def test_a_branch_that_was_deleted_is_withdrawn(house: House) -> None:
    number, branch = stay_open(house)
    pygit2.Repository(str(house.root)).references.delete(f"refs/heads/proposals/{branch}")
    dora = house.as_("dora")
    assert dora.client.get(f"/propositions/{number}").status_code == 200
    assert dora.accept(number).status_code == 409
    assert listed(dora) == []
    row = house.row(number)
    assert (row.state, row.events[-1].author_name) == ("withdrawn", "git")
    assert dora.client.get(f"/propositions/{number}").status_code == 200


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_branch_that_git_merged_is_published(house: House, is_kept: bool) -> None:
    number, branch = stay_open(house)
    repository = pygit2.Repository(str(house.root))
    reference = f"refs/heads/proposals/{branch}"
    repository.references["refs/heads/main"].set_target(repository.references[reference].target)
    repository.reset(repository.head.target, pygit2.enums.ResetMode.HARD)
    if not is_kept:
        repository.references.delete(reference)
    house.state.live.refresh()
    agnes = house.as_("agnes")
    assert listed(agnes, "?vue=closes") == ["Un bac"]
    row = house.row(number)
    assert (row.state, row.live) == ("accepted", house.store.head())
    assert house.proposals.open_branches() == []
    assert Article.parse(house.live(), BAC).title == "Un bac"


def test_a_branch_that_git_moved_is_to_be_read_again(house: House) -> None:
    number, branch = stay_open(house)
    dora = house.as_("dora")
    dora.post(f"/propositions/{number}/demander-modification", text="Encore.")
    tip = house.row(number).tip or ""
    house.proposals.amend(branch, tip, {BAC: FILES[BAC].replace("jaune", "vert")}, ANNE, "Par git")
    listed(dora)
    row = house.row(number)
    assert (row.state, row.events[-1].action, row.events[-1].author_name) == ("open", "amended", "Anne Petit")
    assert row.tip != tip
    assert dora.accept(number).status_code == 303


def test_everything_open_comes_back_from_git(house: House) -> None:
    agnes, dora = house.as_("agnes"), house.as_("dora")
    stay_open(house)
    agnes.propose("/articles/nouveau", title="La piscine", lead="Ouverte.", service="voirie")
    agnes.propose("/articles/verre/modifier", service="voirie", slug="le-verre")
    agnes.post("/articles/verre/archiver", replacement="bac")
    closed = agnes.propose(EDIT, title="Refusé")
    dora.post(f"/propositions/{closed}/refuser", text="Non.")

    def known() -> set[tuple[object, ...]]:
        return {
            (row.kind, row.slug, row.title, row.service, row.former_service, row.message, row.branch, row.base, row.tip, row.author_id)
            for row in house.rows()
            if row.is_open
        }

    before = known()
    assert len(before) == 4
    database = house.app.extensions["database_sessions"]()
    database.execute(sa.text("DELETE FROM proposal_events"))
    database.execute(sa.text("DELETE FROM proposals"))
    database.commit()
    database.close()
    listed(agnes)
    assert known() == before
    # A reason that looks like git's own lines changed nothing of whose article it is.
    assert {row.service for row in house.rows() if row.title == "Un bac"} == {"dechets"}
    assert service_count(house) == 0
    number = next(row.id for row in house.rows() if row.title == "Un bac")
    assert dora.accept(number).status_code == 303


def service_count(house: House) -> int:
    """How many rows another look at git changes."""
    with house.app.test_request_context():
        return service.reconcile()


def test_a_start_makes_the_rows_that_are_missing(house: House) -> None:
    house.proposals.propose("avant", {BAC: FILES[BAC].replace("jaune", "vert")}, ANNE, "Avant le démarrage")
    again = house.start()
    try:
        assert [row.title for row in house.rows()] == ["Demander un bac vert"]
        assert house.as_("dora", again).page("/").one(".topbar .badge").text == "1"
    finally:
        close(again)


def break_table(house: House, name: str = "proposal_events") -> Callable[[], None]:
    """Make the database refuse to write; returns what mends it."""

    def run(*orders: str) -> None:
        with house.app.extensions["database"].begin() as connection:
            for order in orders:
                connection.execute(sa.text(order))

    run(f"ALTER TABLE {name} RENAME TO away", f"CREATE VIEW {name} AS SELECT * FROM away")
    return lambda: run(f"DROP VIEW {name}", f"ALTER TABLE away RENAME TO {name}")


def test_a_database_that_fails_after_the_branch_loses_nothing(house: House) -> None:
    agnes = house.as_("agnes")
    form = agnes.form(EDIT) | {"title": "Un bac", "message": "Ma raison."}
    mend = break_table(house)
    response = agnes.client.post(EDIT, data=form)
    assert response.status_code == 503
    assert "La base de données ne répond pas" in response.text
    mend()
    assert len(house.proposals.open_branches()) == 1
    assert listed(agnes) == ["Un bac"]
    row = house.row(1)
    assert (row.message, row.author_name, row.service, row.kind) == ("Ma raison.", "Agnès Accueil", "dechets", "edit")
    assert house.as_("dora").accept(1).status_code == 303


def test_a_database_that_fails_after_the_publication_is_told_later(house: House) -> None:
    number, _ = stay_open(house)
    dora = house.as_("dora")
    tip, token = house.row(number).tip or "", dora.token
    mend = break_table(house)
    response = dora.client.post(f"/propositions/{number}/publier", data={"csrf_token": token, "tip": tip})
    assert response.status_code == 503
    mend()
    assert Article.parse(house.live(), BAC).title == "Un bac"
    listed(dora)
    row = house.row(number)
    assert (row.state, row.live) == ("accepted", house.store.head())
    # Pressed again, it says that it is done.
    assert dora.post(f"/propositions/{number}/publier", tip=tip).status_code == 409


def test_a_proposal_made_while_the_list_is_read_is_there_once(house: House) -> None:
    agnes, ada = house.as_("agnes"), house.as_("ada")
    form = agnes.form(EDIT)
    stop = threading.Event()
    wrong: list[int] = []

    def look() -> None:
        while not stop.is_set():
            status = ada.client.get("/propositions/").status_code
            if status != 200:
                wrong.append(status)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        statuses = [agnes.client.post(EDIT, data=form | {"title": f"Bac {number}"}).status_code for number in range(10)]
    finally:
        stop.set()
        thread.join(60)
    assert (statuses, wrong) == ([303] * 10, [])
    assert len(house.rows()) == len({row.branch for row in house.rows()}) == 10
    assert {row.author_name for row in house.rows()} == {"Agnès Accueil"}


# ---- in every worker ----
def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds, and fail when it never does."""
    done = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        done.wait(0.05)
    assert condition()


def test_what_is_accepted_in_a_worker_is_found_in_the_other(house: House) -> None:
    other = house.start(watch=True)
    live: LiveEngine = other.extensions["bible"].live
    try:
        number = house.as_("agnes").propose(EDIT, lead="Le bac zinzolin est au dépôt.")
        elsewhere = house.as_("basile", other)
        assert elsewhere.found("zinzolin") == []
        assert house.as_("dora").accept(number).status_code == 303
        wait_for(lambda: elsewhere.found("zinzolin") == ["bac"])
        assert "zinzolin" in elsewhere.page("/articles/bac").one("main").text
        # A proposal of one is reviewed in the other.
        number = elsewhere.propose(EDIT, lead="Le bac amarante est au dépôt.")
        assert house.as_("dora").accept(number).status_code == 303
        wait_for(lambda: elsewhere.found("amarante") == ["bac"] and elsewhere.found("zinzolin") == [])
        # And archived, it is gone from both.
        number = int(house.as_("agnes").post("/articles/bac/archiver", replacement="verre").location.split("/")[2])
        assert house.as_("dora", other).accept(number).status_code == 303
        assert elsewhere.found("amarante") == []
        house.state.live.refresh()
        assert house.as_("basile").found("amarante") == []
    finally:
        live.stop()
        close(other)


def test_a_text_edited_in_the_folder_reaches_every_worker_and_the_proposals(house: House) -> None:
    number = house.as_("agnes").propose(EDIT, title="Un bac")
    (house.root / BAC).write_text(FILES[BAC].replace("communal", "zinzolin"), encoding="utf-8")
    assert house.as_("dora").accept(number).status_code == 303
    assert "zinzolin" in house.live()
    assert house.as_("dora").found("zinzolin") == ["bac"]
    assert house.store.history(BAC)
    assert git_store.SOFTWARE.name in {one.author for one in house.store.history(BAC)}
