"""OpenVINO as an engine, on its CPU plug-in.

It computes in bfloat16 by itself where the CPU can, and is always told what to.
"""

import collections
import functools
import os
from typing import Any

import numpy as np
import openvino

from slim_resnet.common.environment import cpu, saturates_int8
from slim_resnet.inference.engines import files
from slim_resnet.inference.engines.streams import Run

# Shapes of images that a network is kept compiled for: those of whole batches, and of the last.
_MOST_COMPILED = 2
# int8 is what the model's own ops say; what is not quantised is float32.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


class Loaded(files.FromFiles):
    """A folded network in OpenVINO, compiled anew for each shape; see `loaded.Loaded`."""

    def __init__(self, record: dict[str, Any], folder: str, precision: str) -> None:
        # Parts of two shapes would be compiled twice.
        super().__init__(record, precision, uneven=False)
        self._core, self._requests = openvino.Core(), collections.OrderedDict()
        self._model = self._core.read_model(os.path.join(folder, record["model"]))
        self._settings = {"INFERENCE_PRECISION_HINT": _HINTS[precision],
                          "INFERENCE_NUM_THREADS": self.streams.threads,
                          # Pinned, the threads of two processes would all take the first cores.
                          "ENABLE_CPU_PINNING": False, "PERFORMANCE_HINT": "LATENCY"}

    def ready(self, streams: int, shape: tuple[int, ...]) -> Run:
        requests = self._requests.pop((streams, shape), None)
        if requests is None:
            while len(self._requests) >= _MOST_COMPILED:
                self._requests.popitem(last=False)
            self._model.reshape(list(shape))
            compiled = self._core.compile_model(
                self._model, "CPU", {**self._settings, "NUM_STREAMS": streams})
            requests = [compiled.create_infer_request() for _ in range(streams)]
        self._requests[streams, shape] = requests

        return functools.partial(self._run, requests)

    def _run(self, requests, parts):
        if len(parts) == 1:
            outputs = [requests[0].infer(parts[0])]
        else:
            # From one thread: what openvino does when it first sees an array, two threads at a
            # time wait for each other for ever.
            try:
                for request, part in zip(requests, parts):
                    request.start_async(part)
            finally:
                for request in requests:
                    request.wait()
            outputs = [request.results for request in requests]
        return [[each[name] for name in self.names] for each in outputs]

    def close(self) -> None:
        super().close()
        self._requests.clear()
        self._model = self._core = None


def quantise(folder: str, record: dict[str, Any], images: np.ndarray) -> None:
    """Writes the network in int8 beside that in float32; the record names it then.

    Arguments are those of `onnxruntime.quantise`. Ranges are those of least and largest
    values: NNCF's own default, means of them over images, errs ten times as much.
    """
    import nncf
    from nncf.quantization import advanced_parameters, range_estimator
    nncf.set_log_level("ERROR")
    reduced = saturates_int8(cpu()["flags"])
    least_and_largest = range_estimator.RangeEstimatorParametersSet.MINMAX
    model = nncf.quantize(
        openvino.Core().read_model(os.path.join(folder, files.MODEL)),
        nncf.Dataset(np.array_split(images, -(-len(images) // files.CALIBRATION_BATCH))),
        subset_size=len(images), fast_bias_correction=True,
        ignored_scope=nncf.IgnoredScope(names=[f"nchw/{name}" for name in record["last"]],
                                        validate=False),
        advanced_parameters=advanced_parameters.AdvancedQuantizationParameters(
            overflow_fix="enable" if reduced else "disable",
            activations_range_estimator_params=least_and_largest,
            weights_range_estimator_params=least_and_largest))
    # What stays float32 is not to be rounded to float16 on the way.
    openvino.save_model(model, os.path.join(folder, "int8.xml"), compress_to_fp16=False)
    record["model"] = "int8.xml"
    record["quantiser"] = f"nncf {nncf.__version__}, MINMAX{', 7 bits of weights' * reduced}"
