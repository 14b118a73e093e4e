"""Write a checkpoint in another form, values unchanged.

    slim-resnet export resnet_v2_50_2017_04_14.tar.gz resnet_v2_50 --format saved_model
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50.pb --format frozen
    slim-resnet export resnet_v2_50.ckpt resnet_v2_50_v2.ckpt --format v2

saved_model  a folder for tf.saved_model.load and TensorFlow Serving, with the signatures
             serving_default (image_bytes to probabilities, and classes if there are labels)
             and end_points (images, prepared, to the end points chosen)
frozen       a GraphDef; its input is images, its outputs are end_points/KEY
v1, v2, npz  all variables under their names
"""

from slim_resnet import commands
from slim_resnet.commands import optimize
from slim_resnet.errors import SlimResnetError

HELP = "write a checkpoint as SavedModel, frozen GraphDef, V1, V2 or .npz"

# What each option says something to.
_FORMATS_OF_OPTION = {
    "end_points": ("saved_model", "frozen"),
    "image_size": ("saved_model", "frozen"),
    "preprocessing": ("saved_model",),
    "labels": ("saved_model",),
    "optimize": ("saved_model", "frozen"),
}


def add_arguments(parser):
    parser.add_argument("checkpoint", metavar="CHECKPOINT",
                        help="checkpoint file or prefix, folder, or released .tar.gz")
    parser.add_argument("output", metavar="OUTPUT",
                        help="file or, for saved_model, folder to make; for v2 a prefix")
    parser.add_argument("--format", required=True,
                        choices=("saved_model", "frozen", "v1", "v2", "npz"))
    parser.add_argument("--end-points", nargs="+", metavar="KEY",
                        help="outputs of saved_model and frozen "
                        "(default: pooled features, logits and predictions)")
    parser.add_argument("--image-size", type=commands.positive_int, metavar="PIXELS",
                        help="saved_model: size that image bytes are resized to (default: "
                        "what slim-resnet train had, if it wrote the checkpoint, else 299); "
                        "frozen: fixed height and width of images (default: any)")
    parser.add_argument("--preprocessing", choices=("inception", "none"),
                        help="saved_model: how image bytes are prepared (default: as trained, "
                        "else inception)")
    parser.add_argument("--labels", metavar="FILE",
                        help="saved_model: names of classes, one a line, to serve with them "
                        "(default: those of slim-resnet train)")
    optimize.add_arguments(parser)


def run(arguments):
    options = {name: getattr(arguments, name) for name in _FORMATS_OF_OPTION
               if getattr(arguments, name) not in (None, False)}
    for name in options:
        if arguments.format not in _FORMATS_OF_OPTION[name]:
            raise SlimResnetError(f"--{name.replace('_', '-')} has no effect on --format "
                                  f"{arguments.format}; leave it out")
    options.update(optimize.prepare(arguments, "export"))
    from slim_resnet.export import formats
    if arguments.format == "saved_model":
        record = formats.export_saved_model(arguments.checkpoint, arguments.output, **options)
    elif arguments.format == "frozen":
        record = formats.export_frozen(arguments.checkpoint, arguments.output, **options)
    else:
        record = formats.export_checkpoint(arguments.checkpoint, arguments.output,
                                          arguments.format)
    classes = record["num_classes"]
    print(f"{arguments.output}: {arguments.format} of a {record['variant']} ResNet V2"
          f"{'' if record['depth'] is None else ' ' + str(record['depth'])}, "
          f"{'no logits' if classes is None else f'{classes} classes'}")
