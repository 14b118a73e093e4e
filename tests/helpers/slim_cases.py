"""The argument space of tf_slim's layer functions, as cases that a process can build.

A case is ``(function, {argument: label})``. The whole product of the labels is too much to
build; the cases are few, and every combination of labels of any two arguments (any three for
the layer behind ``batch_norm``) is in at least one of them. Arguments that begin with ``_``
are not the function's: they set up the graph around it.
"""

import itertools
import random

import numpy as np

STRENGTH = {"batch_norm layer": 3}

_REGULARIZERS = ("none", "l2")
_COLLECTIONS = ("none", "list", "dict")
_COMMON = {"outputs_collections": ("none", "out"), "_resource": (False, True),
           "_reuse": (False, True), "_batch": ("known", "open")}
_WEIGHTS = {
    **_COMMON, "weights_regularizer": _REGULARIZERS, "biases_regularizer": _REGULARIZERS,
    "variables_collections": _COLLECTIONS, "trainable": (True, False),
    "biases_initializer": ("zeros", "none"), "weights_initializer": ("default", "ones"),
    "activation_fn": ("relu", "none"), "_partitioner": (False, True),
    "normalizer_fn": ("none", "batch_norm", "layer_norm")}
_CONVOLUTION = {**_WEIGHTS, "kernel_size": (1, 2, 3), "stride": (1, 2), "rate": (1, 2),
                "padding": ("SAME", "VALID"), "_channels": ("last", "first"),
                "_dtype": ("float32", "float16")}
_TRANSPOSED = {key: value for key, value in _CONVOLUTION.items() if key != "rate"}
_POOLING = {**_COMMON, "kernel_size": (1, 2, 3), "stride": (1, 2),
            "padding": ("SAME", "VALID"), "_channels": ("last", "first")}
_NORM = {**_COMMON, "center": (True, False), "scale": (True, False),
         "activation_fn": ("relu", "none"), "variables_collections": _COLLECTIONS,
         "trainable": (True, False), "_partitioner": (False, True)}
_BATCH_NORM = {
    **_NORM, "fused": (None, False), "_channels": ("last", "first"),
    "is_training": (True, False, 1, "constant", "placeholder", "variable"),
    "param_regularizers": ("none", "l2", "beta"), "decay": (0.9, 0.5),
    "param_initializers": ("none", "given"), "_dtype": ("float32", "float16", "float64")}

SPACES = {
    "batch_norm": {
        **_BATCH_NORM, "_rank": (4, 2, 3, 5),
        "updates_collections": ("default", "none", "list", "equal"),
        "zero_debias_moving_mean": (False, True), "renorm": ("none", "on", "clipped"),
        "adjustment": (False, True), "batch_weights": (False, True)},
    # The ways through it: the layer that was Keras', with and without batch
    # renormalisation, tf_slim's own fused path and its oldest.
    "batch_norm layer": {**_BATCH_NORM, "_rank": (4, 2, 3, 5), "adjustment": (False, True)},
    "batch_norm renorm": {**_BATCH_NORM, "_rank": (4, 2, 3, 5), "adjustment": (False, True),
                          "renorm": ("on", "clipped"), "_partitioner": (False,)},
    "batch_norm fused": {
        **_BATCH_NORM, "_rank": (4, 2), "fused": (None, True), "_dtype": ("float32", "float16"),
        "updates_collections": ("list", "none", "equal"),
        "zero_debias_moving_mean": (False, True), "_partitioner": (False,)},
    "batch_norm oldest": {
        **_BATCH_NORM, "_rank": (4, 2, 3, 5), "fused": (False,), "batch_weights": (False, True),
        "updates_collections": ("list", "none", "equal"),
        "zero_debias_moving_mean": (False, True), "_partitioner": (False,)},
    "bias_add": {
        **_COMMON, "_rank": (2, 3, 4, 5), "regularizer": _REGULARIZERS,
        "activation_fn": ("relu", "none"), "variables_collections": _COLLECTIONS,
        "trainable": (True, False), "_channels": ("last", "first"),
        "_partitioner": (False, True)},
    "conv1d": _CONVOLUTION, "conv2d": _CONVOLUTION, "conv3d": _CONVOLUTION,
    "convolution": {**_CONVOLUTION, "_rank": (3, 4, 5)},
    "conv2d_transpose": _TRANSPOSED, "conv3d_transpose": _TRANSPOSED,
    "conv2d_in_plane": {key: value for key, value in _TRANSPOSED.items() if key != "_channels"},
    "separable_conv2d": {**_CONVOLUTION, "num_outputs": (None, 3), "depth_multiplier": (1, 2)},
    "avg_pool2d": _POOLING, "max_pool2d": _POOLING,
    "avg_pool3d": _POOLING, "max_pool3d": _POOLING,
    "pool": {**_POOLING, "_rank": (3, 4, 5), "pooling_type": ("AVG", "MAX"),
             "dilation_rate": (1, 2)},
    "fully_connected": {**_WEIGHTS, "_rank": (2, 3, 4), "_dtype": ("float32", "float16")},
    "layer_norm": {**_NORM, "_rank": (2, 3, 4), "begin_norm_axis": (1, 2),
                   "begin_params_axis": (-1, 1), "_dtype": ("float32", "float16")},
    "instance_norm": {**_NORM, "_rank": (3, 4, 5), "_channels": ("last", "first"),
                      "epsilon": (1e-6, 1e-3), "param_initializers": ("none", "given")},
    "group_norm": {**_NORM, "groups": (1, 2), "mean_close_to_zero": (False, True),
                   "param_initializers": ("none", "given")},
    "dropout": {**_COMMON, "_rank": (2, 4), "keep_prob": (0.5, 1.0),
                "noise_shape": ("none", "batch"), "seed": (None, 3),
                "is_training": (True, False, "constant", "placeholder")},
    "flatten": {**_COMMON, "_rank": (2, 3, 4, 5)},
    "unit_norm": {"_rank": (2, 4), "dim": (1, 0), "epsilon": (1e-7, 1e-2),
                  "_batch": ("known", "open")},
    "spatial_softmax": {"temperature": (None, 1.0, 0.5), "trainable": (True, False),
                        "variables_collections": _COLLECTIONS, "_channels": ("last", "first"),
                        "_batch": ("known", "open"), "_resource": (False, True)},
    "maxout": {"_rank": (2, 4), "num_units": (1, 2), "_batch": ("known", "open")},
    "gdn": {"inverse": (False, True), "beta_min": (1e-6, 0.5), "gamma_init": (0.1, 0.3),
            "reparam_offset": (2 ** -18, 0.1), "_reuse": (False, True),
            "_channels": ("last", "first"), "trainable": (True, False)},
    "images_to_sequence": {**_COMMON, "_channels": ("last", "first")},
    "one_hot_encoding": {"num_classes": (3, 5), "on_value": (1.0, 2.0), "off_value": (0.0, 0.5),
                         "outputs_collections": ("none", "out")},
    "softmax": {"_rank": (2, 3, 4), "_batch": ("known", "open")},
    "scale_gradient": {"_rank": (2, 4), "gradient_multiplier": (0.5, 2.0)},
    "stack": {"stack_args": ((3,), (3, 2)), "weights_regularizer": _REGULARIZERS,
              "trainable": (True, False)},
    "repeat": {"repetitions": (1, 2), "weights_regularizer": _REGULARIZERS,
               "trainable": (True, False)},
    "legacy_fully_connected": {
        "_rank": (2, 3), "activation_fn": ("relu", "none"), "weight_regularizer": _REGULARIZERS,
        "bias_regularizer": _REGULARIZERS, "trainable": (True, False),
        "_batch": ("known", "open")},
    "rev_block": {"num_layers": (1, 2), "is_training": (True, False),
                  "_batch": ("known", "open")},
}
_RANKS = {"conv1d": 3, "conv3d": 5, "conv3d_transpose": 5, "avg_pool3d": 5, "max_pool3d": 5,
          "stack": 2, "rev_block": 2, "one_hot_encoding": 1, "gdn": 4}
