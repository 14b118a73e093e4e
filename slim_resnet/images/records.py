"""What is checked of a TFRecord file before TensorFlow reads it.

TensorFlow takes the memory for as many bytes as a record says that it has; a length that
is wrong under a right checksum ends the process.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from slim_resnet.common.files import irregularity_of

# Length and its checksum before a record, the checksum of its bytes behind it.
_LENGTH = struct.Struct("<Q")
_BEFORE, _BEHIND = 12, 4
_BUFFER = 1 << 20


class Fault(Exception):
    """What is wrong with a TFRecord file, one line."""


def starts_of(file: BinaryIO, size: int, most_bytes: int) -> Iterator[int]:
    """Yields where each record of a TFRecord file begins, in bytes.

    Checksums and ends of files are left to TensorFlow: what is cut off counts as a record.

    Args:
      file: The file, open for reading.
      size: Its size in bytes.
      most_bytes: The most that a record may have.

    Raises:
      Fault: A record says that it has more bytes.
    """
    at = number = 0
    while header := file.read(_BEFORE):
        yield at
        if len(header) < _BEFORE:
            return
        length, = _LENGTH.unpack_from(header)
        if length > min(size, most_bytes):
            raise Fault(f"is damaged or no TFRecord file, at record {number}: it says that it has "
                        f"{length} bytes, and {min(size, most_bytes)} are the most")
        at += _BEFORE + length + _BEHIND
        number += 1
        if at >= size:
            return
        file.seek(at)


def fault_of(path: str | bytes, most_bytes: int) -> str | None:
    """Returns why a TFRecord file cannot be read, one line; None if nothing is in the way.

    Args:
      path: The file.
      most_bytes: The most that a record may have.
    """
    why = irregularity_of(path)
    if why:
        return f"cannot be read: {why}"
    try:
        with open(path, "rb", buffering=_BUFFER) as file:
            for _ in starts_of(file, os.fstat(file.fileno()).st_size, most_bytes):
                pass
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except Fault as fault:
        return str(fault)
    return None
