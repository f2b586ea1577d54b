"""Triton convolutions in one kernel, compiled for a GPU that need not be there: registers, memory, tensor cores."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from winograd import emit, nest, toom_cook
from winograd.algebra.nesting import NestedAlgorithm

if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("triton has wheels for Linux on x86-64 and 64-bit Arm alone", allow_module_level=True)

import triton
import triton.language as tl
from triton.compiler import ASTSource

from tests.codegen.triton_files import HOPPER, compilable

F1, F2, F4 = (toom_cook(m, 3) for m in (1, 2, 4))
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
SHARED_BYTES = 227 * 1024
"""What a block may have at compute capability 9.0."""
U = {"float16": "*fp16", "bfloat16": "*bf16"}


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))


def compiled(
    nested: NestedAlgorithm, folder: Path, precision: str, *, stored: str = "*fp32", index: tl.dtype = tl.int32
):
    """Return the kernel with the default meta-parameters, for channels that lie next to each other, as `run` has it."""
    module = compilable(emit(nested, "triton", schedule="fused").source, folder)
    kernel, chosen = module.winograd_fused_kernel, module.DEFAULTS
    constants = {"WHOLE": True, "RELU": True, "PRECISION": precision, "INDEX": index}
    constants |= {f"BLOCK_{name.upper()}": chosen[f"block_{name}"] for name in "tkc"}
    constants |= {f"{tensor}_c": 1 for tensor in ("source", "target", "residual")}
    types = {"u": U.get(precision, "*fp32")} | dict.fromkeys(("source", "target", "bias", "residual"), stored)
    signature = {name: types.get(name, "i32") for name in kernel.arg_names} | dict.fromkeys(constants, "constexpr")
    aligned = (*types, "channels", "outputs", "held", *(f"{t}_{n}" for t in ("source", "target") for n in "n012"))
    attributes = {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    options = {"num_warps": chosen["warps"], "num_stages": chosen["stages"], "enable_fp_fusion": False}
    return triton.compile(ASTSource(kernel, signature, constants, attributes), target=HOPPER, options=options)


def resources(found, folder: Path) -> dict[str, int]:
    """Return the registers, and the bytes of a stack, that the machine code of a kernel takes."""
    binary = folder / "kernel.cubin"
    binary.write_bytes(found.asm["cubin"])
    text = subprocess.run([CUOBJDUMP, "--dump-resource-usage", binary], capture_output=True, text=True, check=True)
    return {name: int(count) for name, count in re.findall(r"(REG|STACK|LOCAL):(\d+)", text.stdout)}


def instructions(ptx: str, pattern: str) -> int:
    return len(re.findall(rf"^\s*(?:@\S+ )?{pattern}\s", ptx, re.MULTILINE))


@pytest.mark.parametrize(
    ("axes", "precision", "stored"),
    [((F1, F1, F2), "tf32x3", "*fp32"), ((F1, F1, F4), "ieee", "*fp32"), ((F1, F2, F2), "float16", "*fp16")],
)
def test_everything_stays_in_registers(tmp_path: Path, axes: tuple, precision: str, stored: str) -> None:
    found = compiled(nest(*axes), tmp_path, precision, stored=stored)
    used = resources(found, tmp_path)
    assert used["REG"] <= 255
    assert used["STACK"] == used["LOCAL"] == 0
    assert found.metadata.shared <= SHARED_BYTES
    ptx = found.asm["ptx"]
    assert (instructions(ptx, r"wgmma\.mma_async\S*") > 0) == (precision != "ieee")
    # Tiles and filters are copied to shared memory while products are taken, and several outputs are stored at once.
    assert instructions(ptx, r"cp\.async\.c[ag]\S*") > 0
    assert instructions(ptx, r"st\.global\S*\.v[24]\S*") > 0


def test_larger_blocks_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from winograd.codegen.targets.triton import fused_space

    large = fused_space.Space(block_k=(64,), block_t=(64,), block_c=(16,), warps=(4,), stages=(1,))
    monkeypatch.setattr(fused_space, "_SPACES", ((16, large),))
    found = compiled(nest(F1, F1, F4), tmp_path, "tf32x3")
    assert resources(found, tmp_path)["STACK"] > 0


def test_partial_sums_of_tf32x3_are_added_outside_the_tensor_cores(tmp_path: Path) -> None:
    """A tensor core cuts every sum off: what the prediction says of blocks of channels is so in the code."""
    nested = nest(F2)
    ptx = {name: compiled(nested, tmp_path, name).asm["ptx"] for name in ("tf32", "tf32x3")}
    mma = {name: instructions(text, r"wgmma\.mma_async\S*tf32\.tf32") for name, text in ptx.items()}
    assert mma["tf32x3"] == 3 * mma["tf32"] > 0
    assert instructions(ptx["tf32x3"], r"cvt\.rna\.tf32\.f32") > 0
    module = compilable(emit(nested, "triton", schedule="fused").source, tmp_path)
    sums = 4 * module.DEFAULTS["block_k"] * module.DEFAULTS["block_t"] // (32 * module.DEFAULTS["warps"])
    added, once = (instructions(ptx[name], r"add\.(?:rn\.)?f32") for name in ("tf32x3", "tf32"))
    assert added - once >= sums  # each thread adds each of its sums once more


def test_places_are_of_64_bits_where_they_have_to_be(tmp_path: Path) -> None:
    nested = nest(F2)
    for index, width in ((tl.int64, "i64"), (tl.int32, "i32")):
        text = compiled(nested, tmp_path, "tf32", index=index).asm["ttir"]
        offsets = set(re.findall(r"tt\.addptr .*, tensor<[\dx]*x(i\d\d)>", text))
        assert width in offsets
        narrow = [line for line in text.splitlines() if re.search(r"tt\.addptr .*xi32>", line)]
        # The bias is read at the number of an output.
        assert len(narrow) <= 1 or index is tl.int32
