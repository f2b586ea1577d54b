"""Names in generated code: what may name a kernel.

In: a name. Out: the same name, an identifier in C and in Python. Refused: everything else, keywords of both included.
"""

from __future__ import annotations

import keyword
import re
from typing import Final

MAX_NAME_LENGTH: Final = 64
"""Longest name of a kernel, in characters."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED_IN_C = re.compile(r"__.*|_[A-Z].*", re.ASCII)
# fmt: off
_C_KEYWORDS: Final = frozenset({
    "alignas", "alignof", "asm", "auto", "bool", "break", "case", "char", "const", "constexpr", "continue",
    "default", "do", "double", "else", "enum", "extern", "false", "float", "for", "goto", "if", "inline", "int",
    "long", "nullptr", "register", "restrict", "return", "short", "signed", "sizeof", "static", "static_assert",
    "struct", "switch", "thread_local", "true", "typedef", "typeof", "typeof_unqual", "union", "unsigned",
    "void", "volatile", "while",
})
# fmt: on


def checked_name(name: str) -> str:
    """Return the name of a kernel if generated code may carry it.

    Parameters
    ----------
    name : str
        A letter or underscore, then letters, digits and underscores, ASCII, at most `MAX_NAME_LENGTH` characters; no
        keyword of C or Python, and none that C reserves (``_X...`` and ``__...``), with an underscore behind
        it as in names that derive from it.

    Raises
    ------
    TypeError
        If it is no text.
    ValueError
        If it is not such a name.

    Examples
    --------
    >>> checked_name("winograd_f4x3")
    'winograd_f4x3'
    >>> checked_name("class")
    Traceback (most recent call last):
    ...
    ValueError: name 'class' is a keyword; add a prefix or a suffix
    """
    if not isinstance(name, str):
        raise TypeError(f"name is a {type(name).__name__}, must be text")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"name of {len(name)} characters, at most {MAX_NAME_LENGTH} are allowed")
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"name {name!a} is no identifier: a letter, then letters, digits and underscores are allowed")
    if keyword.iskeyword(name) or name in _C_KEYWORDS:
        raise ValueError(f"name {name!r} is a keyword; add a prefix or a suffix")
    if _RESERVED_IN_C.fullmatch(f"{name}_"):  # what names derived from it begin with
        raise ValueError(f"name {name!r} is reserved in C; begin it with a letter")
    return name
