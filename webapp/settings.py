"""Settings, from the environment (``BIBLE_*``) or ``.env``: typed, and checked before anything starts."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import limits
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from search.embedder import DEFAULT_MODEL, Embedder, load_embedder
from search.errors import ModelUnavailable
from webapp.network import is_loopback

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE_KB = PROJECT / "kb"
# As browsers write it: lower case, no path. It goes into a policy, where a space or a semicolon would mean something else.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::\d{1,5})?")
_USUAL_PORT = re.compile(r"https://.*:0*443|http://.*:0*80")


class SettingsError(Exception):
    """A setting cannot work; the message says which and why, in French."""


class Settings(BaseSettings):
    """Every setting of the service; the field's description is its documentation in the README."""

    model_config = SettingsConfigDict(env_prefix="BIBLE_", env_file=".env", extra="ignore", frozen=True)

    kb_dir: Annotated[Path | None, Field(description="Content repository; made from the sample on first start")] = None
    var_dir: Annotated[Path, Field(description="Everything the service writes: index, database, secret key")] = Path("var")
    model: Annotated[
        str,
        Field(description="Embedding model: ours, a folder, a package, a hub name, or two joined by `+`; `none`: keywords only"),
    ] = DEFAULT_MODEL
    model_query_prompt: Annotated[str | None, Field(description="Words before every query, for models that want them")] = None
    model_passage_prompt: Annotated[str | None, Field(description="Words before every passage, for models that want them")] = None
    host: Annotated[str, Field(description="Address to serve on; loopback only in the demonstration mode")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="Port to serve on")] = 8000
    workers: Annotated[int, Field(ge=1, le=64, description="gunicorn worker processes")] = 2
    threads: Annotated[int, Field(ge=1, le=64, description="Threads in each worker")] = 4
    public_url: Annotated[
        str, Field(description="Address of the public FAQ that replies link to; `faq_url` of `organisation.yml` by default")
    ] = ""
    secret_key: Annotated[str, Field(repr=False, description="Signs cookies and forms; made and kept in `BIBLE_VAR_DIR` when empty")] = ""
    language: Annotated[Literal["fr", "en"], Field(description="Language of the interface until the agent picks one")] = "fr"
    timezone: Annotated[str, Field(description="Where the clocks are (`Indian/Reunion`, `America/Martinique`…)")] = "Europe/Paris"
    watch: Annotated[bool, Field(description="Watch the content folder and index changes at once")] = True

    accounts: Annotated[
        Literal["demo", "on"],
        Field(description="`demo`: three ready roles and no password, on this machine only; `on`: people log in"),
    ] = "demo"
    database_url: Annotated[
        str, Field(repr=False, description="Accounts and proposals; SQLite in `BIBLE_VAR_DIR` by default, `postgresql+psycopg://…`")
    ] = ""
    site_url: Annotated[
        str, Field(description="Address at which people reach the service (https://bible.ville.example); links and log-ins need it")
    ] = ""
    proxies: Annotated[int, Field(ge=0, le=5, description="How many reverse proxies stand before the service")] = 0
    session_hours: Annotated[int, Field(ge=1, le=720, description="How long a log-in lasts")] = 12
    local_login: Annotated[bool, Field(description="Let people log in with a password; off where OpenID Connect is the only way")] = True
    oidc_issuer: Annotated[str, Field(description="OpenID Connect provider (ProConnect, Keycloak…); empty: none")] = ""
    oidc_client_id: Annotated[str, Field(description="Name under which the provider knows this service")] = ""
    oidc_client_secret: Annotated[str, Field(repr=False, description="Secret shared with the provider")] = ""
    oidc_label: Annotated[str, Field(description="Words of the log-in button")] = "ProConnect"
    oidc_scopes: Annotated[str, Field(description="What is asked of the provider")] = "openid profile email"
    oidc_acr_values: Annotated[str, Field(description="Level of authentication asked for (`eidas1` for ProConnect)")] = ""
    oidc_roles_claim: Annotated[
        str,
        Field(
            description="Claim with the roles: `bible-agent`, `bible-editor:<service>`, `bible-admin`; dots go down into objects. "
            "Empty: roles are given here, and only people who have an account come in"
        ),
    ] = "roles"
    oidc_trust_email: Annotated[
        bool, Field(description="The provider vouches for e-mail addresses without saying that it verified them (ProConnect)")
    ] = False
    self_publish: Annotated[bool, Field(description="Let an editor publish a proposal that they wrote, or wrote last")] = False

    remote: Annotated[str, Field(description="Git address of the content on a forge; empty: no forge")] = ""
    remote_branch: Annotated[str, Field(description="Branch of the live text on the forge")] = "main"
    remote_user: Annotated[str, Field(description="Name of the service's account on the forge")] = "oauth2"
    remote_token: Annotated[str, Field(repr=False, description="Its access token: pushes branches, opens pull requests")] = ""
    forge: Annotated[
        Literal["", "github", "gitlab", "forgejo"], Field(description="Kind of forge; guessed from `BIBLE_REMOTE` where the name tells it")
    ] = ""
    forge_api: Annotated[str, Field(description="Address of the forge's API; worked out from `BIBLE_REMOTE` when empty")] = ""
    webhook_secret: Annotated[
        str, Field(repr=False, description="Signs what the forge sends to `/hooks/forge`; empty: the address is off")
    ] = ""
    sync_seconds: Annotated[int, Field(ge=5, le=86_400, description="How often the forge is looked at")] = 60

    smtp_url: Annotated[
        str, Field(repr=False, description="`smtp://user:password@host:587` (STARTTLS) or `smtps://…`; empty: no e-mail is sent")
    ] = ""
    mail_from: Annotated[str, Field(description="Sender of the e-mails")] = ""

    widget_origins: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(lambda value: value.split() if isinstance(value, str) else value),
        Field(description="Sites that may hold the FAQ (`https://www.ville.example`, separated by spaces); `*`: any; empty: none"),
    ] = ()

    rate_limit: Annotated[str, Field(description="Questions that one address may ask of the public API")] = "60/minute"
    rate_limit_storage: Annotated[
        str, Field(repr=False, description="Where they are counted: `memory://`, each process for itself, or `redis://…` for all")
    ] = "memory://"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("donnez un fuseau comme Europe/Paris ou Indian/Reunion") from error
        return value

    @field_validator("public_url", "site_url", "oidc_issuer", "forge_api")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("une adresse commence par http:// ou https://")
        return value.rstrip("/")

    @field_validator("widget_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"« {origin} » n'est pas une origine : donnez https://www.ville.example, sans chemin ni barre à la fin")
            if _USUAL_PORT.fullmatch(origin):
                raise ValueError(f"« {origin} » : un navigateur ne nomme pas le port habituel, donnez {origin.rpartition(':')[0]}")
        return value

    @field_validator("rate_limit")
    @classmethod
    def _known_rate(cls, value: str) -> str:
        try:
            limits.parse_many(value)
        except ValueError as error:
            raise ValueError("donnez un nombre et une durée : 60/minute, ou plusieurs : 20/second;300/hour") from error
        return value

    @field_validator("rate_limit_storage")
    @classmethod
    def _known_storage(cls, value: str) -> str:
        if value != "memory://" and not value.startswith(("redis://", "rediss://")):
            raise ValueError("donnez memory://, ou l'adresse d'un serveur Redis : redis://serveur:6379/0")
        if value != "memory://" and find_spec("redis") is None:
            raise ValueError("pour Redis, installez aussi requirements-redis.txt")
        return value

    @model_validator(mode="after")
    def _writable(self) -> Settings:
        if self.var_dir.exists() and not self.var_dir.is_dir():
            raise ValueError(f"BIBLE_VAR_DIR : {self.var_dir} existe et n'est pas un dossier")
        return self

    @model_validator(mode="after")
    def _demo_stays_here(self) -> Settings:
        if self.is_demo and not is_loopback(self.host):
            raise ValueError(
                "BIBLE_HOST : la démonstration, sans mot de passe, n'écoute que sur cette machine (127.0.0.1, ::1 ou localhost). "
                "Pour un vrai service : BIBLE_ACCOUNTS=on, puis « flask --app webapp user create »."
            )
        if self.is_demo and (self.site_url or self.proxies):
            raise ValueError(
                "BIBLE_SITE_URL, BIBLE_PROXIES : la démonstration, sans mot de passe, ne se publie pas. Mettez BIBLE_ACCOUNTS=on."
            )
        return self

    @model_validator(mode="after")
    def _whole_groups(self) -> Settings:
        if not self.is_demo and not is_loopback(self.host) and not self.site_url:
            raise ValueError(
                "BIBLE_SITE_URL : donnez l'adresse du service (https://bible.ville.example), les liens et la connexion en partent"
            )
        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_client_secret):
            raise ValueError("BIBLE_OIDC_CLIENT_ID et BIBLE_OIDC_CLIENT_SECRET vont avec BIBLE_OIDC_ISSUER : le fournisseur les donne")
        if not self.local_login and not self.oidc_issuer:
            raise ValueError("BIBLE_LOCAL_LOGIN : sans mot de passe ni BIBLE_OIDC_ISSUER, personne ne pourrait se connecter")
        if self.smtp_url and not self.mail_from:
            raise ValueError("BIBLE_MAIL_FROM : donnez l'expéditeur des courriels (bible@ville.example)")
        return self

    @property
    def is_demo(self) -> bool:
        """Whether everybody may take any of the three ready roles: a demonstration, on this machine only."""
        return self.accounts == "demo"

    @property
    def database_address(self) -> str:
        """SQLAlchemy's address of the database; the demonstration has its own, so that nothing made in it opens the real service."""
        return self.database_url or f"sqlite:///{(self.var_dir / ('demo.sqlite3' if self.is_demo else 'bible.sqlite3')).resolve()}"

    @property
    def content_dir(self) -> Path:
        """The content repository."""
        return self.kb_dir if self.kb_dir is not None else self.var_dir / "kb"

    @property
    def index_dir(self) -> Path:
        """Where the index lives."""
        return self.var_dir / "index"

    def load_embedder(self) -> Embedder:
        """Load the model that the settings name.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """
        if self.model == "none":
            raise ModelUnavailable("le réglage BIBLE_MODEL vaut « none ».")
        return load_embedder(self.model, query_prompt=self.model_query_prompt, passage_prompt=self.model_passage_prompt)

    def signing_key(self) -> str:
        """Return the secret key, made once and kept with mode 0600 when none is set."""
        if self.secret_key:
            return self.secret_key
        path = self.var_dir / "secret_key"
        self.var_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Written aside and linked into place, so that two workers that start together end up with one whole key.
            temporary = path.with_name(f".secret_key-{os.getpid()}")
            temporary.touch(mode=0o600)
            temporary.write_text(secrets.token_urlsafe(48))
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
            temporary.unlink()
        return path.read_text().strip()


def load_settings(**overrides: object) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: one of them cannot work.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = []
        for item in error.errors():
            name = "_".join(str(part) for part in item["loc"]).upper()
            words = item["msg"].removeprefix("Value error, ")
            lines.append(f"  BIBLE_{name} : {words}" if name else f"  {words}")
        raise SettingsError("Réglages à corriger (variables d'environnement ou fichier .env) :\n" + "\n".join(lines)) from error
