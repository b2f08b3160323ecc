"""What the wording of a French text shows: phrases to avoid, acronyms, ways to reach someone. Patterns only, no input or output.

Each function takes a text and yields matches, whose offsets say where; quoted text and advice to agents are left alone.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

MONTHS = ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre")

_ACCENTS = re.compile(r"[\u0300-\u036f]+")
_WORD = re.compile(r"[^\W_]+")


@lru_cache(maxsize=200_000)
def fold(text: str) -> str:
    """Fold a text for comparison: no case, accents or punctuation, single spaces."""
    plain = text.casefold().replace("œ", "oe").replace("æ", "ae")
    return " ".join(_WORD.findall(_ACCENTS.sub("", unicodedata.normalize("NFKD", plain))))


def day(date: dt.date) -> str:
    """Write a day as people say it: « 7 septembre 2027 »."""
    return f"{'1er' if date.day == 1 else date.day} {MONTHS[date.month - 1]} {date.year}"


_WE = r"(?:notre|nos|la\s+(?:mairie|ville|commune|métropole|collectivité))"
_DISMISSIVE = re.compile(
    rf"""\b(?:
      pas\s+(?:de\s+|du\s+)?(?:notre|nos)\s+(?:compétences?|ressort|faute|responsabilité|domaine|problème|rôle|travail|fait)
    | pas\s+(?:du\s+ressort|de\s+la\s+(?:compétence|responsabilité|faute))\s+de\s+{_WE}
    | pas\s+de\s+la\s+faute\s+de\s+{_WE}
    | hors\s+de\s+(?:notre|nos)\s+compétences?
    | ne\s+(?:relève|dépend|dépendent|relèvent)\s+pas\s+de\s+(?:nous|notre|nos)
    | {_WE}\s+n['’]est\s+pas\s+(?:compétente?|responsable)
    | nous\s+ne\s+sommes\s+pas\s+(?:compétents?|compétentes?|responsables?|concernés?)
    | nous\s+n['’]y\s+(?:sommes\s+pour\s+rien|pouvons\s+rien)
    | nous\s+ne\s+pouvons\s+rien\s+(?:faire|y\s+faire|pour\s+vous)
    | ne\s+nous\s+(?:concerne|regarde)\s+pas
    | pas\s+à\s+nous\s+(?:de|d['’])
    | (?:adressez[-\s]vous|voyez|allez\s+voir|renseignez[-\s]vous)\s+ailleurs
    | débrouillez[-\s]vous
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
# « Ne répondez jamais que ce n'est pas de notre ressort » is advice to agents, not an answer to a citizen.
_ADVICE = re.compile(
    r"\b(?:ne\s+(?:\w+\s+)?(?:dites|dire|écrivez|écrire|répondez|répondre)|n['’](?:écrivez|écrire|annoncez)|évite[rz]|sans\s+(?:dire|écrire)"
    r"|jamais|plutôt\s+que|au\s+lieu\s+de)\b",
    re.IGNORECASE,
)


def dismissive(text: str) -> Iterator[re.Match[str]]:
    """Find the phrases that send a citizen away."""
    for match in _DISMISSIVE.finditer(text):
        if not (_is_quoted(text, match.start()) or _ADVICE.search(_sentence_before(text, match.start()))):
            yield match


_CHANNEL_BOUND = re.compile(
    r"""\b(?:
      (?:re)?cliqu(?:ez|er|ant)
    | ci[-‑](?:dessous|dessus|contre|joint(?:e?s?))
    | ce\s+(?:courriel|mail|e[-‑]mail|mél|sms|texto)
    | cet\s+(?:appel|e[-‑]mail)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
# « Ne cliquez pas », « cet appel à projets », « ce courriel frauduleux » speak of something else than the reply.
_NOT_THE_REPLY_BEFORE = re.compile(r"(?:\b(?:ne|ni|pas|sans|jamais|avant\s+de)|\b[nd]['’])\s*$", re.IGNORECASE)
_NOT_THE_REPLY_AFTER = re.compile(r"\s+(?:à\s|aux\s|d['’]offres|frauduleux|suspect|douteux|malveillant|n['’]est\s+pas\s+de)", re.IGNORECASE)


def channel_bound(text: str) -> Iterator[re.Match[str]]:
    """Find the words that only make sense on one channel."""
    for match in _CHANNEL_BOUND.finditer(text):
        is_click = "cliqu" in match.group().lower()
        before, after = text[max(0, match.start() - 12) : match.start()], text[match.end() : match.end() + 20]
        of_something_else = _NOT_THE_REPLY_BEFORE.search(before) if is_click else _NOT_THE_REPLY_AFTER.match(after)
        if not of_something_else and not _is_quoted(text, match.start()):
            yield match


_PHONE_NUMBER = re.compile(r"(?<!\d)(?:0\d(?:[ .\u00a0\u202f]?\d\d){4}|3[ \u00a0\u202f]?\d[ \u00a0\u202f]?\d\d|11[2-9])(?!\d)")
_NOT_DIGITAL = re.compile(
    r"\bt[ée]l[ée]phon|\btél\.|\bappel(?:ez|er|le|ons|lera)\b|\b(?:guichet|accueil|comptoir|permanence|sur\s+place|par\s+courrier)"
    r"|\b(?:en|à\s+la|à\s+votre)\s+mairie\b|\bà\s+l['’]hôtel\s+de\s+ville\b|\b(?:présentez|déplacez|rendez)-vous\b|\bvenez\b",
    re.IGNORECASE,
)


def has_phone_number(text: str) -> bool:
    """Tell whether a French telephone number is written in a text."""
    return _PHONE_NUMBER.search(text) is not None


def offers_other_than_digital(text: str) -> bool:
    """Tell whether a text offers the telephone, the counter or the post."""
    return has_phone_number(text) or _NOT_DIGITAL.search(text) is not None


# Words that everybody reads, Roman numerals and addresses are no acronyms to spell out.
_EVERYDAY = frozenset({"SMS", "MMS", "PDF", "GPS", "DVD", "USB", "FAQ", "SOS", "SNCF", "TGV", "TVA", "RIB", "IBAN", "ADN", "HTML", "JPEG"})
_CAPITALS = re.compile(r"https?://\S+|www\.\S+|\{\{.*?\}\}|\[\[[^\]\n|]*|`[^`\n]*`|\b([A-ZÀÂÇÉÈÊÎÔÙ]{3,})\b")
_ROMAN = re.compile(r"[IVX]+")
_SHOUTED_BEFORE = re.compile(r"\b[A-ZÀÂÇÉÈÊÎÔÙ]{2,}[ \u00a0]$")
_SHOUTED_AFTER = re.compile(r"[ \u00a0][A-ZÀÂÇÉÈÊÎÔÙ]{2,}\b")
_SMALL_WORDS = frozenset(("a", "au", "aux", "d", "de", "des", "du", "dans", "en", "et", "l", "la", "le", "les", "ou", "par", "pour", "sur"))


def acronyms(text: str) -> Iterator[re.Match[str]]:
    """Find the words of three capitals or more that a reader may not know; group 1 is the acronym."""
    for match in _CAPITALS.finditer(text):
        acronym = match.group(1)
        if acronym and acronym not in _EVERYDAY and not _ROMAN.fullmatch(acronym) and not _is_shouted(text, match):
            yield match


def _is_shouted(text: str, match: re.Match[str]) -> bool:
    """Tell capitals of emphasis (« NE PAS JETER ») from an acronym: they stand beside others."""
    before = text[max(0, match.start() - 20) : match.start()]
    return bool(_SHOUTED_BEFORE.search(before) or _SHOUTED_AFTER.match(text, match.end()))


def is_spelled_out(acronym: str, text: str) -> bool:
    """Tell whether a text holds the words of an acronym: in brackets beside it, or words that begin with its letters."""
    beside = rf"\b{acronym}\b[\s*_]*(?:\([^)\s]+\s[^)]+\)|[,:]\s+(?:c['’]est-à-dire|ou)\s)|\w\s+\(\s*{acronym}\s*[),;]"
    return bool(re.search(beside, text)) or bool(_words_of(acronym).search(_folded_words(text)))


@lru_cache(maxsize=1)
def _folded_words(text: str) -> str:
    """Words of a text, folded, small words left out; the cache serves the acronyms of one article."""
    return " ".join(word for word in fold(text).split() if word not in _SMALL_WORDS)


@lru_cache(maxsize=1024)
def _words_of(acronym: str) -> re.Pattern[str]:
    """Match words of which the acronym takes the first letter, or letters: « PACS » is « PActe Civil de Solidarité »."""
    letters = fold(acronym)
    # Three letters taken from two words match too many of them.
    same_word = "{0}|" if len(letters) > 3 else ""
    rest = "".join(f"(?:{same_word}[a-z0-9]* {{0}})".format(letter) for letter in letters[1:])
    return re.compile(rf"\b(?!{letters}){letters[0]}{rest}")


_LINK = re.compile(r"\[\[|\]\(|\]\[|<https?:|<a\s|https?://", re.IGNORECASE)


def first_link(text: str) -> re.Match[str] | None:
    """Find the first link of a Markdown text; a bare domain name, which can be said aloud, is none."""
    return _LINK.search(text)


def _is_quoted(text: str, offset: int) -> bool:
    """Tell whether an offset is between quotation marks of its paragraph."""
    before = text[max(0, text.rfind("\n\n", 0, offset)) : offset]
    return before.rfind("«") > before.rfind("»") or before.rfind("“") > before.rfind("”") or before.count('"') % 2 == 1


def _sentence_before(text: str, offset: int) -> str:
    before = text[max(0, offset - 300) : offset]
    return re.split(r"[.!?…]\s|\n\s*\n|\n\s*[-*]\s", before)[-1]
