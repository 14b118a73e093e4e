"""scikit-learn's handwritten digits as data to train on; needs the extra ``experiments``.

1797 images of 8 x 8 pixels, ten classes: real, and small enough for a CPU.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator

import numpy as np

from slim_resnet.common.files import made_folder, writing_errors
from slim_resnet.errors import SlimResnetError

# A fifth is set apart for testing, by a fixed seed.
TEST_SHARE, SEED = 0.2, 0


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns ``(images, labels)``: uint8 ``[1797, 8, 8]`` and int64 ``[1797]``.

    Raises:
      SlimResnetError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise SlimResnetError("the digits need scikit-learn: pip install "
                              "'slim-resnet[experiments]'") from error
    digits = datasets.load_digits()
    # Their values go from 0 to 16.
    return np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target.astype(np.int64)


def split(num_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of training and of test images, two arrays."""
    order = np.random.RandomState(SEED).permutation(num_images)
    num_test = round(num_images * TEST_SHARE)
    return np.sort(order[num_test:]), np.sort(order[:num_test])


def write_digits(folder: str | os.PathLike) -> dict[str, int]:
    """Writes ``{train,test}.npz`` and ``{train,test}/<digit>/<number>.png``.

    Args:
      folder: Folder to make, or one without these names.

    Returns:
      ``{"train": images, "test": images}``, their numbers.

    Raises:
      SlimResnetError: scikit-learn is missing, or the folder cannot be written to.
    """
    images, labels = load_digits()
    counts = {}
    with whole(folder, "train", "test", "train.npz", "test.npz") as made:
        for name, chosen in zip(("train", "test"), split(len(images))):
            np.savez_compressed(os.path.join(made, f"{name}.npz"), images=images[chosen],
                                labels=labels[chosen], classes=list(map(str, range(10))))
            write_pngs(made, {os.path.join(name, str(labels[k]), f"{k:04}.png"):
                              images[k][..., np.newaxis] for k in chosen})
            counts[name] = len(chosen)
    return counts


@contextlib.contextmanager
def whole(folder: str | os.PathLike, *names: str) -> Iterator[str]:
    """Yields a folder to write files and folders of ``names`` to; a whole set goes to ``folder``.

    Raises:
      SlimResnetError: One of the names is there, or the folder cannot be written to.
    """
    for name in names:
        if os.path.lexists(os.path.join(folder, name)):
            raise SlimResnetError(f"{folder}: has {name} already; name another folder")
    with made_folder(folder), writing_errors(folder), \
         tempfile.TemporaryDirectory(dir=folder, prefix=".data.") as made:
        yield made
        for name in names:
            os.replace(os.path.join(made, name), os.path.join(folder, name))


def write_pngs(folder: str | os.PathLike, images: dict[str, np.ndarray]) -> None:
    """Writes PNG files, and the folders that they are in.

    Args:
      folder: Folder to write into.
      images: Maps paths within it to uint8 ``[height, width, 1 or 3]``.

    Raises:
      OSError: A file cannot be written.
    """
    import tensorflow as tf
    for path, image in images.items():
        path = os.path.join(folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(tf.io.encode_png(image).numpy())
