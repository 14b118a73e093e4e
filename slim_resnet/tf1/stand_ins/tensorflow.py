"""Top-level names of TensorFlow 1 that older scripts call in another form."""

import tensorflow as tf

_name_scope = tf.compat.v1.name_scope


class name_scope(_name_scope):
    """``tf.name_scope``, which until TensorFlow 1.12 also took ``(name, values)``."""

    def __init__(self, name, default_name=None, values=None):
        if isinstance(default_name, (list, tuple)) and values is None:
            default_name, values = None, default_name
        super().__init__(name, default_name, values)
