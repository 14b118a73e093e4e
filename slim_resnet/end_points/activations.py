"""What the values of end points are like over any number of images, and what looks wrong.

For your own network as for a checkpoint's, in memory for one batch::

    from slim_resnet import end_points as ep

    rows = ep.statistics(end_points, session, images, batches)
    print(ep.doubts(rows))

Sums are taken within the graph, in float64, so that no activation leaves it; batches
are put together by Chan's formula.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet.common import html_tables
from slim_resnet.common.rows import Column, Rows
from slim_resnet.end_points.keys import choose
from slim_resnet.end_points.table import own_ops
from slim_resnet.errors import SlimResnetError

tf1 = tf.compat.v1

_RELUS = ("Relu", "Relu6")
_FUSED_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")

# Beyond these, `doubts` speaks. A batch norm whose moving statistics are those of the
# images gives 1 (0.8 to 1.2 for one image in a network trained on its like); an image's
# values in a batch of others differ from those alone by rounding only, some 1e-5
# standard deviations.
NORM_RANGE = (1 / 2, 2)
BATCH_CHANGE = 1e-3
GROWTH = 1000


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Values of one end point over all images.

    Attributes:
      key: Its key.
      images: Number of images.
      values: Number of its values for them.
      mean, std, min, max: Of its finite values, std of the population; None if there
        are none.
      nan, inf: How many of its values are NaN, and infinite.
      channels: Length of its last dimension.
      zeros: Share of its values that are zero, where a ReLU makes it; else None.
      dead: Numbers of the channels that are zero everywhere in all images, where a ReLU
        makes it; else None.
      norm: How much larger than gamma and beta promise the outputs are of the batch
        norms between it and the end points before it, the farthest from 1 of them: the
        root of the median over channels of the mean of ``((output - beta) / gamma)**2``;
        None where there are none (of TensorFlow's fused kind, channels last).
      batch_change: How far the channels' means for the first image move when it is
        run alone instead of within its batch, in standard deviations, at most; None if
        no batch had two images.
    """

    key: str
    images: int
    values: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    nan: int
    inf: int
    channels: int
    zeros: float | None
    dead: tuple | None
    norm: float | None
    batch_change: float | None

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name} {value:.4g}" for name in ("mean", "std", "min", "max", "zeros", "norm")
            if (value := getattr(self, name)) is not None)
        return (f"<{self.key}: {shown or 'no finite value'}, nan {self.nan}, inf {self.inf}, "
                f"dead {len(self.dead or ())} of {self.channels} channels, {self.images} images>")


class StatisticsRows(Rows):
    """What `statistics` returns: a list of `Statistics`; a notebook shows the `doubts` too."""

    noun = "end points"
    columns = (
        Column("end point", lambda row: row.key),
        *(Column(name, lambda row, name=name: getattr(row, name), "{:.4g}".format)
          for name in ("mean", "std", "min", "max")),
        Column("zeros %", lambda row: row.zeros, lambda share: f"{100 * share:.1f}"),
        Column("dead channels", lambda row: None if row.dead is None else len(row.dead)),
        Column("channels", lambda row: row.channels),
        Column("norm", lambda row: row.norm, "{:.3g}".format),
        Column("NaN", lambda row: row.nan, "{:,}".format),
        Column("infinite", lambda row: row.inf, "{:,}".format))

    def about(self) -> str:
        if not self:
            return ""
        number = len(doubts(self))
        images = self[0].images
        return (f"values of {images:,} image{'s' * (images != 1)}, "
                f"{number or 'no'} doubt{'s' * (number != 1)}")

    def _repr_html_(self) -> str:
        return super()._repr_html_() + "".join(map(html_tables.paragraph, doubts(self)))


