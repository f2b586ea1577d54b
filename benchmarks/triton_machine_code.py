"""What a GPU of compute capability 9.0 is given to do by emitted Triton kernels, read from their machine code.

    python benchmarks/triton_machine_code.py [--layer NAME ...] [--precision P] [--products] [--json FILE]

In: layers of C3D and R3D-18 at batch 32, F(4x4x4,3x3x3). Out: for each kernel that a call launches its registers,
shared memory, and instructions by class; for products the cycles that one pass through the loop takes of the tensor
cores, of shared memory and of the issue of instructions. No GPU takes part: Triton compiles for one, and its own
nvdisasm reads the result. Nothing here is measured.

A multiprocessor of compute capability 9.0 issues four instructions of warps in a cycle, moves 128 bytes to or from
shared memory, and multiplies 1024 pairs of TF32 or 2048 of 16 bits (NVIDIA H100 Tensor Core GPU Architecture, 2022;
CUDA C++ programming guide, compute capability 9.0).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import util
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from winograd import emit, nest, toom_cook
from winograd.artefact import write_atomically

LAYERS = {
    "conv2": ((32, 64, 16, 56, 56), 128),
    "conv3a": ((32, 128, 8, 28, 28), 256),
    "conv3b": ((32, 256, 8, 28, 28), 256),
    "conv4a": ((32, 256, 4, 14, 14), 512),
    "conv4b": ((32, 512, 4, 14, 14), 512),
    "r3d 64": ((32, 64, 16, 56, 56), 64),
}
"""Shape of the input and outputs."""

PRECISIONS = ("ieee", "tf32x3", "tf32", "float16", "bfloat16")

CLASSES = {
    "tensor": ("HGMMA",),
    "float": ("FFMA", "FADD", "FMUL"),
    "global": ("LDG", "STG", "LDGSTS"),
    "shared": ("LDS", "LDSM", "STS"),
    "predicate": ("ISETP", "PLOP3", "P2R", "R2P"),
    "barrier": ("BAR", "DEPBAR", "WARPGROUP", "FENCE", "MEMBAR", "LDGDEPBAR"),
}
"""Instructions by what they do; all others compute places or move numbers."""

SCHEDULERS, SHARED_BYTES, REGISTERS, THREADS, BLOCKS, SHARED_OF_ALL = 4, 128, 65536, 2048, 32, 233472
"""Of a multiprocessor: schedulers, bytes of shared memory a cycle, registers, threads, blocks, bytes altogether."""


@dataclass(frozen=True)
class Row:
    """A kernel as it is launched; of products the cycles of one pass through the loop, of one block of threads."""

    layer: str
    kernel: str
    programs: int
    warps: int
    registers: int
    stack: int
    shared: int
    resident: int
    instructions: int
    classes: dict[str, int]
    tensor_cycles: float
    shared_cycles: float
    issue_cycles: float
    copied_bytes: int
    stores_to_shared: int

    @property
    def most(self) -> float:
        """Share of the tensor cores that is left where the busiest of the three is busy all the time."""
        return self.tensor_cycles / max(self.tensor_cycles, self.shared_cycles, self.issue_cycles, 1)

    @property
    def least(self) -> float:
        """The same if a block of threads does one after the other what is not in the tensor cores."""
        return self.tensor_cycles / max(self.tensor_cycles + self.issue_cycles, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layer", nargs="+", choices=LAYERS, default=list(LAYERS), metavar="NAME")
    parser.add_argument("--precision", default="tf32x3", choices=PRECISIONS, help="of products (default: tf32x3)")
    parser.add_argument("--products", action="store_true", help="without the transforms, which take longer to compile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the table as JSON")
    options = parser.parse_args(arguments)
    print(f"triton {triton.__version__}, F(4x4x4,3x3x3), {options.precision}")
    heading = "layer   kernel    programs warps regs stack shared resident instructions  tensor shared  issue   share"
    print(heading)
    rows = []
    for layer in options.layer:
        for row in rows_of(layer, options.precision, products=options.products):
            rows.append(row)
            print(line_of(row), flush=True)
    if options.json:
        table = {"triton": triton.__version__, "rows": [asdict(row) for row in rows]}
        write_atomically(options.json, (json.dumps(table, indent=2, allow_nan=False) + "\n").encode())


def line_of(row: Row) -> str:
    begin = (
        f"{row.layer:7s} {row.kernel:8s} {row.programs:9d} {row.warps:5d} {row.registers:4d} {row.stack:5d} "
        f"{row.shared:6d} {row.resident:8d} {row.instructions:12d}"
    )
    if row.tensor_cycles:
        cycles = f"{row.tensor_cycles:8.0f} {row.shared_cycles:6.0f} {row.issue_cycles:6.0f}"
        return f"{begin}{cycles}  {row.least:.2f} to {row.most:.2f}"
    return begin + "  " + ", ".join(f"{count} {name}" for name, count in row.classes.items() if count)


def rows_of(
    layer: str,
    precision: str = "tf32x3",
    sizes: Sequence[int] = (4, 4, 4),
    *,
    products: bool = False,
    config: dict[str, int] | None = None,
) -> Iterator[Row]:
    """Yield the kernels of a layer in the order in which they are launched, those of the first batch of tiles.

    Parameters
    ----------
    layer : str
        Of `LAYERS`.
    precision : str
        Of products.
    sizes : sequence of int
        Outputs of a tile along each axis.
    products : bool
        Whether to leave out the transforms.
    config : dict, optional
        Meta-parameters.
    """
    (shape, outputs), algorithm = LAYERS[layer], nest(*(toom_cook(m, 3) for m in sizes))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer_kernels.py"
        path.write_text(emit(algorithm, "triton", name="of").source, encoding="ascii")
        spec = util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module._check_tensor = lambda *_: None  # tensors lie in the memory of the CPU, and nothing reads them
        for name, compiled, grid in launched(module, shape, outputs, precision, products, config):
            yield row_of(layer, name, compiled, grid[0])


def launched(
    module: Any,
    shape: tuple[int, ...],
    outputs: int,
    precision: str,
    products: bool,
    config: dict[str, int] | None,
) -> list[tuple[str, Any, tuple[int, ...]]]:
    """Return names, compiled kernels and grids of a call for channels-last tensors that are not there."""
    found: dict[str, tuple[str, Any, tuple[int, ...]]] = {}
    run = JITFunction.run

    def compile_only(self: JITFunction, *args: Any, grid: tuple[int, ...], **options: Any) -> None:
        name = self.__name__.removeprefix("of_").removesuffix("_kernel")
        if name not in found and (name not in ("data", "inverse") or not products):
            found[name] = name, run(self, *args, grid=grid, **{**options, "warmup": True}), grid

    x = torch.empty(shape).to(memory_format=torch.channels_last_3d)
    dtype = module._dtype_of_u(precision)
    u = torch.empty(2, module.POSITIONS, module.TAPS, outputs, module._held_channels(shape[1]), dtype=dtype)
    before = driver._active
    driver.set_active(_Card())
    JITFunction.run = compile_only
    try:
        module.run(x, u if precision == "tf32x3" else u[0], padding=1, precision=precision, config=config)
    finally:
        JITFunction.run = run
        driver._active = before
    return list(found.values())


class _Card:
    """What Triton asks a GPU for before it launches something."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int | None = None) -> int:  # noqa: ARG002
        return 0


