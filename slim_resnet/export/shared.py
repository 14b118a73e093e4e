"""What the files of formats share: the record, the choice of network, a folder to write in."""

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

import slim_resnet
from slim_resnet.checkpoint.foreign.values import METADATA  # noqa: F401 (of all formats)
from slim_resnet.checkpoint.reader import Checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.common import locks
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.common.files import sha256_of
from slim_resnet.end_points.keys import choose
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.inference.folded import network as folded_network
from slim_resnet.inference.network import build_network

# Last parts of the end points that are exported unless others are named.
_HEAD = ("global_pool", "logits", "fc8", "predictions")


def metadata(opened: Checkpoint, **computed: Any) -> dict[str, Any]:
    """Returns what is recorded with an exported network, as a dict for JSON.

    Args:
      opened: The checkpoint.
      **computed: Of what computes: ``optimized``, whether it is folded, ``precision``, that
        of its layers, and ``moving_averages``, whether it has the averages of its weights.
    """
    recognised = recognise(opened)
    return {**computed, "slim_resnet_version": slim_resnet.__version__,
            "tensorflow_version": tf.__version__, "title": recognised.title,
            "model": recognised.model, "variant": recognised.variant,
            "depth": recognised.depth, "scope": recognised.scope,
            "num_classes": recognised.num_classes, "assumed": recognised.assumed,
            "source_sha256": sha256_of(opened.files)}


def interface(end_points: Iterable[str], size: int | None, channels: int, name: str = "images",
              dtype: str = "float32") -> dict[str, Any]:
    """Returns what is recorded of a network's input and outputs, for `checking.check` too.

    Args:
      end_points: Keys of its outputs.
      size: Height and width of images, in pixels; None if they are open.
      channels: Of the images.
      name: Of the input.
      dtype: ``float32`` for prepared images, ``uint8`` for pixels.
    """
    return {"input": {"name": name, "dtype": dtype, "size_pixels": size, "channels": channels},
            "end_points": list(end_points)}


def network_builder(optimize: bool, precision: str) -> Callable[..., tuple]:
    """Returns what builds the network.

    Raises:
      SlimResnetError: ``precision`` is not to be had, see `folded_network.check_precision`.
    """
    folded_network.check_precision(precision)
    if optimize:
        return functools.partial(folded_network.build_folded, precision=precision)
    if precision != PRECISIONS[0]:
        raise SlimResnetError(f"precision {precision} goes with optimize; give both or neither")
    return build_network


def chosen_end_points(keys: str | Sequence[str] | None, known: dict[str, Any]) -> dict[str, Any]:
    """Returns the end points that were asked for, or the head's."""
    if keys is None:
        keys = [key for key in known if key.rsplit("/", 1)[-1].lower() in _HEAD]
    return {key: known[key] for key in choose(keys, known)}


@contextlib.contextmanager
def temporary_folder(output: str) -> Iterator[str]:
    """A folder beside ``output``, gone afterwards, to write what then is renamed.

    Its name is always the same, so that the next export to there removes what a killed one
    left. Meanwhile no other process writes ``output`` so.
    """
    folder = locks.beside(output, "parts")
    with locks.locked(output, "is writing it"):
        try:
            if os.path.lexists(folder):
                shutil.rmtree(folder)
            os.mkdir(folder)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            raise SlimResnetError(f"{output}: cannot be written: "
                                  f"{error.strerror or error}") from error
        except tf.errors.OpError as error:
            raise SlimResnetError(
                f"{output}: cannot be written: {cause_of(error.message)}") from error
