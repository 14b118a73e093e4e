"""slim ResNet V2 code, checkpoints and numbers of the TensorFlow 1 days, running today.

After ``import slim_resnet``, tf-slim 1.1.0 works on TensorFlow 2.12 to 2.21, and
``from slim_resnet import resnet_v2`` stands where ``from tf_slim.nets import
resnet_v2`` stood. Submodules load when first asked for, so that the command line
can answer before TensorFlow is there.
"""

import importlib
import importlib.abc
import importlib.util
import sys

__version__ = "0.1.0"

_SUBMODULES = ("archives", "benchmark", "blog", "checkpoint", "checkpoint_reader", "compat",
               "errors", "images", "models", "recognise", "records", "resnet_utils",
               "resnet_v2", "restore", "restore_cost", "timing", "variables")


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"slim_resnet.{name}")
    raise AttributeError(f"module 'slim_resnet' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_SUBMODULES])


class _MendWhenImported(importlib.abc.MetaPathFinder):
    """Has `slim_resnet.compat` follow the first import of tf_slim."""

    def find_spec(self, name, path=None, target=None):
        if name != "tf_slim":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            load = spec.loader.exec_module

            def load_and_mend(module):
                load(module)
                importlib.import_module("slim_resnet.compat")

            spec.loader.exec_module = load_and_mend
        return spec


if "tf_slim" in sys.modules:
    importlib.import_module("slim_resnet.compat")
else:
    sys.meta_path.insert(0, _MendWhenImported())
