"""From the contents of image files to pixels.

Decoding is TensorFlow's own, to 8 bits and as many channels as are asked for: 3 (RGB; alpha
is dropped, not blended), 1 (gray; of colours their luminance) or 4 (RGB and alpha, which the
file must have). 16-bit samples keep their high byte; CMYK is converted without a colour
profile; of a GIF only the first frame is read. EXIF orientation is not applied: pixels come
as they are stored, as in slim, whose training saw them so.
"""

import numpy as np
import tensorflow as tf

from slim_resnet.errors import SlimResnetError
from slim_resnet.images.gif import frame_sizes
from slim_resnet.images.settings import MAX_PIXELS

# What image files can be read as.
CHANNELS = (1, 3, 4)
_HEADER = 32
_OF_FOUR_BYTES = 256 ** np.arange(3, -1, -1)
_JPEG, _PNG, _GIF, _BMP = b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM"


def check_channels(channels: int) -> None:
    """Raises `SlimResnetError` unless image files can be read with so many channels."""
    if channels not in CHANNELS:
        raise SlimResnetError(f"the network takes images of {channels} channels, and image files "
                              "have 1, 3 or 4; evaluate takes an .npz file of others")


def decode(contents: tf.Tensor | bytes, channels: int = 3, max_pixels: int = MAX_PIXELS
           ) -> tf.Tensor:
    """Decodes JPEG, PNG, GIF (first frame) or BMP; works in graphs, tf.data and eagerly.

    Args:
      contents: Scalar string tensor: the bytes of the file.
      channels: One of `CHANNELS`.
      max_pixels: Images whose header says more are refused, before they are decoded.

    Returns:
      uint8 ``[height, width, channels]``; see the module's text for what becomes of
      alpha, colours, 16 bits, CMYK and EXIF.

    Raises:
      SlimResnetError: ``channels`` is another number.
      tf.errors.InvalidArgumentError: When it runs, on damaged or other contents, on too
        many pixels, and where the file has no alpha that is asked for.
    """
    check_channels(channels)
    contents = tf.convert_to_tensor(contents)
    with tf.control_dependencies(_asserted(*_within(contents, max_pixels))):
        contents = tf.identity(contents)
    image = tf.cond(
        _begins(contents, _BMP), lambda: _of_channels(_decode_bmp(contents), channels),
        lambda: _decode_others(contents, channels))
    image.set_shape([None, None, channels])
    return image


def _begins(contents, signature):
    # tf.equal, as == compares identity within tf.Graph().
    return tf.equal(tf.strings.substr(contents, 0, len(signature)), signature)


def _asserted(condition, message):
    """Returns what to wait for; in eager mode the assertion has run by then."""
    checked = tf.debugging.Assert(condition, [message])
    return [checked] if checked is not None else []


def _within(contents, max_pixels):
    """Returns whether the header's height and width are within the bound, and what to say."""
    header = tf.strings.join([tf.strings.substr(contents, 0, _HEADER), b"\0" * _HEADER])
    header = tf.cast(tf.io.decode_raw(header, tf.uint8)[:_HEADER], tf.int64)

    def number(*places):
        """Returns the number whose bytes are at four places, the highest byte first."""
        return tf.reduce_sum(tf.gather(header, places) * _OF_FOUR_BYTES)

    def of_bmp():
        # A negative height, in two's complement, counts rows from the top.
        width, height = number(21, 20, 19, 18), number(25, 24, 23, 22)
        return tf.minimum(height, 2**32 - height), width

    def of_jpeg():
        shape = tf.image.extract_jpeg_shape(contents)
        return tf.cast(shape[0], tf.int64), tf.cast(shape[1], tf.int64)

    def of_gif():
        height, width, pixels = frame_sizes(contents)
        # Of further frames only the indices are kept, a byte a pixel.
        return tf.maximum(height, pixels // (8 * tf.maximum(width, 1))), width

    nothing = tf.constant(0, tf.int64)
    height, width = tf.case([
        (_begins(contents, _JPEG), of_jpeg),
        (_begins(contents, _PNG), lambda: (number(20, 21, 22, 23), number(16, 17, 18, 19))),
        (_begins(contents, _GIF), of_gif),
        (_begins(contents, _BMP), of_bmp)], default=lambda: (nothing, nothing))
    return height <= max_pixels // tf.maximum(width, 1), tf.strings.join([
        "the image has ", tf.strings.as_string(height), " x ", tf.strings.as_string(width),
        f" pixels, more than {max_pixels} in all; --max-pixels takes more"])


def _decode_others(contents, channels):
    if channels == 3:
        return tf.io.decode_image(contents, channels=3, expand_animations=False)
    if channels == 1:
        # The decoder of GIF gives three channels only.
        return tf.cond(
            _begins(contents, _GIF), lambda: _of_channels(_decode_others(contents, 3), 1),
            lambda: tf.io.decode_image(contents, channels=1, expand_animations=False))
    return _of_channels(tf.io.decode_image(contents, channels=0, expand_animations=False), 4)


def _of_channels(image, channels):
    """Returns an image of any number of channels with those that are wanted."""
    given = tf.shape(image)[2]
    if channels == 3:
        return tf.cond(tf.equal(given, 1), lambda: tf.tile(image, [1, 1, 3]),
                       lambda: image[:, :, :3])
    if channels == 1:
        return tf.cond(
            tf.equal(given, 1), lambda: image, lambda: tf.image.rgb_to_grayscale(
                tf.ensure_shape(image[:, :, :3], [None, None, 3])))
    has_alpha = tf.equal(given, 4) | tf.equal(given, 2)
    with tf.control_dependencies(_asserted(
            has_alpha, "the network takes images of 4 channels, and the file has no alpha")):
        return tf.cond(tf.equal(given, 2), lambda: tf.gather(image, [0, 0, 0, 1], axis=2),
                       lambda: tf.identity(image))


def _decode_bmp(contents):
    # TensorFlow refuses three channels of a BMP that stores one or four, gives a
    # palette's numbers for grey values, and reads compressed rows as plain ones.
    image = tf.io.decode_bmp(contents)
    with tf.control_dependencies([image]):
        header = tf.io.decode_raw(tf.strings.substr(contents, 10, 24), tf.uint8)
    data_start, header_size, compression = (
        tf.bitcast(header[at:at + 4], tf.int32) for at in (0, 4, 20))
    plain = (header_size >= 40) & (tf.equal(compression, 0) | tf.equal(compression, 3))

    def through_palette():
        palette_start = 14 + header_size
        palette = tf.strings.substr(contents, palette_start,
                                    (data_start - palette_start) // 4 * 4)
        blue_green_red_0 = tf.reshape(tf.io.decode_raw(palette, tf.uint8), [-1, 4])
        return tf.gather(blue_green_red_0[:, 2::-1], tf.cast(image[:, :, 0], tf.int32))

    with tf.control_dependencies(_asserted(
            plain, "BMP is compressed or of the OS/2 kind, which cannot be read")):
        return tf.cond(tf.equal(tf.shape(image)[2], 1), through_palette,
                       lambda: tf.identity(image))
