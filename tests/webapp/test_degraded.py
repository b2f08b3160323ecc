"""Without a model the service degrades: keyword search, a banner that says so, and it stays ready."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.conftest import MakeApp
from tests.webapp.reading import ask_with, read

MODELS = ["none", "modele-qui-n-existe-pas", "an-empty-folder"]


@pytest.fixture(params=MODELS)
def without_model(
    request: pytest.FixtureRequest, one_article: Callable[..., Path], make_app: MakeApp, tmp_path: Path
) -> tuple[FlaskClient, str]:
    """A client of an application whose model cannot be loaded, and the model's name."""
    model = str(request.param)
    if model == "an-empty-folder":
        (tmp_path / model).mkdir()
        model = str(tmp_path / model)
    return make_app(one_article(), model=model).test_client(), model


def test_the_desk_still_answers_and_says_how(without_model: tuple[FlaskClient, str]) -> None:
    client, model = without_model
    page = read(ask_with(client, "Où trouver un bac jaune ?"))
    assert page.find(".card a")[0].attributes["href"] == "/articles/bac"
    banner = page.one(".ribbon-warning")
    assert banner.attributes["role"] == "status"
    assert "Recherche par mots-clés seulement" in banner.text
    # The reason names what to correct.
    assert "BIBLE_MODEL" in banner.text
    assert model in banner.text


def test_every_page_says_so(without_model: tuple[FlaskClient, str]) -> None:
    client, _ = without_model
    for path in ("/", "/articles/", "/articles/?q=bac", "/articles/bac", "/nulle-part"):
        assert "mots-clés" in read(client.get(path)).one(".ribbon-warning").text


def test_it_stays_ready(without_model: tuple[FlaskClient, str]) -> None:
    client, _ = without_model
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["mode"] == "keywords"
    assert response.json["degraded"] is True
    assert client.get("/healthz").status_code == 200


def test_with_a_model_nothing_is_said(client: FlaskClient) -> None:
    assert not read(client.get("/")).find(".ribbon-warning")


def test_a_change_of_model_is_taken_at_the_next_start(one_article: Callable[..., Path], make_app: MakeApp, tmp_path: Path) -> None:
    kb, var = one_article(), tmp_path / "kept"
    first = make_app(kb, var_dir=var, model="none").test_client().get("/readyz").json
    second = make_app(kb, var_dir=var).test_client().get("/readyz").json
    third = make_app(kb, var_dir=var, model="none").test_client().get("/readyz").json
    modes = [one["mode"] for one in (first, second, third) if one]
    assert modes == ["keywords", "hybrid", "keywords"]
