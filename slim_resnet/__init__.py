"""slim ResNet V2 code, checkpoints and numbers of the TensorFlow 1 days, running today.

After ``import slim_resnet``, tf-slim 1.1.0 works on TensorFlow 2.12 to 2.21, and
``from slim_resnet import resnet_v2`` stands where ``from tf_slim.nets import
resnet_v2`` stood. Submodules, and TensorFlow with them, load when first asked for.
`load`, of `slim_resnet.inference.loaded`, is the front door: from a checkpoint to its classes,
layers and tensors.
"""

import contextlib
import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING

from slim_resnet.compat.import_hooks import around_import

__version__ = "0.1.0"

_SUBMODULES = frozenset(module.name for module in pkgutil.iter_modules(__path__)
                        if not module.name.startswith("_"))


if TYPE_CHECKING:
    from slim_resnet.inference.loaded import load as load


def __getattr__(name):
    if name == "load":
        return importlib.import_module("slim_resnet.inference.loaded").load
    if name in _SUBMODULES:
        return importlib.import_module(f"slim_resnet.{name}")
    raise AttributeError(f"module 'slim_resnet' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_SUBMODULES, "load"})


@contextlib.contextmanager
def _then_mended():
    yield
    importlib.import_module("slim_resnet.compat.slim")


if "tf_slim" in sys.modules:
    importlib.import_module("slim_resnet.compat.slim")
else:
    around_import("tf_slim", _then_mended)
