"""The engines that can be compared, as one table; imports none of them."""

import dataclasses

from slim_resnet.common.environment import FASTEST

PRECISIONS = ("float32", "bfloat16", "int8")


@dataclasses.dataclass(frozen=True)
class Engine:
    """Something that runs a network.

    Attributes:
      title: What it is called in tables.
      is_tensorflow: Whether TensorFlow's oneDNN setting is of any effect.
      with_onednn: Whether it is also timed with oneDNN on, where that is not the default.
      same_weights: Whether it takes the checkpoint's weights.
      precisions: Those that it is timed in.
      lacks: Maps others to why, for the record.
      kept: Of ours: the engine whose networks are taken from the cache.
      variables: Of the environment of its processes.
    """

    title: str
    is_tensorflow: bool = False
    with_onednn: bool = False
    same_weights: bool = True
    precisions: tuple = ("float32", "bfloat16")
    lacks: dict = dataclasses.field(default_factory=dict)
    kept: str | None = None
    variables: dict = dataclasses.field(default_factory=dict)


PLAIN, TENSORFLOW, WHOLE = "session", "optimised", "optimised_whole"
_NO_BFLOAT16 = {"bfloat16": "its CPU kernels of convolution are float32 only"}
ENGINES = {
    PLAIN: Engine("slim_resnet, session.run", True, True),
    TENSORFLOW: Engine("slim_resnet, TensorFlow", True, True, variables=FASTEST),
    WHOLE: Engine("slim_resnet, TensorFlow, no streams", True, True,
                  variables={**FASTEST, "TF_OVERRIDE_GLOBAL_THREADPOOL": "0"}),
    "our_onnxruntime": Engine("slim_resnet, ONNX Runtime", precisions=("float32", "int8"),
                              lacks=_NO_BFLOAT16, kept="onnxruntime"),
    "our_openvino": Engine("slim_resnet, OpenVINO", precisions=PRECISIONS, kept="openvino"),
    "tf_slim": Engine("tf_slim.nets", True),
    "keras": Engine("Keras Applications", True, same_weights=False),
    "onnxruntime": Engine("ONNX Runtime", precisions=("float32",), lacks=_NO_BFLOAT16),
    "openvino": Engine("OpenVINO"),
    "torch": Engine("PyTorch"),
}
OURS = (TENSORFLOW, *(name for name, engine in ENGINES.items() if engine.kept))
# Whose time ours is held against: what runs the same weights.
PEERS = tuple(name for name, engine in ENGINES.items()
              if engine.same_weights and name not in (PLAIN, WHOLE, *OURS))
# Those that are slower than session.run, or than what is there already, take time and tell little.
DEFAULT = tuple(name for name in ENGINES if name not in ("tf_slim", "keras", WHOLE))
GEMM = "gemm"