def statistics(end_points: dict[str, tf.Tensor], session: tf1.Session, images: tf.Tensor,
               batches: np.ndarray | Iterable[np.ndarray], *, keys: str | Iterable[str] = ()
               ) -> StatisticsRows:
    """Runs images through any slim network once and describes its end points.

    Args:
      end_points: Maps keys to tensors of one graph, which is given more ops. They have images
        first and channels last.
      session: A ``tf.compat.v1.Session`` of the graph, whose variables have their values.
      images: Tensor of the graph that images are fed to.
      batches: One array ``[n, height, width, channels]``, prepared as the network wants it,
        or an iterable of them. Ctrl-C ends them; what there is by then is returned.
      keys: End points, see `keys.choose`; none at all take all.

    Returns:
      A list of `Statistics` in graph order, that notebooks show as a table, see `rows.Rows`;
      empty for no images.

    Raises:
      SlimResnetError: There is no such end point, a tensor is of another graph than the
        session, or images are not float where the network takes it.
    """
    for what, tensor in (("images", images), *end_points.items()):
        if getattr(tensor, "graph", None) is not session.graph:
            raise SlimResnetError(f"{what}: is no tensor of the session's graph; give the session, "
                                  "the images and the end points of one network")

    def run(fetches, batch):
        # TensorFlow would cast pixels of uint8 to float32 and feed them.
        if images.dtype.is_floating and np.asarray(batch).dtype.kind != "f":
            raise SlimResnetError(f"the network takes {images.dtype.name}, and the images are "
                                  f"{np.asarray(batch).dtype}; prepare them first")
        return session.run(fetches, {images: batch})

    return _run_through(end_points, run, session.graph,
                        [batches] if isinstance(batches, np.ndarray) else batches, keys or None)


def layer_statistics(network: Any, batches: Iterable[np.ndarray],
                     keys: str | Iterable[str] | None = None) -> StatisticsRows:
    """Runs images through a network once and describes its end points.

    Args:
      network: A `network.Network`, or your own as a `network.BuiltNetwork`; its graph
        is given more ops. End points have images first and channels last.
      batches: Yields arrays that it takes, ``[n, height, width, channels]``. Ctrl-C
        ends them; what there is by then is returned.
      keys: End points, see `keys.choose`; None takes all.

    Returns:
      As `statistics`.

    Raises:
      SlimResnetError: There is no such end point.
    """
    return _run_through(network.end_points, network.run, network.session.graph, batches, keys)


def _run_through(end_points, run, graph, batches, keys):
    keys = end_points if keys is None else choose(keys, end_points)
    shares = {key: ops for key, ops in own_ops(end_points).items() if key in keys}
    with graph.as_default(), tf.name_scope("statistics"):
        fetches = {key: _fetches(key, end_points[key], ops) for key, ops in shares.items()}
    sums, change, count = None, None, 0
    with contextlib.suppress(KeyboardInterrupt):
        for images in batches:
            batch = run(fetches, images)
            if change is None and len(images) > 1:
                alone = run(fetches, images[:1])
                change = {key: _change(batch[key], alone[key]) for key in fetches}
            sums = batch if sums is None else {
                key: _merged(sums[key], batch[key]) for key in fetches}
            count += len(images)
    return StatisticsRows() if sums is None else StatisticsRows(
        _statistics(key, count, sums[key], None if change is None else change[key])
        for key in fetches)


def doubts(rows):
    """Returns what looks wrong about a network, a line each; none for a sound one.

    Args:
      rows: What `layer_statistics` returned.
    """
    found = []

    def doubt(suspects, text):
        if suspects:
            found.append(f"{len(suspects)} of {len(rows)} end points {text}; first "
                         f"{suspects[0].key}")

    doubt([row for row in rows if row.nan or row.inf], "hold NaN or infinite values")
    doubt([row for row in rows if row.min == row.max == 0],
          "are zero everywhere, for all images")
    doubt([row for row in rows if (row.batch_change or 0) > BATCH_CHANGE],
          "change with the other images of the batch: the network was built in training mode "
          "(is_training=True), or something in it is random")
    low, high = NORM_RANGE
    norms = [row for row in rows if row.norm is not None and not low <= row.norm <= high]
    if norms:
        worst = max(norms, key=lambda row: _distance(row.norm))
        doubt(norms, "have a batch norm whose values are not what its gamma and beta promise "
              f"(worst: {worst.norm:.3g} times, at {worst.key}): its moving statistics were not "
              "updated in training (UPDATE_OPS), or were learned on images prepared in another "
              "way")
    with_std = [row for row in rows if row.std]
    if with_std:
        doubt([row for row in with_std if row.std > GROWTH * with_std[0].std],
              f"have a standard deviation more than {GROWTH} times that of {with_std[0].key}: "
              "values grow from layer to layer, as nothing normalises them")
    return found


