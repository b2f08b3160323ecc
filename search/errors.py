"""The errors of the search: each one says what to do next."""


class SearchError(Exception):
    """Base of every error that the search raises on purpose."""


class ModelUnavailable(SearchError):
    """The embedding model cannot be loaded; search goes on with keywords."""


class IndexDamaged(SearchError):
    """An index on disk is missing, truncated or of another format; it is rebuilt, never half-read."""


class QueryError(SearchError):
    """A search query that cannot be read."""
