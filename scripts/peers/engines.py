"""The engines that `comparison` compares, each in a process of its own.

An engine is a function ``load(files, precision, threads)`` that returns ``run(images)``:
from prepared images ``[N, H, W, 3]`` to logits or, for Keras, probabilities. Packages are
imported when an engine is loaded.
"""

import os

import numpy as np

from slim_resnet.errors import SlimResnetError

GEMM_SIZE = 4096


def _config(precision):
    import tensorflow as tf

    from slim_resnet import compat
    config = tf.compat.v1.ConfigProto()
    if precision == "bfloat16":
        compat.allow_bfloat16(config)
    return config


def _placeholder(files):
    import tensorflow as tf
    size = files["image_size"]
    return tf.compat.v1.placeholder(tf.float32, [None, size, size, 3])


def load_session(files, precision, threads):
    """This package's network and a plain session."""
    import tensorflow as tf

    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.inference.network import build_network
    with tf.Graph().as_default() as graph, open_checkpoint(files["checkpoint"]) as opened:
        images = _placeholder(files)
        session = tf.compat.v1.Session(graph=graph, config=_config(precision))
        logits, _, _ = build_network(opened, images, session)
    return lambda batch: session.run(logits, {images: batch})


def load_tf_slim(files, precision, threads):
    """tf_slim.nets' own network, restored by a Saver."""
    import tensorflow as tf
    import tf_slim as slim
    from tf_slim.nets import resnet_v2

    import slim_resnet.compat  # noqa: F401 (mends tf_slim)
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.checkpoint.recognition import recognise
    with tf.Graph().as_default() as graph, open_checkpoint(files["checkpoint"]) as opened:
        network = recognise(opened)
        if network.variant != "slim" or network.depth is None:
            raise SlimResnetError("tf_slim.nets has no such network")
        images = _placeholder(files)
        with slim.arg_scope(resnet_v2.resnet_arg_scope()):
            logits, _ = getattr(resnet_v2, f"resnet_v2_{network.depth}")(
                images, network.num_classes, is_training=False, scope=network.scope)
        session = tf.compat.v1.Session(graph=graph, config=_config(precision))
        tf.compat.v1.train.Saver().restore(session, opened.prefix)
    return lambda batch: session.run(logits, {images: batch})[:, 0, 0]


def load_optimised(files, precision, threads):
    """This package's `inference.InferenceModel`."""
    from slim_resnet.inference.folded.model import InferenceModel
    model = InferenceModel.from_checkpoint(files["checkpoint"], precision,
                                           image_size=files["image_size"])
    return lambda batch: model(batch).logits


def load_keras(files, precision, threads):
    """The ResNet V2 of Keras Applications of the same depth, with weights of its own."""
    import tensorflow as tf
    if files["depth"] not in (50, 101, 152):
        raise SlimResnetError("Keras Applications has no ResNet V2 of this depth")
    if precision == "bfloat16":
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = getattr(tf.keras.applications, f"ResNet{files['depth']}V2")(
        weights=None, classes=files["num_classes"],
        input_shape=(files["image_size"], files["image_size"], 3))
    return model.predict_on_batch


def load_onnxruntime(files, precision, threads):
    """ONNX Runtime on its CPU provider."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(_onnx(files), options, ["CPUExecutionProvider"])
    name, = (one.name for one in session.get_inputs())
    return lambda batch: session.run(None, {name: batch})[0][:, 0, 0]


def load_openvino(files, precision, threads):
    """OpenVINO on its CPU plug-in, compiled anew for each size of batch."""
    import openvino
    core = openvino.Core()
    path = _onnx(files)
    compiled = {}

    def run(batch):
        if len(batch) not in compiled:
            compiled.clear()
            model = core.read_model(path)
            model.reshape(batch.shape)
            compiled[len(batch)] = core.compile_model(model, "CPU", {
                "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
                "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"})
        return compiled[len(batch)](batch)[0][:, 0, 0]
    return run


def load_torch(files, precision, threads):
    """The folded network as a PyTorch module."""
    from scripts.peers import pytorch
    return pytorch.load(files["checkpoint"], precision, threads)


def load_gemm(files, precision, threads):
    """One product of two square matrices of `GEMM_SIZE`; what it is given is not used."""
    import tensorflow as tf
    tf1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        # Variables: a product of constants would be worked out once, by the optimiser.
        factors = [tf1.Variable(tf.cast(tf1.random_uniform([GEMM_SIZE, GEMM_SIZE]), precision))
                   for _ in range(2)]
        product = tf.matmul(*factors).op
        session = tf1.Session(graph=graph)
        session.run([factor.initializer for factor in factors])
    return lambda batch: session.run(product)


def _onnx(files):
    if files["onnx"] is None:
        raise SlimResnetError(files["onnx_missing"])
    return files["onnx"]


LOADERS = {"session": load_session, "optimised": load_optimised, "tf_slim": load_tf_slim,
           "keras": load_keras, "onnxruntime": load_onnxruntime, "openvino": load_openvino,
           "torch": load_torch, "gemm": load_gemm}


def make_files(folder: str, network: str, image_size: int, num_classes: int | None,
               with_onnx: bool) -> dict:
    """Writes what the engines read: a checkpoint, unless one is given, and an ONNX model.

    Args:
      folder: Where to write them.
      network: Path of a checkpoint, or the name of one of `models.MODELS`, which is
        given random weights.
      image_size: Height and width, in pixels.
      num_classes: Of the random network.
      with_onnx: Whether any engine reads ONNX.

    Returns:
      ``files``, plain data.
    """
    import tensorflow as tf

    from scripts.random_checkpoint import write
    from slim_resnet import compat, models
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.checkpoint.recognition import recognise
    from slim_resnet.end_points.costs import forward_cost
    from slim_resnet.inference.network import build_network, classes_of
    tf1 = tf.compat.v1
    checkpoint = network
    if network in models.MODELS:
        checkpoint = write(os.path.join(folder, "network.ckpt"), network, image_size, num_classes)
    with open_checkpoint(checkpoint) as opened, tf.Graph().as_default() as graph, \
         tf1.Session(graph=graph) as session:
        found = recognise(opened)
        images = tf1.placeholder(tf.float32, [None, image_size, image_size, 3], "images")
        logits, _, _ = build_network(opened, images, session)
        cost = forward_cost(logits)
        files = {
            "checkpoint": checkpoint, "image_size": image_size, "depth": found.depth,
            "variant": found.variant, "num_classes": classes_of(opened),
            "parameters": cost.parameters, "multiply_adds_per_image": cost.multiply_adds,
            "onednn_by_default": compat.onednn_enabled(), "onnx": None, "onnx_missing": None}
    if with_onnx:
        from slim_resnet.export import onnx
        path = os.path.join(folder, "network.onnx")
        try:
            onnx.write(checkpoint, path, end_points=["logits"], image_size=image_size)
            files["onnx"] = path
        except SlimResnetError as error:
            files["onnx_missing"] = str(error)
    return files


def missing(error: ImportError) -> str:
    """Returns the line that says what to install for an ``ImportError``."""
    extra = "torch" if error.name == "torch" else "'slim-resnet[peers]'"
    return f"needs {error.name}: pip install {extra}"


def images_for(batch_size: int, image_size: int) -> np.ndarray:
    """Returns prepared images of random pixels, the same in every process."""
    return np.random.RandomState(0).uniform(
        -1, 1, [batch_size, image_size, image_size, 3]).astype(np.float32)