def _fetches(key, tensor, ops):
    """Returns the tensors that describe one end point for one batch, by channel."""
    if (tensor.shape.rank or 0) < 2:
        raise SlimResnetError(f"end point {key!r} has no images and channels to describe: its "
                              f"shape is {tensor.shape}")
    finite = tf.math.is_finite(tensor)
    none = tf.zeros([], tensor.dtype)
    kept = tf.cast(tf.where(finite, tensor, none), tf.float64)
    count, not_finite = _count(finite), _count(tf.math.logical_not(finite))
    mean = _sum(kept) / tf.maximum(count, 1)
    fetches = {
        "count": count,
        "mean": mean,
        # Those left out stand in kept as zeros.
        "m2": _sum(tf.math.squared_difference(kept, mean)) - not_finite * mean ** 2,
        "min": tf.reduce_min(tf.where(finite, tensor, tensor.dtype.max), _but_channels(tensor)),
        "max": tf.reduce_max(tf.where(finite, tensor, tensor.dtype.min), _but_channels(tensor)),
        "nan": _count(tf.math.is_nan(tensor)),
        "not_finite": not_finite,
        "first": tf.reduce_mean(kept[0], _but_channels(tensor)[:-1]),
        "norms": [_norm(op) for op in sorted(ops, key=lambda op: op.name)
                  if op.type in _FUSED_NORMS and op.get_attr("data_format") == b"NHWC"],
    }
    if tensor.op.type in _RELUS:
        fetches["zero"] = _count(tf.equal(tensor, none))
    return fetches


def _but_channels(tensor):
    return list(range(tensor.shape.rank - 1))


def _sum(tensor):
    return tf.reduce_sum(tensor, _but_channels(tensor))


def _count(mask):
    # float32 is fastest, and counts one row of an image exactly.
    in_rows = tf.reduce_sum(tf.cast(mask, tf.float32), mask.shape.rank - 2)
    return _sum(tf.cast(in_rows, tf.float64))


def _norm(op):
    """Returns by channel how often and how strongly a batch norm's outputs leave beta."""
    outputs, (gamma, beta) = op.outputs[0], (tf.cast(t, tf.float64) for t in op.inputs[1:3])
    squares = _sum(tf.math.squared_difference(tf.cast(outputs, tf.float64), beta))
    return {"count": tf.size(outputs) // tf.size(beta), "sum": squares / gamma ** 2}


def _merged(a, b):
    """Puts the sums of two batches together."""
    count = a["count"] + b["count"]
    at_least_1 = np.maximum(count, 1)
    apart = b["mean"] - a["mean"]
    return {
        "count": count,
        "mean": a["mean"] + apart * b["count"] / at_least_1,
        "m2": a["m2"] + b["m2"] + apart ** 2 * a["count"] * b["count"] / at_least_1,
        "min": np.minimum(a["min"], b["min"]),
        "max": np.maximum(a["max"], b["max"]),
        **{name: a[name] + b[name] for name in ("nan", "not_finite", "zero") if name in a},
        "norms": [{name: one[name] + other[name] for name in one}
                  for one, other in zip(a["norms"], b["norms"])],
    }


def _over_channels(sums):
    """Returns count, mean and std of all channels' finite values together."""
    count = int(sums["count"].sum())
    if not count:
        return 0, None, None
    mean = float(sums["count"] @ sums["mean"] / count)
    m2 = sums["m2"].sum() + sums["count"] @ (sums["mean"] - mean) ** 2
    return count, mean, math.sqrt(max(m2, 0) / count)


def _change(batch, alone):
    moved = float(np.abs(batch["first"] - alone["first"]).max())
    return moved / (_over_channels(batch)[2] or 1) if math.isfinite(moved) else None


def _statistics(key, images, sums, change):
    count, mean, std = _over_channels(sums)
    by_channel = sums["count"] + sums["not_finite"]
    zero, nan = sums.get("zero"), int(sums["nan"].sum())
    norms = [_norm_ratio(norm) for norm in sums["norms"]]
    return Statistics(
        key=key, images=images, values=int(by_channel.sum()), mean=mean, std=std,
        min=float(sums["min"].min()) if count else None,
        max=float(sums["max"].max()) if count else None,
        nan=nan, inf=int(sums["not_finite"].sum()) - nan, channels=len(by_channel),
        zeros=None if zero is None else float(zero.sum() / by_channel.sum()),
        dead=None if zero is None else tuple(np.flatnonzero(zero == by_channel).tolist()),
        norm=max((norm for norm in norms if norm is not None), key=_distance, default=None),
        batch_change=change)


def _norm_ratio(norm):
    squares = norm["sum"] / norm["count"]
    # A channel whose gamma is zero promises nothing.
    squares = squares[np.isfinite(squares)]
    return math.sqrt(np.median(squares)) if squares.size else None


def _distance(ratio):
    """How far a ratio is from 1, up or down."""
    return abs(math.log(max(ratio, 1e-300)))
