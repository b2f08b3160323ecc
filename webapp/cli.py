"""``flask --app webapp …``: accounts from the command line, the first administrator's above all, and one pass with the forge.

No command loads the model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup

from kb.facts import load_context
from webapp import public
from webapp.accounts import passwords, people, tokens
from webapp.accounts.errors import AccountError
from webapp.accounts.models import User
from webapp.database import session
from webapp.state import bible
from webapp.sync import remote_of, synchronise

group = AppGroup("user", help="Comptes : créer, lister, mot de passe, rôles, jetons.", short_help="Gérer les comptes.")
Command = Callable[..., None]


def init_app(app: Flask) -> None:
    """Add the commands."""
    app.cli.add_command(group)
    app.cli.command("export", help="Écrire la FAQ publique en fichiers, pour tout serveur web ; les liens sont vérifiés.")(export)
    app.cli.command("sync", help="Échanger une fois avec la forge (BIBLE_REMOTE) et dire ce qui n'a pas pu se faire.")(sync)


@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--url", default="", help="Adresse où le dossier sera servi (https://faq.ville.example) ; celle de la FAQ par défaut.")
def export(folder: Path, url: str) -> None:
    """Write the public FAQ as files; the exit status says whether every link leads somewhere."""
    from webapp import create_app
    from webapp import export as exporting

    settings = bible().settings
    address = public.faq_address(settings, load_context(settings.content_dir)[0])
    site = url.rstrip("/") or address.removesuffix(public.FAQ)
    if not site.startswith(("http://", "https://")) or (not url and site == address):
        raise click.ClickException("Donnez l'adresse où le dossier sera servi : --url https://faq.ville.example")
    app = create_app(settings.model_copy(update={"site_url": site, "public_url": f"{site}{public.FAQ}"}))
    try:
        made = exporting.write(app, folder)
    except exporting.ExportError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{made.pages} pages, {made.files} fichiers ({made.size / 1e6:.1f} Mo) dans {folder}, pour {site}.")
    for link in made.dead:
        click.echo(link, err=True)
    if made.dead:
        raise click.ClickException(f"{len(made.dead)} lien(s) mort(s) sur {made.links}.")
    click.echo(f"{made.links} liens vérifiés, aucun mort.")


def sync() -> None:
    """Make one pass with the forge."""
    settings = bible().settings
    if not settings.remote:
        raise click.ClickException("Aucune forge n'est reliée : donnez son adresse dans BIBLE_REMOTE.")
    report = synchronise()
    if report is None:
        click.echo("Un échange avec la forge est déjà en cours : celui-ci n'est pas nécessaire.")
        return
    for error in report.errors:
        click.echo(error, err=True)
    if report.errors:
        raise SystemExit(1)
    click.echo(f"L'échange avec {remote_of(settings).shown} est fait.")


def _on_real_accounts(command: Command) -> Command:
    """Refuse in the demonstration, whose accounts open nothing, and say what an account refuses without a traceback."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        if bible().settings.is_demo:
            raise click.ClickException("Ces comptes n'ont pas de sens en démonstration : mettez d'abord BIBLE_ACCOUNTS=on.")
        with _readable_errors():
            command(*args, **kwargs)

    return run


_services = click.option("--service", "services", multiple=True, help="Clé d'un service que la personne rédige ; peut se répéter.")
_admin = click.option("--admin", is_flag=True, help="Administre la Bible.")


@group.command("create", help="Créer un compte. Sans --admin ni --service, la personne est agent.")
@click.argument("email")
@click.option("--name", prompt="Prénom et nom", help="Prénom et nom.")
@_admin
@_services
@click.option("--no-password", is_flag=True, help="Sans mot de passe : la personne passera par le fournisseur d'identité.")
@_on_real_accounts
def create(email: str, name: str, admin: bool, services: tuple[str, ...], no_password: bool) -> None:
    """Make an account, with its password."""
    chosen = _known(services)
    password = None if no_password else _ask_password()
    if password is not None:  # refused before there is an account
        passwords.check_new(password, User(name=name, email=email))
    user = people.create(name, email, is_admin=admin, services=chosen)
    if password is not None:
        people.set_password(user, password)
    click.echo(f"Le compte de {user.name} <{user.email}> est créé ({_roles(user)}).")


@group.command("list", help="Lister les comptes.")
@_on_real_accounts
def list_users() -> None:
    """List the accounts."""
    for user in people.search():
        state = "" if user.is_active else " (désactivé)"
        click.echo(f"{user.email}  {user.name}  {_roles(user)}{state}")


@group.command("set-password", help="Changer le mot de passe ; les sessions ouvertes se ferment.")
@click.argument("email")
@_on_real_accounts
def set_password(email: str) -> None:
    """Change a password."""
    user = _find(email)
    people.set_password(user, _ask_password())
    click.echo(f"Le mot de passe de {user.name} est changé ; ses sessions sont fermées.")


@group.command("set-roles", help="Donner exactement ces rôles : sans option, la personne devient agent.")
@click.argument("email")
@_admin
@_services
@_on_real_accounts
def set_roles(email: str, admin: bool, services: tuple[str, ...]) -> None:
    """Change the roles."""
    user = _find(email)
    people.set_roles(user, is_admin=admin, services=_known(services))
    click.echo(f"{user.name} : {_roles(user)}.")


@group.command("deactivate", help="Désactiver un compte ; ses sessions se ferment, ses jetons n'ouvrent plus rien.")
@click.argument("email")
@_on_real_accounts
def deactivate(email: str) -> None:
    """Deactivate an account."""
    user = _find(email)
    people.set_active(user, False)
    click.echo(f"Le compte de {user.name} est désactivé.")


@group.command("activate", help="Activer de nouveau un compte.")
@click.argument("email")
@_on_real_accounts
def activate(email: str) -> None:
    """Activate an account."""
    user = _find(email)
    people.set_active(user, True)
    click.echo(f"Le compte de {user.name} est actif.")


@group.command("token", help="Créer un jeton d'accès à l'API ; il ne s'affiche que cette fois.")
@click.argument("email")
@click.option("--name", prompt="Nom du jeton", help="Le programme qui s'en servira.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(tokens.SCOPES), help="Permission ; peut se répéter.")
@click.option("--days", type=int, help="Durée en jours ; sans fin par défaut.")
@_on_real_accounts
def token(email: str, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make an API token."""
    _row, secret = tokens.create(_find(email), name, scopes, days)
    click.echo(secret)


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except AccountError as error:
        session().rollback()
        raise click.ClickException(str(error)) from error


def _ask_password() -> str:
    """Ask twice at a terminal; read one line of what is piped in. Never an argument: every user of the machine sees those."""
    if sys.stdin.isatty():
        return str(click.prompt("Mot de passe", hide_input=True, confirmation_prompt="Encore une fois"))
    return sys.stdin.readline().rstrip("\r\n")


def _find(email: str) -> User:
    user = people.by_email(email)
    if user is None:
        raise AccountError(f"Le courriel {email} n'a pas de compte. « flask --app webapp user list » les donne tous.")
    return user


def _known(services: tuple[str, ...]) -> set[str]:
    context, _problems = load_context(bible().settings.content_dir)
    unknown = set(services) - set(context.services)
    if unknown:
        raise AccountError(f"Service inconnu : {', '.join(sorted(unknown))}. Services : {', '.join(context.services)}.")
    return set(services)


def _roles(user: User) -> str:
    if user.is_admin:
        return "administration"
    return f"rédaction : {', '.join(sorted(user.services))}" if user.services else "agent"
