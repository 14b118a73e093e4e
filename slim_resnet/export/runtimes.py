"""What was exported, as the runtimes read it that people have: nothing here is ours.

Each format has a function of its own name, of the path and of the package to read it with.
It returns what runs the network, from images to end points by key, or, for a format of
variables, yields their names and values. `checking` calls them in a process of their own.
"""

import hashlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator

import numpy as np

Run = Callable[[np.ndarray], dict[str, np.ndarray]]
Variables = Iterator[tuple[str, np.ndarray]]

# Files of the folder that a check works in.
IMAGES, END_POINTS, HASHES = "images.npz", "end_points.npz", "hashes.json"
VERSION = "version"


def saved_model(path: str, package: str) -> Run:
    """``tf.saved_model.load``, and the signature ``end_points``."""
    import tensorflow as tf
    signature = tf.saved_model.load(path).signatures["end_points"]
    return lambda images: {key: value.numpy() for key, value in
                           signature(images=tf.constant(images)).items()}


def frozen(path: str, package: str) -> Run:
    """``tf.graph_util``'s frozen graph, in a session."""
    import tensorflow as tf
    tf1 = tf.compat.v1
    graph_def = tf1.GraphDef()
    with open(path, "rb") as file:
        graph_def.ParseFromString(file.read())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    outputs = {node.name.removeprefix("end_points/"): f"{node.name}:0" for node in graph_def.node
               if node.name.startswith("end_points/")}
    session = tf1.Session(graph=graph)
    return lambda images: session.run(outputs, {"images:0": images})


def v1(path: str, package: str) -> Variables:
    """TensorFlow's own reader of checkpoints."""
    import tensorflow as tf
    reader = tf.train.load_checkpoint(path)
    return ((name, np.asarray(reader.get_tensor(name)))
            for name in reader.get_variable_to_shape_map())


v2 = v1


def npz(path: str, package: str) -> Variables:
    """``np.load``."""
    with np.load(path) as file:
        for name in file.files:
            yield name, file[name]


def onnx(path: str, package: str) -> Run:
    """ONNX Runtime on its CPU provider, or OpenVINO on its CPU plug-in, in float32."""
    if package == "openvino":
        import openvino
        # Left alone, it computes in bfloat16 where the CPU can.
        compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda images: {output.any_name: value for output, value in
                               compiled(images).items()}
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images, = session.get_inputs()
    keys = [output.name for output in session.get_outputs()]
    return lambda batch: dict(zip(keys, session.run(keys, {images.name: batch})))


def keras(path: str, package: str) -> Run:
    """``keras.models.load_model``, in whatever backend Keras is set to."""
    import zipfile

    import keras
    model = keras.models.load_model(path, compile=False)
    with zipfile.ZipFile(path) as archive:
        record = json.loads(archive.read("slim_resnet_metadata.json"))
    logits, *predictions = record["end_points"]

    def run(images):
        if record["num_classes"] is None:
            return {logits: _as_slims(keras.ops.convert_to_numpy(model(images)), record)}
        outputs = {}
        # The layer's softmax comes behind what the session has as logits.
        for key, activation in zip([logits, *predictions], ("linear", "softmax")):
            model.get_layer("predictions").activation = keras.activations.get(activation)
            outputs[key] = _as_slims(keras.ops.convert_to_numpy(model(images)), record)
        return outputs

    return run


def safetensors(path: str, package: str) -> Run:
    """``resnet_torch.py``, the module that was written beside the weights."""
    import importlib.util

    import torch
    spec = importlib.util.spec_from_file_location(
        "resnet_torch", os.path.join(os.path.dirname(path), "resnet_torch.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.ResNet(path).eval()
    first, *predictions = model.record["end_points"]

    def run(images):
        with torch.no_grad():
            output = model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
            outputs = {first: output, **{key: output.softmax(1) for key in predictions}}
        return {key: _as_slims(value.numpy(), model.record) for key, value in outputs.items()}

    return run


def _as_slims(value, record):
    """Returns ``[N, C]`` in the shape that slim's residual networks give."""
    return value[:, np.newaxis, np.newaxis] if record["variant"] else value


def hash_of(value: np.ndarray) -> list:
    """Returns dtype, shape and a hash of an array, plain data for JSON."""
    # Strings are objects, whose bytes are addresses.
    contents = repr(value.tolist()).encode() if value.dtype.hasobject else \
        np.ascontiguousarray(value).tobytes()
    return [value.dtype.name, list(value.shape), hashlib.sha256(contents).hexdigest()]


def run(format: str, package: str, path: str, folder: str) -> None:
    """Reads an export and leaves what it gives in a folder.

    Args:
      format: Name of a function above.
      package: To read it with.
      path: The export.
      folder: Holds `IMAGES`, an array a batch; `END_POINTS`, by batch and key, or `HASHES`,
        by variable, are put there, and `VERSION`, the package's.
    """
    read = globals()[format](path, package)
    with open(os.path.join(folder, VERSION), "w", encoding="utf-8") as file:
        file.write(importlib.import_module(package).__version__)
    if not callable(read):
        with open(os.path.join(folder, HASHES), "w", encoding="utf-8") as file:
            json.dump({name: hash_of(value) for name, value in read}, file)
        return
    with np.load(os.path.join(folder, IMAGES)) as batches:
        outputs = {f"{batch}/{key}": value for batch in batches.files
                   for key, value in read(batches[batch]).items()}
    np.savez(os.path.join(folder, END_POINTS), **outputs)


if __name__ == "__main__":
    run(*sys.argv[1:])
