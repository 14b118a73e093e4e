"""A checkpoint in other forms: SavedModel, frozen GraphDef, V1, V2 and .npz.

Values are the checkpoint's own, bit for bit, unless the network is optimised. Which network
it holds, slim's or the blog's, is worked out from its variables and cannot be chosen:
variables keep their names, and what has no variables carries a record, `metadata`, as JSON
text.
"""

import contextlib
import functools
import glob
import json
import os
import tempfile
import zipfile

import numpy as np
import tensorflow as tf

import slim_resnet
from slim_resnet.checkpoint.reader import open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.checkpoint.runs import settings_of
from slim_resnet.common import files
from slim_resnet.end_points.keys import check_end_points
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images.decoding import decode
from slim_resnet.images.labels import read_labels
from slim_resnet.images.preparation import preprocess
from slim_resnet.inference.folded import network as folded_network
from slim_resnet.inference.network import build_network

tf1 = tf.compat.v1

METADATA = "slim_resnet_metadata"
# Last parts of the end points that are exported unless others are named.
_HEAD = ("global_pool", "logits", "predictions")


def metadata(recognised, precision=None):
    """Returns what is recorded with an exported network, as a dict for JSON.

    Args:
      recognised: `checkpoint.recognise`'s result.
      precision: Of an optimised network; None for one as it is in the checkpoint.
    """
    optimized = {} if precision is None else {"optimized": True, "precision": precision}
    return {**optimized, "slim_resnet_version": slim_resnet.__version__,
            "variant": recognised.variant, "depth": recognised.depth, "scope": recognised.scope,
            "num_classes": recognised.num_classes}


def export_saved_model(checkpoint, output, *, end_points=None, image_size=None,
                       preprocessing=None, labels=None, optimize=False, precision="auto"):
    """Writes a SavedModel for ``tf.saved_model.load`` and TensorFlow Serving.

    Signatures, with any batch size:

    * ``serving_default``: ``image_bytes`` (string ``[N]``, files as `images.decode` takes
      them) to ``probabilities`` (``[N, classes]``) and, with labels, ``classes`` (string
      ``[N, classes]``, the names in the same order). Without logits there is none.
    * ``end_points``: ``images`` (float32 ``[N, H, W, 3]``, prepared) to end points by key.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      output: Folder to make.
      end_points: Keys for the ``end_points`` signature; None takes pooled features,
        logits and predictions.
      image_size: Height and width that ``serving_default`` resizes to, in pixels; None
        takes what the checkpoint was trained with, see `settings.settings_of`.
      preprocessing: How it prepares images; one of `images.PREPROCESSING`, or None.
      labels: Labels file, see `classify.read_labels`, or None.
      optimize: Whether to write the folded network, all values constants.
      precision: Of the folded network, one of `environment.PRECISIONS`.

    Returns:
      The `metadata`, which is in ``assets.extra/slim_resnet_metadata.json`` too.

    Raises:
      SlimResnetError: ``output`` exists or cannot be made, or an argument is at fault.
    """
    output = os.path.normpath(output)
    if os.path.lexists(output):
        raise SlimResnetError(f"{output}: exists already; name a folder to make")
    files.check_writable(output)
    image_size, preprocessing, labels = settings_of(checkpoint, image_size, preprocessing, labels)
    with open_checkpoint(checkpoint) as opened, tf.Graph().as_default(), \
         tf1.Session() as session:
        recognised = recognise(opened)
        build, chosen = _builder(optimize, precision)
        record = dict(metadata(recognised, chosen), image_size_pixels=image_size,
                      preprocessing=preprocessing)
        signatures = _signatures(opened, recognised, session, build, end_points, labels,
                                 lambda contents: preprocess(
                                     decode(contents), image_size, preprocessing))
        with _temporary_folder(output) as folder:
            made = os.path.join(folder, "saved_model")
            builder = tf1.saved_model.Builder(made)
            builder.add_meta_graph_and_variables(
                session, [tf.saved_model.SERVING], signatures, strip_default_attrs=True)
            builder.save()
            os.mkdir(os.path.join(made, "assets.extra"))
            with open(os.path.join(made, "assets.extra", f"{METADATA}.json"), "w",
                      encoding="utf-8") as file:
                json.dump(record, file, indent=1)
            os.rename(made, output)
    return record


def _signatures(opened, recognised, session, build, end_points, labels, prepare):
    """Builds the graph of a SavedModel; returns its signatures by name."""
    shape = [None, None, None, 3]
    if recognised.num_classes is None:
        if labels is not None:
            raise SlimResnetError(f"{labels}: names classes, but {opened.path} has no logits")
        prepared = tf1.placeholder(tf.float32, shape, "images")
        _, _, known = build(opened, prepared, session)
        return {"end_points": _signature({"images": prepared}, _choose(end_points, known))}
    names = None if labels is None else read_labels(labels, recognised.num_classes)
    image_bytes = tf1.placeholder(tf.string, [None], "image_bytes")
    decoded = tf.map_fn(prepare, image_bytes, fn_output_signature=tf.float32)
    # One network for both: what is fed here takes the place of what was decoded.
    prepared = tf1.placeholder_with_default(decoded, shape, "images")
    _, probabilities, known = build(opened, prepared, session)
    served = {"probabilities": probabilities}
    if names is not None:
        served["classes"] = tf.tile([names], [tf.size(image_bytes), 1])
    return {tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY:
            _signature({"image_bytes": image_bytes}, served),
            "end_points": _signature({"images": prepared}, _choose(end_points, known))}


