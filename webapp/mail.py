"""E-mail by SMTP, from ``BIBLE_SMTP_URL``: encrypted when the server offers it, and never a password in clear over a network.

Guarantees: nothing that a header holds can add another one; every failure is a ``MailError`` that says in French what to do, and whether
trying again may help; no call waits longer than ``TIMEOUT_SECONDS`` for the server.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from webapp.network import is_loopback

TIMEOUT_SECONDS = 20
_PORTS = {"smtp": 587, "smtps": 465}
# One character of an address as people have them: nothing quoted, no comment, no list.
_PART = r"[^\s\x00-\x1f@<>\"(),:;\\[\]]"
_BARE = rf"(?!-){_PART}{{1,64}}@{_PART}{{1,255}}"
_ONE_ADDRESS = re.compile(rf"(?P<bare>{_BARE})|(?P<name>[^\x00-\x1f<>@,;]{{1,100}})<(?P<named>{_BARE})>")


class MailError(Exception):
    """A message could not be sent; ``is_temporary`` tells whether trying again later may help, ``is_server`` whether every other message
    would meet the same."""

    def __init__(self, message: str, *, is_temporary: bool, is_server: bool = False) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary
        self.is_server = is_server


def message(sender: str, recipient: str, subject: str, text: str, html: str) -> EmailMessage:
    """Make a message, in plain text and in HTML.

    Args:
        sender: « bible@ville.example », or « La Bible <bible@ville.example> ».
        recipient: one address.
        subject: line ends in it become spaces.
        text: the message in plain text.
        html: the same in HTML.

    Raises:
        MailError: the sender or the recipient is no address.
    """
    made = EmailMessage(policy=SMTP)
    made["From"] = _address(sender)
    made["To"] = _address(recipient)
    made["Subject"] = _one_line(subject)
    made["Date"] = formatdate(localtime=True)
    made["Message-ID"] = make_msgid(domain=made["From"].addresses[0].domain)
    # Out-of-office programs leave such a message alone (RFC 3834).
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text)
    made.add_alternative(html, subtype="html")
    return made


class Mailer:
    """A connection to the mail server, opened at the first message and again after it was lost; to be used in a ``with``.

    Args:
        url: « smtp://user:password@host:587 » (STARTTLS when the server offers it) or « smtps://… »; user and password URL-encoded.

    Raises:
        MailError: the address cannot be one.
    """

    def __init__(self, url: str) -> None:
        self._url = _server(url)
        self._connection: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def send(self, mail: EmailMessage) -> None:
        """Send a message.

        Raises:
            MailError: it could not be handed over to the server.
        """
        if self._connection is None:
            self._connection = self._connect()
        try:
            self._connection.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, reason = next(iter(error.recipients.values()))
            raise MailError(f"Le destinataire {mail['To']} est refusé : {_said(code, reason)}.", is_temporary=400 <= code < 500) from error
        except smtplib.SMTPSenderRefused as error:
            raise _refused("L'expéditeur (BIBLE_MAIL_FROM)", error, is_server=True) from error
        except smtplib.SMTPResponseException as error:
            raise _refused("Le message", error) from error
        except (smtplib.SMTPNotSupportedError, UnicodeError) as error:
            raise MailError(f"L'adresse {mail['To']} a des lettres accentuées que ce serveur n'accepte pas.", is_temporary=False) from error
        except (OSError, smtplib.SMTPException) as error:
            self._close()
            raise MailError(
                f"La liaison avec le serveur {self._url.hostname} s'est coupée ({_reason(error)}).", is_temporary=True
            ) from error

    def _connect(self) -> smtplib.SMTP:
        host, port = str(self._url.hostname), self._url.port or _PORTS[self._url.scheme]
        where = f"{host}:{port}"
        connection: smtplib.SMTP | None = None
        try:
            # Read here and not at import: SSL_CERT_FILE may name the authority of the town's own server.
            trust = ssl.create_default_context()
            if self._url.scheme == "smtps":
                connection = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=trust)
            else:
                connection = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
                connection.ehlo_or_helo_if_needed()
                if connection.has_extn("starttls"):
                    connection.starttls(context=trust)
                    connection.ehlo()
            self._log_in(connection, host)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, (OSError, smtplib.SMTPException)):
                raise _unreachable(where, error) from error
            raise
        return connection

    def _log_in(self, connection: smtplib.SMTP, host: str) -> None:
        if not self._url.username:
            return
        if not isinstance(connection.sock, ssl.SSLSocket) and not is_loopback(host):
            raise MailError(
                f"Le serveur {host} n'offre pas de chiffrement : le mot de passe ne lui est pas envoyé. "
                "Mettez smtps:// dans BIBLE_SMTP_URL, ou un serveur qui offre STARTTLS.",
                is_temporary=False,
                is_server=True,
            )
        try:
            connection.login(unquote(self._url.username), unquote(self._url.password or ""))
        except UnicodeError as error:
            raise MailError(
                "L'utilisateur et le mot de passe de BIBLE_SMTP_URL ne peuvent avoir ni accent ni autre lettre spéciale.",
                is_temporary=False,
                is_server=True,
            ) from error

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                connection.quit()
            connection.close()


def _server(url: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        is_whole = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_whole = False
    if not is_whole:
        raise MailError(
            "BIBLE_SMTP_URL : écrivez smtp://utilisateur:motdepasse@serveur:587 ou smtps://…", is_temporary=False, is_server=True
        )
    return parts


def _address(text: str) -> Address:
    found = _ONE_ADDRESS.fullmatch(text.strip())
    try:
        if found:
            return Address(display_name=(found["name"] or "").strip(' "'), addr_spec=found["named"] or found["bare"])
    except (ValueError, IndexError):  # what looks like an address and is none: two dots in a row
        pass
    raise MailError(f"« {_one_line(text)[:100]} » n'est pas une adresse e-mail.", is_temporary=False)


def _one_line(text: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+", " ", text).split())


def _unreachable(where: str, error: Exception) -> MailError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return MailError(
            f"Le certificat du serveur {where} n'est pas reconnu ({error.verify_message}). "
            "Corrigez le nom du serveur, ou donnez le certificat de votre autorité dans SSL_CERT_FILE.",
            is_temporary=False,
            is_server=True,
        )
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return MailError(
            f"Le serveur {where} refuse l'utilisateur ou le mot de passe de BIBLE_SMTP_URL ({_said(error.smtp_code, error.smtp_error)}).",
            is_temporary=400 <= error.smtp_code < 500,
            is_server=True,
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return MailError(
            f"Le serveur {where} n'accepte pas de mot de passe : ôtez-le de BIBLE_SMTP_URL.", is_temporary=False, is_server=True
        )
    is_permanent = isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500
    return MailError(
        f"Le serveur {where} ne répond pas comme il faut ({_reason(error)}). Vérifiez BIBLE_SMTP_URL, ou réessayez plus tard.",
        is_temporary=not is_permanent,
        is_server=True,
    )


def _refused(what: str, error: smtplib.SMTPResponseException, *, is_server: bool = False) -> MailError:
    return MailError(
        f"{what} est refusé : {_said(error.smtp_code, error.smtp_error)}.", is_temporary=400 <= error.smtp_code < 500, is_server=is_server
    )


def _said(code: int, reason: bytes | str) -> str:
    words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
    return f"{code} {_one_line(words)[:200]}"


def _reason(error: Exception) -> str:
    return _one_line(str(error))[:200] or type(error).__name__
