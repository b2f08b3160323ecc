"""The weekly digest of each service: what it has to review, and the proposals that wait for it. By e-mail, or on the command line.

``flask --app webapp digest`` prints; ``--send`` sends. Neither loads the model. One recipient that fails does not stop the others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage

import click
from flask import Flask, current_app, url_for
from flask_babel import force_locale, ngettext
from flask_babel import gettext as _

from kb import freshness
from kb.errors import KbError
from kb.facts import Service
from kb.freshness import ReviewItem
from kb.library import Library
from webapp import mail, views
from webapp.accounts import people
from webapp.mail import Mailer, MailError
from webapp.settings import Settings
from webapp.state import bible

OpenProposals = Callable[[str], int]


@dataclass(frozen=True)
class Digest:
    """What one service is told: its late articles and those soon to review, and how many proposals wait for it."""

    service: Service
    late: tuple[ReviewItem, ...]
    soon: tuple[ReviewItem, ...]
    proposals: int
    recipients: tuple[str, ...]

    @property
    def subject(self) -> str:
        """The subject of its e-mail."""
        parts = []
        if self.late:
            parts.append(ngettext("%(num)s article en retard de relecture", "%(num)s articles en retard de relecture", len(self.late)))
        if self.soon:
            parts.append(ngettext("%(num)s à relire bientôt", "%(num)s à relire bientôt", len(self.soon)))
        if self.proposals:
            parts.append(ngettext("%(num)s proposition en attente", "%(num)s propositions en attente", self.proposals))
        return str(_("La Bible, %(service)s : %(what)s", service=self.service.name, what=", ".join(parts)))


def digests(
    library: Library, editors: Mapping[str, Sequence[str]], today: dt.date, open_proposals: OpenProposals = lambda _service: 0
) -> list[Digest]:
    """Work out the digest of each service that has something to do.

    Args:
        library: the articles.
        editors: key of a service → addresses of those who edit it.
        today: the day on which reviews are late.
        open_proposals: how many proposals wait for a service, by its key.
    """
    found = freshness.to_review(library, today)
    made = []
    for key in library.service_keys:
        items = found.get(key, ())
        late, soon = (tuple(item for item in items if item.state == state) for state in ("late", "soon"))
        count = open_proposals(key)
        if late or soon or count:
            service = library.context.service(key)
            made.append(Digest(service, late, soon, count, _distinct([*editors.get(key, ()), service.email])))
    return made


def messages(digest: Digest, settings: Settings) -> Iterator[tuple[str, EmailMessage | MailError]]:
    """Make the e-mails of a digest, one a recipient, who sees no other's address; with the error of an address that cannot be one."""
    text, html = written(digest, settings)
    for recipient in digest.recipients:
        try:
            yield recipient, mail.message(settings.mail_from, recipient, digest.subject, text, html)
        except MailError as error:
            yield recipient, error


def written(digest: Digest, settings: Settings) -> tuple[str, str]:
    """Write a digest in plain text and in HTML."""
    base = settings.site_url or f"http://{settings.host}:{settings.port}"
    with current_app.test_request_context(base_url=base):

        def link(item: ReviewItem) -> str:
            return url_for("articles.show", slug=item.article.slug, _external=True)

        values = {"digest": digest, "link": link, "reviews_url": url_for("reviews.index", _external=True), "base": base}
        # Not `render_template`: what it gives to every page opens the live engine, and the model with it.
        text, html = (current_app.jinja_env.get_template(f"digest/digest.{kind}").render(values) for kind in ("txt", "html"))
    return text, html


def editors_by_service() -> dict[str, list[str]]:
    """List the addresses of the active editors of each service."""
    found: dict[str, list[str]] = {}
    for user in people.search():
        if user.is_active:
            for key in user.services:
                found.setdefault(key, []).append(user.email)
    return found


def send(all_of_them: Iterable[Digest], settings: Settings) -> Iterator[tuple[str, MailError | None]]:
    """Send digests, and tell for each recipient what went wrong, or ``None``. A server that cannot be used is not tried again."""
    broken: MailError | None = None
    with Mailer(settings.smtp_url) as mailer:
        for digest in all_of_them:
            for recipient, made in messages(digest, settings):
                error = made if isinstance(made, MailError) else broken
                if error is None and isinstance(made, EmailMessage):
                    try:
                        mailer.send(made)
                    except MailError as failure:
                        error = failure
                        broken = failure if failure.is_server else None
                yield recipient, error


def init_app(app: Flask, open_proposals: OpenProposals = lambda _service: 0) -> None:
    """Add the command.

    Args:
        app: the application.
        open_proposals: how many proposals wait for a service, by its key; called in the application's context.
    """

    @app.cli.command("digest", help="Ce que chaque service a à relire ; avec --send, par courriel à ceux qui le rédigent.")
    @click.option("--send", "sends", is_flag=True, help="Envoyer au lieu d'afficher (BIBLE_SMTP_URL).")
    @click.option("--service", "services", multiple=True, help="Clé d'un service ; peut se répéter. Tous par défaut.")
    def command(sends: bool, services: tuple[str, ...]) -> None:
        settings = bible().settings
        if sends and settings.is_demo:
            raise click.ClickException("La démonstration n'envoie aucun courriel : mettez d'abord BIBLE_ACCOUNTS=on.")
        if sends and not settings.smtp_url:
            raise click.ClickException("Donnez le serveur de courriel dans BIBLE_SMTP_URL (smtp://utilisateur:motdepasse@serveur:587).")
        with force_locale("fr"):
            found = _chosen(settings, services, open_proposals)
            if not sends:
                _print(found, settings)
            elif _send(found, settings):
                raise SystemExit(1)


def _chosen(settings: Settings, services: tuple[str, ...], open_proposals: OpenProposals) -> list[Digest]:
    try:
        library = Library.load(settings.content_dir)
    except KbError as error:
        raise click.ClickException(str(error)) from error
    unknown = set(services) - set(library.service_keys)
    if unknown:
        raise click.ClickException(f"Service inconnu : {', '.join(sorted(unknown))}. Services : {', '.join(library.service_keys)}.")
    found = digests(library, editors_by_service(), views.today(), open_proposals)
    return [one for one in found if not services or one.service.key in services]


def _print(found: Sequence[Digest], settings: Settings) -> None:
    if not found:
        click.echo("Aucun service n'a d'article à relire ni de proposition en attente.")
    for digest in found:
        click.echo(
            f"# {digest.subject}\n# À : {', '.join(digest.recipients) or 'personne, faute d’adresse'}\n\n{written(digest, settings)[0]}\n"
        )


def _send(found: Sequence[Digest], settings: Settings) -> int:
    """Send, tell how it went, and return how many could not be sent."""
    sent = failed = 0
    try:
        for recipient, error in send(found, settings):
            if error is None:
                sent += 1
                continue
            failed += 1
            advice = " Réessayez plus tard." if error.is_temporary else ""
            click.echo(f"{recipient} : {error}{advice}", err=True)
    except MailError as error:  # the address of the server cannot be one
        raise click.ClickException(str(error)) from error
    for digest in found:
        if not digest.recipients:
            failed += 1
            click.echo(f"{digest.service.name} : ni rédaction ni adresse générique, personne n'est prévenu.", err=True)
    click.echo(f"{sent} courriel(s) envoyé(s), {failed} en échec.")
    return failed


def _distinct(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple({address.strip().casefold(): address.strip() for address in reversed([*addresses]) if address.strip()}.values())[::-1]