OTHER_NAMES = {  # names in tf_slim that are another name of a function above
    "convolution1d", "convolution2d", "convolution3d", "convolution2d_in_plane",
    "convolution2d_transpose", "convolution3d_transpose", "separable_convolution2d",
    "elu", "relu", "relu6", "linear", "legacy_linear", "legacy_relu", "GDN"}
UNTOUCHED_FUNCTIONS = {  # and those without variables, layers or anything that is mended
    "dense_to_sparse", "sequence_to_images"}


def product_size(space):
    """How many cases the whole product of a space has."""
    return int(np.prod([len(labels) for labels in space.values()], dtype=object))


def covering(space, strength):
    """Returns rows of labels that hold each combination of ``strength`` arguments' labels."""
    names = list(space)
    strength = min(strength, len(names))
    wanted = {(group, labels) for group in itertools.combinations(range(len(names)), strength)
              for labels in itertools.product(*(range(len(space[names[i]])) for i in group))}
    order = sorted(wanted)
    dice = random.Random(1)
    dice.shuffle(order)
    groups = list(itertools.combinations(range(len(names)), strength))
    rows = []
    for group, labels in order:
        if (group, labels) not in wanted:
            continue
        best, best_new = None, -1
        for _ in range(4):  # the best of a few ways to fill in the rest
            # Mostly defaults, which come first: of unlike settings many are refused.
            row = [max(0, dice.randrange(-len(space[name]), len(space[name])))
                   for name in names]
            for i, label in zip(group, labels):
                row[i] = label
            new = sum((g, tuple(row[i] for i in g)) in wanted for g in groups)
            if new > best_new:
                best, best_new = row, new
        wanted.difference_update((g, tuple(best[i] for i in g)) for g in groups)
        rows.append({name: space[name][i] for name, i in zip(names, best)})
    return rows


def cases(functions=None):
    """Returns ``{name: (function, labels)}`` of all cases, in a fixed order."""
    found = {}
    for key, space in SPACES.items():
        function = key.split()[0]
        if functions is None or function in functions:
            for i, row in enumerate(covering(space, STRENGTH.get(key, 2))):
                found[f"{key}-{i}"] = (function, row)
    return found


def shape_of(function, labels):
    """Returns the shape of the input of a case, channels last."""
    rank = labels.get("_rank", _RANKS.get(function, 4))
    return {1: (4,), 2: (4, 4), 3: (4, 5, 4), 4: (2, 5, 4, 4), 5: (2, 3, 4, 3, 4)}[rank]


def input_of(function, labels):
    """Returns the array that a case is fed, in its data format."""
    shape = shape_of(function, labels)
    if function == "one_hot_encoding":
        return np.arange(shape[0], dtype=np.int64) % 3
    array = np.random.default_rng(len(shape)).normal(0.7, 1.5, shape)
    if labels.get("_channels") == "first" and len(shape) > 2:
        array = np.moveaxis(array, -1, 1)
    return np.ascontiguousarray(array).astype(labels.get("_dtype", "float32"))
