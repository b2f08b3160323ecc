"""Take the screenshots of the README and the guides: `make screenshots`.

A town of its own is made for them in a temporary folder (the sample, the real model, three people), so nobody's articles change and the
pictures are the same for everybody. One story runs through them: Camille, at the desk, proposes; Dominique, of the service, reviews.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from kb.git_store import GitStore, Person, ensure_repository
from webapp.settings import PROJECT, SAMPLE_KB

FOLDER = PROJECT / "docs" / "img"
MAX_BYTES = 250_000
START_SECONDS = 120
MESSAGE = (
    "Bonjour, les éboueurs ne sont pas passés ce matin rue des Lilas et ma poubelle jaune déborde.\n"
    "Par ailleurs, comment inscrire ma fille à la cantine ?\nCordialement, Mme Petit"
)
MISTAKEN = (
    "Je vends ma maison du 12 rue des Lilas, l'acheteur demande si on peut construire sur le terrain d'à côté. "
    "Merci de rappeler le 06 12 34 56 78"
)
RIGHT = "certificat-urbanisme"
MISSING = "Donnez-vous une aide pour acheter un récupérateur d'eau de pluie ?"
CARD, BOOK = "carte-identite-demande", "livret-de-famille"
# Chromium looks up its maker's hosts at every start unless it is told not to.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

TWIN = """\
---
title: Présenter son livret de famille ou en faire refaire un
service: relation-usagers
audience: public
questions:
  - J'ai perdu le livret de famille, que faire ?
  - Combien de temps pour un nouveau livret de famille ?
reviewed_on: 2026-06-15
review_by: 2027-06-15
---
Un livret de famille perdu, volé ou abîmé est refait gratuitement à la mairie de votre domicile, à l'état civil.
Venez avec votre pièce d'identité et un justificatif de domicile, ou appelez le {{ service.phone }}.

