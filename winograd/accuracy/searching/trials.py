"""Results of finished units of work in an SQLite file, so that a search can be stopped, resumed and shared.

In: the path of a file, keys and results as JSON. Out: the results that are there. Every result is one transaction of a
connection of its own, so that threads and processes share a file, and a killed process leaves what it had finished.
Refused, and left as they are: directories, files of other programs, of newer versions, truncated and damaged ones.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

APPLICATION_ID: Final = 0x57494E4F
"""Of our files, in the header of SQLite: "WINO"."""

FORMAT_VERSION: Final = 1
"""Of the tables; files of a newer one are refused."""

Result = dict[str, Any]
"""What a unit found, of JSON's types."""

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_BUSY_SECONDS = 120.0
_LOOKS = 5
_KEYS_PER_QUERY = 500

_TABLE = """
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY,  -- SHA-256 of everything that determines the result
    unit TEXT NOT NULL,    -- the same in words
    result TEXT NOT NULL   -- JSON
) WITHOUT ROWID
"""


class Trials:
    """Results by key, in a file.

    Parameters
    ----------
    path : path-like
        Created if it is not there, or empty.

    Raises
    ------
    TypeError
        If that is no path.
    OSError
        If its directory is missing, it is a directory, or it may not be written.
    ValueError
        If it is not a file of ours, or newer, truncated or damaged; it is not changed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trials = Trials(f"{folder}/trials.db")
    ...     trials.put("key", "in words", {"evaluations": 3})
    ...     trials.get(["key", "other"])
    {'key': {'evaluations': 3}}
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self.path = Path(os.path.abspath(os.fsdecode(path)))
        except TypeError:
            raise TypeError(f"storage is {path!r}, must be the path of a file, or None") from None
        _check_place(self.path)
        _check_header(self.path)
        with self._connection("rwc") as connection:
            if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_TABLE)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
                connection.execute("COMMIT")

    def get(self, keys: Iterable[str]) -> dict[str, Result]:
        """Return the results that are there, by key."""
        wanted, found = list(keys), {}
        with self._connection("rw") as connection:
            for start in range(0, len(wanted), _KEYS_PER_QUERY):
                some = wanted[start : start + _KEYS_PER_QUERY]
                marks = ",".join("?" * len(some))
                rows = connection.execute(f"SELECT key, result FROM results WHERE key IN ({marks})", some)
                found.update({key: json.loads(text) for key, text in rows})
        return found

    def put(self, key: str, unit: str, result: Result) -> None:
        """Keep a result, unless its key has one: the same work always has the same result."""
        text = json.dumps(result)
        with self._connection("rw") as connection:
            connection.execute("INSERT OR IGNORE INTO results VALUES (?, ?, ?)", (key, unit, text))

    @contextmanager
    def _connection(self, mode: str) -> Iterator[sqlite3.Connection]:
        uri = f"file:{quote(str(self.path))}?mode={mode}"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
                yield connection
        except (sqlite3.Error, json.JSONDecodeError) as error:
            raise ValueError(f"storage {str(self.path)!r}: {error}") from None


def _check_place(path: Path) -> None:
    if "\0" in str(path):  # where SQLite ends a name
        raise ValueError(f"storage {str(path)!r} holds a null character")
    if path.is_dir():
        _refuse(errno.EISDIR, path)
    if not path.parent.is_dir():
        _refuse(errno.ENOENT, path.parent)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        _refuse(errno.EACCES, path)


def _refuse(number: int, path: Path) -> None:
    raise OSError(number, os.strerror(number), str(path))


def _check_header(path: Path) -> None:
    """Look at the first bytes, as opening a file may change it or leave a journal beside it."""
    for look in range(_LOOKS):
        fault = _fault(path)
        if fault is None:
            return
        if look + 1 < _LOOKS:  # another process may be in the middle of a transaction
            time.sleep(0.02)
    raise ValueError(f"storage {str(path)!r} {fault}")


def _fault(path: Path) -> str | None:
    """Return what is wrong with a file, or None; one that is empty, or not there, is as good as new."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size
    return (_header_fault(header) or _size_fault(path, header, size)) if header else None


def _header_fault(header: bytes) -> str | None:
    if not header.startswith(_MAGIC):
        return "is no database of searches, and was left as it is"
    if len(header) < _HEADER_BYTES:
        return "is truncated, and was left as it is"
    if int.from_bytes(header[68:72]) != APPLICATION_ID:
        return "is the database of another program, and was left as it is"
    version = int.from_bytes(header[60:64])
    if version != FORMAT_VERSION:
        return f"has format {version}, only {FORMAT_VERSION} can be read here: another version of winograd wrote it"
    return None


def _size_fault(path: Path, header: bytes, size: int) -> str | None:
    page = int.from_bytes(header[16:18])
    expected = int.from_bytes(header[28:32]) * (65536 if page == 1 else page)
    journal = path.with_name(f"{path.name}-journal")
    if size < expected and not journal.exists():  # with a journal, SQLite repairs what a killed process left
        return f"is truncated to {size} of {expected} bytes, and was left as it is"
    return None
