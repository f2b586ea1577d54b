"""Devices of torch as cards: which GPU a tensor is on, and whether emitted kernels can run there.

In: a device of torch, or what a user calls one. Out: a `Card`, or None for the CPU. Refused: unknown names. For tests,
tensors on the CPU can be taken for those of a card: then kernels run through Triton's interpreter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from winograd.conv.gpu.card import CARDS, LEAST_CAPABILITY, Card, card_named, card_of_driver
from winograd.conv.gpu.loading import has_triton

_pretended: Final[list[Card]] = []


@contextmanager
def pretending(card: Card) -> Iterator[None]:
    """Have tensors on the CPU taken for tensors on a card, whose kernels are interpreted: for tests alone.

    Layers keep their plans: build them anew for it.
    """
    _pretended.append(card)
    try:
        yield
    finally:
        _pretended.pop()


def pretended_card() -> Card | None:
    """Return the card that tensors on the CPU are taken to be on, or None."""
    return _pretended[-1] if _pretended else None


def card_of_tensor(tensor: Any) -> Card | None:
    """Return the card that a tensor is on, or None where it is on none that NVIDIA's driver knows."""
    if tensor.device.type == "cpu":
        return pretended_card()
    return card_of_device(tensor.device.index or 0) if tensor.device.type == "cuda" else None


@lru_cache(maxsize=64)
def card_of_device(index: int) -> Card | None:
    """Return the card with this number, or None where torch was not built for NVIDIA's."""
    import torch

    if torch.version.cuda is None or not torch.cuda.is_available() or index >= torch.cuda.device_count():
        return None
    said: Any = torch.cuda.get_device_properties(index)
    default = getattr(said, "shared_memory_per_block", 49152)
    return card_of_driver(
        said.name,
        (said.major, said.minor),
        said.multi_processor_count,
        said.total_memory,
        l2_bytes=getattr(said, "L2_cache_size", 0),
        shared_bytes=getattr(said, "shared_memory_per_block_optin", default),
        clock_khz=getattr(said, "clock_rate", 0),
        memory_clock_khz=getattr(said, "memory_clock_rate", 0),
        memory_bus_bits=getattr(said, "memory_bus_width", 0),
    )


def numbers_like(card: Card) -> list[int]:
    """Return the numbers of the GPUs here that are such cards, the current one first; driver and data sheet may differ.

    Cards are alike if they have the same name and as many multiprocessors.
    """
    import torch

    if not torch.cuda.is_available():
        return []
    current = torch.cuda.current_device()
    numbers = sorted(range(torch.cuda.device_count()), key=lambda one: one != current)
    found = ((number, card_of_device(number)) for number in numbers)
    return [number for number, one in found if one is not None and _kind(one) == _kind(card)]


def _kind(card: Card) -> tuple[str, int]:
    return card.name, card.multiprocessors


def is_here(card: Card) -> bool:
    """Return whether plans for a card can be measured here: it is one of the GPUs, or pretended."""
    pretended = pretended_card()
    return (pretended is not None and _kind(pretended) == _kind(card)) or bool(numbers_like(card))


def may_run_on(index: int) -> bool:
    """Return whether emitted kernels can run on the card with this number: a fact that compilers may rely on."""
    card = card_of_device(index)
    return card is not None and card.capability >= LEAST_CAPABILITY and has_triton()


# What torch.compiler.assume_constant_result sets, which would import the compiler.
may_run_on._dynamo_marked_constant = True  # type: ignore[attr-defined]


def card_asked_for(device: Any) -> Card | None:
    """Return the card of what a user gave as a device: None and "cpu" for none, a `Card`, its name, torch's device.

    Raises
    ------
    ValueError
        If it is none of these, or "cuda" where there is no GPU.

    Examples
    --------
    >>> card_asked_for("h200").name, card_asked_for("cpu")
    ('NVIDIA H200', None)
    """
    if device is None or isinstance(device, Card):
        return device
    name = str(device).lower()
    kind, _, index = name.partition(":")
    if kind == "cpu":
        return None
    if kind != "cuda":
        return card_named(name)
    found = card_of_device(int(index)) if index.isdecimal() else card_of_device(0) if not index else None
    if found is None:
        raise ValueError(f"device is {name[:40]!r}, there is no such GPU here; cards by name: {', '.join(CARDS)}")
    return found
