"""The preparation of images in numpy, equal to that of `images.preparation` to the last bit.

For what runs without TensorFlow. tests/images/test_plain.py holds both against each other.
"""

from collections.abc import Callable

import numpy as np

from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import MEAN, Preprocessing

# As `preparation.CENTRAL_FRACTION`, which cannot be had without TensorFlow.
CENTRAL_FRACTION = 0.875


def values_of(pixels: np.ndarray, name: str) -> np.ndarray:
    """Returns what a preparation of slim's makes of pixels that have their size already.

    Args:
      pixels: uint8 ``[..., channels]``.
      name: One of `settings.PREPROCESSING`.
    """
    return _finish(_convert(pixels, name), name, MEAN)


def prepare(image: np.ndarray, image_size: int, preprocessing: Preprocessing) -> np.ndarray:
    """Prepares one decoded image, see `preparation.preprocess`.

    Args:
      image: uint8 ``[height, width, channels]``.
      image_size: Height and width of the result, in pixels.
      preprocessing: How.

    Returns:
      float32 ``[image_size, image_size, channels]``.

    Raises:
      SlimResnetError: It does not go with the image or the size.
    """
    preprocessing.check_size(image_size)
    name = preprocessing.name
    mean = preprocessing.means(image.shape[-1]) if name == "vgg" else None
    image = _RULES[preprocessing.rule](image, lambda part: _convert(part, name), image_size,
                                       preprocessing.side)
    return _finish(image, name, mean)


def resize(image: np.ndarray, height: int, width: int, half_pixel: bool = False) -> np.ndarray:
    """Resizes float32 ``[height, width, channels]`` bilinearly, as TensorFlow's kernel does."""
    top, bottom, down = _neighbours(image.shape[0], height, half_pixel)
    left, right, across = _neighbours(image.shape[1], width, half_pixel)
    down, across = down[:, np.newaxis, np.newaxis], across[:, np.newaxis]

    def rows(numbers):
        picked = image[numbers]
        return picked[:, left] + (picked[:, right] - picked[:, left]) * across

    above = rows(top)
    return above + (rows(bottom) - above) * down


def _neighbours(length, wanted, half_pixel):
    """Returns for each place the two that it lies between, and how far from the first."""
    scale = np.float32(length) / np.float32(wanted)
    places = np.arange(wanted, dtype=np.float32)
    if half_pixel:
        places = (places + np.float32(0.5)) * scale - np.float32(0.5)
    else:
        places = places * scale
    below = np.floor(places)
    return (np.maximum(below.astype(np.int64), 0),
            np.minimum(np.ceil(places).astype(np.int64), length - 1), places - below)


def _convert(pixels, name):
    pixels = pixels.astype(np.float32)
    return pixels * np.float32(1 / 255) if name == "inception" else pixels


def _finish(image, name, mean):
    if name == "inception":
        return (image - np.float32(0.5)) * np.float32(2)
    return image - np.asarray(mean, np.float32) if name == "vgg" else image


def _central(image, convert, image_size, side):
    down, across = (int((length - length * CENTRAL_FRACTION) / 2) for length in image.shape[:2])
    height, width = image.shape[:2]
    return resize(convert(image[down:height - down, across:width - across]), image_size,
                  image_size)


def _shorter_side(image, convert, image_size, side):
    lengths = np.asarray(image.shape[:2], np.float32)
    height, width = np.rint(lengths * (np.float32(side) / lengths.min())).astype(int)
    if min(height, width) < image_size:
        raise SlimResnetError(f"the resized image is smaller than the {image_size} x {image_size} "
                              "pixels to crop of it")
    down, across = (height - image_size) // 2, (width - image_size) // 2
    return resize(convert(image), height, width)[down:down + image_size,
                                                 across:across + image_size]


def _whole(image, convert, image_size, side):
    return resize(convert(image), image_size, image_size)


def _whole_half_pixel(image, convert, image_size, side):
    if image.shape[:2] == (image_size, image_size):
        return convert(image)
    return resize(convert(image), image_size, image_size, half_pixel=True)


_RULES: dict[str, Callable] = {"central": _central, "shorter-side": _shorter_side,
                               "whole": _whole, "whole-half-pixel": _whole_half_pixel}
