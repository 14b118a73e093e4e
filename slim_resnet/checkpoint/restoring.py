"""Restoring a checkpoint into a graph: every variable, or none.

Departs from ``tf.compat.v1.train.Saver.restore`` in what is checked, not in what is
read: one RestoreV2 op reads the file once, each value is checked for NaN and
infinity as it arrives, and only when all have arrived is the first variable
assigned. Names, shapes and dtypes are compared before.
"""

import collections
import fnmatch
import re
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint import parts
from slim_resnet.checkpoint.leftovers import Leftovers
from slim_resnet.checkpoint.plain import is_dense_layer
from slim_resnet.checkpoint.reader import AVERAGE, Checkpoint, CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import scopes_of_networks
from slim_resnet.errors import SlimResnetError, cause_of

tf1 = tf.compat.v1

# The biases of each network's logits.
_LOGITS = re.compile(r"(?:^|/)(logits|fc8|(?:Aux)?Logits/Conv2d_\w+)/biases$")

_CHECKED_DTYPES = frozenset(["float16", "bfloat16", "float32", "float64"])

# A zero-debias variable's name holds the scope of its batch norm twice.
_REPEATED_SCOPE = re.compile(r"^(?P<scope>.+)/(?P=scope)(?P<end>/[^/]+/(?:biased|local_step))$")


def restore(session: tf1.Session, path: CheckpointLike, *,
            variables: Sequence[tf.Variable] | None = None, exclude: str | Sequence[str] = (),
            scope_map: dict[str, str] | None = None, use_moving_averages: bool = False,
            allow_missing: bool = False, allow_non_finite: bool = False) -> list[str]:
    """Restores variables of a session's graph from a checkpoint.

    Nothing is changed unless everything fits: each variable of the graph has one of
    its name, shape and dtype in the file, each variable in the file has one in the
    graph or is a leftover of training (what `leftovers.Leftovers` tells by its place: optimizer
    slots, moving averages, zero-debias variables, scalars, global_step, mean_rgb), no checksum
    is wrong, and no value is NaN or infinite. Parts of a variable, ``w/part_0`` and so on as a
    partitioner makes them, take theirs from the file's ``w``, and ``w`` its own from the
    file's parts.

    Args:
      session: A ``tf.compat.v1.Session`` whose graph is not finalized.
      path: What `open_checkpoint` takes.
      variables: Those to restore; None takes all global variables.
      exclude: `fnmatch` patterns of variables to leave alone, in the graph and in
        the file, such as ``*/logits/*`` for fine-tuning.
      scope_map: Maps scopes in the file to scopes in the graph, such as
        ``{"resnet_v2_50": "backbone/resnet_v2_50"}``; the longest that fits a name
        is taken, an empty one fits all.
      use_moving_averages: Whether variables take the values of their
        ``ExponentialMovingAverage``; those that are not trainable take their own
        where the file has no average of them.
      allow_missing: Whether variables that the file does not have keep what they
        have in the session.
      allow_non_finite: Whether NaN and infinite values are restored too.

    Returns:
      The names of the variables restored, sorted.

    Raises:
      SlimResnetError: Something does not fit; the message names all that does not.
    """
    with open_checkpoint(path) as checkpoint:
        if variables is None:
            variables = session.graph.get_collection(tf1.GraphKeys.GLOBAL_VARIABLES)
        return restore_some(session, checkpoint, variables, list(checkpoint.shapes),
                            exclude=exclude, scope_map=scope_map, allow_missing=allow_missing,
                            use_moving_averages=use_moving_averages,
                            allow_non_finite=allow_non_finite)


