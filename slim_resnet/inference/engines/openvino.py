"""OpenVINO as an engine, on its CPU plug-in.

It computes in bfloat16 by itself where the CPU can, and is always told what to.
"""

import collections
import os
from typing import Any

import numpy as np
import openvino

from slim_resnet.common.environment import cpu
from slim_resnet.inference.engines import files

# Shapes of images that a network is kept compiled for: those of whole batches, and of the last.
_MOST_COMPILED = 2
# int8 is what the model's own ops say; what is not quantised is float32.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


class Loaded(files.FromFiles):
    """A folded network in OpenVINO, compiled anew for each shape; see `loaded.Loaded`."""

    def __init__(self, record: dict[str, Any], folder: str, precision: str) -> None:
        super().__init__(record)
        self._core, self._compiled = openvino.Core(), collections.OrderedDict()
        self._model = self._core.read_model(os.path.join(folder, record["model"]))
        self._settings = {"INFERENCE_PRECISION_HINT": _HINTS[precision],
                          "INFERENCE_NUM_THREADS": cpu()["cores"], "NUM_STREAMS": 1,
                          "PERFORMANCE_HINT": "LATENCY"}

    def outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        compiled = self._compiled.pop(images.shape, None)
        if compiled is None:
            while len(self._compiled) >= _MOST_COMPILED:
                self._compiled.popitem(last=False)
            self._model.reshape(list(images.shape))
            compiled = self._core.compile_model(self._model, "CPU", self._settings)
        self._compiled[images.shape] = compiled
        outputs = compiled(images)
        return {name: outputs[name] for name in self.names}

    def close(self) -> None:
        self._compiled.clear()
        self._model = self._core = None
