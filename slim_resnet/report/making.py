"""One self-contained page about a checkpoint and what it makes of some images.

From Python::

    from slim_resnet import report

    page = report.make("resnet_v2_50_2017_04_14.tar.gz", ["photo.jpg"], "imagenet.txt")
    with open("report.html", "w", encoding="utf-8") as file:
        file.write(page.html)

Needs the extra ``plot``.
"""

import datetime
import os
import typing
from collections.abc import Callable, Iterable

import numpy as np

from slim_resnet import compat
from slim_resnet.benchmark import records
from slim_resnet.checkpoint.description import description, variable_row
from slim_resnet.checkpoint.reader import Checkpoint, open_checkpoint
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common.environment import environment
from slim_resnet.end_points import activations, table
from slim_resnet.end_points.times import time
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import finding
from slim_resnet.images.display import read_displayed
from slim_resnet.images.labels import class_names
from slim_resnet.images.settings import BATCH_SIZE, Preprocessing
from slim_resnet.inference.network import Network, classes_of
from slim_resnet.pictures import (
    class_activation,
    class_evidence,
    depth_profile,
    drawing,
    feature_maps,
    inspection,
)
from slim_resnet.pictures.class_evidence import class_label
from slim_resnet.pictures.themes import THEMES
from slim_resnet.report import page as report_page

# Every image adds some megabyte to the page.
MAX_IMAGES = 20
# End points whose maps are shown for an image.
MOST_KEYS = 6
# Steps whose medians are shown: few, for a page is not a benchmark.
TIMED_STEPS = 3


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


def make(checkpoint: str | os.PathLike | Checkpoint, paths: Iterable[str | os.PathLike],
         labels: str | os.PathLike | None = None, *, image_size: int | None = None,
         preprocessing: str | Preprocessing | None = None, batch_size: int = BATCH_SIZE,
         end_points: str | Iterable[str] | None = None, max_images: int = MAX_IMAGES,
         benchmark: dict | None = None, labels_offset: int | None = None,
         use_moving_averages: bool | None = None,
         progress: Callable[[Iterable, int], Iterable] = lambda items, total: items) -> Report:
    """Makes the page.

    Args:
      checkpoint: Anything that `slim_resnet.checkpoint` opens.
      paths: Image files and folders, see `images.find_images`.
      labels: Labels file, see `labels.read_labels`; None takes that of the run that
        wrote the checkpoint, if there is one.
      image_size: Height and width that images are resized to, in pixels; None takes
        what the checkpoint was trained with, see `settings.settings_of`.
      preprocessing: A `images.settings.Preprocessing`, the name of one, or None, likewise.
      batch_size: Images in a run of the network, for the statistics, and at most for the
        times.
      end_points: Those whose maps are shown, see `keys.choose`, the first `MOST_KEYS` of
        them; None takes conv1 and the blocks.
      max_images: Images to show; the page says how many were left out.
      benchmark: A record of ``slim-resnet benchmark --json``, see
        `records.read_record`, or None.
      labels_offset: See `labels.read_labels`.
      use_moving_averages: See `checkpoint.open_checkpoint`.
      progress: Called with the images to come and their number; yields them.

    Returns:
      A `Report`.

    Raises:
      SlimResnetError: Checkpoint, labels, paths, keys or record are at fault, or
        matplotlib is missing.
    """
    drawing.figure_class()
    image_size, preprocessing, labels = settings_of(checkpoint, image_size, preprocessing, labels)
    timings = None if benchmark is None else _timings(benchmark)
    paths = finding.find_images(paths)
    with open_checkpoint(checkpoint, use_moving_averages) as opened:
        names = class_names(classes_of(opened), labels, labels_offset)
        network = Network(opened, image_size)
        described = description(opened, network.recognised, [
            variable_row(opened, network.recognised, name) for name in opened.shapes])
    with network:
        chosen = inspection.chosen_keys(network, end_points)
        images = progress(read_displayed(paths[:max_images], image_size, preprocessing,
                                         network.channels),
                          min(len(paths), max_images))
        entries, prepared, interrupted = [], [], False
        place = class_activation.placement(network) if network.last_maps is not None else None
        try:
            for inspected in inspection.inspect_images(network, images, chosen[:MOST_KEYS], names):
                entries.append(_entry(inspected, place))
                if inspected.result:
                    prepared.append(inspected.image.prepared)
        except KeyboardInterrupt:
            interrupted = True
        summary = table.summary(network.end_points)
        times, untimed = None, []
        if prepared and not interrupted:
            # Before the statistics, whose ops would be in the graph.
            try:
                times = time(network.end_points, network.session,
                             {network.images: np.stack(prepared[:batch_size])},
                             num_batches=TIMED_STEPS, num_steps_burn_in=0)
            except KeyboardInterrupt:
                interrupted = True
            except SlimResnetError as error:
                untimed = [f"there are no times: {error}"]
        rows = activations.layer_statistics(
            network, (np.stack(prepared[at:at + batch_size])
                      for at in range(0, len(prepared), batch_size)))
    page = report_page.Contents(
        description=described, recognised=network.recognised, image_size=image_size,
        preprocessing=preprocessing.described(), entries=entries,
        keys_left_out=len(chosen[MOST_KEYS:]),
        images_left_out=len(paths) - len(entries), written=_written(), summary=summary,
        statistics=rows, times=times, doubts=activations.doubts(rows) + untimed, timings=timings,
        depth=_picture(lambda theme: depth_profile.draw(rows, summary, theme=theme),
                       "Mean and standard deviation of the end points and the share of zeros "
                       "after each ReLU, in graph order; the same numbers are in the table of "
                       "end points.") if rows else None)
    return Report(report_page.render(page),
                  [(entry.path, entry.cause) for entry in entries if entry.cause],
                  len(entries), len(paths), interrupted)


