"""What any layers of a checkpoint's network give for images, as an .npz file."""

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np

from slim_resnet.end_points.keys import choose_one
from slim_resnet.inference.protocol import ImageNetwork

if TYPE_CHECKING:
    from slim_resnet.images.reading import Batch

T = TypeVar("T")

# The error of an image that Ctrl-C came before.
INTERRUPTED = "interrupted"


def write_features(file: BinaryIO, network: ImageNetwork, end_points: dict[str, str],
                   paths: Sequence[str], batches: Iterable["Batch"]) -> list[str]:
    """Writes end points of every image to an .npz file, a batch in memory at a time.

    Its arrays have a row for every path: one of float32 for each end point, NaN where
    there is none, ``files``, and ``errors`` (why there is none, else empty). Beside them
    is ``precision``, a string: what they were computed in. Ctrl-C ends the images, not the
    file: rows that were not reached have the error "interrupted".

    Args:
      file: Binary file, open for writing.
      network: An `ImageNetwork`.
      end_points: Maps names of arrays to end points, see `keys.choose_one`.
      paths: Image files.
      batches: Yields the `images.Batch`es of these paths, of the network's image size.

    Returns:
      The ``errors``, a string for every path.

    Raises:
      SlimResnetError: There is no such end point.
    """
    end_points = {name: choose_one(key, network.end_points)
                  for name, key in end_points.items()}
    shapes = shapes_of(network, end_points)
    errors = []
    with contextlib.ExitStack() as stack:
        # A zip file takes one member at a time, and a batch has rows for all of them.
        parts = {name: stack.enter_context(tempfile.TemporaryFile()) for name in end_points}
        for causes, rows in until_interrupted(
                feature_rows(network, end_points, batches)):
            for name, part in parts.items():
                part.write(rows[name].tobytes())
            errors += causes
        archive = stack.enter_context(zipfile.ZipFile(file, "w"))
        for name, part in parts.items():
            absent = np.full(shapes[name], np.nan, np.float32).tobytes()
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array_header_2_0(entry, {
                    "descr": "<f4", "fortran_order": False,
                    "shape": (len(paths), *shapes[name])})
                part.seek(0)
                shutil.copyfileobj(part, entry)
                for _ in range(len(paths) - len(errors)):
                    entry.write(absent)
        errors += [INTERRUPTED] * (len(paths) - len(errors))
        for name, values in (("files", paths), ("errors", errors),
                             ("precision", network.precision)):
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asarray(values, np.str_))
    return errors


def shapes_of(network: ImageNetwork, end_points: dict[str, str]) -> dict[str, list[int]]:
    """Returns the shape of each end point's value for one image, by name of its array."""
    return {name: network.end_points[key].shape[1:].as_list()
            for name, key in end_points.items()}


def feature_rows(network: ImageNetwork, end_points: dict[str, str], batches: Iterable["Batch"]
                 ) -> Iterator[tuple[list[str], dict[str, np.ndarray]]]:
    """Yields the values of end points for each batch.

    Args:
      network: An `ImageNetwork`.
      end_points: Maps names of arrays to whole keys of end points.
      batches: Yields `images.Batch`es of the network's image size.

    Yields:
      ``(errors, arrays)``: why each image is unreadable, else empty; and by name an array of
      float32 with a row for each image, NaN for those.
    """
    shapes = shapes_of(network, end_points)
    for batch in batches:
        rows = {name: np.full([len(batch.names), *shape], np.nan, np.float32)
                for name, shape in shapes.items()}
        if len(batch.images):
            readable = [cause is None for cause in batch.causes]
            values = network.features(end_points, batch.images)
            for name, array in rows.items():
                array[readable] = values[name]
        yield [cause or "" for cause in batch.causes], rows


def until_interrupted(items: Iterable[T]) -> Iterator[T]:
    """Yields ``items``; Ctrl-C ends them, and no more."""
    try:
        yield from items
    except KeyboardInterrupt:
        return
