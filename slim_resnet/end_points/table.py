"""What the end points of any network are, and what each costs: slim's dict as a table.

From the graph alone, without a session or a variable's value::

    from slim_resnet import end_points as ep

    rows = ep.summary(end_points)
    print(ep.total(rows).multiply_adds)
"""

import math
import typing
from collections.abc import Iterable
from typing import TYPE_CHECKING

import tensorflow as tf

from slim_resnet.common.rows import Column, Rows
from slim_resnet.common.units import short_bytes, short_count
from slim_resnet.end_points.costs import ancestors, cost_of
from slim_resnet.end_points.keys import choose
from slim_resnet.end_points.receptive_field import sights
from slim_resnet.errors import SlimResnetError

if TYPE_CHECKING:
    import pandas

PARAMETERS = ("parameters", "trainable_parameters", "moving_statistics")
LEVELS = ("layer", "unit", "block", "network")


class EndPoint(typing.NamedTuple):
    """One end point, and what it adds to the network; see `summary`.

    Attributes:
      key: Its key in the dict.
      op_name: Name of the op that makes it.
      shape: A tuple, None for a dimension that is not known; None if not even the
        rank is.
      parameters: Values of the variables that it adds, see `counts.Counts`.
      trainable_parameters: Those of them that are trained.
      moving_statistics: The others, of batch norms.
      multiply_adds: Multiply-accumulates an image that it adds; None where a size is
        not known.
      activation_bytes: Bytes of its own value for one image; None where a size is not
        known.
      stride: Pixels of the images from one position to the next; None where it is not
        defined, as behind global pooling, a dense layer or a reshape, and behind atrous
        convolutions of images of unknown size.
      receptive_field: Pixels along one side that a position sees, padding included;
        the larger of height and width; None like the stride.
      level: ``layer`` holds no other end point, ``unit`` holds layers, ``block`` holds
        units, ``network`` holds blocks.
      parent: Key of the smallest end point that holds it, or None.
    """

    key: str
    op_name: str
    shape: tuple | None
    parameters: int
    trainable_parameters: int
    moving_statistics: int
    multiply_adds: int | None
    activation_bytes: int | None
    stride: int | None
    receptive_field: int | None
    level: str
    parent: str | None


class Summary(Rows):
    """What `summary` returns: a list of `EndPoint`."""

    noun = "end points"
    columns = (
        Column("end point", lambda row: row.key),
        Column("level", lambda row: row.level),
        Column("shape", lambda row: shape_text(row.shape)),
        Column("parameters", lambda row: row.parameters, "{:,}".format),
        Column("MACs an image", lambda row: row.multiply_adds, short_count),
        Column("bytes an image", lambda row: row.activation_bytes, short_bytes),
        Column("stride", lambda row: row.stride),
        Column("receptive field", lambda row: row.receptive_field))

    def about(self) -> str:
        if not self:
            return ""
        whole = total(self)
        return f"{whole.parameters:,} parameters" + (
            "" if whole.multiply_adds is None else
            f", {short_count(whole.multiply_adds)} multiply-adds an image")


class EndPoints(dict):
    """A network's dict of end points, tensors by key, which shows itself by its `summary`."""

    def __repr__(self) -> str:
        return f"<{len(self)} end points by key: {', '.join(list(self)[:2])}, ...>"

    def _repr_html_(self) -> str:
        return summary(self)._repr_html_()

    def to_pandas(self) -> "pandas.DataFrame":
        """Returns the `summary` as a pandas ``DataFrame``, see `rows.Rows.to_pandas`."""
        return summary(self).to_pandas()


def summary(end_points: dict[str, tf.Tensor], keys: str | Iterable[str] = ()) -> Summary:
    """Describes the end points of a network.

    An op, and with it a variable, belongs to the first end point in graph order that
    depends on it: a layer's row counts what lies between it and the end points before
    it. A key holds the keys that continue it behind a slash and do not come later,
    as ``.../unit_1/bottleneck_v2`` holds ``.../unit_1/bottleneck_v2/conv1``; its row
    counts all that they do and what belongs to itself. So the rows without parent add
    up to the network, the rows of one parent and its own ops to it, and nothing is
    counted twice, variables that are used twice included. In a ResNet V2 a unit's
    batch norms and shortcut are in its row, the root convolution is a row, and
    postnorm is in the row of logits or of global_pool.

    Args:
      end_points: Maps keys to tensors of one graph, such as
        ``slim.utils.convert_collection_to_dict`` makes.
      keys: The end points to return, see `keys.choose`; each has the row that it has among
        all. None at all return all.

    Returns:
      A list of `EndPoint`, in graph order, that notebooks show as a table; see `rows.Rows`.

    Raises:
      SlimResnetError: A value is no tensor of a graph, they are of several, or a key fits
        none of them.
    """
    shares = own_ops(end_points)
    order = list(shares)
    owned = set().union(*shares.values())
    seen_by = sights([op for op in _operations(end_points) if op in owned])
    parents = {key: _parent(key, order[number:]) for number, key in enumerate(order)}
    heights = dict.fromkeys(order, 0)
    costs = {key: cost_of(ops) for key, ops in shares.items()}
    trainable = {key: cost.counts.trainable for key, cost in costs.items()}
    moving = {key: cost.counts.moving_statistics for key, cost in costs.items()}
    multiply_adds = {key: cost.multiply_adds for key, cost in costs.items()}
    # Whoever is held comes before its holder, so its own sum is complete by then.
    for key, parent in parents.items():
        if parent is not None:
            heights[parent] = max(heights[parent], heights[key] + 1)
            trainable[parent] += trainable[key]
            moving[parent] += moving[key]
            multiply_adds[parent] = _sum([multiply_adds[parent], multiply_adds[key]])
    chosen = choose(keys, order) if keys else order
    return Summary(
        EndPoint(key, tensor.op.name, _shape(tensor), trainable[key] + moving[key],
                 trainable[key], moving[key], multiply_adds[key],
                 _bytes_of_image(tensor), *_stride_and_field(seen_by.get(tensor.op)),
                 LEVELS[min(heights[key], 3)], parents[key])
        for key, tensor in ((key, end_points[key]) for key in chosen))


