"""From a float32 network to one of int8, judged at once on images that it has not seen."""

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from slim_resnet.errors import SlimResnetError
from slim_resnet.inference.engines import files
from slim_resnet.inference.engines.loaded import Loaded
from slim_resnet.inference.engines.table import INT8, Engine

# Of 64 images 48 give the ranges and 16 judge. More than 400 make it slower and no better.
LEAST_IMAGES, MOST_IMAGES = 64, 400
# Share of the images that judge which have to keep their most probable class.
LEAST_AGREEMENT = 0.97
# One of so many judges.
_JUDGES = 4
_BATCH_SIZE = 8

T = TypeVar("T")


def chosen(images: Sequence[T], what: str) -> list[T]:
    """Returns those that are used: all, or `MOST_IMAGES` from all over the sequence.

    Raises:
      SlimResnetError: There are fewer than `LEAST_IMAGES`; ``what`` names them.
    """
    if len(images) < LEAST_IMAGES:
        raise SlimResnetError(f"{what}: {len(images)} images are too few to calibrate int8 with; "
                              f"give at least {LEAST_IMAGES}")
    places = np.unique(np.linspace(0, len(images) - 1, min(len(images), MOST_IMAGES)).astype(int))
    return [images[place] for place in places]


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
      accept: Whether a network is taken that agrees in less than `LEAST_AGREEMENT`.

    Raises:
      SlimResnetError: The images are too few, the network has no logits to be judged by, or
        it agrees too little.
    """
    from slim_resnet.inference.accuracy import Agreement
    if record["num_classes"] is None:
        raise SlimResnetError(f"{path}: has no logits, by which int8 is judged; use float32")
    images = np.stack(chosen(images, path))
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
    if is_refused(record["quantised"]) and not accept:
        raise refusal(path, record["quantised"])
    for name in (files.MODEL, files.WEIGHTS):
        os.unlink(os.path.join(folder, name))


def is_refused(quantised: dict[str, Any]) -> bool:
    """Whether a network in int8 agrees in too few images to be taken without a word."""
    return quantised["top_1_agreement_percent"] < 100 * LEAST_AGREEMENT


def refusal(path: str, quantised: dict[str, Any]) -> SlimResnetError:
    """Returns the error that says so."""
    return SlimResnetError(f"{path}: {described(quantised)}; less than "
                           f"{100 * LEAST_AGREEMENT:.0f} % in top-1 is taken only with --accept")


def described(quantised: dict[str, Any]) -> str:
    """Returns one line of what `quantise` found."""
    return (f"int8 by {quantised['quantiser']}: of {quantised['judged_images']} images that it "
            f"was not calibrated with, it agrees with float32 in "
            f"{quantised['top_1_agreement_percent']:.1f} % (top-1) and "
            f"{quantised['top_5_agreement_percent']:.1f} % (top-5); logits are within "
            f"{quantised['logits']['largest']:.1e}, {quantised['logits']['mean']:.1e} in the mean")


def _logits(loaded: Loaded, images: np.ndarray) -> np.ndarray:
    """Returns logits ``[N, classes]``."""
    parts = [loaded.run(images[start:start + _BATCH_SIZE])[0]
             for start in range(0, len(images), _BATCH_SIZE)]
    return np.concatenate(parts).reshape(len(images), -1)
