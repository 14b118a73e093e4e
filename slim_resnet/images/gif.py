"""How large the frames of a GIF are, which its header does not say."""

import tensorflow as tf

_EXTENSION, _FRAME = 0x21, 0x2c
# What the walk is at: the beginning of a block, or the parts that its data come in.
_BLOCK, _PARTS, _END = 0, 1, 2


def frame_sizes(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Walks through the blocks of a GIF; works in graphs and eagerly.

    TensorFlow's decoder takes the memory for the indices of all frames, and for the colours
    of the first, whatever the size of the screen in the header.

    Args:
      contents: Scalar string tensor: the bytes of the file, up to any damage.

    Returns:
      ``(height, width, pixels)``, int64 scalars: how far the screen and all frames reach, and
      the pixels of all frames together.
    """
    # What is behind the end is a block that ends the file.
    data = tf.cast(tf.io.decode_raw(tf.strings.join([contents, b"\0" * 16]), tf.uint8), tf.int64)
    size = tf.cast(tf.strings.length(contents), tf.int64)

    def number(place):
        return data[place] + 256 * data[place + 1]

    def table(flags):
        """Returns the bytes of the colour table that a byte of flags announces."""
        entries = tf.bitwise.left_shift(tf.constant(2, tf.int64), tf.bitwise.bitwise_and(
            flags, tf.constant(7, tf.int64)))
        return tf.where(flags >= 128, 3 * entries, tf.zeros_like(entries))

    def step(at, state, height, width, pixels):
        def block():
            kind = data[at]
            is_frame = tf.equal(kind, _FRAME)
            behind = tf.where(is_frame, at + 11 + table(data[tf.minimum(at + 9, size)]), at + 2)
            known = is_frame | tf.equal(kind, _EXTENSION)
            return behind, tf.where(known, _PARTS, _END), tf.where(is_frame, at, -1)

        def parts():
            length = data[at]
            return at + length + 1, tf.where(tf.equal(length, 0), _BLOCK, _PARTS), \
                tf.constant(-1, tf.int64)

        at, state, frame = tf.cond(tf.equal(state, _BLOCK), block, parts)
        place = tf.maximum(frame, 0)
        is_frame = frame >= 0
        # Where it stands counts too: the picture reaches from the corner to its far side.
        right, bottom = (number(place + first) + number(place + first + 4) for first in (1, 3))
        own = tf.where(is_frame, number(place + 5) * number(place + 7), 0)
        return (at, state, tf.where(is_frame, tf.maximum(height, bottom), height),
                tf.where(is_frame, tf.maximum(width, right), width), pixels + own)

    at = 13 + table(data[10])
    _, _, height, width, pixels = tf.while_loop(
        lambda at, state, *_: (at < size) & (state < _END), step,
        (at, tf.constant(_BLOCK), number(8), number(6), tf.constant(0, tf.int64)))
    return height, width, pixels
