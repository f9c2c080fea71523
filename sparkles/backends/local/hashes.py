"""Hashes: the sha256 of local files, remembered by path, size, times and inode."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from sparkles.backends.local.filesystem import make_once

#: Bytes that are read at once. Of more, most would be room that was made for nothing: many files are small.
PIECE = 1 << 16

#: A file that changed less than this many seconds ago may change again within the clock's resolution.
_SETTLED = 2.0

_TABLE = (
    "CREATE TABLE hash (path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, "
    "ctime INTEGER, inode INTEGER, sha256 TEXT NOT NULL) WITHOUT ROWID"
)

#: What a file is known by: size, mtime, ctime and inode.
_Facts = tuple[int, int, int, int]


class HashCache:
    """Hashes in a SQLite file; without `write` only what is there already is used."""

    def __init__(self, path: Path, *, write: bool) -> None:
        self._path = path
        self._write = write
        #: What was found out since `keep`, by path.
        self._new: dict[str, tuple[_Facts, str]] = {}
        try:
            self._connection = _connect(path if path.exists() else None)
        except (OSError, sqlite3.Error):
            # A cache that cannot be used is no reason to fail: everything is hashed anew.
            self._write = False
            self._connection = _connect(None)

    def sha256(self, path: Path) -> str:
        """See Hashes."""
        status = path.stat()
        facts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        name = _name(path)
        if known := self._known(name, facts):
            return known
        digest = sha256_of(path)
        if time.time() - max(status.st_mtime, status.st_ctime) > _SETTLED:
            self._new[name] = facts, digest
        return digest

    def _known(self, name: str, facts: _Facts) -> str | None:
        known, digest = self._new.get(name, (None, ""))
        if known == facts:
            return digest
        row = self._connection.execute(
            "SELECT sha256 FROM hash WHERE path = ? AND size = ? AND mtime = ? AND ctime = ? AND inode = ?",
            (name, *facts),
        ).fetchone()
        return str(row[0]) if row else None

    def keep(self) -> None:
        """See Hashes. In one commit; and not before there is a folder: a request may yet turn out to be wrong."""
        if not (self._new and self._write and self._path.parent.exists()):
            return
        with suppress(OSError, sqlite3.Error):
            if not self._path.exists():
                make_once(self._path, _create)
                self._connection.close()
                self._connection = _connect(self._path)
            with self._connection:
                self._connection.execute("BEGIN")
                rows = [(name, *facts, digest) for name, (facts, digest) in self._new.items()]
                self._connection.executemany("INSERT OR REPLACE INTO hash VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._new.clear()


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


def _name(path: Path) -> str:
    """Return what a file is kept under: SQLite could not keep a path that is not text as such."""
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).hex()
    return name


def sha256_of(path: Path) -> str:
    """Return the sha256, in hex, of a file's content."""
    import hashlib  # those who only look at jobs do not need it

    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(PIECE):
            digest.update(chunk)
    return digest.hexdigest()
