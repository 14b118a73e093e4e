"""Images found by patterns, here or in object stores, with or without labels, to be cut."""

import dataclasses
import os
from typing import Any

from slim_resnet.common.listing import Paths
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import labelled, stores
from slim_resnet.images.labels import BACKGROUND, CLASSES_WITH_BACKGROUND
from slim_resnet.images.parts import Files, Parquet, Records
from slim_resnet.images.sources import Arrays, ImageFiles

_BY_KIND = {"images": Files, "parquet": Parquet, "records": Records}


def find(paths: Paths, max_pixels: int) -> Files | Parquet | Records:
    """Finds images without labels, see `stores.find_files`."""
    kind, files = stores.find_files(paths)
    return _BY_KIND[kind](files, max_pixels=max_pixels)


@dataclasses.dataclass
class Labelled:
    """Labelled images.

    Attributes:
      source: What they are cut from.
      classes: A name or None for every class.
      labels_offset: The label of class 0.
      sample: A source of some of them, for `fit.better_fit`; a function.
    """

    source: Files | Parquet | Records
    classes: list[str | None]
    labels_offset: int
    sample: Any


def find_labelled(data: Paths, num_classes: int, classes: list[str] | None,
                  labels_offset: int | None, offset_of_run: int | None, max_pixels: int
                  ) -> Labelled:
    """Finds labelled images of a checkpoint's classes.

    Args:
      data: What `labelled.find_data` takes, and patterns, addresses and Parquet files.
      num_classes: Classes of the checkpoint.
      classes: Their names, or None.
      labels_offset: The label of class 0, or None for what `labelled.assumed_offset` says.
      offset_of_run: See there.
      max_pixels: Images of more are refused.

    Raises:
      SlimResnetError: A file is missing, or classes are others.
    """
    data = stores.expanded(data)
    if not any(map(_is_elsewhere, data)):
        if labels_offset is None:
            labels_offset = labelled.assumed_offset(data, num_classes, offset_of_run)
        found = labelled.find_data(data, num_classes, classes, labels_offset, max_pixels)
        if isinstance(found, Arrays):
            raise SlimResnetError(f"{data[0]}: an .npz file is for one process; leave --ray out, "
                                  "or give a folder, TFRecord or Parquet files")
        files = [stores.file_here(path) for path in found.files]
        source = Files(files, found.labels, max_pixels) if isinstance(found, ImageFiles) else \
            Records(files, True, labels_offset, max_pixels)
        return Labelled(source, found.classes, labels_offset, lambda: found)
    kind, files = stores.find_files(data)
    if kind == "images":
        return _class_folders(data, files, num_classes, classes, labels_offset, max_pixels)
    labels_offset = (offset_of_run or 0) if labels_offset is None else labels_offset
    source = _BY_KIND[kind](files, True, labels_offset, max_pixels)

    def sample():
        # As many as the first file has.
        counted = dataclasses.replace(source, files=files[:1])
        return next(counted.parts(1 << 30, [counted.count(files[0])])).source()

    return Labelled(source, labelled.named_classes(data[0], None, num_classes, classes),
                    labels_offset, sample)


def _is_elsewhere(path):
    return stores.is_address(path) or stores.kind_of_name(path) == "parquet" or (
        os.path.isdir(path) and any(stores.kind_of_name(name) == "parquet"
                                    for name in os.listdir(path)))


def _class_folders(data, files, num_classes, classes, labels_offset, max_pixels):
    if len(data) > 1 or not stores.is_address(data[0]):
        raise SlimResnetError(f"{data[0]}: give one folder of class folders, or TFRecord or "
                              "Parquet files")
    root = stores.file_system(data[0])[1].rstrip("/")
    names = [file.path[len(root) + 1:].rpartition("/")[0].partition("/")[0] for file in files]
    own = sorted(set(names))
    if "" in own:
        raise SlimResnetError(f"{data[0]}: holds images that are in no class folder")
    if labels_offset is None:
        labels_offset = -int(num_classes == CLASSES_WITH_BACKGROUND and
                             len(own) == num_classes - 1)
    if labels_offset > 0:
        raise SlimResnetError(f"{data[0]}: class folders count from 0; --labels-offset "
                              f"{labels_offset} leaves out the first")
    labelled.check_folders(data[0], own, num_classes, labels_offset)
    numbers = {name: number - labels_offset for number, name in enumerate(own)}
    source = Files(files, [numbers[name] for name in names], max_pixels)
    step = max(1, len(files) // 32)
    sample = dataclasses.replace(source, files=files[::step], labels=source.labels[::step])
    return Labelled(source, labelled.named_classes(
        data[0], [BACKGROUND] * -labels_offset + own, num_classes, classes), labels_offset,
        sample.source)
