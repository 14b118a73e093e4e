"""Keys of end points, as people type them."""

import difflib

from slim_resnet.errors import SlimResnetError


def check_end_points(keys, known):
    """Raises `SlimResnetError`, naming the nearest keys, for a key that is not known.

    Args:
      keys: End points that are asked for.
      known: End points that there are.
    """
    for key in keys:
        if key not in known:
            raise SlimResnetError(f"there is no end point {key!r}; "
                                  f"nearest: {', '.join(nearest_keys(key, known))}")


def nearest_keys(key, known):
    """Returns the three ``known`` keys, or all, whose ends are most like a key or pattern."""
    def unlike(name):
        end = "/".join(name.split("/")[-key.count("/") - 1:])
        return -difflib.SequenceMatcher(None, key, end).ratio()

    return sorted(known, key=unlike)[:3]
