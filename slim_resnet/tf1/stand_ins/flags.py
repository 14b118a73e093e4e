"""``tf.app.flags``: absl's flags, but for a flag that absl itself has defined meanwhile."""

import functools
import sys

from absl import flags as absl_flags
from tensorflow.python.platform import flags as tf_flags

absl_flags.disclaim_key_flags()  # --help lists a flag under the module that defines it


def _define(function):
    @functools.wraps(function)
    def define(*args, **kwargs):
        name = kwargs.get("name", kwargs.get("flag_name", args[0] if args else None))
        values = absl_flags.FLAGS
        if name in values and (values.find_module_defining_flag(name) or "").startswith("absl."):
            kwargs["allow_override"] = True
        return function(*args, **kwargs)

    return define


globals().update({name: _define(getattr(tf_flags, name)) for name in dir(tf_flags)
                  if name.startswith("DEFINE_") and name != "DEFINE_alias"})


def _parse_flags(args=None):
    absl_flags.FLAGS(sys.argv if args is None else [sys.argv[0], *args])


class _Flags(type(tf_flags.FLAGS)):
    """TensorFlow's ``FLAGS``, with what scripts before TensorFlow 1.5 called."""

    def __getattribute__(self, name):
        return _parse_flags if name == "_parse_flags" else super().__getattribute__(name)


FLAGS = _Flags(absl_flags.FLAGS)
