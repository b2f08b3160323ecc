"""A citizen's message → the requests that it holds: greetings, signatures and quoted mail dropped, long letters cut into asks.

Works on the text alone; the engine then decides, from what each piece finds, which pieces ask for different things.
Nothing is kept: the functions are pure.
"""

from __future__ import annotations

import re
import unicodedata

MAX_SEGMENTS = 8
_MIN_SEGMENT_WORDS = 3

# What announces an older mail. Addresses may be masked already.
_QUOTED = re.compile(
    r"^\s*(?:-{2,}\s*(?:message|mail|courriel)\s+(?:d'origine|original|initial)|-{2,}\s*original message"
    r"|le\s.{4,200}\s(?:a écrit|a ecrit)\s*:|on\s.{4,200}\swrote\s*:)",
    re.IGNORECASE,
)
_FORWARDED = re.compile(r"^\s*-{2,}\s*(?:(?:message|mail|courriel)\s+(?:transféré|transfere)|forwarded message)", re.IGNORECASE)
# « De : … » heads a block where an address, or the next lines, say so.
_FROM = re.compile(r"^\s*(?:de|from)\s*:\s*\S", re.IGNORECASE)
_ADDRESS = re.compile(r"@|\[adresse e-mail\]")
_SENT_TO = re.compile(r"^\s*(?:envoyé|envoye|date|sent|à|a|to)\s*:", re.IGNORECASE)
_MAX_FORWARDING_WORDS = 6
_DEVICE = re.compile(r"^\s*(?:envoyé|envoye|sent)\s+(?:de|depuis|from|à partir)\b.{0,60}$", re.IGNORECASE)
_HEADER = re.compile(r"^\s*(?:objet|sujet|subject)\s*:\s*(?:(?:re|fwd?|tr)\s*:\s*)*", re.IGNORECASE)
_DROPPED_HEADER = re.compile(r"^\s*(?:de|à|a|cc|cci|date|envoyé|envoye|from|to|sent)\s*:\s*\S.{0,120}$", re.IGNORECASE)
_GREETING = re.compile(
    r"^\s*(?:(?:re)?bonjour|bonsoir|bjr|bsr|salut|slt|coucou|hello|hi|chers?|chère|madame|monsieur|messieurs|mesdames|mme|mr)\b"
    r"(?:\s*(?:(?:et|ou|à|a)?\s*(?:tous|toutes|toute l['’]équipe|l['’]équipe|la mairie|la ville|messieurs|mesdames|dames?|madame|monsieur"
    r"|le maire|la maire)\b)|\s*[,/])*"
    r"[\s,!.:;…-]*",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:^|(?<=[.!?\n,…]))\s*(?:(?:bien\s+|très\s+|tres\s+)?(?:cordialement|respectueusement|sincèrement|sincerement)\b"
    r"|(?:cdt|cdlt|crdlt|bav|bàv)\b|bien à vous\b|bien a vous\b|(?:sincères|sinceres|meilleures|cordiales)\s+salutations"
    r"|salutations\b|(?:très |tres )?bonne (?:journée|journee|soirée|soiree|réception|reception|fin de)\b"
    r"|(?:je vous prie|nous vous prions|veuillez|vous voudrez bien|je vous pris)\s+(?:d['’e]\s?)?"
    r"(?:agréer|agreer|croire|recevoir|accepter)\b"
    r"|(?:dans l['’]attente|en attente)\s+(?:de|d['’])\b|en vous (?:remerciant|souhaitant)\b|(?:merci )?d['’]avance(?: merci)?\b"
    r"|merci (?:d['’]avance|par avance|pour votre (?:aide|réponse|reponse|retour)|de votre (?:aide|réponse|reponse|retour)|beaucoup|bcp)\b"
    r"|merci\s*[.,!]*\s*(?:\[nom\])?\s*$)",
    re.IGNORECASE | re.MULTILINE,
)
# « Merci d'avance de me dire comment… » asks, and « pour votre réponse » does not.
_GOES_ON = re.compile(
    r"\s*(?::|(?:de\s+|d['’])(?!votre\b|notre\b)(?:bien\s+)?(?:(?:me|nous|vous|le|la|les)\s+|[ml]['’]\s?)?\w+(?:er|ir|re)\b"
    r"|pour\s+(?!votre\b|vos\b|tout\b|la\s+réponse\b|le\s+retour\b))",
    re.IGNORECASE,
)
_POSTSCRIPT = re.compile(r"^\s*p\.?\s?s\.?\s*[:;,-]\s*", re.IGNORECASE | re.MULTILINE)
_CONTACT_LINE = re.compile(r"^\s*(?:t[ée]l\b.{0,40}|(?:\+33|0)\s?\d(?:[\s.-]?\d{2}){4}|[^\s@]+@[^\s@]+\.\w+|--+|_{3,})\s*$", re.IGNORECASE)

