"""The directory of compiled kernels: whether it can be trusted, who works on an entry, what the killed left behind.

In: paths. Out: the directory made ours alone, locks that die with their process.
Refused, with an OSError: a directory that others can change, or that nothing can be loaded from.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PATIENCE_S = 330.0
"""How long a lock is waited for: a compiler is given less, so whoever holds it longer does not work."""

_BUILDING = ".building-"
_held: set[int] = set()


def _close_held() -> None:
    """Close, in a forked child, the locks of the parent's threads: with the child they would outlive the parent."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_close_held)


def cache_directory() -> Path:
    """Return the directory of compiled kernels: ``$WINOGRAD_CACHE_DIR`` or the user's cache directory.

    Raises
    ------
    FileNotFoundError
        If the user has no directory at all.
    """
    chosen = os.environ.get("WINOGRAD_CACHE_DIR")
    try:
        return Path(chosen) if chosen else _users_directory() / "kernels"
    except RuntimeError as error:
        raise FileNotFoundError(str(error)) from error


def _users_directory() -> Path:
    """Return the user's cache directory; where platformdirs is not installed, as on a bare machine, Linux's."""
    try:
        from platformdirs import user_cache_dir
    except ImportError:
        given = os.environ.get("XDG_CACHE_HOME", "").strip()
        return (Path(given) if given else Path.home() / ".cache") / "winograd"
    return Path(user_cache_dir("winograd"))


def claim(directory: Path) -> None:
    """Create the directory if need be.

    Raises
    ------
    PermissionError
        Unless it is ours alone, no symlink, and code can be loaded from it.
    OSError
        If it cannot be created.
    """
    if not directory.is_absolute():
        raise PermissionError(f"cache directory {directory} is not an absolute path")
    for missing in reversed([path for path in (directory, *directory.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise PermissionError(f"cache directory {directory} is a symlink or no directory")
    if status.st_uid != os.geteuid():
        raise PermissionError(f"cache directory {directory} belongs to user {status.st_uid}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"cache directory {directory} is writable by others (mode {status.st_mode & 0o777:o})")
    if os.statvfs(directory).f_flag & os.ST_NOEXEC:
        raise PermissionError(f"cache directory {directory} is on a file system mounted noexec")


@contextmanager
def locked(path: Path, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Hold the lock of a file, which is made if need be. It ends with the process that holds it.

    Raises
    ------
    TimeoutError
        If somebody else holds it for longer than the patience.
    OSError
        If there can be no such file.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    _held.add(descriptor)
    try:
        _acquire(descriptor, path, time.monotonic() + patience_s)
        yield
    finally:
        if descriptor in _held:  # else this is a child, forked meanwhile
            _held.remove(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _acquire(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"another process holds {path}") from None
            time.sleep(0.02)


def building_prefix(key: str) -> str:
    """Return how the names of directories begin in which an entry is built, by whoever holds its lock."""
    return f"{_BUILDING}{key}-"


def remove_leftovers(directory: Path, key: str) -> None:
    """Remove what killed builders left: of the entry whose lock we hold, and of those whose lock nobody holds."""
    for path in directory.glob(building_prefix("?" * len(key)) + "*"):
        other = path.name.removeprefix(_BUILDING)[: len(key)]
        if other == key:
            remove(path)
        else:
            with suppress(OSError), locked(directory / f"{other}.lock", patience_s=0):
                remove(path)


def remove(path: Path) -> None:
    """Remove a file, a symlink but not what it leads to, or a directory with all in it, as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
