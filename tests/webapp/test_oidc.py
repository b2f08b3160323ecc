"""Log-in at an OpenID Connect provider that runs in the test, over HTTP: who gets in, with which role, and what is not believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.webapp.oidc_provider import CLIENT_ID, CLIENT_SECRET, RETURN, Provider, running
from tests.webapp.people import log_in, make_person, send
from tests.webapp.reading import read
from webapp.accounts import people
from webapp.accounts.models import User

OneArticle = Callable[..., Path]


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider, well-behaved until told otherwise."""
    with running() as made:
        yield made


@pytest.fixture
def real(make_app: MakeApp, one_article: OneArticle, provider: Provider) -> Flask:
    """An application whose people log in at ``provider``, or with a password."""
    return app_for(make_app, one_article, provider)


def app_for(make_app: MakeApp, one_article: OneArticle, provider: Provider, **values: object) -> Flask:
    return make_app(
        one_article(),
        accounts="on",
        model="none",
        **{"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET} | values,
    )


def to_provider(client: FlaskClient, target: str = "") -> str:
    """Press the button; returns the address at the provider."""
    response = client.get("/connexion/oidc", query_string={"next": target})
    assert response.status_code == 302, response.text
    return str(response.location)


def at_provider(address: str) -> str:
    """Log in there; returns the address that one is sent back to."""
    response = requests.get(address, allow_redirects=False, timeout=10)
    assert response.status_code == 302, response.text
    return str(response.headers["Location"])


def come_in(client: FlaskClient, target: str = "") -> TestResponse:
    """The whole way."""
    return client.get(at_provider(to_provider(client, target)))


def user(app: Flask, email: str = "zoe@ville.example") -> User | None:
    with app.app_context():
        return people.by_email(email)


def known(app: Flask, email: str = "zoe@ville.example") -> User:
    found = user(app, email)
    assert found is not None
    return found


# ---- in ----
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("signed", [False, True])
def test_one_comes_in_with_an_account_made_on_the_way(real: Flask, provider: Provider, algorithm: str, signed: bool) -> None:
    provider.behaviour.algorithm, provider.behaviour.signed_userinfo = algorithm, signed
    client = real.test_client()
    assert "Se connecter avec ProConnect" in client.get("/connexion").text
    response = come_in(client, "/articles/?q=bac")
    assert (response.status_code, response.location) == (303, "/articles/?q=bac")
    assert client.get("/").status_code == 200
    made = known(real)
    assert (made.name, made.email, made.password_hash) == ("Zoé Petit", "zoe@ville.example", None)
    assert (made.is_admin, made.services) == (False, frozenset())


def test_what_is_asked_of_the_provider(make_app: MakeApp, one_article: OneArticle, provider: Provider) -> None:
    app = app_for(make_app, one_article, provider, oidc_acr_values="eidas1", oidc_scopes="email roles")
    come_in(app.test_client())
    [asked] = provider.behaviour.asked
    assert asked["redirect_uri"] == RETURN
    assert asked["scope"].split() == ["openid", "email", "roles"]
    assert asked["acr_values"] == "eidas1"
    assert len(asked["state"]) >= 20
    assert len(asked["nonce"]) >= 20
    assert asked["code_challenge_method"] == "S256"


def test_the_return_address_is_that_of_the_site(make_app: MakeApp, one_article: OneArticle, provider: Provider) -> None:
    app = app_for(make_app, one_article, provider, site_url="https://bible.ville.example")
    address = to_provider(app.test_client())
    assert parse_qs(urlsplit(address).query)["redirect_uri"] == ["https://bible.ville.example/connexion/oidc/retour"]


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Zoé P."}, "Zoé P."),
        ({"given_name": "Zoé", "usual_name": "Durand", "family_name": None}, "Zoé Durand"),  # as ProConnect says it
        ({"given_name": None, "family_name": None}, "zoe@ville.example"),
    ],
)
def test_the_name_is_the_best_that_is_said(real: Flask, provider: Provider, claims: dict[str, object], name: str) -> None:
    provider.behaviour.userinfo = claims
    come_in(real.test_client())
    assert known(real).name == name


def test_a_renewed_key_is_fetched(real: Flask, provider: Provider) -> None:
    provider.behaviour.signed_userinfo = True
    come_in(real.test_client())
    client = real.test_client()
    back = at_provider(to_provider(client))
    with real.app_context():
        real.extensions["oidc"].fetch_jwk_set()
    provider.rotate_keys()
    assert client.get(back).status_code == 303


