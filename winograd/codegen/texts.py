"""Texts of kernels that another process emitted: reading one takes a millisecond, emitting it up to a second.

In: an algorithm, words that say what is emitted of it and how, the emission. Out: the `Kernel`, read from beside the
compiled kernels where it is there whole, emitted and left there else. What is read becomes code, so the directory is
trusted as that of `winograd.codegen.build` is. The key holds the sources of this package: changed sources read nothing
old. Refused: nothing; without a usable directory every process emits.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import winograd
from winograd.algebra.nesting import NestedAlgorithm
from winograd.codegen.cache import cache_directory, claim
from winograd.codegen.command import DEFAULT_NAME
from winograd.codegen.kernel import Kernel


def kept_kernel(emit: Callable[[], Kernel], algorithm: NestedAlgorithm, *words: str) -> Kernel:
    """Return the C kernel of an algorithm, emitted unless an earlier process has left it.

    Parameters
    ----------
    emit : callable
        Emits it for target "c", under the default name.
    algorithm : NestedAlgorithm
    *words : str
        What else its text follows from, such as the kind of kernel and the dtype.

    Raises
    ------
    Exception
        What the emission raises; then nothing is kept.

    Examples
    --------
    >>> from winograd.algebra.nesting import as_nested
    >>> from winograd.algebra.toom_cook import toom_cook
    >>> from winograd.codegen.emit import emit
    >>> f23 = as_nested(toom_cook(2, 3))
    >>> kept_kernel(lambda: emit(f23), f23, "convolution", "float32") == emit(f23)
    True
    """
    try:
        path = _place(algorithm, words)
        source = _read(path)
    except OSError:
        return emit()
    if source is not None:
        return Kernel("c", DEFAULT_NAME, source, algorithm)
    kernel = emit()
    with suppress(OSError):
        _write(path, kernel)
    return kernel


def _place(algorithm: NestedAlgorithm, words: tuple[str, ...]) -> Path:
    """Return the path of a text, in a directory that is ours alone."""
    above = cache_directory()
    directory = above / "texts"
    for one in (above, directory):
        claim(one)
    key = "\0".join((winograd.__version__, _sources(), algorithm.digest, *words))
    return directory / f"{hashlib.sha256(key.encode()).hexdigest()}.c"


@lru_cache(maxsize=1)
def _sources() -> str:
    """Return the SHA-256 of all that decides what is emitted."""
    found = hashlib.sha256()
    root = Path(winograd.__file__).parent
    for path in sorted(path for room in ("algebra", "codegen") for path in (root / room).rglob("*")):
        if path.suffix in {".py", ".c"}:
            found.update(path.read_bytes())
    return found.hexdigest()


def _read(path: Path) -> str | None:
    """Return a text that is there whole, behind its SHA-256 in the first line, or None."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        digest, _, source = path.read_text(encoding="ascii").partition("\n")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return source if digest == hashlib.sha256(source.encode("ascii")).hexdigest() else None


def _write(path: Path, kernel: Kernel) -> None:
    """Put a text where others read it, by one rename."""
    descriptor, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{kernel.digest}\n{kernel.source}")
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
