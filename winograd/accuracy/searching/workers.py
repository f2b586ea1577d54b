"""Workers: a function applied to many items, in this process, in others, or on a cluster.

In: a function, items, a number of workers, the name of a joblib backend. Out: results in the order they are finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from winograd.accuracy.arguments import checked_integer

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Workers:
    """Where work is done.

    Parameters
    ----------
    count : int
        Processes; 1 without a backend is this one. A dask cluster takes as many as it has.
    backend : str, optional
        Of joblib: "loky" (the default for several), "threading", "multiprocessing", or "dask" for the cluster that the
        last `dask.distributed.Client` of this process is connected to.

    Raises
    ------
    TypeError, ValueError
        If count is no integer or below 1, or backend is no text.

    Examples
    --------
    >>> sorted(Workers().apply(abs, [-1, 2, -3]))
    [1, 2, 3]
    """

    count: int = 1
    backend: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", checked_integer("workers", self.count, 1))
        if self.backend is not None and not isinstance(self.backend, str):
            raise TypeError(f"backend is {self.backend!r}, must be the name of a joblib backend, or None")

    def apply(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
        """Yield ``function(item)`` of every item, as they are finished; items are taken when there is a worker for one.

        Raises
        ------
        ModuleNotFoundError
            If joblib, or dask for its backend, is not installed.
        ValueError
            If there is no such backend, or no dask client.
        RuntimeError
            If a worker dies.
        """
        if self.count == 1 and self.backend is None:
            yield from map(function, items)
            return
        joblib = _joblib()
        with self._configured(joblib):
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
            try:
                yield from parallel(joblib.delayed(function)(item) for item in items)
            except BrokenExecutor:
                raise RuntimeError("a worker died, killed or out of memory; what was finished is kept") from None

    def _configured(self, joblib: Any) -> Any:
        name = self.backend or "loky"
        if name == "dask":
            _check_dask()
        try:
            return joblib.parallel_config(name, n_jobs=-1 if name == "dask" else self.count)
        except ValueError as error:
            raise ValueError(f"backend is {name!r}: {_first_line(error)}") from None


def _joblib() -> Any:
    try:
        import joblib
    except ModuleNotFoundError:
        message = "workers need joblib, which is not installed: pip install 'winograd[search]'"
        raise ModuleNotFoundError(message, name="joblib") from None
    return joblib


def _check_dask() -> None:
    try:
        from distributed import get_client
    except ModuleNotFoundError:
        message = "backend 'dask' needs distributed, which is not installed: pip install 'winograd[dask]'"
        raise ModuleNotFoundError(message, name="distributed") from None
    try:
        get_client()
    except ValueError:
        raise ValueError("backend is 'dask', but there is no dask.distributed.Client in this process") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
