"""Keras' files: ``.keras``, ``.weights.h5``, and the ``.h5`` of older versions.

They are read for their arrays alone. No layer is made, and no configuration is looked at but
for one name in it: whether there is Keras Applications' ``pool1_pad``.
"""

import os
import re
import shutil
import typing

import numpy as np

from slim_resnet import resnet_v2
from slim_resnet.checkpoint.foreign import hdf5, keras_order
from slim_resnet.checkpoint.foreign import keras_names as names
from slim_resnet.checkpoint.foreign.values import METADATA, Foreign, by_record, record_of
from slim_resnet.common import npz
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError

WEIGHTS, CONFIG, RECORD = "model.weights.h5", "config.json", f"{METADATA}.json"
_MOST_TEXT_BYTES = 64 << 20
_NUMBERED = re.compile(r"(?P<layer>.+)/vars/(?P<number>\d{1,4})")
# The arrays of a layer that has no names for them, by their numbers of dimensions.
_BY_RANKS = {(4,): ("kernel",), (4, 1): ("kernel", "bias"), (2,): ("kernel",),
             (2, 1): ("kernel", "bias"), (1,) * 4: ("gamma", "beta", "moving_mean",
                                                    "moving_variance"),
             (1,) * 3: ("beta", "moving_mean", "moving_variance")}
_POOL1_PAD = "pool1_pad"


class _Layers(typing.NamedTuple):
    """Layers with weights: arrays by variable by layer; and what else the file says."""

    arrays: dict[str, dict[str, np.ndarray]]
    in_order: bool
    has_pool1_pad: bool
    optimizer: int


