"""A town whose content hides secrets, in its files and in its history: what no public address, and no exported file, may tell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from kb.git_store import GitStore, Person, ensure_repository
from kb.proposals import Proposals
from tests.conftest import settings_for
from tests.webapp.people import make_person, visitor
from webapp import create_app
from webapp.public import PublicFaq, public_faq

# Words that only the inside knows. None may come out of a public address, in whatever letters.
SECRETS = (
    "zorglub", "vertigo", "mandragore", "hypocampe", "quetzal", "brimborion", "salamandre", "nyctalope", "farfadet", "ornithorynque",
    "palimpseste", "rutabaga", "tarasque", "wisigoth", "axolotl", "cacatoes", "dromadaire", "echidne",
)  # fmt: skip
AUTHOR = Person("Farfadet Dupont", "farfadet@ville.example")
BASE = "https://faq.ville.example/faq"
CONTEXT = {
    "organisation.yml": f"name: Ville d'Essai\nurl: https://www.ville.example\nphone: '0100'\nfaq_url: {BASE}\n",
    "services.yml": "dechets: {name: Propreté, phone: '01 02', email: dechets@ville.example, hours: le matin, address: 1 rue Haute}\n"
    "cabinet-vertigo: {name: Cabinet Vertigo, phone: '0109', email: vertigo@ville.example}\n"
    "relation-usagers: {name: Accueil, phone: '0102', email: accueil@ville.example}\n",
    "synonyms.yml": "zorglub: [brimborion]\n",
}


def article(title: str, body: str, **front: object) -> str:
    return f"---\n{json.dumps({'title': title, **front}, ensure_ascii=False)}\n---\n{body}\n"


BIN = article(
    "Demander un bac",
    "Le bac vert est au dépôt. Voir [[plan-zorglub]] ou [[plan-zorglub|la fiche du guichet]], et [[verre]].\n\n"
    "## Où aller\nAu dépôt : {{ service.phone }}.\n\n## Qui appeler\nL'accueil.",
    service="dechets", questions=["Où est mon bac ?"], tags=["tri"], see_also=["plan-zorglub", "verre", "conseil-mandragore"],
    sources=[{"title": "La loi", "url": "https://loi.example"}], reviewed_on="2026-03-01", aliases=["vieux-bac"],
)  # fmt: skip
GLASS = article("Jeter le verre", "Le verre va dans la colonne.", service="dechets", reviewed_on="2026-02-01")
INTERNAL = article(
    "Plan Zorglub", "Le quetzal secret du bac vert au dépôt.", service="cabinet-vertigo", audience="internal",
    questions=["Où est le quetzal ?"], tags=["hypocampe"], short="Un brimborion.",
    aliases=["vieux-zorglub"], sources=[{"title": "Note nyctalope", "url": ""}],
)  # fmt: skip
ADVICE = article("Conseil mandragore", "Gardez la salamandre.", service="dechets", kind="advice", questions=["Sale salamandre !"])
OPENED = article("Ouvert au public", "Le texte est publié.\n\n## Détails\nTout est là.", service="dechets")
SHOWCASE = article("Vitrine", "La vitrine est ouverte.", service="dechets", aliases=["nom-tarasque"])
FILES = {
    **CONTEXT,
    "articles/dechets/bac.md": BIN,
    "articles/dechets/verre.md": GLASS,
    "articles/cabinet-vertigo/plan-zorglub.md": INTERNAL,
    "articles/dechets/conseil-mandragore.md": ADVICE,
    # Internal at first, opened later; renamed while it was internal; public once, closed since.
    "articles/dechets/ouvert.md": article(
        "Ornithorynque", "Note palimpseste.\n\n## Détails rutabaga\nNon.", service="dechets", audience="internal"
    ),
    "articles/dechets/nom-tarasque.md": article("Nom de code", "Wisigoth.", service="dechets", audience="internal"),
    "articles/dechets/axolotl.md": article("Axolotl", "Cela fut public.", service="dechets", tags=["axolotl"]),
    "articles/dechets/casse.md": "---\ntitle: [cacatoes\n---\nCassé.\n",
}


@dataclass
class Planted:
    """An application whose content hides secrets, in its files and in its history."""

    app: Flask
    store: GitStore

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def agent(self) -> FlaskClient:
        """A browser in which an agent is logged in."""
        return visitor(self.app)

    @property
    def faq(self) -> PublicFaq:
        with self.app.test_request_context("/faq"):
            return public_faq()

    def publish(self, changes: dict[str, str | None], message: str = "Note interne de farfadet") -> None:
        self.store.publish(changes, AUTHOR, message)
        self.app.extensions["bible"].refresh()


def write(root: Path, files: dict[str, str]) -> None:
    for relative, words in files.items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words, encoding="utf-8")


def planted_in(folder: Path) -> Planted:
    write(folder / "sample", FILES)
    ensure_repository(folder / "kb", folder / "sample")
    store = GitStore(folder / "kb")
    store.publish({"articles/dechets/ouvert.md": OPENED}, AUTHOR, "Ouvrir, malgré farfadet")
    move = {
        "articles/dechets/nom-tarasque.md": None,
        "articles/dechets/vitrine.md": SHOWCASE.replace('"title"', '"audience": "internal", "title"'),
    }
    store.publish(move, AUTHOR, "Renommer")
    store.publish({"articles/dechets/vitrine.md": SHOWCASE}, AUTHOR, "Publier la vitrine")
    closed = FILES["articles/dechets/axolotl.md"].replace('"title"', '"audience": "internal", "title"')
    store.publish({"articles/dechets/axolotl.md": closed}, AUTHOR, "Fermer")
    # A draft that nobody accepted, and one that was amended before it was: its words were never live.
    proposals = Proposals(store)
    proposals.propose("dromadaire", {"articles/dechets/verre.md": GLASS + "\n## Le dromadaire\nNon.\n"}, AUTHOR, "Brouillon")
    write(folder / "kb", {"archive/dechets/vieille-echidne.md": article("Échidné", "Echidne archivée.", service="dechets")})
    app = create_app(
        settings_for(folder / "kb", folder / "var", accounts="on", rate_limit="10000/minute")
    )  # in the demonstration everybody is an agent
    make_person(app)
    return Planted(app, store)
