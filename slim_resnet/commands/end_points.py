"""Look into a network: its end points as a table, their values for images, TensorBoard.

    slim-resnet end-points resnet_v2_152 --depth unit
    slim-resnet end-points resnet_v2_50_2017_04_14.tar.gz --match '*/conv2' --markdown
    slim-resnet end-points resnet_v2_50.ckpt --images photos --logdir runs/look
    slim-resnet end-points resnet_v2_50.ckpt --images photos --save f.npz --keys block4

The table is worked out from the graph: no value is read and nothing is run. A row counts
what lies between its end point and those before it, a unit's or a block's all that is
inside, so that the rows within one add up to it, and all to the total. "?" is not known
without the images' size; "-" is not defined, as a stride is not behind global pooling.

With --images the table is of values: mean, std, min and max; for what a ReLU makes, the
share of zeros and the dead channels, zero for all images; the numbers of NaN and infinite
values. What looks wrong, such as batch norms that do not fit the images, is on stderr.
An unreadable image is reported when the rest are done, and makes the exit status 2.
Ctrl-C keeps what there is.
"""

import json
import sys

from slim_resnet import commands
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import MODELS

HELP = "table, statistics and TensorBoard run of a network's end points"

DEPTHS = {"block": "block", "unit": "unit", "all": "layer"}


def add_arguments(parser):
    parser.add_argument("network", metavar="MODEL|CHECKPOINT",
                        help=f"one of {', '.join(MODELS)}; or a checkpoint: file or prefix, "
                        "folder, or released .tar.gz")
    parser.add_argument("--num-classes", type=commands.positive_int, metavar="N",
                        help="logits of a MODEL (default: 1000)")
    shown = parser.add_argument_group("what is shown")
    shown.add_argument("--match", nargs="+", metavar="PATTERN", default=(),
                       help="only end points whose whole key fits one of these, with the shell's "
                       "* ? [...], for example '*/block4/*'")
    shown.add_argument("--depth", choices=DEPTHS, default="all",
                       help="block: nothing within blocks; unit: nothing within units "
                       "(default: all)")
    formats = shown.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print one JSON document")
    formats.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    values = parser.add_argument_group("values, of a CHECKPOINT")
    values.add_argument("--images", nargs="+", metavar="IMAGE",
                        help="JPEG, PNG, GIF or BMP files, or folders to search for them")
    values.add_argument("--save", metavar="FILE.npz",
                        help="write the values of --keys instead of showing their statistics: an "
                        "array for each key, and files and errors")
    values.add_argument("--keys", nargs="+", metavar="KEY", help="end points for --save")
    parser.add_argument("--logdir", metavar="DIR",
                        help="write a TensorBoard run: the graph; of a CHECKPOINT histograms of "
                        "weights; with --images histograms of the end points shown, the images, "
                        "and the time of each op")
    commands.add_image_arguments(parser)
