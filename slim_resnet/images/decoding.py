"""From the contents of image files to pixels.

Decoding is TensorFlow's own, always to RGB of 8 bits. Alpha is dropped, not blended;
16-bit samples keep their high byte; CMYK is converted without a colour profile; of a
GIF only the first frame is read. EXIF orientation is not applied: pixels come as they
are stored, as in slim, whose training saw them so.
"""

import tensorflow as tf


def decode(contents: tf.Tensor | bytes) -> tf.Tensor:
    """Decodes JPEG, PNG, GIF (first frame) or BMP; works in graphs, tf.data and eagerly.

    Args:
      contents: Scalar string tensor: the bytes of the file.

    Returns:
      uint8 ``[height, width, 3]``, RGB; see the module's text for what becomes of
      alpha, 16 bits, CMYK and EXIF.

    Raises:
      tf.errors.InvalidArgumentError: When it runs, on damaged or other contents.
    """
    contents = tf.convert_to_tensor(contents)
    is_bmp = tf.strings.regex_full_match(tf.strings.substr(contents, 0, 2), "BM")
    image = tf.cond(
        is_bmp, lambda: _decode_bmp(contents),
        lambda: tf.io.decode_image(contents, channels=3, expand_animations=False))
    image.set_shape([None, None, 3])
    return image


def _decode_bmp(contents: tf.Tensor) -> tf.Tensor:
    # TensorFlow refuses three channels of a BMP that stores one or four, gives a
    # palette's numbers for grey values, and reads compressed rows as plain ones.
    image = tf.io.decode_bmp(contents)
    with tf.control_dependencies([image]):
        header = tf.io.decode_raw(tf.strings.substr(contents, 10, 24), tf.uint8)
    data_start, header_size, compression = (
        tf.bitcast(header[at:at + 4], tf.int32) for at in (0, 4, 20))
    # tf.equal, as == compares identity within tf.Graph().
    plain = tf.debugging.Assert(
        (header_size >= 40) & (tf.equal(compression, 0) | tf.equal(compression, 3)),
        ["BMP is compressed or of the OS/2 kind, which cannot be read"])

    def through_palette():
        palette_start = 14 + header_size
        palette = tf.strings.substr(contents, palette_start,
                                    (data_start - palette_start) // 4 * 4)
        blue_green_red_0 = tf.reshape(tf.io.decode_raw(palette, tf.uint8), [-1, 4])
        return tf.gather(blue_green_red_0[:, 2::-1], tf.cast(image[:, :, 0], tf.int32))

    # In eager mode the assertion has run by now and there is no op to wait for.
    with tf.control_dependencies([plain] if plain is not None else []):
        return tf.cond(tf.equal(tf.shape(image)[2], 1), through_palette, lambda: image[:, :, :3])
