"""Builds and runs cases of `slim_cases`, and writes down what came out.

As a program: ``python -m tests.helpers.slim_records OUT.npz [--untouched] [FUNCTION ...]``.
It records with the tf_slim that it finds, mended only if asked for; the golden records in
``tests/data/slim_layers.npz`` were made by it with ``--untouched`` on TensorFlow 2.12.1.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import sys

import numpy as np

from tests.helpers import slim_cases


def _arguments(slim, tf1, labels):
    """Returns a case's keyword arguments, made of its labels, in the current graph."""
    given = {"relu": tf1.nn.relu, "l2": slim.l2_regularizer(0.1),
             "batch_norm": slim.batch_norm, "layer_norm": slim.layer_norm}
    kwargs = {}
    for name, label in labels.items():
        value = given.get(label, label) if isinstance(label, str) else label
        if name.startswith("_") or label == "default":
            continue
        if label == "none" and name not in ("updates_collections", "activation_fn",
                                            "biases_initializer"):
            continue
        if name == "variables_collections":
            value = ["mine"] if label == "list" else {
                key: [f"mine_{key}"] for key in ("weights", "biases", "beta", "gamma",
                                                 "moving_mean", "temperature")}
        elif name == "updates_collections":
            value = {"none": None, "list": ["my_updates"], "equal": "update_" + "ops"[:3]}[label]
            value = "".join(list(value)) if label == "equal" else value
        elif name == "is_training" and isinstance(label, str):
            value = {"constant": lambda: tf1.constant(True),
                     "placeholder": lambda: tf1.placeholder(tf1.bool, [], "is_training"),
                     "variable": lambda: tf1.get_variable(
                         "is_training", initializer=True, trainable=False)}[label]()
        elif name == "param_regularizers":
            value = {key: given["l2"] for key in ("beta", "gamma")[:1 if label == "beta" else 2]}
        elif name == "param_initializers":
            value = {"beta": tf1.constant_initializer(0.3), "gamma": tf1.ones_initializer(),
                     "moving_variance": tf1.constant_initializer(2.0)}
        elif name == "renorm":
            value = True
            if label == "clipped":
                kwargs["renorm_clipping"] = {"rmax": 1.5, "rmin": 0.5, "dmax": 0.3}
        elif name == "adjustment":
            value = (lambda shape: (tf1.ones(shape[-1:]) * 1.1, tf1.ones(shape[-1:]) * 0.2)
                     ) if label else None
        elif name == "batch_weights":
            value = None
        elif label in ("ones", "zeros"):
            value = tf1.ones_initializer() if label == "ones" else tf1.zeros_initializer()
        kwargs[name] = None if label == "none" else value
    return kwargs


def _call(slim, tf1, function, labels, inputs):
    """Builds a case's layers; returns their output."""
    kwargs = _arguments(slim, tf1, labels)
    rank = inputs.shape.rank
    if "_channels" in labels and function != "gdn":
        letters = {3: "W", 4: "HW", 5: "DHW"}.get(rank, "HW")
        if function in ("batch_norm", "bias_add", "instance_norm"):
            letters = "HW"
        kwargs["data_format"] = (f"NC{letters}" if labels["_channels"] == "first"
                                 else f"N{letters}C")
    elif "_channels" in labels:
        kwargs["data_format"] = f"channels_{labels['_channels']}"
    if labels.get("batch_weights"):
        kwargs["batch_weights"] = tf1.constant(
            np.arange(1, inputs.shape[0] + 1 if inputs.shape[0] else 3), inputs.dtype)
    if function.startswith(("conv", "fully", "separable")) and function != "conv2d_in_plane":
        kwargs.setdefault("num_outputs", 3)
    if function == "maxout":
        kwargs["num_units"] = labels["num_units"]
    if function == "group_norm":
        kwargs["reduction_axes"] = (-3, -2)
    if function == "dropout" and labels["noise_shape"] == "batch":
        kwargs["noise_shape"] = [2 if rank == 4 else 4] + [1] * (rank - 1)
    positional = ()
    if function == "stack":
        kwargs["layer"] = slim.fully_connected
    if function == "repeat":
        positional = (kwargs.pop("repetitions"), slim.fully_connected, 3)
    if function == "scale_gradient":
        positional = (kwargs.pop("gradient_multiplier"),)
    if function == "legacy_fully_connected":
        kwargs["num_output_units"] = 3
        kwargs["name"] = "layer"
    elif function == "spatial_softmax":
        kwargs["name"] = "layer"
    elif function == "rev_block":
        x1, x2 = tf1.split(inputs, 2, axis=-1)

        def dense(x):
            return slim.fully_connected(x, 2, activation_fn=None)

        return tf1.concat(slim.rev_block(x1, x2, dense, dense, **kwargs), -1)
    elif function == "gdn":
        kwargs["name"] = "layer"
    elif function != "scale_gradient":
        kwargs["scope"] = "layer"
    outputs = getattr(slim, function)(inputs, *positional, **kwargs)
    if labels.get("_reuse"):
        if function not in ("flatten", "dropout", "images_to_sequence", "pool"
                            ) and "pool" not in function:
            kwargs["reuse"] = True
        with tf1.control_dependencies([outputs]):  # one order of updates made in place
            outputs = outputs + getattr(slim, function)(inputs * 0.5, **kwargs)
    return outputs


