"""Arithmetic of batch norms in inference mode, folded into what is beside them.

Pure numpy. Everything is computed in float64 and rounded once, by `rounded`.
"""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

# Of slim's and the blog's resnet_arg_scope; checkpoints do not record it.
EPSILON = 1e-5


def affine(gamma: ArrayLike, beta: ArrayLike, moving_mean: ArrayLike, moving_variance: ArrayLike,
           epsilon: float = EPSILON) -> tuple[np.ndarray, np.ndarray]:
    """Returns ``(scale, offset)``, float64 ``[C]``, so that batch norm is ``x * scale + offset``.

    Args:
      gamma, beta, moving_mean, moving_variance: ``[C]``; no variance is negative.
      epsilon: Added to the variance before its square root.
    """
    gamma, beta, mean, variance = (np.asarray(values, np.float64) for values in
                                   (gamma, beta, moving_mean, moving_variance))
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def fold_into(weights: ArrayLike, scale: np.ndarray, offset: np.ndarray, biases: ArrayLike = 0.0
              ) -> tuple[np.ndarray, np.ndarray]:
    """Folds ``x * scale + offset`` behind a convolution into it.

    Args:
      weights: ``[height, width, in, out]``.
      scale, offset: ``[out]``.
      biases: The convolution's own, ``[out]``.

    Returns:
      ``(weights, biases)``, float64.
    """
    return np.asarray(weights, np.float64) * scale, biases * scale + offset


def rounded(values: ArrayLike, dtype: DTypeLike) -> np.ndarray:
    """Returns float64 values rounded to nearest, ties to even, in one step.

    Args:
      values: An array.
      dtype: numpy's float32, or TensorFlow's bfloat16 as a numpy dtype.
    """
    values = np.asarray(values, np.float64)
    if np.dtype(dtype) == np.float32:
        with np.errstate(over="ignore"):
            return values.astype(np.float32)
    # numpy's cast goes through float32 and so rounds twice. bfloat16 keeps 7 of the
    # 52 bits behind the point; adding half of what is dropped carries into them.
    bits = values.view(np.uint64)
    dropped = np.uint64(45)
    half = np.uint64((1 << 44) - 1) + ((bits >> dropped) & np.uint64(1))
    return (((bits + half) >> dropped) << dropped).view(np.float64).astype(np.float32).astype(dtype)
