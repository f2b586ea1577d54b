"""Files that are damaged or made to do harm: read, or refused in one line that names the file; nothing else happens."""

from __future__ import annotations

import io
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from winograd.networks.checkpoints import read_weights

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # of torch, which reads none but its own

RECONSTRUCT = np.empty(0).__reduce__()[0]


def read_bytes(content: bytes) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights")
        path.write_bytes(content)
        try:
            return read_weights(path)
        except ValueError as error:
            if str(path) in str(error) and "\n" not in str(error):
                raise
            raise AssertionError("not one line with the name of the file") from error


def pickled(value: Any, protocol: int = 2) -> bytes:
    return pickle.dumps({"blobs": {"weight": value}}, protocol)


def npz(**arrays: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def torch_file(**options: Any) -> bytes:
    file = io.BytesIO()
    torch.save({"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}, file, **options)
    return file.getvalue()


FILES = {
    **{f"pickle {number}": pickled(np.arange(6.0).reshape(2, 3), number) for number in (2, 3, 4)},
    "npz": npz(weight=np.arange(6.0), bias=np.ones((2, 2), ">f4")),
    "torch": torch_file(),
    "torch, old": torch_file(_use_new_zipfile_serialization=False),
    "safetensors": save({"weight": torch.ones(2, 3)}),
}


@pytest.mark.parametrize("name", FILES)
@given(st.data())
def test_files_with_other_bytes_are_read_or_refused_in_one_line(name: str, data: st.DataObject) -> None:
    content = bytearray(FILES[name])
    places = st.integers(0, len(content) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=3)):
        content[place] = byte
    try:
        weights = read_bytes(bytes(content))
    except ValueError:
        return
    assert all(isinstance(value, Tensor) for value in weights.values())


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_cut_are_refused(name: str) -> None:
    assert read_bytes(FILES[name])
    with pytest.raises(ValueError, match="not a checkpoint"):
        read_bytes(FILES[name][: -len(FILES[name]) // 2])


class Reduced:
    """Pickled as what is given."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def array_of(dtype: Any, content: Any, shape: Any = (1,)) -> Reduced:
    return Reduced(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, shape, dtype, False, content))


POINTERS = Reduced(np.dtype, ("V8", False, True), (4, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0))
"""A dtype with an object in it, whose state is set from the pickle: NumPy's own would take bytes for a pointer."""


@pytest.mark.parametrize(
    "array",
    [
        array_of(POINTERS, b"\x41" * 8),
        array_of(Reduced(np.dtype, ("f8", False, True), POINTERS.reduced[2]), b"\x41" * 8),
        array_of(np.dtype("O"), b"\x41" * 8),
        array_of(np.dtype("U2"), b"\x41" * 8),
        array_of(np.dtype("f8"), b"\x41" * 16),
        array_of(np.dtype("f8"), b"\x41" * 8, shape=(-1,)),
        array_of(np.dtype("f8"), b"\x41" * 8, shape=(2**40,)),
        array_of(np.dtype("f8"), [1.0]),
        array_of(Reduced(np.dtype, ("f8", False, True), (3, "?", None, None, None, -1, -1, 0)), b"\x41" * 8),
        array_of(None, b"\x41" * 8),
        Reduced(RECONSTRUCT, (np.ndarray, (0,), b"b")),
    ],
)
def test_pickles_cannot_make_arrays_of_what_is_not_there(array: Reduced) -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        read_bytes(pickled(array))


def test_the_same_pickle_with_numbers_is_read() -> None:
    content = np.float64(3).tobytes()
    assert read_bytes(pickled(array_of(np.dtype("f8"), content)))["weight"].tolist() == [3]
    assert read_bytes(pickled(array_of(np.dtype("f8"), content, ())))["weight"].tolist() == 3


def test_numbers_under_which_a_pickle_remembers_take_no_memory() -> None:
    content = b"\x80\x02}r\xff\xff\xff\xffU\x05blobs}U\x01wK\x01ss."  # the unpickler in C takes 64 GiB for this
    with pytest.raises(ValueError, match="hold no tensors by name"):
        read_bytes(content)


def test_bytes_that_are_not_there_take_no_memory() -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        read_bytes(b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b".")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("code", ["?", "u1", "i2", "<i8", ">i4", "f2", "<f4", ">f4", "f8"])
def test_arrays_of_numbers_are_read_from_pickles(code: str, protocol: int) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(code)
    for there in (array, np.asfortranarray(array), array[0, 0, 0:1].reshape(())):
        weight = read_bytes(pickled(there, protocol))["weight"]
        assert weight.numpy().dtype == there.dtype.newbyteorder("=")
        assert np.array_equal(weight.numpy(), there)
        weight.zero_()


def test_arrays_of_python_2_are_read() -> None:
    raw = np.array([1, 2, -3], np.float32).tobytes()
    dtype = b"cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    state = b"(K\x01(K\x03t" + dtype + b"I00\nU" + bytes([len(raw)]) + raw + b"tb"
    content = b"\x80\x02}U\x05blobs}U\x06weight" + array + state + b"ss."
    assert read_bytes(content)["weight"].tolist() == [1, 2, -3]


def test_a_wrong_checksum_is_refused() -> None:
    content = bytearray(npz(weight=np.zeros(300)))
    content[1000] ^= 255
    with pytest.raises(ValueError, match=r"weights' are not a checkpoint of plain tensors: Bad CRC-32"):
        read_bytes(bytes(content))


def test_npz_of_the_other_byte_order_is_read_and_long_doubles_are_refused() -> None:
    assert read_bytes(npz(weight=np.arange(3, dtype=">f4")))["weight"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"not a checkpoint of plain tensors: .*longdouble"):
        read_bytes(npz(weight=np.zeros(3, np.longdouble)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>", "a page of HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
    ],
)
def test_what_is_there_in_the_place_of_a_checkpoint_is_named(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=f"are not a checkpoint: .*{words}"):
        read_bytes(content)
