"""Whoosh behind one door: the keyword index of the article search, with its query language, facets and suggestions.

No other module imports ``whoosh`` but ``text``, which defines the analysis (docs/adr/0002).
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from whoosh import index as whoosh_index
from whoosh import scoring, sorting
from whoosh.fields import ID, KEYWORD, TEXT, Schema
from whoosh.highlight import ContextFragmenter, Formatter, WholeFragmenter, highlight
from whoosh.qparser import FuzzyTermPlugin, MultifieldParser, OrGroup, PhrasePlugin
from whoosh.query import AndNot, Every, Not, NullQuery, Query, Term
from whoosh.query import Or as AnyOf

from search import text
from search.errors import QueryError
from search.passages import KEYWORD_BOOSTS, KeywordFields
from search.term_scores import K1, B

MAX_QUERY_CHARS = 200
_WRITER_MEMORY_MB = 128
# Whoosh takes any distance, and a minute over "passeport~99": beyond 2 the digits say nothing.
_FUZZY = r"(?<=\S)~(?P<maxdist>[12](?![0-9]))?[0-9]*(?:/(?P<prefix>[1-9][0-9]*))?"


@dataclass(frozen=True)
class KeywordDocument:
    """What is indexed of one article."""

    slug: str
    service: str
    audience: str
    tags: tuple[str, ...]
    fields: KeywordFields


@dataclass(frozen=True)
class KeywordHits:
    """One page of results of the article search.

    ``slugs`` are best first; ``total`` counts all results; ``services`` and ``tags`` count them by facet, most first; ``suggestion`` is
    a corrected query when nothing was found; ``terms`` are the stems to highlight.
    """

    slugs: tuple[str, ...]
    total: int
    services: Mapping[str, int]
    tags: Mapping[str, int]
    suggestion: str | None
    terms: frozenset[str]


def _schema() -> Schema:
    analysis = text.analyzer()
    fields = {name: TEXT(analyzer=analysis) for name in KEYWORD_BOOSTS}
    return Schema(
        slug=ID(unique=True, stored=True),
        service=ID(stored=True, sortable=True),
        audience=ID(stored=True),
        tag=KEYWORD(stored=True, commas=True, lowercase=True),
        words=TEXT(analyzer=text.word_analyzer(), phrase=False),
        **fields,
    )


class KeywordIndex:
    """An open Whoosh index.

    Args:
        folder: where its files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = whoosh_index.open_dir(str(folder))
        self._searcher = self._index.searcher(weighting=scoring.BM25F(B=B, K1=K1))
        # The index reads its schema from disk each time it is asked; a generation may be deleted while it is open.
        self._schema = self._searcher.schema
        # Threads that read one Whoosh file at once move each other's place in it, and get nonsense.
        self._reading = threading.RLock()

    def __len__(self) -> int:
        return int(self._searcher.doc_count())

    def close(self) -> None:
        """Close the files."""
        self._searcher.close()
        self._index.close()

    def words(self) -> list[str]:
        """List the words of titles, questions, tags and leads as they are written, in lower case."""
        with self._reading:
            return [word.decode() for word in self._searcher.reader().lexicon("words")]

    @staticmethod
    def write(folder: Path, gone: Iterable[str], added: Iterable[KeywordDocument], progress: Callable[[int], None] | None = None) -> None:
        """Create the index if there is none, then delete and add documents in one commit.

        Args:
            folder: an existing folder.
            gone: slugs to delete.
            added: documents to add; their slugs must be new or in ``gone``.
            progress: gets the number of documents done after each.
        """
        if whoosh_index.exists_in(str(folder)):
            index = whoosh_index.open_dir(str(folder))
        else:
            index = whoosh_index.create_in(str(folder), _schema())
        with index.writer(limitmb=_WRITER_MEMORY_MB) as writer:
            for slug in gone:
                writer.delete_by_term("slug", slug)
            for document in added:
                fields = document.fields
                writer.add_document(
                    slug=document.slug,
                    service=document.service,
                    audience=document.audience,
                    tag=",".join(tag.replace(",", " ") for tag in document.tags),
                    words=unicodedata.normalize("NFC", " ".join((fields.title, fields.questions, fields.tags, fields.lead))),
                    **dict(zip(KEYWORD_BOOSTS, fields.values(), strict=True)),
                )
                if progress:
                    progress(1)
        index.close()

    def search(
        self,
        query: str,
        *,
        service: str | None = None,
        tag: str | None = None,
        audience: str | None = None,
        offset: int = 0,
        limit: int = 20,
    ) -> KeywordHits:
        """Search articles with Whoosh's query language: words, "phrases", AND / OR / NOT, title:word, word*.

        Args:
            query: at most ``MAX_QUERY_CHARS`` characters.
            service: keep the articles of one service.
            tag: keep the articles with one tag.
            audience: keep ``public`` or ``internal`` articles.
            offset: how many results to skip.
            limit: how many to return.

        Raises:
            QueryError: the query is too long or cannot be read.
        """
        query = unicodedata.normalize("NFC", query)
        parsed = self._parse(query)
        if parsed == NullQuery:
            return KeywordHits((), 0, {}, {}, None, frozenset())
        wanted = {"service": service, "tag": tag.lower() if tag else None, "audience": audience}
        filters = [Term(name, value) for name, value in wanted.items() if value]
        with self._reading:
            return self._found(query, parsed, filters, offset, limit)

    def _found(self, query: str, parsed: Query, filters: Sequence[Query], offset: int, limit: int) -> KeywordHits:
        narrowed: Query | None = filters[0] if filters else None
        for one in filters[1:]:
            narrowed = narrowed & one
        facets = sorting.Facets()
        facets.add_field("service")
        facets.add_facet("tag", sorting.StoredFieldFacet("tag", allow_overlap=True, split_fn=lambda value: value.split(",")))
        results = self._searcher.search(parsed, limit=offset + limit, filter=narrowed, groupedby=facets, maptype=sorting.Count)
        total = len(results)
        stems = frozenset(
            word.decode() if isinstance(word, bytes) else str(word)
            for name, word in parsed.existing_terms(self._searcher.reader())
            if name in KEYWORD_BOOSTS
        )
        return KeywordHits(
            slugs=tuple(hit["slug"] for hit in results[offset : offset + limit]),
            total=total,
            services=_counts(results.groups("service")),
            tags=_counts(results.groups("tag")),
            suggestion=self.suggest(query) if total == 0 else None,
            terms=stems,
        )

    def suggest(self, query: str) -> str | None:
        """Correct the spelling of a query with the words of titles, questions and tags; ``None`` when nothing closer exists."""
        with self._reading:
            corrector = self._searcher.corrector("words")
            reader = self._searcher.reader()
            words, changed = [], False
            for word in query.split():
                bare = word.lower().strip("\"'?!.,;:()")
                if len(bare) >= 4 and bare.isalpha() and ("words", bare) not in reader:
                    closer = corrector.suggest(bare, limit=1, maxdist=2, prefix=1)
                    if closer:
                        words.append(closer[0])
                        changed = True
                        continue
                words.append(word)
        return " ".join(words) if changed else None

    def score_terms(self, message_terms: Sequence[str], limit: int) -> list[tuple[str, float]]:
        """Score articles by an OR over terms in every field, as Whoosh does it: the reference that ``TermScores`` must equal."""
        query = AnyOf([Term(name, term, boost) for term in dict.fromkeys(message_terms) for name, boost in KEYWORD_BOOSTS.items()])
        return [(hit["slug"], float(hit.score)) for hit in self._searcher.search(query, limit=limit)]

    def _parse(self, query: str) -> Query:
        if len(query) > MAX_QUERY_CHARS:
            raise QueryError(f"La recherche dépasse {MAX_QUERY_CHARS} caractères : gardez les mots importants.")
        parser = MultifieldParser(list(KEYWORD_BOOSTS), self._schema, fieldboosts=KEYWORD_BOOSTS, group=OrGroup.factory(0.8))
        parser.remove_plugin_class(PhrasePlugin)
        parser.add_plugin(PhrasePlugin())
        parser.add_plugin(FuzzyTermPlugin(_FUZZY))
        if query.strip() == "*":
            return Every()  # the parser would look for everything in each field
        try:
            return _excluding(parser.parse(query).normalize())
        except Exception as error:  # the parser fails on odd input in ways that it does not document
            raise QueryError("Cette recherche n'a pas pu être lue : vérifiez les guillemets et les parenthèses.") from error


