"""Extras: which of them installs a module that is not here, and the one line that says so.

In: names of modules. Out: nothing, or the module. Refused: modules that are not installed, with what installs them.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType
from typing import Final

EXTRAS: Final = {
    "av": "video",
    "distributed": "dask",
    "joblib": "search",
    "matplotlib": "plot",
    "ml_dtypes": "search",
    "scipy": "search",
    "torch": "torch",
    "tqdm": "search",
}
"""Modules that some of the toolkit needs, and the extras of ``pip install winograd[...]`` that they come with."""


def require(*modules: str) -> None:
    """Refuse what is not installed before any work is done.

    Raises
    ------
    ModuleNotFoundError
        Naming the first module that is missing and the extra that installs it.
    """
    for module in modules:
        if find_spec(module) is None:
            raise ModuleNotFoundError(not_installed(module), name=module)


def not_installed(module: str) -> str:
    """Return the line on a module that is missing.

    Examples
    --------
    >>> not_installed("av")
    "av is not installed: pip install 'winograd[video]'"
    """
    return f"{module} is not installed: pip install 'winograd[{EXTRAS[module]}]'"


def load(module: str) -> ModuleType:
    """Import a module of the toolkit.

    Raises
    ------
    ModuleNotFoundError
        Naming the extra, where what it imports comes with one and is missing.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(error.name or "")
        if extra is None:
            raise
        message = f"{module} needs {error.name}, which is not installed: pip install 'winograd[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
