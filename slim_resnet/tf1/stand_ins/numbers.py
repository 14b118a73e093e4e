"""Names of numpy that are neither another name of it nor Python's."""

import numpy as np

NINF, PZERO, NZERO = -np.inf, 0.0, -0.0


def asscalar(a):
    """Returns an array of one element as Python's number."""
    return np.asarray(a).item()


def fast_copy_and_transpose(a):
    """Returns a transposed copy."""
    return np.array(a).T.copy()
