"""Write a checkpoint in another form, values unchanged unless --optimize folds them.

    slim-resnet export resnet_v2_50_2017_04_14.tar.gz resnet_v2_50 --format saved_model
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50.pb --format frozen
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50_v2.ckpt --format v2
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50.keras --format keras
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50.safetensors --format safetensors

saved_model  a folder for tf.saved_model.load and TensorFlow Serving, with the signatures
             serving_default (image_bytes to probabilities, and classes if there are labels)
             and end_points (images, prepared, to the end points chosen)
frozen       a GraphDef; its input is images, its outputs are end_points/KEY
v1, v2, npz  all variables under their names
keras        a .keras file for Keras 3 and any of its backends, layers as in keras.applications
safetensors  weights in PyTorch's layout, and resnet_torch.py beside them, which takes them
"""

import argparse
import contextlib

from slim_resnet.commands import optimize, options, preparation
from slim_resnet.commands.progress import say
from slim_resnet.errors import SlimResnetError
from slim_resnet.export.formats import FORMATS, export_checkpoint, summary

HELP = "write a checkpoint as SavedModel, frozen GraphDef, V1, V2, .npz, Keras or safetensors"

# The options that only some formats have.
_OPTIONS = sorted({option for row in FORMATS.values() for option in row.options})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_checkpoint(parser)
    parser.add_argument("output", metavar="OUTPUT",
                        help="file or, for saved_model, folder to make; for v2 a prefix")
    parser.add_argument("--format", required=True, choices=FORMATS)
    options.add_end_points(parser, "outputs of saved_model and frozen (default: pooled features, "
                           "logits and predictions)")
    preparation.add_preparation(parser, note="; frozen: any size")
    options.add_labels(parser)
    options.add_moving_averages(parser, "all but v1, v2 and npz: ")
    options.add_optimize(parser)
    options.add_selection(parser)
    parser.set_defaults(complete=_complete)


def _complete(arguments):
    if "preprocessing" in FORMATS[arguments.format].options:
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
    given.update(optimize.prepare(arguments, "export"))
    averages = contextlib.nullcontext()
    if "use_moving_averages" in FORMATS[arguments.format].options:
        averages = options.opened_checkpoint(arguments, "export")
    with averages as opened:
        record = export_checkpoint(opened or arguments.checkpoint, arguments.output,
                                   arguments.format, **given)
    if "resize" in record:
        say("export", arguments.prepared)
    if opened is None:
        for what, text in record["assumed"].items():
            say("export", f"{what}: {text}")
    print(summary(arguments.output, arguments.format, record))
