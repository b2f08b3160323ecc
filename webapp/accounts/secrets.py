"""Random secrets that people or programs hold, and the hashes that we keep of them.

A secret of 256 random bits needs no slow hash: nobody can try them all.
"""

from __future__ import annotations

import hashlib
import secrets


def new() -> str:
    """Make a secret."""
    return secrets.token_urlsafe(32)


def hashed(secret: str) -> str:
    """What is kept of a secret (SHA-256, 64 hex digits)."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
