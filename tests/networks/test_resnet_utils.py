import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim

from slim_resnet import resnet_utils

tf1 = tf.compat.v1


def run(tensor, ones=True):
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        if ones:
            for variable in tf1.trainable_variables():
                variable.load(np.ones(variable.shape), session)
        return session.run(tensor)


def square(size):
    return tf.reshape(tf.range(float(size * size)), [1, size, size, 1])


def test_subsample_by_hand(graph):
    images = square(3)
    assert resnet_utils.subsample(images, 1) is images
    # 0 1 2 / 3 4 5 / 6 7 8: every second row and column.
    np.testing.assert_array_equal(run(resnet_utils.subsample(images, 2))[0, :, :, 0],
                                  [[0, 2], [6, 8]])
    np.testing.assert_array_equal(run(resnet_utils.subsample(square(4), 2))[0, :, :, 0],
                                  [[0, 2], [8, 10]])


@pytest.mark.parametrize("size, strided, same", [
    # A 3 x 3 kernel of ones over 0..15 and over 0..24, sums worked by hand; `same` is what
    # slim.conv2d's own SAME padding gives, which starts a pixel later on even sizes.
    (4, [[0 + 1 + 4 + 5, 1 + 2 + 3 + 5 + 6 + 7], [4 + 5 + 8 + 9 + 12 + 13, 90]],
     [[45, 2 + 3 + 6 + 7 + 10 + 11], [8 + 9 + 10 + 12 + 13 + 14, 10 + 11 + 14 + 15]]),
    (5, [[12, 27, 24], [63, 108, 81], [72, 117, 84]],
     [[12, 27, 24], [63, 108, 81], [72, 117, 84]]),
])
def test_conv2d_same_by_hand(graph, size, strided, same):
    with slim.arg_scope([slim.conv2d], activation_fn=None, biases_initializer=None):
        ours = resnet_utils.conv2d_same(square(size), 1, 3, stride=2, scope="a")
        plain = slim.conv2d(square(size), 1, 3, stride=2, scope="b")
    np.testing.assert_array_equal(run(ours)[0, :, :, 0], strided)
    np.testing.assert_array_equal(run(plain)[0, :, :, 0], same)


@pytest.mark.parametrize("height, width", [(8, 9), (13, 6)])
@pytest.mark.parametrize("kernel_size, stride, rate", [(3, 2, 1), (7, 2, 1), (3, 3, 1), (4, 2, 1)])
def test_conv2d_same_is_convolution_then_subsample(graph, height, width, kernel_size, stride, rate):
    images = tf.constant(np.random.default_rng(0).normal(size=(2, height, width, 3)), tf.float32)
    with slim.arg_scope(resnet_utils.resnet_arg_scope(use_batch_norm=False)):
        strided = resnet_utils.conv2d_same(images, 4, kernel_size, stride, rate, scope="c")
        with tf1.variable_scope("", reuse=True):
            dense = resnet_utils.conv2d_same(images, 4, kernel_size, 1, rate, scope="c")
        after = resnet_utils.subsample(dense, stride)
    strided, after = run([strided, after], ones=False)
    assert np.abs(strided).max() > 0.1
    np.testing.assert_allclose(strided, after, rtol=1e-5, atol=1e-6)


def recording_block(scope, args, calls):
    def unit(net, **kwargs):
        calls.append(kwargs)
        return resnet_utils.subsample(net, kwargs["stride"])
    return resnet_utils.Block(scope, unit, args)


def test_stack_turns_strides_into_rates_once_dense_enough(graph):
    calls = []
    blocks = [recording_block("a", [{"stride": 1}, {"stride": 2}], calls),
              recording_block("b", [{"stride": 2}, {"stride": 3}, {"stride": 1}], calls)]
    net = resnet_utils.stack_blocks_dense(tf.zeros([1, 12, 12, 1]), blocks, output_stride=2)
    assert net.shape == [1, 6, 6, 1]
    assert calls == [{"stride": 1}, {"stride": 2}, {"stride": 1, "rate": 1},
                     {"stride": 1, "rate": 2}, {"stride": 1, "rate": 6}]


def test_stack_takes_tuples(graph):
    calls = []
    resnet_utils.stack_blocks_dense(tf.zeros([1, 4, 4, 1]),
                                    [recording_block("a", [(8, 2, 2)], calls)])
    assert calls == [{"depth": 8, "depth_bottleneck": 2, "stride": 2}]
    with pytest.raises(ValueError):
        resnet_utils.stack_blocks_dense(tf.zeros([1, 4, 4, 1]),
                                        [recording_block("a", [(8, 2, 2, 1)], calls)])


@pytest.mark.parametrize("output_stride", [3, 4, 24])
def test_stack_refuses_what_it_cannot_reach(graph, output_stride):
    blocks = [recording_block("a", [{"stride": 2}, {"stride": 3}], [])]
    with pytest.raises(ValueError, match="output_stride cannot be reached"):
        resnet_utils.stack_blocks_dense(tf.zeros([1, 12, 12, 1]), blocks, output_stride)


def test_arg_scope_values():
    scope = resnet_utils.resnet_arg_scope(0.5, 0.9, 0.1, False, tf.nn.elu, True, None)
    batch_norm = scope[slim.arg_scope_func_key(slim.batch_norm)]
    assert batch_norm == {"decay": 0.9, "epsilon": 0.1, "scale": False,
                          "updates_collections": None}
    conv2d = scope[slim.arg_scope_func_key(slim.conv2d)]
    assert conv2d["normalizer_params"] == batch_norm
    assert conv2d["normalizer_fn"] is slim.batch_norm and conv2d["activation_fn"] is tf.nn.elu
    with tf.Graph().as_default(), tf1.Session() as session:
        assert session.run(conv2d["weights_regularizer"](tf.constant([2.0, 4.0]))) == 5.0
    assert scope[slim.arg_scope_func_key(slim.max_pool2d)] == {"padding": "SAME"}