def restore_some(
        session: tf1.Session, checkpoint: Checkpoint, variables: Sequence[tf.Variable],
        names: Sequence[str], *, exclude: str | Sequence[str] = (),
        scope_map: dict[str, str] | None = None, use_moving_averages: bool = False,
        allow_missing: bool = False, allow_non_finite: bool = False,
        reshape: bool = False) -> list[str]:
    """`restore` for some variables of the graph and some names of the file.

    ``reshape`` lets a convolution take the weights of a dense layer that is the same: of
    two dimensions, with as many rows as the kernel has inputs.
    """
    if session.graph.finalized:
        raise SlimResnetError(f"{checkpoint.path}: the graph is finalized and cannot take the ops "
                              "that restore; restore before it is")
    exclude = [exclude] if isinstance(exclude, str) else list(exclude)
    in_graph = {v.op.name: v for v in variables}
    in_file = _renamed(names, scope_map or {}, checkpoint.path)
    leftovers = Leftovers(checkpoint.shapes)
    for pattern in exclude:
        if not fnmatch.filter([*in_graph, *in_file], pattern):
            raise SlimResnetError(f"exclude pattern {pattern!r} fits no variable of the graph and "
                                  f"none in {checkpoint.path}")

    def kept(name):
        return not any(fnmatch.fnmatchcase(name, pattern) for pattern in exclude)

    wanted = {name: v for name, v in in_graph.items() if kept(name)}
    slices = {name: part for name, part in parts.of_graph(wanted.values()).items()
              if name not in in_file}
    sources = {name: slices[name].whole if name in slices else name for name in wanted}
    if use_moving_averages:
        if not any(source + AVERAGE in in_file for source in sources.values()):
            raise SlimResnetError(f"{checkpoint.path}: holds no moving averages of these variables")
        trainable = {v.op.name for v in
                     session.graph.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES)}
        sources = {name: source + AVERAGE
                   if name in trainable or source + AVERAGE in in_file else source
                   for name, source in sources.items()}
    whole = {source: parts.of_file(source, wanted[name].shape, in_file, checkpoint)
             for name, source in sources.items() if source not in in_file}
    whole = {source: joint for source, joint in whole.items() if joint}
    missing = [source for source in dict.fromkeys(sources.values())
               if source not in in_file and source not in whole]
    used = {*wanted, *sources.values(), *(part.whole for part in slices.values()),
            *(name for joint in whole.values() for name in joint.names)}
    unwanted = [name for name in in_file if name not in used and kept(name)
                and leftovers.kind(in_file[name]) is None]
    found = {name: in_file[source] for name, source in sources.items() if source in in_file}
    problems = _misfits({name: wanted[name] for name in found}, found, checkpoint, reshape, slices)
    joints = {name: parts.Joint([in_file[part] for part in whole[source].names],
                                whole[source].axis)
              for name, source in sources.items() if source in whole}
    problems += [f"{part} is {checkpoint.dtypes[part]} in the file and "
                 f"{wanted[name].dtype.base_dtype.name}, as {name}, in the graph"
                 for name, joint in joints.items() for part in joint.names
                 if checkpoint.dtypes[part] != wanted[name].dtype.base_dtype.name]
    found.update(joints)
    if problems or unwanted or (missing and not (allow_missing and found)):
        raise SlimResnetError(_report(checkpoint.path, [] if allow_missing and found else missing,
                                      unwanted, problems))
    if found:
        _read_and_assign(session, checkpoint, {name: wanted[name] for name in found}, found,
                         slices, allow_non_finite)
    return sorted(found)


def _renamed(names: Iterable[str], scope_map: dict[str, str], path: str) -> dict[str, str]:
    """Returns the file's names by the graph's names that ``scope_map`` makes of them."""
    used = set()

    def renamed(name):
        fitting = [scope for scope in scope_map if not scope or name.startswith(scope + "/")]
        if not fitting:
            return name
        scope = max(fitting, key=len)
        used.add(scope)
        rest = name[len(scope) + 1:] if scope else name
        return "/".join(filter(None, [scope_map[scope], rest]))

    in_file = {}
    for name in names:
        repeated = _REPEATED_SCOPE.match(name)
        if repeated:
            scope = renamed(repeated["scope"])
            new_name = f"{scope}/{scope}{repeated['end']}"
        else:
            new_name = renamed(name)
        if new_name in in_file:
            raise SlimResnetError(f"{path}: scope_map gives {in_file[new_name]} and {name} the "
                                  f"same name {new_name}")
        in_file[new_name] = name
    for scope in scope_map:
        if scope not in used:
            raise SlimResnetError(f"{path}: holds no variable under the scope {scope!r} of "
                                  "scope_map")
    return in_file


def _misfits(variables, found, checkpoint, reshape, slices):
    """Returns a phrase for each variable of another shape or dtype than the file's."""
    problems = []
    for name, variable in variables.items():
        shape, dtype = checkpoint.shapes[found[name]], checkpoint.dtypes[found[name]]
        if name in slices:
            if slices[name].shape != shape:
                problems.append(f"{slices[name].whole} is {list(shape)} in the file and "
                                f"{list(slices[name].shape)}, in parts, in the graph")
        elif not variable.shape.is_compatible_with(shape) and not (
                reshape and is_dense_layer(shape, tuple(variable.shape.as_list()))):
            logits = _LOGITS.search(name)
            if logits and len(shape) == 1:
                problems.append(_class_mismatch(shape[0], variable.shape.as_list()[0], logits[1]))
            problems.append(f"{name} is {list(shape)} in the file and "
                            f"{variable.shape.as_list()} in the graph")
        if variable.dtype.base_dtype.name != dtype:
            problems.append(f"{name} is {dtype} in the file and "
                            f"{variable.dtype.base_dtype.name} in the graph")
    return problems


def _class_mismatch(in_file, in_graph, logits):
    background = " (1001 are ImageNet's 1000 and background, class 0)" \
        if {in_file, in_graph} == {1000, 1001} else ""
    return (f"the file has {in_file} classes and the graph {in_graph}{background}: build the "
            f"network with num_classes={in_file}, or leave its logits as they are with "
            f"exclude=['*/{logits}/*']")


