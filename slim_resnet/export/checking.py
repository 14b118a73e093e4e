"""Every export is read back and run by its own runtime before it gets its name.

The runtime works in a process of its own, so that it shares no library, no thread and no
graph with what wrote the file, and a crash of its is an error like others.
"""

import json
import os
import signal
import subprocess
import sys
import typing
from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint.reader import Checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common.environment import PRECISIONS, child_environment
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError
from slim_resnet.export import runtimes
from slim_resnet.export.formats import BFLOAT16, Format
from slim_resnet.export.shared import METADATA
from slim_resnet.images.given import sources_of
from slim_resnet.images.preparation import of_values
from slim_resnet.images.reading import read_source
from slim_resnet.images.settings import BATCH_SIZE, Preprocessing
from slim_resnet.inference.network import build_network

tf1 = tf.compat.v1

# Of `verify`'s images, the most that are run.
MOST_IMAGES = 64
# Height and width of a batch for networks of any size: odd, and not square.
_ODD = 97, 75
# Smaller probabilities are all alike.
_LEAST = np.float32(1e-30)


class _Batch(typing.NamedTuple):
    """Images as the export is given them, and prepared as the session is."""

    given: np.ndarray
    prepared: np.ndarray


def check(path: str, format: Format, opened: Checkpoint, record: dict[str, Any],
          verify: Any, runtime: str | None) -> dict[str, Any]:
    """Compares what an export gives with what its checkpoint does.

    Variables have to be the same bit for bit. Networks run on made-up images, one of the
    network's size and a batch of three, for a network of any size an odd one, and on what
    ``verify`` names. An error is the largest deviation of an end point from
    ``session.run``'s, over its largest value; of predictions, the deviation of their
    logarithms over the largest logit.

    Args:
      path: The export.
      format: Its row of `formats.FORMATS`.
      opened: The checkpoint.
      record: What ``write`` returned.
      verify: What `images.load_images` takes, or None; of `MOST_IMAGES` at most.
      runtime: The package to read and run it with; None if none is installed.

    Returns:
      Plain data: ``runtime`` and ``version``; ``variables``, their number, or ``batches``,
      shapes of images, and ``errors`` by end point; ``largest_error`` and ``bound``. Where
      no runtime is installed, ``unchecked``, which says so, alone.

    Raises:
      SlimResnetError: The runtime cannot read or run it, or gives something else.
    """
    if runtime is None:
        return {"unchecked": f"{' and '.join(format.runtimes)} not installed"
                if len(format.runtimes) > 1 else f"{format.runtimes[0]} is not installed"}
    with temporary_folder() as folder:
        batches = []
        if format.bound is not None:
            batches = _batches(opened, record, verify)
            np.savez(os.path.join(folder, runtimes.IMAGES),
                     **{str(k): batch.given for k, batch in enumerate(batches)})
        run_elsewhere(format.name, runtime, path, folder)
        with open(os.path.join(folder, runtimes.VERSION), encoding="utf-8") as file:
            found = {"runtime": runtime, "version": file.read()}
        if format.bound is None:
            return {**found, **_check_variables(format, opened, folder)}
        return {**found, **_check_end_points(format, opened, record, batches, folder)}


def run_elsewhere(format: str, package: str, path: str, folder: str) -> None:
    """Calls `runtimes.run` in a process of its own.

    Raises:
      SlimResnetError: The process failed; says how.
    """
    finished = subprocess.run(
        [sys.executable, "-m", runtimes.__name__, format, package, path, folder],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=child_environment(TF_CPP_MIN_LOG_LEVEL="3"))
    if finished.returncode == 0:
        return
    said = finished.stderr.decode("utf-8", "replace").strip().splitlines()
    if finished.returncode < 0:
        why = f"its process was ended by {signal.Signals(-finished.returncode).name}"
    else:
        why = said[-1][:300] if said else f"its process ended with {finished.returncode}"
    raise _refused(format, f"{package} cannot run it: {why}")


def _refused(format, why):
    return SlimResnetError(f"the {format} that was written failed its check and was removed: {why}")


def _check_variables(format, opened, folder):
    with open(os.path.join(folder, runtimes.HASHES), encoding="utf-8") as file:
        hashes = json.load(file)
    hashes.pop(METADATA, None)
    others = hashes.keys() ^ opened.shapes.keys() or {
        name for name in opened.shapes if hashes[name] != runtimes.hash_of(opened.tensor(name))}
    if others:
        raise _refused(format.name, f"{len(others)} variables are not as in the checkpoint, "
                       f"{min(others)} for one")
    return {"variables": len(hashes), "largest_error": 0.0, "bound": 0.0}


