"""The safetensors format: a length, a JSON header, and the bytes of arrays.

https://github.com/huggingface/safetensors says what is in the header: dtype, shape and place
of each array, and texts in ``__metadata__``.
"""

import json
import math
import os
from collections.abc import Mapping
from typing import IO

import numpy as np

from slim_resnet.checkpoint.foreign.values import METADATA, Foreign, by_record, record_of
from slim_resnet.common.files import check_regular, misfit
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
           "I8": "<i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "?"}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
# Of the format's own readers.
_MOST_HEADER_BYTES = 100_000_000
_MOST_DIMENSIONS = 16


def begins(start: bytes) -> bool:
    """Whether a file's first nine bytes are those of this format."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _MOST_HEADER_BYTES


def write(file: IO[bytes], arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> None:
    """Writes arrays, C-contiguous, and texts to an open file."""
    header, at = {"__metadata__": dict(texts)}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape),
                        "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    packed = json.dumps(header, separators=(",", ":")).encode()
    # The arrays begin at a multiple of 8, as the format's own writer has it.
    packed += b" " * (-len(packed) % 8)
    file.write(len(packed).to_bytes(8, "little") + packed)
    for array in arrays.values():
        file.write(array.data if array.size else b"")


def read_arrays(path: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Returns the arrays of a file by name, and its texts.

    Raises:
      SlimResnetError: It is damaged: a length, a shape or a place does not fit.
    """
    check_regular(path)
    size = os.path.getsize(path)
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, _MOST_HEADER_BYTES):
                raise ValueError(f"its header would take {length} bytes of {size}")
            header = json.loads(file.read(length), object_pairs_hook=_without_twins)
        texts, places = _checked(header, size - 8 - length)
        return {name: np.fromfile(path, dtype, count, offset=8 + length + start).reshape(shape)
                for name, (dtype, shape, count, start) in places.items()}, texts
    except OSError as error:
        raise SlimResnetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SlimResnetError(f"{path}: is damaged or no safetensors file: "
                              f"{printable(str(error))}") from error


def _without_twins(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header holds a name twice")
    return found


def _checked(header, size):
    """Returns the texts, and dtype, shape, number of values and start of each array."""
    fault = misfit(header, {"__metadata__?": dict})
    texts = {} if fault else header.pop("__metadata__", {})
    fault = fault or misfit(list(texts.values()), [str], "__metadata__")
    places = {}
    for name, place in ({} if fault else header).items():
        fault = fault or misfit(place, {"dtype": str, "shape": [int], "data_offsets": [int]},
                                name[:60])
        if fault:
            break
        shape, offsets = place["shape"], place["data_offsets"]
        if place["dtype"] not in _DTYPES:
            raise ValueError(f"{name[:60]} is of dtype {place['dtype'][:20]}, which is not read")
        dtype = np.dtype(_DTYPES[place["dtype"]])
        if min(shape, default=0) < 0 or len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"{name[:60]} has no shape")
        count = math.prod(shape)
        if len(offsets) != 2 or offsets[1] - offsets[0] != count * dtype.itemsize:
            raise ValueError(f"{name[:60]} takes other bytes than its shape needs")
        places[name] = dtype, tuple(shape), count, offsets[0]
    if fault:
        raise ValueError(fault)
    # Every byte is one array's.
    end = 0
    for dtype, _, count, start in sorted(places.values(), key=lambda place: (place[3], place[2])):
        if start != end:
            raise ValueError(f"its arrays overlap or leave bytes over at {min(start, end)}")
        end += count * dtype.itemsize
    if end != size:
        raise ValueError(f"its arrays take {end} bytes, and it holds {size}")
    return texts, places


def read(path: str) -> Foreign:
    """Reads a file of ``slim-resnet export``, in PyTorch's layout, under slim's names.

    Raises:
      SlimResnetError: It is damaged, or somebody else's.
    """
    arrays, texts = read_arrays(path)
    if METADATA not in texts:
        raise SlimResnetError(f"{path}: a safetensors file that slim-resnet did not write: nothing "
                              "says which of slim's variables its tensors are")
    record = record_of(path, texts[METADATA])
    return Foreign("safetensors", by_record(path, record, arrays, from_torch), {})


def to_torch(array: np.ndarray) -> np.ndarray:
    """Returns weights in PyTorch's order: HWIO becomes OIHW, and IO of a dense layer OI."""
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T)


def from_torch(array: np.ndarray) -> np.ndarray:
    """Returns weights in slim's order, see `to_torch`."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
