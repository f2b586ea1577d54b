"""Emitted Triton kernels, compiled for a GPU that need not be there: Triton's compiler takes them and keeps to them."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from winograd import emit, nest, toom_cook
from winograd.codegen.lower import Lowering
from winograd.codegen.nested import count_passes, lower_nested

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

from tests.codegen.triton_files import compilable, compiled

F444 = nest(*[toom_cook(4, 3)] * 3)
STORED = {"float32": "*fp32", "float16": "*fp16", "bfloat16": "*bf16"}
STAGES = ("FILTER", "DATA", "INVERSE")


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))


def assembly(
    module: ModuleType, stages: tuple[str, ...], stored: str, *, form: str = "ptx", **arguments: object
) -> Iterator[tuple[str, str]]:
    """Yield the names of the kernels of transforms, in the types that the launcher gives them, and a compiled form."""
    for stage in stages:
        table = getattr(module, f"{stage}_KERNELS")
        wide = "*fp64" if stage == "FILTER" else "*fp32"
        for number, (kernel, _) in enumerate(table):
            first, last = number == 0, number + 1 == len(table)
            types = {
                "source": ("*fp32" if stage == "INVERSE" else stored) if first else wide,
                "target": (stored if stage == "INVERSE" else "*fp32") if last else wide,
                "bias": stored,
            }
            constants = {"BLOCK": module.LANES} | {
                name: arguments[name] for name in kernel.arg_names if name in arguments
            }
            options = {"num_warps": module.LANES // 32, "enable_fp_fusion": False}
            yield kernel.__name__, compiled(kernel, types, constants, **options)[form]


def instructions(ptx: str, pattern: str) -> int:
    return len(re.findall(rf"^\s*(?:@\S+ )?{pattern}\s", ptx, re.MULTILINE))


def test_every_kernel_of_f444_compiles(tmp_path: Path) -> None:
    module = compilable(emit(F444, "triton").source, tmp_path)
    found = dict(assembly(module, STAGES, "*fp32"))
    assert sorted(found) == sorted(f"winograd_{stage.lower()}_kernel_{n}" for stage in STAGES for n in range(2))
    assert all(".target sm_90" in ptx for ptx in found.values())


def product(module: ModuleType, blocks: tuple[int, int, int], channels: int, precision: str) -> dict[str, str]:
    constants = dict(zip(("BLOCK_K", "BLOCK_T", "BLOCK_C"), blocks, strict=True))
    constants |= {"CHANNELS": channels, "INPUT_PRECISION": precision}
    types = dict.fromkeys(("u", "v", "target"), "*fp32")
    return compiled(module.winograd_product_kernel, types, constants, enable_fp_fusion=False)


def test_the_product_compiles_in_every_precision(tmp_path: Path) -> None:
    module = compilable(emit(toom_cook(2, 3), "triton").source, tmp_path)
    tensor_cores = r"\S*mma\S*tf32\S*"
    ieee, once, thrice = (product(module, module.PRODUCT_BLOCK, 64, name)["ptx"] for name in ("ieee", "tf32", "tf32x3"))
    assert instructions(ieee, tensor_cores) == 0 < instructions(ieee, r"fma\.rn\.f32")
    assert instructions(thrice, tensor_cores) == 3 * instructions(once, tensor_cores) > 0
    smallest = product(module, (16, 16, 16), 35, "tf32")["ptx"]
    assert instructions(smallest, tensor_cores) > 0


@pytest.mark.parametrize("fma", [True, False])
def test_multiply_adds_are_those_of_the_programs(tmp_path: Path, fma: bool) -> None:
    lowering = Lowering(fma=fma)
    nested = nest(toom_cook(4, 3), toom_cook(4, 3))
    module = compilable(emit(nested, "triton", stage="all", lowering=lowering).source, tmp_path)
    passes = lower_nested(nested, lowering)
    for stage, kinds in (("DATA", passes.data), ("INVERSE", passes.inverse)):
        ((_, ptx),) = assembly(module, (stage,), "*fp32")
        counts = count_passes(kinds)
        assert instructions(ptx, r"fma\S*f32") == counts.fused
        assert (counts.fused > 0) == fma
        # Multiplications by powers of two may become additions or shifts, and negations be free.
        assert instructions(ptx, r"(?:add|sub|mul|neg)\S*f32") <= counts.additions + counts.multiplications
    ((_, ptx),) = assembly(module, ("FILTER",), "*fp32")
    assert instructions(ptx, r"fma\S*f64") == 0
    assert instructions(ptx, r"mul\S*f64") > 0


@pytest.mark.parametrize(("dtype", "stored"), [("float16", "f16"), ("bfloat16", "bf16")])
def test_16_bits_are_rounded_to_nearest_and_by_the_store_alone(tmp_path: Path, dtype: str, stored: str) -> None:
    module = compilable(emit(nest(toom_cook(2, 3), toom_cook(4, 3)), "triton", dtype=dtype).source, tmp_path)
    found = dict(assembly(module, STAGES, STORED[dtype]))
    narrowings = {name: instructions(ptx, rf"cvt\.rn\.{stored}(?:x2)?\.f32") for name, ptx in found.items()}
    assert narrowings == {
        "winograd_filter_kernel_0": 0,
        "winograd_data_kernel_0": 0,
        "winograd_inverse_kernel_0": 2 * 4,
    }
    assert not any(instructions(ptx, r"(?:add|mul|fma)\S*f16(?:x2)?") for ptx in found.values())


def test_arguments_that_are_1_or_missing_compile(tmp_path: Path) -> None:
    # Triton makes constants of them.
    module = compilable(emit(toom_cook(2, 3), "triton").source, tmp_path)
    names = ("lanes", "blocks", "channels", "tiles", "first", "tiles0", "tiles1", "size0", "size1", "pad2", "filters")
    ones = dict.fromkeys(names, 1) | {"bias": None}
    assert len(dict(assembly(module, STAGES, "*fp32", **ones))) == 3


NARROW_PRODUCT = re.compile(r"arith\.muli .* : (?:i32|tensor<\S*xi32>)")


def test_places_are_of_64_bits(tmp_path: Path) -> None:
    source = emit(nest(toom_cook(2, 3), toom_cook(4, 3)), "triton").source
    for text, wide in ((source, True), (source.replace("lanes = tl.cast(lanes, tl.int64)", "lanes += 0"), False)):
        found = dict(assembly(compilable(text, tmp_path), STAGES, "*fp32", form="ttir"))
        assert wide == (not any(NARROW_PRODUCT.search(ttir) for ttir in found.values()))
    module = compilable(source, tmp_path)
    assert not NARROW_PRODUCT.search(product(module, (16, 16, 16), 2**20, "ieee")["ttir"])
