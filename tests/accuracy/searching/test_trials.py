"""Trials: what is kept, what survives a killed process and other writers, and which files are refused untouched."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winograd.accuracy.searching.trials import APPLICATION_ID, FORMAT_VERSION, Trials

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trials.db"


def filled(path: Path, count: int = 300) -> Path:
    trials = Trials(path)
    for number in range(count):
        trials.put(f"key {number}", "unit", {"value": number})
    return path


def test_results_are_there_when_the_file_is_opened_again(path: Path) -> None:
    Trials(path).put("a", "in words", {"found": [["text", 1 / 3]]})
    assert Trials(path).get(["a", "b"]) == {"a": {"found": [["text", 1 / 3]]}}


def test_the_first_result_of_a_key_stays(path: Path) -> None:
    trials = Trials(path)
    trials.put("a", "unit", {"value": 1})
    trials.put("a", "unit", {"value": 2})
    assert trials.get(["a"]) == {"a": {"value": 1}}


def test_more_keys_than_one_query_holds(path: Path) -> None:
    found = Trials(filled(path, 1201)).get(f"key {number}" for number in range(-3, 1201))
    assert found == {f"key {number}": {"value": number} for number in range(1201)}


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda text: text.isprintable()),
        st.floats(allow_nan=False) | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    )
)
def test_what_comes_back_is_what_was_kept(tmp_path_factory: pytest.TempPathFactory, result: dict[str, Any]) -> None:
    trials = Trials(tmp_path_factory.mktemp("trials") / "trials.db")
    trials.put("key", "unit", result)
    assert trials.get(["key"]) == {"key": result}


def test_an_empty_file_becomes_one_of_ours(path: Path) -> None:
    path.touch()
    assert Trials(path).get(["a"]) == {}
    assert path.stat().st_size > 0


@pytest.mark.parametrize("size", [1, 15, 16, 60, 99, 100, 4096, 8191])
def test_a_truncated_file_is_refused_and_left_as_it_is(path: Path, size: int) -> None:
    cut = filled(path).read_bytes()[:size]
    path.write_bytes(cut)
    assert refused(path)


def test_a_file_that_lacks_its_last_byte_is_refused(path: Path) -> None:
    path.write_bytes(filled(path).read_bytes()[:-1])
    assert refused(path)


def test_a_damaged_file_is_one_line(path: Path) -> None:
    content = bytearray(filled(path).read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"storage .*malformed") as caught:
        Trials(path).put("a", "unit", {})
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_result_that_is_no_json_is_one_line(path: Path) -> None:
    trials = Trials(filled(path, 1))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE results SET result = '{'")
    connection.close()
    with pytest.raises(ValueError, match="storage"):
        trials.get(["key 0"])


def foreign_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE others (a)")
    connection.close()


def newer_database(path: Path) -> None:
    connection = sqlite3.connect(filled(path, 1))
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    connection.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (foreign_database, "is the database of another program"),
        (newer_database, f"has format {FORMAT_VERSION + 1}, only {FORMAT_VERSION} can be read"),
        (lambda path: path.write_text("a,b\n1,2\n"), "is no database of searches"),
        (lambda path: path.write_bytes(os.urandom(5000)), "is no database of searches"),
    ],
)
def test_files_of_others_are_refused_and_left_as_they_are(path: Path, make: Any, message: str) -> None:
    make(path)
    assert message in refused(path)


def refused(path: Path) -> str:
    """Return the one line with which a file is refused; its bytes, its time and its directory stay as they are."""
    before, when = path.read_bytes(), path.stat().st_mtime_ns
    with pytest.raises(ValueError, match="storage") as caught:
        Trials(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, when)
    assert list(path.parent.iterdir()) == [path]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_header_says_whose_file_it_is(path: Path) -> None:
    header = filled(path, 0).read_bytes()[:100]
    assert int.from_bytes(header[68:72]) == APPLICATION_ID
    assert header[68:72] == b"WINO"


@pytest.mark.parametrize("wrong", [1, 2.5, ["a"], object()])
def test_what_is_no_path_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"storage is .*must be the path of a file"):
        Trials(wrong)  # type: ignore[arg-type]


def test_places_that_hold_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        Trials(tmp_path)
    with pytest.raises(FileNotFoundError):
        Trials(tmp_path / "missing" / "trials.db")
    with pytest.raises((NotADirectoryError, FileNotFoundError)):
        Trials(filled(tmp_path / "trials.db", 1) / "trials.db")
    assert [entry.name for entry in tmp_path.iterdir()] == ["trials.db"]


@pytest.mark.parametrize("wrong", ["", "a\0b"])
def test_names_that_no_file_has(wrong: str) -> None:
    with pytest.raises((OSError, ValueError), match=r"storage|directory"):
        Trials(wrong)


def test_a_read_only_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(PermissionError):
        Trials(tmp_path / "trials.db")
    assert list(tmp_path.iterdir()) == []


def test_odd_names_are_names(tmp_path: Path) -> None:
    path = tmp_path / "a ?mode=ro#b%20 ü.db"
    Trials(path).put("a", "unit", {"value": 1})
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_name_that_is_no_text_in_utf_8_is_a_name(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.db"
    Trials(os.fsdecode(name)).put("a", "unit", {"value": 1})
    assert Trials(os.fsdecode(name)).get(["a"]) == {"a": {"value": 1}}
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9.db"]


def test_a_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"storage '.*trials\.db' is no regular file"):
        Trials(path)
    with pytest.raises(ValueError, match="is no regular file"):
        Trials("/dev/null")


def test_two_threads_and_two_objects_lose_nothing(path: Path) -> None:
    def write(start: int) -> None:
        trials = Trials(path)
        for number in range(start, start + 100):
            trials.put(f"key {number}", "unit", {"value": number})

    threads = [Thread(target=write, args=(start,)) for start in (0, 50, 100, 150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Trials(path).get(f"key {number}" for number in range(250))) == 250


WRITER = """
import sys
from winograd.accuracy.searching.trials import Trials
trials = Trials(sys.argv[1])
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    trials.put(f"key {number}", "unit", {"value": number, "padding": "x" * 3000})
    print(number, flush=True)
