import sys

import tensorflow as tf
import tf_slim

assert tf.contrib.slim
real = sys.modules["tensorflow"]
assert real is not tf and real.__version__.startswith("2.") and not hasattr(real, "contrib")
assert vars(sys.modules["tf_slim.layers.layers"])["__builtins__"]["__import__"].__self__
assert not [name for name in sys.modules if name.startswith("tensorflow.contrib")]
