"""What a checkpoint's files say that they hold, checked before TensorFlow reads them.

TensorFlow ends the process over some damage that the right checksums come with. So each
variable's entry is read here first: its name, dtype, shape, parts, and where its values
are. Values are not read, and their checksums are left to TensorFlow.

Formats: ``tensor_bundle.proto`` (V2) and ``saved_tensor_slice.proto`` (V1) of TensorFlow.
"""

import math
import os
import typing

import numpy as np

from slim_resnet.checkpoint import table
from slim_resnet.checkpoint.table import Damage, message, signed

# An index takes about 100 bytes a variable.
_MOST_INDEX_BYTES = 32 << 20
_MOST_VARIABLES = 100_000
# TensorFlow's own limits.
_MOST_DIMENSIONS, _MOST_ELEMENTS = 254, (1 << 63) - 1

# Bytes an element by the number of the dtype in types.proto.
_STRING, _VARIANT = 7, 21
_SIZES = {1: 4, 2: 8, 3: 4, 4: 1, 5: 2, 6: 1, 8: 8, 9: 8, 10: 1, 11: 1, 12: 1, 13: 4, 14: 2,
          15: 2, 16: 2, 17: 2, 18: 16, 19: 2, 22: 4, 23: 8}
# Where TensorProto keeps values in V1, and how many bytes one takes; None is a varint.
_V1_FIELDS = {1: (5, 4), 2: (6, 8), 3: (7, None), 4: (7, None), 5: (7, None), 6: (7, None),
              8: (9, 8), 9: (10, None), 10: (11, None), 11: (7, None), 12: (7, None),
              13: (7, None), 14: (13, None), 15: (7, None), 16: (7, None), 17: (7, None),
              18: (12, 16), 19: (13, None), 22: (16, None), 23: (17, None)}
_V1_STRINGS = 8


class _Part(typing.NamedTuple):
    """A variable, or a part of it, as an index has it.

    Attributes:
      dtype: Number of its dtype.
      shape: Tuple; of the whole variable.
      slices: List of its parts in this file, each a list of a pair a dimension, start
        and length, ``(0, -1)`` for all; in V2 empty unless it is partitioned.
    """

    dtype: int
    shape: tuple
    slices: list


def check_v2(index: str, data_files: list[str]) -> None:
    """Raises `Damage` unless a V2 index is whole and its data files go with it."""
    name = os.path.basename(index)
    size = os.path.getsize(index)
    if size > _MOST_INDEX_BYTES:
        raise Damage(f"{name} has {size:,} bytes, more than any index")
    with open(index, "rb") as file:
        data = file.read()
    with _naming(name):
        found = list(table.entries(data, check_crc=True))
        _check_header(data, found, len(data_files))
    files = [_DataFile(path) for path in data_files]
    variables, parts = {}, {}
    for entry in found[1:]:
        is_part = entry.key.startswith(b"\0")
        key = entry.key[1:].partition(b"\0")[0] if is_part else entry.key
        with _naming(name, key):
            _check_name(key)
            (parts if is_part else variables)[entry.key] = _v2_entry(data, entry, files)
    for key, variable in variables.items():
        with _naming(name, key):
            for extents in variable.slices:
                part = parts.pop(table.slice_key(key, extents), None)
                if part is None or part.slices or part.dtype != variable.dtype \
                        or part.shape != _shape_of(extents, variable.shape):
                    raise Damage("a part of it is not there or another one")
            if variable.slices:
                _check_tiling(variable)
    for key in parts:
        with _naming(name, key[1:].partition(b"\0")[0]):
            raise Damage("a part that belongs to no variable")
    for file in files:
        file.check_ranges(name)


def check_v1(files: list[str]) -> dict[str, int]:
    """Raises `Damage` unless V1 files are whole and together hold all of each variable.

    Returns:
      The number of parts of each variable that has more than one, by name.
    """
    variables = {}
    for path in files:
        name = os.path.basename(path)
        with open(path, "rb", buffering=0) as file:
            for key, part in _check_v1_file(table.FilePages(file), name).items():
                known = variables.setdefault(key, part._replace(slices=[]))
                with _naming(name, key):
                    if (known.dtype, known.shape) != (part.dtype, part.shape):
                        raise Damage("is another one in another shard")
                    known.slices.extend(part.slices)
    for key, variable in variables.items():
        with _naming(os.path.basename(files[0]), key):
            _check_tiling(variable)
    return {key.decode(): len(variable.slices) for key, variable in variables.items()
            if len(variable.slices) > 1}


