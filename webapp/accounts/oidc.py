"""Log-in at an OpenID Connect provider (ProConnect, Keycloak…): code flow with PKCE, state and nonce, through Authlib.

Guarantees: only signatures with a public key are accepted (RS256, ES256…), the issuer must be the one that was set; who has no role of
ours is refused, or, where roles are given here, who has no account; an account is linked by the provider's own identifier, or once by an
address that the provider verified; a provider that is down or answers nonsense is a ``ProviderError``, never a crash.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, Response, current_app
from flask_babel import gettext as _
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from sqlalchemy import select

from webapp.accounts import people
from webapp.accounts.errors import AccountError, ProviderError
from webapp.accounts.models import LogIn, User
from webapp.database import session
from webapp.settings import Settings
from webapp.state import bible

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
ROLE_AGENT, ROLE_ADMIN, ROLE_EDITOR = "bible-agent", "bible-admin", "bible-editor:"


@dataclass(frozen=True)
class Identity:
    """Who the provider says this is. ``subject`` is its own lasting identifier, with the issuer; ``has_roles``: it says the roles too."""

    subject: str
    name: str
    email: str
    email_verified: bool
    has_roles: bool
    is_admin: bool
    services: frozenset[str]
    id_token: str


def init_app(app: Flask, settings: Settings) -> None:
    """Make the client; the provider is asked for nothing before the first log-in."""
    if not settings.oidc_issuer:
        return
    scopes = ["openid", *(scope for scope in settings.oidc_scopes.split() if scope != "openid")]
    oauth = OAuth(app)
    oauth.register(
        "oidc",
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        server_metadata_url=f"{settings.oidc_issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": " ".join(scopes), "code_challenge_method": "S256", "default_timeout": TIMEOUT_SECONDS},
        authorize_params={"acr_values": settings.oidc_acr_values} if settings.oidc_acr_values else None,
    )
    app.extensions["oidc"] = oauth.oidc


def start(return_url: str) -> Response:
    """Send the browser to the provider.

    Raises:
        ProviderError: the provider does not answer, or is not the one that was set.
    """
    with _clear_errors():
        # Asked anew at every log-in: a provider that is down is said to be, and one that changed its keys or addresses is followed.
        for kept in ("_loaded_at", "jwks"):
            current_app.extensions["oidc"].server_metadata.pop(kept, None)
        response: Response = _client().authorize_redirect(return_url)
        return response


def identity() -> Identity:
    """Read who came back from the provider, in the request that they come back with.

    Raises:
        ProviderError: they gave up, the answer cannot be trusted, or they have no role here.
    """
    with _clear_errors():
        client = _client()
        token = client.authorize_access_token(leeway=60)
        claims = token.get("userinfo")
        if not claims:
            raise ProviderError(_("Le fournisseur d'identité n'a pas dit qui vous êtes (jeton d'identité absent)."), 502)
        claims = {**claims, **_userinfo(client, token, claims["sub"])}
    settings = bible().settings
    roles = _roles(claims) if settings.oidc_roles_claim else set()
    if settings.oidc_roles_claim and not roles:
        raise ProviderError(
            _(
                "Votre compte %(label)s est reconnu, mais n'a pas de rôle dans La Bible. "
                "Demandez à votre administrateur de vous en donner un, puis connectez-vous de nouveau.",
                label=settings.oidc_label,
            )
        )
    given, family = claims.get("given_name"), claims.get("usual_name") or claims.get("family_name")
    names = (claims.get("name"), " ".join(str(part) for part in (given, family) if part), claims.get("email"))
    return Identity(
        subject=f"{_issuer()} {claims['sub']}",
        name=next((str(name) for name in names if name), ""),
        email=str(claims.get("email") or ""),
        # Some providers write the word; ProConnect vouches for every address and says nothing.
        email_verified=claims.get("email_verified", settings.oidc_trust_email) in (True, "true"),
        has_roles=bool(settings.oidc_roles_claim),
        is_admin=ROLE_ADMIN in roles,
        services=frozenset(role.removeprefix(ROLE_EDITOR) for role in roles if role.startswith(ROLE_EDITOR)),
        id_token=str(token["id_token"]),
    )


def user_of(found: Identity) -> User:
    """Find or make the account of whoever the provider logged in, with the roles that it gives them now.

    Raises:
        ProviderError: the account is deactivated, or its address belongs to somebody else's account.
    """
    user = session().scalar(select(User).where(User.oidc_subject == found.subject))
    try:
        if user is None:
            user = people.by_email(found.email) if found.email else None
            if user is None and not found.has_roles:
                raise ProviderError(
                    _(
                        "Aucun compte n'est ouvert dans La Bible pour %(email)s. Demandez à votre administrateur de le créer.",
                        email=found.email or found.name,
                    )
                )
            if user is None:
                user = people.create(found.name, found.email, oidc_subject=found.subject)
            elif user.oidc_subject or not found.email_verified:
                raise ProviderError(
                    _(
                        "Le courriel %(email)s a déjà un compte, que le fournisseur d'identité ne permet pas de reconnaître "
                        "comme le vôtre. Prévenez votre administrateur.",
                        email=found.email,
                    )
                )
        if not user.is_active:
            raise ProviderError(_("Votre compte a été désactivé. Si c'est une erreur, prévenez votre administrateur."))
        people.rename(user, found.name)
        if found.email and found.email_verified and people.by_email(found.email) is None:
            people.change_email(user, found.email)
    except AccountError as error:
        raise ProviderError(str(error)) from error
    user.oidc_subject = found.subject
    if found.has_roles:
        # The provider decides, even for the last administrator: « flask --app webapp user set-roles » gives the role back on the server.
        user.is_admin = found.is_admin
        user.set_services(set(found.services))
    session().commit()
    return user


def log_out_url(ended: LogIn | None, return_url: str) -> str | None:
    """Where to end the provider's own session after ours; ``None`` when there is no such place, or it does not answer."""
    if ended is None or not ended.id_token or "oidc" not in current_app.extensions:
        return None
    with contextlib.suppress(ProviderError), _clear_errors():
        client = _client()
        if client.server_metadata.get("end_session_endpoint"):
            made = client.create_logout_url(
                post_logout_redirect_uri=return_url, id_token_hint=ended.id_token, client_id=bible().settings.oidc_client_id
            )
            return str(made["url"])
    return None