def own_ops(end_points):
    """Returns the ops that belong to each end point itself, see `summary`, in graph order."""
    position = {op: number for number, op in enumerate(_operations(end_points))}
    shares, seen = {}, set()
    # Of one tensor's keys the longest is the innermost.
    for key in sorted(end_points, key=lambda key: (position[end_points[key].op], -len(key))):
        shares[key] = ancestors(end_points[key].op, seen)
        seen |= shares[key]
    return shares


def select(rows, patterns=(), depth="layer"):
    """Chooses rows of `summary`.

    Args:
      rows: What `summary` returned.
      patterns: Keys, ends of them and patterns such as ``*/conv2``, see `keys.choose`; a
        row is kept that fits one of them. None at all keep all.
      depth: One of `LEVELS`. Rows are kept that no end point of that level or a lower
        one holds: ``block`` leaves out what is within blocks.

    Returns:
      A list of them, of the kind of ``rows``.

    Raises:
      SlimResnetError: A pattern fits no key, or one without wildcards fits several.
    """
    keys = [row.key for row in rows]
    chosen = set(choose(patterns, keys) if patterns else keys)
    levels = {row.key: LEVELS.index(row.level) for row in rows}
    kept = [row for row in rows if row.key in chosen
            and levels.get(row.parent, len(LEVELS)) > LEVELS.index(depth)]
    return rows.like(kept) if isinstance(rows, Rows) else kept


def total(rows):
    """Sums rows of `summary`, those that another of them holds left out.

    Args:
      rows: A list of `EndPoint` in graph order, at least one. All that `summary`
        returned give the whole network, and so does what `select` kept of them by depth.

    Returns:
      An `EndPoint` with the key ``total`` and the level ``network``. Its
      ``activation_bytes`` are those of all ``rows``, several keys of one tensor counted
      once; its op, shape, stride and receptive field are the last row's.
    """
    keys = [row.key for row in rows]
    tops = [row for number, row in enumerate(rows) if _parent(row.key, keys[number:]) is None]
    tensors = {row.op_name: row.activation_bytes for row in rows}
    return rows[-1]._replace(
        key="total", level="network", parent=None,
        **{name: sum(getattr(row, name) for row in tops) for name in PARAMETERS},
        multiply_adds=_sum([row.multiply_adds for row in tops]),
        activation_bytes=_sum(tensors.values()))


def shape_text(shape: tuple | None) -> str:
    """Returns an `EndPoint.shape` in words; ``?`` stands for what is not known."""
    return "?" if shape is None else " x ".join(
        "?" if length is None else str(length) for length in shape)


def _operations(end_points):
    graphs = []
    for key, tensor in end_points.items():
        graph = getattr(tensor, "graph", None) if tf.is_tensor(tensor) else None
        if graph is None:
            raise SlimResnetError(f"end point {key!r} is no tensor of a graph; build the network "
                                  "within 'with tf.Graph().as_default():'")
        if graph not in graphs:
            graphs.append(graph)
    if len(graphs) > 1:
        raise SlimResnetError(f"the end points are of {len(graphs)} graphs; give those of one")
    return graphs[0].get_operations() if graphs else []


def _parent(key, later):
    holders = [other for other in later if key.startswith(other + "/")]
    return max(holders, key=len, default=None)


def _sum(values):
    values = list(values)
    return None if None in values else sum(values)


def _shape(tensor):
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())


def _bytes_of_image(tensor):
    shape = _shape(tensor)
    if not shape or None in shape[1:]:
        return None
    return math.prod(shape[1:]) * tensor.dtype.size


def _stride_and_field(axes):
    if axes is None:
        return None, None
    return (max(sight.stride for sight in axes),
            max(sight.last - sight.first + 1 for sight in axes))