_SENTENCE_END = re.compile(r"(?<=[.!?…;])\s+(?=\S)|\n+")
_ABBREVIATION = re.compile(r"(?:^|\s)(?:m|mr|mme|mlle|dr|art|n|no|av|bd|bld|pl|st|ste|etc|cf|ex|tel|tél|env|max|min)\.$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,2}\s?[.)/°-]|[a-d]\s?[).])\s+(?=.*\w)", re.IGNORECASE)
_NEW_REQUEST = re.compile(
    r"^(?:et\s+|puis\s+|mais\s+|sinon\s+)?(?:aussi|sinon|par ailleurs|d['’]autre part|de plus|en outre|également|egalement|au passage"
    r"|en passant|(?:une |mon |ma )?(?:autre|deuxième|deuxieme|seconde?|2e|2eme|dernière|derniere|troisième|troisieme)"
    r" (?:question|chose|point|demande|souci)|j['’]en profite|jen profite|je profite|tant que|pendant que|deuxièmement|deuxiemement"
    r"|enfin|ensuite|autrement|dernière chose|ps\b|p\.s"
    r"|je voul?ais aussi|je voudrais aussi|j['’]aimerais aussi|il me faut aussi|il me faudrait aussi|pouvez[- ]vous aussi|et puis)\b",
    re.IGNORECASE,
)
_INNER_REQUEST = re.compile(
    r"(?<=\w)(?<!\bet)[,;]?\s+(?=(?:et aussi|et également|et egalement|et par ailleurs|par ailleurs|et sinon|et au passage|d['’]autre part"
    r"|ainsi que (?:comment|où|ou|quand|si)|et (?:comment|quand|combien|où|est[- ]ce qu|je voudrais|je voulais|j['’]aimerais"
    r"|pouvez[- ]vous|qui dois|que dois|quels?|quelles?))\b)",
    re.IGNORECASE,
)


