"""Pictures of a network and of what it makes of images.

    slim-resnet pictures resnet_v2_50_2017_04_14.tar.gz photo.jpg --output pictures
    slim-resnet pictures resnet_v2_50.ckpt photos --output p --kinds maps --end-points '*/block4'
    slim-resnet pictures resnet_v2_152 --output pictures
    slim-resnet pictures resnet_v2_152 --output pictures --colour-by multiply-adds

Kinds: evidence (for every image: what speaks for its most probable class and where, and
the most probable classes), maps (for every image and each of --end-points: its channels),
depth (mean, spread and zeros of all end points over all images); without images: filters
(the first layer's) and diagram (blocks, units, shapes and shortcuts, units that do the
same drawn once). The diagram is SVG, the others are PNG; a MODEL has a diagram only, and
of a checkpoint that nothing else is drawn of only names and shapes are read. --colour-by
says of each layer how much it has of the network's parameters or multiply-adds, or how
long it takes on random images, as in end-points --time.

The names of the files written are printed. An unreadable image is reported when the rest
are done, and makes the exit status 2. Ctrl-C keeps what there is.
"""

import argparse
import contextlib
import os
from collections.abc import Iterator
from typing import Any

from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.commands import layer_times, options, preparation, progress
from slim_resnet.common.files import atomic_write, check_folder
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import MODELS
from slim_resnet.pictures import shading
from slim_resnet.pictures.themes import THEMES

HELP = "draw a network, class evidence, feature maps, filters, statistics"

# Whether they are of images.
KINDS = {"evidence": True, "maps": True, "filters": False, "depth": True, "diagram": False}
DRAWN = [name for name, model in MODELS.items() if model.depth is not None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_network(parser, DRAWN)
    options.add_images(parser, "*")
    parser.add_argument("--output", metavar="FOLDER", required=True,
                        help="where the pictures go; it is made if it is not there")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, metavar="KIND",
                        help=f"what to draw, of {', '.join(KINDS)} (default: all that can be)")
    options.add_end_points(parser, "maps to draw (default: conv1 and the blocks)")
    parser.add_argument("--max-channels", type=options.positive_int, default=64, metavar="N",
                        help="channels in a picture of maps, at most 1024 (default: %(default)s)")
    parser.add_argument("--columns", type=options.positive_int, default=3, metavar="N",
                        help="blocks in a row of the diagram (default: %(default)s)")
    parser.add_argument("--colour-by", choices=shading.KINDS,
                        help="what the layers of the diagram are coloured by")
    parser.add_argument("--theme", choices=("auto", *THEMES), default="auto",
                        help="colours; auto: light, and those that the reader's system prefers "
                        "in the diagram (default: %(default)s)")
    options.add_labels(parser)
    preparation.add_preparation(parser, "; a MODEL's own")
    options.add_moving_averages(parser)
    options.add_batch_size(parser)
    options.add_selection(parser)
    parser.set_defaults(complete=_complete)


def _complete(arguments):
    """Checks what can be checked without TensorFlow, and fills in the defaults."""
    model = MODELS.get(arguments.checkpoint)
    if model and model.name not in DRAWN:
        raise SlimResnetError(f"{model.name}: has no residual blocks to draw; there are "
                              + ", ".join(DRAWN))
    if model:
        why = f"a checkpoint, and {model.name} has no values"
        if arguments.images:
            raise SlimResnetError(f"images need {why}")
        options.refuse(arguments, ("preprocessing", *map(preparation.dashed, preparation.DETAILS),
                                   "labels", "labels-offset"), f"needs {why}")
        options.refuse_selection(arguments, model.name)
        options.refuse_moving_averages(arguments, f"needs {why}")
        arguments.image_size = model.checked_image_size(arguments.image_size)
        possible = ["diagram"]
    else:
        why = "images"
        options.refuse(arguments, ("num-classes",), "is for a MODEL; a checkpoint has its own")
        possible = [kind for kind, of_images in KINDS.items() if arguments.images or not of_images]
    for kind in arguments.kinds or ():
        if kind not in possible:
            raise SlimResnetError(f"--kinds {kind} needs {why}")
    wanted = arguments.kinds or possible
    if arguments.images and not any(map(KINDS.get, wanted)):
        raise SlimResnetError(f"--kinds {' '.join(wanted)}: of no images; leave them out")
    if arguments.colour_by and "diagram" not in wanted:
        raise SlimResnetError("--colour-by is of the diagram, and none is drawn")
    if arguments.end_points and "maps" not in wanted:
        raise SlimResnetError("--end-points says which maps to draw, and no maps are drawn")
    check_folder(arguments.output)
    if not model:
        preparation.complete(arguments)


