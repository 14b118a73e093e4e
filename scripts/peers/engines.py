"""The engines that `comparison` compares, each in a process of its own.

An engine is a function ``load(files, precision, threads)`` that returns ``run(images)``:
from prepared images ``[N, H, W, 3]`` to logits ``[N, classes]`` or, for Keras, probabilities.
``files`` is what `makers` made. Packages are imported when an engine is loaded.
"""

import importlib
import os

import numpy as np

from slim_resnet.errors import SlimResnetError

GEMM_SIZE = 4096
# What Keras Applications calls its networks of the same layers, or nearly.
_OF_KERAS = {
    "blog_resnet_v2_152": "ResNet152V2", "vgg_16": "VGG16", "vgg_19": "VGG19",
    "inception_v3": "InceptionV3",
    **{f"resnet_v{version}_{depth}": f"ResNet{depth}{ending}"
       for version, ending in ((1, ""), (2, "V2")) for depth in (50, 101, 152)}}


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

    import slim_resnet.compat  # noqa: F401 (mends tf_slim)
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.checkpoint.recognition import recognise
    with tf.Graph().as_default() as graph, open_checkpoint(files["checkpoint"]) as opened:
        network = recognise(opened)
        module = {"slim": "resnet_v2", "slim_v1": "resnet_v1"}.get(network.variant)
        if module is None or network.depth is None:
            raise SlimResnetError("tf_slim.nets has no such network, or session.run's is it")
        nets = importlib.import_module(f"tf_slim.nets.{module}")
        images = _placeholder(files)
        with slim.arg_scope(nets.resnet_arg_scope()):
            logits, _ = getattr(nets, f"{module}_{network.depth}")(
                images, network.num_classes, is_training=False, scope=network.scope)
        session = tf.compat.v1.Session(graph=graph, config=_config(precision))
        tf.compat.v1.train.Saver().restore(session, opened.prefix)
    return lambda batch: session.run(logits, {images: batch}).reshape(len(batch), -1)


def load_optimised(files, precision, threads):
    """This package's `inference.InferenceModel` in TensorFlow."""
    from slim_resnet.inference.folded.model import InferenceModel
    model = InferenceModel.from_checkpoint(files["checkpoint"], precision,
                                           image_size=files["image_size"])
    return lambda batch: model(batch).logits


def _load_kept(files, precision, engine):
    """The same in another engine, from the cache, the checkpoint's hash and all."""
    from slim_resnet.inference.engines import table
    from slim_resnet.inference.folded.model import InferenceModel
    kept = files["kept"][f"{engine} {precision}"]
    if kept is not True:
        raise SlimResnetError(kept)
    model = InferenceModel.from_cache(files["checkpoint"], made_from(files, engine, precision),
                                      precision, table.choose(engine, precision))
    return lambda batch: model(batch).logits


def load_our_onnxruntime(files, precision, threads):
    """This package's network in ONNX Runtime."""
    return _load_kept(files, precision, "onnxruntime")


def load_our_openvino(files, precision, threads):
    """This package's network in OpenVINO."""
    return _load_kept(files, precision, "openvino")


def made_from(files: dict, engine: str, precision: str) -> dict:
    """Returns what a network of ours is kept under in the cache."""
    from slim_resnet.checkpoint.location import locate
    from slim_resnet.inference.engines import cache
    return {**cache.identity(files["checkpoint"], locate(files["checkpoint"]).files, None),
            "engine": engine, "precision": precision}


def load_keras(files, precision, threads):
    """The like of it in Keras Applications, with weights of its own."""
    import tensorflow as tf
    if files["model"] not in _OF_KERAS:
        raise SlimResnetError("Keras Applications has no such network")
    if precision == "bfloat16":
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = getattr(tf.keras.applications, _OF_KERAS[files["model"]])(
        weights=None, classes=files["num_classes"],
        input_shape=(files["image_size"], files["image_size"], 3))
    return model.predict_on_batch


def load_onnxruntime(files, precision, threads):
    """ONNX Runtime on its CPU provider, as it comes, on the ONNX file that we write."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(_made(files, "onnx"), options,
                                           ["CPUExecutionProvider"])
    name, = (one.name for one in session.get_inputs())
    return lambda batch: session.run(None, {name: batch})[0].reshape(len(batch), -1)


def load_openvino(files, precision, threads):
    """OpenVINO on its CPU plug-in, compiled anew for each size of batch."""
    import openvino
    core = openvino.Core()
    path = _made(files, "openvino")
    compiled = {}

    def run(batch):
        if len(batch) not in compiled:
            compiled.clear()
            model = core.read_model(path)
            model.reshape(list(batch.shape))
            compiled[len(batch)] = core.compile_model(model, "CPU", {
                "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
                "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"})
        return compiled[len(batch)](batch)[0].reshape(len(batch), -1)
    return run


def load_torch(files, precision, threads):
    """PyTorch as it comes, on the ONNX file that we write."""
    from scripts.peers import pytorch
    run = pytorch.load(_made(files, "onnx"), precision, threads)
    return lambda batch: run(batch).reshape(len(batch), -1)


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


def _made(files, name):
    if files[name] is None:
        raise SlimResnetError(files[f"{name}_missing"])
    return files[name]


LOADERS = {"session": load_session, "optimised": load_optimised,
           "optimised_whole": load_optimised,
           "our_onnxruntime": load_our_onnxruntime, "our_openvino": load_our_openvino,
           "tf_slim": load_tf_slim, "keras": load_keras, "onnxruntime": load_onnxruntime,
           "openvino": load_openvino, "torch": load_torch, "gemm": load_gemm}


def missing(error: ImportError) -> str:
    """Returns the line that says what to install for an ``ImportError``."""
    extra = "torch" if error.name == "torch" else "'slim-resnet[peers]'"
    return f"needs {error.name}: pip install {extra}"


def images_for(batch_size: int, image_size: int) -> np.ndarray:
    """Returns prepared images of random pixels, the same in every process."""
    return np.random.RandomState(0).uniform(
        -1, 1, [batch_size, image_size, image_size, 3]).astype(np.float32)
