"""What is checked of a TFRecord file before TensorFlow reads it.

TensorFlow takes the memory for as many bytes as a record says that it has; a length that
is wrong under a right checksum ends the process.
"""

import os
import struct

from slim_resnet.common.files import irregularity_of

# Length and its checksum before a record, the checksum of its bytes behind it.
_LENGTH = struct.Struct("<Q")
_BEFORE, _BEHIND = 12, 4
_BUFFER = 1 << 20


def fault_of(path: str | bytes, most_bytes: int) -> str | None:
    """Returns why a TFRecord file cannot be read, one line; None if nothing is in the way.

    Checksums and ends of files are left to TensorFlow.

    Args:
      path: The file.
      most_bytes: The most that a record may have.
    """
    why = irregularity_of(path)
    if why:
        return f"cannot be read: {why}"
    try:
        with open(path, "rb", buffering=_BUFFER) as file:
            size, at, number = os.fstat(file.fileno()).st_size, 0, 0
            while len(header := file.read(_BEFORE)) == _BEFORE:
                length, = _LENGTH.unpack_from(header)
                if length > min(size, most_bytes):
                    return (f"is damaged or no TFRecord file, at record {number}: it says that it "
                            f"has {length} bytes, and {min(size, most_bytes)} are the most")
                at += _BEFORE + length + _BEHIND
                number += 1
                file.seek(at)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None
