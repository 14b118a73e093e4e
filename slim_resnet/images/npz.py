"""Labelled images in .npz files."""

import numpy as np

from slim_resnet.common import npz
from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import MAX_PIXELS, MOST_CLASSES


def read_arrays(path: str, labels_offset: int = 0, max_pixels: int = MAX_PIXELS
                ) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
    """Reads labelled images from an .npz file.

    Args:
      path: Its arrays are ``images`` (``[N, H, W]`` or ``[N, H, W, channels]``, uint8, or
        floats from 0 to 1, which are rounded to 8 bits as image files have), ``labels``
        (integers ``[N]``) and perhaps ``classes`` (a name for every label from 0).
      labels_offset: The label of class 0.
      max_pixels: Images of more are refused.

    Returns:
      ``(images, labels, classes)``: uint8 ``[N, H, W, channels]``, int64 ``[N]``, and
      names of classes or None.

    Raises:
      SlimResnetError: The file cannot be read or an array is another.
    """
    arrays = _arrays(path, max_pixels)
    for name in ("images", "labels"):
        if name not in arrays:
            raise SlimResnetError(f"{path}: has no array {name}; it needs images and labels")
    pixels, labels = arrays["images"], arrays["labels"]
    if pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 4 or not pixels.size:
        raise SlimResnetError(f"{path}: images have the shape {list(arrays['images'].shape)}; it "
                              "must be [N, H, W] or [N, H, W, channels]")
    if labels.shape != pixels.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise SlimResnetError(f"{path}: labels must be {len(pixels)} whole numbers from 0, one an "
                              f"image, not {labels.dtype} {list(labels.shape)}")
    check_label(path, int(labels.max()))
    labels = labels.astype(np.int64) - labels_offset
    check_label(path, int(labels.min()), labels_offset)
    if pixels.dtype.kind == "f":
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise SlimResnetError(f"{path}: images of floats must be between 0 and 1; they go "
                                  f"from {pixels.min()} to {pixels.max()}")
        pixels = np.round(pixels * 255).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise SlimResnetError(f"{path}: images are {pixels.dtype}; they must be uint8 or floats")
    return pixels, labels, _names(path, arrays.get("classes"), labels, labels_offset)


def check_label(name: str, label: int, labels_offset: int = 0) -> None:
    """Raises `SlimResnetError` if a label cannot be the number of a class.

    Args:
      name: The file.
      label: A class number: the label in the file less the offset.
      labels_offset: The label of class 0.
    """
    if label < 0:
        raise SlimResnetError(f"{name}: has the label {label + labels_offset}; classes count from "
                              f"{labels_offset}{', as --labels-offset says' * bool(labels_offset)}")
    if label >= MOST_CLASSES:
        raise SlimResnetError(f"{name}: has the label {label + labels_offset}, which is no number "
                              f"of a class; there may be {MOST_CLASSES} classes")


def _names(path, names, labels, labels_offset):
    if names is None:
        return None
    names = [str(name) for name in names.ravel()]
    # A label above 0 for class 0 leaves the first names over; below, they are missing.
    names = [None] * -labels_offset + names[max(0, labels_offset):]
    least = int(labels.max()) + 1
    if len(names) < least:
        raise SlimResnetError(f"{path}: has {len(names)} classes, and labels up to {least - 1}")
    return names


def _arrays(path, max_pixels):
    def check(shape):
        if len(shape) > 2 and shape[1] * shape[2] > max_pixels:
            raise SlimResnetError(f"{path}: images have {shape[1]} x {shape[2]} pixels, more than "
                                  f"{max_pixels} in all; --max-pixels takes more")

    with npz.opened_zip(path, "no .npz file") as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        return {name: npz.read_array(archive, members[name], name,
                                     *([check] if name == "images" else []))
                for name in ("images", "labels", "classes") if name in members}