def row_of(layer: str, name: str, compiled: Any, programs: int) -> Row:
    """Return what the machine code of a kernel says."""
    registers, stack, instructions, loop = machine_code(compiled.asm["cubin"])
    warps, shared = compiled.metadata.num_warps, compiled.metadata.shared
    body = loop if any(name_of(one) == "HGMMA" for one in loop) else []
    counted = body or instructions
    copies = sum(width_of(one) for one in body if name_of(one) == "LDGSTS") * 32 * warps
    return Row(
        layer, name, programs, warps, registers, stack, shared, resident(registers, shared, warps), len(counted),
        classes_of(counted), sum(map(tensor_cycles, body)) * warps / 4, sum(map(shared_cycles, body)) * warps,
        len(body) * warps / SCHEDULERS, copies, sum(name_of(one) == "STS" for one in body),
    )  # fmt: skip


def machine_code(cubin: bytes) -> tuple[int, int, list[str], list[str]]:
    """Return registers, bytes of the stack, all instructions, and those of the longest loop."""
    tools = Path(triton.__file__).parent / "backends/nvidia/bin"
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder) / "kernel.cubin").write_bytes(cubin)
        usage, code = (
            subprocess.run([tools / tool, *words, file], capture_output=True, text=True, check=True).stdout
            for tool, words in (("cuobjdump", ["--dump-resource-usage"]), ("nvdisasm", ["-c"]))
        )
    ((registers, stack),) = re.findall(r"REG:(\d+) STACK:(\d+)", usage)
    return int(registers), int(stack), *read_code(code)


