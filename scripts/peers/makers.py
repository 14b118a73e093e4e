"""What writes a network in the forms that `engines` load, each form in a process of its own."""

import os

from scripts.peers.engines import images_for, made_from


def make_files(folder: str, network: str, image_size: int | None,
               num_classes: int | None, threads: int | None = None) -> dict:
    """Writes a checkpoint, unless one is given, and looks at what is in it.

    Args:
      folder: Where to write it.
      network: Path of a checkpoint, or the name of one of `models.MODELS`, which is
        given random weights.
      image_size: Height and width, in pixels; None for what the network is timed at.
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
        image_size = models.MODELS[network].checked_image_size(image_size)
        checkpoint = write(os.path.join(folder, "network.ckpt"), network, image_size, num_classes)
    with open_checkpoint(checkpoint) as opened, tf.Graph().as_default() as graph, \
         tf1.Session(graph=graph) as session:
        found = recognise(opened)
        num_classes, image_size = classes_of(opened), found.row.checked_image_size(image_size)
        images = tf1.placeholder(tf.float32, [None, image_size, image_size, 3], "images")
        logits, _, end_points = build_network(opened, images, session)
        # Those of residual networks have been squeezed.
        names = logits.name, *(tensor.name for tensor in logits.op.inputs)
        cost = forward_cost(logits)
        return {
            "checkpoint": checkpoint, "image_size": image_size, "model": found.model,
            "num_classes": num_classes,
            "logits": next(key for key, tensor in reversed(end_points.items())
                           if tensor.name in names),
            "parameters": cost.parameters, "multiply_adds_per_image": cost.multiply_adds,
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
            made_from=made_from(files, engine, precision)):
        return True


# What writes files, each in a process of its own.
MAKERS = {"make_files": make_files, "make_onnx": make_onnx,
          "make_openvino": make_openvino, "make_kept": make_kept}
