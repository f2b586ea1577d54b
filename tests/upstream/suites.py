"""PyTorch's own test suites, imported without what importing them does to the process.

In: `torch.testing._internal` of the installed torch. Out: its modules, as attributes. Refused: nothing.
Importing them loads a hypothesis profile of PyTorch's, which also takes the name of ours, forbids setting
`torch.backends` flags for good, and sets environment variables; all of that is put back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from hypothesis import settings


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put back hypothesis' profile, torch's flags and the environment after the block."""
    name, environment = settings.get_current_profile_name(), dict(os.environ)
    profile, frozen = settings.get_profile(name), torch.backends.flags_frozen()
    try:
        yield
    finally:
        settings.register_profile(name, profile)
        settings.load_profile(name)
        torch.backends.__allow_nonbracketed_mutation_flag = not frozen
        os.environ.clear()
        os.environ.update(environment)


with undisturbed():
    from torch.testing._internal import (
        common_device_type,
        common_methods_invocations,
        common_modules,
        common_utils,
        composite_compliance,
    )

__all__ = [
    "common_device_type",
    "common_methods_invocations",
    "common_modules",
    "common_utils",
    "composite_compliance",
    "undisturbed",
]
