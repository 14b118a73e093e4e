"""TensorFlow as an engine: the folded graph, fused, its weights in variables.

It is fastest with the variables of `environment.FASTEST` set before TensorFlow is imported:
``TF_ENABLE_ONEDNN_OPTS=1``, which is off by default on x86 without AVX-512, and
``TF_ONEDNN_THREADPOOL_USE_CALLER_THREAD=1``.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet import compat
from slim_resnet.errors import cause_of
from slim_resnet.inference.folded.graph import IMAGES, RAW_IMAGES, SCALED_IMAGES, Folded

tf1 = tf.compat.v1


class Loaded:
    """A folded network in a session; see `engines.loaded.Loaded`."""

    errors = (tf.errors.OpError,)

    def __init__(self, record: dict[str, Any], folded: Folded) -> None:
        """Fuses and loads.

        Args:
          record: What `loaded.record_of` returned.
          folded: The network, with variables; it is emptied of them.
        """
        self.record = record
        nodes = [folded.end_points[key] for key in (*record["heads"], *record["end_points"])]
        graph_def = compat.fuse(folded.graph_def, [*nodes, SCALED_IMAGES])
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(graph_def, name="")
            assigns = {}
            for name in folded.variables:
                handle = graph.get_tensor_by_name(f"{name}/handle:0")
                value = tf1.placeholder(handle.op.get_attr("dtype"), handle.op.get_attr("shape"))
                assigns[name] = (tf.raw_ops.AssignVariableOp(resource=handle, value=value), value)

        def tensor(node):
            return graph.get_tensor_by_name(f"{node}:0")

        fetches = list(map(tensor, nodes))
        self.end_points = dict(zip(record["end_points"], fetches[len(record["heads"]):]))
        self._session = tf1.Session(graph=graph, config=compat.unrewritten())
        try:
            for name, (assign, value) in assigns.items():
                self._session.run(assign, {value: folded.variables.pop(name)})
        except BaseException:
            self._session.close()
            raise
        # One set of fetches for all calls: oneDNN keeps reordered weights once for each set.
        self._run = self._session.make_callable(fetches, [tensor(IMAGES)])
        self.prepare = self._session.make_callable(tensor(SCALED_IMAGES), [tensor(RAW_IMAGES)])

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        return self._run(images)

    def cause(self, error: tf.errors.OpError) -> str:
        return cause_of(error.message)

    def close(self) -> None:
        self._session.close()