# ---- roles ----
@pytest.mark.parametrize(
    ("claim", "value", "expected"),
    [
        ("roles", ["bible-agent"], (False, set())),
        ("roles", ["bible-editor:dechets", "bible-editor:eau", "autre-role"], (False, {"dechets", "eau"})),
        ("roles", ["bible-admin"], (True, set())),
        ("roles", "bible-agent bible-editor:eau", (False, {"eau"})),
        ("realm_access.roles", ["offline_access", "bible-admin"], (True, set())),  # as Keycloak says it
        ("https://ville.example/roles", ["bible-agent"], (False, set())),
    ],
)
def test_roles_come_from_the_claim(
    make_app: MakeApp, one_article: OneArticle, provider: Provider, claim: str, value: object, expected: tuple[bool, set[str]]
) -> None:
    app = app_for(make_app, one_article, provider, oidc_roles_claim=claim)
    said: dict[str, object] = {claim: value} if not claim.startswith("realm") else {"realm_access": {"roles": value}}
    provider.behaviour.claims = {"sub": "u-1", "name": "Zoé", "email": "zoe@ville.example"} | said
    assert come_in(app.test_client()).status_code == 303
    assert (known(app).is_admin, set(known(app).services)) == expected


@pytest.mark.parametrize(
    "roles", [None, [], "", ["autre"], ["bible-editor:"], ["bible-"], ["BIBLE-ADMIN"], {"bible-admin": True}, [["bible-admin"]], 7]
)
def test_without_a_role_of_ours_one_is_told_so_and_stays_out(real: Flask, provider: Provider, roles: object) -> None:
    provider.behaviour.userinfo = {"roles": roles}
    client = real.test_client()
    response = come_in(client)
    assert response.status_code == 403
    assert "n'a pas de rôle dans La Bible" in read(response).one("main").text
    assert client.get("/").status_code == 303
    assert user(real) is None


def test_roles_are_those_of_each_log_in(real: Flask, provider: Provider) -> None:
    provider.behaviour.claims["roles"] = ["bible-admin", "bible-editor:eau"]
    come_in(real.test_client())
    assert known(real).is_admin
    provider.behaviour.claims["roles"] = ["bible-editor:dechets"]
    come_in(real.test_client())
    assert (known(real).is_admin, known(real).services) == (False, {"dechets"})


# ---- whose account ----
def test_a_local_account_with_the_same_verified_address_is_linked(real: Flask, provider: Provider) -> None:
    number = make_person(real, "Zoé Petit", "zoe@ville.example")
    assert come_in(real.test_client()).status_code == 303
    assert known(real).id == number
    provider.behaviour.claims["email"] = "zoe.durand@ville.example"  # from now on, the provider's own identifier counts
    assert come_in(real.test_client()).status_code == 303
    moved = user(real, "zoe.durand@ville.example")
    assert moved is not None
    assert moved.id == number
    # Whoever gets the address that she left is somebody else.
    provider.behaviour.claims |= {"email": "zoe@ville.example", "sub": "u-2"}
    assert come_in(real.test_client()).status_code == 303
    assert known(real).id != number


@pytest.mark.parametrize("verified", [False, None, "false", 0])
def test_an_address_that_nobody_verified_opens_no_account_of_another(real: Flask, provider: Provider, verified: object) -> None:
    make_person(real, "Zoé Petit", "zoe@ville.example", is_admin=True)
    provider.behaviour.userinfo = {"email_verified": verified}
    response = come_in(real.test_client())
    assert response.status_code == 403
    assert "a déjà un compte" in response.text
    assert known(real).oidc_subject is None


def test_a_provider_without_roles_lets_in_those_who_have_an_account(make_app: MakeApp, one_article: OneArticle, provider: Provider) -> None:
    """As ProConnect does: any public agent may log in there, and their address is vouched for without a word."""
    app = app_for(make_app, one_article, provider, oidc_roles_claim="", oidc_trust_email=True)
    del provider.behaviour.claims["email_verified"]
    refused = come_in(app.test_client())
    assert refused.status_code == 403
    assert "Aucun compte n'est ouvert" in read(refused).one("main").text
    assert user(app) is None
    make_person(app, "Zoé Petit", "zoe@ville.example", services={"dechets"})
    for _ in range(2):
        assert come_in(app.test_client()).status_code == 303
        assert known(app).services == {"dechets"}, "roles are those of the administration page"


