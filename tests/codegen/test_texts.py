"""Texts that are kept: read by later processes where they are whole, emitted where anything is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from winograd import __version__, toom_cook
from winograd.algebra.nesting import NestedAlgorithm, as_nested
from winograd.codegen import texts
from winograd.codegen.emit import emit
from winograd.codegen.kernel import Kernel
from winograd.codegen.texts import kept_kernel

F23 = as_nested(toom_cook(2, 3))


class Emission:
    """Emits, and counts how often."""

    def __init__(self, algorithm: NestedAlgorithm = F23) -> None:
        self.calls, self.algorithm = 0, algorithm

    def __call__(self) -> Kernel:
        self.calls += 1
        return emit(self.algorithm)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(tmp_path / "kernels"))
    return tmp_path / "kernels" / "texts"


def test_a_text_is_emitted_once(directory: Path) -> None:
    emission = Emission()
    first, second = (kept_kernel(emission, F23, "a") for _ in range(2))
    assert (first, emission.calls) == (second, 1)
    assert first == emit(F23)
    assert [path.suffix for path in directory.iterdir()] == [".c"]


def test_what_the_text_follows_from_is_in_its_key(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emission = Emission()
    kept_kernel(emission, F23, "a")
    kept_kernel(emission, F23, "b")
    kept_kernel(emission, as_nested(toom_cook(4, 3)), "a")
    monkeypatch.setattr("winograd.__version__", f"{__version__}.1")
    kept_kernel(emission, F23, "a")
    monkeypatch.setattr(texts, "_sources", lambda: "changed")
    kept_kernel(emission, F23, "a")
    assert emission.calls == len(list(directory.iterdir())) == 5


@pytest.mark.parametrize("spoil", ["cut", "changed", "binary", "link"])
def test_a_text_that_is_not_whole_is_emitted_again(directory: Path, tmp_path: Path, spoil: str) -> None:
    emission = Emission()
    whole = kept_kernel(emission, F23, "a")
    (path,) = directory.iterdir()
    text = path.read_bytes()
    if spoil == "cut":
        path.write_bytes(text[:-20])
    elif spoil == "changed":
        path.write_bytes(text.replace(b"+", b"-", 1))
    elif spoil == "binary":
        path.write_bytes(b"\xff" + text)
    else:
        path.rename(tmp_path / "elsewhere.c")
        path.symlink_to(tmp_path / "elsewhere.c")
    assert kept_kernel(emission, F23, "a") == whole
    assert emission.calls == 2
    assert kept_kernel(emission, F23, "a") == whole
    assert emission.calls == 2


def test_without_a_trusted_directory_every_process_emits(directory: Path) -> None:
    directory.parent.mkdir(mode=0o700)
    directory.parent.chmod(0o777)
    emission = Emission()
    assert kept_kernel(emission, F23, "a") == kept_kernel(emission, F23, "a")
    assert emission.calls == 2
    assert not directory.exists()


def test_what_cannot_be_emitted_is_not_kept(directory: Path) -> None:
    def fail() -> Kernel:
        raise ValueError("out of range")

    with pytest.raises(ValueError, match="out of range"):
        kept_kernel(fail, F23, "a")
    assert list(directory.iterdir()) == []
