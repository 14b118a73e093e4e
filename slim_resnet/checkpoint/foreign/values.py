"""What reading a foreign file gives: values under slim's names."""

import re
import typing
from collections.abc import Callable, Mapping

import numpy as np

from slim_resnet.common.files import misfit, parse_json
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError

# Under which our files keep a record, as JSON text.
METADATA = "slim_resnet_metadata"
# What a scope of TensorFlow's may be called, and no program makes anything else.
_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]{0,999}")
_MOST_VARIABLES = 100_000


class Foreign(typing.NamedTuple):
    """A network's variables from a foreign file.

    Attributes:
      format: What people call the file's format.
      values: Arrays by slim's names.
      notes: What differs from what slim wrote, in words, for `Recognised.assumed`.
    """

    format: str
    values: dict[str, np.ndarray]
    notes: dict[str, str]


def checked(path: str, found: Foreign) -> Foreign:
    """Returns a `Foreign` whose names and dtypes a checkpoint can have.

    Raises:
      SlimResnetError: It holds nothing, or others.
    """
    if not found.values:
        raise SlimResnetError(f"{path}: holds no variables of a network")
    if len(found.values) > _MOST_VARIABLES:
        raise SlimResnetError(f"{path}: holds more than {_MOST_VARIABLES:,} variables; no network "
                              "of slim's")
    for name, value in found.values.items():
        if not _NAME.fullmatch(name):
            raise SlimResnetError(f"{path}: {name[:60]!r} is no name of a variable")
        # bfloat16 is of kind V.
        if value.dtype.kind not in "biufc" and value.dtype.name != "bfloat16":
            raise SlimResnetError(f"{path}: {name} is of dtype {value.dtype}, no array of numbers")
    return found


def record_of(path: str, text: str | bytes) -> dict[str, typing.Any]:
    """Returns a record of ours with the places of a network's variables.

    Its ``variables`` maps the names of the file's arrays to ``[name, shape]``, slim's.

    Raises:
      SlimResnetError: The record is another.
    """
    record = parse_json(text, f"{path}: its {METADATA}")
    fault = misfit(record, {"variables": dict})
    for name, place in ([] if fault else record["variables"].items()):
        if not (isinstance(place, list) and len(place) == 2 and misfit(place[0], str) is None
                and misfit(place[1], [int]) is None):
            fault = f"variables/{name} is no name and shape"
    if fault:
        raise SlimResnetError(f"{path}: its {METADATA} is damaged: {printable(fault)}")
    return record


def by_record(path: str, record: Mapping[str, typing.Any], arrays: Mapping[str, np.ndarray],
              layout: Callable[[np.ndarray], np.ndarray] = lambda array: array
              ) -> dict[str, np.ndarray]:
    """Returns arrays under the names and in the shapes that a record of ours says.

    Args:
      path: Of the file, for messages.
      record: What `record_of` returned.
      arrays: By the file's own names.
      layout: Puts an array's dimensions in slim's order.

    Raises:
      SlimResnetError: An array is not there or does not fit, or two have one name.
    """
    values = {}
    for own, (name, shape) in record["variables"].items():
        if own not in arrays:
            raise SlimResnetError(f"{path}: half a file: it holds no {printable(own)}")
        if name in values:
            raise SlimResnetError(f"{path}: its {METADATA} is damaged: two arrays for "
                                  f"{printable(name)}")
        value = layout(arrays[own])
        if min(shape, default=0) < 0 or np.prod(shape, dtype=object) != value.size:
            raise SlimResnetError(
                f"{path}: {printable(own)} has the shape {list(arrays[own].shape)}, and its "
                f"{METADATA} says {shape} of {printable(name)}")
        values[name] = np.ascontiguousarray(value).reshape(shape)
    return values
