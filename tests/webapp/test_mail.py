"""E-mail over real SMTP servers on this machine: plain, STARTTLS with a password, TLS from the start, refusals, and nobody there."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from webapp.mail import Mailer, MailError, message

PASSWORD = "pa ss/word@1"


@dataclass
class Post:
    """A mail server: what it received, and whom it refuses (the local part of an address → the answer)."""

    port: int = 0
    received: list[tuple[Envelope, Session]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    log_ins: list[bytes] = field(default_factory=list)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        answer = self.refused.get(address.partition("@")[0])
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if b"Subject: refuse" in (envelope.content or b""):  # type: ignore[operator]
            return "550 Contenu refusé"
        self.received.append((envelope, session))
        return "250 OK"

    def check(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.log_ins.append(given.login)
        return AuthResult(success=given.login == b"bible@ville" and given.password == PASSWORD.encode(), handled=False)

    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(envelope.content or b"", policy=default) for envelope, _ in self.received]  # type: ignore[misc, arg-type]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that « localhost » signed itself, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


Serve = Callable[..., Post]


@pytest.fixture
def serve(certificate: tuple[Path, Path]) -> Iterator[Serve]:
    """Start mail servers: ``serve()``, ``serve(starttls=True, asks_password=True)``, ``serve(tls=True)``."""
    running: list[Controller] = []

    def start(*, starttls: bool = False, tls: bool = False, asks_password: bool = False) -> Post:
        post = Post()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        options: dict[str, object] = {"hostname": "127.0.0.1", "port": 0, "server_hostname": "localhost"}
        if starttls:
            options["tls_context"] = context
            options["require_starttls"] = True
        if tls:
            options["ssl_context"] = context
        if asks_password:
            options |= {"authenticator": post.check, "auth_require_tls": starttls}
        controller = Serving(post, **options)  # type: ignore[arg-type]
        controller.start()
        running.append(controller)
        post.port = controller.server.sockets[0].getsockname()[1]
        return post

    yield start
    for controller in running:
        controller.stop()


class Serving(Controller):
    """A controller that finds its own free port."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the certificate of the test's servers, as a town trusts its own authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


def mail_to(recipient: str = "etat-civil@ville.example", subject: str = "À relire : 3 articles") -> EmailMessage:
    return message("La Bible <bible@ville.example>", recipient, subject, "Bonjour,\nl'été arrive.\n.\nFin", "<p>l'été arrive</p>")


def failure(url: str, mail: EmailMessage) -> MailError:
    with Mailer(url) as mailer, pytest.raises(MailError) as caught:
        mailer.send(mail)
    return caught.value


# ---- sending ----
def test_a_message_arrives_whole(serve: Serve) -> None:
    post = serve()
    with Mailer(f"smtp://127.0.0.1:{post.port}") as mailer:
        mailer.send(mail_to())
    [mail] = post.mails()
    assert mail["Subject"] == "À relire : 3 articles"
    assert mail["From"].addresses[0].addr_spec == "bible@ville.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@ville.example>")
    assert mail["Date"].datetime.tzinfo is not None
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None and html is not None
    assert text.get_content().replace("\r\n", "\n") == "Bonjour,\nl'été arrive.\n.\nFin\n"
    assert html.get_content().strip() == "<p>l'été arrive</p>"


def test_several_messages_share_one_connection(serve: Serve) -> None:
    post = serve()
    with Mailer(f"smtp://127.0.0.1:{post.port}") as mailer:
        for name in ("un", "deux"):
            mailer.send(mail_to(f"{name}@ville.example"))
    [(first, session), (second, other)] = post.received
    assert (first.rcpt_tos, second.rcpt_tos) == (["un@ville.example"], ["deux@ville.example"])
    assert session.peer == other.peer


@pytest.mark.usefixtures("trusted")
def test_the_password_travels_encrypted(serve: Serve) -> None:
    post = serve(starttls=True, asks_password=True)
    with Mailer(f"smtp://bible%40ville:pa%20ss%2Fword%401@localhost:{post.port}") as mailer:
        mailer.send(mail_to())
    [(_, session)] = post.received
    assert session.ssl is not None
    assert post.log_ins == [b"bible@ville"]


@pytest.mark.usefixtures("trusted")
def test_tls_from_the_start(serve: Serve) -> None:
    post = serve(tls=True)
    with Mailer(f"smtps://localhost:{post.port}") as mailer:
        mailer.send(mail_to())
    assert len(post.received) == 1


# ---- failures ----
def test_a_certificate_that_nobody_vouches_for_is_refused(serve: Serve) -> None:
    for post, scheme in ((serve(starttls=True), "smtp"), (serve(tls=True), "smtps")):
        error = failure(f"{scheme}://localhost:{post.port}", mail_to())
        assert "certificat" in str(error) and "SSL_CERT_FILE" in str(error)
        assert error.is_server and not error.is_temporary
        assert post.received == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_name_is_refused(serve: Serve) -> None:
    post = serve(starttls=True)
    assert "certificat" in str(failure(f"smtp://127.0.0.1:{post.port}", mail_to()))


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_is_told_as_such_and_never_shown(serve: Serve) -> None:
    post = serve(starttls=True, asks_password=True)
    error = failure(f"smtp://bible%40ville:motdepassefaux@localhost:{post.port}", mail_to())
    assert "mot de passe" in str(error) and "motdepassefaux" not in str(error)
    assert error.is_server and not error.is_temporary


