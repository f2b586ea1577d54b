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
from triton.compiler import CompiledKernel
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


def module_of(nested: object, folder: Path, schedule: str = "staged") -> ModuleType:
    """Return the module of an algorithm; it takes tensors of the CPU, and has a GPU."""
    module = compilable(emit(nested, "triton", schedule=schedule).source, folder)
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


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hopper:
    """Return a GPU that notes what is launched."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(driver, "_active", found := Hopper())
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the kernels that Triton is asked to launch, and what was compiled for them."""
    found: list[object] = []
    run = JITFunction.run

    def noted(self: JITFunction, *arguments: object, **options: object) -> object:
        compiled = run(self, *arguments, **options)
        found.append((self, compiled))
        return compiled

    monkeypatch.setattr(JITFunction, "run", noted)
    return found


class Calls:
    """Calls of one emitted file that are equal, and what each of them launches."""

    def __init__(self, module: ModuleType, card: Hopper) -> None:
        self.module, self.card = module, card
        self.u = module.transform_filter(torch.zeros(17, 16, *module.R), "tf32x3")
        self.x, self.bias = last(torch.zeros(2, 16, 9, 8)), torch.zeros(17)
        self.y = module.run(self.x, self.u, self.bias, 1, precision="tf32x3")
        taken = module.workspace_bytes(self.x.shape, 17, 1, precision="tf32x3")[1] // 2 + 512
        self.workspace = torch.empty(taken, dtype=torch.uint8)  # for a part of the tiles

    def __call__(self) -> list[tuple[object, ...]]:
        self.card.launched.clear()
        more = {"out": self.y, "workspace": self.workspace}
        self.module.run(self.x, self.u, self.bias, 1, precision="tf32x3", **more)
        # Behind grid, stream, function and its metadata stands what profilers are told, a new object every time.
        return [(*map(place_of, one[:6]), *map(place_of, one[7:])) for one in self.card.launched]


@pytest.mark.parametrize(
    ("nested", "schedule", "launches"),
    [(nest(F13, F23), "staged", 6), (nest(F23, F23), "staged", 6), (nest(F23, F23), "fused", 1)],
    ids=str,
)
def test_equal_calls_launch_the_same_without_asking_triton(
    tmp_path: Path, card: Hopper, asked: list, nested, schedule: str, launches: int
) -> None:
    call = Calls(module_of(nested, tmp_path, schedule), card)
    first = call()
    assert len(first) == launches  # two of each kernel where tiles are taken in two batches
    asked.clear()
    assert call() == call() == first
    assert not asked
    call.module._CALLS.clear()
    assert call() == first
    assert len(asked) == launches


def test_a_call_at_other_places_is_compiled_for_them(tmp_path: Path, card: Hopper, asked: list) -> None:
    """Kernels that were compiled for multiples of 16 bytes must not get other places, however equal all else is."""
    call = Calls(module_of(nest(F23, F23), tmp_path), card)
    call()
    before = {kernel: compiled for kernel, compiled in asked if kernel.__name__.endswith("data_kernel")}
    asked.clear()
    call.x = torch.zeros(call.x.numel() + 1)[1:].as_strided(call.x.shape, call.x.stride(), 1)
    call()
    ((kernel, compiled),) = {one for one in asked if one[0].__name__.endswith("data_kernel")}
    assert compiled is not before[kernel]


def refuse(*_: object, **__: object) -> object:
    raise TypeError("function takes exactly 20 arguments (25 given)")


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("__getitem__", None),
        ("__getitem__", lambda *_: refuse),
        ("arg_names", None),
        ("arg_names", ("u", "v") * 40),
    ],
    ids=["no launcher", "another launcher", "no names", "other names"],
)
def test_where_triton_has_no_such_parts_it_is_asked_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: Hopper, asked: list, part: str, other: object
) -> None:
    call = Calls(module_of(nest(F23, F23), tmp_path), card)
    expected = call()
    call.module._CALLS.clear()
    places = {kernel for kernel, _ in asked} if part == "arg_names" else {CompiledKernel}
    for place in places:
        if other is None:
            monkeypatch.delattr(place, part)
        else:
            monkeypatch.setattr(place, part, other)
    for _ in range(3):
        asked.clear()
        assert call() == expected
        assert len(asked) == len(expected)


def test_a_kernel_that_does_not_compile_is_noticed(launches: list, tmp_path: Path) -> None:
    source = emit(nest(F23), "triton").source.replace("inside = (row < rows)", "inside = (row < there)")
    module = compilable(source, tmp_path)
    module._check_tensor = lambda *_: None
    u = module.transform_filter(torch.zeros(1, 1, 3))
    with pytest.raises(Exception, match="there is not defined"):
        module.run(torch.zeros(1, 1, 3), u)