def _builder(optimize, precision):
    """Returns what builds the network, and the precision of an optimised one or None."""
    if not optimize:
        return build_network, None
    chosen = folded_network.choose_precision(precision)
    return functools.partial(folded_network.build_folded, precision=chosen), chosen


def _signature(inputs, outputs):
    def information(tensors):
        return {name: tf1.saved_model.build_tensor_info(tensor)
                for name, tensor in tensors.items()}

    return tf1.saved_model.build_signature_def(information(inputs), information(outputs),
                                               tf.saved_model.PREDICT_METHOD_NAME)


def _choose(keys, known):
    """Returns the end points that were asked for, or the head's."""
    if keys is None:
        keys = [key for key in known if key.rsplit("/", 1)[-1] in _HEAD]
    check_end_points(keys, known)
    return {key: known[key] for key in keys}


def export_frozen(checkpoint, output, *, end_points=None, image_size=None, optimize=False,
                  precision="auto"):
    """Writes a binary GraphDef with the variables as constants.

    Its input node is ``images`` (float32 ``[N, H, W, 3]``, prepared). Its output nodes
    are ``end_points/<key>`` for every end point chosen, and ``slim_resnet_metadata``,
    a constant string.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      output: File to write.
      end_points: Keys; None takes pooled features, logits and predictions.
      image_size: Fixes H and W, in pixels; None leaves them open.
      optimize: See `export_saved_model`.
      precision: See `export_saved_model`.

    Returns:
      The `metadata`.

    Raises:
      SlimResnetError: The checkpoint cannot be restored, or an argument is at fault.
    """
    files.check_writable(output)
    with open_checkpoint(checkpoint) as opened, tf.Graph().as_default() as graph, \
         tf1.Session() as session:
        build, chosen = _builder(optimize, precision)
        record = metadata(recognise(opened), chosen)
        prepared = tf1.placeholder(tf.float32, [None, image_size, image_size, 3], "images")
        _, _, known = build(opened, prepared, session)
        outputs = [tf.identity(tensor, f"end_points/{key}")
                   for key, tensor in _choose(end_points, known).items()]
        outputs.append(tf.constant(json.dumps(record), name=METADATA))
        frozen = tf1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [tensor.op.name for tensor in outputs])
        with files.atomic_write(output, "wb") as file:
            file.write(frozen.SerializeToString())
    return record


def export_checkpoint(checkpoint, output, format):
    """Writes all variables, training leftovers included, as another kind of checkpoint.

    Args:
      checkpoint: Anything that `open_checkpoint` opens.
      output: File to write; for ``v2`` the prefix of the two files.
      format: ``v1``, ``v2``, or ``npz``: an array for every variable, and the string
        ``slim_resnet_metadata``.

    Returns:
      The `metadata`.

    Raises:
      SlimResnetError: The checkpoint cannot be read, or the file cannot be written.
    """
    output = os.fspath(output)
    files.check_writable(output)
    # Beside each other, V1's file and V2's would be taken for each other; and V2's two
    # files cannot be replaced in one step.
    rivals = {"v1": [f"{output}.index"], "v2": [output, *glob.glob(glob.escape(output) + ".*")]}
    for rival in rivals.get(format, []):
        if os.path.lexists(rival):
            raise SlimResnetError(f"{output}: {rival} exists already; choose another name")
    with open_checkpoint(checkpoint) as opened:
        record = metadata(recognise(opened))
        if format == "npz":
            with files.atomic_write(output, "wb") as file:
                _write_npz(file, opened, record)
        else:
            with _temporary_folder(output) as folder:
                _write_checkpoint(os.path.join(folder, "checkpoint"), opened, format)
                # The index last: it is what makes a checkpoint of the data.
                for part in sorted(os.listdir(folder)):
                    os.replace(os.path.join(folder, part),
                               output + part.removeprefix("checkpoint"))
    return record


def _write_npz(file, opened, record):
    # One variable in memory at a time, which np.savez cannot do.
    with zipfile.ZipFile(file, "w") as archive:
        for name, dtype in opened.dtypes.items():
            value = opened.tensor(name)
            if value.dtype.kind not in "biufc":
                raise SlimResnetError(f"{opened.path}: {name} is of dtype {dtype}, which .npz "
                                      "cannot hold; choose v2")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value)
        with archive.open(f"{METADATA}.npy", "w") as entry:
            np.lib.format.write_array(entry, np.array(json.dumps(record)))


def _write_checkpoint(path, opened, format):
    values = {name: opened.tensor(name) for name in opened.shapes}
    names = list(values)
    with tf.Graph().as_default() as graph:
        tensors = [tf1.placeholder(value.dtype, value.shape) for value in values.values()]
        if format == "v1":
            save = tf.raw_ops.Save(filename=path, tensor_names=names, data=tensors)
        else:
            save = tf.raw_ops.SaveV2(prefix=path, tensor_names=names,
                                     shape_and_slices=[""] * len(names), tensors=tensors)
    with tf1.Session(graph=graph) as session:
        session.run(save, dict(zip(tensors, values.values())))


@contextlib.contextmanager
def _temporary_folder(output):
    """A folder beside ``output``, gone afterwards, to write what then is renamed."""
    parent, name = os.path.split(os.path.abspath(output))
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=f".{name}.") as folder:
            yield folder
    except OSError as error:
        raise SlimResnetError(f"{output}: cannot be written: {error.strerror}") from error
    except tf.errors.OpError as error:
        raise SlimResnetError(f"{output}: cannot be written: {cause_of(error.message)}") from error
