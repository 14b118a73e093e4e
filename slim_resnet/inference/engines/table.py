"""The engines that run folded networks, and which one ``auto`` takes; imports none of them."""

import dataclasses
import importlib
import importlib.util
import os
import types

from slim_resnet.common import environment
from slim_resnet.errors import SlimResnetError

AUTO, TENSORFLOW, INT8 = "auto", "tensorflow", "int8"


@dataclasses.dataclass(frozen=True)
class Engine:
    """One engine; its module here bears its name.

    Attributes:
      name: What options call it; of its extra, too.
      title: What people call it.
      packages: What it imports; the first is the engine's own.
      lacks: Maps a precision that it has not to why.
      needs: Maps a precision to a package that it takes besides, of the extra of that name.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    lacks: dict[str, str] = dataclasses.field(default_factory=dict)
    needs: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def version(self) -> str:
        """Version of the engine's package, which it imports."""
        return _imported(self.packages[0]).__version__

    @property
    def described(self) -> str:
        """Title and version, as results record them."""
        return f"{self.title} {self.version}"

    @property
    def module(self) -> types.ModuleType:
        """The module here that runs it."""
        _imported(self.packages[0])
        return importlib.import_module(f"slim_resnet.inference.engines.{self.name}")

    def missing(self, precision: str) -> str | None:
        """Returns what has to be installed for it, a phrase, or None."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                return f"needs {package}: pip install 'slim-resnet[{self.name}]'"
        package = self.needs.get(precision)
        if package and importlib.util.find_spec(package) is None:
            return f"needs {package} for {precision}: pip install 'slim-resnet[{precision}]'"
        return None


def _imported(package):
    """Imports a package that, unless it is told not to, tells its makers of each use."""
    for name in ("ORT_DISABLE_TELEMETRY", "NNCF_CI"):
        os.environ.setdefault(name, "1")
    return importlib.import_module(package)


ENGINES = {engine.name: engine for engine in (
    Engine(TENSORFLOW, "TensorFlow", ("tensorflow",),
           {INT8: "it has no kernels of int8 for these networks"}),
    Engine("onnxruntime", "ONNX Runtime", ("onnxruntime", "onnx"),
           {"bfloat16": "its CPU kernels of convolution are float32 only"}),
    Engine("openvino", "OpenVINO", ("openvino", "onnx"), needs={INT8: "nncf"}),
)}
CHOICES = (*ENGINES, AUTO)
# The order in which `AUTO` looks for one that is installed: that of their times in
# docs/timing.md. It does not depend on the machine, and so neither do the numbers.
FASTEST = {"float32": ("openvino", "onnxruntime", TENSORFLOW),
           "bfloat16": ("openvino", TENSORFLOW),
           INT8: ("openvino", "onnxruntime")}


def choose(name: str, precision: str) -> Engine:
    """Returns the engine of a name, or that which `AUTO` stands for.

    Args:
      name: A key of `ENGINES`, or `AUTO`.
      precision: One of `environment.PRECISIONS`, or ``int8``.

    Raises:
      SlimResnetError: There is no such engine or precision, or it is not to be had here.
    """
    if name not in CHOICES:
        raise SlimResnetError(f"there is no engine {name!r}; choose one of {', '.join(CHOICES)}")
    if precision not in FASTEST:
        raise SlimResnetError(f"there is no precision {precision!r}; choose one of "
                              f"{', '.join(FASTEST)}")
    if name == AUTO:
        rows = [ENGINES[one] for one in FASTEST[precision]]
        row = next((one for one in rows if one.missing(precision) is None), rows[0])
    else:
        row = ENGINES[name]
    if precision in row.lacks:
        raise SlimResnetError(f"engine {row.name}: no {precision}, as {row.lacks[precision]}; "
                              f"choose {' or '.join(FASTEST[precision])}")
    missing = row.missing(precision)
    if missing:
        raise SlimResnetError(f"engine {row.name}: {missing}")
    if precision == "bfloat16" and row.name != TENSORFLOW:
        # What it needs of TensorFlow is not asked of another engine.
        environment.check_bfloat16(onednn=True)
    return row
