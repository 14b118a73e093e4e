"""How large the frames of a GIF are, which its header does not say."""

import numpy as np
import tensorflow as tf

_EXTENSION, _FRAME = 0x21, 0x2c
# What the walk is at: the beginning of a block, or the parts that its data come in.
_BLOCK, _PARTS, _END = 0, 1, 2
# A frame's kind, place and size, and flags that announce its colours.
_FRAME_BYTES = 10
_TABLE_BYTES = np.array([3 * (2 << (flags & 7)) if flags & 128 else 0 for flags in range(256)])


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

    def bytes_at(place):
        return tf.unstack(tf.gather(data, place + np.arange(_FRAME_BYTES)))

    def table(flags):
        """Returns the bytes of the colour table that a byte of flags announces."""
        return tf.gather(_TABLE_BYTES, flags)

    def step(at, state, height, width, pixels):
        kind, *place, flags = bytes_at(at)
        left, top, own_width, own_height = (
            low + 256 * high for low, high in zip(place[::2], place[1::2]))
        at_block = tf.equal(state, _BLOCK)
        is_frame = at_block & tf.equal(kind, _FRAME)
        behind_block = tf.where(is_frame, at + 11 + table(flags), at + 2)
        known = is_frame | tf.equal(kind, _EXTENSION)
        # A part begins with its length; one of none ends the block.
        next_state = tf.where(tf.where(at_block, known, kind > 0), _PARTS,
                              tf.where(at_block, _END, _BLOCK))
        # Where it stands counts too: the picture reaches from the corner to its far side.
        counted = tf.cast(is_frame, tf.int64)
        return (tf.where(at_block, behind_block, at + kind + 1), next_state,
                tf.maximum(height, counted * (top + own_height)),
                tf.maximum(width, counted * (left + own_width)),
                pixels + counted * own_width * own_height)

    # The screen's width and height are followed by such flags too.
    low, high, low_height, high_height, flags, *_ = bytes_at(6)
    _, _, height, width, pixels = tf.while_loop(
        lambda at, state, *_: (at < size) & (state < _END), step,
        (13 + table(flags), tf.constant(_BLOCK), low_height + 256 * high_height,
         low + 256 * high, tf.constant(0, tf.int64)))
    return height, width, pixels
