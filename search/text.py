"""Plain words from Markdown, and the one analysis of French words that the index and the queries share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from whoosh.analysis import Analyzer, CharsetFilter, LowercaseFilter, RegexTokenizer, StopFilter
from whoosh.analysis.filters import Filter
from whoosh.lang.snowball.french import FrenchStemmer

from kb.article import WIKI_LINK

# Possessive or bounded: a page of brackets or blanks is read in linear time.
_PLACEHOLDER = re.compile(r"\{\{(?:[^{}]|\{(?!\{)|\}(?!\}))*+\}\}|\{%(?:[^{%]|\{(?!%)|%(?!\}))*+%\}")
_HTML_TAG = re.compile(r"</?[a-zA-Z!][^<>]{0,500}>")
_LINK = re.compile(r"!?\[([^\[\]\n]*+)\]\([^)\n]{0,1000}+\)")
_SYNTAX = re.compile(r"^[ \t]*(?:#{1,6}|[-*+>]|\d+[.)])[ \t]+|[*_`|~]{1,3}", re.MULTILINE)
_SPACES = re.compile(r"[^\S\n]+")
_BLANKS = re.compile(r"\s*\n\s*")

# Words of French that say nothing of the subject, accents folded. "pas" and "non" stay out of the list: "poubelle pas ramassée".
STOP_WORDS = frozenset(  # a list of strings would take a page
    """ai aie aient ait alors apres as au aucun aujourd auquel aurai aurait aussi autre autres aux avais avait avant avec avez avoir avons
    bonjour bonsoir car ca ce ceci cela celle celui cependant ces cet cette ceux chez ci comme comment cordialement d dans de deja depuis
    des desormais deux devant dire dis dit dois doit doivent donc dont du durant elle elles en encore entre es est et etaient etait etant
    etes etre eu eux fait faire fais faut fois font ici il ils j jai jamais je jusqu jusque l la laquelle le lequel les lesquels leur leurs
    lors lorsque lui m ma madame mais me meme memes merci mes mettre moi moins mon monsieur n ne ni nos notre nous on ont ou par parce
    parmi pendant peu peut peuvent peux plus plutot pour pourquoi pourrais pourrait pourriez puis puisque qu quand que quel quelle
    quelles quelque quelques quels qui quoi s sa sais sans savoir se sera serait ses si sinon soi soient sois soit sommes son sont sous
    suis sur t ta tant te tes toi ton toujours tous tout toute toutes tres trop tu un une va vais vers veut veux via voici voila voir vos
    votre voudrais voulais vouloir vous y bjr slt svp stp mr mme""".split()  # noqa: SIM905
)


class FrenchStemFilter(Filter):  # type: ignore[misc]  # whoosh ships no types
    """Stems tokens with Snowball's French stemmer, accents already folded, so that "renouvelée" and "renouvelee" meet."""

    def __call__(self, tokens):  # type: ignore[no-untyped-def]
        for token in tokens:
            if token.mode == "index":
                learn((token.text,))
            token.text = stem(token.text)
            yield token


_stemmer = FrenchStemmer()
# Stemming is slow: the stems of the content's words are kept, those of a citizen's message never are.
_stems: dict[str, str] = {}


def stem(word: str) -> str:
    """Stem one lower-case, accent-free French word; a word with a digit stays as it is."""
    known = _stems.get(word)
    return _stemmed(word) if known is None else known


def learn(words: Iterable[str]) -> None:
    """Keep the stems of folded words of the content."""
    for word in words:
        if word not in _stems:
            _stems[word] = _stemmed(word)


def _stemmed(word: str) -> str:
    return word if any(character.isdigit() for character in word) else str(_stemmer.stem(word))


def fold(text: str) -> str:
    """Lower-case a text and drop its accents; ligatures become two letters."""
    lowered = text.lower().replace("œ", "oe").replace("æ", "ae").replace("’", "'")
    return "".join(character for character in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(character))


# Accents that are characters of their own, as macOS and PDF write them: "é" in two code points.
_ACCENTS = range(0x300, 0x370)
_FOLDED = {
    code: "".join(filter(str.isalnum, fold(chr(code)))) for code in range(0xC0, 0x250) if fold(chr(code)) != chr(code)
} | dict.fromkeys(_ACCENTS, "") | {0x2019: "'"}  # fmt: skip
_TOKEN = rf"\w[\w{chr(_ACCENTS[0])}-{chr(_ACCENTS[-1])}]*"


def analyzer() -> Analyzer:
    """Build the analysis: words → lower case → accents folded → stop words out → French stems."""
    return (
        RegexTokenizer(_TOKEN)
        | LowercaseFilter()
        | CharsetFilter(_FOLDED)
        | StopFilter(stoplist=STOP_WORDS, minsize=2)
        | FrenchStemFilter()
    )


def word_analyzer() -> Analyzer:
    """Build the analysis that keeps whole words, accents and all, for spelling suggestions."""
    return RegexTokenizer(r"\w+") | LowercaseFilter() | StopFilter(stoplist=STOP_WORDS, minsize=4)


_WORD = re.compile(r"\w+")


def terms(text: str, *, is_content: bool = False) -> list[str]:
    """List the terms of a text in order, exactly as ``analyzer`` makes them, without its token objects.

    Args:
        text: any text.
        is_content: the text is of an article: the stems of its words may be kept.
    """
    found = words(text)
    if is_content:
        learn(found)
    return [stem(word) for word in found]


def words(text: str) -> list[str]:
    """List the words of a text that ``terms`` stems, in order: lower case, accents folded, stop words out."""
    return [word for word in _WORD.findall(_folded_like_analyzer(text)) if len(word) >= 2 and word not in STOP_WORDS]


def _folded_like_analyzer(text: str) -> str:
    return text.lower().translate(_FOLDED)


def plain(markdown: str) -> str:
    """Take the words out of Markdown, fast and roughly: for indexing and previews, never for a reply."""
    text = _PLACEHOLDER.sub(" ", markdown)
    text = WIKI_LINK.sub(lambda match: match.group(2) or match.group(1).replace("-", " "), text)
    text = _SYNTAX.sub("", _LINK.sub(r"\1", _HTML_TAG.sub(" ", text)))
    return _BLANKS.sub("\n", _SPACES.sub(" ", text)).strip()