def _excluding(query: Query) -> Query:
    """Read "a NOT b" as "a, but not b": an OR with a NOT in it would bring every article without b."""
    query = query.apply(_excluding)
    if not isinstance(query, AnyOf):
        return query
    wanted = [one for one in query.subqueries if not isinstance(one, Not)]
    excluded = [one.query for one in query.subqueries if isinstance(one, Not)]
    return AndNot(AnyOf(wanted), AnyOf(excluded)) if wanted and excluded else query


def _counts(groups: Mapping[str, int]) -> dict[str, int]:
    named = {name: count for name, count in groups.items() if name}
    return dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))


class _MarkFormatter(Formatter):  # type: ignore[misc]  # whoosh ships no types
    """Formats highlighted text as a list of (words, is_match) pairs, which the template escapes."""

    def format(self, fragments, replace=False):  # type: ignore[no-untyped-def]  # noqa: ARG002  # whoosh's signature
        pieces: list[tuple[str, bool]] = []
        for number, fragment in enumerate(fragments):
            if number:
                pieces.append((" … ", False))
            at = fragment.startchar
            for token in fragment.matches:
                if token.startchar < at:
                    continue
                pieces.append((fragment.text[at : token.startchar], False))
                pieces.append((fragment.text[token.startchar : token.endchar], True))
                at = token.endchar
            pieces.append((fragment.text[at : fragment.endchar], False))
        return [(words, is_match) for words, is_match in pieces if words]


def highlighted(source: str, stems: frozenset[str], *, whole: bool = False) -> list[tuple[str, bool]]:
    """Find the best excerpt of a text.

    Args:
        source: plain text.
        stems: stems to highlight, as in ``KeywordHits.terms``.
        whole: keep the whole text instead of excerpts.

    Returns:
        (words, is_match) pairs; the start of the text when nothing matches.
    """
    fragmenter = WholeFragmenter() if whole else ContextFragmenter(maxchars=160, surround=60)
    pieces = highlight(source, stems, text.analyzer(), fragmenter, _MarkFormatter(), top=1 if whole else 2) if stems else []
    if pieces:
        return list(pieces)
    return [(source if whole or len(source) <= 200 else source[:200].rsplit(" ", 1)[0] + " …", False)]
