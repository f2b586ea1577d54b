"""Artefacts in files: written whole or not at all, and compared byte for byte.

In: bytes and a path. Out: the file, or the first difference. Refused: directories. A failed write leaves what was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from itertools import zip_longest
from pathlib import Path

_SHOWN = 60


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file by one rename, so that nobody sees a part of it.

    A link is followed. A file that is replaced keeps its permissions; a new one gets those of any new file. Devices and
    pipes, which cannot be replaced, are written to.

    Raises
    ------
    OSError
        If the directory is missing or not writable, the path is a directory or a read-only file, or the disk is full;
        what was there before is untouched.
    """
    given = Path(path)
    try:
        # What /dev/stdout leads to may have no name in the file system.
        special = given.exists() and not (given.is_file() or given.is_dir())
        _write(given if special else Path(os.path.realpath(path)), data)
    except OSError as error:
        # The file at fault may be a temporary one, which says nothing to the caller.
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def checked_targets(*paths: str | None) -> None:
    """Refuse paths that cannot be written, before minutes are spent on what goes there; None stands for no file.

    Raises
    ------
    ValueError
        If one is a directory, in no directory or not writable, or two are the same file.
    """
    seen: set[Path] = set()
    for path in paths:
        if path is None:
            continue
        name = path or "''"
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise ValueError(f"{name}: is a directory, must be a file")
        if not target.parent.is_dir():
            raise ValueError(f"{name}: its directory does not exist")
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise ValueError(f"{name}: is not writable")
        if target in seen and (target.is_file() or not target.exists()):
            raise ValueError(f"{name}: is named twice, must be one file for each output")
        seen.add(target)


def first_difference(expected: bytes, found: bytes) -> str | None:
    r"""Return one line on the first line that differs, or None if all bytes are equal.

    Examples
    --------
    >>> first_difference(b"a\nb\n", b"a\nc\n")
    "line 2 is 'c', must be 'b'"
    >>> first_difference(b"a\n", b"a\n") is None
    True
    """
    if expected == found:
        return None
    pairs = zip_longest(expected.splitlines(keepends=True), found.splitlines(keepends=True))
    number, (wanted, given) = next((n, pair) for n, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    if given is None:
        return f"line {number} is missing"
    if wanted is None:
        return f"line {number} is more than there must be"
    if given.rstrip(b"\r\n") == wanted.rstrip(b"\r\n"):
        return f"line {number} ends differently"
    return f"line {number} is {_shown(given)}, must be {_shown(wanted)}"


def _write(target: Path, data: bytes) -> None:
    mode = target.stat().st_mode if target.exists() else None
    if mode is None:
        _replace(target, data, mode)
    elif stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    elif not os.access(target, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    elif stat.S_ISREG(mode):
        _replace(target, data, mode)
    else:
        target.write_bytes(data)


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    temporary = target.with_name(f".winograd-{secrets.token_hex(8)}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _shown(line: bytes) -> str:
    text = line.rstrip(b"\r\n").decode("ascii", "backslashreplace")
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
