"""Tiny networks through the public builders, and values to fill them with."""

import numpy as np
import tensorflow as tf
import tf_slim as slim

tf1 = tf.compat.v1


def version_of(module):
    """Returns ``resnet_v1`` or ``resnet_v2``, which a module's builder is called."""
    return "resnet_v1" if module.__name__.endswith("resnet_v1") else "resnet_v2"


def tiny_blocks(module):
    """Two blocks of two units, one to four channels, in a module's own unit."""
    block = getattr(module, f"{version_of(module)}_block")
    return [block("block1", base_depth=1, num_units=2, stride=2),
            block("block2", base_depth=2, num_units=2, stride=1)]


def blocks_of(module, depth, monkeypatch):
    """Returns ``(scope, args)`` of the blocks of a depth: all that it differs from others by."""
    seen, version = [], version_of(module)
    monkeypatch.setattr(module, version, lambda inputs, blocks, *args, **kwargs: seen.extend(
        (block.scope, block.args) for block in blocks))
    getattr(module, f"{version}_{depth}")(None)
    return seen


def tiny_blog_blocks():
    from slim_resnet import blog
    return [blog.Block("block1", blog.bottleneck, [(4, 1, 1), (4, 1, 2)]),
            blog.Block("block2", blog.bottleneck, [(8, 2, 1), (8, 2, 1)])]


def inference_scope(module):
    """Returns the module's arg scope in inference mode; the blog's says so itself."""
    if module.__name__.endswith("blog"):
        return module.resnet_arg_scope(is_training=False)
    with slim.arg_scope(module.resnet_arg_scope()), \
            slim.arg_scope([slim.batch_norm], is_training=False) as scope:
        return scope


def values_for(variables, seed=0):
    """Returns ``{name: array}``, distinct everywhere; variances and gammas are positive."""
    rng = np.random.default_rng(seed)
    values = {}
    for variable in sorted(variables, key=lambda v: v.name):
        value = rng.normal(size=variable.shape.as_list()).astype(np.float32)
        if variable.op.name.endswith(("moving_variance", "gamma")):
            value = np.abs(value) + 0.5
        elif variable.op.name.endswith("weights"):
            value *= 0.5
        values[variable.op.name] = value
    return values


def load(session, values):
    for variable in tf1.global_variables():
        variable.load(values[variable.op.name], session)


def run_network(module, images, values=None, blocks=None, fetch_updates=False, **kwargs):
    """Builds ``module.resnet_v2``, or ``resnet_v1``, and runs it.

    Returns:
      ``(end points by key, logits, values of all variables after it)``.
    """
    with tf.Graph().as_default(), tf1.Session() as session:
        placeholder = tf1.placeholder(tf.float32, [None, None, None, 3])
        with slim.arg_scope(module.resnet_arg_scope()):
            version = version_of(module)
            net, end_points = getattr(module, version)(placeholder, blocks or tiny_blocks(module),
                                                       scope=f"{version}_tiny", **kwargs)
        if values is None:
            values = values_for(tf1.global_variables())
        load(session, values)
        updates = tf1.get_collection(tf1.GraphKeys.UPDATE_OPS) if fetch_updates else []
        end_point_values, net_value, _ = session.run([end_points, net, updates],
                                                     {placeholder: images})
        after = session.run({v.op.name: v for v in tf1.global_variables()})
    return end_point_values, net_value, after


def images_of(height, width, batch=2, seed=1):
    return np.random.default_rng(seed).random([batch, height, width, 3], np.float32)


def assert_close(actual, expected):
    """Compares arrays by name, their shapes too."""
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        np.testing.assert_allclose(actual[name], value, err_msg=name,
                                   atol=1e-5 * np.abs(value).max(), rtol=1e-5)
