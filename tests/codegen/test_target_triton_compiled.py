"""Emitted Triton kernels, compiled for a GPU that need not be there: Triton's compiler takes them and keeps to them."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from winograd import emit, nest, toom_cook
from winograd.codegen.lower import Lowering
from winograd.codegen.nested import count_passes, lower_nested

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

import triton.language as tl

from tests.codegen.triton_files import compilable, compiled, compiled_kernel, machine_code

F444 = nest(*[toom_cook(4, 3)] * 3)
F24 = nest(toom_cook(2, 3), toom_cook(4, 3))
STORED = {"float32": "*fp32", "float16": "*fp16", "bfloat16": "*bf16"}
LANES = 128
EVEN = ("source", "target", "u", "v", "channels", "outputs", "held", "held_c", "held_k", "split")
EVEN_STRIDES = tuple(f"{tensor}_{axis}" for tensor in ("stride", "residual") for axis in "n012")


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))


def transform(module: ModuleType, name: str, stored: str = "*fp32", **constants: object) -> Any:
    """Return the compiled data or inverse transform of a file, for channels-last tensors unless told otherwise."""
    kernel = getattr(module, f"winograd_{name}_kernel")
    chosen = {"LANES": LANES, "BLOCK_C": 64, "INDEX": tl.int32, "stride_c": 1, "residual": None}
    chosen |= {"ROUND": False, "RELU": False} | constants
    chosen = {key: value for key, value in chosen.items() if key in kernel.arg_names}
    inner, outer = ("target", "source") if name == "data" else ("source", "target")
    types = {inner: "*fp32", outer: stored, "bias": stored, "residual": stored}
    even = [one for one in (*EVEN, *EVEN_STRIDES) if one in kernel.arg_names and one not in chosen]
    return compiled_kernel(kernel, types, chosen, even, num_warps=LANES // 32, enable_fp_fusion=False)


def product(module: ModuleType, precision: str, few: bool = False, **constants: object) -> Any:
    """Return the compiled product of a file, or that of few channels, with its default meta-parameters."""
    defaults, prefix = module.DEFAULTS, "few_" if few else ""
    chosen = {f"BLOCK_{one}": defaults[f"{prefix or 'block_'}{one.lower()}"] for one in "TK"}
    chosen |= {"BLOCK_C": defaults["block_c"], "PRECISION": precision, "INDEX": tl.int32, "WHOLE": True}
    chosen |= ({"STEPS": 2} if few else {"SHIFTED": module.TAPS > 1}) | constants
    held = {"float16": "*fp16", "bfloat16": "*bf16"}.get(precision, "*fp32")
    types = {"u": held, "v": held, "target": "*fp32", "split": "i64"}
    options = {"num_warps": defaults[f"{prefix}warps"], "num_stages": defaults[f"{prefix}stages"]}
    return compiled_kernel(
        module.winograd_few_kernel if few else module.winograd_product_kernel,
        types,
        chosen,
        [name for name in EVEN if name not in ("source", "held")],
        enable_fp_fusion=False,
        **options,
    )


def instructions(ptx: str, pattern: str) -> int:
    return len(re.findall(rf"^\s*(?:@\S+ )?{pattern}\s", ptx, re.MULTILINE))


@pytest.mark.parametrize("m", [(4, 4, 4), (1, 4, 4)], ids=str)
def test_transforms_spill_nothing_and_read_every_value_once_a_part(tmp_path: Path, m: tuple[int, ...]) -> None:
    nested = nest(*[toom_cook(outputs, 3) for outputs in m])
    module = compilable(emit(nested, "triton").source, tmp_path)
    positions, outputs = module.POSITIONS, m[0] * m[1] * m[2]
    for name, loads, stores in (("data", positions, positions), ("inverse", positions, outputs)):
        made = transform(module, name, bias=None)
        registers, stack, counts = machine_code(made)
        assert ".target sm_90" in made.asm["ptx"]
        assert (stack, counts["STL"], counts["LDL"]) == (0, 0, 0)
        assert registers <= 168  # three blocks of 128 threads have room
        assert counts["STG"] == stores
        assert loads <= counts["LDG"] <= loads * getattr(module, f"{name.upper()}_PARTS")


@pytest.mark.parametrize("precision", ["tf32x3", "tf32", "float16", "bfloat16"])
def test_products_run_on_the_tensor_cores_of_hopper(tmp_path: Path, precision: str) -> None:
    module = compilable(emit(nest(toom_cook(1, 3), toom_cook(2, 3)), "triton").source, tmp_path)
    kernel = product(module, precision)
    _, stack, counts = machine_code(kernel)
    assert (stack, counts["STL"], counts["LDL"]) == (0, 0, 0)
    assert counts["HGMMA"] > 0 == counts["HMMA"]
    depth = {"float16": 16, "bfloat16": 16}.get(precision, 8)
    rows, outputs, channels, warps = (module.DEFAULTS[one] for one in ("block_t", "block_k", "block_c", "warps"))
    blocks = rows // (16 * warps) * channels // depth
    assert instructions(kernel.asm["ptx"], r"wgmma\.mma_async\S*") == blocks * (3 if precision == "tf32x3" else 1)
    if precision == "tf32x3":
        # What the tensor cores sum for some channels is added to the rest rounded to nearest, one addition a sum.
        assert instructions(kernel.asm["ptx"], r"add\S*f32") == rows * outputs // (32 * warps)
    # Copies to shared memory are of 16 bytes each.
    widths = re.findall(r"cp\.async\S* \[[^\]]*\], \[[^\]]*\], (\w+)", kernel.asm["ptx"])
    assert {int(width, 0) for width in widths} == {16}


def test_the_product_in_float32_uses_multiply_adds(tmp_path: Path) -> None:
    module = compilable(emit(toom_cook(2, 3), "triton").source, tmp_path)
    kernel = product(module, "ieee")
    _, stack, counts = machine_code(kernel)
    assert stack == counts["STL"] == counts["HGMMA"] == counts["HMMA"] == 0 < counts["FFMA"]
    smallest = product(module, "tf32", BLOCK_T=16, BLOCK_K=16, BLOCK_C=16, WHOLE=False, channels=1)
    assert instructions(smallest.asm["ptx"], r"\S*mma\S*tf32\S*") > 0


@pytest.mark.parametrize("fma", [True, False])
def test_multiply_adds_are_those_of_the_programs(tmp_path: Path, fma: bool) -> None:
    lowering = Lowering(fma=fma)
    nested = nest(toom_cook(4, 3), toom_cook(4, 3))
    passes = lower_nested(nested, lowering)
    alone = compilable(emit(nested, "triton", stage="all", lowering=lowering).source, tmp_path)
    whole = compilable(emit(nested, "triton", lowering=lowering).source, tmp_path)
    for stage, kinds in (("data", passes.data), ("inverse", passes.inverse)):
        ((_, ptx),) = assembly(alone, stage.upper())
        counts = count_passes(kinds)
        for one in (ptx, transform(whole, stage, bias=None).asm["ptx"]):
            assert instructions(one, r"fma\S*f32") == counts.fused
            assert (counts.fused > 0) == fma
            # Multiplications by powers of two may become additions or shifts, and negations be free; an output is
            # added to a bias, which is 0 here.
            added = 16 if one is not ptx and stage == "inverse" else 0
            assert instructions(one, r"(?:add|sub|mul|neg)\S*f32") <= counts.additions + counts.multiplications + added
    ((_, ptx),) = assembly(alone, "FILTER")
    assert instructions(ptx, r"fma\S*f64") == 0
    assert instructions(ptx, r"mul\S*f64") > 0


def assembly(module: ModuleType, stage: str, stored: str = "*fp32", form: str = "ptx") -> Iterator[tuple[str, str]]:
    """Yield the names of the kernels of a transform by itself, in the launcher's types, and a compiled form."""
    table = getattr(module, f"{stage}_KERNELS")
    wide = "*fp64" if stage == "FILTER" else "*fp32"
    for number, (kernel, _) in enumerate(table):
        types = {"source": stored if number == 0 else wide, "target": "*fp32" if number + 1 == len(table) else wide}
        options = {"num_warps": module.LANES // 32, "enable_fp_fusion": False}
        yield kernel.__name__, compiled(kernel, types, {"BLOCK": module.LANES}, **options)[form]


@pytest.mark.parametrize(("dtype", "stored"), [("float16", "f16"), ("bfloat16", "bf16")])
def test_16_bits_are_rounded_to_nearest_and_by_the_store_alone(tmp_path: Path, dtype: str, stored: str) -> None:
    module = compilable(emit(F24, "triton", dtype=dtype).source, tmp_path)
    for name, outputs in (("data", 0), ("inverse", 2 * 4)):
        ptx = transform(module, name, STORED[dtype]).asm["ptx"]
        assert instructions(ptx, rf"cvt\.rn\.{stored}(?:x2)?\.f32") == outputs
        assert not instructions(ptx, r"(?:add|mul|fma)\S*f16(?:x2)?")


def test_arguments_that_are_1_or_missing_compile(tmp_path: Path) -> None:
    # Triton makes constants of them.
    module = compilable(emit(toom_cook(2, 3), "triton").source, tmp_path)
    ones = dict.fromkeys(("channels", "held", "stride_n", "stride_c", "stride_2"), 1)
    for name in ("data", "inverse"):
        assert transform(module, name, bias=None, BLOCK_C=1, **ones)
    assert transform(module, "inverse", residual_n=1, residual_c=1)
    assert product(module, "ieee", channels=1, held_c=1, held_k=1, outputs=1, BLOCK_K=16, BLOCK_C=16, WHOLE=False)
    assert dict(assembly(module, "FILTER"))


NARROW_PRODUCT = re.compile(r"arith\.muli .* : tensor<[^,>]*xi32\b")
"""Of numbers that differ between threads; numbers that a program has one of are extended, or small."""


def test_places_are_of_64_bits_where_they_have_to_be(tmp_path: Path) -> None:
    module = compilable(emit(nest(toom_cook(1, 3), toom_cook(2, 3)), "triton").source, tmp_path)
    for index, wide in ((tl.int64, True), (tl.int32, False)):
        forms = [transform(module, name, INDEX=index).asm["ttgir"] for name in ("data", "inverse")]
        forms.append(product(module, "ieee", INDEX=index).asm["ttgir"])
        assert all(bool(NARROW_PRODUCT.search(form)) != wide for form in forms)
