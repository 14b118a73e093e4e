"""Labelled images: a folder of class folders, TFRecord files as slim wrote them, or .npz."""

import dataclasses
import itertools
import os
from collections.abc import Callable

from slim_resnet.common.listing import Paths, listed
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import finding
from slim_resnet.images.labels import BACKGROUND, CLASSES_WITH_BACKGROUND
from slim_resnet.images.npz import read_arrays
from slim_resnet.images.settings import MAX_PIXELS
from slim_resnet.images.sources import Arrays, ImageFiles, Records


def open_data(data: Paths,
              check: Callable[[str, list[str]], None] = lambda folder, names: None,
              labels_offset: int = 0, max_pixels: int = MAX_PIXELS
              ) -> ImageFiles | Arrays | Records:
    """Opens labelled images of any kind with the classes that they have themselves.

    Args:
      data: See `finding.kind_of_data`. Class folders in sorted order have the labels 0, 1, ...
      check: Called with a folder and the names of its class folders, before these
        are searched.
      labels_offset: The label of class 0, as slim's flag of the same name.
      max_pixels: Images of more are refused.

    Returns:
      `ImageFiles`, `Arrays`, or `Records`, which are not counted.

    Raises:
      SlimResnetError: It is none of them, a file is damaged, or a class folder is empty.
    """
    kind, found = finding.kind_of_data(data)
    if kind == "npz":
        pixels, labels, classes = read_arrays(found, labels_offset, max_pixels)
        return Arrays([found], pixels, labels.tolist(), classes)
    if kind == "records":
        return Records(found, labels_offset=labels_offset)
    classes = finding.class_folders(found)
    check(found, classes)
    paths, labels = finding.images_of_classes(found, classes)
    if labels_offset > 0:
        raise SlimResnetError(f"{found}: class folders count from 0; --labels-offset "
                              f"{labels_offset} leaves out the first")
    return ImageFiles(paths, [label - labels_offset for label in labels],
                      [BACKGROUND] * -labels_offset + classes)


def find_data(data: Paths, num_classes: int,
              classes: list[str] | None = None, labels_offset: int | None = None,
              max_pixels: int = MAX_PIXELS) -> ImageFiles | Arrays | Records:
    """Finds labelled images of a checkpoint's classes.

    Args:
      data: See `finding.kind_of_data`.
      num_classes: Classes of the checkpoint.
      classes: Names of its classes, where they are known: those of the data must be the
        same.
      labels_offset: See `open_data`; None takes what `assumed_offset` says.
      max_pixels: See `open_data`.

    Returns:
      As `open_data`, with a name or None for every class of the checkpoint.

    Raises:
      SlimResnetError: A file is missing, or classes are others; and see `open_data`.
    """
    data = [os.fspath(path) for path in listed(data)]
    if labels_offset is None:
        labels_offset = assumed_offset(data, num_classes)

    source = open_data(
        data, lambda folder, names: check_folders(folder, names, num_classes, labels_offset),
        labels_offset, max_pixels)
    return dataclasses.replace(source, classes=named_classes(data[0], source.classes, num_classes,
                                                             classes))


def check_folders(folder: str, names: list[str], num_classes: int, labels_offset: int) -> None:
    """Raises `SlimResnetError` unless class folders are as many as a checkpoint's classes."""
    if len(names) - labels_offset != num_classes:
        wanted = (f"{num_classes}, or 1000 without background"
                  if num_classes == CLASSES_WITH_BACKGROUND else num_classes)
        raise SlimResnetError(f"{folder}: has {len(names)} class folders, but the checkpoint "
                              f"has {num_classes} classes; give a folder with {wanted} of "
                              "them, or TFRecord files")


def named_classes(data: str, own: list[str] | None, num_classes: int,
                  classes: list[str] | None = None) -> list[str | None]:
    """Returns a name or None for every class of a checkpoint.

    Args:
      data: The data's path, for the message.
      own: Names that the data has for its classes, or None.
      num_classes: Classes of the checkpoint.
      classes: Names of its classes, where they are known.

    Raises:
      SlimResnetError: The data has others.
    """
    if classes and own and own != classes:
        mine, other = next(pair for pair in itertools.zip_longest(own, classes)
                           if pair[0] != pair[1])
        raise SlimResnetError(f"{data}: has the class {mine} where the checkpoint has {other}; "
                              "give data of the same classes in the same order")
    names = own or classes or []
    # An .npz file may name fewer classes than there are.
    return names + [None] * (num_classes - len(names))


def assumed_offset(data: Paths, num_classes: int,
                   offset_of_run: int | None = None) -> int:
    """Returns the label of class 0 where nothing else is asked for.

    Args:
      data: See `finding.kind_of_data`.
      num_classes: Classes of the checkpoint.
      offset_of_run: What the run that wrote it read its own data with, or None.

    Returns:
      -1 for 1000 class folders of 1001 classes, as class 0 is the background, and 0 for
      other class folders; for other data the run's, else 0.
    """
    kind, found = finding.kind_of_data(data)
    if kind != "folders":
        return offset_of_run or 0
    is_without_background = (num_classes == CLASSES_WITH_BACKGROUND
                             and len(finding.class_folders(found)) == num_classes - 1)
    return -int(is_without_background)
