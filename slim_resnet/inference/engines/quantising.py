"""From a float32 network to one of int8, judged at once on images that it has not seen."""

import contextlib
import io
import os
import sys
from typing import Any

import numpy as np

from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.engines import files, judged
from slim_resnet.inference.engines.loaded import Loaded
from slim_resnet.inference.engines.table import INT8, Engine

# One of so many judges.
_JUDGES = 4
_BATCH_SIZE = 8


def quantise(path: str, row: Engine, folder: str, record: dict[str, Any], images: np.ndarray,
             accept: bool) -> None:
    """Puts the network in int8 in the place of the files of one in float32.

    Args:
      path: The checkpoint, for messages.
      row: The engine.
      folder: What `files.write` wrote to.
      record: See `loaded.record_of`; what was found is added as ``quantised``.
      images: float32 ``[N, height, width, channels]``, prepared. One in four judges, the
        others give the ranges of values.
      accept: Whether a network is taken that agrees in less than `judged.LEAST_AGREEMENT`.

    Raises:
      SlimResnetError: The images are too few, the network has no logits to be judged by, or
        it agrees too little.
    """
    from slim_resnet.inference.accuracy import Agreement
    if record["num_classes"] is None:
        raise SlimResnetError(f"{path}: has no logits, by which int8 is judged; use float32")
    images = np.stack(judged.chosen(images, path))
    judging = np.arange(len(images)) % _JUDGES == _JUDGES - 1
    plain = row.module.Loaded(record, folder, "float32")
    try:
        reference = _logits(plain, images[judging])
    finally:
        plain.close()
    # Quantisers show how far they are on stdout, which is for results.
    with contextlib.redirect_stdout(sys.stderr if sys.stderr.isatty() else io.StringIO()):
        row.module.quantise(folder, record, images[~judging])
    quantised = row.module.Loaded(record, folder, INT8)
    try:
        agreement = Agreement()
        agreement.add(reference, _logits(quantised, images[judging]))
    finally:
        quantised.close()
    record["quantised"] = {
        "quantiser": record.pop("quantiser"), "calibration_images": int((~judging).sum()),
        "judged_images": int(judging.sum()), **agreement.as_record(), "accepted": bool(accept)}
    if judged.is_refused(record["quantised"]) and not accept:
        raise judged.refusal(path, record["quantised"])
    for name in (files.MODEL, files.WEIGHTS):
        os.unlink(os.path.join(folder, name))


def _logits(loaded: Loaded, images: np.ndarray) -> np.ndarray:
    """Returns logits ``[N, classes]``."""
    parts = [loaded.run(images[start:start + _BATCH_SIZE])[0]
             for start in range(0, len(images), _BATCH_SIZE)]
    return np.concatenate(parts).reshape(len(images), -1)
