"""Pictures of what a checkpoint's network makes of images, as PNG files.

    slim-resnet pictures resnet_v2_50_2017_04_14.tar.gz photo.jpg --output pictures
    slim-resnet pictures resnet_v2_50.ckpt photos --output p --kinds maps --keys '*/block4'

Kinds: evidence (for every image: what speaks for its most probable class and where, and
the most probable classes), maps (for every image and each of --keys: its channels),
filters (the first layer's) and depth (mean, spread and zeros of all end points over all
images). The names of the files written are printed. An unreadable image is reported when
the rest are done, and makes the exit status 2. Ctrl-C keeps what there is.
"""

import os

from slim_resnet import commands
from slim_resnet.checkpoint.runs import settings_of
from slim_resnet.common.files import atomic_write, check_folder
from slim_resnet.errors import SlimResnetError
from slim_resnet.pictures.themes import THEMES

HELP = "draw feature maps, class evidence, filters and statistics"

KINDS = ("evidence", "maps", "filters", "depth")


def add_arguments(parser):
    parser.add_argument("checkpoint", metavar="CHECKPOINT",
                        help="checkpoint file or prefix, folder, or released .tar.gz")
    parser.add_argument("images", metavar="IMAGE", nargs="+",
                        help="JPEG, PNG, GIF or BMP file, or a folder to search for them")
    parser.add_argument("--output", metavar="FOLDER", required=True,
                        help="where the pictures go; it is made if it is not there")
    parser.add_argument("--kinds", nargs="+", choices=KINDS,
                        help="what to draw (default: all that the checkpoint has)")
    parser.add_argument("--keys", nargs="+", metavar="PATTERN",
                        help="end points whose maps are drawn, by key, or with the shell's * ? "
                        "[...] (default: conv1 and the blocks)")
    parser.add_argument("--max-channels", type=commands.positive_int, default=64, metavar="N",
                        help="channels in a picture of maps, at most 1024 (default: 64)")
    parser.add_argument("--theme", choices=THEMES, default="light",
                        help="colours (default: light)")
    parser.add_argument("--labels", metavar="FILE",
                        help="names of classes, one a line; for 1001 classes, 1000 lines "
                        "will do, and background is put before them")
    commands.add_image_arguments(parser)


def run(arguments):
    if arguments.keys and arguments.kinds and "maps" not in arguments.kinds:
        raise SlimResnetError("--keys says which maps to draw, and --kinds has no maps")
    from slim_resnet.pictures import figures
    figures.figure_class()
    check_folder(arguments.output)
    from slim_resnet.checkpoint.reader import open_checkpoint
    from slim_resnet.checkpoint.recognition import recognise
    from slim_resnet.images import reading
    from slim_resnet.images.labels import class_names
    from slim_resnet.inference.network import Network, classes_of
    from slim_resnet.pictures import looks
    paths = reading.find_images(arguments.images)
    with open_checkpoint(arguments.checkpoint) as opened:
        kinds = _kinds(arguments, recognise(opened), opened.path)
        names = None
        if arguments.labels or "evidence" in kinds:
            labels = settings_of(arguments.checkpoint, labels=arguments.labels).labels
            names = class_names(classes_of(opened), labels)
        network = Network(opened, arguments.image_size)
    causes, status = [], 0
    with network:
        keys = looks.chosen_keys(network, arguments.keys) if "maps" in kinds else []
        if "filters" in kinds:
            from slim_resnet.pictures import sheets
            _write(arguments, "filters", sheets.first_filters(network.variable("conv1/weights"),
                                                              theme=arguments.theme))
        if keys or "evidence" in kinds:
            status = _draw_images(arguments, network, paths, names if "evidence" in kinds else None,
                                  keys, causes)
        if "depth" in kinds and not status:
            status = _draw_depth(arguments, network, paths, causes)
    return commands.report_unreadable("pictures", causes) or status


def _kinds(arguments, found, path):
    """Returns the kinds to draw: those asked for, or all that the checkpoint has."""
    absent = {}
    if found.num_classes is None:
        absent["evidence"] = "no logits"
    if not found.root_block:
        absent["filters"] = "no first 7x7 convolution"
    for kind in set(arguments.kinds or ()) & set(absent):
        raise SlimResnetError(f"{path}: has {absent[kind]}, so there is nothing for --kinds {kind}")
    return [kind for kind in arguments.kinds or KINDS if kind not in absent]


def _draw_images(arguments, network, paths, names, keys, causes):
    from slim_resnet.images import photos
    from slim_resnet.pictures import class_evidence, looks, sheets
    from slim_resnet.pictures import evidence as evidence_picture
    place = class_evidence.placement(network)
    found = photos.read_photos(paths, arguments.image_size, arguments.preprocessing)
    done = 0
    try:
        for look in looks.look(network, commands.with_progress(found, len(paths)), keys, names,
                               evidence=names is not None):
            if look.photo.cause:
                causes.append((look.photo.path, look.photo.cause))
            stem = f"{done + 1:0{len(str(len(paths)))}}-{_stem(look.photo.path)}"
            if look.result:
                _write(arguments, f"{stem}-evidence",
                       evidence_picture.draw(look, place, theme=arguments.theme))
            for key, values in look.maps.items():
                _write(arguments, f"{stem}-{key[-80:].replace('/', '-')}",
                       sheets.feature_maps(values, key, max_channels=arguments.max_channels,
                                           theme=arguments.theme))
            done += 1
    except KeyboardInterrupt:
        return commands.report_interrupted("pictures", done, len(paths))
    return 0


def _draw_depth(arguments, network, paths, causes):
    from slim_resnet.end_points import activations, table
    from slim_resnet.pictures import depth
    # The same files are read once more, so the same are unreadable.
    causes.clear()
    batches = commands.readable_batches(arguments, paths, causes)
    rows = activations.layer_statistics(network, batches)
    if rows:
        _write(arguments, "depth", depth.draw(
            rows, table.summary(network.end_points), theme=arguments.theme))
    done = len(causes) + (rows[0].images if rows else 0)
    return 0 if done == len(paths) else commands.report_interrupted("pictures", done, len(paths))


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0][:40]


def _write(arguments, name, figure):
    from slim_resnet.pictures import figures
    os.makedirs(arguments.output, exist_ok=True)
    path = os.path.join(arguments.output, f"{name}.png")
    with atomic_write(path, "wb") as file:
        file.write(figures.encoded(figure))
    print(commands.printable(path), flush=True)
