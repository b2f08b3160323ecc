"""What looks like personal data in a message, replaced by what it was. Patterns only; nothing is kept.

Guarantees: the time is linear in the text; masking a masked text changes nothing. It is a help to the agent, who reads the result before
it is sent: it finds what has a known form or is announced as such, not everything that could tell who somebody is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

EMAIL = "adresse e-mail"
PHONE = "téléphone"
SOCIAL_SECURITY = "numéro de sécurité sociale"
IBAN = "IBAN"
CARD = "carte bancaire"
PLATE = "plaque"
DATE = "date"
ADDRESS = "adresse"
NAME = "nom"
NUMBER = "numéro"
LINK = "lien"
ACCOUNT = "compte"

_MARK = re.compile(
    r"\[(?:" + "|".join((EMAIL, PHONE, SOCIAL_SECURITY, IBAN, CARD, PLATE, DATE, ADDRESS, NAME, NUMBER, LINK, ACCOUNT)) + r")\]"
)

# A replacement may bring two words together; a few passes always settle it.
_MAX_PASSES = 8


@dataclass(frozen=True)
class Masked:
    """A text without what looks like personal data; the kinds that were found, each once, sorted; what was found, with its kind."""

    text: str
    kinds: tuple[str, ...]
    found: tuple[tuple[str, str], ...] = ()


def mask(text: str, but: Collection[str] = ()) -> Masked:
    """Replace what looks like personal data in a French message by its kind in square brackets: « [téléphone] ».

    Args:
        text: the message.
        but: kinds that stay as they are.
    """
    rules = [rule for rule in _RULES if rule.kind not in but]
    found: dict[str, str] = {}
    for _ in range(_MAX_PASSES):
        before = text
        # An ordinary link has numbers and words of its own, which are nobody's.
        parts = _URL.split(text)
        if LINK not in but:
            parts[1::2] = [_masked_link(url, found) for url in parts[1::2]]
        parts[0::2] = [_masked(part, rules, found) for part in parts[0::2]]
        text = "".join(parts)
        if text == before:
            break
    return Masked(text, tuple(sorted(set(found.values()))), tuple(found.items()))


def without_marks(text: str) -> str:
    """Take the marks out of a masked text: what is left speaks of the subject alone."""
    return _MARK.sub(" ", text)


def _masked(text: str, rules: Sequence[_Rule], found: dict[str, str]) -> str:
    for rule in rules:
        text = rule.apply(text, found)
    return text


@dataclass(frozen=True)
class _Rule:
    """A pattern whose group ``x`` is masked where ``accepts`` holds."""

    kind: str
    pattern: re.Pattern[str]
    accepts: Callable[[re.Match[str]], bool] = lambda _: True

    def apply(self, text: str, found: dict[str, str]) -> str:
        def replacement(match: re.Match[str]) -> str:
            if not self.accepts(match):
                return match.group()
            found.setdefault(match.group("x"), self.kind)
            start, end = (offset - match.start() for offset in match.span("x"))
            return f"{match.group()[:start]}[{self.kind}]{match.group()[end:]}"

        return self.pattern.sub(replacement, text)


def _compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(pattern, re.VERBOSE | flags)


# Links.

_URL = re.compile(r"((?:https?://|www\.)[^\s<>\"«»]{1,2000}+)", re.IGNORECASE)
_TOKEN_IN_LINK = re.compile(
    r"[?&#;][^=\s]{1,60}=|[^/\s]@|[0-9a-f]{8}-[0-9a-f]{4}-|(?<![A-Za-z0-9_])(?=[A-Za-z_]*\d)(?=[0-9_]*[A-Za-z])[A-Za-z0-9_]{16,}|\d{6}",
)
# The identifiers of a law are long, and public.
_PUBLIC_LINK = re.compile(r"https?://(?:www\.)?(?:legifrance\.gouv\.fr|service-public\.(?:gouv\.)?fr)/", re.IGNORECASE)


def _masked_link(url: str, found: dict[str, str]) -> str:
    if _PUBLIC_LINK.match(url) or not _TOKEN_IN_LINK.search(url):
        return url
    found.setdefault(url, LINK)
    end = re.search(r"[.,;:!?)\]]{0,5}\Z", url)
    return f"[{LINK}]{end.group() if end else ''}"


# Numbers that can be checked.


def _is_iban(match: re.Match[str]) -> bool:
    value = re.sub(r"[^A-Z0-9]", "", match.group("x").upper())
    if value.startswith("FR"):
        return len(value) >= 23
    return 15 <= len(value) <= 34 and int("".join(str(int(character, 36)) for character in value[4:] + value[:4])) % 97 == 1


def _is_card(match: re.Match[str]) -> bool:
    digits = [int(character) for character in match.group("x") if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1


def _is_social_security(match: re.Match[str]) -> bool:
    value = re.sub(r"[^0-9A-Z]", "", match.group("x").upper())
    if len(value) == 13:
        return True
    corsican = {"A": 1_000_000, "B": 2_000_000}.get(value[6], 0)
    number = int(re.sub(r"[AB]", "0", value[:13])) - corsican
    return int(value[13:]) == 97 - number % 97 or not _is_card(match)


# Words.


def _any(words: str) -> str:
    """Match any of some words, with or without their accents; an underscore is a space."""
    pattern = "|".join(words.split()).replace("œ", "(?:œ|oe)").replace("_", "[ ]")
    return f"(?:{re.sub('[éèêëâàîïôûç]', lambda match: f'[{match.group()}{_BARE[match.group()]}]', pattern)})"


_BARE = dict(zip("éèêëâàîïôûç", "eeeeaaiiouc", strict=True))
_UPPER = "A-ZÀ-ÖØ-ÞŒ"
_S = r"[ \t\u00a0\u202f]"
_WORD = r"[^\W\d_]{2,30}(?:['’-][^\W\d_]{1,30}){0,3}"
_CAPITALISED = rf"(?:(?=[{_UPPER}]){_WORD}|(?=[{_UPPER}])[^\W\d_]\.)"
_PARTICLE = rf"(?:(?:de|du|des|le|la|van|von|ben|el|da|di){_S}|d['’])"
_FULL_NAME = rf"{_CAPITALISED}(?:{_S}{_PARTICLE}{{0,2}}{_CAPITALISED}){{0,3}}"
_FULL_NAME_ANY_CASE = rf"{_WORD}(?:{_S}{_WORD}){{0,2}}"
_MONTHS = _any("janvier février mars avril mai juin juillet août septembre octobre novembre décembre janv févr? sept? oct nov déc") + r"\.?"
_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_NUMERIC_DATE = rf"(?:{_DAY}(?:[/-]{_MONTH}[/-](?:{_YEAR}|\d\d)|\.{_MONTH}\.{_YEAR})|{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))"

# Capitals that open a sentence or a form of address, and words that follow a name.
_NOT_A_NAME = frozenset(
    """
    a adjoint adjointe afin agent ai alias allo alors amicalement apres après as assez association au aucun aucune aussi autre aux
    avec avez bien bonjour bonne bonsoir ce cela ces cette changé chez ci comme comment composé concernant conseiller conseillère
    cordialement d dans de depuis des deux différent directeur directrice docteur domicilié domiciliée donc du député députée ecri
    ecrit elle elles en encore enseigne erroné est et eu eux excusez facteur faire fait famille faut faux gardien habitant habitante
    habite il illisible ils incorrect inscrit inscrite j' j'ai j'habite jamais je journée l la le les leur long lui ma madame
    mademoiselle maire mairie mais mal mariée maître me merci mes mesdames messieurs ministre mon monsieur ne non nos notre nous né
    née on ont orthographié ou oui où par parce pas pendant pour pourquoi pouvez préfet président présidente puis quand que quel
    quelle qui quoi rien s'il sa salut salutations sans se sera service ses si soirée son sont sous suis suite sur svp sénateur ta
    te tes ton toujours tous tout toute trop très tu un une vers veuillez veut veux viens voici voilà vos votre voudrais voulais
    vous y ça écrit élu élue étais été être
    """.split()  # noqa: SIM905
)
_NO_NAME_HERE = rf"(?!(?:{'|'.join(sorted(map(re.escape, _NOT_A_NAME)))})\b|[jlcnsdm]['’])"


def _is_name(match: re.Match[str]) -> bool:
    words = re.split(r"[ \t\u00a0\u202f]+", match.group("x"))
    if words[0] in ("de", "du"):
        return True
    return words[0].casefold() not in _NOT_A_NAME and not _is_short_acronym(words[0])


def _is_short_acronym(word: str) -> bool:
    # « mon fils TSA », « ma fille CP »
    return word.isupper() and len(word) <= 4 and "." not in word


def _is_lower_name(match: re.Match[str]) -> bool:
    return all(word.casefold() not in _NOT_A_NAME for word in match.group("x").split())


_STREET = _any(
    "rue avenue ave?\\.? boulevard b(?:l?v)?d\\.? chemin ch\\. impasse imp\\. allées? quai square ruelle sentier venelle faubourg"
    " lotissement chaussée esplanade rond-point lieu-?dit hameau"
)
# « 1 place de crèche » is no address: after these the name must have a capital.
_STREET_OR_NOT = _any(
    "place pl\\. cours passage cité résidence villa clos mail route rte promenade parvis montée domaine bâtiment bât\\.? tour"
)
_LINKS = rf"(?:(?:de|du|des|la|le|les|et|aux?|à|sur|saint|sainte|st|ste|docteur|dr|général|maréchal|président){_S}{{1,2}}|[dl]['’]){{0,4}}"
_STREET_NAME = rf"""
    (?i:{_LINKS})
    (?: (?=[{_UPPER}]) {_WORD} (?:[ \u00a0-](?:(?:de|du|des|la|le|les|et)[ \u00a0]){{0,2}}{_CAPITALISED}){{0,4}}
      | \d{{1,2}}{_S}{_WORD}(?:{_S}\d{{4}})?
      | {_WORD} (?:{_S}{_WORD}(?={_S}{{0,3}}(?:[,.;:!?\n\r)]|$|(?i:à|a){_S}|\d{{5}}\b)))?
    )"""
_CAPITAL_STREET_NAME = (
    rf"(?i:{_LINKS})(?=[{_UPPER}]){_WORD}(?:[ \u00a0-](?:(?:de|du|des|la|le|les|et)[ \u00a0]){{0,2}}{_CAPITALISED}){{0,4}}"
)
_TOWN = rf"(?:[\s,–-]{{1,4}}\d{{5}}(?!\d)(?:{_S}{{1,2}}{_WORD}(?:[ -]{_CAPITALISED}){{0,4}})?)?"

_CLOSING = _any(
    "(?:bien_|très_)?(?:cordialement|respectueusement|sincèrement|amicalement) cdlt cdt bien_à_vous salutations(?:_distinguées)?"
    " bonne_(?:journée|soirée) merci(?:_(?:d['’]avance|beaucoup|bien|à_vous))? dans_l['’]attente_de_votre_réponse"
)
_RELATIVE = _any(
    "fils filles? enfants? garçons? bébé jumeaux jumelles ex-mari ex-femme mari femme époux épouse conjointe? compagnon compagne père"
    " mère frères? sœurs? grand-?_?père grand-?_?mère beau-père belle-mère oncle tante cousine? neveu nièce voisine?s? amie? copain"
    " copine collègue propriétaire locataire maman papa papi mamie tuteur tutrice"
)
_KIN = rf"(?:petite?s?[ -])?{_RELATIVE}(?:[ ]{_any('aînée? cadette? unique')})?"
# After « c'est », these begin the name of a place, an office or a day.
_NOBODY = _any(
    "mairie ville métropole commune communauté pôle france caisse agence service centre maison office saint sainte place rue avenue école"
    " collège lycée crèche hôpital clinique police stade parc piscine médiathèque bibliothèque musée gare pâques toussaint pentecôte"
)
_FILE = _any(
    "dossiers? références? réf\\.? identifiants? allocataires? fiscale? matricule contrat facture client abonnée? adhérent usager compteur"
    " pdl prm siret siren télédéclaration avis amende contravention pv passeport permis titre_de_séjour carte_d['’]identité cni suivi"
)
_INTRODUCTION = rf"je{_S}m['’ ]?(?:ap+el+e?s?|nomme)|je{_S}me{_S}nomme|mon{_S}(?:pr[ée])?nom{_S}(?:de{_S}famille{_S})?(?:est|c['’]est|:)"
# Up to the name that is alone on the line after.
_SIGNED = rf"(?:{_CLOSING})[ \t]{{0,3}}[,.!;]?[ \t]{{0,3}}(?:\r?\n[ \t]{{0,8}}){{1,3}}"

_RULES: tuple[_Rule, ...] = (
    _Rule(
        EMAIL,
        _compiled(
            r"""(?<![\w.+-])(?P<x>[\w.+-]{1,64}
                (?:@|[ ]@[ ]|[ ]?[(\[][ ]?(?:at|arobase|@)[ ]?[)\]][ ]?|[ ]arobase[ ])
                [\w-]{1,63}(?:(?:\.|[ ]point[ ])[\w-]{1,63}){1,6})""",
            re.IGNORECASE,
        ),
    ),
    _Rule(ACCOUNT, _compiled(r"(?<![\w.@])(?P<x>@[A-Za-z_][\w.]{1,29}\w)")),
    _Rule(
        ACCOUNT,
        _compiled(
            r"\b(?:insta(?:gram)?|snap(?:chat)?|twitter|tiktok|messenger|facebook|fb)[ ]?:[ ]?(?P<x>[A-Za-z_][\w.-]{2,39})", re.IGNORECASE
        ),
    ),
    _Rule(
        IBAN,
        _compiled(r"(?<!\w)(?P<x>(?:[A-Z]{2}|[Ff][Rr])\d{2}(?:[ \u00a0.-]?[A-Z0-9]{4}){2,7}(?:[ \u00a0.-]?[A-Z0-9]{1,3})?)(?!\w)"),
        _is_iban,
    ),
    _Rule(
        SOCIAL_SECURITY,
        _compiled(
            r"""(?<!\w)(?P<x>[1-478][ .-]?\d\d[ .-]?(?:0[1-9]|1[0-2]|[2-9]\d)[ .-]?(?:\d\d|2[ABab])[ .-]?\d{3}[ .-]?\d{3}
                (?:[ ./-]{0,3}\d\d)?)(?!\w)"""
        ),
        _is_social_security,
    ),
    _Rule(CARD, _compiled(r"(?<!\w)(?P<x>(?:\d{4}[ .-]?){3}\d{4}(?:[ .-]?\d{3})?|\d{4}[ .-]?\d{6}[ .-]?\d{5}|\d{13,19})(?!\w)"), _is_card),
    _Rule(
        PHONE,
        # Numbers in 08 and short ones are public.
        _compiled(
            r"""(?<![\w+])(?P<x>(?:(?:\+|00)[ ]?33[ .-]?(?:\(0\)[ ]?)?|0[ .-]?)[1-79](?:[ ./\u00a0\u202f-]{0,2}\d){8}
                | \+(?!33)[1-9]\d{0,2}(?:[ .-]?\d{2,4}){3,5})(?!\w)"""
        ),
    ),
    _Rule(DATE, _compiled(rf"(?<![\w/.-])(?P<x>{_NUMERIC_DATE})(?![\w/-])")),
    _Rule(
        DATE,
        _compiled(
            rf"""\b(?:n[ée](?:e|\(e\)|·e)?s?{_S}{{1,2}}le|naissance{_S}{{0,2}}(?:le|est{_S}le|:|est)?|anniversaire{_S}{{0,2}}(?:le|:)){_S}{{0,2}}
                (?P<x>\d{{1,2}}(?:er)?{_S}{{1,2}}{_MONTHS}{_S}{{1,2}}(?:(?:19|20)\d\d|\d\d)\b|\d{{1,2}}[ ]\d{{1,2}}[ ](?:19|20)?\d\d\b)""",
            re.IGNORECASE,
        ),
    ),
    _Rule(
        ADDRESS,
        _compiled(
            rf"""(?<![\w€])(?P<x>\d{{1,4}}(?:{_S}?(?i:bis|ter|quater)\b|[ ]?[A-Da-d]\b)?{_S}{{0,2}},?{_S}{{1,2}}
                (?:(?i:{_STREET}){_S}{{1,2}}{_STREET_NAME}|(?i:{_STREET_OR_NOT}){_S}{{1,2}}{_CAPITAL_STREET_NAME}){_TOWN})"""
        ),
    ),
    _Rule(
        ADDRESS,
        _compiled(
            rf"""(?i:\b(?:habit\w{{1,5}}|demeurant|demeure|domicili[ée]e?s?|r[ée]sid(?:e|ant|ons)|adresse{_S}{{0,2}}:|mon{_S}adresse{_S}est)){_S}{{1,2}}
                (?:(?i:au|à|dans|la|le|l['’]){_S}{{1,2}}){{0,2}}
                (?P<x>(?:(?i:{_STREET})|(?i:{_STREET_OR_NOT})){_S}{{1,2}}{_CAPITAL_STREET_NAME}{_TOWN})"""
        ),
    ),
    _Rule(
        PLATE,
        _compiled(
            r"""(?<![\w-])(?P<x>[A-HJ-NP-TV-Z]{2}[ -]?\d{3}[ -]?[A-HJ-NP-TV-Z]{2}
                | (?i:[a-hj-np-tv-z]{2}-\d{3}-[a-hj-np-tv-z]{2})
                | \d{2,4}[ -][A-Z]{2,3}[ -](?:\d\d|2[AB]))(?![\w-])"""
        ),
    ),
    # Numbers that are announced, or long.
    _Rule(
        NUMBER,
        _compiled(
            rf"""\b{_FILE}{_S}{{0,2}}(?:fiscal\b{_S}{{0,2}})?(?:(?:n[°ºo]|num[ée]ro|num\.?|:|est{_S}le|est|\#|d['’]identifiant|porte{_S}le){_S}{{0,2}}){{0,3}}
                (?P<x>(?=[^\W_]{{0,12}}[./-]?[^\W_]{{0,12}}\d)[A-Z0-9][A-Z0-9/._-]{{3,29}}[A-Z0-9]
                    |\d{{1,6}}(?:[ .]\d{{2,6}}){{2,6}}|\d{{4,}})(?!\w)""",
            re.IGNORECASE,
        ),
        lambda match: _is_reference(match.group("x")),
    ),
    _Rule(
        NUMBER,
        _compiled(
            rf"""\b(?:mon|son|notre|votre|ma|le){_S}(?:num[ée]ro|n[°º]){_S}
                (?:fiscal|d['’]allocataire|allocataire|caf|de{_S}[a-zé]{{3,12}}|d['’][a-zé]{{3,14}}){_S}{{0,2}}
                (?:(?:est|:|c['’]est|le){_S}{{1,2}}){{0,2}}(?P<x>\d[\d .]{{3,25}}\d|[A-Z0-9][A-Z0-9/._-]{{5,29}})(?!\w)""",
            re.IGNORECASE,
        ),
        lambda match: _is_reference(match.group("x")),
    ),
    _Rule(NUMBER, _compiled(r"(?<![\w-])(?P<x>[A-Z]{1,8}[-/_](?:\d{2,4}[-/_])?\d{4,12})(?![\w-])")),
    _Rule(
        NUMBER,
        _compiled(r"(?<![\w-])(?P<x>(?=[A-Z]{0,20}\d)(?=[A-Z0-9]{0,20}[A-Z][A-Z0-9]{0,20}[A-Z])[A-Z0-9]{8,21})(?![\w*-])"),
    ),
    _Rule(
        NUMBER,
        _compiled(
            r"(?<![\w.,-])(?P<x>\d{6,30})(?!\w)(?![.,]\d)(?!\s?(?:€|euros?\b|habitants?\b|m²|m2\b|km|kwh|litres?\b|%))", re.IGNORECASE
        ),
    ),
    # Names.
    _Rule(
        NAME,
        _compiled(
            rf"""\b(?:M\.|MM\.|[Mm]r\.?|[Mm]mes?\.?|MME|[Mm]lles?\.?|(?i:monsieur|madame|mademoiselle|maître|docteur)|Dr\.?|Pr\.){_S}{{1,2}}
                (?:(?i:et){_S}(?:M\.|Mme|Madame|Monsieur){_S})?(?P<x>(?:d[eu]{_S})?{_FULL_NAME})"""
        ),
        _is_name,
    ),
    _Rule(
        NAME,
        _compiled(
            rf"""(?i:\b(?:{_INTRODUCTION}|moi{_S}c['’ ]?est
                |(?<!\w)(?:nom|pr[ée]nom)s?(?:{_S}(?:de{_S}famille|et{_S}pr[ée]noms?|de{_S}naissance))?{_S}?:
                |(?:s['’]appelle|pr[ée]nomm[ée]e?|nomm[ée]e?|se{_S}nomme))){_S}{{1,2}}(?P<x>{_FULL_NAME})"""
        ),
        _is_name,
    ),
    # Two capitals where people say who they are: at the start, or after a greeting.
    _Rule(
        NAME,
        _compiled(
            rf"""(?:^|[.!?\r\n]|\b(?i:bonjour|bonsoir|bjr|bsr|salut|slt|coucou|all[oô]))[\s,.!-]{{0,4}}\b(?i:ici|c['’ ]?est){_S}{{1,2}}
                (?P<x>(?!(?i:{_NOBODY})\b){_CAPITALISED}(?:{_S}{_PARTICLE}{{0,2}}{_CAPITALISED}){{1,3}})"""
        ),
        _is_name,
    ),
    _Rule(
        NAME,
        _compiled(
            rf"""\b(?:{_INTRODUCTION}){_S}{{1,2}}
                (?P<x>{_NO_NAME_HERE}[^\W\d_][\w'’-]{{1,30}}(?:{_S}{_NO_NAME_HERE}[^\W\d_][\w'’-]{{1,30}}){{0,2}})""",
            re.IGNORECASE,
        ),
    ),
    _Rule(
        NAME,
        _compiled(
            rf"""(?i:\b(?:mon|ma|mes|notre|nos|son|sa|ses|leurs?|votre|vos|un|une|le|la|les){_S}{_KIN}){_S}?,?{_S}{{1,2}}
                (?P<x>{_FULL_NAME}(?:(?:,{_S}?|{_S}et{_S}){_CAPITALISED}){{0,5}})"""
        ),
        _is_name,
    ),
    _Rule(
        NAME,
        _compiled(rf"(?i:\b(?:{_CLOSING}))[ \t]{{0,3}}[,.!;:–-]?[ \t]{{1,3}}(?P<x>{_FULL_NAME})(?=[ \t.]{{0,3}}(?:[\r\n]|\Z))"),
        _is_name,
    ),
    _Rule(
        NAME,
        _compiled(rf"""(?i:\b{_SIGNED})(?P<x>{_FULL_NAME})(?=[ \t.,]{{0,3}}(?:[\r\n]|\Z))"""),
        _is_name,
    ),
    _Rule(
        NAME,
        _compiled(
            rf"""\b{_SIGNED}(?P<x>{_FULL_NAME_ANY_CASE})(?=[ \t.]{{0,3}}\s{{0,5}}\Z)""",
            re.IGNORECASE,
        ),
        _is_lower_name,
    ),
    # A last line that is a first name and a NAME.
    _Rule(
        NAME,
        _compiled(rf"(?:\r?\n)[ \t]{{0,8}}(?P<x>{_CAPITALISED}{_S}[{_UPPER}]{{2,30}}(?:[ -][{_UPPER}]{{2,30}})?)(?=\s{{0,5}}\Z)"),
        _is_name,
    ),
)


def _is_reference(text: str) -> bool:
    """Tell a file's number from a year or a word: four digits, or a few among letters."""
    digits = sum(character.isdigit() for character in text)
    if re.fullmatch(r"(?:19|20)\d\d", text) or re.fullmatch(_NUMERIC_DATE, text):
        return False
    return digits >= 4 or (digits >= 2 and len(text) >= 6 and not re.search(r"[-/_.]\D{3,}", text))
