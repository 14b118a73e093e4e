"""ONNX Runtime as an engine, on its CPU provider."""

import os
from typing import Any

import numpy as np
import onnxruntime

from slim_resnet.common.environment import cpu
from slim_resnet.inference.engines import files


class Loaded(files.FromFiles):
    """A folded network in ONNX Runtime; see `loaded.Loaded`."""

    def __init__(self, record: dict[str, Any], folder: str, precision: str) -> None:
        super().__init__(record)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cpu()["cores"]
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin while they wait take the core from whoever else has work for it.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            os.path.join(folder, record["model"]), options, ["CPUExecutionProvider"])
        self._input, = (one.name for one in self._session.get_inputs())

    def outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self.names, self._session.run(self.names, {self._input: images})))

    def close(self) -> None:
        self._session = None
