"""What a French sentence states in figures: prices, delays, ages, dates, opening hours, phone numbers… Reads, never judges.

Guarantees: figures in words count as figures (« quinze jours », « une dizaine d'euros »); each figure belongs to one kind; linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kb.wording import MONTHS

Kind = Literal["price", "percentage", "duration", "validity", "age", "date", "hours", "phone", "email"]

KINDS: dict[Kind, str] = {
    "price": "montant",
    "percentage": "pourcentage",
    "duration": "délai ou durée",
    "validity": "durée de validité",
    "age": "âge",
    "date": "date",
    "hours": "horaire",
    "phone": "numéro de téléphone",
    "email": "adresse e-mail",
}

# fmt: off
_WORDS = {
    "un": 1, "une": 1, "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "six": 6, "sept": 7, "huit": 8, "neuf": 9, "dix": 10, "onze": 11,
    "douze": 12, "treize": 13, "quatorze": 14, "quinze": 15, "seize": 16, "vingt": 20, "trente": 30, "quarante": 40, "cinquante": 50,
    "soixante": 60, "huitaine": 8, "dizaine": 10, "douzaine": 12, "quinzaine": 15, "vingtaine": 20, "trentaine": 30, "centaine": 100,
}
# In days; a working week has five.
_UNITS = {
    "minute": 1 / 1440, "heure": 1 / 24, "h": 1 / 24, "jour": 1.0, "jours ouvrés": 1.4, "jours ouvrables": 1.2, "semaine": 7.0,
    "mois": 30.4, "an": 365.0, "année": 365.0,
}
# fmt: on
# The same delay may be said in several ways: « deux semaines » and « quinze jours », « huit jours » and « une semaine ».
_SAME_DURATION = 1.15

_FIGURE = r"(?:\d{1,3}(?:[ \u00a0\u202f.]\d{3}(?!\d))+|\d{1,9})(?:,\d{1,3})?"
_WORD = (
    r"(?:une? (?=huitaine|dizaine|douzaine|quinzaine|vingtaine|trentaine|centaine))?(?:"
    + "|".join(sorted(_WORDS, key=len, reverse=True))
    + ")"
)
_NUMBER = rf"(?:{_FIGURE}|\b{_WORD}\b)"
_RANGE = rf"(?P<low>{_NUMBER})(?:\s?(?:à|ou|et|-|–)\s?(?P<high>{_NUMBER}))?"
_SPACE = r"[ \u00a0\u202f]?"
_CLOCK = r"(?:[01]?\d|2[0-4])\s?(?:h|heures?)(?:\s?[0-5]\d)?"
_DAY = r"(?:1er|[12]?\d|3[01])"

_SOURCES: tuple[tuple[Kind, str], ...] = (
    ("email", r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}"),
    ("phone", r"(?<![\d.])(?:\+33[ .]?|0)[1-9](?:[ .\u00a0\u202f-]?\d\d){4}(?!\d)"),
    ("date", rf"\b(?P<day>{_DAY})\s(?P<month>{'|'.join(MONTHS)})\b(?:\s(?P<year>\d{{4}}))?"),
    ("date", r"\b(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})\b"),
    ("hours", rf"\b(?P<from>{_CLOCK})\s?(?:à|et|-|–)\s?(?P<to>{_CLOCK}|midi)\b"),
    ("hours", rf"(?:\b(?:dès|avant|après|vers|jusqu'à|jusqu’à|à partir de)\s)(?P<at>{_CLOCK})\b"),
    ("price", rf"{_RANGE}{_SPACE}(?:d'|d’)?(?:€|euros?\b)(?:{_SPACE}(?P<cents>\d\d)\b)?"),
    ("percentage", rf"{_RANGE}{_SPACE}(?:%|pour cent\b)"),
    (
        "duration",
        rf"{_RANGE}{_SPACE}(?:de )?(?P<unit>minutes?|heures?|h|jours? ouvrés?|jours? ouvrables?|jours?|semaines?|mois|ans?|années?)\b",
    ),
)
_PATTERNS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _SOURCES)
_AGE = re.compile(
    r"\b(?:âgée?s?|âge|moins|plus|partir|dès|avant|enfants?|mineurs?|majeurs?|jeunes?|personnes?|jusqu['’]à|entre)\b", re.IGNORECASE
)
_VALID = re.compile(r"\bvalid|\bvalable|\bvaut\b", re.IGNORECASE)
_NEARBY_CHARS = 30


@dataclass(frozen=True)
class Quantity:
    """A figure of a sentence: its kind, its value as comparable bounds (days, euros…) or as a key, and where it stands."""

    kind: Kind
    low: float
    high: float
    key: str
    start: int
    end: int

    def agrees(self, other: Quantity) -> bool:
        """Tell whether two quantities of one kind may say the same thing: ranges that meet do."""
        if self.key or other.key:
            shorter, longer = sorted((self.key, other.key), key=len)
            return longer.startswith(shorter) and bool(shorter)
        margin = _SAME_DURATION if self.kind in ("duration", "validity") else 1.0
        return self.low <= other.high * margin and other.low <= self.high * margin


def quantities(sentence: str) -> tuple[Quantity, ...]:
    """List the quantities of a sentence, in order; a figure that one kind took is not read again as another."""
    taken = bytearray(len(sentence))
    found = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(sentence):
            start, end = match.span()
            if any(taken[start:end]):
                continue
            quantity = _quantity(kind, match, sentence)
            if quantity:
                taken[start:end] = b"\x01" * (end - start)
                found.append(quantity)
    return tuple(sorted(found, key=lambda one: one.start))


def sentences(plain: str) -> Iterator[str]:
    """Yield the sentences and list items of a plain text."""
    for line in plain.splitlines():
        for sentence in re.split(r"(?<=[.!?…])\s+(?=[^\sa-zà-ÿ])", line):
            stripped = sentence.strip().removeprefix("- ").strip()
            if stripped:
                yield stripped


def _quantity(kind: Kind, match: re.Match[str], sentence: str) -> Quantity | None:
    start, end = match.span()
    if kind == "email":
        return Quantity(kind, 0, 0, match.group().lower(), start, end)
    if kind == "phone":
        return Quantity(kind, 0, 0, re.sub(r"\D", "", match.group().replace("+33", "0")), start, end)
    if kind == "date":
        return Quantity(kind, 0, 0, _date_key(match), start, end)
    if kind == "hours":
        given = match.groupdict()
        span = [given["from"], given["to"]] if "from" in given else [given["at"]]
        return Quantity(kind, 0, 0, "/".join(_clock(one) for one in span) + ".", start, end)
    low = _number(match["low"])
    high = _number(match["high"]) if match["high"] else low
    if kind == "duration":
        unit = match["unit"].lower()
        # « 14 h » alone is a time of the day, « 48 h » a delay.
        if unit in ("h", "heure", "heures") and not match["high"] and low < 24:
            return None
        days = _unit_days(unit)
        kind = _kind_of_span(unit, sentence, start)
        return Quantity(kind, min(low, high) * days, max(low, high) * days, "", start, end)
    cents = float(match["cents"]) / 100 if kind == "price" and match["cents"] else 0.0
    return Quantity(kind, min(low, high) + cents, max(low, high) + cents, "", start, end)


def _kind_of_span(unit: str, sentence: str, start: int) -> Kind:
    if _VALID.search(sentence, 0, start):
        return "validity"
    return "age" if unit in ("an", "ans") and _AGE.search(sentence, max(0, start - _NEARBY_CHARS), start) else "duration"


def _unit_days(unit: str) -> float:
    if "ouvr" in unit:
        return _UNITS["jours ouvrables" if "ouvrable" in unit else "jours ouvrés"]
    return _UNITS[unit if unit in _UNITS else unit.removesuffix("s")]


def _number(words: str) -> float:
    last = words.lower().split()[-1]
    if last in _WORDS:
        return float(_WORDS[last])
    return float(re.sub(r"[ \u00a0\u202f.]", "", words).replace(",", "."))


def _clock(words: str) -> str:
    if words.lower() == "midi":
        return "12:00"
    hour, _, minute = re.sub(r"heures?", "h", words.lower()).partition("h")
    return f"{int(hour):02}:{minute.strip() or '00'}"


def _date_key(match: re.Match[str]) -> str:
    """Month, day, then the year when it is said: a date without its year agrees with any."""
    month = match["month"].lower()
    number = MONTHS.index(month) + 1 if month in MONTHS else int(month)
    return f"{number:02}-{int(match['day'].lower().removesuffix('er')):02}" + (f" {match['year']}" if match["year"] else "")