def _client() -> Any:
    """The client, once the provider's own description is read and believed."""
    client = current_app.extensions["oidc"]
    metadata = client.load_server_metadata()
    if str(metadata.get("issuer", "")).rstrip("/") != bible().settings.oidc_issuer:
        metadata.pop("_loaded_at", None)  # to be read again once it is mended
        log.error("the OpenID Connect provider calls itself %r, not BIBLE_OIDC_ISSUER", metadata.get("issuer"))
        raise ProviderError(
            _("Le fournisseur d'identité n'est pas celui du réglage BIBLE_OIDC_ISSUER : prévenez votre administrateur."), 502
        )
    # A shared secret signs nothing here: whoever holds it could be anybody.
    offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    metadata["id_token_signing_alg_values_supported"] = [name for name in offered if name in ALGORITHMS] or list(ALGORITHMS)
    return client


def _issuer() -> str:
    return str(current_app.extensions["oidc"].server_metadata["issuer"])


def _userinfo(client: Any, token: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """What the provider adds on request: JSON, or a JWT that it signed (ProConnect does that)."""
    address = client.server_metadata.get("userinfo_endpoint")
    if not address:
        return {}
    answer = client.get(address, token=token)
    answer.raise_for_status()
    if answer.headers.get("Content-Type", "").partition(";")[0].strip() == "application/jwt":
        claims = _verified(client, answer.text.strip())
    else:
        claims = answer.json()
    if not isinstance(claims, dict) or claims.get("sub") != subject:
        raise ProviderError(_("Le fournisseur d'identité a répondu pour une autre personne. Réessayez."), 502)
    # What the signed identity says of itself is not up to this answer.
    return {name: value for name, value in claims.items() if name not in ("iss", "aud", "exp", "iat", "nonce", "acr", "amr")}


def _verified(client: Any, signed: str) -> dict[str, Any]:
    registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
    try:
        token = jwt.decode(signed, KeySet.import_key_set(client.fetch_jwk_set()), registry=registry)
    except InvalidKeyIdError:  # the provider changed its keys meanwhile
        token = jwt.decode(signed, KeySet.import_key_set(client.fetch_jwk_set(force=True)), registry=registry)
    rules = jwt.JWTClaimsRegistry(
        leeway=60,
        iss={"essential": True, "value": client.server_metadata["issuer"]},
        aud={"essential": True, "value": client.client_id},
    )
    rules.validate(token.claims)
    claims: dict[str, Any] = token.claims
    return claims


def _roles(claims: Mapping[str, Any]) -> set[str]:
    """The roles of ours in the claim that the settings name; dots go down into objects, unless a claim has that very name."""
    path = bible().settings.oidc_roles_claim
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    listed = found.replace(",", " ").split() if isinstance(found, str) else found if isinstance(found, list) else []
    roles = {role for role in listed if isinstance(role, str)}
    return {role for role in roles if role in (ROLE_AGENT, ROLE_ADMIN) or (role.startswith(ROLE_EDITOR) and role != ROLE_EDITOR)}


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn whatever goes wrong with the provider into a page that says so. Logs its type only: a message may quote a token."""
    try:
        yield
    except OAuthError as error:
        log.warning("OpenID Connect log-in refused: %s", error.error)
        if error.error == "access_denied":
            raise ProviderError(_("La connexion a été abandonnée ou refusée par le fournisseur d'identité.")) from error
        raise ProviderError(_("La connexion n'a pas abouti : elle a peut-être trop tardé. Recommencez.")) from error
    except requests.RequestException as error:
        log.error("the OpenID Connect provider does not answer: %s", type(error).__name__)
        raise ProviderError(_("Le fournisseur d'identité ne répond pas. Réessayez dans quelques minutes."), 503) from error
    except (JoseError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.error("the OpenID Connect provider's answer is not to be trusted: %s", type(error).__name__)
        raise ProviderError(_("La réponse du fournisseur d'identité n'est pas valable. Prévenez votre administrateur."), 502) from error
