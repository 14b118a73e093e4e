"""From a checkpoint or a session to an `InferenceModel`, in any engine; needs TensorFlow."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint.reader import CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.common.environment import PRECISIONS
from slim_resnet.common.listing import listed
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.end_points.keys import choose
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import MEAN
from slim_resnet.inference.engines import cache, files, quantising
from slim_resnet.inference.engines.loaded import Loaded, record_of
from slim_resnet.inference.engines.table import INT8, TENSORFLOW, Engine
from slim_resnet.inference.engines.table import choose as choose_engine
from slim_resnet.inference.folded.graph import IMAGES
from slim_resnet.inference.folded.live import live_network
from slim_resnet.inference.folded.network import (
    check_precision,
    checked_values,
    fold,
    own_end_points,
    with_blocks,
)
from slim_resnet.resnet_utils import Block

# Python's own handler of last resort shows warnings on stderr.
LOGGER = logging.getLogger("slim_resnet")


def from_checkpoint(cls: type, path: CheckpointLike, precision: str,
                    end_points: str | Iterable[str], engine: str, *, image_size: int | None,
                    output_stride: int | None, blocks: Sequence[Block] | None,
                    use_moving_averages: bool | None, calibration: np.ndarray | None,
                    accept: bool, made_from: dict[str, Any] | None) -> Any:
    """Does what `InferenceModel.from_checkpoint` says; ``cls`` is the class."""
    row = _checked(engine, precision, calibration)
    parts_s = {}
    with open_checkpoint(path, use_moving_averages) as opened:
        with _part(parts_s, "read_and_fold"):
            network, shown = recognise(opened), opened.path
            if blocks is not None:
                network = with_blocks(network, blocks, shown)
            folded = _folded(shown, network, opened.dtypes, opened.network_tensor, row, precision,
                             output_stride=output_stride, image_size=image_size)
        # With another mean than slim's, pixels are not prepared as the graph does it.
        own = settings_of(opened).preprocessing
        prepared = own.name if own.mean in (None, MEAN) else own.described()
    with _part(parts_s, "load"):
        loaded, kept_in = _load(shown, network, folded, listed(end_points), row, precision,
                                prepared, calibration, accept, made_from)
    return cls(shown, precision, row, loaded, parts_s, kept_in)


def from_session(cls: type, session: tf.compat.v1.Session, precision: str,
                 end_points: str | Iterable[str], engine: str, *, image_size: int | None,
                 calibration: np.ndarray | None, accept: bool, path: str) -> Any:
    """Does what `InferenceModel.from_session` says; ``path`` is its ``name``."""
    row = _checked(engine, precision, calibration)
    live, parts_s = live_network(session), {}
    with _part(parts_s, "read_and_fold"):
        folded = _folded(path, live.network, live.dtypes, live.read, row, precision,
                         image_size=image_size, epsilon=live.epsilon)
    with _part(parts_s, "load"):
        loaded, _ = _load(path, live.network, folded, listed(end_points), row, precision,
                          calibration=calibration, accept=accept)
    return cls(path, precision, row, loaded, parts_s)


def _checked(engine, precision, calibration):
    row = choose_engine(engine, precision)
    if row.name == TENSORFLOW:
        check_precision(precision)
    if (precision == INT8) != (calibration is not None):
        raise SlimResnetError("precision int8 and images to calibrate it with go together; give "
                              "both or neither")
    return row


def _folded(path: str, network: Any, dtypes: dict[str, str], read: Callable, row: Engine,
            precision: str, **options: Any) -> Any:
    """Folds a network into what an engine takes; others than TensorFlow round by themselves."""
    if row.name != TENSORFLOW:
        precision, options["onednn"] = PRECISIONS[0], False
    return fold(path, network, checked_values(path, dtypes, read), precision,
                with_variables=True, **options)


def _load(path: str, network: Any, folded: Any, end_points: list[str], row: Engine,
          precision: str, prepared: str | None = None, calibration: np.ndarray | None = None,
          accept: bool = False, made_from: dict[str, Any] | None = None
          ) -> tuple[Loaded, str | None]:
    """Returns the network, and where in the cache it was kept."""
    own = own_end_points(network, folded.end_points)
    images = next(node for node in folded.graph_def.node if node.name == IMAGES)
    sizes = [None if dim.size < 0 else dim.size for dim in images.attr["shape"].shape.dim]
    record = record_of(network, folded.logits, own, choose(end_points, own), sizes[1:3], prepared)
    if row.name == TENSORFLOW:
        return row.module.Loaded(record, folded, precision), None

    def write(folder):
        files.write(folder, path, record, folded)
        if calibration is not None:
            quantising.quantise(path, row, folder, record, calibration, accept)
        return record

    if made_from is not None:
        try:
            entry = cache.keep(made_from, write)
        except cache.Refused as error:
            LOGGER.warning("%s", error)
        else:
            return files.loaded(path, row, entry.folder, record, precision), entry.folder
    with contextlib.ExitStack() as belongings:
        folder = belongings.enter_context(temporary_folder())
        write(folder)
        loaded = files.loaded(path, row, folder, record, precision)
        loaded.belongings = belongings.pop_all()
        return loaded, None


@contextlib.contextmanager
def _part(parts_s: dict[str, float], name: str) -> Iterator[None]:
    """Notes the seconds that its ``with`` block takes."""
    started = time.perf_counter()
    yield
    parts_s[name] = time.perf_counter() - started
