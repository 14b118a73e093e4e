"""``scipy.misc``'s pictures, through Pillow: files to arrays of bytes and back.

As scipy's did, a change of size or a file from numbers that are no bytes first spreads them from
their least to 0 and their greatest to 255.
"""

import numpy as np

from slim_resnet.errors import SlimResnetError


def _pillow():
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise SlimResnetError("scipy.misc's pictures need Pillow: "
                              "pip install 'slim-resnet[run]'") from None
    return Image


def bytescale(data, cmin=None, cmax=None, high=255, low=0):
    """Returns bytes: ``data`` spread linearly, ``cmin`` to ``low`` and ``cmax`` to ``high``."""
    data = np.asarray(data)
    if data.dtype == np.uint8:
        return data
    cmin = data.min() if cmin is None else cmin
    cmax = data.max() if cmax is None else cmax
    scale = (high - low) / float((cmax - cmin) or 1)
    return (np.clip((data - cmin) * scale + low, low, high) + 0.5).astype(np.uint8)


def toimage(arr, high=255, low=0, cmin=None, cmax=None, pal=None, mode=None,
            channel_axis=None):
    """Returns a Pillow image of an array of rank 2 or 3."""
    if pal is not None or channel_axis is not None:
        raise NotImplementedError("scipy.misc.toimage: pal and channel_axis are not stood in for")
    arr = np.asarray(arr)
    if mode == "F":
        return _pillow().fromarray(arr.astype(np.float32), mode="F")
    if arr.ndim == 3 and arr.shape[2] not in (3, 4) and arr.shape[0] in (3, 4):
        arr = arr.transpose(1, 2, 0)
    if arr.ndim not in (2, 3) or arr.ndim == 3 and arr.shape[2] not in (3, 4):
        raise ValueError(f"an array of shape {arr.shape} is no picture")
    image = _pillow().fromarray(bytescale(arr, cmin, cmax, high, low))
    return image if mode is None else image.convert(mode)


def fromimage(im, flatten=False, mode=None):
    """Returns the array of a Pillow image."""
    if mode is not None and mode != im.mode:
        im = im.convert(mode)
    elif im.mode == "P":
        im = im.convert("RGBA" if "transparency" in im.info else "RGB")
    elif im.mode == "1":
        im = im.convert("L")
    return np.array(im.convert("F") if flatten else im)


def imread(name, flatten=False, mode=None):
    """Returns a picture's array, ``[rows, columns]`` or ``[rows, columns, channels]``."""
    with _pillow().open(name) as image:
        return fromimage(image, flatten=flatten, mode=mode)


def imsave(name, arr, format=None):
    """Writes an array as a picture."""
    image = toimage(arr)
    image.save(name) if format is None else image.save(name, format)


def imresize(arr, size, interp="bilinear", mode=None):
    """Returns an array of another size.

    Args:
      size: Per cent, a fraction as a float, or ``(rows, columns)``.
      interp: ``nearest``, ``lanczos``, ``bilinear``, ``bicubic`` or ``cubic``.
    """
    image = toimage(arr, mode=mode)
    if isinstance(size, (int, np.integer)):
        size = tuple(int(side * (size / 100.0)) for side in image.size)
    elif isinstance(size, (float, np.floating)):
        size = tuple(int(side * size) for side in image.size)
    else:
        size = (int(size[1]), int(size[0]))
    filters = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "cubic": 3}
    return fromimage(image.resize(size, resample=filters[interp]))


def imrotate(arr, angle, interp="bilinear"):
    """Returns the array turned counterclockwise by degrees, its size kept."""
    filters = {"nearest": 0, "bilinear": 2, "bicubic": 3, "cubic": 3}
    return fromimage(toimage(arr).rotate(angle, resample=filters[interp]))


def imshow(arr):
    """Shows an array in a window."""
    toimage(arr).show()
