"""ONNX Runtime as an engine, on its CPU provider."""

import os
from typing import Any

import numpy as np
import onnxruntime

from slim_resnet.common.environment import cpu, saturates_int8
from slim_resnet.inference.engines import files
from slim_resnet.inference.engines.streams import Run


class Loaded(files.FromFiles):
    """A folded network in ONNX Runtime; see `loaded.Loaded`."""

    def __init__(self, record: dict[str, Any], folder: str, precision: str) -> None:
        super().__init__(record, precision)
        self._path = os.path.join(folder, record["model"])
        self._sessions = {}

    def ready(self, streams: int, shape: tuple[int, ...]) -> Run:
        threads = self.streams.threads // streams
        if threads not in self._sessions:
            self._sessions[threads] = _session(self._path, threads)
        return self.streams.on_threads(lambda images: self._sessions[threads].run(
            self.names, {self.record["input"]: images}))

    def close(self) -> None:
        super().close()
        self._sessions.clear()


def _session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    # Threads that spin while they wait take the core from whoever else has work for it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])


def quantise(folder: str, record: dict[str, Any], images: np.ndarray) -> None:
    """Writes the network in int8 beside that in float32; the record names it then.

    Args:
      folder: What `files.write` wrote to.
      record: See `loaded.record_of`.
      images: float32 ``[N, height, width, channels]``, prepared: their least and largest
        values of each layer are the ranges.
    """
    from onnxruntime import quantization
    batches = iter(np.array_split(images, -(-len(images) // files.CALIBRATION_BATCH)))

    class Reader(quantization.CalibrationDataReader):
        def get_next(self):
            batch = next(batches, None)
            return None if batch is None else {record["input"]: batch}

    reduced = saturates_int8(cpu()["flags"])
    quantization.quantize_static(
        os.path.join(folder, files.MODEL), os.path.join(folder, "int8.onnx"), Reader(),
        op_types_to_quantize=["Conv", "MaxPool", "Add", "Relu", "AveragePool", "Concat"],
        nodes_to_exclude=[f"nchw/{name}" for name in record["last"]], per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8, reduce_range=reduced,
        use_external_data_format=True)
    record["model"] = "int8.onnx"
    record["quantiser"] = (f"onnxruntime.quantization {onnxruntime.__version__}, MinMax"
                           f"{', 7 bits of weights' * reduced}")
