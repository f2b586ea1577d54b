"""Arrays from a pickle, as Caffe2's weights are, without handing the pickle anything that could do harm.

In: a pickle of plain containers and NumPy's arrays. Out: the same containers, with a `PickledArray` for every array:
its shape and its bytes, out of which `PickledArray.array` makes the array after all of the pickle has been read.
Refused: whatever else has a class, and arrays of anything but numbers.

NumPy's own types must not be given to a pickle: it may set their state, and an array of objects takes any bytes for
pointers.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from typing import IO, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

_CODE: Final = re.compile(r"[biuf]\d")
"""Booleans, integers and floats of at most eight bytes."""

_BYTE_ORDERS: Final = ("<", ">", "=", "|")


class PickledDtype:
    """Stands for `numpy.dtype` in a pickle: a code such as ``f4``, and the order of the bytes."""

    def __init__(self, code: str, *_: object) -> None:
        if not _CODE.fullmatch(code):
            raise pickle.UnpicklingError(f"arrays of {code} hold no numbers")
        self.code = code
        self.byte_order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in _BYTE_ORDERS:
            raise pickle.UnpicklingError(f"bytes have no order {state[1]!r}")
        self.byte_order = state[1]

    def dtype(self) -> np.dtype[Any]:
        """Return NumPy's."""
        return np.dtype(self.code).newbyteorder(self.byte_order)  # type: ignore[arg-type]


class PickledArray:
    """Stands for `numpy.ndarray` in a pickle: what an array was pickled as, unchecked."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def array(self) -> NDArray[Any]:
        """Return the array, which cannot be written to.

        Raises
        ------
        TypeError, ValueError
            If the bytes are not those of an array of that shape.
        """
        *_, shape, dtype, columns_first, content = self.state
        if not isinstance(dtype, PickledDtype):
            raise TypeError("an array in the pickle has no dtype")
        raw = content.encode("latin1") if isinstance(content, str) else content  # Python 2 had bytes for texts
        array = np.frombuffer(raw, dtype.dtype()).reshape(shape, order="F" if columns_first else "C")
        if array.shape != tuple(shape):  # -1 is any length
            raise ValueError(f"an array in the pickle has shape {array.shape}, not {shape}")
        return array


_STANDS_FOR: Final[Mapping[str, type]] = {
    "_reconstruct": PickledArray,  # its module differs between versions
    "ndarray": PickledArray,
    "dtype": PickledDtype,
}


class _Unpickler(pickle._Unpickler):
    """Makes the two, and nothing else that has a class.

    The one in Python: that in C makes a list as long as the number under which a pickle remembers something, of up to
    64 GiB. Bytes that can be changed are left out because they take memory before they are read.
    """

    dispatch: ClassVar = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if module.partition(".")[0] == "numpy" and name in _STANDS_FOR:
            return _STANDS_FOR[name]
        if (module, name) == ("_codecs", "encode"):  # bytes, before protocol 3
            return lambda text, _: text.encode("latin1")
        raise pickle.UnpicklingError(f"{module}.{name} is no array")


def unpickled_arrays(file: IO[bytes]) -> Any:
    """Read a pickle of arrays; bytes that are none lead to whatever exception."""
    return _Unpickler(file, encoding="latin1").load()
