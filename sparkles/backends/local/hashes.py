"""Hashes: the sha256 of local files, remembered by path, size, times and inode."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from pathlib import Path

from sparkles.backends.local.filesystem import make_once

#: A file that changed less than this many seconds ago may change again within the clock's resolution.
_SETTLED = 2.0

_TABLE = (
    "CREATE TABLE hash (path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, "
    "ctime INTEGER, inode INTEGER, sha256 TEXT NOT NULL) WITHOUT ROWID"
)


class HashCache:
    """Hashes in a SQLite file; without `write` only what is there already is used."""

    def __init__(self, path: Path, *, write: bool) -> None:
        # Looking at files is no reason to make the folder: a request may yet turn out to be wrong.
        self._write = write and path.parent.exists()
        try:
            if self._write:
                make_once(path, _create)
            self._connection = _connect(path if path.exists() else None)
        except (OSError, sqlite3.Error):
            # A cache that cannot be used is no reason to fail: everything is hashed anew.
            self._write = False
            self._connection = _connect(None)

    def sha256(self, path: Path) -> str:
        """See Hashes."""
        status = path.stat()
        facts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        name = os.fsencode(path.absolute()).hex() if _is_odd(path) else str(path.absolute())
        row = self._connection.execute(
            "SELECT sha256 FROM hash WHERE path = ? AND size = ? AND mtime = ? AND ctime = ? AND inode = ?",
            (name, *facts),
        ).fetchone()
        if row:
            return str(row[0])
        digest = _sha256(path)
        if self._write and time.time() - max(status.st_mtime, status.st_ctime) > _SETTLED:
            self._connection.execute("INSERT OR REPLACE INTO hash VALUES (?, ?, ?, ?, ?, ?)", (name, *facts, digest))
        return digest


def _connect(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path or ":memory:", timeout=10.0, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    if path is None:
        connection.execute(_TABLE)
    connection.execute("SELECT sha256 FROM hash LIMIT 1")  # fails here, and not later, if it is no such database
    return connection


def _create(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(_TABLE)
    finally:
        connection.close()


def _is_odd(path: Path) -> bool:
    """Say whether the name is not text: SQLite could not keep it as such."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return True
    return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
