"""Keras' files of ResNet V2: their weights come home bit for bit, and what differs is said."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.checkpoint import open_checkpoint, recognise
from slim_resnet.cli import main
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints, keras_models

tf1 = tf.compat.v1
KERAS_3 = int(keras.__version__.split(".")[0]) >= 3
UNITS = (3, 4, 6, 3)


@pytest.fixture(scope="module")
def model():
    """ResNet50V2's layers with few channels."""
    return keras_models.resnet_v2(UNITS, classes=1000)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """The model in each of Keras' containers, by name."""
    folder = tmp_path_factory.mktemp("keras")
    names = {name: str(folder / name) for name in ("net.keras", "net.h5", "net.weights.h5")}
    model.save(names["net.h5"])
    model.save_weights(names["net.weights.h5"])
    if KERAS_3:
        model.save(names["net.keras"])
    else:
        # Keras 2.12 would write HDF5 under this name; the zip file is of later ones.
        with zipfile.ZipFile(names["net.keras"], "w") as file:
            file.writestr("config.json", model.to_json())
            file.write(names["net.weights.h5"], "model.weights.h5")
        names["legacy.h5"] = str(folder / "legacy.h5")
        model.save_weights(names["legacy.h5"], save_format="h5")
    return names


def refusal(path):
    with pytest.raises(SlimResnetError) as caught, open_checkpoint(path):
        pass
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def assert_holds(path, values, format="Keras"):
    with open_checkpoint(path) as opened:
        assert opened.format == format
        assert opened.shapes == {name: values[name].shape for name in sorted(values)}
        for name, value in values.items():
            np.testing.assert_array_equal(opened.tensor(name), value, err_msg=name)
        return recognise(opened)


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net.weights.h5", "legacy.h5"])
def test_every_container(model, saved, name):
    if name not in saved:
        pytest.skip("Keras 3 writes no such file")
    found = assert_holds(saved[name], keras_models.slims_values(model, "resnet_v2_50"))
    # Channels are not the released ones.
    assert (found.depth, found.scope, found.num_classes) == (None, "resnet_v2_50", 1000)
    assert "Keras Applications' ResNet50V2" in found.assumed["keras"]
    assert "pads SAME, at the end and with minus infinity" in found.assumed["pool1"]
    assert found.assumed["class 0"].startswith("background, is missing")
    # Older versions of Keras name no layers.
    assert ("order" in found.assumed) == (not KERAS_3 and name in ("net.keras", "net.weights.h5"))


def test_layers_without_names_are_taken_in_order(model, saved, tmp_path):
    path = tmp_path / "nameless.weights.h5"
    model.save_weights(str(path))
    with h5py.File(path, "r+") as file:
        file.visititems(lambda _, one: one.attrs.pop("name", None) and None)
    found = assert_holds(path, keras_models.slims_values(model, "resnet_v2_50"))
    assert "taken to be in Keras' order" in found.assumed["order"] and "pool1" in found.assumed

    own = keras_models.resnet_v2(UNITS, pool1_pad=False)
    own.save_weights(str(path))
    with h5py.File(path, "r+") as file:
        file.visititems(lambda _, one: one.attrs.pop("name", None) and None)
    assert "pool1" not in assert_holds(
        path, keras_models.slims_values(own, "resnet_v2_50")).assumed


def test_what_has_slim_s_pool1_has_nothing_to_say(tmp_path):
    model = keras_models.resnet_v2(pool1_pad=False, classes=1000)
    model.save(str(tmp_path / "net.h5"))
    found = assert_holds(tmp_path / "net.h5", keras_models.slims_values(model, "resnet_v2"))
    assert set(found.assumed) == {"strides"}


@pytest.mark.parametrize("format", ["v1", "v2"])
def test_convert_gives_what_slim_s_saver_restores(saved, model, tmp_path, capsys, format):
    target = str(tmp_path / "net.ckpt")
    assert main(["checkpoint", "convert", saved["net.h5"], target, "--format", format]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{target}: {format} of slim's ResNet V2, 1000 classes")
    assert "slim-resnet checkpoint convert: class 0: background, is missing" in printed.err
    assert "slim-resnet checkpoint convert: pool1: slim's, which pads SAME" in printed.err
    values = keras_models.slims_values(model, "resnet_v2_50")
    with tf.Graph().as_default(), tf1.Session() as session:
        checkpoints.slim_builder(UNITS, 1000)(tf1.placeholder(tf.float32, [1, 32, 32, 3]))
        tf1.train.Saver().restore(session, target)
        for name, value in session.run({v.op.name: v for v in tf1.global_variables()}).items():
            np.testing.assert_array_equal(value, values.pop(name), err_msg=name)
    assert not values


def test_describe_says_which_network_and_what_differs(saved, capsys):
    assert main(["checkpoint", "describe", saved["net.weights.h5"]]) == 0
    lines = capsys.readouterr().out.splitlines()
    for start in ("network    slim's ResNet V2, blocks of 3, 4, 6, 3",
                  "keras      Keras Applications' ResNet50V2; the weights",
                  "pool1      slim's, which pads SAME", "class 0    background, is missing"):
        assert any(line.startswith(start) for line in lines), start
    assert main(["checkpoint", "diff", saved["net.weights.h5"], saved["net.keras"]]) == 0


def test_a_model_in_a_model_and_what_is_left_out(tmp_path):
    inner = keras_models.resnet_v2(top=False)
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, keras.layers.Dense(3, name="mine")(inner(images)))
    model.compile("sgd", "mse")
    model.fit(np.zeros([1, 32, 32, 3]), np.zeros([1, 3]), verbose=0)
    values = keras_models.slims_values(inner, "resnet_v2")
    names = ["net.h5", *(["net.keras"] if KERAS_3 else [])]
    for name in names:
        model.save(str(tmp_path / name))
        found = assert_holds(tmp_path / name, values)
        assert found.num_classes is None and "class 0" not in found.assumed
        assert found.assumed["layers"] == ("1 with weights are none of slim's, and left out: mine")
        assert "pool1" in found.assumed and "optimizer are left out" in found.assumed["optimizer"]


