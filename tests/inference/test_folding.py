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


def test_fold_into_scales_the_outputs_and_the_biases():
    weights = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 2, 2)
    folded, biases = folding.fold_into(weights, np.array([10, 100]), np.array([1, 2]),
                                       np.array([3, 4]))
    np.testing.assert_array_equal(folded[0, 0], [[10, 200], [30, 400]])
    np.testing.assert_array_equal(biases, [31, 402])
    assert folded.dtype == np.float64


def test_folding_does_not_round_to_float32_between():
    scale, _ = folding.affine(np.float32([1 / 3]), [0], [0], [2])
    folded, _ = folding.fold_into(np.full([1, 1, 1, 1], 1 / 7, np.float32), scale, 0)
    exact = np.float64(np.float32(1 / 7)) * np.float64(np.float32(1 / 3)) / np.sqrt(2 + 1e-5)
    assert folded.item() == pytest.approx(exact, rel=1e-15)


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