"""


def writer(path: Path, start: int, stop: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", WRITER, str(path), str(start), str(stop)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT)


def test_two_processes_that_make_the_same_file_lose_nothing(path: Path) -> None:
    processes = [writer(path, start, start + 60) for start in (0, 30)]
    for process in processes:
        process.communicate(timeout=120)
    assert [process.returncode for process in processes] == [0, 0]
    assert len(Trials(path).get(f"key {number}" for number in range(90))) == 90


def test_a_killed_writer_leaves_all_that_it_said_it_kept(path: Path) -> None:
    kept = 0
    for round_ in range(3):
        process = writer(path, kept, 100_000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.01 + 0.013 * round_)
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[0].split(b"\n")[:-1]
        kept = int(said[-1]) + 1 if said else kept + 1
        found = Trials(path).get(f"key {number}" for number in range(kept))
        assert [found[f"key {number}"]["value"] for number in range(kept)] == list(range(kept))


def test_a_hot_journal_is_no_damage(path: Path) -> None:
    """A process that was killed inside a transaction leaves a journal, with which the file is repaired."""
    trials = Trials(filled(path, 5))
    program = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN')\n"
        "for n in range(500): c.execute('INSERT INTO results VALUES (?, ?, ?)', (f'other {n}', 'x' * 2000, '{}'))\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert path.with_name("trials.db-journal").exists()
    found = Trials(path).get([*(f"key {number}" for number in range(5)), "other 1"])
    assert found == {f"key {number}": {"value": number} for number in range(5)}
    assert trials.get(["other 400"]) == {}


def test_rows_are_plain_sqlite_and_json(path: Path) -> None:
    connection = sqlite3.connect(filled(path, 2))
    rows = connection.execute("SELECT key, unit, result FROM results ORDER BY key").fetchall()
    connection.close()
    assert [(key, unit, json.loads(text)) for key, unit, text in rows] == [
        ("key 0", "unit", {"value": 0}),
        ("key 1", "unit", {"value": 1}),
    ]
