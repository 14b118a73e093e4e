"""Variables in parts: ``w/part_0``, ``w/part_1`` in a graph or in a file, ``w`` in the other."""

import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence

import tensorflow as tf

from slim_resnet.checkpoint.reader import Checkpoint

_PART = re.compile(r"/part_[0-9]+(/|$)")


class Slice(typing.NamedTuple):
    """Which part of a whole a variable of a graph is.

    Attributes:
      whole: Name of the whole.
      shape: Its shape, a tuple.
      text: The part, as ``tf.raw_ops.RestoreV2`` takes it.
    """

    whole: str
    shape: tuple
    text: str


class Joint(typing.NamedTuple):
    """Variables of a file that put together are one.

    Attributes:
      names: Theirs, in order.
      axis: Where they are put together.
    """

    names: Sequence[str]
    axis: int


def of_graph(variables: Iterable[tf.Variable]) -> dict[str, Slice]:
    """Returns the `Slice` of each variable that a partitioner made, by name."""
    found = {}
    for variable in variables:
        if not _PART.search(variable.op.name):
            continue
        info = variable.to_proto().save_slice_info_def
        if info.full_name:
            extents = ":".join(f"{start},{length}" for start, length in
                               zip(info.var_offset, info.var_shape))
            found[variable.op.name] = Slice(
                info.full_name, tuple(info.full_shape),
                f"{' '.join(map(str, info.full_shape))} {extents}")
    return found


def of_file(name: str, shape: tf.TensorShape, in_file: Mapping[str, str],
            checkpoint: Checkpoint) -> Joint | None:
    """Returns what a variable of a graph is made of in a file, or None.

    Args:
      name: The variable's.
      shape: Its shape.
      in_file: Maps names as the graph has them to names in the file.
      checkpoint: The `Checkpoint`.
    """
    names = []
    while f"{name}/part_{len(names)}" in in_file:
        names.append(f"{name}/part_{len(names)}")
    if not names or not shape.is_fully_defined():
        return None
    shapes = [checkpoint.shapes[in_file[part]] for part in names]
    for axis, size in enumerate(shape.as_list()):
        others = {(*one[:axis], *one[axis + 1:]) for one in shapes if len(one) == shape.rank}
        if others == {(*shape.as_list()[:axis], *shape.as_list()[axis + 1:])} \
                and sum((one[axis:axis + 1] or (0,))[0] for one in shapes) == size:
            return Joint(names, axis)
    return None


def names_of(source: str | Joint) -> Sequence[str]:
    """Returns the names in the file of what `joined` puts together."""
    return source.names if isinstance(source, Joint) else [source]


def joined(source: str | Joint, values: Iterator[tf.Tensor]) -> tf.Tensor:
    """Takes the next values that were read for a variable, and returns the variable's."""
    taken = [next(values) for _ in names_of(source)]
    return taken[0] if len(taken) == 1 else tf.concat(taken, source.axis)
