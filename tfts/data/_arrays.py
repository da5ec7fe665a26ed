"""Arrays that TensorFlow can share."""

import numpy as np


def aligned_empty(shape, dtype=np.float32):
    """An uninitialised array at an address that TensorFlow can use without a copy.

    Args:
        shape: Tuple of int.
        dtype: NumPy type.

    Returns:
        Array of that shape.

    Example:

    >>> aligned_empty((3, 2)).ctypes.data % 64
    0
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    spare = np.empty(size + 64, dtype=np.uint8)
    first = -spare.ctypes.data % 64
    return spare[first : first + size].view(dtype).reshape(shape)
