"""scikit-learn's handwritten digits as data to train on; needs the extra ``experiments``.

1797 images of 8 x 8 pixels, ten classes: real, and small enough for a CPU.
"""

import os

import numpy as np

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
    try:
        for name, chosen in zip(("train", "test"), split(len(images))):
            os.makedirs(os.path.join(folder, name))
            np.savez_compressed(os.path.join(folder, f"{name}.npz"), images=images[chosen],
                                labels=labels[chosen], classes=list(map(str, range(10))))
            write_pngs(folder, {os.path.join(name, str(labels[k]), f"{k:04}.png"):
                                images[k][..., np.newaxis] for k in chosen})
            counts[name] = len(chosen)
    except OSError as error:
        raise SlimResnetError(f"{folder}: cannot be written: {error.strerror}") from error
    return counts


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