def test_trust_does_not_cover_an_address_that_is_said_not_to_be_verified(
    make_app: MakeApp, one_article: OneArticle, provider: Provider
) -> None:
    app = app_for(make_app, one_article, provider, oidc_roles_claim="", oidc_trust_email=True)
    provider.behaviour.claims["email_verified"] = False
    make_person(app, "Zoé Petit", "zoe@ville.example", is_admin=True)
    assert come_in(app.test_client()).status_code == 403
    assert known(app).oidc_subject is None


@pytest.mark.parametrize(("email", "verified"), [("camille@ville.example", True), ("zoe.durand@ville.example", False)])
def test_an_address_that_is_another_s_or_nobody_s_leaves_the_account_as_it_was(
    real: Flask, provider: Provider, email: str, verified: bool
) -> None:
    make_person(real)
    come_in(real.test_client())
    provider.behaviour.claims |= {"email": email, "email_verified": verified}
    assert come_in(real.test_client()).status_code == 303
    assert known(real).oidc_subject


def test_another_identity_does_not_take_over_a_linked_account(real: Flask, provider: Provider) -> None:
    come_in(real.test_client())
    provider.behaviour.claims["sub"] = "u-2"
    assert come_in(real.test_client()).status_code == 403


def test_a_deactivated_account_stays_out(real: Flask, provider: Provider) -> None:
    client = real.test_client()
    come_in(client)
    with real.app_context():
        people.set_active(people.get(known(real).id), False)
    response = come_in(client)
    assert response.status_code == 403
    assert "désactivé" in response.text
    assert client.get("/").status_code == 303


def test_without_an_address_there_is_no_account(real: Flask, provider: Provider) -> None:
    provider.behaviour.userinfo = {"email": None}
    assert come_in(real.test_client()).status_code == 403


# ---- what is not believed ----
LATE = {"exp": 1_600_000_000, "iat": 1_600_000_000 - 60}


@pytest.mark.parametrize(
    "lie",
    [
        {"id_token": {"nonce": "autre"}}, {"id_token": {"nonce": None}}, {"id_token": {"aud": "autre-service"}},
        {"id_token": {"iss": "https://evil.example"}}, {"id_token": LATE}, {"id_token": {"exp": None}},
        {"foreign_key": True}, {"foreign_key": True, "algorithm": "RS256"}, {"algorithm": "HS256"}, {"algorithm": "none"},
        {"without_id_token": True},
        {"userinfo": {"sub": "u-2"}}, {"userinfo": {"sub": None}},
        {"signed_userinfo": True, "userinfo": {"aud": "autre-service"}}, {"signed_userinfo": True, "userinfo": {"iss": "https://evil.example"}},
        {"signed_userinfo": True, "userinfo": LATE}, {"signed_userinfo": True, "userinfo": {"sub": "u-2"}},
        {"metadata": {"issuer": "https://evil.example"}},
    ],
)  # fmt: skip
def test_a_lie_is_not_believed(real: Flask, provider: Provider, lie: dict[str, object]) -> None:
    for name, value in lie.items():
        setattr(provider.behaviour, name, value)
    client = real.test_client()
    response = client.get("/connexion/oidc")
    if response.status_code == 302:
        response = client.get(at_provider(response.location))
    assert response.status_code in (403, 502)
    assert "Connexion impossible" in response.text
    assert client.get("/").status_code == 303
    assert user(real) is None


def test_a_signed_answer_must_be_signed_by_the_provider(real: Flask, provider: Provider) -> None:
    """The identity is right and signed; the answer about the person is signed with another key."""
    provider.behaviour.signed_userinfo = True
    client = real.test_client()
    back = at_provider(to_provider(client))
    provider.behaviour.broken["/userinfo"] = (
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1LTEiLCJyb2xlcyI6WyJiaWJsZS1hZG1pbiJdfQ.", 200, {"Content-Type": "application/jwt"}
    )  # fmt: skip
    assert client.get(back).status_code == 502
    assert user(real) is None


def test_a_return_that_nobody_asked_for_is_refused(real: Flask, provider: Provider) -> None:
    """Another person's code, slipped to a visitor, must not log them in as that person."""
    back = at_provider(to_provider(real.test_client()))
    victim = real.test_client()
    assert victim.get(back).status_code == 403
    to_provider(victim)
    assert victim.get(back).status_code == 403
    assert victim.get("/").status_code == 303


