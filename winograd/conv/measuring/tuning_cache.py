"""The cache of measured plans on disk: one small JSON file for everything a measurement was asked for.

In: a question, as plain data, and its answer. Out: the answer, in this process or a later one on this machine. Kept
beside the compiled kernels, under the same rules: in ``$WINOGRAD_CACHE_DIR`` or the user's cache directory, private to
the user, an entry published whole by one rename. An entry that is truncated, corrupt or the answer to another question
is as good as none. Refused: nothing; without a usable directory answers are kept in the process, and one warning says
so.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time
from typing import Any, Final

from winograd.codegen.cache import cache_directory, claim, locked

FORMAT: Final = 1
"""Of the entries; those of another format answer nothing."""

_DIRECTORY: Final = "plans"
_MOST_BYTES: Final = 1 << 16
_LOCK: Final = "measuring.lock"
_UNFINISHED: Final = ".writing-"
_FORSAKEN_S: Final = 3600.0

_answers: Final[dict[str, str]] = {}
_first_warning: Final = threading.Lock()  # taken once, never given back

Question = dict[str, Any]
Answer = dict[str, Any]


def find(question: Question) -> Answer | None:
    """Return the answer to a question, or None.

    Parameters
    ----------
    question : dict
        Plain data, as JSON has it, by which the answer is known again.
    """
    key = _key(question)
    if key in _answers:
        kept: Answer = json.loads(_answers[key])
        return kept
    with suppress(OSError):
        return _read(_directory() / f"{key}.json", question)
    return None


def keep(question: Question, answer: Answer) -> None:
    """Keep an answer, in this process and on disk.

    Warns
    -----
    RuntimeWarning
        Once in a process, if there is no usable directory.
    """
    key = _key(question)
    try:
        _publish(_directory() / f"{key}.json", question, answer)
    except OSError as error:
        _answers[key] = json.dumps(answer)
        _warn_unkept(str(error))


def forget(question: Question) -> None:
    """Drop the answer to a question, in this process and on disk, if there is one."""
    key = _key(question)
    _answers.pop(key, None)
    with suppress(OSError):
        (_directory() / f"{key}.json").unlink()


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of all who measure, so that they do not disturb each other; without a directory nobody waits."""
    try:
        lock = locked(_directory() / _LOCK)
        lock.__enter__()
    except (OSError, TimeoutError):
        yield
        return
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def clear() -> int:
    """Forget all answers, in this process and on disk, and return how many files were removed."""
    _answers.clear()
    removed = 0
    with suppress(OSError):
        for path in _directory().glob("*.json"):
            with suppress(OSError):
                path.unlink()
                removed += 1
    return removed


def _directory() -> Path:
    """Return the directory of entries, made ours alone."""
    above = cache_directory()
    if not os.environ.get("WINOGRAD_CACHE_DIR"):
        above = above.parent  # beside the kernels, not among them
    claim(above)
    claim(above / _DIRECTORY)
    return above / _DIRECTORY


def _key(question: Question) -> str:
    return hashlib.sha256(_spelled(question).encode("ascii")).hexdigest()


def _spelled(question: Question) -> str:
    return json.dumps(question, sort_keys=True)


def _read(path: Path, question: Question) -> Answer | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size > _MOST_BYTES:
            return None
        text = file.read(_MOST_BYTES)
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or entry.get("format") != FORMAT or not isinstance(entry.get("answer"), dict):
        return None
    asked = entry.get("question")
    if not isinstance(asked, dict) or _spelled(asked) != _spelled(question):
        return None
    answer: Answer = entry["answer"]
    return answer


def _publish(path: Path, question: Question, answer: Answer) -> None:
    """Write beside the entry and rename into place."""
    text = json.dumps({"format": FORMAT, "question": question, "answer": answer}, indent=1)
    unfinished = path.with_name(f"{_UNFINISHED}{secrets.token_hex(8)}")
    _remove_forsaken(path.parent)
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(text.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _remove_forsaken(directory: Path) -> None:
    """Remove what writers left that were killed."""
    for path in directory.glob(f"{_UNFINISHED}*"):
        with suppress(OSError):
            if time() - path.lstat().st_mtime > _FORSAKEN_S:
                path.unlink()


def _warn_unkept(reason: str) -> None:
    if _first_warning.acquire(blocking=False):
        warnings.warn(
            f"measured plans are kept in this process only: {reason}; set WINOGRAD_CACHE_DIR to a private directory",
            RuntimeWarning,
            stacklevel=3,
        )