class _naming:
    """Puts the file and the variable in front of what `Damage` within it says."""

    def __init__(self, *names):
        self._names = names

    def __enter__(self):
        pass

    def __exit__(self, kind, error, traceback):
        if kind is Damage:
            names = [name if isinstance(name, str) else _shown(name) for name in self._names]
            raise Damage(": ".join([*names, str(error)])) from error


def _shown(key):
    text = key[:100].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)


def _check_name(key):
    try:
        if key.decode().isprintable():
            return
    except UnicodeDecodeError:
        pass
    raise Damage("its name is no printable text")


def _check_header(data, found, num_files):
    if not found or found[0].key:
        raise Damage("begins with no header")
    if len(found) > _MOST_VARIABLES:
        raise Damage(f"has {len(found):,} entries, more than any network")
    header = message(data, found[0].start, found[0].end, {1: 0, 2: 0, 3: 2})
    if header.get(2, 0):
        raise Damage("was written on a big-endian machine, which is not read here")
    if header.get(1, 0) != num_files:
        raise Damage(f"belongs to {header.get(1, 0)} data files, not {num_files}")


class _DataFile:
    """A data file of a V2 checkpoint, and which of its bytes are taken."""

    def __init__(self, path):
        self.path, self.size = path, os.path.getsize(path)
        self._ranges = []

    def take(self, offset, size):
        if offset < 0 or size < 0:
            raise Damage("its values begin or end before the file")
        if offset + size > self.size:
            raise Damage(f"its values end at byte {offset + size:,} of "
                         f"{os.path.basename(self.path)}, which has {self.size:,}: cut short")
        self._ranges.append((offset, offset + size))

    def check_ranges(self, name):
        self._ranges.sort()
        before = 0
        for start, end in self._ranges:
            if start < before and start < end:
                raise Damage(f"{name}: two variables share bytes of "
                             f"{os.path.basename(self.path)}")
            before = max(before, end)

    def check_strings(self, offset, size, count):
        """The lengths of all strings come first, then their checksum."""
        with open(self.path, "rb") as file:
            file.seek(offset)
            data = file.read(size)
        at = total = 0
        for _ in range(min(count, size + 1)):
            length, at = table.varint(data, at, len(data))
            total += length
        if at + 4 + total != size:
            raise Damage("its strings do not fit in their bytes")


def _v2_entry(data, entry, files):
    found = message(data, entry.start, entry.end,
                    {1: 0, 2: 2, 3: 0, 4: 0, 5: 0, 6: table.FIXED32}, {7: 2})
    dtype = found.get(1, 0)
    shape = _shape(data, found.get(2))
    shard, offset, size = (signed(found.get(number, 0)) for number in (3, 4, 5))
    if found[7]:
        # Its parts have entries of their own.
        if shard or offset or size:
            raise Damage("is in parts and has values of its own")
        return _Part(dtype, shape, [_extents(data, where, shape) for where in found[7]])
    if not 0 <= shard < len(files):
        raise Damage(f"is in data file {shard}, and there are {len(files)}")
    count = math.prod(shape)
    if dtype in _SIZES:
        if size != count * _SIZES[dtype]:
            raise Damage(f"takes {size:,} bytes, and {list(shape)} of its dtype "
                         f"{count * _SIZES[dtype]:,}")
    elif dtype not in (_STRING, _VARIANT):
        raise Damage(f"its dtype has the number {dtype}, which no checkpoint holds")
    files[shard].take(offset, size)
    if dtype == _STRING:
        files[shard].check_strings(offset, size, count)
    return _Part(dtype, shape, [])


def _shape(data, where):
    """Returns the tuple that a ``TensorShapeProto`` stands for."""
    if where is None:
        return ()
    dimensions = message(data, *where, {}, {2: 2})[2]
    if len(dimensions) > _MOST_DIMENSIONS:
        raise Damage(f"has {len(dimensions)} dimensions")
    shape = tuple(signed(message(data, *dimension, {1: 0}).get(1, 0)) for dimension in dimensions)
    if any(size < 0 for size in shape):
        raise Damage(f"its shape is {_some_of(shape)}")
    if math.prod(max(size, 1) for size in shape) > _MOST_ELEMENTS:
        raise Damage(f"its shape is {_some_of(shape)}, beyond all memory")
    return shape


def _some_of(shape):
    return str(list(shape[:6]))[:-1] + (", ...]" if len(shape) > 6 else "]")


