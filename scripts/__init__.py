"""Thin command-line wrappers, each run as ``python -m scripts.NAME``."""
