"""Misspelt words of a message → the words that its writer meant, taken from the collection.

A word is repaired when it is neither French nor in the collection and one of the collection's words has almost the same letters:
"déchèterrie", "recensemant". Vectors and keywords then both see the word. Nothing of a message is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from search import text

# One folded word a line: those of well-written training texts, from `scripts.train_model`. A known word is never "repaired".
FRENCH_WORDS = Path(__file__).with_name("french_words.txt")
MIN_LETTERS = 5
# How much of their letter pairs and triples two spellings must share (Dice), tuned on disturbed messages of the development split.
MIN_SHARED = 0.6
# "baguette" is no way to write "bague".
MAX_LENGTH_CHANGE = 2

_WORD = re.compile(r"[^\W\d_]+")
_CODE_BASE = 64  # letters fit in 6 bits: a pair or a triple of them is one small number
_MAX_LETTERS = 30


class Speller:
    """Repairs words towards those of a collection.

    Args:
        words: the words that a repair may lead to, in any case and with or without accents.
        knows: whether the collection holds a stem; a word whose stem it holds is not misspelt.
    """

    def __init__(self, words: Iterable[str], knows: Callable[[str], bool] = lambda _: False) -> None:
        self._knows = knows
        folded = {text.fold(word) for word in words}
        self._known = french_words() | folded
        self._words = sorted(word for word in folded if MIN_LETTERS - 1 <= len(word) <= _MAX_LETTERS and word.isalpha())

    def repairs(self, message: str) -> dict[str, str]:
        """Map each misspelt word of a message, as it is written, to the word of the collection that was meant, folded."""
        found: dict[str, str] = {}
        for written in dict.fromkeys(_WORD.findall(message)):
            word = text.fold(written)
            # "Blanchot" is a name, not a way to write "blanche".
            is_name = written[0].isupper() and not written.isupper()
            if is_name or not MIN_LETTERS <= len(word) <= _MAX_LETTERS:
                continue
            if word not in self._known and not self._knows(text.stem(word)):
                meant = self._nearest(word)
                if meant:
                    found[written] = meant
        return found

    def _nearest(self, word: str) -> str | None:
        """The word that shares the most letter pairs and triples, when that is enough."""
        if not self._words:
            return None
        codes = np.unique(_codes(_letters([word]))[1])
        matrix, sizes = self._grams
        shared = np.bincount(
            np.concatenate([matrix.indices[matrix.indptr[code] : matrix.indptr[code + 1]] for code in codes]), minlength=len(self._words)
        )
        # The first letter is rarely wrong, but "larret" and "denfant" lack an apostrophe.
        plausible = (self._initials == ord(word[0])) | (self._initials == ord(word[1]))
        plausible &= np.abs(self._lengths - len(word)) <= MAX_LENGTH_CHANGE
        dice = np.where(plausible, 2 * shared / (len(codes) + sizes), 0.0)
        best = int(np.argmax(dice))
        return self._words[best] if dice[best] >= MIN_SHARED else None

    @cached_property
    def _grams(self) -> tuple[sparse.csr_matrix, npt.NDArray[np.int64]]:
        """Which words hold a letter pair or triple, of shape (codes, words), and how many different ones each word has."""
        words, codes = _codes(_letters(self._words))
        matrix = sparse.csr_matrix((np.ones(len(codes), dtype=np.int8), (codes, words)), shape=(_CODE_BASE**3, len(self._words)))
        matrix.sum_duplicates()
        return matrix, np.bincount(matrix.indices, minlength=len(self._words))

    @cached_property
    def _initials(self) -> npt.NDArray[np.uint32]:
        return np.array([ord(word[0]) for word in self._words], dtype=np.uint32)

    @cached_property
    def _lengths(self) -> npt.NDArray[np.int64]:
        return np.array([len(word) for word in self._words], dtype=np.int64)

    def warm_up(self) -> None:
        """Build what the first misspelt word needs, so that no message waits for it."""
        if self._words:
            _ = self._grams, self._initials, self._lengths


def apply(repairs: dict[str, str], message: str) -> str:
    """Write a message with its repairs."""
    return _WORD.sub(lambda match: repairs.get(match.group(), match.group()), message) if repairs else message


@lru_cache(maxsize=1)
def french_words() -> frozenset[str]:
    """The words that are never repaired, folded."""
    return frozenset(FRENCH_WORDS.read_text(encoding="utf-8").split())


def _letters(words: list[str]) -> npt.NDArray[np.int64]:
    """Lay words out as small numbers, one row a word, between marks of their ends and padded with 0."""
    width = max(map(len, words)) + 2
    joined = "".join(f"`{word}`".ljust(width, "\0") for word in words)
    letters = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32).reshape(len(words), width).astype(np.int64)
    # "`" is 1, a to z follow; what is not Latin shares the numbers that are left.
    return np.where(letters == 0, 0, np.where((letters >= 96) & (letters <= 122), letters - 95, 28 + letters % 36))


def _codes(letters: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """List the (word, code of a pair or triple) of rows of letters, as two parallel arrays."""
    pairs = letters[:, :-1] * _CODE_BASE + letters[:, 1:]
    pairs[letters[:, 1:] == 0] = -1
    triples = (letters[:, :-2] * _CODE_BASE + letters[:, 1:-1]) * _CODE_BASE + letters[:, 2:]
    triples[letters[:, 2:] == 0] = -1
    codes = np.concatenate([pairs, triples], axis=1)
    words, columns = np.nonzero(codes > 0)
    return words, codes[words, columns]


__all__ = ["Speller", "apply", "french_words"]