## Délai
Nous transmettons le livret aux communes qui détiennent les actes de la famille ; c'est pourquoi il faut compter deux mois.
"""


def main() -> int:
    """Take them all; returns an exit status."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed.", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        story = Story(browser, url)
        for scene in (story.desk, story.editing, story.reviewing, story.asking, story.solving_a_conflict, story.keeping):
            scene()
        browser.close()
    heavy = [path.name for path in FOLDER.glob("*.png") if path.stat().st_size > MAX_BYTES]
    if heavy:
        print(f"over {MAX_BYTES} bytes: {', '.join(heavy)}", file=sys.stderr)
    return 1 if heavy else 0


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the sample town, with one article written twice, and give its address."""
    kb = folder / "kb"
    ensure_repository(kb, SAMPLE_KB)
    GitStore(kb).publish(
        {"articles/relation-usagers/refaire-livret-de-famille.md": TWIN},
        Person("Alix Administration", "administration@demonstration.invalid"),
        "Crée « Présenter son livret de famille ou en faire refaire un »",
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BIBLE_")}
    environment |= {"BIBLE_VAR_DIR": str(folder), "BIBLE_PORT": str(port), "BIBLE_WORKERS": "1"}
    server = subprocess.Popen([sys.executable, "-m", "webapp"], cwd=PROJECT, env=environment)
    try:
        _wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.3)
    raise RuntimeError("the server does not start")


class Story:
    """What happens to a few articles, one picture a step."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self.camille, self.dominique, self.alix = (self._person(role) for role in ("agent", "editor", "admin"))

    def _person(self, role: str) -> Page:
        context = self._browser.new_context(
            base_url=self._url, viewport={"width": 1280, "height": 800}, color_scheme="light", locale="fr-FR"
        )
        page = context.new_page()
        page.goto("/")
        page.click(".menu summary")
        page.click(f'.menu button[value="{role}"]')
        return page

    def desk(self) -> None:
        """An agent answers, and tells a service that an answer is wrong."""
        page = self.camille
        find(page, MESSAGE)
        shoot(page, "desk")
        page.goto(f"/articles/{CARD}")
        shoot(page, "article")
        page.goto("/articles")
        page.click(".menu summary")
        shoot(page, "roles", 330)
        find(page, MISTAKEN)
        page.locator(".card .wrong").first.click()
        page.select_option('.wrong-answer[open] select[name="right"]', RIGHT)
        shoot(page, "wrong-answer", 620)

    def editing(self) -> None:
        """An agent writes a proposal."""
        page = self.camille
        page.goto("/articles/nouveau")
        page.fill("#title", "Refaire sa carte d'identité perdue ou périmée")
        page.wait_for_selector("#near .notice")
        shoot(page, "near", 560)
        page.goto(f"/articles/{CARD}/modifier")
        replace(
            page,
            "#lead",
            "La pré-demande sur",
            "Si votre départ est proche, dites-le : nous cherchons un créneau libéré. La pré-demande sur",
        )
        replace(page, "#short", "Pour une carte", "Bonjour, pour faire ou refaire une carte")
        replace(
            page,
            "#short",
            " (25 €).",
            " (25 €). Si votre départ est proche, dites-le au téléphone : nous cherchons un créneau, ici ou dans une mairie voisine.",
        )
        page.wait_for_selector("#notes-short li")
        shoot(page, "editor", 720, top="#lead")
        page.click('[data-pick-link="lead"]')
        page.fill("#link-words", "passeport")
        page.wait_for_selector('#link-list [data-slug="passeport-demande"]')
        shoot(page, "link-picker", 640)
        page.evaluate("document.getElementById('link-picker').close()")
        page.click('[data-pick-value="lead"]')
        shoot(page, "value-picker", 640)
        page.evaluate("document.getElementById('value-picker').close()")
        page.fill(
            "#short",
            "Carte d'identité : pré-demande sur ants.gouv.fr, puis rendez-vous au {{ service.phone }}. C'est gratuit, sauf perte ou vol "
            "(25 €). Départ proche ? Dites-le en appelant.",
        )
        page.fill("#questions", page.input_value("#questions") + "\nJe pars dans dix jours, reste-t-il un créneau en urgence ?")
        propose(page, "Question posée presque chaque jour au guichet avant les vacances.")

    def reviewing(self) -> None:
        """An editor of the service reads it, asks for a change, then publishes it."""
        page = self.dominique
        page.goto("/propositions/")
        shoot(page, "proposals", 420)
        page.click(".rows a")
        address = page.url
        page.fill("#text", "Très bien. Ajoutez le téléphone : tout le monde n'écrit pas.")
        page.click("text=Demander une modification")
        self.camille.goto(f"{address}/modifier")
        replace(self.camille, "#lead", "dites-le :", "dites-le au {{ service.phone }} :")
        propose(self.camille, "Téléphone ajouté.")
        page.goto(address)
        page.fill("#text", "Merci, c'est parfait.")
        shoot(page, "review")
        page.click("text=Accepter et publier")
        page.wait_for_selector(".event-accepted")

    def asking(self) -> None:
        """An agent asks a service for an answer that is missing."""
        page = self.camille
        find(page, MISSING)
        page.click(".ask-service summary")
        page.select_option('.ask-service select[name="service"]', "urbanisme")
        page.click('.ask-service button[type="submit"]')
        address = page.locator(".sent a").get_attribute("href") or ""
        self.dominique.goto(address)
        shoot(self.dominique, "request", 560)

    def solving_a_conflict(self) -> None:
        """Two people changed the same sentence."""
        page = self.camille
        page.goto(f"/articles/{BOOK}/modifier")
        replace(page, "#lead", "un justificatif de domicile.", "un justificatif de domicile de moins d'un an.")
        propose(page, "Des usagers viennent avec des factures trop anciennes.")
        address = page.url
        self.dominique.goto(f"/articles/{BOOK}/modifier")
        replace(self.dominique, "#lead", "un justificatif de domicile.", "un justificatif de domicile de moins de six mois.")
        propose(self.dominique, "Précision demandée par l'état civil.")
        self.alix.goto(self.dominique.url)
        self.alix.click("text=Accepter et publier")
        page.goto(address)
        shoot(page, "conflict-found", 420)
        page.click("a:has-text('Résoudre le conflit')")
        shoot(page, "conflict", 680, top="[data-conflict]")

    def keeping(self) -> None:
        """Versions, reviews, twins."""
        page = self.dominique
        page.goto(f"/articles/{BOOK}/versions")
        shoot(page, "versions", 420)
        page.click("text=Comparer les deux versions choisies")
        shoot(page, "compare", 620)
        page.goto("/a-relire")
        shoot(page, "reviews", 620)
        page.goto("/jumeaux")
        while page.locator(".panel").count() == 0:  # compared aside, for some seconds
            page.wait_for_timeout(500)
            page.reload()
        shoot(page, "twins", 620)


def find(page: Page, message: str) -> None:
    """Look for the answer to a message."""
    page.goto("/")
    page.fill("#message", message)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".summary")


def replace(page: Page, field: str, old: str, new: str) -> None:
    """Change some words of a field."""
    text = page.input_value(field)
    assert old in text, f"{field}: no « {old} »"
    page.fill(field, text.replace(old, new))


def propose(page: Page, why: str) -> None:
    """Send the editor's form."""
    page.fill("#why", why)
    page.click('button[value="propose"]')
    page.wait_for_selector(".review")


def shoot(page: Page, name: str, height: int = 800, top: str = "") -> None:
    """Take what the window shows of a page, from its top or from just above an element."""
    page.evaluate("scrollTo(0, 0)")
    if top:
        page.evaluate("selector => scrollTo(0, document.querySelector(selector).getBoundingClientRect().top - 140)", top)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png", clip={"x": 0, "y": 0, "width": 1280, "height": height})


if __name__ == "__main__":
    sys.exit(main())
