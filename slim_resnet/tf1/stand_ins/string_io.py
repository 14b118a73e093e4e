"""Python 2's ``StringIO`` and ``cStringIO``, which held bytes as well as text."""

import io


def StringIO(initial=""):
    """Returns ``io.BytesIO`` for bytes, ``io.StringIO`` for text."""
    return io.BytesIO(initial) if isinstance(initial, bytes) else io.StringIO(initial)