def _report(path, missing, unwanted, problems):
    parts = [f"{len(names)} {what} ({_some(names)})"
             for names, what in ((missing, "wanted and not in the file"),
                                 (unwanted, "in the file and not wanted")) if names]
    if problems:
        parts.append("; ".join(problems[:4]) +
                     (f"; and {len(problems) - 4} more" if len(problems) > 4 else ""))
    hint = _hint(missing, unwanted)
    if hint:
        parts.append(hint)
    return f"{path}: does not fit the graph, and nothing was restored: {'; '.join(parts)}"


def _some(names):
    listed = ", ".join(names[:3])
    return f"{listed} and {len(names) - 3} more" if len(names) > 3 else listed


def _hint(missing: list[str], unwanted: list[str]) -> str | None:
    """Returns what probably is the matter, or None."""
    def has(names, part):
        return any(part in name for name in names)

    if has(missing, "/conv3/biases") and has(unwanted, "/conv3/BatchNorm/"):
        return "the file holds the blog's network: build it with slim_resnet.blog"
    if has(missing, "/conv3/BatchNorm/") and has(unwanted, "/conv3/biases"):
        return "the file holds slim's network: build it with slim_resnet.resnet_v2"
    if any(has(missing, f"/bottleneck_v{version}/conv2/biases") for version in (1, 2)):
        return "the network was built outside resnet_arg_scope"
    file_scopes, graph_scopes = scopes_of_networks(unwanted), scopes_of_networks(missing)
    if len(file_scopes) == len(graph_scopes) == 1:
        return f"if it is the same network, scope_map={{{file_scopes[0]!r}: {graph_scopes[0]!r}}}"
    if all(has([name], "logits/") for name in missing + unwanted):
        return "to do without its logits, exclude=['*/logits/*']" if missing + unwanted else None
    return None


def _read_and_assign(session, checkpoint, variables, found, slices, allow_non_finite):
    """Reads what is found, all at once, and assigns it to variables by their names.

    Args:
      found: Maps names of variables to names in the file, or to a `parts.Joint` of some.
      slices: Maps names of variables to the `parts.Slice` that they are.
    """
    reads = [(one, slices[name].text if name in slices else "")
             for name in variables for one in parts.names_of(found[name])]
    names = [name for name, _ in reads]
    with session.graph.as_default(), tf1.device(None), tf.control_dependencies(None), \
         tf1.name_scope("restore_checked"):
        values = tf.raw_ops.RestoreV2(
            prefix=checkpoint.prefix, tensor_names=names,
            shape_and_slices=[text for _, text in reads],
            dtypes=[tf.as_dtype(checkpoint.dtypes[name]) for name in names])
        checks = [] if allow_non_finite else _finite_checks(
            [(value, checkpoint.dtypes[name], checkpoint.shapes[name])
             for name, value in zip(names, values)])
        # Not before every value has been read and checked is the first assigned.
        with tf.control_dependencies([*checks, *values[:1]]):
            all_arrived = tf.no_op()
        arrived = iter(values)
        with tf.control_dependencies([all_arrived]):
            assigns = []
            for name, variable in variables.items():
                value = parts.joined(found[name], arrived)
                if not (name in slices or isinstance(found[name], parts.Joint)
                        or variable.shape.is_compatible_with(checkpoint.shapes[found[name]])):
                    value = tf.reshape(value, variable.shape)
                assigns.append(variable.assign(value, read_value=False))
    try:
        session.run(assigns)
    except tf.errors.OpError as error:
        _raise_cause(checkpoint, list(dict.fromkeys(names)), error)


def _finite_checks(values):
    """Returns ops that fail on NaN and infinity.

    Args:
      values: Tuples of a tensor, its dtype's name and its shape.
    """
    tensors, vectors = [], collections.defaultdict(list)
    for value, dtype, shape in values:
        if dtype in _CHECKED_DTYPES:
            # Three in four variables are the short vectors of batch norms. Checked
            # together they cost a tenth of an op for each.
            (vectors[dtype] if len(shape) == 1 else tensors).append(value)
    # ConcatV2 takes two tensors at least.
    tensors += [tf.raw_ops.ConcatV2(values=[*group, group[0]], axis=0)
                for group in vectors.values()]
    return [tf.raw_ops.CheckNumerics(tensor=tensor, message="restore") for tensor in tensors]


def _raise_cause(checkpoint, names, error):
    """Reads all that was to be restored once more, to name everything that is wrong."""
    not_finite = [name for name in names if checkpoint.dtypes[name] in _CHECKED_DTYPES
                  and not np.isfinite(checkpoint.tensor(name).astype(np.float64)).all()]
    if not_finite:
        raise SlimResnetError(
            f"{checkpoint.path}: NaN or infinite values in {len(not_finite)} variables "
            f"({_some(not_finite)}); nothing was restored") from error
    raise SlimResnetError(f"{checkpoint.path}: cannot be restored: "
                          f"{cause_of(error.message)}") from error
