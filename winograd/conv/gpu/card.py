"""`Card`: a GPU as the cost model sees it, and the cards that plans can be made for without having one.

In: a name, or what a driver says of a device. Out: a `Card`. Refused: unknown names, rates that are not above 0.
Rates are those of the vendor's data sheets, dense, without sparsity; what kernels attain of them is said in
`winograd.conv.gpu.roofline`.

References
----------
NVIDIA H100 Tensor Core GPU data sheet (2023), H200 data sheet (2023), A100 80GB data sheet (2021), L40S data sheet
(2023), Ada GPU architecture white paper (2022); shared memory of a block: CUDA C++ programming guide, table of
technical specifications per compute capability.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

GIB: Final = 1 << 30
MIB: Final = 1 << 20

LEAST_CAPABILITY: Final = (8, 0)
"""Compute capability from which on tensor cores take TF32, which the products need."""


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU: sizes and peak rates.

    Parameters
    ----------
    name : str
        Of the product.
    capability : (int, int)
        Compute capability.
    multiprocessors : int
    memory_bytes, l2_bytes, shared_bytes : int
        Of the card, of its level-2 cache, and shared memory that one block may have.
    memory_gbs : float
        10^9 bytes per second between memory and level 2.
    float32_tflops, tf32_tflops, half_tflops : float
        10^12 operations per second, a multiply-add counting as two: without tensor cores, and with them for TF32 and
        for float16 and bfloat16 with float32 sums.

    Raises
    ------
    ValueError
        If a number is not above 0.
    """

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    memory_bytes: int
    l2_bytes: int
    shared_bytes: int
    memory_gbs: float
    float32_tflops: float
    tf32_tflops: float
    half_tflops: float

    def __post_init__(self) -> None:
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} of {self.name} is {value}, must be above 0")

    @property
    def label(self) -> str:
        """Name and compute capability."""
        return f"{self.name} (sm_{self.capability[0]}{self.capability[1]})"


_H100: Final = Card("NVIDIA H100 80GB HBM3", (9, 0), 132, 80 * GIB, 50 * MIB, 232448, 3352, 66.9, 494.7, 989.4)
_A100: Final = Card("NVIDIA A100-SXM4-80GB", (8, 0), 108, 80 * GIB, 40 * MIB, 166912, 2039, 19.5, 155.9, 311.9)

CARDS: Final[Mapping[str, Card]] = MappingProxyType(
    {
        "h100": _H100,
        "h100-pcie": Card("NVIDIA H100 PCIe", (9, 0), 114, 80 * GIB, 50 * MIB, 232448, 2039, 51.2, 378.0, 756.0),
        "h200": replace(_H100, name="NVIDIA H200", memory_bytes=141 * GIB, l2_bytes=60 * MIB, memory_gbs=4800),
        "a100": _A100,
        "a100-40gb": replace(_A100, name="NVIDIA A100-SXM4-40GB", memory_bytes=40 * GIB, memory_gbs=1555),
        "l40s": Card("NVIDIA L40S", (8, 9), 142, 48 * GIB, 96 * MIB, 101376, 864, 91.6, 183.0, 362.0),
        "rtx-4090": Card(
            "NVIDIA GeForce RTX 4090", (8, 9), 128, 24 * GIB, 72 * MIB, 101376, 1008, 82.6, 82.6, 165.2
        ),
    }
)  # fmt: skip
"""Cards by the names that `winograd.plan_conv` takes for ``device``."""

_PER_CLOCK: Final = {(8, 0): (128, 1024, 2048), (8, 6): (256, 256, 512), (8, 9): (256, 512, 1024)}
"""Operations of a multiprocessor per clock by compute capability: float32, TF32, float16 with float32 sums."""

_HOPPER_PER_CLOCK: Final = (256, 2048, 4096)


def card_named(name: str) -> Card:
    """Return the card of a name, such as "h100"; large letters are as good as small ones.

    Raises
    ------
    ValueError
        If the name is unknown, with the known ones.

    Examples
    --------
    >>> card_named("H200").memory_gbs / card_named("h100").memory_gbs > 1.4
    True
    """
    found = CARDS.get(name.lower())
    if found is not None:
        return found
    near = get_close_matches(name.lower(), CARDS, n=1, cutoff=0.6)
    advice = f"; nearest: {near[0]}" if near else ""
    raise ValueError(f"device is {name[:40]!r}, must be one of {_names()}{advice}")


def _names() -> str:
    return ", ".join(("cpu", "cuda", *CARDS))


def card_of_driver(
    name: str,
    capability: tuple[int, int],
    multiprocessors: int,
    memory_bytes: int,
    *,
    l2_bytes: int,
    shared_bytes: int,
    clock_khz: int,
    memory_clock_khz: int,
    memory_bus_bits: int,
) -> Card:
    """Return the card that a driver describes: with the rates of its data sheet where it is known, else computed.

    Parameters
    ----------
    name, capability, multiprocessors, memory_bytes, l2_bytes, shared_bytes
        As in `Card`, as the driver has them.
    clock_khz, memory_clock_khz, memory_bus_bits : int
        0 where the driver does not say.

    Examples
    --------
    >>> said = dict(l2_bytes=52428800, shared_bytes=232448, clock_khz=0, memory_clock_khz=0, memory_bus_bits=0)
    >>> card_of_driver("NVIDIA H100 80GB HBM3", (9, 0), 132, 85 * 10**9, **said).tf32_tflops
    494.7
    """
    own: dict[str, Any] = {
        "name": name,
        "capability": capability,
        "multiprocessors": multiprocessors,
        "memory_bytes": memory_bytes,
    }
    own |= {"l2_bytes": l2_bytes or 4 * MIB, "shared_bytes": shared_bytes or 49152}
    known = next((card for card in CARDS.values() if card.name == name), None)
    if known is not None and known.multiprocessors == multiprocessors:
        return replace(known, **own)
    per_clock = _PER_CLOCK.get(capability, _HOPPER_PER_CLOCK if capability >= (9, 0) else _PER_CLOCK[8, 0])
    clocks = multiprocessors * (clock_khz or 1_500_000) * 1000 / 1e12
    gbs = 2 * memory_clock_khz * 1000 * memory_bus_bits / 8 / 1e9
    plain, tf32, half = (operations * clocks for operations in per_clock)
    return Card(**own, memory_gbs=gbs or 600.0, float32_tflops=plain, tf32_tflops=tf32, half_tflops=half)