def run(arguments: argparse.Namespace) -> int:
    if arguments.checkpoint in MODELS:
        from slim_resnet import resnet_v2
        model = MODELS[arguments.checkpoint]
        shade = None
        if arguments.colour_by == "time":
            with layer_times.built(arguments, model) as network:
                shade = _shade_by_time(arguments, network, model.scope)
        elif arguments.colour_by:
            shade = _shade(arguments, lambda: layer_times.build(arguments, model)[1], model.scope)
        _write_diagram(arguments, dict(
            blocks=resnet_v2.blocks_of_depth(model.depth), title=model.name,
            num_classes=arguments.num_classes or 1000, variant=model.variant, shade=shade))
        return 0
    if arguments.kinds != ["diagram"]:
        from slim_resnet.pictures import drawing
        drawing.figure_class()
    from slim_resnet.checkpoint.recognition import recognise
    from slim_resnet.images import finding
    from slim_resnet.images.decoding import check_channels
    from slim_resnet.images.labels import class_names
    from slim_resnet.inference.network import Network, build_without_values, classes_of
    from slim_resnet.pictures import diagram, inspection
    paths = finding.find_images(arguments.images) if arguments.images else []
    causes, status = [], 0
    with contextlib.ExitStack() as stack:
        with options.opened_checkpoint(arguments, "pictures") as opened:
            found = recognise(opened)
            kinds = _kinds(arguments, found, opened.path)
            names = None
            if arguments.labels or "evidence" in kinds:
                labels = settings_of(arguments.checkpoint, arguments.image_size,
                                     arguments.preprocessing, arguments.labels).labels
                names = class_names(classes_of(opened), labels, arguments.labels_offset)
            described = diagram.of_recognised(found) if "diagram" in kinds else None
            network = None
            if kinds != ["diagram"] or arguments.colour_by == "time":
                network = stack.enter_context(Network(opened, arguments.image_size))
            if arguments.colour_by == "time":
                described["shade"] = _shade_by_time(arguments, network, found.scope)
            elif arguments.colour_by:
                described["shade"] = _shade(
                    arguments, lambda: build_without_values(opened, arguments.image_size),
                    found.scope)
            # What is bad is to be known before anything is written.
            if paths:
                check_channels(network.channels)
            keys = (inspection.chosen_keys(network, arguments.end_points) if "maps" in kinds
                    else [])
        if "diagram" in kinds:
            _write_diagram(arguments, described)
        if "filters" in kinds:
            from slim_resnet.pictures import feature_maps
            _write(arguments, "filters", feature_maps.draw_filters(
                network.variable(network.recognised.first_weights), theme=_theme(arguments)))
        image_by_image = bool(keys) or "evidence" in kinds
        if image_by_image:
            status = _draw_images(arguments, network, paths, names if "evidence" in kinds else None,
                                  keys, causes)
        if "depth" in kinds and not status:
            status = _draw_depth(arguments, network, paths, causes, said=image_by_image)
    return progress.report_unreadable("pictures", causes) or status


