"""Building the network that a checkpoint holds."""

from collections.abc import Sequence

import tensorflow as tf
import tf_slim as slim

from slim_resnet.checkpoint import plain
from slim_resnet.checkpoint.leftovers import Leftovers
from slim_resnet.checkpoint.reader import Checkpoint, CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import Recognised, recognise
from slim_resnet.checkpoint.restoring import restore_some
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import VARIANTS

tf1 = tf.compat.v1


def build_from_checkpoint(
        path: CheckpointLike, images: tf.Tensor, *, session: tf1.Session | None = None,
        is_training: bool | tf.Tensor = False, output_stride: int | None = None,
        global_pool: bool = True, spatial_squeeze: bool | None = None,
        use_moving_averages: bool | None = None) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the network that a checkpoint holds and restores it.

    The network, its scope and its number of classes are the file's; it is built in
    the graph of ``images``, in its own arg scope. Variables that the file holds
    outside the network's scope are left there.

    Args:
      path: What `open_checkpoint` takes; a `Selection` says which network is meant, and its
        strides.
      images: ``[batch, height, width, channels]``, float32, preprocessed; of a known size
        for a network without residual units.
      session: Where to restore to; None takes the default session.
      is_training: As in `resnet_v2.resnet_v2`; of dropouts too where there are some.
      output_stride: As in `resnet_v2.resnet_v2`; for residual networks of slim only.
      global_pool: As in `resnet_v2.resnet_v2`; for residual networks only.
      spatial_squeeze: Whether logits are ``[batch, num_classes]``, which the blog's network
        has not; None does as its code in ``tf_slim`` does: False for residual networks,
        True for the others. False makes fully convolutional networks of VGG, AlexNet and
        OverFeat, for images that are larger than their own.
      use_moving_averages: As in `open_checkpoint`.

    Returns:
      ``(net, end_points)`` as the network's builder returns them: logits, or
      features if the file holds no logits. Auxiliary logits are built if the file has them
      and if they are those of images of this size. Of a network that is not whole, which a
      `Selection` has to allow, the last whole unit's output and the end points up to it.

    Raises:
      SlimResnetError: The file cannot be restored, holds another network, or does
        not go with an option; or there is no session.
    """
    session = session or tf1.get_default_session()
    if session is None:
        raise SlimResnetError("build_from_checkpoint needs a session: call it within 'with "
                              "tf.Graph().as_default(), tf.compat.v1.Session():', or pass session")
    with open_checkpoint(path, use_moving_averages) as checkpoint:
        with session.graph.as_default():
            before = set(map(id, tf1.global_variables()))
            outer = tf1.get_variable_scope().name
            net, end_points = build_recognised(
                checkpoint, images, is_training, output_stride, global_pool, spatial_squeeze)
            variables = [v for v in tf1.global_variables() if id(v) not in before]
        restore_recognised(session, checkpoint, variables, outer)
    return net, end_points


def restore_recognised(session: tf1.Session, checkpoint: Checkpoint,
                       variables: Sequence[tf.Variable], outer: str = "") -> None:
    """Restores the variables that `build_recognised` made.

    Args:
      session: A session of their graph.
      checkpoint: The same `Checkpoint`, which says whether averages are taken.
      variables: The variables.
      outer: Name of the variable scope that they were made in.

    Raises:
      SlimResnetError: The file cannot be restored.
    """
    found = recognise(checkpoint)
    scope_map, own = _scope_map(found, outer), set(found.names.values())
    starts = tuple(f"{scope}/" if scope else "" for scope in scope_map)
    leftovers = Leftovers(checkpoint.shapes)
    names = [name for name in checkpoint.shapes if name in own
             or name.startswith(starts) and leftovers.kind(name) is not None]
    if found.aux_kernel is not None:
        aux = f"{starts[0]}{found.row.network.aux}/"
        if not any(f"/{aux}" in f"/{v.op.name}" for v in variables):
            names = [name for name in names if not name.startswith(aux)]
    if found.missing:
        # What the builder puts behind the last whole unit has no values.
        built = {"/".join(filter(None, [outer, name])) for name in found.names}
        variables = [v for v in variables if v.op.name in built]
    restore_some(session, checkpoint, variables, names, reshape=True, scope_map=scope_map,
                 use_moving_averages=checkpoint.use_moving_averages)


def _scope_map(found, outer):
    """Returns the `restoring.restore` argument that puts a network's variables together."""
    scope = "/".join(filter(None, [outer, found.scope]))
    below = len(found.scope) + 1 if found.scope else 0
    return {in_file[:len(in_file) - len(name[below:])].rstrip("/"): scope
            for name, in_file in found.names.items()}


