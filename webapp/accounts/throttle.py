"""Log-ins that are tried too often wait, longer and longer; counted in the database, so that all the workers count together.

Three counters, each with free tries, then a delay that doubles up to a limit, and forgets after an hour without a try:

- one account from one address: 5 tries, then 1 s … 15 min: what stops a guesser;
- one address, whatever the account: 50 tries, then 1 s … 5 min: a town hall goes out by one address;
- one account, from everywhere: 100 tries, then 1 s … 30 s: what slows a guesser who has many addresses. Only then does the real person
  wait as well, from any address, and half a minute at most.

A try is counted before the password is looked at, so that a thousand at once are counted one after the other; the right password
takes its try back. A try that has to wait counts for nothing: nobody is locked out for ever, however long the guesser insists.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from webapp import database
from webapp.accounts.models import Attempts, normal_email
from webapp.database import session
from webapp.network import subscriber

FORGOTTEN_AFTER = dt.timedelta(hours=1)


@dataclass(frozen=True)
class _Rule:
    free: int
    longest_seconds: int

    def delay(self, count: int) -> dt.timedelta:
        beyond = count - self.free
        return dt.timedelta(seconds=min(2 ** min(beyond, 20), self.longest_seconds) if beyond >= 0 else 0)


_RULES = {"pair": _Rule(5, 900), "address": _Rule(50, 300), "account": _Rule(100, 30)}


def knock(email: str, address: str) -> dt.timedelta:
    """Count a try, or say how long to wait before the next.

    Args:
        email: as it was typed.
        address: the network address that it comes from.

    Returns:
        Zero: look at the password. Else: look at nothing, and come back after that time.
    """
    rows = _locked_rows(email, address)
    now = database.now()  # after the wait for the lock
    wait = max(row.open_at for row in rows.values()) - now
    if wait > dt.timedelta():
        session().rollback()
        return wait
    for kind, row in rows.items():
        row.count = 1 if now - row.last_at > FORGOTTEN_AFTER else row.count + 1
        row.last_at = now
        row.open_at = now + _RULES[kind].delay(row.count)
    session().commit()
    _forget(now - FORGOTTEN_AFTER)
    return dt.timedelta()


def welcome(email: str, address: str) -> None:
    """Take back the try of a right password, and what it was counted against the account."""
    for kind, row in _locked_rows(email, address).items():
        if kind == "address":  # a guesser with an account of their own must not clear it
            row.count = max(row.count - 1, 0)
            row.open_at = database.now()
        else:
            session().delete(row)
    session().commit()


def _forget(before: dt.datetime) -> None:
    """Delete old counters, in a transaction of its own that waits for nobody: whoever holds one holds others, and may want ours."""
    free = select(Attempts.key).where(Attempts.last_at < before).with_for_update(skip_locked=True)
    session().execute(delete(Attempts).where(Attempts.key.in_(free)))
    session().commit()


def _locked_rows(email: str, address: str) -> dict[str, Attempts]:
    """The three counters, held until the transaction ends."""
    keys = {kind: _key(kind, email, address) for kind in _RULES}
    dialect = postgresql if session().get_bind().dialect.name == "postgresql" else sqlite
    query = select(Attempts).where(Attempts.key.in_(keys.values())).order_by(Attempts.key).with_for_update()
    while True:
        now = database.now()
        new = [{"key": key, "count": 0, "last_at": now, "open_at": now} for key in sorted(keys.values())]
        # The write comes first: it takes SQLite's lock before anything is read.
        session().execute(dialect.insert(Attempts).values(new).on_conflict_do_nothing())
        found = {row.key: row for row in session().scalars(query.execution_options(populate_existing=True))}
        if len(found) == len(keys):  # else an old one was forgotten between the two
            return {kind: found[key] for kind, key in keys.items()}


def _key(kind: str, email: str, address: str) -> str:
    parts = {"pair": (normal_email(email), subscriber(address)), "address": (subscriber(address),), "account": (normal_email(email),)}[kind]
    return f"{kind}:{hashlib.sha256(chr(0).join(parts).encode('utf-8', 'surrogatepass')).hexdigest()}"
