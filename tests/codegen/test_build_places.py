"""Where no cache can be: kernels run all the same, and one warning says why they are not kept."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pwd
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.codegen.tiny_kernels import PATIENCE_S, entries, forget, kernel, run_python
from winograd.codegen import build
from winograd.codegen.build import BuildError, load
from winograd.codegen.cache import cache_directory, locked


def fails_below(directory: Path, function: Callable[..., Any], code: int) -> Callable[..., Any]:
    """Return the function, which fails for paths in a directory as a file system would."""

    def maybe_fail(*arguments: Any, **named: Any) -> Any:
        if str(directory) in f"{arguments} {named}":
            raise OSError(code, os.strerror(code))
        return function(*arguments, **named)

    return maybe_fail


def symlinked(cache: Path, patch: pytest.MonkeyPatch) -> None:
    (cache.parent / "real").mkdir(mode=0o700)
    cache.symlink_to(cache.parent / "real")


def writable_by_others(cache: Path, patch: pytest.MonkeyPatch) -> None:
    cache.mkdir()
    cache.chmod(0o777)


def a_file(cache: Path, patch: pytest.MonkeyPatch) -> None:
    cache.write_text("in the way")


def below_a_file(cache: Path, patch: pytest.MonkeyPatch) -> None:
    cache.parent.joinpath("file").write_text("")
    patch.setenv("WINOGRAD_CACHE_DIR", str(cache.parent / "file" / "cache"))


def relative(cache: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("WINOGRAD_CACHE_DIR", "cache")


def with_too_long_a_name(cache: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("WINOGRAD_CACHE_DIR", f"{cache}{300 * 'x'}")


def somebody_elses(cache: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "geteuid", lambda: cache.parent.stat().st_uid + 1)


def of_a_user_without_home(cache: Path, patch: pytest.MonkeyPatch) -> None:
    def nobody(user: object) -> None:
        raise KeyError(user)

    for name in ("WINOGRAD_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        patch.delenv(name, raising=False)
    patch.setattr(pwd, "getpwuid", nobody)


def read_only(cache: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Path, "mkdir", fails_below(cache, Path.mkdir, errno.EROFS))


def full_from_the_start(cache: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tempfile, "mkdtemp", fails_below(cache, tempfile.mkdtemp, errno.ENOSPC))


def full_before_the_manifest(cache: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Path, "write_bytes", fails_below(cache, Path.write_bytes, errno.ENOSPC))


def without_locks(cache: Path, patch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    patch.setattr(fcntl, "flock", unsupported)


def that_code_cannot_be_loaded_from(cache: Path, patch: pytest.MonkeyPatch) -> None:
    class Library(ctypes.CDLL):
        def __init__(self, name: str, **named: Any) -> None:
            if str(cache) in name:
                raise OSError(f"{name}: failed to map segment from shared object")
            super().__init__(name, **named)

    patch.setattr(ctypes, "CDLL", Library)


PLACES = [
    symlinked,
    writable_by_others,
    a_file,
    below_a_file,
    relative,
    with_too_long_a_name,
    somebody_elses,
    of_a_user_without_home,
    read_only,
    full_from_the_start,
    full_before_the_manifest,
    without_locks,
    that_code_cannot_be_loaded_from,
]


@pytest.mark.parametrize("spoil", PLACES)
def test_in_a_directory_it_runs_uncached_and_warns_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    spoil(cache, monkeypatch)
    with pytest.warns(RuntimeWarning, match="not cached.*WINOGRAD_CACHE_DIR") as caught:
        assert load(kernel(4)).tiny() == 4
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(kernel(5)).tiny() == 5
    assert not (cache.is_dir() and entries(cache))
    assert not list(work.iterdir())


MOUNTS = {
    "read-only": ("-o ro", "Read-only file system"),
    "noexec": ("-o noexec", "noexec"),
    "full": ("-o size=12k", "not cached"),
    "filled by the compiler": ("-o size=16k", "not cached"),
}


@pytest.mark.parametrize("mount", MOUNTS)
def test_on_such_a_file_system_it_runs_uncached_and_warns_once(tmp_path: Path, mount: str) -> None:
    options, reason = MOUNTS[mount]
    (tmp_path / "mount").mkdir()
    apart = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mounting = f"mount -t tmpfs {options} tmpfs '{tmp_path}/mount'"
    try:
        subprocess.run([*apart, mounting], check=True, capture_output=True, timeout=PATIENCE_S)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    program = "print(*[load(kernel(value)).tiny() for value in (4, 5)])"
    output, errors = run_python(
        program, tmp_path / "mount" / "cache", within=(*apart, f'{mounting} && exec "$@"', "sh")
    )
    assert output == "4 5"
    assert errors.count("RuntimeWarning") == 1
    assert reason in errors


def test_where_nothing_can_be_written_a_build_error_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file(cache, monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(cache / "nowhere"))
    with pytest.raises(BuildError, match="no directory to compile a kernel in"):
        load(kernel(6))


def test_where_everything_is_full_a_build_error_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full_before_the_manifest(cache, monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(cache.parent))
    monkeypatch.setattr(Path, "write_text", fails_below(cache.parent, Path.write_text, errno.ENOSPC))
    with pytest.raises(BuildError, match="No space left on device"):
        load(kernel(6))
    assert not [path for path in cache.parent.iterdir() if path != cache]


def test_no_temporary_directory_stays(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file(cache, monkeypatch)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with pytest.warns(RuntimeWarning, match="not cached"):
        assert load(kernel(7)).tiny() == 7
    with pytest.raises(BuildError, match="exit status"):
        load(kernel(8, "int tiny(void) { return missing; }\n"))
    assert not list(temporary.iterdir())


def test_a_lock_that_is_never_given_back_is_not_waited_for_forever(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(kernel(9))
    (lock,) = cache.glob("*.lock")
    forget(monkeypatch)
    monkeypatch.setattr(build, "locked", partial(locked, patience_s=0.1))
    with locked(lock), pytest.warns(RuntimeWarning, match="another process holds"):
        assert load(kernel(9)).tiny() == 9


def test_directories_above_are_private_too(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(tmp_path / "new" / "cache" / "kernels"))
    mask = os.umask(0)
    try:
        load(kernel(10))
    finally:
        os.umask(mask)
    for directory in ("new", "new/cache", "new/cache/kernels"):
        assert stat.S_IMODE((tmp_path / directory).stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "environment",
    [{}, {"XDG_CACHE_HOME": "relative"}, {"HOME": "relative"}, {"HOME": ""}, {"XDG_CACHE_HOME": "", "HOME": "/home/x"}],
    ids=str,
)
def test_the_cache_is_the_users_without_the_variable(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.delenv("WINOGRAD_CACHE_DIR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Path.cwd() not in cache_directory().parents
    if cache_directory().is_absolute():  # else it is refused
        assert not cache_directory().is_relative_to(tempfile.gettempdir())


@pytest.mark.parametrize(
    "name", ["with a blank", "größe", "new\nline", "100%s {x} $HOME 'quoted' \"twice\"", "b\udcff"]
)
def test_any_name_will_do(cache: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("WINOGRAD_CACHE_DIR", str(cache / name))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(kernel(11)).tiny() == 11
    assert len(entries(cache / name)) == 1
