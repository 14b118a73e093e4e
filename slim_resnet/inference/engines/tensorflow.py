"""TensorFlow as an engine: the folded graph, fused, its weights in variables.

It is fastest with the variables of `environment.FASTEST` set before TensorFlow is imported:
``TF_ENABLE_ONEDNN_OPTS=1``, which is off by default on x86 without AVX-512,
``TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD=1`` and ``TF_OVERRIDE_GLOBAL_THREADPOOL=1``, without
which no batch is split.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from slim_resnet import compat
from slim_resnet.common import environment
from slim_resnet.errors import cause_of
from slim_resnet.inference.engines.streams import Run, Streams
from slim_resnet.inference.folded.graph import IMAGES, RAW_IMAGES, SCALED_IMAGES, Folded

tf1 = tf.compat.v1

# Bytes; that of Eigen's widest vectors.
_ALIGNMENT = 64


class _Made(NamedTuple):
    """A session with its weights, and what runs the network and prepares pixels in it."""

    session: tf1.Session
    run: Callable[[np.ndarray], list[np.ndarray]]
    prepare: Callable[[np.ndarray], np.ndarray]


class Loaded:
    """A folded network in sessions: one for batches that are split, one for others.

    See `engines.loaded.Loaded`. A session is made when it is first needed. All have the same
    weights in the same memory; oneDNN keeps its own, reordered, for each.
    """

    errors = (tf.errors.OpError,)

    def __init__(self, record: dict[str, Any], folded: Folded, precision: str) -> None:
        """Fuses.

        Args:
          record: What `loaded.record_of` returned.
          folded: The network, with variables; it is emptied of them.
          precision: What it computes in.
        """
        self.record = record
        nodes = [folded.end_points[key] for key in (*record["heads"], *record["end_points"])]
        graph_def = compat.fuse(folded.graph_def, [*nodes, SCALED_IMAGES])
        with tf.Graph().as_default() as self._graph:
            tf.import_graph_def(graph_def, name="")
            self._assigns = []
            for name in list(folded.variables):
                handle = self._tensor(f"{name}/handle")
                value = tf1.placeholder(handle.op.get_attr("dtype"), handle.op.get_attr("shape"))
                assign = tf.raw_ops.AssignVariableOp(resource=handle, value=value)
                self._assigns.append((assign, {value: _aligned(folded.variables.pop(name))}))
        self._fetches = list(map(self._tensor, nodes))
        self.end_points = dict(zip(record["end_points"], self._fetches[len(record["heads"]):]))
        self._sessions = {}
        self.streams = Streams(environment.threads() if environment.sessions_own_threads() else 1,
                               precision)

    def _tensor(self, node):
        return self._graph.get_tensor_by_name(f"{node}:0")

    def _made(self, streams):
        if streams not in self._sessions:
            session = tf1.Session(graph=self._graph, config=compat.unrewritten(streams))
            try:
                for assign, feed in self._assigns:
                    session.run(assign, feed)
            except BaseException:
                session.close()
                raise
            # One set of fetches for all calls: oneDNN keeps reordered weights once for each set.
            self._sessions[streams] = _Made(
                session, session.make_callable(self._fetches, [self._tensor(IMAGES)]),
                session.make_callable(self._tensor(SCALED_IMAGES), [self._tensor(RAW_IMAGES)]))
        return self._sessions[streams]

    def _ready(self, streams: int, _: tuple[int, ...]) -> Run:
        return self.streams.on_threads(self._made(streams).run)

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        return self.streams.run(self._ready, images)

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        with self.streams.turn:
            made = self._made(self.streams.number(len(pixels)))
        return made.prepare(pixels)

    def cause(self, error: tf.errors.OpError) -> str:
        return cause_of(error.message)

    def close(self) -> None:
        self.streams.close()
        for made in self._sessions.values():
            made.session.close()


def _aligned(values):
    """Returns a copy that begins where TensorFlow takes an array for a tensor as it is."""
    room = np.empty(values.nbytes + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    copy = room[start:start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy
