"""What the files of formats share: the record, the choice of network, a folder to write in."""

import contextlib
import functools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

import slim_resnet
from slim_resnet.checkpoint.recognition import Recognised
from slim_resnet.end_points.keys import check_end_points
from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.inference.folded import network as folded_network
from slim_resnet.inference.network import build_network

METADATA = "slim_resnet_metadata"
# Last parts of the end points that are exported unless others are named.
_HEAD = ("global_pool", "logits", "fc8", "predictions")


def metadata(recognised: Recognised, precision: str | None = None) -> dict[str, Any]:
    """Returns what is recorded with an exported network, as a dict for JSON.

    Args:
      recognised: `checkpoint.recognise`'s result.
      precision: Of an optimised network; None for one as it is in the checkpoint.
    """
    optimized = {} if precision is None else {"optimized": True, "precision": precision}
    return {**optimized, "slim_resnet_version": slim_resnet.__version__,
            "title": recognised.title, "model": recognised.model, "variant": recognised.variant,
            "depth": recognised.depth, "scope": recognised.scope,
            "num_classes": recognised.num_classes}


def network_builder(optimize: bool, precision: str) -> tuple[Callable[..., tuple], str | None]:
    """Returns what builds the network, and the precision of an optimised one or None."""
    if not optimize:
        return build_network, None
    chosen = folded_network.choose_precision(precision)
    return functools.partial(folded_network.build_folded, precision=chosen), chosen


def chosen_end_points(keys: Sequence[str] | None, known: dict[str, tf.Tensor]
                      ) -> dict[str, tf.Tensor]:
    """Returns the end points that were asked for, or the head's."""
    if keys is None:
        keys = [key for key in known if key.rsplit("/", 1)[-1].lower() in _HEAD]
    check_end_points(keys, known)
    return {key: known[key] for key in keys}


@contextlib.contextmanager
def temporary_folder(output: str) -> Iterator[str]:
    """A folder beside ``output``, gone afterwards, to write what then is renamed."""
    parent, name = os.path.split(os.path.abspath(output))
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=f".{name}.") as folder:
            yield folder
    except OSError as error:
        raise SlimResnetError(f"{output}: cannot be written: {error.strerror}") from error
    except tf.errors.OpError as error:
        raise SlimResnetError(f"{output}: cannot be written: {cause_of(error.message)}") from error
