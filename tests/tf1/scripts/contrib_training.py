import tensorflow as tf
from tensorflow.contrib.training.python.training.hparam import HParams

hparams = tf.contrib.training.HParams(rate=0.1, layers=[1, 2], name="a", flip=True, steps=5)
assert isinstance(hparams, HParams)
hparams.parse("rate=1,layers=[3,4,5],name=b c,flip=false")
assert hparams.values() == {"rate": 1.0, "layers": [3, 4, 5], "name": "b c", "flip": False,
                            "steps": 5}
assert type(hparams.rate) is float
# TensorFlow 1.15.0 did the same with each of these.
hparams.parse("layers=[3,7,5],steps=-6,name=x=y,flip=0")
assert (hparams.layers, hparams.steps, hparams.name, hparams.flip) == ([3, 7, 5], -6, "x=y", False)
hparams.set_hparam("name", "b c")
for name, value in (("steps", "3"), ("steps", 2.0), ("steps", True), ("flip", 1), ("name", 1)):
    try:
        hparams.set_hparam(name, value)
    except ValueError:
        pass
    else:
        raise AssertionError((name, value))
hparams.set_hparam("rate", 1)
assert type(hparams.rate) is float
hparams.set_hparam("steps", 8)
assert hparams.get("steps") == 8 and "rate" in hparams and hparams.get("no", 1) == 1
for wrong in ("steps=1.5", "none=1", "flip=2", "rate=x", "steps=1,steps=2", "layers[0]=[1]",
              "layers[1]=9", "layers=5", "steps=1.0", "name=[1]"):
    try:
        hparams.parse(wrong)
    except ValueError as error:
        assert str(error).startswith("HParams: "), error
    else:
        raise AssertionError(wrong)
assert hparams.to_json(sort_keys=True) == (
    '{"flip": false, "layers": [3, 7, 5], "name": "b c", "rate": 1.0, "steps": 8}')
assert tf.contrib.training.create_train_op and tf.contrib.training.evaluate_once