def read_archive(path: str) -> Foreign:
    """Reads a ``.keras`` file.

    Raises:
      SlimResnetError: It is damaged, or holds another network.
    """
    with temporary_folder() as folder:
        weights = os.path.join(folder, WEIGHTS)
        texts = {}
        with npz.opened_zip(path, "no .keras file") as archive:
            for name in (CONFIG, RECORD):
                if name in archive.namelist():
                    if archive.getinfo(name).file_size > _MOST_TEXT_BYTES:
                        raise ValueError(f"its {name} is too large")
                    texts[name] = archive.read(name)
            npz.check_size(archive, archive.getinfo(WEIGHTS).file_size, WEIGHTS)
            with archive.open(WEIGHTS) as source, open(weights, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        contents = hdf5.read(weights, path)
    if f'"{_POOL1_PAD}"'.encode() in texts.get(CONFIG, b""):
        contents = contents._replace(mentions_pool1_pad=True)
    record = record_of(path, texts[RECORD]) if RECORD in texts else None
    return _network(path, contents, record)


def read_h5(path: str) -> Foreign:
    """Reads an HDF5 file, errors as above."""
    return _network(path, hdf5.read(path, path), None)


def _network(path, contents, record):
    layers = _layers(path, contents)
    flat = {f"{layer}/{name}": array for layer, arrays in layers.arrays.items()
            for name, array in arrays.items()}
    # Without names the layers are as they were when slim-resnet wrote them, and not by name.
    if record is not None and not layers.in_order:
        return Foreign("Keras", by_record(path, record, flat), _left_out(layers))
    unit = "bottleneck_v2" if any(map(names.is_preact, layers.arrays)) else "bottleneck_v1"
    scopes = {layer: names.scope_of(layer, unit) for layer in layers.arrays}
    if not any(scope and "/unit_" in scope for scope in scopes.values()):
        return _plain(path, layers, flat)
    if unit == "bottleneck_v1" and any("bias" in arrays for layer, arrays in layers.arrays.items()
                                       if layer.endswith("_conv")):
        raise SlimResnetError(
            f"{path}: holds a ResNet V1 of Keras Applications, whose convolutions have biases "
            "before their batch norms and their strides elsewhere: no network of slim's has its "
            "weights")
    values, others = {}, []
    units = names.units_of(layers.arrays)
    depth = next((depth for depth, table in resnet_v2.DEPTHS.items() if table == units), None)
    start = f"resnet_v{unit[-1]}" + (f"_{depth}" if depth else "")
    for layer, arrays in layers.arrays.items():
        if scopes[layer] is None:
            others.append(layer)
            continue
        for name, array in arrays.items():
            if name == "kernel" and array.ndim == 2:
                array = array[np.newaxis, np.newaxis]
            values[f"{start}/{scopes[layer]}/{names.slims_variable(name)}"] = array
    notes = _left_out(layers, others)
    if layers.in_order:
        notes["order"] = "the file has no names of layers: they are taken to be in Keras' order"
    if layers.has_pool1_pad:
        classes = layers.arrays.get("predictions", {}).get("bias", np.zeros(0)).shape
        notes.update(_differences(depth, classes))
    return Foreign("Keras", values, notes)


def _differences(depth, classes):
    """Returns what Keras Applications' ResNet V2 has otherwise than slim's."""
    said = {
        "keras": f"Keras Applications' ResNet{depth or ''}V2; the weights that Keras publishes of "
                 "50, 101 and 152 layers come from TF-Slim, by way of TensorNets",
        "pool1": "slim's, which pads SAME, at the end and with minus infinity; Keras' pads zeros "
                 "on both sides, so weights that were trained with that one give other results"}
    if classes == (1000,):
        said["class 0"] = ("background, is missing: 1000 of the released file's 1001 classes, "
                           "class k here is k + 1 there")
    return said


def _left_out(layers, others=()):
    said = {}
    if others:
        said["layers"] = (f"{len(others)} with weights are none of slim's, and left out: "
                          f"{_some(others)}")
    if layers.optimizer:
        said["optimizer"] = f"{layers.optimizer} arrays of Keras' optimizer are left out"
    return said


def _some(layers):
    shown = ", ".join(name[:60] for name in list(layers)[:3])
    return printable(shown) + ", ..." * (len(layers) > 3)


def _plain(path, layers, flat):
    """Returns the same for a network without residual units, under slim's own names."""
    values = {}
    for layer, arrays in layers.arrays.items():
        for name, array in arrays.items():
            name = f"{layer.replace('.', '/')}/{names.slims_variable(name)}"
            # The two of a separable convolution are two layers here.
            name = re.sub(r"/(depthwise|pointwise)/weights$", r"/\1_weights", name)
            values[re.sub(r"/pointwise/biases$", "/biases", name)] = array
    if not any("/" in layer.replace(".", "/") for layer in layers.arrays):
        raise SlimResnetError(f"{path}: holds a Keras model that is no network of slim's"
                              + (f"; its layers are {_some(layers.arrays)}" if layers.arrays
                                 else ": it has no weights"))
    return Foreign("Keras", values, _left_out(layers))


def _layers(path, contents):
    """Returns the `_Layers` of an HDF5 file, in the old layout or the new one."""
    named, numbered, optimizer = {}, {}, 0
    for place, array in contents.arrays.items():
        if place.split("/")[0] in ("optimizer", "optimizer_weights"):
            optimizer += 1
            continue
        match = _NUMBERED.fullmatch(place)
        if match:
            numbered.setdefault(match["layer"], {})[int(match["number"])] = array
            continue
        # Of a model in a model the layer comes last too.
        *_, layer, name = ["", *place.split("/")]
        name = name.removesuffix(":0")
        if name in names.KERAS_VARIABLES:
            if name in named.setdefault(layer, {}):
                raise SlimResnetError(f"{path}: holds two layers named {layer[:60]!r}")
            named[layer][name] = array
    has_pad = contents.mentions_pool1_pad or _POOL1_PAD in contents.layers \
        or _POOL1_PAD in contents.names.values()
    by_group = {}
    for group, arrays in numbered.items():
        arrays = [arrays[number] for number in sorted(arrays)]
        known = _BY_RANKS.get(tuple(array.ndim for array in arrays))
        if known:
            by_group[group] = dict(zip(known, arrays))
    if not all(contents.names.get(f"{group}/vars") for group in by_group):
        ordered = keras_order.named(by_group)
        if not ordered:
            raise SlimResnetError(f"{path}: the layers of this Keras file have no names, and are "
                                  "not in the order of a ResNet V2; save it as .h5, or with a "
                                  "newer Keras")
        return _Layers(ordered, True, has_pad or keras_order.has_pool1_pad(
            contents.names, ordered), optimizer)
    for group, arrays in by_group.items():
        layer = contents.names[f"{group}/vars"]
        if layer in named:
            raise SlimResnetError(f"{path}: holds two layers named {layer[:60]!r}")
        named[layer] = arrays
    return _Layers(named, False, has_pad, optimizer)
