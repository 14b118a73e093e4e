"""Write a checkpoint in another form, values unchanged unless its network is folded.

    slim-resnet export resnet_v2_50_2017_04_14.tar.gz resnet_v2_50 --format saved_model
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50.onnx
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50.pb --optimize
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50_v2.ckpt --format v2
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50.keras
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50.safetensors

saved_model  a folder for tf.saved_model.load and TensorFlow Serving, with the signatures
             serving_default (image_bytes to probabilities, and classes if there are labels)
             and end_points (images, prepared, to the end points chosen)
frozen       a GraphDef; its input is images, its outputs are end_points/KEY
onnx         the folded network; its input is images, its outputs are KEY
v1, v2, npz  all variables under their names
keras        a .keras file for Keras 3 and any of its backends, layers as in keras.applications
safetensors  weights in PyTorch's layout, and resnet_torch.py beside them, which takes them

Before an export gets its name its own runtime reads and runs it, in a process of its own, and
its end points are compared with the session's: what is off by more than the format's bound is
refused. Of v1, v2 and npz all variables are compared, bit for bit. OUTPUT.json records it, and
which runtime it was; of onnx, --engine chooses.
"""

import argparse
import contextlib

from slim_resnet.commands import optimize, options, preparation
from slim_resnet.commands.progress import say
from slim_resnet.commands.written import print_written
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.formats import FORMATS, export_checkpoint, format_of
from slim_resnet.inference.engines.table import CHOICES

HELP = "write a checkpoint as SavedModel, frozen GraphDef, ONNX, Keras, safetensors, V1, V2, .npz"

# The options that only some formats have.
_OPTIONS = sorted({option for row in FORMATS.values() for option in row.options} - {"engine"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_checkpoint(parser)
    parser.add_argument("output", metavar="OUTPUT",
                        help="file or, for saved_model, folder to make; for v2 a prefix")
    suffixes = ", ".join(row.suffix for row in FORMATS.values() if row.suffix)
    parser.add_argument("--format", choices=FORMATS,
                        help=f"(default: by OUTPUT's ending, {suffixes})")
    parser.add_argument("--verify", metavar="IMAGES",
                        help="image or folder to check the export on, beside images that are "
                        "made up; 64 at most")
    # Not what runs a network, as --engine is elsewhere, which stands for --optimize there.
    parser.add_argument("--engine", dest="checker", choices=CHOICES,
                        help="onnx: what checks it, onnxruntime or openvino (default: "
                        "onnxruntime, or else openvino, if it is installed); auto: the fastest "
                        "that is installed")
    options.add_end_points(parser, "outputs of a network (default: pooled features, logits and "
                           "predictions)")
    preparation.add_preparation(parser, note="; frozen: any size")
    options.add_labels(parser)
    parser.add_argument("--no-decoding", action="store_true",
                        help="saved_model: serving_default takes prepared images and no files, "
                        "for converters to other runtimes; of any size without --image-size")
    parser.add_argument("--opset", type=options.positive_int, metavar="N",
                        help="onnx: version of its operators (default: 13)")
    parser.add_argument("--open-size", action="store_true",
                        help="onnx: take images of any size, by auto_pad=SAME_UPPER, which not "
                        "every runtime computes right")
    parser.add_argument("--pixels", action="store_true",
                        help="onnx: take pixels, uint8, that have the image size already, and "
                        "prepare their values in the model")
    options.add_moving_averages(parser, "networks: ")
    options.add_optimize(parser)
    options.add_selection(parser)
    parser.set_defaults(complete=_complete)


def _complete(arguments):
    arguments.format = arguments.format or format_of(arguments.output)
    if "preprocessing" in FORMATS[arguments.format].options:
        # What is not given leaves the size open, where it can be.
        arguments.asked_size = arguments.image_size
        preparation.complete(arguments)
    else:
        options.refuse(arguments, map(preparation.dashed, preparation.DETAILS),
                       f"has no effect on --format {arguments.format}; leave it out")
        # What is not given is what the checkpoint was trained with, and `formats` knows it.
        options.select(arguments)


def run(arguments: argparse.Namespace) -> None:
    given = {name: getattr(arguments, name) for name in _OPTIONS
             if getattr(arguments, name) not in (None, False)}
    if arguments.use_moving_averages is False:
        given["use_moving_averages"] = False
    for name in given:
        if name not in FORMATS[arguments.format].options:
            option = name.removeprefix("use_").replace("_", "-")
            raise SlimResnetError(f"--{option} has no effect on --format "
                                  f"{arguments.format}; leave it out")
    given["engine"] = arguments.checker
    if (arguments.open_size or arguments.no_decoding) and arguments.asked_size is None:
        given.pop("image_size")
    given.update(optimize.prepare(arguments, "export"))
    averages = contextlib.nullcontext()
    if "use_moving_averages" in FORMATS[arguments.format].options:
        averages = options.opened_checkpoint(arguments, "export")
    with averages as opened:
        record = export_checkpoint(opened or arguments.checkpoint, arguments.output,
                                   arguments.format, arguments.verify, **given)
    if "resize" in record:
        say("export", arguments.prepared)
    if opened is None:
        for what, text in record["assumed"].items():
            say("export", f"{what}: {text}")
    print_written(arguments.output, record)
