"""A folded network in files that ONNX Runtime and OpenVINO read, and what both have.

The weights are in a file of their own, which an engine maps into memory: a protobuf message
with all of them in it would be held twice meanwhile.
"""

import contextlib
import os
from typing import Any, NamedTuple

import numpy as np

from slim_resnet.common import environment
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import plain
from slim_resnet.inference.engines.streams import Run, Streams

MODEL, WEIGHTS = "model.onnx", "model.bin"
# What is smaller stays in the model.
_LEAST_BYTES = 1024
# Tells ONNX Runtime's quantiser that batch norms are folded already.
_PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}
# Images of a run in which ranges of values are looked for.
CALIBRATION_BATCH = 4


class EndPoint(NamedTuple):
    """An end point of a network that is no TensorFlow graph; sizes that are open are None."""

    shape: tuple[int | None, ...]


def write(folder: str, path: str, record: dict[str, Any], folded: Any) -> None:
    """Writes `MODEL` and `WEIGHTS`.

    Args:
      folder: Where to.
      path: The checkpoint, for messages.
      record: See `loaded.record_of`; ``model`` (the file), its ``input``, ``last``
        (nodes of logits and predictions) and the ``shapes`` of outputs are added.
      folded: A `folded.graph.Folded` of float32, for other kernels than oneDNN's.

    Raises:
      SlimResnetError: The network has something that ONNX files have not here.
    """
    from slim_resnet.inference.folded.onnx_model import OPSET, check_opset, onnx_model
    check_opset(OPSET)
    import onnx
    outputs = list(dict.fromkeys([*record["heads"], *record["end_points"]]))
    try:
        model = onnx_model(folded, outputs, metadata=_PREPARED)
    except ValueError as error:
        raise SlimResnetError(f"{path}: only the engine tensorflow can run it: {error}") from error
    record.update(model=MODEL, input=model.graph.input[0].name, last=[
        folded.end_points[key] for key in record["heads"]])
    record["shapes"] = {
        output.name: [dim.dim_value or None for dim in output.type.tensor_type.shape.dim]
        for output in model.graph.output}
    onnx.save_model(model, os.path.join(folder, MODEL), save_as_external_data=True,
                    location=WEIGHTS, size_threshold=_LEAST_BYTES)


class FromFiles:
    """What engines that read files have in common: a `loaded.Loaded` but for `ready`.

    Args:
      record: See `loaded.record_of`.
      precision: What to compute in.
      uneven: See `streams.Streams`.
    """

    errors = (Exception,)

    def __init__(self, record: dict[str, Any], precision: str, uneven: bool = True) -> None:
        self.record = record
        self.names = list(dict.fromkeys([*record["heads"], *record["end_points"]]))
        self.end_points = {key: EndPoint(tuple(record["shapes"][key]))
                           for key in record["end_points"]}
        self.streams = Streams(environment.threads(), precision, uneven)
        # What goes with it: the folder of its files, unless they are kept in the cache.
        self.belongings = contextlib.ExitStack()

    def ready(self, streams: int, shape: tuple[int, ...]) -> Run:
        """Returns what makes all outputs, in the order of ``names``; see `streams.Streams.run`."""
        raise NotImplementedError

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        outputs = dict(zip(self.names, self.streams.run(self.ready, images)))
        return [outputs[name] for name in (*self.record["heads"], *self.record["end_points"])]

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return plain.values_of(pixels, self.record["of_pixels"])

    def cause(self, error: Exception) -> str:
        return first_line(error)

    def close(self) -> None:
        self.streams.close()
        self.belongings.close()


def loaded(path: str, row: Any, folder: str, record: dict[str, Any], precision: str) -> Any:
    """Returns the `loaded.Loaded` of files.

    Args:
      path: The checkpoint, for messages.
      row: The `table.Engine`.
      folder: Where they are.
      record: What is recorded of them.
      precision: What to compute in.

    Raises:
      SlimResnetError: The engine cannot load them.
    """
    try:
        return row.module.Loaded(record, folder, precision)
    except MemoryError:
        raise
    except Exception as error:
        raise SlimResnetError(f"{path}: {row.title} cannot load the network: "
                              f"{first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Returns the first line of what an engine says, or the error's kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
