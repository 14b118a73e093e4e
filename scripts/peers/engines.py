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
    model = InferenceModel.from_cache(files["checkpoint"], _made_from(files, engine, precision),
                                      precision, table.choose(engine, precision))
    return lambda batch: model(batch).logits


def load_our_onnxruntime(files, precision, threads):
    """This package's network in ONNX Runtime."""
    return _load_kept(files, precision, "onnxruntime")


def load_our_openvino(files, precision, threads):
    """This package's network in OpenVINO."""
    return _load_kept(files, precision, "openvino")


def _made_from(files, engine, precision):
    from slim_resnet.checkpoint.location import locate
    from slim_resnet.inference.engines import cache
    return {**cache.identity(files["checkpoint"], locate(files["checkpoint"]).files, None),
            "engine": engine, "precision": precision}


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
    """ONNX Runtime on its CPU provider, as it comes, on the ONNX file that we write."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(_made(files, "onnxruntime"), options,
                                           ["CPUExecutionProvider"])
    name, = (one.name for one in session.get_inputs())
    return lambda batch: session.run(None, {name: batch})[0][:, 0, 0]


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


def _made(files, name):
    if files[name] is None:
        raise SlimResnetError(files[f"{name}_missing"])
    return files[name]


LOADERS = {"session": load_session, "optimised": load_optimised,
           "our_onnxruntime": load_our_onnxruntime, "our_openvino": load_our_openvino,
           "tf_slim": load_tf_slim, "keras": load_keras, "onnxruntime": load_onnxruntime,
           "openvino": load_openvino, "torch": load_torch, "gemm": load_gemm}


def make_files(folder: str, network: str, image_size: int, num_classes: int | None,
               threads: int | None = None) -> dict:
    """Writes a checkpoint, unless one is given, and its frozen graph.

    Args:
      folder: Where to write them.
      network: Path of a checkpoint, or the name of one of `models.MODELS`, which is
        given random weights.
      image_size: Height and width, in pixels.
      num_classes: Of the random network.
      threads: Not used here; see `process.main`.

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
        return {
            "checkpoint": checkpoint, "image_size": image_size, "depth": found.depth,
            "variant": found.variant, "num_classes": classes_of(opened),
            "logits": f"{found.scope}/logits".lstrip("/"), "parameters": cost.parameters,
            "multiply_adds_per_image": cost.multiply_adds,
            "onednn_by_default": compat.onednn_enabled()}


def make_onnx(folder: str, files: dict, threads: int | None = None) -> str:
    """Writes the network as an ONNX file; returns its path.

    The file is ours: ONNX Runtime's own converter of TensorFlow's graphs is no more released.
    """
    import onnx

    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.checkpoint.recognition import recognise
    from slim_resnet.inference.folded.network import checked_values, fold
    from slim_resnet.inference.folded.onnx_model import onnx_model
    with open_checkpoint(files["checkpoint"]) as opened:
        read = checked_values(opened.path, opened.dtypes, opened.network_tensor)
        folded = fold(opened.path, recognise(opened), read, "float32", onednn=False,
                      image_size=files["image_size"], with_variables=True)
    path = os.path.join(folder, "network.onnx")
    onnx.save_model(onnx_model(folded, [folded.logits]), path)
    return path


def make_openvino(folder: str, files: dict, threads: int | None = None) -> str:
    """Has OpenVINO convert the frozen graph, which is not folded; returns the path."""
    # The converter tells its makers of each use, unless it is told that nobody is there.
    os.environ["CI"] = "true"
    import openvino

    from slim_resnet.export import export_checkpoint
    frozen, path = (os.path.join(folder, name) for name in ("frozen.pb", "network.xml"))
    export_checkpoint(files["checkpoint"], frozen, "frozen", end_points=[files["logits"]],
                      image_size=files["image_size"])
    openvino.save_model(openvino.convert_model(frozen), path, compress_to_fp16=False)
    return path


def make_kept(files: dict, engine: str, precision: str, threads: int | None = None) -> bool:
    """Has our network kept in the cache; int8 is calibrated with random pixels, for its speed."""
    from slim_resnet.inference.engines import judged, table
    from slim_resnet.inference.folded.model import InferenceModel
    calibration = images_for(judged.LEAST_IMAGES, files["image_size"]) \
        if precision == table.INT8 else None
    with InferenceModel.from_checkpoint(
            files["checkpoint"], precision, image_size=files["image_size"], engine=engine,
            calibration=calibration, accept=True,
            made_from=_made_from(files, engine, precision)):
        return True


# What writes files, each in a process of its own.
MAKERS = {"make_files": make_files, "make_onnxruntime": make_onnx,
          "make_openvino": make_openvino, "make_kept": make_kept}


def missing(error: ImportError) -> str:
    """Returns the line that says what to install for an ``ImportError``."""
    extra = "torch" if error.name == "torch" else "'slim-resnet[peers]'"
    return f"needs {error.name}: pip install {extra}"


def images_for(batch_size: int, image_size: int) -> np.ndarray:
    """Returns prepared images of random pixels, the same in every process."""
    return np.random.RandomState(0).uniform(
        -1, 1, [batch_size, image_size, image_size, 3]).astype(np.float32)
