"""Labelled images in .npz files."""

import zipfile

import numpy as np

from slim_resnet.errors import SlimResnetError


def read_arrays(path: str) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
    """Reads labelled images from an .npz file.

    Args:
      path: Its arrays are ``images`` (``[N, H, W]`` or ``[N, H, W, 1 or 3]``, uint8, or
        floats from 0 to 1, which are rounded to 8 bits as image files have), ``labels``
        (integers ``[N]``) and perhaps ``classes`` (names).

    Returns:
      ``(images, labels, classes)``: uint8 ``[N, H, W, 1 or 3]``, int64 ``[N]``, and
      names of classes or None.

    Raises:
      SlimResnetError: The file cannot be read or an array is another.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("images", "labels", "classes")
                      if name in archive.files}
    except OSError as error:
        raise SlimResnetError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise SlimResnetError(f"{path}: is damaged or no .npz file: {error}") from error
    for name in ("images", "labels"):
        if name not in arrays:
            raise SlimResnetError(f"{path}: has no array {name}; it needs images and labels")
    pixels, labels = arrays["images"], arrays["labels"]
    if pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 4 or pixels.shape[-1] not in (1, 3) or not pixels.size:
        raise SlimResnetError(f"{path}: images have the shape {list(arrays['images'].shape)}; it "
                              "must be [N, H, W] or [N, H, W, 1 or 3]")
    if labels.shape != pixels.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise SlimResnetError(f"{path}: labels must be {len(pixels)} whole numbers from 0, one an "
                              f"image, not {labels.dtype} {list(labels.shape)}")
    if pixels.dtype.kind == "f":
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise SlimResnetError(f"{path}: images of floats must be between 0 and 1; they go "
                                  f"from {pixels.min()} to {pixels.max()}")
        pixels = np.round(pixels * 255).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise SlimResnetError(f"{path}: images are {pixels.dtype}; they must be uint8 or floats")
    least = int(labels.max()) + 1
    classes = [str(name) for name in arrays["classes"].ravel()] if "classes" in arrays else None
    if classes is not None and len(classes) < least:
        raise SlimResnetError(f"{path}: has {len(classes)} classes, and labels up to {least - 1}")
    return pixels, labels.astype(np.int64), classes
