"""The weekly digest: who is told what, on the command line and through a real mail server, without ever loading the model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from kb.library import Library
from tests.conftest import MakeApp, MakeKb
from tests.webapp.test_mail import Post, Serve, certificate, serve  # noqa: F401  # fixtures
from tests.webapp.test_reviews import FILES, SERVICES, TODAY, text
from webapp import digest
from webapp.accounts import people
from webapp.database import session

Run = Callable[..., Result]


@pytest.fixture
def folder(make_kb: MakeKb, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five articles in November 2026: three of « Déchets » to review, one of « Piscine », which has no address."""
    monkeypatch.setattr("webapp.views.today", lambda: TODAY)
    return make_kb(FILES)


@pytest.fixture
def service_app(make_app: MakeApp, folder: Path) -> Callable[..., Flask]:
    """Make an application with accounts, two of them of editors of « Déchets », and one who left."""

    def make(**settings: object) -> Flask:
        values = {"accounts": "on", "site_url": "https://bible.ville.example", "mail_from": "La Bible <bible@ville.example>"}
        app = make_app(folder, **values | settings)
        with app.app_context():
            for name in ("Dominique", "Alix"):
                people.create(name, f"{name.lower()}@ville.example", services={"dechets"})
            gone = people.create("Camille", "camille@ville.example", services={"dechets"})
            people.set_active(gone, False)
            people.create("Chef", "chef@ville.example", is_admin=True)
            session().commit()
        return app

    return make


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["digest", *arguments])


def recipients(post: Post) -> list[str]:
    return sorted(address for envelope, _ in post.received for address in envelope.rcpt_tos)


# ---- who is told what ----
def test_each_service_with_something_to_do_has_one(folder: Path) -> None:
    found = digest.digests(Library.load(folder), {"dechets": ["dominique@ville.example", "DECHETS@ville.example"]}, TODAY)
    assert {one.service.key: [item.article.slug for item in (*one.late, *one.soon)] for one in found} == {
        "dechets": ["tres-tard", "tard", "bientot"],
        "piscine": ["bassin"],
    }
    assert [one.recipients for one in found] == [("dominique@ville.example", "DECHETS@ville.example"), ()]


def test_a_proposal_that_waits_is_enough(folder: Path) -> None:
    found = [
        one for one in digest.digests(Library.load(folder), {}, TODAY, lambda key: 2 if key == "eau" else 0) if one.service.key == "eau"
    ]
    assert [(one.late, one.soon, one.proposals) for one in found] == [((), (), 2)]


def test_nothing_to_do_is_no_digest(make_kb: MakeKb) -> None:
    library = Library.load(make_kb({"services.yml": SERVICES, "articles/eau/a.md": text("À jour", "2027-11-01")}))
    assert digest.digests(library, {"eau": ["a@ville.example"]}, TODAY) == []
    assert digest.digests(library, {}, dt.date(2027, 10, 15)) != []


# ---- on the command line ----
def test_it_prints_what_it_would_send(service_app: Callable[..., Flask]) -> None:
    result = run(service_app())
    assert result.exit_code == 0
    assert "La Bible, Déchets : 2 articles en retard de relecture, 1 à relire bientôt" in result.output
    assert "alix@ville.example" in result.output and "dechets@ville.example" in result.output
    assert "camille" not in result.output and "chef@" not in result.output
    assert "Le bac très en retard (depuis 325 jours)\n  https://bible.ville.example/articles/tres-tard\n" in result.output
    assert "Le bac bientôt (d'ici 9 jours)" in result.output
    assert "https://bible.ville.example/a-relire" in result.output
    assert "à jour" not in result.output


def test_one_service_may_be_picked(service_app: Callable[..., Flask]) -> None:
    app = service_app()
    assert "Déchets" not in run(app, "--service", "piscine").output
    unknown = run(app, "--service", "absent")
    assert unknown.exit_code == 1 and "Service inconnu : absent" in unknown.output


def test_the_demonstration_prints_and_sends_nothing(make_app: MakeApp, folder: Path, serve: Serve) -> None:  # noqa: F811
    post = serve()
    app = make_app(folder, smtp_url=f"smtp://127.0.0.1:{post.port}", mail_from="bible@ville.example")
    assert "http://127.0.0.1:8000/articles/tard" in run(app).output
    result = run(app, "--send")
    assert result.exit_code == 1 and "BIBLE_ACCOUNTS=on" in result.output
    assert post.received == []


