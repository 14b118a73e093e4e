import tensorflow as tf
from tensorflow.contrib import crf, seq2seq
from tensorflow.contrib.layers import sparse_column_with_keys
from tensorflow.contrib.seq2seq.python.ops.attention_wrapper import AttentionWrapper
from tensorflow.python.framework.ops import RegisterShape


def fails(function, name):
    try:
        function()
    except Exception as error:
        assert str(error).startswith(f"{name}: TensorFlow 1 alone had it"), error
        assert "\n" not in str(error)
    else:
        raise AssertionError(name)


fails(lambda: crf.crf_log_likelihood(1), "tensorflow.contrib.crf.crf_log_likelihood")
fails(lambda: sparse_column_with_keys("a"), "tensorflow.contrib.layers.sparse_column_with_keys")
fails(lambda: AttentionWrapper(1),
      "tensorflow.contrib.seq2seq.python.ops.attention_wrapper.AttentionWrapper")
fails(lambda: RegisterShape("Op"), "tensorflow.python.framework.ops.RegisterShape")


def derive():
    class Decoder(seq2seq.Decoder):
        pass


fails(derive, "tensorflow.contrib.seq2seq.Decoder")
fails(lambda: isinstance(1, seq2seq.Decoder), "tensorflow.contrib.seq2seq.Decoder")
try:
    tf.mul(1, 2)
except AttributeError as error:
    assert "tf.multiply" in str(error)
for never in ("contrib.layers.no_such_layer", "no_such_name", "contrib.no_such_package"):
    value = tf
    try:
        for part in never.split("."):
            value = getattr(value, part)
    except AttributeError as error:
        assert "has no attribute" in str(error)
    else:
        raise AssertionError(never)
try:
    import tensorflow.contrib.no_such_module
except ImportError as error:
    assert str(error) == "No module named 'tensorflow.contrib.no_such_module'"
else:
    raise AssertionError
