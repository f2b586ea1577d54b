"""Compile-and-cache: a C `Kernel` becomes a loaded shared library.

The cache is code, and is treated so: it lives in ``$WINOGRAD_CACHE_DIR`` or the user's cache directory, is private to
the user, and is refused otherwise; an entry is published whole by one rename, carries the hash of its library, and is
rebuilt when they differ. Without a usable directory kernels are built in a temporary one, and one warning says so.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import stat
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Protocol

import winograd
from winograd.codegen.cache import building_prefix, cache_directory, claim, locked, remove, remove_leftovers
from winograd.codegen.compiler import FLAGS, BuildError, Compiler, cpu_features, find_compiler

_LIBRARY, _SOURCE, _MANIFEST = "kernel.so", "kernel.c", "manifest.json"
_loaded: dict[str, ctypes.CDLL] = {}
_loading: dict[str, threading.Lock] = {}
_first_warning = threading.Lock()  # taken once, never given back

os.register_at_fork(after_in_child=_loading.clear)  # what a thread of the parent loads, nobody loads in the child


class Code(Protocol):
    """What can be built: a `winograd.codegen.kernel.Kernel`, or `winograd.codegen.copies.Copies`."""

    @property
    def target(self) -> str:
        """Language of the code; only "c" can be built."""

    @property
    def source(self) -> str:
        """The code, ASCII, ending in a newline."""

    @property
    def digest(self) -> str:
        """SHA-256 of the source as hexadecimal text."""


def load(kernel: Code) -> ctypes.CDLL:
    """Return the shared library of a C kernel, built if it is not in the cache. Safe in threads and processes.

    Every call returns an object of its own, so whoever declares the types of its functions declares nobody else's.

    Raises
    ------
    ValueError
        If the kernel is not C.
    BuildError
        If there is no compiler, it fails, or the library cannot be loaded.

    Warns
    -----
    RuntimeWarning
        Once in a process, if there is no usable cache.
    """
    if kernel.target != "c":
        raise ValueError(f"kernel for target {kernel.target!r}, only 'c' can be built")
    compiler = find_compiler()
    key = _key(kernel, compiler)
    with _loading.setdefault(key, threading.Lock()):  # different kernels are compiled at the same time
        if key not in _loaded:
            _loaded[key] = _load(kernel, compiler, key)
    library = _loaded[key]
    return ctypes.CDLL(library._name, handle=library._handle)


def _key(kernel: Code, compiler: Compiler) -> str:
    parts = (
        kernel.source,
        *FLAGS,
        *compiler.command,
        compiler.path,
        compiler.version,
        cpu_features(),
        winograd.__version__,
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _load(kernel: Code, compiler: Compiler, key: str) -> ctypes.CDLL:
    try:
        return _load_cached(kernel, compiler, key)
    except (OSError, BuildError) as error:
        library = _load_uncached(kernel, compiler)
        _warn_uncached(str(error))
        return library


def _load_cached(kernel: Code, compiler: Compiler, key: str) -> ctypes.CDLL:
    directory = cache_directory()
    claim(directory)
    with locked(directory / f"{key}.lock"):
        entry = directory / key
        if _is_whole(entry, kernel, compiler):
            return ctypes.CDLL(str(entry / _LIBRARY))
        remove_leftovers(directory, key)
        _publish(kernel, compiler, entry)
        return _load_new(entry)


def _load_new(entry: Path) -> ctypes.CDLL:
    """Load an entry that was just built; what cannot be loaded does not stay."""
    try:
        return ctypes.CDLL(str(entry / _LIBRARY))
    except OSError:
        remove(entry)
        raise


def _is_whole(entry: Path, kernel: Code, compiler: Compiler) -> bool:
    """Return whether an entry is what we would publish: plain files, and a manifest of this kernel and this library."""
    try:
        kinds = [stat.S_IFMT(path.lstat().st_mode) for path in (entry, entry / _LIBRARY, entry / _MANIFEST)]
        if kinds != [stat.S_IFDIR, stat.S_IFREG, stat.S_IFREG]:
            return False
        return (entry / _MANIFEST).read_bytes() == _manifest(entry / _LIBRARY, kernel, compiler, entry.name)
    except OSError:
        return False


def _manifest(library: Path, kernel: Code, compiler: Compiler, key: str) -> bytes:
    content = {
        "sha256": hashlib.sha256(library.read_bytes()).hexdigest(),
        "key": key,
        "kernel": kernel.digest,
        "compiler": compiler.version,
        "flags": FLAGS,
    }
    return json.dumps(content, indent=1).encode("ascii")


def _publish(kernel: Code, compiler: Compiler, entry: Path) -> None:
    """Build beside the entry and rename it into place; what was there before, if anything, is corrupt and goes."""
    building = Path(tempfile.mkdtemp(prefix=building_prefix(entry.name), dir=entry.parent))
    try:
        library = _build(kernel, compiler, building)
        (building / _MANIFEST).write_bytes(_manifest(library, kernel, compiler, entry.name))
        if os.path.lexists(entry):
            entry.rename(building / "replaced")
        building.rename(entry)
        remove(entry / "replaced")
    finally:
        remove(building)


def _build(kernel: Code, compiler: Compiler, directory: Path) -> Path:
    source, library = directory / _SOURCE, directory / _LIBRARY
    source.write_text(kernel.source, encoding="ascii")
    compiler.compile(source, library)
    return library


def _load_uncached(kernel: Code, compiler: Compiler) -> ctypes.CDLL:
    # No TemporaryDirectory: a child forked meanwhile would remove it at its exit.
    try:
        directory = Path(tempfile.mkdtemp(prefix="winograd-"))
    except OSError as error:
        raise BuildError(f"no directory to compile a kernel in: {error}") from error
    try:
        return ctypes.CDLL(str(_build(kernel, compiler, directory)))
    except OSError as error:
        raise BuildError(f"the compiled kernel cannot be loaded: {error}") from error
    finally:
        remove(directory)


def _warn_uncached(reason: str) -> None:
    if _first_warning.acquire(blocking=False):
        warnings.warn(
            f"compiled kernels are not cached: {reason}; set WINOGRAD_CACHE_DIR to a private directory",
            RuntimeWarning,
            stacklevel=2,
        )
