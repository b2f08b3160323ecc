"""Settings, from the environment (``BIBLE_*``) or ``.env``: typed, and checked before anything starts."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from search.embedder import DEFAULT_MODEL, Embedder, load_embedder
from search.errors import ModelUnavailable

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE_KB = PROJECT / "kb"


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
    host: Annotated[str, Field(description="Address to serve on; loopback only until there are accounts")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="Port to serve on")] = 8000
    workers: Annotated[int, Field(ge=1, le=64, description="gunicorn worker processes")] = 2
    threads: Annotated[int, Field(ge=1, le=64, description="Threads in each worker")] = 4
    public_url: Annotated[
        str, Field(description="Address of the public FAQ that replies link to; `faq_url` of `organisation.yml` by default")
    ] = ""
    secret_key: Annotated[str, Field(repr=False, description="Signs cookies and forms; made and kept in `BIBLE_VAR_DIR` when empty")] = ""
    language: Annotated[Literal["fr", "en"], Field(description="Language of the interface until the agent picks one")] = "fr"
    watch: Annotated[bool, Field(description="Watch the content folder and index changes at once")] = True

    @field_validator("host")
    @classmethod
    def _loopback_only(cls, value: str) -> str:
        if not is_loopback(value):
            raise ValueError("tant qu'il n'y a pas de comptes, le service n'écoute que sur cette machine : 127.0.0.1, ::1 ou localhost")
        return value

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("une adresse commence par http:// ou https://")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _writable(self) -> Settings:
        if self.var_dir.exists() and not self.var_dir.is_dir():
            raise ValueError(f"BIBLE_VAR_DIR : {self.var_dir} existe et n'est pas un dossier")
        return self

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


def is_loopback(host: str) -> bool:
    """Tell whether an address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


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
            lines.append(f"  BIBLE_{name} : {item['msg'].removeprefix('Value error, ')}" if name else f"  {item['msg']}")
        raise SettingsError("Réglages à corriger (variables d'environnement ou fichier .env) :\n" + "\n".join(lines)) from error
