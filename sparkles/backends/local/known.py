"""Known blobs: which content is in which store, as far as it was seen there not long ago. Spares asking."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sparkles.backends.local.filesystem import make_once

#: Seconds for which it is believed that a store still holds what it held.
_BELIEVED = 86_400.0

_TABLE = "CREATE TABLE known (store TEXT, digest BLOB, seen REAL NOT NULL, PRIMARY KEY (store, digest)) WITHOUT ROWID"


class KnownBlobs:
    """What is known, in a SQLite file; without `write` what is there already is used. Safe to share among threads.

    That the file is missing or broken is no reason to fail: then the store is asked.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self._path = path
        self._write = write

    def among(self, store: str, digests: Sequence[str]) -> set[str]:
        """Return those of `digests` that `store` held not long ago."""
        known: set[str] = set()
        with suppress(OSError, sqlite3.Error), self._open() as connection:
            find = "SELECT 1 FROM known WHERE store = ? AND digest = ? AND seen > ?"
            since = time.time() - _BELIEVED
            known.update(
                digest
                for digest in digests
                if connection.execute(find, (store, bytes.fromhex(digest), since)).fetchone()
            )
        return known

    def add(self, store: str, digests: Sequence[str]) -> None:
        """Remember that `store` holds `digests`."""
        if not (digests and self._write and self._path.parent.exists()):
            return
        with suppress(OSError, sqlite3.Error):
            make_once(self._path, _create)
            with self._open() as connection, connection:
                connection.execute("BEGIN")
                now = time.time()
                connection.execute("DELETE FROM known WHERE seen < ?", (now - _BELIEVED,))
                rows = [(store, bytes.fromhex(digest), now) for digest in digests]
                connection.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            raise FileNotFoundError(self._path)
        with closing(sqlite3.connect(self._path, timeout=10.0, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection


def _create(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(_TABLE)
