"""Compile-and-cache: a C `Kernel` becomes a loaded shared library.

The cache is code, and is treated so: it lives in ``$WINOGRAD_CACHE_DIR`` or the user's cache directory, is private to
the user, and is refused otherwise; an entry is published whole by one rename, carries the hash of its library, and is
rebuilt when they differ. Without a usable directory kernels are built in a temporary one, and one warning says so.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

import winograd
from winograd.codegen.compiler import FLAGS, BuildError, Compiler, cpu_features, find_compiler
from winograd.codegen.kernel import Kernel

_LIBRARY, _SOURCE, _MANIFEST = "kernel.so", "kernel.c", "manifest.json"
_loaded: dict[str, ctypes.CDLL] = {}
_loading = threading.Lock()
_warned: list[str] = []


def _renew_lock() -> None:
    """Forget, in a forked child, that a thread of the parent was loading a kernel."""
    global _loading  # noqa: PLW0603
    _loading = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def load(kernel: Kernel) -> ctypes.CDLL:
    """Return the shared library of a C kernel, built if it is not in the cache. Safe in threads and processes.

    Raises
    ------
    ValueError
        If the kernel is not C.
    BuildError
        If there is no compiler, it fails, or the library cannot be loaded.
    """
    if kernel.target != "c":
        raise ValueError(f"kernel for target {kernel.target!r}, only 'c' can be built")
    compiler = find_compiler()
    key = _key(kernel, compiler)
    with _loading:
        if key not in _loaded:
            _loaded[key] = _load_cached(kernel, compiler, key)
        return _loaded[key]


def cache_directory() -> Path:
    """Return the directory of compiled kernels: ``$WINOGRAD_CACHE_DIR`` or the user's cache directory."""
    chosen = os.environ.get("WINOGRAD_CACHE_DIR")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("winograd")) / "kernels"


def _key(kernel: Kernel, compiler: Compiler) -> str:
    parts = (
        kernel.source,
        *FLAGS,
        *compiler.command,
        compiler.path,
        compiler.version,
        cpu_features(),
        winograd.__version__,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _load_cached(kernel: Kernel, compiler: Compiler, key: str) -> ctypes.CDLL:
    try:
        directory = cache_directory()
        _claim(directory)
        with _locked(directory / f"{key}.lock"):
            entry = directory / key
            if not _is_whole(entry):
                _publish(kernel, compiler, entry)
        return ctypes.CDLL(str(entry / _LIBRARY))
    except (OSError, BuildError) as error:
        library = _load_uncached(kernel, compiler)
        _warn_uncached(str(error))
        return library


def _claim(directory: Path) -> None:
    """Create the directory if need be; raise PermissionError unless it is ours alone and no symlink."""
    if not directory.is_absolute():
        raise PermissionError(f"cache directory {directory} is not an absolute path")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise PermissionError(f"cache directory {directory} is a symlink or no directory")
    if status.st_uid != os.getuid():
        raise PermissionError(f"cache directory {directory} belongs to user {status.st_uid}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"cache directory {directory} is writable by others (mode {status.st_mode & 0o777:o})")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # A child forked meanwhile has the descriptor too: closing ours alone would leave the lock with it.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _is_whole(entry: Path) -> bool:
    try:
        manifest = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
        return bool(manifest["sha256"] == _sha256(entry / _LIBRARY))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _publish(kernel: Kernel, compiler: Compiler, entry: Path) -> None:
    """Build beside the entry and rename it into place; what was there before, if anything, is corrupt and goes."""
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=entry.parent))
    try:
        library = _build(kernel, compiler, building)
        manifest = {"sha256": _sha256(library), "compiler": compiler.version, "flags": FLAGS, "kernel": kernel.digest}
        (building / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        if entry.exists():
            entry.rename(building / "replaced")
        building.rename(entry)
        shutil.rmtree(entry / "replaced", ignore_errors=True)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _build(kernel: Kernel, compiler: Compiler, directory: Path) -> Path:
    source, library = directory / _SOURCE, directory / _LIBRARY
    source.write_text(kernel.source, encoding="ascii")
    compiler.compile(source, library)
    return library


def _load_uncached(kernel: Kernel, compiler: Compiler) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="winograd-") as directory:
        library = _build(kernel, compiler, Path(directory))
        try:
            return ctypes.CDLL(str(library))
        except OSError as error:
            raise BuildError(f"the compiled kernel cannot be loaded: {error}") from error


def _warn_uncached(reason: str) -> None:
    if _warned:
        return
    _warned.append(reason)
    warnings.warn(
        f"compiled kernels are not cached: {reason}; set WINOGRAD_CACHE_DIR to a private directory",
        RuntimeWarning,
        stacklevel=2,
    )