def _extents(data, where, shape):
    """Returns start and length a dimension of a ``TensorSliceProto``."""
    extents = []
    for extent in message(data, *where, {}, {1: 2})[1]:
        found = message(data, *extent, {1: 0, 2: 0})
        start, length = signed(found.get(1, 0)), signed(found[2]) if 2 in found else -1
        extents.append((start, length))
    if len(extents) != len(shape) or any(
            extent != (0, -1) and not (extent[0] >= 0 and 0 < extent[1] <= size - extent[0])
            for extent, size in zip(extents, shape)):
        raise Damage("a part of it lies outside of its shape")
    return extents


def _shape_of(extents, shape):
    return tuple(size if length == -1 else length for (_, length), size in zip(extents, shape))


def _check_tiling(variable):
    """Raises `Damage` unless the parts, cut along one dimension, are all of a variable."""
    parts = [[(start, start + length if length != -1 else size)
              for (start, length), size in zip(extents, variable.shape)]
             for extents in variable.slices]
    whole = [(0, size) for size in variable.shape]
    cut = next((axis for part in parts for axis in range(len(whole)) if part[axis] != whole[axis]),
               None)
    if cut is None:
        if len(parts) != 1:
            raise Damage("is there more than once")
        return
    at = 0
    for part in sorted(parts, key=lambda part: part[cut]):
        if part[cut][0] != at or part[:cut] + part[cut + 1:] != whole[:cut] + whole[cut + 1:]:
            raise Damage("its parts overlap or leave gaps, or are cut along two dimensions")
        at = part[cut][1]
    if at != variable.shape[cut]:
        raise Damage("its parts are not all there")


def _check_v1_file(data, name):
    """Returns the variables of a V1 file as a dict of `_Part`s by key."""
    variables, expected = None, {}
    with _naming(name):
        for entry in table.entries(data):
            if variables is None:
                variables = _v1_variables(data, entry, name)
                expected = {table.slice_key(key, extents): (key, extents)
                            for key, variable in variables.items()
                            for extents in variable.slices}
            elif entry.key not in expected:
                raise Damage("values of a variable that it does not list")
            else:
                key, extents = expected.pop(entry.key)
                with _naming(key):
                    _check_v1_values(data, entry, key, extents, variables[key])
        if variables is None:
            raise Damage("holds nothing")
    for key, _ in expected.values():
        with _naming(name, key):
            raise Damage("is listed, and its values are not there")
    return variables


def _v1_variables(data, entry, name):
    if entry.key:
        raise Damage("begins with no list of variables")
    if entry.end - entry.start > _MOST_INDEX_BYTES:
        raise Damage("has a list of variables beyond any network")
    # One read of all that is looked at a byte at a time.
    data = data[entry.start:entry.end]
    where = message(data, 0, len(data), {1: 2}).get(1)
    if where is None:
        raise Damage("begins with no list of variables")
    listed = message(data, *where, {2: 2}, {1: 2})[1]
    if len(listed) > _MOST_VARIABLES:
        raise Damage(f"lists {len(listed):,} variables, more than any network has")
    variables = {}
    for start, end in listed:
        found = message(data, start, end, {1: 2, 2: 2, 3: 0}, {4: 2})
        key = data[slice(*found.get(1, (0, 0)))]
        with _naming(key):
            _check_name(key)
            shape, dtype = _shape(data, found.get(2)), found.get(3, 0)
            if key in variables:
                raise Damage("is listed twice")
            if dtype != _STRING and dtype not in _V1_FIELDS:
                raise Damage(f"its dtype has the number {dtype}, which V1 files do not hold")
            variables[key] = _Part(dtype, shape, [_extents(data, part, shape)
                                                  for part in found[4]])
    return variables


def _check_v1_values(data, entry, key, extents, variable):
    """Checks a ``SavedTensorSlices`` record, but for the values in it."""
    where = message(data, entry.start, entry.end, {2: 2}).get(2, (0, 0))
    found = message(data, *where, {1: 2, 2: 2, 3: 2})
    if data[slice(*found.get(1, (0, 0)))] != key or \
            _extents(data, found.get(2, (0, 0)), variable.shape) != extents:
        raise Damage("its values are those of another")
    count = math.prod(_shape_of(extents, variable.shape))
    values = found.get(3, (0, 0))
    if variable.dtype == _STRING:
        held = len(message(data, *values, {}, {_V1_STRINGS: 2})[_V1_STRINGS])
    else:
        number, size = _V1_FIELDS[variable.dtype]
        start, end = message(data, *values, {number: 2}).get(number, (0, 0))
        if size:
            held = (end - start) / size
        else:
            held = int((np.frombuffer(data[start:end], np.uint8) < 128).sum())
    if held != count:
        raise Damage(f"{held:g} values for {count:,} elements")
