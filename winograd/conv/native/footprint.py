"""What the native backend takes in memory, to the byte: the transformed filter, and the workspace of a call.

In: sizes of a layer, of a tile of its algorithm, a schedule, threads. Out: bytes, as the compiled kernel allocates them
with AVX-512; narrower vectors take no more. Needs no kernel: plans state their memory before anything is compiled.
The formulas are those of ``plan.c`` in the C target.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

from winograd.conv.native.schedule import NOMINAL_PANEL, Schedule, ScheduleKind

_LINE_BYTES: Final = 64
_POINTER_BYTES: Final = 8
_MOST_THREADS: Final = 1024


@dataclass(frozen=True, slots=True)
class Footprint:
    """The sizes that decide what memory a layer takes.

    Parameters
    ----------
    channels, outputs : int
        Of the layer.
    rank : int
        Products of one tile.
    m, tile : tuple of int
        Outputs and inputs of one tile per axis.
    panel : int
        Outputs that are summed at a time: 32, 16 or 8, by the width of the vectors; half of that for float64.
    number_bytes : int
        Of a number that is computed with: 4, or 8 for float64.

    Examples
    --------
    >>> conv2 = Footprint(channels=64, outputs=128, rank=216, m=(4, 4, 4), tile=(6, 6, 6))
    >>> fused = Schedule(ScheduleKind.FUSED, 9)
    >>> conv2.filter_bytes, conv2.workspace_bytes(fused, threads=2), conv2.workspace_bytes(fused, 2, first="")
    (7077888, 1718080, 1579840)
    """

    channels: int
    outputs: int
    rank: int
    m: tuple[int, ...]
    tile: tuple[int, ...]
    panel: int = NOMINAL_PANEL
    number_bytes: int = 4

    @property
    def _padded(self) -> int:
        return -(-self.outputs // self.panel) * self.panel

    @property
    def filter_bytes(self) -> int:
        """Bytes of the packed filter: outputs are filled up to whole panels."""
        return self.number_bytes * self.rank * self.channels * self._padded

    def workspace_bytes(self, schedule: Schedule, threads: int, first: str = "xy") -> int:
        """Return the bytes of one call: zeros, V and M, and for every thread the vectors, addresses and rows of tiles.

        Parameters
        ----------
        schedule : Schedule
        threads : int
        first : str
            Which of the input "x" and the output "y" have their channels first; both take the most.
        """
        held, own = self._held(schedule), self._scratch + self._lines(self._rows(first)) + self._line
        team = max(min(threads, _MOST_THREADS), 1)
        shared = self._lines(self.channels + self._lanes)
        if schedule.kind is ScheduleKind.FUSED:
            own += held
        else:
            shared += held
        return self.number_bytes * (shared + team * own)

    def largest_block(self, kind: ScheduleKind, threads: int, limit: int) -> int:
        """Return how many tiles may be held at a time within so many bytes of workspace; 0 if not even one."""
        if self.workspace_bytes(Schedule(kind, 1), threads) > limit:
            return 0
        low, high = 1, max(limit // (self.number_bytes * self.rank), 1)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.workspace_bytes(Schedule(kind, middle), threads) <= limit
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    def _held(self, schedule: Schedule) -> int:
        """Return how many numbers V and M of a block have."""
        width = self.panel if schedule.kind is ScheduleKind.FUSED else self._padded
        return self.rank * (self._lines(schedule.block * self.channels) + schedule.block * width + 2 * self._line)

    @property
    def _scratch(self) -> int:
        return self._lines(self.rank * self._lanes) + self._lines(prod(self.tile) * _POINTER_BYTES // self.number_bytes)

    @property
    def _lanes(self) -> int:
        return self.panel // 2

    def _rows(self, first: str) -> int:
        """Return the numbers of the rows of a run of tiles along the width that is transposed at a time."""
        step, inputs = self.m[-1], self.tile[-1]
        run_in = max((2 * self._lanes - inputs) // step + 1, 1)
        run_out = max(self._lanes // step, 1)
        gathered = prod(self.tile[:-1]) * ((run_in - 1) * step + inputs) * self._lanes
        spread = prod(self.m[:-1]) * run_out * step * self._lanes
        return max(gathered if "x" in first else 0, spread if "y" in first else 0)

    @property
    def _line(self) -> int:
        return _LINE_BYTES // self.number_bytes

    def _lines(self, numbers: int) -> int:
        """Return the numbers of whole cache lines that hold these."""
        return -(-numbers // self._line) * self._line
