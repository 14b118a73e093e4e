"""The arithmetic of folding, against numbers worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.inference.folded import folding

BFLOAT16 = tf.bfloat16.as_numpy_dtype


def test_affine_by_hand():
    scale, offset = folding.affine([2, 3], [1, -1], [0.5, 2], [4, 0.25], epsilon=0)
    np.testing.assert_array_equal(scale, [1, 6])
    np.testing.assert_array_equal(offset, [0.5, -13])


def test_epsilon_is_added_to_the_variance():
    scale, _ = folding.affine([1], [0], [0], [0])
    assert scale == pytest.approx(1e5 ** 0.5, rel=1e-12)


def test_a_scale_is_by_output():
    weights = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 2, 2)
    folded = folding.rounded(weights, np.float32, np.array([10.0, 100.0]))
    np.testing.assert_array_equal(folded[0, 0], [[10, 200], [30, 400]])
    assert folded.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, BFLOAT16], ids=["float32", "bfloat16"])
def test_a_product_is_rounded_once(dtype):
    """Not its factor first, and in pieces as in one: numpy's buffers hold 8192 numbers."""
    weights = np.random.default_rng(0).normal(size=[3, 3, 50, 70]).astype(np.float32)
    scale = np.random.default_rng(1).normal(size=70)
    exact = weights.astype(np.float64) * scale
    got = folding.rounded(weights, dtype, scale)
    np.testing.assert_array_equal(got, folding.rounded(exact, dtype))
    by_rounded_factor = (weights * scale.astype(np.float32)).astype(dtype)
    assert (got != by_rounded_factor).any()
    if dtype == np.float32:
        np.testing.assert_array_equal(got, exact.astype(np.float32))


@pytest.mark.parametrize("shape", [[], [3], [2, 3, 5]])
def test_memory_is_aligned(shape):
    for dtype in (np.float32, BFLOAT16):
        got = folding.rounded(np.ones(shape, np.float32), dtype)
        assert got.shape == tuple(shape) and got.ctypes.data % 64 == 0 and (got == 1).all()


@pytest.mark.parametrize("value, expected", [
    (1 + 2 ** -8, 1),  # a tie goes to the even one
    (1 + 3 * 2 ** -8, 1 + 2 ** -6),
    (1 + 2 ** -8 + 2 ** -40, 1 + 2 ** -7),  # float32 would make a tie of it
    (-(1 + 2 ** -8 + 2 ** -40), -(1 + 2 ** -7)),
    (0.0, 0.0), (2 - 2 ** -9, 2.0), (-3.5, -3.5)])
def test_bfloat16_is_rounded_once(value, expected):
    got = folding.rounded([value], BFLOAT16)
    assert got.dtype == BFLOAT16
    assert got.astype(np.float64).item() == expected


def test_float32_is_rounded_to_nearest():
    assert folding.rounded([1 / 3], np.float32).item() == np.float32(1 / 3)