def _graph_digest(graph, tf1):
    """A digest of a graph and its variables, whatever numbers its functions have."""
    text = str(graph.as_graph_def())
    for variable in graph.get_collection("variables"):
        text += str(variable.to_proto())
    # Functions are numbered over the whole process, and sorted by that number's digits.
    text = re.sub(r"((?:true|false)(?:_rewritten)?)_\d+", r"\1", text)
    return hashlib.sha1("".join(sorted(text.splitlines())).encode()).hexdigest()


def record(case, slim, tf):
    """Builds and runs one case.

    Returns:
      ``(facts, arrays)``: what can be written as JSON, and a dictionary of float arrays.
    """
    tf1 = tf.compat.v1
    function, labels = case
    facts, arrays = {}, {}
    array = slim_cases.input_of(function, labels)
    with tf.Graph().as_default() as graph, contextlib.ExitStack() as stack:
        tf1.set_random_seed(7)
        shape = list(array.shape)
        if labels.get("_batch") == "open":
            shape[0] = None
        inputs = tf1.placeholder(array.dtype, shape, "inputs")
        partitioner = tf1.fixed_size_partitioner(2) if labels.get("_partitioner") else None
        stack.enter_context(tf1.variable_scope(
            "net", use_resource=labels.get("_resource") or None, partitioner=partitioner))
        try:
            outputs = _call(slim, tf1, function, labels, inputs)
        except Exception as error:
            return {"fails": type(error).__name__}, {}
        facts["collections"] = {
            str(key): [getattr(member, "name", str(member)) for member in graph.get_collection(key)]
            for key in sorted(map(str, graph.get_all_collection_keys()))
            if not key.startswith("__") and graph.get_collection(key)}
        facts["output"] = [str(outputs.dtype), str(outputs.shape)]
        facts["graph"] = _graph_digest(graph, tf1)
        _run(tf, graph, labels, inputs, outputs, array, facts, arrays)
    return facts, {key: np.asarray(value, np.float32) for key, value in arrays.items()}


def _set_variables(tf1, session):
    """Gives each variable values of its own, told by its place among the variables."""
    session.run(tf1.global_variables_initializer())
    for i, variable in enumerate(tf1.global_variables()):
        if variable.dtype.base_dtype.is_floating:
            dice = np.random.default_rng(i)
            variable.load(dice.uniform(0.5, 1.5, variable.shape.as_list()).astype(
                variable.dtype.base_dtype.as_numpy_dtype), session)


def _races(labels):
    """Whether tf_slim's own updates of a shared variable have no order among themselves."""
    return (labels.get("_reuse") and labels.get("zero_debias_moving_mean")
            and labels.get("updates_collections") == "none")


def _run(tf, graph, labels, inputs, outputs, array, facts, arrays):
    # One thread: updates of a variable that two layers share happen in one order.
    config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=1,
                                      use_per_session_threads=True)
    with tf.compat.v1.Session(graph=graph, config=config) as session:
        try:
            fed = _run_forward(tf, graph, inputs, outputs, array, arrays, session)
            if _races(labels):
                for key in [key for key in arrays if key.startswith("after")]:
                    del arrays[key]
        except (tf.errors.OpError, ValueError) as error:
            facts["run fails"] = type(error).__name__
            return
        if array.dtype.kind == "f":
            _run_backward(tf, graph, inputs, outputs, fed, facts, arrays, session)


