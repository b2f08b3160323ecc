"""An OpenID Connect provider that runs over HTTP in a test, made of Authlib's server parts.

It is strict where a good provider is (client secret, registered return address, PKCE, codes that work once), speaks as ProConnect or
Keycloak do (signed user information, ES256, roles inside objects), and misbehaves on demand: see ``Behaviour``.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from tests.serving import served

CLIENT_ID, CLIENT_SECRET = "bible", "a-secret-that-both-know-and-nobody-else"
RETURN = "http://localhost/connexion/oidc/retour"


@dataclass
class Behaviour:
    """What the provider says, and how it misbehaves."""

    claims: dict[str, Any] = field(
        default_factory=lambda: {
            "sub": "u-1", "given_name": "Zoé", "family_name": "Petit", "email": "zoe@ville.example", "email_verified": True,
            "roles": ["bible-agent"],
        }
    )  # fmt: skip
    algorithm: str = "RS256"
    in_id_token: tuple[str, ...] = ("sub",)  # the other claims are had from the user information
    signed_userinfo: bool = False
    id_token: dict[str, Any] = field(default_factory=dict)  # changes to the claims of the identity token; None takes one away
    userinfo: dict[str, Any] = field(default_factory=dict)  # the same, of the user information
    metadata: dict[str, Any] = field(default_factory=dict)  # the same, of the provider's description
    foreign_key: bool = False  # signs with a key that is not published
    without_id_token: bool = False
    broken: dict[str, ResponseReturnValue] = field(default_factory=dict)  # path → what it answers instead
    denies: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)  # the requests for a log-in


class _Client(ClientMixin):  # type: ignore[misc]
    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return RETURN

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == RETURN

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class _Code(AuthorizationCodeMixin):  # type: ignore[misc]
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Provider:
    """A running provider: its address, and how it behaves from now on."""

    issuer: str
    behaviour: Behaviour
    rotate_keys: Any = None


@contextmanager
def running() -> Iterator[Provider]:
    """Run a provider on a free port of the loopback."""
    app = Flask("provider")
    with served(app) as address:
        provider = Provider(address, Behaviour())
        _routes(app, provider)
        yield provider


def _new_keys() -> dict[str, Any]:
    name = str(time.monotonic_ns())
    return {
        "RS256": RSAKey.generate_key(2048, {"kid": f"rsa-{name}"}),
        "foreign": RSAKey.generate_key(2048, {"kid": f"rsa-{name}"}),  # the same name, another key
        "ES256": ECKey.generate_key("P-256", {"kid": f"ec-{name}"}),
    }


# Making RSA keys is slow: every provider starts with the same ones.
_first_keys = lru_cache(maxsize=1)(_new_keys)


def _routes(app: Flask, provider: Provider) -> None:
    codes: dict[str, _Code] = {}
    issued: set[str] = set()
    keys: dict[str, Any] = dict(_first_keys())

    def rotate() -> None:
        keys.update(_new_keys())

    provider.rotate_keys = rotate

    def signed(claims: dict[str, Any]) -> str:
        algorithm = provider.behaviour.algorithm
        if algorithm == "none":
            parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
            return ".".join([base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts] + [""])
        if algorithm == "HS256":
            return str(jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET), algorithms=["HS256"]))
        key = keys["foreign" if provider.behaviour.foreign_key else algorithm]
        kid = keys[algorithm].kid
        return str(jwt.encode({"alg": algorithm, "kid": kid}, claims, key, algorithms=[algorithm]))

    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            codes[code] = _Code(*(data.get(name, "") for name in _Code.__dataclass_fields__))

        def query_authorization_code(self, code: str, client: object) -> _Code | None:
            return codes.pop(code, None)  # works once

        def delete_authorization_code(self, authorization_code: _Code) -> None:
            pass

        def authenticate_user(self, authorization_code: _Code) -> object:
            return provider.behaviour.claims

    class Identity(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, nonce: str, request: object) -> bool:
            return False

        def process_token(self, grant: Any, response: Any) -> Any:
            token = response[1]
            behaviour, now = provider.behaviour, int(time.time())
            if not behaviour.without_id_token:
                own = {name: behaviour.claims[name] for name in behaviour.in_id_token if name in behaviour.claims}
                code = grant.request.authorization_code
                claims = {"iss": provider.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": code.nonce} | own
                token["id_token"] = signed(_changed(claims, behaviour.id_token))
            return token

    server = AuthorizationServer(
        app,
        query_client=lambda name: _Client() if name == CLIENT_ID else None,
        save_token=lambda token, _request: issued.add(token["access_token"]),
    )
    server.register_grant(Grant, [CodeChallenge(required=True), Identity(require_nonce=True)])

    @app.before_request
    def break_down() -> ResponseReturnValue | None:
        return provider.behaviour.broken.get(request.path)

    @app.get("/.well-known/openid-configuration")
    def describe() -> ResponseReturnValue:
        base = provider.issuer
        found = {
            "issuer": base, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token", "jwks_uri": f"{base}/jwks",
            "userinfo_endpoint": f"{base}/userinfo", "end_session_endpoint": f"{base}/logout",
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"], "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "code_challenge_methods_supported": ["S256"],
        }  # fmt: skip
        return jsonify(_changed(found, provider.behaviour.metadata))

    @app.get("/jwks")
    def jwks() -> ResponseReturnValue:
        return jsonify(KeySet([keys["RS256"], keys["ES256"]]).as_dict(private=False))

    @app.get("/authorize")
    def authorize() -> ResponseReturnValue:
        provider.behaviour.asked.append(request.args.to_dict())
        assert request.args.get("code_challenge_method") == "S256"
        user = None if provider.behaviour.denies else provider.behaviour.claims
        answer: Response = server.create_authorization_response(grant=server.get_consent_grant(end_user=user), grant_user=user)
        return answer

    @app.post("/token")
    def token() -> ResponseReturnValue:
        answer: Response = server.create_token_response()
        return answer

    @app.get("/userinfo")
    def userinfo() -> ResponseReturnValue:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in issued:
            return "", 401
        claims = dict(provider.behaviour.claims)
        if provider.behaviour.signed_userinfo:
            now = int(time.time())
            claims |= {"iss": provider.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 60}
            return Response(signed(_changed(claims, provider.behaviour.userinfo)), content_type="application/jwt")
        return jsonify(_changed(claims, provider.behaviour.userinfo))


def _changed(found: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (found | changes).items() if value is not None}
