import importlib

versions = [importlib.import_module("tensorflow").__version__,
            __import__("tensorflow").__version__,
            __import__("tensorflow.contrib.slim", fromlist=["conv2d"]).__name__]
names = {}
exec("import tensorflow as tf; slim = tf.contrib.slim", names)
versions.append(names["slim"].__name__)
versions.append(eval("__import__('tensorflow').contrib.slim.__name__"))


def inside():
    import tensorflow.contrib.layers as layers
    return layers.__name__


assert versions == ["1.15.5", "1.15.5", *["tensorflow.contrib.slim"] * 3], versions
assert inside() == "tensorflow.contrib.layers"
