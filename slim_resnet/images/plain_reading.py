"""Image files to batches without TensorFlow, where the numbers are the same to the last bit.

TensorFlow decodes JPEG with libjpeg-turbo's fast inverse transform, which the package
simplejpeg offers and Pillow does not: Pillow's pixels differ by up to 18 of 255. PNG of 8 bits
has one meaning, and Pillow reads it. Whatever else there is, another kind of file, colours
that need a conversion, or a fault of any kind, is left to TensorFlow, which has the last word
on what can be read. tests/images/test_plain_reading.py compares both.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from slim_resnet.common.files import irregularity_of
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import plain
from slim_resnet.images.batch import Batch
from slim_resnet.images.settings import Preprocessing, most_bytes

# With more files the import of TensorFlow pays: it decodes them on all cores, and ahead.
MOST_FILES = 64
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# Bits a sample, and colour types of gray, RGB, palette, gray and alpha, RGBA.
_PNG_BITS, _PNG_COLOURS = 8, (0, 2, 3, 4, 6)


def decode(path: str, max_pixels: int) -> np.ndarray | None:
    """Returns what TensorFlow makes of an image file, uint8 ``[height, width, 3]``.

    Args:
      path: The file.
      max_pixels: The most that an image may have.

    Returns:
      None where it is for TensorFlow to say, for whatever reason.
    """
    try:
        if irregularity_of(path, most_bytes(max_pixels)):
            return None
        with open(path, "rb") as file:
            contents = file.read()
        if contents.startswith(_JPEG):
            return _decode_jpeg(contents, max_pixels)
        if contents.startswith(_PNG):
            return _decode_png(contents, max_pixels)
    except Exception:
        # Of damage the decoders tell each in their own way, or not at all.
        return None
    return None


def _decode_jpeg(contents, max_pixels):
    import simplejpeg
    height, width, colours, _ = simplejpeg.decode_jpeg_header(contents)
    if height * width > max_pixels or colours not in ("YCbCr", "Gray"):
        return None
    return simplejpeg.decode_jpeg(contents, "RGB", fastdct=True, fastupsample=False)


def _decode_png(contents, max_pixels):
    from PIL import Image
    bits, colours = contents[24], contents[25]
    if bits != _PNG_BITS or colours not in _PNG_COLOURS or not _is_whole_png(contents):
        return None
    with Image.open(io.BytesIO(contents), formats=["PNG"]) as image:
        if image.width * image.height > max_pixels or getattr(image, "n_frames", 1) > 1:
            return None
        return np.asarray(image.convert("RGB"))


def _is_whole_png(contents):
    """Whether all chunks are what their checksums say; Pillow passes over some that are not."""
    at = len(_PNG)
    while True:
        length, kind = struct.unpack_from(">I4s", contents, at)
        checksum, = struct.unpack_from(">I", contents, at + 8 + length)
        if zlib.crc32(contents[at + 4:at + 8 + length]) != checksum:
            return False
        if kind == b"IEND":
            return True
        at += 12 + length


def read_images(paths: Sequence[str], image_size: int, preprocessing: Preprocessing,
                batch_size: int, channels: int = 3) -> Iterator[Batch]:
    """Reads image files as `reading.read_images` does, and imports TensorFlow if it has to.

    From the batch on that has the first file that TensorFlow is needed for, it reads all.
    """
    preprocessing.check_size(image_size)
    plainly = channels == 3 and len(paths) <= MOST_FILES
    for start in range(0, len(paths), batch_size):
        names = list(paths[start:start + batch_size])
        images = _prepared(names, image_size, preprocessing) if plainly else None
        if images is None:
            from slim_resnet.images import reading
            yield from reading.read_images(paths[start:], image_size, preprocessing, batch_size,
                                           channels=channels)
            return
        yield Batch(names, images, [None] * len(names), [None] * len(names))


def _prepared(names, image_size, preprocessing):
    """Returns images ``[N, image_size, image_size, 3]``, or None if one is for TensorFlow."""
    images = []
    for name in names:
        pixels = decode(name, preprocessing.max_pixels)
        if pixels is None or not pixels.size:
            return None
        try:
            images.append(plain.prepare(pixels, image_size, preprocessing))
        except SlimResnetError:
            return None
    return np.stack(images)
