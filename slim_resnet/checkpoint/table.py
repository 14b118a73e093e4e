"""The bytes of checkpoints: tables as LevelDB has them, and protocol buffers in them.

Read to be checked before TensorFlow reads them, which ends the process over some that
are damaged. Everything here is strict: what TensorFlow's writers do not write is refused.

A table is blocks of sorted keys and values, then an index block with the place of each
and a key between it and the next, then a footer with the place of the index. Keys in a
block leave out what they share with the one before, except at restarts.
"""

import struct
import typing
from collections.abc import Iterator

# Ends every table.
MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48
# Behind each block: how it is compressed, and a checksum.
_TRAILER = 5

_VARINT, _BYTES, FIXED32 = 0, 2, 5


class Damage(Exception):
    """What is wrong with the bytes; its text is one line."""


class Entry(typing.NamedTuple):
    """A key of a table, and where its value begins and ends."""

    key: bytes
    start: int
    end: int


class FilePages:
    """The bytes of a file, read where they are asked for.

    Takes an index or a slice, as ``bytes`` do. A single byte brings in a page that the
    next is probably in too.
    """

    _PAGE = 1 << 12

    def __init__(self, file: typing.BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self._start, self._page = 0, b""

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, where):
        if isinstance(where, slice):
            self._file.seek(where.start)
            return self._file.read(where.stop - where.start)
        if not 0 <= where - self._start < len(self._page):
            # Some bytes before it, for the fields of a record that lies across pages.
            self._start = max(0, where - 256)
            self._page = self[self._start:self._start + self._PAGE]
        try:
            return self._page[where - self._start]
        except IndexError:
            raise Damage("cut short while it was read") from None


def varint(data, at: int, end: int, bits: int = 64) -> tuple[int, int]:
    """Returns an unsigned number of up to ``bits`` bits, and where the next byte is."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            if value >> bits:
                break
            return value, at
    raise Damage("a number that does not end or is too large")


def entries(data, check_crc: bool = False) -> Iterator[Entry]:
    """Yields what a table holds, in the order of keys.

    Args:
      data: ``bytes`` or `FilePages`.
      check_crc: Whether to verify checksums of blocks, which takes a while in Python.
        TensorFlow verifies them of all that it reads.

    Raises:
      Damage: It is no table, or one that TensorFlow would not write.
    """
    size = len(data)
    if size < _FOOTER or data[size - 8:size] != MAGIC:
        raise Damage("is no table")
    at = size - _FOOTER
    _, _, at = _handle(data, at, size - 8)
    start, end, _ = _handle(data, at, size - 8)
    before, last = 0, None
    for index in list(_block(data, start, end, size, check_crc)):
        start, end, at = _handle(data, index.start, index.end)
        if at != index.end or start < before:
            raise Damage("blocks that overlap")
        before, first = end + _TRAILER, True
        for entry in _block(data, start, end, size, check_crc):
            if last is not None and entry.key <= last:
                raise Damage("keys out of order")
            last, first = entry.key, False
            yield entry
        if first or last > index.key:
            raise Damage("an index that does not fit its blocks")
        # TensorFlow looks for a key up to this one in this block only.
        last = index.key


def _handle(data, at, end):
    """Returns where a block begins and ends, and what is behind its handle."""
    start, at = varint(data, at, end)
    size, at = varint(data, at, end)
    return start, start + size, at


def _block(data, start, end, size, check_crc):
    if end + _TRAILER > size - _FOOTER or end - start < 8:
        raise Damage("a block that lies outside of the file")
    if data[end]:
        raise Damage("a compressed block, which TensorFlow does not write")
    if check_crc and _masked_crc(data[start:end + 1]) != _unsigned(data[end + 1:end + 5]):
        raise Damage("a block whose checksum is wrong")
    count = _unsigned(data[end - 4:end])
    limit = end - 4 - 4 * count
    if not count or limit < start:
        raise Damage("a block whose restarts do not fit")
    restarts = struct.unpack(f"<{count}I", data[limit:end - 4])
    at, key, whole = start, b"", [0] if limit == start else []
    while at < limit:
        here = at
        shared, at = varint(data, at, limit, 32)
        own, at = varint(data, at, limit, 32)
        length, at = varint(data, at, limit, 32)
        if shared > len(key) or at + own + length > limit:
            raise Damage("a block whose entries do not fit")
        if not shared:
            whole.append(here - start)
        key = key[:shared] + data[at:at + own]
        at += own + length
        yield Entry(key, at - length, at)
    # Another restart would be an entry within an entry, for a search to find.
    if restarts[0] != 0 or list(restarts) != sorted(set(restarts)) \
            or not set(restarts) <= set(whole):
        raise Damage("a block whose restarts do not fit")


def fields(data, start: int, end: int, known: dict[int, int]) -> Iterator[tuple[int, typing.Any]]:
    """Yields the fields of a protocol buffer.

    Args:
      data: ``bytes`` or `FilePages`.
      start: Where the message begins.
      end: Where it ends.
      known: The wire type by the number of each field that it may have.

    Yields:
      ``(number, value)``: an unsigned int, for fields of bytes ``(start, end)``, for
      fixed ones ``bytes``.
    """
    at = start
    while at < end:
        tag, at = varint(data, at, end, 32)
        number, wire = tag >> 3, tag & 7
        if known.get(number) != wire:
            raise Damage("a field that is unknown or of another type")
        if wire == _VARINT:
            value, at = varint(data, at, end)
        elif wire == _BYTES:
            length, at = varint(data, at, end)
            value, at = (at, at + length), at + length
        else:
            length = 4 if wire == FIXED32 else 8
            value, at = data[at:at + length], at + length
        if at > end:
            raise Damage("a field that is longer than what it is in")
        yield number, value


def message(data, start: int, end: int, once: dict[int, int], many: dict[int, int] | None = None
            ) -> dict[int, typing.Any]:
    """Returns the fields of a protocol buffer by number; those of ``many`` as lists."""
    many = many or {}
    found = {number: [] for number in many}
    for number, value in fields(data, start, end, {**once, **many}):
        if number in many:
            found[number].append(value)
        elif number in found:
            raise Damage("a field that is there twice")
        else:
            found[number] = value
    return found


def signed(value: int) -> int:
    """Returns the int64 that a varint stands for."""
    return value - (1 << 64) if value >> 63 else value


def slice_key(name: bytes, extents: list[tuple[int, int]]) -> bytes:
    """Returns the key under which a part of a variable is stored.

    Args:
      name: The variable's, printable UTF-8, in which nothing has to be escaped.
      extents: Start and length in each dimension; ``(0, -1)`` is all of it.
    """
    rank = len(extents).to_bytes(1, "big").lstrip(b"\0")
    return b"".join([b"\0", name, b"\0\1", bytes([len(rank)]), rank,
                     *(_ordered(number) for extent in extents for number in extent)])


def _ordered(number):
    """Returns bytes that sort as numbers do: as many leading ones as bytes, then the number."""
    length = 1
    while not -(1 << 7 * length - 1) <= number < 1 << 7 * length - 1:
        length += 1
    bits = 8 * length
    header = ((1 << length) - 1) << bits - length
    return ((number & (1 << bits) - 1) ^ header).to_bytes(length, "big")


def _unsigned(data):
    return int.from_bytes(data, "little")


def _table_of_crc32c():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _table_of_crc32c()


def _masked_crc(data):
    """Returns the CRC-32C as LevelDB stores it: turned by 15 bits, plus a constant."""
    crc, table = 0xFFFFFFFF, _CRC32C
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
