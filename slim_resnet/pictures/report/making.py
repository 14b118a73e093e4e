"""One self-contained page about a checkpoint and what it makes of some images.

From Python::

    from slim_resnet import report

    page = report.make("resnet_v2_50_2017_04_14.tar.gz", ["photo.jpg"], "imagenet.txt")
    with open("report.html", "w", encoding="utf-8") as file:
        file.write(page.html)

Needs the extra ``plot``.
"""

import math
import typing

import numpy as np

from slim_resnet.benchmark import records
from slim_resnet.checkpoint.description import description
from slim_resnet.checkpoint.reader import open_checkpoint
from slim_resnet.checkpoint.runs import settings_of
from slim_resnet.end_points import activations, table
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import reading
from slim_resnet.images.labels import class_names
from slim_resnet.images.photos import read_photos
from slim_resnet.images.settings import BATCH_SIZE
from slim_resnet.inference.network import Network, classes_of
from slim_resnet.pictures import class_evidence, figures, looks, sheets
from slim_resnet.pictures import depth as depth_picture
from slim_resnet.pictures import evidence as evidence_picture
from slim_resnet.pictures.evidence import class_label
from slim_resnet.pictures.report import page as report_page
from slim_resnet.pictures.themes import THEMES

# Every image adds some megabyte to the page.
MAX_IMAGES = 20
# End points whose maps are shown for an image.
MOST_KEYS = 6


class Report(typing.NamedTuple):
    """A page, and what it is not about.

    Attributes:
      html: The page.
      unreadable: ``(path, cause)`` of each image that could not be read.
      shown: Number of images on the page, unreadable ones included.
      total: Number of images given.
      interrupted: Whether Ctrl-C came before all images were looked at.
    """

    html: str
    unreadable: list
    shown: int
    total: int
    interrupted: bool


def make(checkpoint, paths, labels=None, *, image_size=None, preprocessing=None,
         batch_size=BATCH_SIZE, keys=None, max_images=MAX_IMAGES, benchmark=None,
         progress=lambda items, total: items):
    """Makes the page.

    Args:
      checkpoint: Anything that `slim_resnet.checkpoint` opens.
      paths: Image files and folders, see `images.find_images`.
      labels: Labels file, see `classify.read_labels`; None takes that of the run that
        wrote the checkpoint, if there is one.
      image_size: Height and width that images are resized to, in pixels; None takes
        what the checkpoint was trained with, see `settings.settings_of`.
      preprocessing: One of `images.PREPROCESSING`, or None, likewise.
      batch_size: Images in a run of the network, for the statistics.
      keys: Keys and patterns of end points whose maps are shown, the first `MOST_KEYS`
        of them; None takes conv1 and the blocks.
      max_images: Images to show; the page says how many were left out.
      benchmark: A record of ``slim-resnet benchmark --json``, see
        `records.read_record`, or None.
      progress: Called with the photos to come and their number; yields them.

    Returns:
      A `Report`.

    Raises:
      SlimResnetError: Checkpoint, labels, paths, keys or record are at fault, or
        matplotlib is missing.
    """
    figures.figure_class()
    image_size, preprocessing, labels = settings_of(checkpoint, image_size, preprocessing, labels)
    timings = None if benchmark is None else _timings(benchmark)
    paths = reading.find_images(paths)
    with open_checkpoint(checkpoint) as opened:
        names = class_names(classes_of(opened), labels)
        network = Network(opened, image_size)
        described = description(opened, network.recognised, [
            dict(name=name, parameters=math.prod(shape)) for name, shape in opened.shapes.items()])
    with network:
        chosen = looks.chosen_keys(network, keys)
        photos = progress(read_photos(paths[:max_images], image_size, preprocessing),
                          min(len(paths), max_images))
        entries, prepared, interrupted = [], [], False
        place = class_evidence.placement(network)
        try:
            for look in looks.look(network, photos, chosen[:MOST_KEYS], names):
                entries.append(_entry(look, place))
                if look.result:
                    prepared.append(look.photo.prepared)
        except KeyboardInterrupt:
            interrupted = True
        summary = table.summary(network.end_points)
        rows = activations.layer_statistics(
            network, (np.stack(prepared[at:at + batch_size])
                      for at in range(0, len(prepared), batch_size)))
    page = report_page.Contents(
        description=described, recognised=network.recognised, image_size=image_size,
        preprocessing=preprocessing, entries=entries, keys_left_out=len(chosen[MOST_KEYS:]),
        images_left_out=len(paths) - len(entries), summary=summary, statistics=rows,
        doubts=activations.doubts(rows), timings=timings,
        depth=_picture(lambda theme: depth_picture.draw(rows, summary, theme=theme),
                       "Mean and standard deviation of the end points and the share of zeros "
                       "after each ReLU, in graph order; the same numbers are in the table of "
                       "end points.") if rows else None)
    return Report(report_page.render(page),
                  [(entry.path, entry.cause) for entry in entries if entry.cause],
                  len(entries), len(paths), interrupted)


def _timings(record):
    try:
        return records.heading(record), records.run_rows(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SlimResnetError("the benchmark's record is incomplete or damaged: "
                              f"{type(error).__name__} at {error}") from error


def _entry(look, place):
    if look.photo.cause:
        return report_page.Entry(look.photo.path, cause=look.photo.cause)
    result = look.result
    label = class_label(result.names[0], result.classes[0])
    evidence = _picture(
        lambda theme: evidence_picture.draw(look, place, theme=theme, bars=False),
        f"The photo, and on it the places that speak for and against {label}")
    height, width = look.contributions.shape
    caption = (f"Evidence for {label}: {height} × {width} places add up to "
               f"{look.contributions.sum():+.4f}; with the bias, {look.bias:+.4f}, the logit is "
               f"{look.logit:+.4f}.")
    maps = [(key, _picture(lambda theme, key=key, values=values: sheets.feature_maps(
        values, key, theme=theme),
                           f"Maps of the first channels of {key}, "
                           "{} by {} positions, {} channels.".format(*values.shape)))
            for key, values in look.maps.items()]
    return report_page.Entry(look.photo.path, result=result, evidence=evidence,
                             caption=caption, maps=maps)


def _picture(draw, alt):
    """Draws one picture in every theme; ``draw(theme)`` returns the figure."""
    drawn = {theme: draw(theme) for theme in THEMES}
    width, height = (round(length * figures.DPI)
                     for length in drawn["light"].get_size_inches())
    return report_page.Picture({theme: figures.encoded(figure, "webp")
                                for theme, figure in drawn.items()}, width, height, alt)
