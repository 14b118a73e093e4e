"""TFRecords from any place of a file on, which TensorFlow's public readers do not give."""

from typing import Any

from tensorflow.python.lib.io import tf_record


def record_reader(path: str) -> Any:
    """Returns what reads one record of a TFRecord file at a time, its checksums too.

    Its ``read(offset)`` returns the record that begins at a byte, and where the next begins.
    """
    return tf_record.tf_record_random_reader(path)