def _check_end_points(format, opened, record, batches, folder):
    bound = format.bound
    if record.get("precision", PRECISIONS[0]) != PRECISIONS[0]:
        bound = BFLOAT16
    keys, errors = record["end_points"], {}
    with np.load(os.path.join(folder, runtimes.END_POINTS)) as outputs:
        for number, (expected, logits) in enumerate(_by_session(opened, record, keys, batches)):
            given = {name.split("/", 1)[1] for name in outputs.files
                     if name.startswith(f"{number}/")}
            if given != set(keys):
                raise _refused(format.name, "it has other end points than were asked for: "
                               f"{min(given ^ set(keys))}")
            for key in keys:
                error = _error(outputs[f"{number}/{key}"], expected[key], logits, opened.path, key,
                               format.name)
                errors[key] = max(error, errors.get(key, 0.0))
    worst = max(errors, key=errors.get)
    if errors[worst] > bound:
        raise _refused(format.name, f"{worst} is off by {errors[worst]:.2g} of its largest value, "
                       f"and {bound:g} is allowed")
    return {"batches": [list(batch.given.shape) for batch in batches], "errors": errors,
            "largest_error": errors[worst], "bound": bound}


def _error(value, expected, logits, path, key, format):
    if not np.isfinite(expected).all():
        raise SlimResnetError(f"{path}: {key} is NaN or infinite, so no export of it can be "
                              "checked; see slim-resnet checkpoint describe --stats")
    if value.shape != expected.shape:
        raise _refused(format, f"{key} has the shape {list(value.shape)} and not "
                       f"{list(expected.shape)}")
    if not np.isfinite(value).all():
        raise _refused(format, f"{key} is NaN or infinite")
    scale = np.abs(expected).max()
    if key.lower() == "predictions":
        # Softmax makes of logits in the hundreds, off by a rounding, other probabilities.
        value, expected = (np.log(np.maximum(one, _LEAST)) for one in (value, expected))
        scale = max(scale, np.abs(logits).max())
    # An end point may be zero everywhere.
    return float(np.abs(value - expected).max() / (scale or 1.0))


def _by_session(opened, record, keys, batches):
    """Yields end points and logits of each batch by `network.build_network`, in float32."""
    size = record["input"]["size_pixels"]
    with tf.Graph().as_default() as graph, tf1.Session(graph=graph) as session:
        images = tf1.placeholder(tf.float32, [None, size, size, batches[0].prepared.shape[-1]])
        logits, _, end_points = build_network(opened, images, session)
        fetches = {key: end_points[key] for key in keys}, [] if logits is None else logits
        for batch in batches:
            yield session.run(fetches, {images: batch.prepared})


def _batches(opened, record, verify):
    """Returns what the check runs."""
    channels = recognise(opened).input_channels
    size, is_pixels = record["input"]["size_pixels"], record["input"]["dtype"] == "uint8"
    settings = settings_of(opened)
    preprocessing = settings.preprocessing
    if "preprocessing" in record:
        preprocessing = Preprocessing(*map(record.get, (
            "preprocessing", "mean", "resize", "resize_side")))
    height = size or settings.image_size
    odd = (size, size) if size else _ODD
    made = [_made([1, height, height, channels], preprocessing, is_pixels),
            _made([3, *odd, channels], preprocessing, is_pixels)]
    return made if verify is None else made + [
        _prepared(batch, preprocessing, is_pixels)
        for batch in _given(verify, height, preprocessing, channels, is_pixels)]


def _made(shape, preprocessing, is_pixels):
    """Returns a batch of patches of colour under noise."""
    rng = np.random.RandomState(shape[0])
    rows, columns = (np.arange(length) * 6 // length for length in shape[1:3])
    patches = rng.randint(0, 256, [shape[0], 6, 6, shape[3]])[:, rows][:, :, columns]
    pixels = ((3 * patches + rng.randint(0, 256, shape)) // 4).astype(np.uint8)
    if preprocessing.name == "vgg" and preprocessing.mean is None and shape[3] != 3:
        # There is a mean of three channels only; any other range will do.
        preprocessing = Preprocessing("inception")
    return _prepared(pixels, preprocessing, is_pixels)


def _prepared(images, preprocessing, is_pixels):
    if images.dtype != np.uint8:
        return _Batch(images, images)
    with tf.Graph().as_default(), tf1.Session() as session:
        prepared = session.run(of_values(tf.constant(images), preprocessing))
    return _Batch(images if is_pixels else prepared, prepared)


def _given(verify, size, preprocessing, channels, is_pixels):
    """Returns batches of a user's images, prepared, or as pixels of the size."""
    batches, left = [], MOST_IMAGES
    if is_pixels:
        rule = preprocessing.rule
        preprocessing = Preprocessing(
            "none", resize=rule, resize_side=preprocessing.side if rule == "shorter-side" else None)
    for source in sources_of(verify):
        for batch in read_source(source, size, preprocessing, BATCH_SIZE, channels=channels):
            for name, cause in zip(batch.names, batch.causes):
                if cause:
                    raise SlimResnetError(f"{name}: cannot be read: {cause}")
            images = batch.images[:left]
            batches.append(np.rint(images).astype(np.uint8) if is_pixels else images)
            left -= len(images)
            if not left:
                return batches
    if not batches:
        raise SlimResnetError(f"--verify {verify}: holds no image")
    return batches