def strip_message(message: str) -> str:
    """Drop what is not the request: quoted mail, headers, greeting, closing, signature, device line.

    Args:
        message: the pasted message, at most as long as the caller lets in.

    Returns:
        What is left, line breaks kept, other blanks as one space; the whole message when nothing would be.
    """
    lines: list[str] = []
    message = unicodedata.normalize("NFC", message)
    # Runs of blanks mean nothing, and the expressions below would go over them again and again.
    folded = [" ".join(raw.split()) for raw in message.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    for number, line in enumerate(folded):
        if not line and lines and not lines[-1]:
            continue
        is_forwarded = _FORWARDED.match(line) is not None
        if is_forwarded or _is_quoted(folded, number):
            written = len(" ".join(lines).split())
            # Who forwards a mail writes a few words over it, « Pour traitement, merci »: the request is below.
            if written <= _MAX_FORWARDING_WORDS and (is_forwarded or _FROM.match(line)):
                lines.clear()
            elif written:
                break
            continue
        if line.startswith(">") or _DEVICE.match(line) or _CONTACT_LINE.match(line) or _DROPPED_HEADER.match(line):
            continue
        lines.append(_HEADER.sub("", line))
    text = "\n".join(lines).strip()
    text = _without_closing(_without_greeting(text)).strip()
    return text if re.search(r"\w", text) else message.strip()


def segments(text: str) -> list[str]:
    """Cut a stripped message where a new request may begin: paragraphs, list items, "par ailleurs", one question after another.

    Returns:
        1 to ``MAX_SEGMENTS`` pieces in order, each of a few words at least; what is too short joins its neighbour.
    """
    pieces: list[str] = []
    previous_asks = False
    for line in re.split(r"\n\s*\n|\n(?=\s*(?:[-*•–]|\d{1,2}\s?[.)/-]|[a-d]\s?\))\s)", text):
        starts_block = True
        # The marker goes first: the dot of "1." would end a sentence.
        for sentence in _sentences(_BULLET.sub("", line)):
            for number, part in enumerate(_INNER_REQUEST.split(sentence)):
                asks = part.rstrip().endswith("?")
                if not pieces or starts_block or number or _NEW_REQUEST.match(part) or (previous_asks and asks):
                    pieces.append(part)
                else:
                    pieces[-1] += " " + part
                starts_block, previous_asks = False, asks
    return _merged(pieces) or [text]


def _is_quoted(lines: list[str], number: int) -> bool:
    """Tell whether an older mail begins at a line: « Le …, … a écrit : », which programs wrap, or the block that Outlook writes."""
    line, following = lines[number], lines[number + 1 : number + 3]
    if _FROM.match(line):
        return _ADDRESS.search(line) is not None or any(map(_SENT_TO.match, following))
    wrapped = f"{line} {following[0]}" if following and following[0].endswith(":") else line
    return _QUOTED.match(wrapped) is not None


def _without_greeting(text: str) -> str:
    for _ in range(2):  # "Bonjour," then "Monsieur le Maire,"
        stripped = _GREETING.sub("", text, count=1)
        if len(stripped.split()) < 2:
            return text
        text = stripped
    return text


def _without_closing(text: str) -> str:
    for match in _CLOSING.finditer(text):
        before, after = text[: match.start()].strip(), text[match.end() :]
        if len(before.split(maxsplit=2)) < 2:
            continue
        tail = after.strip()
        is_formal = match.group().strip().lower().startswith(("cordialement", "bien cordialement", "je vous prie", "veuillez agr"))
        # "Merci de votre aide" may open a letter: what follows a closing is dropped only when it looks like a signature.
        if is_formal or (len(tail.split(maxsplit=15)) <= 14 and not _asks_on(after)):
            postscript = _POSTSCRIPT.search(after)
            return before + (f"\n\n{after[postscript.end() :].strip()}" if postscript else "")
    return text


def _asks_on(after: str) -> bool:
    return _GOES_ON.match(after) is not None or "?" in _POSTSCRIPT.split(after, maxsplit=1)[0]


def _sentences(block: str) -> list[str]:
    found: list[str] = []
    for piece in _SENTENCE_END.split(block):
        if not piece.strip():
            continue
        if found and (_ABBREVIATION.search(found[-1][-12:]) or not re.search(r"\w", piece)):
            found[-1] += " " + piece.strip()
        else:
            found.append(piece.strip())
    return found


def _is_scrap(piece: str) -> bool:
    return len(piece.split()) < _MIN_SEGMENT_WORDS or not re.search(r"\w", piece)


def _merged(pieces: list[str]) -> list[str]:
    """Join the pieces that are too short to mean anything with a neighbour, then the rest down to ``MAX_SEGMENTS``."""
    merged: list[str] = []
    for piece in (piece.strip() for piece in pieces):
        if not piece:
            continue
        if merged and (_is_scrap(piece) or _is_scrap(merged[-1])):
            merged[-1] += " " + piece
        else:
            merged.append(piece)
    while len(merged) > 8 * MAX_SEGMENTS:  # a list of scraps: halve it at once, for the loop below takes the square of its length
        merged = [" ".join(merged[position : position + 2]) for position in range(0, len(merged), 2)]
    while len(merged) > MAX_SEGMENTS:
        shortest = min(range(len(merged) - 1), key=lambda position: len(merged[position]) + len(merged[position + 1]))
        merged[shortest : shortest + 2] = [f"{merged[shortest]} {merged[shortest + 1]}"]
    return merged
