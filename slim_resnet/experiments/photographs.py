"""Crops of scikit-image's photographs as data to train on; needs the extra ``experiments``.

Twelve photographs that the package ships and that are free of rights, a class each. What is
learnt from them is which photograph a crop is of: enough to have a network that has seen real
images, and not to know cats or coffee in any other.
"""

import os
from collections.abc import Iterator

import numpy as np

from slim_resnet.errors import SlimResnetError
from slim_resnet.experiments.digits import whole, write_pngs

# Names of skimage.data's functions.
PHOTOGRAPHS = ("astronaut", "brick", "chelsea", "coffee", "coins", "grass", "gravel",
               "hubble_deep_field", "immunohistochemistry", "moon", "retina", "rocket")
# Training crops are cut from the left of a photograph, test crops from the rest.
TRAIN_SHARE = 0.7
NUM_CROPS = {"train": 100, "test": 25}
# Sides of the square crops, in pixels, where the photograph is large enough.
SMALLEST, LARGEST = 64, 300
SEED = 0


def load_photographs() -> dict[str, np.ndarray]:
    """Returns ``{name: uint8 [height, width, 3]}``; grey ones have three equal channels.

    Raises:
      SlimResnetError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise SlimResnetError("the photographs need scikit-image: pip install "
                              "'slim-resnet[experiments]'") from error
    photographs = {name: getattr(data, name)() for name in PHOTOGRAPHS}
    return {name: image if image.ndim == 3 else np.repeat(image[..., np.newaxis], 3, 2)
            for name, image in photographs.items()}


def crops(image: np.ndarray, count: int, random: np.random.RandomState) -> Iterator[np.ndarray]:
    """Yields ``count`` square crops of an image at random places and of random sizes.

    Args:
      image: ``[height, width, 3]``, at least `SMALLEST` high and wide.
      count: How many.
      random: A ``numpy.random.RandomState``.
    """
    height, width, _ = image.shape
    for _ in range(count):
        size = random.randint(SMALLEST, min(height, width, LARGEST) + 1)
        top, left = random.randint(height - size + 1), random.randint(width - size + 1)
        yield image[top:top + size, left:left + size]


def write_photographs(folder: str | os.PathLike) -> dict[str, int]:
    """Writes ``{train,test}/<photograph>/<number>.png`` and ``photographs/<name>.png``.

    No pixel is in both a training and a test crop.

    Args:
      folder: Folder to make, or one without these names.

    Returns:
      ``{"train": images, "test": images}``, their numbers.

    Raises:
      SlimResnetError: scikit-image is missing, or the folder cannot be written to.
    """
    random = np.random.RandomState(SEED)
    photographs = load_photographs()
    files = {os.path.join("photographs", f"{name}.png"): image
             for name, image in photographs.items()}
    for name, image in photographs.items():
        split = round(image.shape[1] * TRAIN_SHARE)
        for part, pixels in (("train", image[:, :split]), ("test", image[:, split:])):
            for number, crop in enumerate(crops(pixels, NUM_CROPS[part], random)):
                files[os.path.join(part, name, f"{number:03}.png")] = crop
    with whole(folder, "train", "test", "photographs") as made:
        write_pngs(made, files)
    return {part: count * len(photographs) for part, count in NUM_CROPS.items()}