def test_other_networks_are_refused(tmp_path):
    images = keras.Input((8, 8, 3))
    path = tmp_path / "net.h5"
    keras.Model(images, keras.layers.Conv2D(2, 3)(images)).save(str(path))
    assert "a Keras model that is no network of slim's; its layers are conv2d" in refusal(path)
    keras.Model(images, keras.layers.Flatten()(images)).save(str(path))
    assert "a Keras model that is no network of slim's: it has no weights" in refusal(path)
    net = keras.layers.Conv2D(4, 1, name="conv2_block1_1_conv")(images)
    keras.Model(images, net).save(str(path))
    assert "a ResNet V1 of Keras Applications, whose convolutions have biases" in refusal(path)


def test_what_is_in_a_keras_file_is_not_run(saved, tmp_path):
    """Its configuration may name code; nobody looks at it."""
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(saved["net.keras"]) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                content = json.dumps({"module": "os", "class_name": "system", "pool1_pad": 1,
                                      "config": {"command": f"touch {tmp_path / 'ran'}"}}).encode()
            target.writestr(name, content)
        target.writestr("../../outside", b"x")
    with open_checkpoint(path) as opened:
        assert opened.format == "Keras" and "pool1" in opened.notes
    assert sorted(one.name for one in tmp_path.iterdir()) == ["net.keras"]


def external(file, folder):
    (folder / "secret").write_bytes(bytes(8))
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_external(str(folder / "secret").encode(), 0, 8)
    h5py.h5d.create(file.id, b"kernel", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((2,)), made)


def virtual(file, folder):
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (2,))
    file.create_virtual_dataset("kernel", layout)


def cycle(file, folder):
    file["a/b"] = file.create_group("a")


HOSTILE = {
    "a soft link": (lambda file, _: file.__setitem__("kernel", h5py.SoftLink("/x")),
                    "kernel is a link to somewhere else"),
    "an external link": (lambda file, _: file.__setitem__(
        "kernel", h5py.ExternalLink("/etc/passwd", "/")), "kernel is a link to somewhere else"),
    "values elsewhere": (external, "kernel has its values in another file"),
    "a virtual array": (virtual, "kernel has its values in another file"),
    "groups in a circle": (cycle, "groups within groups without end"),
    "text": (lambda file, _: file.create_dataset("kernel", data=["a"], dtype=h5py.string_dtype()),
             "kernel is of dtype object, no array of numbers"),
    "a huge shape": (lambda file, _: file.create_dataset(
        "kernel", (1 << 31, 1 << 20), "f4", chunks=(1, 1 << 10)), "take more than 67,1"),
    "a foreign filter": (lambda file, _: file.create_dataset(
        "kernel", data=np.zeros(100), compression="lzf"), "packed by a filter"),
    "no values": (lambda file, _: file.create_dataset("kernel", dtype="f4"), "kernel is empty"),
    "a name of two lines": (lambda file, _: file.__setitem__("a\nb", h5py.SoftLink("/x")),
                            "a?b is a link to somewhere else"),
    "nothing": (lambda file, _: None, "no network of slim's: it has no weights"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_hdf5(tmp_path, what):
    make, says = HOSTILE[what]
    with h5py.File(tmp_path / "net.h5", "w") as file:
        make(file, tmp_path)
    assert says in refusal(tmp_path / "net.h5")


def test_damaged_archives(saved, tmp_path):
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes.txt", b"x")
    assert "a zip file that is neither .npz nor .keras" in refusal(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model.weights.h5", b"\x89HDF no")
    assert "no readable HDF5 file" in refusal(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model.weights.h5", bytes(1 << 20))
        file.writestr("slim_resnet_metadata.json", b"[" * 100_000)
    assert "no readable HDF5 file" in refusal(path)
    with open(saved["net.keras"], "rb") as file:
        content = file.read()
    path.write_bytes(content[:len(content) // 2])
    assert "is damaged" in refusal(path)


@pytest.mark.slow
def test_keras_applications_own_network(tmp_path):
    model = keras_models.filled(keras.applications.ResNet50V2(weights=None))
    values = keras_models.slims_values(model, "resnet_v2_50")
    assert len(values) == 272
    for name in ("net.h5", "net.weights.h5", *(["net.keras"] if KERAS_3 else [])):
        path = tmp_path / name
        (model.save_weights if name == "net.weights.h5" else model.save)(str(path))
        found = assert_holds(path, values)
        assert (found.model, found.num_classes) == ("resnet_v2_50", 1000)
        assert {"keras", "pool1", "class 0"} <= set(found.assumed)
        path.unlink()
