"""FFT convolutions in C: their self-test on every width of vectors, ragged sizes under the sanitizers, mutations."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from tests.codegen.c_files import SANITIZED, flags_of, self_test
from tests.codegen.test_c_ragged import check, program
from winograd.codegen.fourier.tile import FftTile
from winograd.codegen.targets.c.fourier import emit_fft

TILES = {
    "1D": FftTile((5,), (4,), "regular"),
    "2D": FftTile((6, 6), (3, 3), "gauss"),
    "2D, odd": FftTile((3, 8), (3, 3), "regular"),
    "3D": FftTile((2, 4, 3), (3, 3, 3), "regular"),
    "3D, few taps": FftTile((2, 1, 3), (5, 1, 3), "gauss"),
}


@pytest.mark.parametrize(
    ("name", "build"),
    [("1D", "scalar"), ("2D", "native"), ("2D, odd", "avx2"), ("3D", "native"), ("3D, few taps", "plain")],
)
def test_the_self_test_passes(tmp_path: Path, name: str, build: str) -> None:
    done = self_test(emit_fft(TILES[name]).source, tmp_path, "-O2", *flags_of(build))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("self-test passed")


@pytest.mark.parametrize("name", ["3D, few taps"])
def test_ragged_sizes_under_the_sanitizers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tile = TILES[name]
    flags = (*SANITIZED, "-O1", *flags_of("native"))
    check(program(tmp_path, cast(Any, tile), "float32", *flags, source=emit_fft(tile).source), monkeypatch)


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        ("winograd_fma_vectors(-b, imaginary", "winograd_fma_vectors(b, imaginary"),
        ("half += winograd_WIDTH", "half += winograd_PANEL"),
        ("first > 0, m + start * winograd_PANEL + half", "0, m + start * winograd_PANEL + half"),
        ("buffer[30 + ", "buffer[31 + "),
    ],
)
def test_a_kernel_that_is_wrong_is_noticed(tmp_path: Path, sound: str, broken: str) -> None:
    source = emit_fft(TILES["2D, odd"]).source
    assert source.count(sound) >= 1
    assert self_test(source.replace(sound, broken, 1), tmp_path, "-O1", *flags_of("native")).returncode != 0


def test_a_complex_product_of_imaginary_parts_is_noticed(tmp_path: Path) -> None:
    source = emit_fft(TILES["2D, odd"]).source
    sound = "if ((position - winograd_REALS) % 2)\n        return;"
    assert source.count(sound) == 1
    assert self_test(source.replace(sound, ""), tmp_path, "-O1", *flags_of("native")).returncode != 0


def test_a_kernel_that_goes_astray_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tile = TILES["2D, odd"]
    source, sound = emit_fft(tile).source, "m + start * winograd_PANEL + half, plan->m_stride"
    assert source.count(sound) == 1
    broken = source.replace(sound, "m + start * winograd_PANEL + half, 1000 * plan->m_stride")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    built = program(tmp_path, cast(Any, tile), "float32", "-O1", *flags_of("native"), source=broken)
    assert subprocess.run([str(built)], capture_output=True, check=False).returncode != 0


def test_the_text_is_the_same_every_time() -> None:
    assert emit_fft(TILES["3D"]).source == emit_fft(FftTile((2, 4, 3), (3, 3, 3), "regular")).source
    assert emit_fft(TILES["1D"], name="correlate").source.count("winograd_") == 0
