"""Arithmetic of batch norms in inference mode, folded into what is beside them.

Pure numpy. Everything is computed in float64 and rounded once, by `rounded`.
"""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

# Of tensors' memory, in bytes; TensorFlow copies arrays that are not aligned so.
_ALIGNMENT = 64
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


def rounded(values: ArrayLike, dtype: DTypeLike, scale: ArrayLike = 1.0) -> np.ndarray:
    """Returns ``values * scale``, by float64, rounded to nearest, ties to even, in one step.

    A batch norm ``x * scale + offset`` behind a convolution is folded into it so: the
    weights ``[height, width, in, out]`` are scaled by output, and ``offset`` is the biases.

    Args:
      values: An array.
      dtype: numpy's float32, or TensorFlow's bfloat16 as a numpy dtype.
      scale: What is broadcast to the values.

    Returns:
      An array at an address where TensorFlow takes its memory as it is.
    """
    values = np.asarray(values)
    result = _aligned(values.shape, dtype)
    with np.errstate(over="ignore"):
        if np.dtype(dtype) == np.float32:
            # In small pieces: no float64 array as large as the weights is made.
            np.multiply(values, scale, out=result, dtype=np.float64, casting="unsafe")
            return result
        values = np.multiply(values, scale, dtype=np.float64)
    # numpy's cast goes through float32 and so rounds twice. bfloat16 keeps 7 of the
    # 52 bits behind the point; adding half of what is dropped carries into them.
    bits = values.view(np.uint64)
    dropped = np.uint64(45)
    half = np.uint64((1 << 44) - 1) + ((bits >> dropped) & np.uint64(1))
    result[...] = (((bits + half) >> dropped) << dropped).view(np.float64).astype(np.float32)
    return result


def _aligned(shape, dtype):
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start:start + size].view(dtype).reshape(shape)
