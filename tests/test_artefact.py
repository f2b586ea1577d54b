"""Files are written whole or not at all, and compared byte for byte."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from winograd.artefact import checked_targets, first_difference, write_atomically


def test_new_files_get_ordinary_permissions(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    write_atomically(tmp_path / "new", b"abc")
    assert (tmp_path / "new").read_bytes() == b"abc"
    assert (tmp_path / "new").stat().st_mode == ordinary.stat().st_mode


def test_replaced_files_keep_their_permissions(tmp_path: Path) -> None:
    file = tmp_path / "old"
    file.write_bytes(b"old")
    file.chmod(0o640)
    write_atomically(file, b"new")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"new", 0o640)
    assert os.listdir(tmp_path) == ["old"]


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"1")
    write_atomically(tmp_path / "link", b"2")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"2"


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    file = tmp_path / ("n" * 255)
    write_atomically(file, b"x")
    assert file.read_bytes() == b"x"
    with pytest.raises(OSError, match="too long"):
        write_atomically(tmp_path / ("n" * 256), b"x")


@pytest.mark.parametrize("path", ["missing/file", "", "/proc/nothing", "file/below"])
def test_impossible_paths_are_named(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(OSError, match=r"^\[Errno \d+\] (No such|Is a|Not a) ") as caught:
        write_atomically(path, b"x")
    assert caught.value.filename == path
    assert caught.value.strerror
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_directories_are_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, b"x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["fsync", "replace"])
def test_a_failed_write_leaves_what_was_there(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "file"
    file.write_bytes(b"old")
    monkeypatch.setattr(*((os, "fsync") if fault == "fsync" else (Path, "replace")), full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"new")
    assert os.listdir(tmp_path) == ["file"]
    assert file.read_bytes() == b"old"


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_read_only_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    file.chmod(0o444)
    # Root may write to every file, and this may run as root.
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode & os.W_OK and path == file))
    with pytest.raises(PermissionError):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"


def test_read_only_directories_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, *_: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError) as caught:
        write_atomically(tmp_path / "file", b"new")
    assert caught.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_devices_and_pipes_are_written_to(tmp_path: Path) -> None:
    write_atomically("/dev/null", b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, b"through")
    reader.join()
    assert found == [b"through"]


@pytest.mark.parametrize(
    ("expected", "found", "message"),
    [
        (b"a\nb\n", b"a\nb\n", None),
        (b"", b"", None),
        (b"a\nb\n", b"a\nc\n", "line 2 is 'c', must be 'b'"),
        (b"a\nb\n", b"a\n", "line 2 is missing"),
        (b"a\n", b"a\nb\n", "line 2 is more than there must be"),
        (b"a\n", b"", "line 1 is missing"),
        (b"a\nb\n", b"a\r\nb\r\n", "line 1 ends differently"),
        (b"a\n", b"a", "line 1 ends differently"),
        (b"a\n", b"\xff\x1b\n", "line 1 is '\\\\xff\\x1b', must be 'a'"),
        (b"a\n", b"b" * 1000, f"line 1 is '{'b' * 60}...', must be 'a'"),
    ],
)
def test_the_first_difference_is_one_line(expected: bytes, found: bytes, message: str | None) -> None:
    assert first_difference(expected, found) == message


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["."], "^\\.: is a directory, must be a file"),
        ([""], "^'': is a directory, must be a file"),
        (["missing/file"], "its directory does not exist"),
        (["new", None, "./new"], "is named twice, must be one file for each output"),
    ],
)
def test_targets_are_checked_beforehand(
    paths: list[str | None], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        checked_targets(*paths)
    assert os.listdir(tmp_path) == []


def test_targets_that_cannot_be_written_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="new: is not writable"):
        checked_targets(str(tmp_path / "new"))


def test_good_targets_pass(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    checked_targets(str(tmp_path / "old"), str(tmp_path / "new"), None, os.devnull, os.devnull)
