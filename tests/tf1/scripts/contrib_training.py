import tensorflow as tf
from tensorflow.contrib.training.python.training.hparam import HParams

hparams = tf.contrib.training.HParams(rate=0.1, layers=[1, 2], name="a", flip=True, steps=5)
assert isinstance(hparams, HParams)
hparams.parse("rate=1,layers=[3,4,5],name=b c,flip=false")
assert hparams.values() == {"rate": 1.0, "layers": [3, 4, 5], "name": "b c", "flip": False,
                            "steps": 5}
assert type(hparams.rate) is float
hparams.parse("layers[1]=7,steps=6")
assert hparams.layers == [3, 7, 5] and hparams.steps == 6
hparams.set_hparam("steps", 8)
assert hparams.get("steps") == 8 and "rate" in hparams and hparams.get("no", 1) == 1
for wrong in ("steps=1.5", "none=1", "flip=2", "rate=x", "steps=1,steps=2", "layers[0]=[1]"):
    try:
        hparams.parse(wrong)
    except ValueError as error:
        assert str(error).startswith("HParams: "), error
    else:
        raise AssertionError(wrong)
assert hparams.to_json(sort_keys=True) == (
    '{"flip": false, "layers": [3, 7, 5], "name": "b c", "rate": 1.0, "steps": 8}')
assert tf.contrib.training.create_train_op and tf.contrib.training.evaluate_once
