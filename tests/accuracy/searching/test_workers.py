"""Workers: the same results wherever the work is done, and one line for what is not there."""

from __future__ import annotations

import builtins
from operator import neg
from typing import Any

import pytest

from winograd.accuracy.searching.workers import Workers


@pytest.mark.parametrize(
    "workers", [Workers(), Workers(2), Workers(4), Workers(2, "threading"), Workers(1, "sequential")]
)
def test_every_item_is_done_once(workers: Workers) -> None:
    assert sorted(workers.apply(neg, range(20))) == sorted(map(neg, range(20)))
    assert list(workers.apply(neg, [])) == []


def test_one_worker_takes_items_when_it_is_free() -> None:
    taken = []

    def items() -> Any:
        for number in range(3):
            taken.append(number)
            yield number

    results = Workers().apply(neg, items())
    assert (next(results), taken) == (0, [0])


def test_an_error_of_the_work_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(Workers(2).apply(_invert, [0]))


def _invert(number: int) -> float:
    return 1 / number


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0,), ValueError, "workers is 0, must be at least 1"),
        ((True,), TypeError, "workers is True, must be an integer"),
        ((1.5,), TypeError, r"workers is 1\.5, must be an integer"),
        ((2, 3), TypeError, "backend is 3, must be the name of a joblib backend, or None"),
    ],
)
def test_bad_arguments_are_named(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Workers(*arguments)


def test_an_unknown_backend_is_one_line() -> None:
    with pytest.raises(ValueError, match="backend is 'cloud'") as caught:
        list(Workers(2, "cloud").apply(neg, [1]))
    assert "\n" not in str(caught.value)


def test_dask_without_a_client_is_one_line() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match=r"backend is 'dask', but there is no dask\.distributed\.Client"):
        list(Workers(1, "dask").apply(neg, [1]))


@pytest.mark.parametrize(
    ("workers", "missing", "message"),
    [
        (Workers(2), "joblib", r"workers need joblib.*winograd\[search\]"),
        (Workers(1, "dask"), "distributed", r"backend 'dask' needs distributed.*winograd\[dask\]"),
    ],
)
def test_extras_that_are_not_installed_are_named(
    monkeypatch: pytest.MonkeyPatch, workers: Workers, missing: str, message: str
) -> None:
    imported = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == missing:
            raise ModuleNotFoundError(name=name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModuleNotFoundError, match=message):
        list(workers.apply(neg, [1]))
