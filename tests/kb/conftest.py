"""A small content folder on disk, valid from the start, that each test bends."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from kb.article import Article
from kb.library import Library, read_article

# A busy machine is no failure; what must be quick has a test of its own.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")

SERVICES = """\
etat-civil:
  name: État civil
  email: etat-civil@ville.example
  phone: 02 61 91 40 10
  hours: du lundi au vendredi de 9 h à 17 h
  address: 1 place de la Mairie
  url: https://ville.example/etat-civil
  facts:
    delai: trois semaines
dechets:
  name: Déchets
  phone: 02 61 91 40 22
"""
ORGANISATION = """\
name: Ville d'Essai
url: https://ville.example
faq_url: https://ville.example/faq
phone: 02 61 91 40 00
closing: Bien cordialement,
facts:
  portail: https://demarches.ville.example
"""
CHANNELS = """\
email:
  label: E-mail
  format: rich
  layout:
    greeting: 'Bonjour {{ citizen.name|fallback("Madame, Monsieur") }},'
    link: "Pour en savoir plus : {{ article.url }}"
    closing: "{{ organisation.closing }}"
    signature: "{{ organisation.signature }}"
phone:
  label: Téléphone
private_message:
  label: Message privé
  limit_chars: 300
  layout:
    link: "{{ article.url }}"
sms:
  label: SMS
  limit_chars: 160
  prefer: short
  layout:
    link: "{{ article.url }}"
"""
SYNONYMS = "CNI: [carte nationale d'identité]\n"
PASSPORT = """\
---
title: Demander un passeport
service: etat-civil
audience: public
questions:
  - Comment avoir un passeport ?
  - je veu un paseport
  - Combien coûte le passeport ?
  - passeport enfant
tags: [passeport]
short: Le passeport se demande au guichet, tél. {{ service.phone }}.
see_also: [carte-identite]
sources:
  - title: Passeport
    url: https://www.service-public.fr/passeport
reviewed_on: 2026-01-01
review_by: 2099-01-01
channels: {}
aliases: []
---
Le passeport se demande au guichet, {{ service.hours }}. Comptez {{ service.facts.delai }}.

## Ce qu'il faut apporter
Une photo et votre CNI.
"""
IDENTITY_CARD = """\
---
title: Refaire sa carte d'identité
service: etat-civil
questions: [Refaire ma carte, Carte perdue, Carte périmée, Prix de la carte]
short: La carte se demande au guichet.
sources: [{title: Carte, url: https://www.service-public.fr/carte}]
reviewed_on: 2026-01-01
review_by: 2099-01-01
---
La carte se demande au guichet, au {{ service.phone }}.
"""


class Content:
    """A content folder and short ways to change it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, relative: str, text: str | bytes) -> Path:
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def library(self) -> Library:
        return Library.load(self.root)

    def article(self, relative: str) -> Article:
        return read_article(self.root, relative)


PASSPORT_PATH = "articles/etat-civil/passeport.md"
CARD_PATH = "articles/etat-civil/carte-identite.md"


@pytest.fixture
def content(tmp_path: Path) -> Content:
    folder = Content(tmp_path / "kb")
    folder.write("services.yml", SERVICES)
    folder.write("organisation.yml", ORGANISATION)
    folder.write("channels.yml", CHANNELS)
    folder.write("synonyms.yml", SYNONYMS)
    folder.write(PASSPORT_PATH, PASSPORT)
    folder.write(CARD_PATH, IDENTITY_CARD)
    return folder
