"""Draw a network as SVG: its blocks, units, shapes and shortcuts.

    slim-resnet diagram resnet_v2_152 --output resnet_v2_152.svg
    slim-resnet diagram resnet_v2_50_2017_04_14.tar.gz --output network.svg --columns 6

Units that do the same are drawn once, with their number. Of a checkpoint only names and
shapes are read.
"""

from slim_resnet import commands
from slim_resnet.common.files import atomic_write, check_writable
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import MODELS
from slim_resnet.pictures.themes import THEMES

HELP = "draw a network as SVG"

_DRAWN = [name for name, model in MODELS.items() if model.depth is not None]


def add_arguments(parser):
    parser.add_argument("network", metavar="MODEL|CHECKPOINT",
                        help=f"one of {', '.join(_DRAWN)}; or a checkpoint file or prefix, "
                        "folder, or released .tar.gz")
    parser.add_argument("--output", metavar="FILE.svg", required=True, help="where it goes")
    parser.add_argument("--image-size", type=commands.positive_int, default=224, metavar="PIXELS",
                        help="height and width of the images (default: 224)")
    parser.add_argument("--num-classes", type=commands.positive_int, metavar="N",
                        help="logits of a MODEL (default: 1000); a checkpoint has its own")
    parser.add_argument("--columns", type=commands.positive_int, default=3, metavar="N",
                        help="blocks in a row (default: 3)")
    parser.add_argument("--theme", choices=("auto", *THEMES), default="auto",
                        help="auto: what the reader's system prefers (default: auto)")


def run(arguments):
    check_writable(arguments.output)
    network = arguments.network
    if network in MODELS and network not in _DRAWN:
        raise SlimResnetError(f"{network}: has no residual blocks to draw; there are "
                              + ", ".join(_DRAWN))
    if network in MODELS:
        description = _model(MODELS[network], arguments.num_classes or 1000)
    elif arguments.num_classes is not None:
        raise SlimResnetError("--num-classes is for a MODEL; a checkpoint has its own")
    else:
        description = _checkpoint(network)
    from slim_resnet.pictures import diagram
    svg = diagram.draw(**description, image_size=arguments.image_size, columns=arguments.columns,
                       theme=arguments.theme)
    with atomic_write(arguments.output) as file:
        file.write(svg)


def _model(model, num_classes):
    from slim_resnet import resnet_v2
    return dict(blocks=resnet_v2.blocks_of_depth(model.depth), title=model.name,
                num_classes=num_classes, variant=model.variant)


def _checkpoint(path):
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.checkpoint.recognition import recognise
    from slim_resnet.pictures import diagram
    with open_checkpoint(path) as opened:
        return diagram.of_recognised(recognise(opened))
