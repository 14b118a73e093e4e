"""SavedModel, for ``tf.saved_model.load`` and TensorFlow Serving."""

import json
import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common import files
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.shared import (
    METADATA,
    chosen_end_points,
    interface,
    metadata,
    network_builder,
)
from slim_resnet.images.decoding import CHANNELS, decode
from slim_resnet.images.labels import read_labels
from slim_resnet.images.preparation import preprocess
from slim_resnet.images.settings import Preprocessing

tf1 = tf.compat.v1


def check_target(output: str) -> None:
    """Raises `SlimResnetError` if a folder cannot be made."""
    if os.path.lexists(output):
        raise SlimResnetError(f"{output}: exists already; name a folder to make")
    files.check_writable(output)


def write(
        checkpoint: CheckpointLike, path: str | os.PathLike, *,
        end_points: str | Sequence[str] | None = None, image_size: int | None = None,
        preprocessing: str | Preprocessing | None = None, labels: str | None = None,
        optimize: bool = False, precision: str = PRECISIONS[0],
        use_moving_averages: bool | None = None, labels_offset: int | None = None,
        no_decoding: bool = False) -> dict[str, Any]:
    """Writes a SavedModel for ``tf.saved_model.load`` and TensorFlow Serving.

    Signatures, with any batch size:

    * ``serving_default``: ``image_bytes`` (string ``[N]``, files as `images.decode` takes
      them) to ``probabilities`` (``[N, classes]``) and, with labels, ``classes`` (string
      ``[N, classes]``, the names in the same order). Without logits, or for images of other
      channels than files have, there is none. With ``no_decoding`` it is ``end_points``.
    * ``end_points``: ``images`` (float32 ``[N, H, W, channels]``, prepared) to end points by key.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      path: Folder to make.
      end_points: Those of the ``end_points`` signature, see `keys.choose`; None takes
        pooled features, logits and predictions.
      image_size: Height and width that ``serving_default`` resizes to, in pixels; None
        takes what the checkpoint was trained with, see `settings.settings_of`. With
        ``no_decoding`` it fixes H and W, and None leaves them open.
      preprocessing: How it prepares images: a `images.settings.Preprocessing`, the name of
        one, or None.
      labels: Labels file, see `labels.read_labels`, or None.
      optimize: Whether to write the folded network, all values constants.
      precision: Of the folded network, one of `environment.PRECISIONS`.
      use_moving_averages: See `checkpoint.open_checkpoint`.
      labels_offset: See `labels.read_labels`.
      no_decoding: Whether to leave out the decoding of files, which converters to other
        runtimes have no ops for.

    Returns:
      The `metadata`, which is in ``assets.extra/slim_resnet_metadata.json`` too.

    Raises:
      SlimResnetError: The checkpoint cannot be restored, or an argument is at fault.
    """
    fixed = image_size if no_decoding else None
    image_size, preprocessing, labels = settings_of(checkpoint, image_size, preprocessing, labels)
    with open_checkpoint(checkpoint, use_moving_averages) as opened, tf.Graph().as_default(), \
         tf1.Session() as session:
        recognised = recognise(opened)
        channels = recognised.input_channels
        build = network_builder(optimize, precision)
        preprocessing.check_size(image_size)
        # Without residual units a network is built for one size.
        size = fixed if recognised.variant else image_size
        prepare = None if no_decoding else lambda contents: preprocess(
            decode(contents, channels, preprocessing.max_pixels), image_size, preprocessing)
        signatures = _signatures(opened, recognised, size, session, build, end_points, labels,
                                 labels_offset, prepare)
        record = {**metadata(opened, optimized=optimize, precision=precision,
                             moving_averages=opened.use_moving_averages),
                  "image_size_pixels": image_size, **preprocessing.as_record(),
                  **interface(signatures["end_points"].outputs, size, channels)}
        builder = tf1.saved_model.Builder(os.fspath(path))
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING], signatures, strip_default_attrs=True)
        builder.save()
        os.mkdir(os.path.join(path, "assets.extra"))
        with open(os.path.join(path, "assets.extra", f"{METADATA}.json"), "w",
                  encoding="utf-8") as file:
            json.dump(record, file, indent=1)
    return record


def _signatures(opened, recognised, size, session, build, end_points, labels, labels_offset,
                prepare):
    """Builds the graph of a SavedModel; returns its signatures by name."""
    default = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
    shape = [None, size, size, recognised.input_channels]
    if recognised.num_classes is None and labels is not None:
        raise SlimResnetError(f"{labels}: names classes, but {opened.path} has no logits")
    if prepare is None and labels is not None:
        raise SlimResnetError("--no-decoding: leaves out the signature that has the classes' "
                              "names; leave it or --labels out")
    if prepare is None or recognised.num_classes is None \
            or recognised.input_channels not in CHANNELS:
        prepared = tf1.placeholder(tf.float32, shape, "images")
        _, _, known = build(opened, prepared, session)
        signature = _signature({"images": prepared}, chosen_end_points(end_points, known))
        return {"end_points": signature, **({default: signature} if prepare is None else {})}
    names = None if labels is None else read_labels(
        labels, recognised.num_classes, labels_offset)
    image_bytes = tf1.placeholder(tf.string, [None], "image_bytes")
    decoded = tf.map_fn(prepare, image_bytes, fn_output_signature=tf.float32)
    # One network for both: what is fed here takes the place of what was decoded.
    prepared = tf1.placeholder_with_default(_never_empty(decoded), shape, "images")
    _, probabilities, known = build(opened, prepared, session)
    served = {"probabilities": probabilities[:tf.size(image_bytes)]}
    if names is not None:
        served["classes"] = tf.tile([names], [tf.size(image_bytes), 1])
    return {default: _signature({"image_bytes": image_bytes}, served),
            "end_points": _signature({"images": prepared}, chosen_end_points(end_points, known))}


def _never_empty(images):
    """Returns the batch, or one black image for an empty one.

    Convolutions of TensorFlow's oneDNN kernels give an empty batch the shape of their input,
    and the network would fail: tests/export/test_converters.py::test_empty_batches. Around
    `end_points` it would be in the way of converters.
    """
    return tf.pad(images, [[0, tf.maximum(1 - tf.shape(images)[0], 0)], [0, 0], [0, 0], [0, 0]])


def _signature(inputs, outputs):
    def information(tensors):
        return {name: tf1.saved_model.build_tensor_info(tensor)
                for name, tensor in tensors.items()}

    return tf1.saved_model.build_signature_def(information(inputs), information(outputs),
                                               tf.saved_model.PREDICT_METHOD_NAME)
