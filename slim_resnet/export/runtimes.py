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