def build_recognised(
        checkpoint: Checkpoint, images: tf.Tensor, is_training: bool | tf.Tensor = False,
        output_stride: int | None = None, global_pool: bool = True,
        spatial_squeeze: bool | None = None) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the network that an open checkpoint holds, without its values.

    Args:
      checkpoint: A `Checkpoint`.
      images, is_training, output_stride, global_pool, spatial_squeeze: As in
        `build_from_checkpoint`, in the default graph; what is returned too.

    Raises:
      SlimResnetError: It holds another network, or does not go with an option.
    """
    found = recognise(checkpoint)
    _check_images(images, found, checkpoint.path)
    try:
        if found.variant is None:
            return _build_plain(found, images, is_training, output_stride, global_pool,
                                spatial_squeeze)
        variant = VARIANTS[found.variant]
        if output_stride is not None and checkpoint.selection.output_stride is not None:
            raise ValueError("output_stride is given, and in its Selection too")
        with slim.arg_scope(variant.arg_scope(
                is_training, batch_norm_scale=found.batch_norm_scale)):
            net, end_points = variant.build(
                images, found.blocks, found.num_classes, output_stride=output_stride,
                spatial_squeeze=bool(spatial_squeeze), global_pool=global_pool,
                include_root_block=found.root_block, scope=found.scope)
        return _up_to_whole(found, end_points) if found.missing else (net, end_points)
    except ValueError as error:
        raise SlimResnetError(f"{checkpoint.path}: its network cannot be built: "
                              f"{str(error).splitlines()[0]}") from error


def _up_to_whole(found, end_points):
    """Returns the output of the last whole unit, and the end points up to it."""
    last = found.blocks[-1]
    key = "/".join(filter(None, [
        found.scope, last.scope, f"unit_{len(last.args)}", VARIANTS[found.variant].unit]))
    key = next(one for one in end_points if f"/{one}".endswith(f"/{key}"))
    keys = list(end_points)[:list(end_points).index(key) + 1]
    start = f"{found.scope}/" if found.scope else ""
    if not found.missing.startswith(f"{start}{last.scope}/"):
        keys.append(key.rsplit("/", 2)[0])
    return end_points[key], {one: end_points[one] for one in keys}


def _build_plain(found, images, is_training, output_stride, global_pool, spatial_squeeze):
    network, size = found.row.network, images.shape.as_list()[1:3]
    if output_stride is not None or not global_pool:
        raise ValueError(f"{network.title} has no output_stride, and no global_pool to leave out")
    if spatial_squeeze is not False:
        for one in filter(None, size):
            found.row.checked_image_size(one)
    options = {}
    if network.aux:
        # The head's last convolution takes all of its map: another size has other weights.
        options["create_aux_logits"] = found.aux_kernel is not None and all(
            plain.aux_kernel_of(one) == found.aux_kernel for one in size)
    if spatial_squeeze is not None:
        options["spatial_squeeze"] = spatial_squeeze
    with slim.arg_scope(network.arg_scope()):
        return network.build(images, found.num_classes, is_training, scope=found.scope, **options)


def _check_images(images: tf.Tensor, found: Recognised, path: str) -> None:
    if not tf.is_tensor(images) or getattr(images, "graph", None) is not tf1.get_default_graph():
        raise SlimResnetError("build_from_checkpoint needs images that are a tensor of the "
                              "session's graph; make them within 'with tf.Graph().as_default():' "
                              "too, for example by tf.compat.v1.placeholder")
    if images.dtype != tf.float32 or images.shape.rank != 4:
        raise SlimResnetError("build_from_checkpoint needs images of float32 and four dimensions, "
                              f"not {images.dtype.name} {images.shape}")
    channels = images.shape.as_list()[-1]
    if channels != found.input_channels:
        raise SlimResnetError(f"{path}: its network takes {found.input_channels} channels, the "
                              f"images have {channels}")


def with_global_pool(end_points: dict[str, tf.Tensor], found: Recognised, graph: tf.Graph
                     ) -> dict[str, tf.Tensor]:
    """Adds ``global_pool``, if all places of a map are averaged right before the logits."""
    start = f"{found.scope}/" if found.scope else ""
    if found.missing:
        return end_points
    if found.variant:
        return dict(end_points, global_pool=graph.get_tensor_by_name(f"{start}pool5:0"))
    # A builder of tf_slim names its own ops after the scope that it is built in.
    logits = next(op for op in graph.get_operations() if op.type == "Conv2D"
                  and f"/{op.name}".endswith(f"/{start}{found.logits_scope}/Conv2D"))
    pool = logits.inputs[0].op
    while pool.type == "Identity":
        pool = pool.inputs[0].op
    if pool.type != "AvgPool" or pool.outputs[0].shape.as_list()[1:3] != [1, 1] or (
            pool.get_attr("ksize")[1:3] != pool.inputs[0].shape.as_list()[1:3]):
        return end_points
    return dict(end_points, global_pool=pool.outputs[0])