def read_code(code: str) -> tuple[list[str], list[str]]:
    """Return the instructions of a disassembly but those that do nothing, and those of its longest loop."""
    instructions: list[str] = []
    labels: dict[str, int] = {}
    loop: list[str] = []
    for line in code.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(instructions)
        elif found := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", line):
            if name_of(found[1]) == "NOP" or "@!PT" in found[1]:
                continue
            instructions.append(found[1])
            back = re.search(r"BRA.*`\((\.L_x_\d+)\)", found[1])
            if back and len(instructions) - labels.get(back[1], len(instructions)) > len(loop):
                loop = instructions[labels[back[1]] :]
    return instructions, loop


def name_of(instruction: str) -> str:
    """Return the name of an instruction without its predicate and what follows the first dot."""
    return re.sub(r"^@!?U?P\w+ +", "", instruction).split()[0].partition(".")[0]


def classes_of(instructions: Sequence[str]) -> dict[str, int]:
    names = Counter(map(name_of, instructions))
    counts = {one: sum(names[name] for name in among) for one, among in CLASSES.items()}
    return {**counts, "other": len(instructions) - sum(counts.values())}


def width_of(instruction: str) -> int:
    """Return how many bytes an instruction moves for each of the threads of a warp."""
    if name_of(instruction) == "LDSM":
        return 4 * int((re.search(r"\.M88\.(\d)", instruction) or [0, 1])[1])
    found = re.search(r"\.(64|128)\b", instruction.partition(" [")[0].replace("R64", ""))
    return int(found[1]) // 8 if found else 4


def tensor_cycles(instruction: str) -> float:
    """Return how long four warps keep the tensor cores of a multiprocessor busy."""
    shape = re.search(r"HGMMA\.64x(\d+)x(\d+)", instruction)
    return int(shape[1]) / 2 if shape else 0.0


def shared_cycles(instruction: str) -> float:
    """Return how long shared memory is busy for one warp; of four warps that multiply, each counts a fourth."""
    shape = re.search(r"HGMMA\.64x(\d+)x(\d+)", instruction)
    if shape:
        return 32 * int(shape[1]) / SHARED_BYTES / 4  # columns of 32 bytes
    if name_of(instruction) in ("LDS", "LDSM", "STS", "LDGSTS"):
        return 32 * width_of(instruction) / SHARED_BYTES
    return 0.0


def resident(registers: int, shared: int, warps: int) -> int:
    """Return how many blocks of threads a multiprocessor holds at a time."""
    each = -(-registers * 32 // 256) * 256 * warps
    room = SHARED_OF_ALL // (-(-shared // 128) * 128 + 1024)
    return min(REGISTERS // each, room, THREADS // (32 * warps), BLOCKS)


if __name__ == "__main__":
    main()
