"""The page of twins and contradictions: both sides, links, who may see it, and one computation for each state of the articles."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from flask import Flask

from search.engine import SearchEngine
from tests.conftest import MakeApp, MakeKb
from tests.webapp.reading import read
from tests.webapp.test_reviews import as_role
from webapp.routes import twins

BADGE = "Le badge de la ludothèque coûte {price}. Il se retire au guichet, avec une pièce d'identité et un justificatif de domicile."


def article(title: str, price: str) -> str:
    return f"---\ntitle: {title}\n---\n{BADGE.format(price=price)}\n"


FILES = {
    "services.yml": "culture:\n  name: Culture\nenfance:\n  name: Enfance\n",
    "articles/culture/badge.md": article("Le badge de la ludothèque", "12 €"),
    "articles/enfance/ludotheque.md": article("Badge de la ludothèque", "15 €"),
    "articles/enfance/cantine.md": "---\ntitle: La cantine\n---\nInscription au portail des familles avant juin.\n",
}


@pytest.fixture
def site(make_app: MakeApp, make_kb: MakeKb) -> Flask:
    """An application on two articles that repeat and contradict one another, and a third."""
    return make_app(make_kb(FILES))


@pytest.mark.parametrize("role", ["editor", "admin"])
def test_both_sides_are_shown_with_their_links(site: Flask, role: str) -> None:
    page = read(as_role(site, role).get("/jumeaux"))
    for kind in (".twin", ".contradiction"):
        links = {one.attributes["href"] for one in page.find(f"{kind} a")}
        assert links == {f"/articles/{slug}{end}" for slug in ("badge", "ludotheque") for end in ("", "/modifier")}
        assert [one.text.split(" ·")[0] for one in page.find(f"{kind} .pair-side .hint")] == ["Culture", "Enfance"]
    assert [one.text for one in page.find(".contradiction mark")] == ["12 €", "15 €"]
    assert "montant" in page.one(".contradiction").text


def test_an_agent_is_refused(site: Flask) -> None:
    assert as_role(site, "agent").get("/jumeaux").status_code == 403


def test_nothing_found_is_said(make_app: MakeApp, make_kb: MakeKb) -> None:
    page = read(as_role(make_app(make_kb({"articles/enfance/cantine.md": FILES["articles/enfance/cantine.md"]})), "admin").get("/jumeaux"))
    assert "Aucune contradiction repérée" in page.text and "Aucun doublon repéré" in page.text


def test_it_works_without_a_model(make_app: MakeApp, make_kb: MakeKb) -> None:
    page = read(as_role(make_app(make_kb(FILES), model="none"), "admin").get("/jumeaux"))
    assert len(page.find(".twin")) == len(page.find(".contradiction")) == 1


def test_hostile_text_stays_text(make_app: MakeApp, make_kb: MakeKb) -> None:
    words = "&lt;script&gt;alert(1)&lt;/script&gt; <b onclick='x'>Le badge</b> coûte {price}."
    files = {
        f"articles/{service}/{service}.md": f"---\ntitle: '<img src=x onerror=alert(1)>'\n---\n{words.format(price=price)}\n"
        for service, price in (("culture", "12 €"), ("enfance", "15 €"))
    }
    response = as_role(make_app(make_kb(files)), "admin").get("/jumeaux")
    page = read(response)
    assert page.find(".twin")
    assert "<script>alert" not in response.text and not page.find("main img") and not page.find("main b")


def test_each_state_of_the_articles_is_compared_once(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[SearchEngine] = []
    really = twins.twins

    def counted(engine: SearchEngine) -> list[object]:
        compared.append(engine)
        return really(engine)  # type: ignore[return-value]

    monkeypatch.setattr(twins, "twins", counted)
    clients = [as_role(site, "admin") for _ in range(4)]
    threads = [threading.Thread(target=client.get, args=("/jumeaux",)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(compared) == 1
    state = site.extensions["bible"]
    (Path(state.settings.content_dir) / "articles/enfance/ludotheque.md").unlink()
    assert state.live.refresh()
    assert not read(clients[0].get("/jumeaux")).find(".twin")
    assert len(compared) == 2


def test_a_long_list_is_cut_and_counted(make_app: MakeApp, make_kb: MakeKb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "MAX_SHOWN", 3)
    files = {f"articles/culture/badge-{number}.md": article("Le badge de la ludothèque", "12 €") for number in range(4)}
    page = read(as_role(make_app(make_kb(files)), "admin").get("/jumeaux"))
    assert len(page.find(".twin")) == 3
    assert "6" in page.one("#jumeaux").text


def test_a_page_does_not_wait_for_a_long_comparison(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = threading.Event()
    really = twins.twins
    monkeypatch.setattr(twins, "twins", lambda engine: (may_go_on.wait(10), really(engine))[1])
    monkeypatch.setattr(twins, "WAIT_SECONDS", 0.05)
    client = as_role(site, "admin")
    assert "La comparaison est en cours" in read(client.get("/jumeaux")).text
    may_go_on.set()
    monkeypatch.setattr(twins, "WAIT_SECONDS", 10)
    assert len(read(client.get("/jumeaux")).find(".twin")) == 1