@pytest.mark.parametrize(
    "query", ["", "code=a", "state=a", "code=a&state=a", "error=access_denied&state=a", "error=<script>", "code=" + "a" * 3000]
)
def test_a_return_without_rhyme_or_reason_is_a_clear_page(real: Flask, provider: Provider, query: str) -> None:
    response = real.test_client().get(f"/connexion/oidc/retour?{query}")
    assert response.status_code == 403
    assert "Connexion impossible" in response.text
    assert "<script>" not in response.text.partition("<main")[2].partition("</main>")[0]


def test_a_code_works_once(real: Flask, provider: Provider) -> None:
    client = real.test_client()
    back = at_provider(to_provider(client))
    assert client.get(back).status_code == 303
    client = real.test_client()
    assert client.get(back).status_code == 403


def test_one_who_gives_up_is_told_so(real: Flask, provider: Provider) -> None:
    provider.behaviour.denies = True
    response = come_in(real.test_client())
    assert response.status_code == 403
    assert "abandonnée" in response.text


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example"])
def test_one_never_lands_elsewhere(real: Flask, provider: Provider, target: str) -> None:
    assert come_in(real.test_client(), target).location == "/"


def test_the_session_is_a_new_one(real: Flask, provider: Provider) -> None:
    client = real.test_client()
    back = at_provider(to_provider(client))
    before = client.get_cookie("session")
    client.get(back)
    assert before is not None
    planted = real.test_client()
    planted.set_cookie("session", before.value)
    assert planted.get("/").status_code == 303


# ---- when the provider is ill ----
ILL = [("", 500), ("<html>", 200), ("[]", 200), ("{}", 200), ("null", 200)]


@pytest.mark.parametrize("answer", ILL, ids=[f"{status}-{text}" for text, status in ILL])
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"])
def test_a_provider_that_answers_nonsense_is_a_clear_page(real: Flask, provider: Provider, path: str, answer: tuple[str, int]) -> None:
    client = real.test_client()
    provider.behaviour.broken[path] = (answer[0], answer[1], {"Content-Type": "application/json"})
    response = client.get("/connexion/oidc")
    if response.status_code == 302:
        response = client.get(at_provider(response.location))
    assert response.status_code in (403, 502, 503)
    assert "Connexion impossible" in response.text
    provider.behaviour.broken.clear()
    assert come_in(real.test_client()).status_code == 303, "once mended, it works without a restart"


def test_a_provider_that_is_down_is_a_clear_page_and_passwords_still_work(make_app: MakeApp, one_article: OneArticle) -> None:
    with running() as provider:
        app = app_for(make_app, one_article, provider)
        client = app.test_client()
        back = at_provider(to_provider(client))
    for path in (back, "/connexion/oidc"):
        response = client.get(path)
        assert response.status_code == 503
        assert "ne répond pas" in response.text
    make_person(app)
    assert log_in(client).status_code == 303
    assert client.get("/").status_code == 200


# ---- out ----
def test_logging_out_ends_both_sessions(real: Flask, provider: Provider) -> None:
    client = real.test_client()
    come_in(client)
    response = send(client, "/deconnexion", page="/")
    assert client.get("/").status_code == 303
    address = urlsplit(response.headers["Refresh"].partition("url=")[2])
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{provider.issuer}/logout"
    query = {name: value[0] for name, value in parse_qs(address.query).items()}
    assert query["id_token_hint"].count(".") == 2
    assert query["post_logout_redirect_uri"] == "http://localhost/connexion"
    assert len(query["state"]) >= 16
    assert provider.issuer in read(response).one("main").text + str([one.attributes for one in read(response).find("main a")])


def test_one_with_a_password_or_an_old_provider_logs_out_here_only(real: Flask, provider: Provider) -> None:
    make_person(real)
    client = real.test_client()
    log_in(client)
    assert send(client, "/deconnexion", page="/").location == "/connexion"
    provider.behaviour.metadata["end_session_endpoint"] = None
    come_in(client)
    assert send(client, "/deconnexion", page="/").location == "/connexion"


def test_without_a_provider_there_is_no_such_way_in(make_app: MakeApp, one_article: OneArticle) -> None:
    client = make_app(one_article(), accounts="on", model="none").test_client()
    assert client.get("/connexion/oidc").status_code == 404
    assert client.get("/connexion/oidc/retour?code=a&state=b").status_code == 404
    assert "oidc" not in client.get("/connexion").text
