"""Images that a program gives: files, folders and pixels, one or many."""

import dataclasses
import itertools
import os
import sys
import typing
from typing import Any

import numpy as np

from slim_resnet.common.listing import listed
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.finding import find_images
from slim_resnet.images.sources import Arrays, ImageFiles

_CHANNELS = (1, 3, 4)
# PIL's modes whose pixels are what a PNG file of the image would be read as, and what the
# others that have 8 bits are converted to. Alpha is dropped, as from files.
_PIL_MODES = {"RGB": "RGB", "L": "L", "RGBA": "RGB", "P": "RGB", "1": "L", "LA": "L"}


@dataclasses.dataclass(frozen=True, eq=False)
class Pixels(Arrays):
    """Pixels that a program has; ``files`` are what they are called."""

    is_labelled: typing.ClassVar[bool] = False

    def name(self, key: int) -> str:
        return self.files[key]


def sources_of(images: Any) -> list[ImageFiles | Pixels]:
    """Opens images of any kind, in their order.

    Pixels are called ``image 0``, ``image 1``, ..., by their place among all images.

    Args:
      images: One or an iterable of: image files and folders, see `finding.find_images`;
        arrays of uint8, ``[H, W]``, ``[H, W, channels]`` or ``[N, H, W, channels]``; PIL
        images, whose pixels are taken as they are.

    Raises:
      SlimResnetError: A path does not exist, or pixels are of another kind. Floats are
        refused: whether they go from 0 to 1, from -1 to 1 or to 255 cannot be told.
    """
    opened, count = [], 0
    for image in _items(images):
        if isinstance(image, str | os.PathLike):
            found = find_images([image])
            opened.append((None, found))
        else:
            found = _pixels(image, f"image {count}")
            opened.append((found.shape[1:], found))
        count += len(found)
    sources, count = [], 0
    for shape, group in itertools.groupby(opened, lambda one: one[0]):
        parts = [found for _, found in group]
        if shape is None:
            source = ImageFiles(list(itertools.chain.from_iterable(parts)))
        else:
            pixels = parts[0] if len(parts) == 1 else np.concatenate(parts)
            source = Pixels([f"image {count + k}" for k in range(len(pixels))], pixels,
                            [0] * len(pixels))
        sources.append(source)
        count += source.num_images
    return sources


def _items(images):
    """Returns single images; an array of pixels may hold several."""
    if _is_pil(images):
        return [images]
    if hasattr(images, "__array__"):
        # Of paths there are arrays too.
        array = np.asarray(images)
        return [array] if array.dtype.kind in "biufc" else array.ravel().tolist()
    return listed(images)


def _is_pil(image):
    return "PIL.Image" in sys.modules and isinstance(image, sys.modules["PIL.Image"].Image)


def _pixels(image, name):
    """Returns uint8 ``[N, H, W, channels]``."""
    if _is_pil(image):
        if image.mode not in _PIL_MODES:
            raise SlimResnetError(f"{name}: is a PIL image of the mode {image.mode}; give "
                                  "image.convert('RGB'), if that is what it shows")
        if image.mode == "RGBA":
            image = np.asarray(image)[..., :3]
        else:
            image = image.convert(_PIL_MODES[image.mode])
    elif not hasattr(image, "__array__"):
        raise SlimResnetError(f"{name}: is {type(image).__name__}; give a path, an array of uint8 "
                              "or a PIL image")
    array = np.asarray(image)
    if array.dtype != np.uint8:
        raise SlimResnetError(
            f"{name}: is an array of {array.dtype}; give pixels from 0 to 255 as uint8, as "
            "another range cannot be told from the values (prepared images go to Network.logits, "
            ".probabilities and .features)")
    shape = list(array.shape)
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim == 3 and array.shape[-1] in _CHANNELS:
        array = array[np.newaxis]
    if array.ndim != 4 or array.shape[-1] not in _CHANNELS or not array.size:
        raise SlimResnetError(f"{name}: is an array of the shape {shape}; pixels are [H, W], "
                              "[H, W, channels] or [N, H, W, channels], of 1, 3 or 4 channels")
    return array
