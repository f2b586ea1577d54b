"""Workers: a function applied to many items, in this process, in others, or on a cluster.

In: a function, items, a number of workers, the name of a joblib backend or "dask". Out: results in the order they are
finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from winograd.accuracy.arguments import checked_integer

Item = TypeVar("Item")
Value = TypeVar("Value")

MOST_WORKERS: Final = 4096

_AHEAD: Final = 2
"""Items that a cluster has for each of its processes, so that none waits for the next."""

_FIT: Final = "loky, threading, sequential or dask"
_UNFIT: Final = ("multiprocessing",)
"""Backends that joblib's generators do not work with."""

_LOST: Final = ("KilledWorker", "CommClosedError", "FutureCancelledError", "CancelledError")
"""Names of the errors of dask when a worker or the scheduler is gone; distributed may not be installed."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Where work is done.

    Parameters
    ----------
    count : int
        Processes; 1 without a backend is this one. A dask cluster takes as many as it has.
    backend : str, optional
        Of joblib: "loky" (the default for several), "threading", "sequential", or "dask" for the cluster that the last
        `dask.distributed.Client` of this process is connected to.

    Raises
    ------
    TypeError, ValueError
        If count is no integer, below 1 or above 4096, or backend is no text or one that cannot return results as they
        are finished.

    Examples
    --------
    >>> sorted(Workers().apply(abs, [-1, 2, -3]))
    [1, 2, 3]
    """

    count: int = 1
    backend: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", checked_integer("workers", self.count, 1, MOST_WORKERS))
        if self.backend is not None and not isinstance(self.backend, str):
            raise TypeError(f"backend is {self.backend!r}, must be the name of a joblib backend, or None")
        if self.backend in _UNFIT:
            raise ValueError(f"backend is {self.backend!r}, which returns nothing before all is done; must be {_FIT}")

    def apply(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
        """Yield ``function(item)`` of every item, as they are finished; items are taken when there is a worker for one.

        Raises
        ------
        ModuleNotFoundError
            If joblib, or for its backend dask, is not installed.
        ValueError
            If there is no such backend, or no dask client.
        RuntimeError
            If a worker dies, or the cluster is lost.
        """
        if self.count == 1 and self.backend is None:
            yield from map(function, items)
        elif self.backend == "dask":
            yield from _on_cluster(function, items)
        else:
            yield from self._in_processes(function, items)

    def _in_processes(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
        joblib = _joblib()
        with self._configured(joblib):
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
            try:
                yield from parallel(joblib.delayed(function)(item) for item in items)
            except BrokenExecutor:
                raise RuntimeError("a worker died, killed or out of memory; what was finished is kept") from None

    def _configured(self, joblib: Any) -> Any:
        name = self.backend or "loky"
        try:
            return joblib.parallel_config(name, n_jobs=self.count)
        except ValueError as error:
            raise ValueError(f"backend is {name!r}: {_first_line(error)}") from None


def _on_cluster(function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
    """Yield results from the cluster of the current client; of joblib's backend a worker that dies is never heard."""
    distributed, client = _dask()
    remaining = iter(items)
    waiting = [client.submit(function, item, pure=False) for item in islice(remaining, _AHEAD * _processes(client))]
    finished = distributed.as_completed(waiting)
    try:
        for future in finished:
            result = future.result()
            for item in islice(remaining, 1):
                finished.add(client.submit(function, item, pure=False))
            yield result
    except Exception as error:
        if type(error).__name__ not in _LOST:
            raise
        message = f"the dask cluster lost a worker or its scheduler ({type(error).__name__})"
        raise RuntimeError(f"{message}; what was finished is kept") from None
    finally:
        finished.clear()  # what nobody holds any longer is not computed


def _processes(client: Any) -> int:
    """Return how many items the cluster computes at a time; at least one, as workers may come later."""
    cores: int = sum(client.ncores().values())
    return max(1, cores)


def _joblib() -> Any:
    try:
        import joblib
    except ModuleNotFoundError:
        message = "workers need joblib, which is not installed: pip install 'winograd[search]'"
        raise ModuleNotFoundError(message, name="joblib") from None
    return joblib


def _dask() -> tuple[Any, Any]:
    """Return the package and the current client."""
    try:
        import distributed
    except ModuleNotFoundError:
        message = "backend 'dask' needs distributed, which is not installed: pip install 'winograd[dask]'"
        raise ModuleNotFoundError(message, name="distributed") from None
    try:
        return distributed, distributed.get_client()
    except ValueError:
        raise ValueError("backend is 'dask', but there is no dask.distributed.Client in this process") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