def _written():
    """Returns when this is, and what with, in words."""
    made = environment()
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items()
                         if name != "slim_resnet")
    now = datetime.datetime.now().astimezone()
    return (f"Written {now:%Y-%m-%d %H:%M %Z} by slim-resnet report "
            f"{made['versions']['slim_resnet']} with {versions}; {made['cpu']['model']}, "
            f"{made['cpu']['cores']} cores, oneDNN {'on' if compat.onednn_enabled() else 'off'}.")


def _timings(record):
    try:
        return records.heading(record), records.run_table(record).exact()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SlimResnetError("the benchmark's record is incomplete or damaged: "
                              f"{type(error).__name__} at {error}") from error


def _entry(inspected, place):
    if inspected.image.cause:
        return report_page.Entry(inspected.image.path, cause=inspected.image.cause)
    result = inspected.result
    label = class_label(result.names[0], result.classes[0])
    maps = [(key, _picture(lambda theme, key=key, values=values:
                           feature_maps.draw(values, key, theme=theme, alone=False),
                           f"Maps of the first channels of {key}, "
                           "{} by {} positions, {} channels.".format(*values.shape)))
            for key, values in inspected.maps.items()]
    if place is None:
        return report_page.Entry(
            inspected.image.path, result=result, maps=maps,
            caption="No evidence: the network does not end in global average pooling.")
    evidence = _picture(
        lambda theme: class_evidence.draw(inspected, place, theme=theme, alone=False),
        f"The image, and on it the places that speak for and against {label}")
    height, width = inspected.contributions.shape
    caption = (f"Evidence for {label}: {height} × {width} places add up to "
               f"{inspected.contributions.sum():+.4f}; with the bias, {inspected.bias:+.4f}, the "
               f"logit is {inspected.logit:+.4f}.")
    return report_page.Entry(inspected.image.path, result=result, evidence=evidence,
                             caption=caption, maps=maps)


def _picture(draw, alt):
    """Draws one picture in every theme; ``draw(theme)`` returns the figure."""
    drawn = {theme: draw(theme) for theme in THEMES}
    width, height = (round(length * drawing.DPI)
                     for length in drawn["light"].get_size_inches())
    return report_page.Picture({theme: drawing.encoded(figure, "webp")
                                for theme, figure in drawn.items()}, width, height, alt)
