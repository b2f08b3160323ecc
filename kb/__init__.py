"""The knowledge base: articles in Markdown, what they say of the organisation, and the replies made from them.

Knows neither Flask nor search. Reads a content folder (``articles/``, ``services.yml``, …) and never writes outside it.
"""
