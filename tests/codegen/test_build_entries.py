"""What may be found in the cache: damaged entries are built again, what is not ours is left alone."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.codegen.tiny_kernels import entries, forget, kernel, the_entry, value_of
from winograd.codegen.build import load
from winograd.codegen.cache import locked
from winograd.codegen.compiler import Compiler


@pytest.fixture
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file, as a new one: a library that is loaded is mapped, and must not be written to."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(change(content))


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def replace(path: Path, make: Callable[[Path], object]) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    make(path)


def link(path: Path) -> None:
    """Move away what is there, and leave a symlink to it."""
    elsewhere = path.rename(path.parent.parent / f"moved-{path.name}")
    path.symlink_to(elsewhere)


def put_in_another_kernel(entry: Path) -> None:
    load(kernel(-1))
    (other,) = set(entries(entry.parent)) - {entry}
    shutil.rmtree(entry)
    other.rename(entry)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "library truncated": lambda entry: rewrite(entry / "kernel.so", lambda content: content[:100]),
    "library empty": lambda entry: replace(entry / "kernel.so", lambda path: path.write_bytes(b"")),
    "library with a flipped bit": lambda entry: rewrite(entry / "kernel.so", flip_a_bit),
    "library missing": lambda entry: (entry / "kernel.so").unlink(),
    "library a symlink": lambda entry: link(entry / "kernel.so"),
    "library a directory": lambda entry: replace(entry / "kernel.so", Path.mkdir),
    "library a pipe": lambda entry: replace(entry / "kernel.so", os.mkfifo),
    "manifest truncated": lambda entry: rewrite(entry / "manifest.json", lambda content: content[:40]),
    "manifest empty": lambda entry: replace(entry / "manifest.json", lambda path: path.write_bytes(b"")),
    "manifest no text": lambda entry: replace(entry / "manifest.json", lambda path: path.write_bytes(b"\xff\0")),
    "manifest no dictionary": lambda entry: replace(entry / "manifest.json", lambda path: path.write_bytes(b"[1]")),
    "manifest deep": lambda entry: replace(entry / "manifest.json", lambda path: path.write_bytes(100_000 * b"[")),
    "manifest missing": lambda entry: (entry / "manifest.json").unlink(),
    "manifest a pipe": lambda entry: replace(entry / "manifest.json", os.mkfifo),
    "entry of another kernel": put_in_another_kernel,
    "entry empty": lambda entry: replace(entry, Path.mkdir),
    "entry a file": lambda entry: replace(entry, Path.touch),
    "entry a symlink": link,
    "entry a symlink to nothing": lambda entry: replace(entry, lambda path: path.symlink_to("nowhere")),
}


@pytest.mark.usefixtures("no_warnings")
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_a_damaged_entry_is_built_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], object]
) -> None:
    load(kernel(3))
    entry = the_entry(cache)
    damage(entry)
    forget(monkeypatch)
    assert load(kernel(3)).tiny() == 3
    assert the_entry(cache) == entry
    assert not entry.is_symlink()
    assert sorted(path.name for path in entry.iterdir()) == ["kernel.c", "kernel.so", "manifest.json"]
    assert json.loads((entry / "manifest.json").read_text())["kernel"] == kernel(3).digest
    assert value_of(entry) == 3


def test_a_symlink_in_place_of_an_entry_costs_nobody_a_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(kernel(3))
    entry = the_entry(cache)
    replace(entry, lambda path: path.symlink_to(cache.parent / "mine"))
    (cache.parent / "mine").mkdir()
    (cache.parent / "mine" / "thesis").touch()
    forget(monkeypatch)
    load(kernel(3))
    assert (cache.parent / "mine" / "thesis").exists()


@pytest.mark.usefixtures("no_warnings")
def test_what_is_not_ours_stays(cache: Path) -> None:
    cache.mkdir(mode=0o700)
    (cache / "note").write_text("mine")
    (cache / ".building-").mkdir()
    (cache / f".building-{64 * 'x'}").mkdir()
    assert load(kernel(4)).tiny() == 4
    assert {"note", ".building-", f".building-{64 * 'x'}"} <= {path.name for path in cache.iterdir()}


@pytest.mark.usefixtures("no_warnings")
def test_what_the_killed_left_goes_with_the_next_build(cache: Path) -> None:
    load(kernel(5))
    done = the_entry(cache).name
    for key in (done, 64 * "0", 64 * "1"):
        (cache / f".building-{key}-abc").mkdir()
        (cache / f".building-{key}-abc" / "kernel.c").touch()
    with locked(cache / f"{64 * '1'}.lock"):  # somebody builds this one
        load(kernel(6))
    left = {path.name for path in entries(cache) if path.name.startswith(".")}
    assert left == {f".building-{64 * '1'}-abc"}


def test_a_library_that_cannot_be_loaded_does_not_stay(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        compile_ = Compiler.compile

        def garble_in_the_cache(self: Compiler, source: Path, target: Path) -> None:
            target.write_text("garbage") if cache in target.parents else compile_(self, source, target)

        patch.setattr(Compiler, "compile", garble_in_the_cache)
        with pytest.warns(RuntimeWarning, match="not cached"):
            assert load(kernel(7)).tiny() == 7
    assert not entries(cache)
    forget(monkeypatch)
    assert load(kernel(7)).tiny() == 7
    assert value_of(the_entry(cache)) == 7


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("elsewhere")], ids=["directory", "symlink"])
def test_a_lock_that_is_no_file_leaves_the_kernel_uncached(
    cache: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object]
) -> None:
    load(kernel(8))
    replace(the_entry(cache).with_suffix(".lock"), make)
    forget(monkeypatch)
    with pytest.warns(RuntimeWarning, match="not cached"):
        assert load(kernel(8)).tiny() == 8


@pytest.mark.usefixtures("no_warnings")
def test_the_cache_may_vanish_between_two_kernels(cache: Path) -> None:
    first = load(kernel(9))
    shutil.rmtree(cache)
    assert load(kernel(10)).tiny() == 10
    assert first.tiny() == load(kernel(9)).tiny() == 9
    assert len(entries(cache)) == 1


def test_the_cache_may_vanish_while_a_kernel_is_compiled(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_ = Compiler.compile

    def compile_and_remove(self: Compiler, source: Path, target: Path) -> None:
        compile_(self, source, target)
        shutil.rmtree(cache, ignore_errors=True)

    monkeypatch.setattr(Compiler, "compile", compile_and_remove)
    with pytest.warns(RuntimeWarning, match="not cached"):
        assert load(kernel(11)).tiny() == 11
