"""What any layer of a checkpoint's network gives for images, as an .npz file."""

import difflib
import zipfile

import numpy as np

from slim_resnet.errors import SlimResnetError


# The error of an image that Ctrl-C came before.
INTERRUPTED = "interrupted"


def check_end_points(keys, known):
    """Raises `SlimResnetError`, naming the nearest keys, for a key that is not known.

    Args:
      keys: End points that are asked for.
      known: End points that there are.
    """
    for key in keys:
        if key in known:
            continue
        nearest = [name for name in known if name.endswith(f"/{key}")]
        nearest += [name for name in difflib.get_close_matches(key, known, n=3, cutoff=0)
                    if name not in nearest]
        raise SlimResnetError(f"there is no end point {key!r}; "
                              f"nearest: {', '.join(nearest[:3])}")


def write_features(file, network, end_point, paths, batches):
    """Writes one end point of every image to an .npz file, a batch in memory at a time.

    Its arrays have a row for every path: ``files``, ``features`` (float32, NaN where
    there is none) and ``errors`` (why there is none, else empty). Ctrl-C ends the
    images, not the file: rows that were not reached have the error "interrupted".

    Args:
      file: Binary file, open for writing.
      network: A `network.Network`.
      end_point: Key of ``network.end_points``.
      paths: Image files.
      batches: Yields the `images.Batch`es of these paths, of the network's image size.

    Returns:
      The ``errors``, a string for every path.

    Raises:
      SlimResnetError: There is no such end point.
    """
    check_end_points([end_point], network.end_points)
    shape = network.end_points[end_point].shape[1:].as_list()
    errors = []
    with zipfile.ZipFile(file, "w") as archive:
        with archive.open("features.npy", "w", force_zip64=True) as entry:
            np.lib.format.write_array_header_2_0(entry, {
                "descr": "<f4", "fortran_order": False, "shape": (len(paths), *shape)})
            for causes, rows in _until_interrupted(
                    _feature_rows(network, end_point, shape, batches)):
                entry.write(rows.tobytes())
                errors += causes
            absent = np.full(shape, np.nan, np.float32).tobytes()
            for _ in range(len(paths) - len(errors)):
                entry.write(absent)
        errors += [INTERRUPTED] * (len(paths) - len(errors))
        for name, values in (("files", paths), ("errors", errors)):
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asarray(values, np.str_))
    return errors


def _feature_rows(network, end_point, shape, batches):
    for batch in batches:
        rows = np.full([len(batch.names), *shape], np.nan, np.float32)
        if len(batch.images):
            rows[[cause is None for cause in batch.causes]] = network.features(
                end_point, batch.images)
        yield [cause or "" for cause in batch.causes], rows


def _until_interrupted(batches):
    try:
        yield from batches
    except KeyboardInterrupt:
        return
