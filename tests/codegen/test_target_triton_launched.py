"""Emitted Triton files on a GPU that is not there: everything but the launch itself is as Triton does it for tensors.

Arguments are bound, made constants where they are 1 or missing, typed, and kernels compiled for compute capability 9.0.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from types import ModuleType

import pytest

from winograd import emit, nest, toom_cook

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

import torch
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from tests.codegen.triton_files import HOPPER, compilable

F13, F23, F43 = toom_cook(1, 3), toom_cook(2, 3), toom_cook(4, 3)


class Hopper:
    """What Triton asks a GPU for before it launches something."""

    def __init__(self) -> None:
        self.launched: list[tuple[object, ...]] = []
        self.utils = self

    def get_device_properties(self, device: int) -> dict[str, int]:
        return {"max_shared_mem": 232448}

    def load_binary(self, name: str, *_: object) -> tuple[object, ...]:
        return "module", name, 100, 0, 1024  # function, registers, spilled, threads

    def launcher_cls(self, source: object, metadata: object) -> object:
        return lambda *arguments: self.launched.append(arguments)

    def get_current_target(self) -> object:
        return HOPPER

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int | None = None) -> int:
        return 0


@pytest.fixture
def launches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int, ...]]]:
    """Names and grids of what would have been launched."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    found: list[tuple[str, tuple[int, ...]]] = []
    run = JITFunction.run

    def compile_only(self: JITFunction, *arguments: object, grid: tuple[int, ...], warmup: bool, **options: object):
        found.append((self.__name__.removeprefix("winograd_").removesuffix("_kernel"), grid))
        run(self, *arguments, grid=grid, warmup=True, **options)  # what it returns cannot be launched

    monkeypatch.setattr(JITFunction, "run", compile_only)
    before = driver._active
    driver.set_active(Hopper())
    yield found
    driver._active = before


def module_of(nested: object, folder: Path) -> ModuleType:
    """Return the module of an algorithm; it takes tensors of the CPU, and has a GPU."""
    module = compilable(emit(nested, "triton").source, folder)
    module._check_tensor = lambda *_: None
    return module


def last(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def place_of(argument: object) -> object:
    return argument.data_ptr() if isinstance(argument, torch.Tensor) else argument


def compilations(kernel: JITFunction) -> int:
    return len(kernel.device_caches[0][0])


@pytest.mark.parametrize(
    ("nested", "shape", "outputs", "dtype", "precision"),
    [
        (nest(F23), (1, 1, 3), 1, torch.float32, "ieee"),
        (nest(F13, F23), (2, 3, 4, 7), 5, torch.float32, "tf32x3"),
        (nest(F13, F23), (2, 64, 4, 8), 64, torch.float16, "float16"),
        (nest(F23, F23), (2, 48, 9, 8), 33, torch.bfloat16, "bfloat16"),
        (nest(F23, F23), (1, 16, 4, 4), 16, torch.float32, "tf32"),
    ],
    ids=str,
)
def test_whatever_the_arguments_are_kernels_compile(
    launches: list, tmp_path: Path, nested, shape: tuple[int, ...], outputs: int, dtype: torch.dtype, precision: str
) -> None:
    module = module_of(nested, tmp_path)
    u = module.transform_filter(torch.zeros(outputs, shape[1], *nested.r, dtype=dtype), precision)
    x = torch.zeros(shape, dtype=dtype)
    for source, more in ((x, {}), (last(x), {"relu": True, "bias": torch.zeros(outputs, dtype=dtype)})):
        y = module.run(source, u, padding=1, precision=precision, **more)
        module.run(source, u, padding=1, precision=precision, residual=y, out=y.clone())
    few = nested.axes[0].m > 1 and precision != "ieee"  # no taps of direct axes, and at most 64 channels
    steps = ["data", "few" if few else "product", "inverse"]
    assert [name for name, _ in launches] == ["filter_kernel_0", *steps * 4]
    assert all(0 < grid[0] < 2**31 for _, grid in launches)


def test_other_sizes_and_further_steps_compile_nothing_again(launches: list, tmp_path: Path) -> None:
    module = module_of(nest(F13, F23), tmp_path)
    u = module.transform_filter(torch.zeros(32, 16, 3, 3))
    for sizes, room in (((8, 16), 2**30), ((8, 16), 2**16), ((24, 48), 2**19)):
        launches.clear()
        module.run(last(torch.zeros(2, 16, *sizes)), u, padding=1, config={"workspace_bytes": room})
        assert (len(launches) > 3) == (room < 2**30)
    kernels = (module.winograd_data_kernel, module.winograd_product_kernel, module.winograd_inverse_kernel)
    assert [compilations(kernel) for kernel in kernels] == [1, 1, 1]


@pytest.mark.parametrize("nested", [nest(F13, F23), nest(F23, F23)], ids=str)
def test_equal_calls_launch_the_same_without_asking_triton(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nested
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(driver, "_active", card := Hopper())
    module = module_of(nested, tmp_path)
    u = module.transform_filter(torch.zeros(17, 16, *nested.r), "tf32x3")
    x, bias = last(torch.zeros(2, 16, 9, 8)), torch.zeros(17)
    y = module.run(x, u, bias, 1, precision="tf32x3")
    workspace = torch.empty(module.workspace_bytes(x.shape, 17, 1, precision="tf32x3")[1] // 2 + 512)

    def launched() -> list[tuple[object, ...]]:
        card.launched.clear()
        module.run(x, u, bias, 1, precision="tf32x3", out=y, workspace=workspace.view(torch.uint8)[: len(workspace)])
        # Behind grid, stream, function and its metadata stands what profilers are told, a new object every time.
        return [(*map(place_of, one[:6]), *map(place_of, one[7:])) for one in card.launched]

    first = launched()
    assert len(first) > 3  # further steps
    asked: list[object] = []
    run = JITFunction.run
    monkeypatch.setattr(JITFunction, "run", lambda self, *a, **k: (asked.append(self), run(self, *a, **k))[1])
    assert launched() == launched() == first
    assert not asked
    module._CALLS.clear()
    assert launched() == first
    assert len(asked) == len(first)


def test_a_kernel_that_does_not_compile_is_noticed(launches: list, tmp_path: Path) -> None:
    source = emit(nest(F23), "triton").source.replace("inside = (row < rows)", "inside = (row < there)")
    module = compilable(source, tmp_path)
    module._check_tensor = lambda *_: None
    u = module.transform_filter(torch.zeros(1, 1, 3))
    with pytest.raises(Exception, match="there is not defined"):
        module.run(torch.zeros(1, 1, 3), u)