def test_it_loads_no_model(service_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    app = service_app()
    monkeypatch.setattr("webapp.state.Bible.live", property(lambda _: pytest.fail("the model was loaded")))
    assert run(app).exit_code == 0


def test_the_count_of_proposals_is_the_applications(make_app: MakeApp, folder: Path) -> None:
    app = make_app(folder)
    app.cli.commands.pop("digest", None)
    digest.init_app(app, lambda service: 3 if service == "eau" else 0)
    assert "La Bible, Eau : 3 propositions en attente" in run(app).output


# ---- by e-mail ----
def test_it_reaches_the_editors_and_the_service(service_app: Callable[..., Flask], serve: Serve) -> None:  # noqa: F811
    post = serve()
    result = run(service_app(smtp_url=f"smtp://127.0.0.1:{post.port}"), "--send", "--service", "dechets")
    assert result.exit_code == 0, result.output
    assert recipients(post) == ["alix@ville.example", "dechets@ville.example", "dominique@ville.example"]
    assert all(len(envelope.rcpt_tos) == 1 for envelope, _ in post.received)
    for mail in post.mails():
        assert mail["Subject"] == "La Bible, Déchets : 2 articles en retard de relecture, 1 à relire bientôt"
        plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
        assert plain is not None and "https://bible.ville.example/articles/tard" in plain.get_content()
        assert html is not None and 'href="https://bible.ville.example/articles/tard"' in html.get_content()


def test_one_broken_recipient_does_not_stop_the_others(service_app: Callable[..., Flask], serve: Serve) -> None:  # noqa: F811
    post = serve()
    post.refused["alix"] = "550 Boîte inconnue"
    result = run(service_app(smtp_url=f"smtp://127.0.0.1:{post.port}"), "--send", "--service", "dechets")
    assert result.exit_code == 1
    assert recipients(post) == ["dechets@ville.example", "dominique@ville.example"]
    assert "alix@ville.example : " in result.output and "Boîte inconnue" in result.output
    assert "2 courriel(s) envoyé(s), 1 en échec" in result.output


def test_a_service_that_nobody_can_be_told_of_is_a_failure(service_app: Callable[..., Flask], serve: Serve) -> None:  # noqa: F811
    result = run(service_app(smtp_url=f"smtp://127.0.0.1:{serve().port}"), "--send", "--service", "piscine")
    assert result.exit_code == 1 and "Piscine" in result.output


def test_an_address_that_is_none_does_not_stop_the_others(
    service_app: Callable[..., Flask],
    folder: Path,
    serve: Serve,  # noqa: F811
) -> None:
    post = serve()
    (folder / "services.yml").write_text(SERVICES.replace("dechets@ville.example", "dechets (at) ville"), encoding="utf-8")
    result = run(service_app(smtp_url=f"smtp://127.0.0.1:{post.port}"), "--send", "--service", "dechets")
    assert result.exit_code == 1 and "adresse e-mail" in result.output
    assert recipients(post) == ["alix@ville.example", "dominique@ville.example"]


def test_a_server_that_is_down_is_tried_once(service_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    really = digest.Mailer._connect
    monkeypatch.setattr(digest.Mailer, "_connect", lambda mailer: (tries.append(1), really(mailer))[1])
    result = run(service_app(smtp_url="smtp://127.0.0.1:1"), "--send", "--service", "dechets")
    assert result.exit_code == 1 and "Réessayez plus tard" in result.output
    assert len(tries) == 1


def test_without_a_server_it_says_what_to_set(service_app: Callable[..., Flask]) -> None:
    result = run(service_app(), "--send")
    assert result.exit_code == 1 and "BIBLE_SMTP_URL" in result.output


def test_a_title_adds_nothing_to_the_message(service_app: Callable[..., Flask], folder: Path, serve: Serve) -> None:  # noqa: F811
    post = serve()
    title = "'<script>alert(1)</script> {{ organisation.name }}'"
    (folder / "articles/dechets/tard.md").write_text(text(title, "2026-11-01"), encoding="utf-8")
    (folder / "services.yml").write_text(SERVICES.replace("Déchets", '"Déchets\\r\\nBcc: x@evil.example"'), encoding="utf-8")
    assert run(service_app(smtp_url=f"smtp://127.0.0.1:{post.port}"), "--send", "--service", "dechets").exit_code == 0
    for mail in post.mails():
        html = mail.get_body(("html",))
        assert html is not None and "<script>" not in html.get_content() and "&lt;script&gt;" in html.get_content()
        assert mail["Bcc"] is None
    assert "x@evil.example" not in recipients(post)


@pytest.mark.parametrize(
    ("review_by", "words"), [("2026-11-22", "aujourd'hui"), ("2026-11-23", "d'ici un jour"), ("2026-11-21", "depuis un jour")]
)
def test_the_days_are_said_as_people_say_them(service_app: Callable[..., Flask], folder: Path, review_by: str, words: str) -> None:
    (folder / "articles/dechets/bientot.md").write_text(text("Le bac", review_by), encoding="utf-8")
    assert f"Le bac ({words})" in run(service_app()).output