def _kinds(arguments, found, path):
    """Returns the kinds to draw: those asked for, or all that there is something for."""
    absent = {}
    if found.num_classes is None:
        absent["evidence"] = "no logits"
    elif not (found.variant or found.row.network.norm):
        absent["evidence"] = "no global average pooling before its logits"
    if found.first_weights is None or not found.first_weights.endswith("/weights"):
        absent["filters"] = "no first convolution of the images' colours"
    if found.variant is None:
        absent["diagram"] = "no residual blocks"
    for kind in set(arguments.kinds or ()) & set(absent):
        raise SlimResnetError(f"{path}: has {absent[kind]}, so there is nothing for --kinds {kind}")
    return arguments.kinds or [kind for kind, of_images in KINDS.items() if kind not in absent
                               and (arguments.images or not of_images)]


def _shade(arguments, build, scope):
    """Returns what colours the diagram of a network that ``build()`` builds, without values."""
    import tensorflow as tf

    from slim_resnet.end_points import table
    with tf.Graph().as_default():
        return shading.by(arguments.colour_by, table.summary(build()), scope)


def _shade_by_time(arguments, network, scope):
    times = layer_times.measured(network, arguments.batch_size)
    for doubt in layer_times.doubts(times):
        progress.say("pictures", f"warning: {doubt}")
    return shading.by("time", times.rows, scope, times.whole.time_s)


def _draw_images(arguments, network, paths, names, keys, causes):
    from slim_resnet.images import display
    from slim_resnet.pictures import class_activation, class_evidence, feature_maps, inspection
    place = class_activation.placement(network) if names is not None else None
    found = display.read_displayed(paths, arguments.image_size, arguments.preprocessing,
                                   network.channels)
    done = 0
    try:
        for inspected in inspection.inspect_images(
                network, progress.saying(progress.with_progress(found, len(paths)), "pictures",
                                         arguments.prepared,
                                         when=lambda image: not image.cause), keys, names,
                evidence=names is not None):
            if inspected.image.cause:
                causes.append((inspected.image.path, inspected.image.cause))
            stem = f"{done + 1:0{len(str(len(paths)))}}-{_stem(inspected.image.path)}"
            if inspected.result:
                _write(arguments, f"{stem}-evidence",
                       class_evidence.draw(inspected, place, theme=_theme(arguments)))
            for key, values in inspected.maps.items():
                _write(arguments, f"{stem}-{key[-80:].replace('/', '-')}",
                       feature_maps.draw(values, key, inspected.image.path,
                                         max_channels=arguments.max_channels,
                                         theme=_theme(arguments)))
            done += 1
    except KeyboardInterrupt:
        return progress.report_interrupted("pictures", done, len(paths))
    return 0


def _draw_depth(arguments, network, paths, causes, said):
    from slim_resnet.end_points import activations, table
    from slim_resnet.pictures import depth_profile
    # The same files are read once more, so the same are unreadable.
    causes.clear()
    batches = progress.readable_batches(arguments, paths, network.channels, causes, said)
    rows = activations.layer_statistics(network, batches)
    if rows:
        _write(arguments, "depth", depth_profile.draw(
            rows, table.summary(network.end_points), theme=_theme(arguments)))
    done = len(causes) + (rows[0].images if rows else 0)
    return 0 if done == len(paths) else progress.report_interrupted("pictures", done, len(paths))


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0][:40]


def _theme(arguments):
    return "light" if arguments.theme == "auto" else arguments.theme


def _write_diagram(arguments, described):
    from slim_resnet.pictures import diagram
    with _written(arguments, "diagram.svg", "w") as file:
        file.write(diagram.draw(**described, image_size=arguments.image_size,
                                columns=arguments.columns, theme=arguments.theme))


def _write(arguments, name, figure):
    from slim_resnet.pictures import drawing
    with _written(arguments, f"{name}.png", "wb") as file:
        file.write(drawing.encoded(figure))


@contextlib.contextmanager
def _written(arguments: argparse.Namespace, name: str, mode: str) -> Iterator[Any]:
    os.makedirs(arguments.output, exist_ok=True)
    path = os.path.join(arguments.output, name)
    with atomic_write(path, mode) as file:
        yield file
    progress.show(path)
