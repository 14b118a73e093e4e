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
from slim_resnet.images.sources import Arrays, ImageFiles, Records


def open_data(data: Paths,
              check_folders: Callable[[str, list[str]], None] = lambda folder, names: None,
              ) -> ImageFiles | Arrays | Records:
    """Opens labelled images of any kind with the classes that they have themselves.

    Args:
      data: See `finding.kind_of_data`. Class folders in sorted order are classes 0, 1, ...
      check_folders: Called with a folder and the names of its class folders, before these
        are searched.

    Returns:
      `ImageFiles`, `Arrays`, or `Records`, which are not counted.

    Raises:
      SlimResnetError: It is none of them, a file is damaged, or a class folder is empty.
    """
    kind, found = finding.kind_of_data(data)
    if kind == "npz":
        pixels, labels, classes = read_arrays(found)
        return Arrays([found], pixels, labels.tolist(), classes)
    if kind == "records":
        return Records(found)
    classes = finding.class_folders(found)
    check_folders(found, classes)
    return ImageFiles(*finding.images_of_classes(found, classes), classes)


def find_data(data: Paths, num_classes: int,
              classes: list[str] | None = None) -> ImageFiles | Arrays | Records:
    """Finds labelled images of a checkpoint's classes.

    Args:
      data: See `finding.kind_of_data`. 1000 class folders for 1001 classes are classes
        1, 2, ..., as class 0 is the background.
      num_classes: Classes of the checkpoint.
      classes: Names of its classes, where they are known: those of the data must be the
        same.

    Returns:
      As `open_data`, with a name or None for every class of the checkpoint.

    Raises:
      SlimResnetError: A file is missing, or classes are others; and see `open_data`.
    """
    data = [os.fspath(path) for path in listed(data)]
    offset = 0

    def check_folders(folder, names):
        nonlocal offset
        offset = int(num_classes == CLASSES_WITH_BACKGROUND and len(names) == num_classes - 1)
        if len(names) + offset != num_classes:
            wanted = (f"{num_classes}, or 1000 without background"
                      if num_classes == CLASSES_WITH_BACKGROUND else num_classes)
            raise SlimResnetError(f"{folder}: has {len(names)} class folders, but the checkpoint "
                                  f"has {num_classes} classes; give a folder with {wanted} of "
                                  "them, or TFRecord files")

    source = open_data(data, check_folders)
    if offset:
        source = dataclasses.replace(source, labels=[label + offset for label in source.labels],
                                     classes=[BACKGROUND, *source.classes])
    if classes and source.classes and source.classes != classes:
        mine, own = next(pair for pair in itertools.zip_longest(source.classes, classes)
                         if pair[0] != pair[1])
        raise SlimResnetError(f"{data[0]}: has the class {mine} where the checkpoint has {own}; "
                              "give data of the same classes in the same order")
    return dataclasses.replace(
        source, classes=source.classes or classes or [None] * num_classes)
