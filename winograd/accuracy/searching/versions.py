"""What a kept result depends on beside its unit: our own source, and the versions of the packages that compute it.

In: nothing. Out: lines of text, the same in every process of one installation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from winograd import __version__

ROOMS: Final = ("algebra", "codegen", "accuracy")
"""Packages of ours whose source decides on results."""

_PACKAGES: Final = ("numpy", "scipy", "sympy")


@lru_cache(maxsize=1)
def provenance() -> tuple[str, ...]:
    """Return versions and the digest of the source, each as text.

    Examples
    --------
    >>> [line.split()[0] for line in provenance()]
    ['winograd', 'source', 'numpy', 'scipy', 'sympy']
    """
    ours = (f"winograd {__version__}", f"source {source_digest(files('winograd'))}")
    return (*ours, *(f"{name} {_version(name)}" for name in _PACKAGES))


def source_digest(package: Traversable) -> str:
    """Return SHA-256 of all Python files of `ROOMS`, with their names, as hexadecimal text."""
    digest = hashlib.sha256()
    for room in ROOMS:
        for name, content in _sources(package / room, room):
            digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry.read_bytes()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"