@pytest.mark.usefixtures("trusted")
def test_a_password_that_cannot_travel_is_explained(serve: Serve) -> None:
    post = serve(starttls=True, asks_password=True)
    error = failure(f"smtp://bible%40ville:%C3%A9t%C3%A9@localhost:{post.port}", mail_to())
    assert "ni accent" in str(error) and "été" not in str(error)
    assert post.log_ins == []


def test_no_password_is_sent_in_clear_to_another_machine(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    post = serve(asks_password=True)
    monkeypatch.setattr("webapp.mail.is_loopback", lambda _host: False)
    error = failure(f"smtp://bible%40ville:secret@127.0.0.1:{post.port}", mail_to())
    assert "chiffrement" in str(error)
    assert error.is_server
    assert post.log_ins == []


@pytest.mark.parametrize(("answer", "is_temporary"), [("550 Boîte inconnue", False), ("452 Boîte pleine", True), ("450 Plus tard", True)])
def test_a_refused_recipient_does_not_stop_the_next(serve: Serve, answer: str, is_temporary: bool) -> None:
    post = serve()
    post.refused["parti"] = answer
    with Mailer(f"smtp://127.0.0.1:{post.port}") as mailer:
        with pytest.raises(MailError, match=answer[4:]) as caught:
            mailer.send(mail_to("parti@ville.example"))
        mailer.send(mail_to("present@ville.example"))
    assert caught.value.is_temporary is is_temporary
    assert not caught.value.is_server
    assert [envelope.rcpt_tos for envelope, _ in post.received] == [["present@ville.example"]]


def test_a_refused_content_does_not_stop_the_next(serve: Serve) -> None:
    post = serve()
    with Mailer(f"smtp://127.0.0.1:{post.port}") as mailer:
        with pytest.raises(MailError, match="Contenu refusé") as caught:
            mailer.send(mail_to(subject="refuse"))
        mailer.send(mail_to())
    assert not caught.value.is_temporary
    assert len(post.received) == 1


def test_nobody_answers() -> None:
    with socket.socket() as taken:  # bound and not listening: the port refuses
        taken.bind(("127.0.0.1", 0))
        error = failure(f"smtp://127.0.0.1:{taken.getsockname()[1]}", mail_to())
    assert "ne répond pas" in str(error)
    assert error.is_temporary and error.is_server


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.mail.TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(f"smtp://127.0.0.1:{silent.getsockname()[1]}", mail_to())
    assert error.is_temporary and error.is_server


def test_a_connection_that_was_lost_is_opened_again(serve: Serve) -> None:
    post = serve()
    with Mailer(f"smtp://127.0.0.1:{post.port}") as mailer:
        mailer.send(mail_to())
        assert mailer._connection is not None and mailer._connection.sock is not None
        mailer._connection.sock.shutdown(socket.SHUT_RDWR)
        with pytest.raises(MailError) as caught:
            mailer.send(mail_to())
        mailer.send(mail_to())
    assert caught.value.is_temporary
    assert len(post.received) == 2


@pytest.mark.parametrize(
    "url", ["", "http://ville.example", "smtp://", "smtp:ville.example", "smtp://ville:port", "smtp://ville:0", "ville:25"]
)
def test_an_address_that_is_none_is_explained(url: str) -> None:
    with pytest.raises(MailError, match="BIBLE_SMTP_URL"):
        Mailer(url)


# ---- headers ----
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x00", "\u2028", "\x85"])
def test_a_header_holds_no_other(serve: Serve, ending: str) -> None:
    post = serve()
    mail = message("bible@ville.example", "a@ville.example", f"Relire{ending}Bcc: pirate@evil.example", "a", "<p>a</p>")
    with Mailer(f"smtp://127.0.0.1:{post.port}") as mailer:
        mailer.send(mail)
    [(envelope, _)] = post.received
    assert envelope.rcpt_tos == ["a@ville.example"]
    [arrived] = post.mails()
    assert arrived["Bcc"] is None
    assert arrived["Subject"] == "Relire Bcc: pirate@evil.example"


@pytest.mark.parametrize(
    "recipient",
    [
        "", "nom", "@ville.example", "nom@", "a@b@c", "a b@ville.example", "a@ville.example\nBcc: x@evil.example",
        "a@ville.example, x@evil.example", "a@ville.example;x@evil.example", "<a@ville.example> x@evil.example", "a@ville.example\x00",
        "a" * 65 + "@ville.example", "-oQ/tmp@ville.example", "a..b@ville.example", "a@ville.example>", "a@[127.0.0.1]",
    ],
)  # fmt: skip
def test_what_is_no_single_address_is_refused(recipient: str) -> None:
    with pytest.raises(MailError, match="adresse e-mail") as caught:
        message("bible@ville.example", recipient, "s", "a", "a")
    assert not caught.value.is_temporary