def _run_forward(tf, graph, inputs, outputs, array, arrays, session):
    tf1 = tf.compat.v1
    flags = [tensor for op in graph.get_operations() if op.type == "Placeholder"
             for tensor in op.outputs if tensor is not inputs]
    updates = [*graph.get_collection("update_ops"), *graph.get_collection("my_updates")]
    losses = graph.get_collection("regularization_losses")
    variables = tf1.global_variables()
    session.run(tf1.global_variables_initializer())
    for i, variable in enumerate(variables):
        arrays[f"initial {i}"] = session.run(variable)
    feeds = {str(value): {inputs: array, **{flag: value for flag in flags}}
             for value in ([True, False] if flags else [None])}
    for name, fed in feeds.items():
        _set_variables(tf1, session)
        arrays[f"output {name}"] = session.run(outputs, fed)
        arrays[f"losses {name}"] = session.run(losses, fed) if losses else []
        for update in updates:
            session.run(update, fed)
        for i, variable in enumerate(variables):
            arrays[f"after {name} {i}"] = session.run(variable)
    return feeds


def _run_backward(tf, graph, inputs, outputs, feeds, facts, arrays, session):
    tf1 = tf.compat.v1
    target = tf.reduce_sum(tf.square(tf.cast(outputs, tf.float32)))
    for loss in graph.get_collection("regularization_losses"):
        target += tf.cast(loss, tf.float32)
    wanted = [inputs, *tf1.trainable_variables()]
    try:
        gradients = tf1.gradients(target, wanted)
    except (LookupError, ValueError, TypeError) as error:
        facts["gradients fail"] = type(error).__name__
        return
    facts["without gradient"] = [x.name for x, g in zip(wanted, gradients) if g is None]
    gradients = [tf.convert_to_tensor(g) for g in gradients if g is not None]
    for name, fed in feeds.items():
        # The session that has run the graph goes on with it, if it can.
        for runner in (session, tf1.Session(graph=graph)):
            try:
                _set_variables(tf1, runner)
                for i, value in enumerate(runner.run(gradients, fed)):
                    arrays[f"gradient {name} {i}"] = value
                break
            except tf.errors.OpError as error:
                facts["gradients fail late"] = type(error).__name__


def differences(case, expected, found, graphs):
    """Compares two records of a case.

    Args:
      case: The case.
      expected: The record of untouched tf_slim.
      found: The record to judge.
      graphs: Whether the digests of the graphs must be equal too.

    Returns:
      A list of lines, empty if all is equal.
    """
    (facts, arrays), (found_facts, found_arrays) = expected, found
    lines = [f"{key}: {facts.get(key)} became {found_facts.get(key)}"
             for key in sorted({*facts, *found_facts} - (set() if graphs else {"graph"}))
             if facts.get(key) != found_facts.get(key)]
    if set(arrays) != set(found_arrays):
        lines.append(f"results: {sorted(set(arrays) ^ set(found_arrays))} only once")
    # float16 adds up in another order in each version: gradients were 1.3 % off at most.
    # Through batch norm those of float32 nearly cancel: 1.05e-5 from one CPU to another.
    relative, absolute = (2e-2, 2e-2) if case[1].get("_dtype") == "float16" else (1e-4, 3e-5)
    for key in set(arrays) & set(found_arrays):
        old, new = arrays[key], found_arrays[key]
        scale = float(np.nanmax(np.abs(old), initial=1.0))
        if old.shape != new.shape or not np.allclose(
                old, new, rtol=relative, atol=absolute * scale, equal_nan=True):
            lines.append(f"{key}: {old} became {new}")
    return lines


def write(path, records, **about):
    """Writes records, all their numbers in one array."""
    numbers, index = [], {}
    for name, (facts, arrays) in records.items():
        index[name] = [facts, {key: list(value.shape) for key, value in arrays.items()}]
        numbers.extend(value.ravel() for value in arrays.values())
    text = json.dumps({"about": about, "records": index}, separators=(",", ":"))
    np.savez_compressed(path, text=np.frombuffer(text.encode(), np.uint8),
                        numbers=np.concatenate(numbers))


def read(path):
    """Returns what `write` wrote: ``(about, records)``."""
    with np.load(path) as file:
        content, numbers = json.loads(file["text"].tobytes()), file["numbers"]
    records, at = {}, 0
    for name, (facts, shapes) in content["records"].items():
        arrays = {}
        for key, shape in shapes.items():
            size = int(np.prod(shape))
            arrays[key] = numbers[at:at + size].reshape(shape)
            at += size
        records[name] = facts, arrays
    return content["about"], records


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("functions", nargs="*")
    parser.add_argument("--untouched", action="store_true")
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import tensorflow as tf
    import tf_slim as slim
    tf.get_logger().setLevel("ERROR")
    if not args.untouched:
        import slim_resnet  # noqa: F401 (mends tf_slim)
    assert ("slim_resnet" in sys.modules) != args.untouched
    records = {name: record(case, slim, tf)
               for name, case in slim_cases.cases(args.functions or None).items()}
    write(args.out, records, tensorflow=tf.__version__)


if __name__ == "__main__":
    main()
