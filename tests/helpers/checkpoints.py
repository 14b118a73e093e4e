"""Checkpoints to test with, written by ``tf_slim.nets``: not by what is tested."""

import contextlib
import copy
import functools
import io
import os
import pathlib
import typing
import zlib

import numpy as np
import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import resnet_v2 as slim_resnet_v2

import slim_resnet.compat  # noqa: F401 (mends tf_slim)
from slim_resnet import blog, resnet_v2

tf1 = tf.compat.v1
V1, V2 = tf1.train.SaverDef.V1, tf1.train.SaverDef.V2
FORMATS = {"V1": V1, "V2": V2}
TINY = (2, 1)
# Of each version, what follows the path in the names of its files.
_SUFFIXES = {V1: ("",), V2: (".index", ".data-00000-of-00001")}
_MOST_KEPT_BYTES = 1 << 20
# What was written of the builders here: ``(Written, contents of its files)``.
_kept = {}


class Written(typing.NamedTuple):
    """A checkpoint and what is in it.

    Attributes:
      path: V1 file or V2 prefix.
      values: Arrays by variable name.
      images: ``[1, 32, 32, 3]``, an input.
      net: What the network returned for it.
      end_points: Arrays by end point name.
    """

    path: str
    values: dict
    images: np.ndarray
    net: np.ndarray
    end_points: dict


def slim_blocks(units, base_depth=1):
    """Returns tf_slim's blocks with ``units`` units each, strides as slim has them."""
    last = len(units) - 1
    return [slim_resnet_v2.resnet_v2_block(f"block{i + 1}", base_depth * 2 ** i, number,
                                           1 if i == last else 2)
            for i, number in enumerate(units)]


@functools.cache
def slim_builder(units=TINY, num_classes=10, scope="resnet_v2_50", base_depth=1):
    """Returns a function that builds tf_slim's network on images."""
    def build(images):
        with slim.arg_scope(slim_resnet_v2.resnet_arg_scope()):
            return slim_resnet_v2.resnet_v2(images, slim_blocks(units, base_depth), num_classes,
                                            is_training=False, scope=scope)
    return build


@functools.cache
def blog_builder(units=TINY, num_classes=10, scope="resnet_v2_152", is_training=False):
    """Returns a function that builds the blog's network on images."""
    blocks = [block._replace(unit_fn=blog.bottleneck) for block in
              (resnet_v2.resnet_v2_block(f"block{i + 1}", 2 ** i, number,
                                         1 if i == len(units) - 1 else 2)
               for i, number in enumerate(units))]

    def build(images):
        with slim.arg_scope(blog.resnet_arg_scope(is_training=is_training)), \
             contextlib.redirect_stdout(io.StringIO()):
            return blog.resnet_v2(images, blocks, num_classes, scope=scope)
    return build


def distinct_value(name, shape, dtype):
    """Returns an array that no other variable has, of a sane size for what it is.

    It depends on the arguments alone, in every version of numpy: uniform numbers of
    the frozen ``RandomState``.
    """
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if np.issubdtype(dtype, np.integer):
        value = rng.randint(1, 10 ** 6, shape)
    elif name.endswith(("moving_variance", "gamma")):
        value = rng.uniform(0.5, 1.5, shape)
    elif name.endswith("weights"):
        value = rng.uniform(-1, 1, shape) * (3 / np.prod(shape[:-1])) ** 0.5
    else:
        value = rng.uniform(-0.5, 0.5, shape)
    return np.asarray(value, dtype)


def write(path, build=None, version=V2, extra=(), change=None, also=None,
          channels=3, **saver_options):
    """Writes a network with distinct values.

    What a builder of this file makes is the same each time, so that it runs once a process.

    Args:
      path: V1 file or V2 prefix.
      build: As `slim_builder` returns; None builds its default.
      version: `V1` or `V2`.
      extra: Arrays by name that the file holds besides.
      change: Called with the dict of values before they are written.
      also: More prefixes by version, to write the same to.
      channels: Of its images.
      **saver_options: For ``tf.compat.v1.train.Saver``.

    Returns:
      A `Written`.
    """
    build = build or slim_builder()
    key = (build, version, channels)
    if extra or change or also or saver_options or build.__module__ != __name__:
        return _write(path, build, version, extra, change, also, channels, saver_options)
    if key in _kept:
        written, contents = _kept[key]
        os.makedirs(os.path.dirname(str(path)), exist_ok=True)
        for suffix, content in zip(_SUFFIXES[version], contents):
            pathlib.Path(f"{path}{suffix}").write_bytes(content)
        return copy.deepcopy(written)._replace(path=str(path))
    written = _write(path, build, version, extra, change, also, channels, saver_options)
    paths = [pathlib.Path(f"{path}{suffix}") for suffix in _SUFFIXES[version]]
    if sum(one.stat().st_size for one in paths) <= _MOST_KEPT_BYTES:
        _kept[key] = copy.deepcopy(written), [one.read_bytes() for one in paths]
    return written


def _write(path, build, version, extra, change, also, channels, saver_options):
    with tf.Graph().as_default(), tf1.Session() as session:
        images = np.random.RandomState(1).uniform(-1, 1, [1, 32, 32, channels]).astype(np.float32)
        net, end_points = build(tf.constant(images))
        extra = {name: np.asarray(value) for name, value in dict(extra).items()}
        for name, value in extra.items():
            tf1.get_variable(name, initializer=value, trainable=False)
        variables = tf1.global_variables()
        values = {v.op.name: distinct_value(v.op.name, v.shape.as_list(),
                                            v.dtype.base_dtype.as_numpy_dtype)
                  for v in variables}
        values.update(extra)
        if change:
            change(values)
        session.run([v.initializer for v in variables],
                    {v.initializer.inputs[1]: values[v.op.name] for v in variables})
        for written, prefix in {version: path, **(also or {})}.items():
            os.makedirs(os.path.dirname(str(prefix)), exist_ok=True)
            tf1.train.Saver(write_version=written, **saver_options).save(
                session, str(prefix), write_meta_graph=False, write_state=False)
        net, end_points = session.run([net, end_points])
    return Written(str(path), values, images, net, end_points)
