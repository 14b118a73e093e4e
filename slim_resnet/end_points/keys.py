"""Keys of end points, as people type them."""

import difflib
import fnmatch
from collections.abc import Collection, Iterable

from slim_resnet.errors import SlimResnetError


def choose(patterns: Iterable[str], known: Collection[str]) -> list[str]:
    """Returns the keys of end points that people ask for, in the order of ``known``.

    Args:
      patterns: Keys, and `fnmatch` patterns of whole keys such as ``*/conv2``.
      known: End points that there are.

    Raises:
      SlimResnetError: A pattern fits no key; names the nearest ones.
    """
    chosen = set()
    for pattern in patterns:
        fitting = [key for key in known if fnmatch.fnmatchcase(key, pattern)]
        if not fitting:
            raise SlimResnetError(f"there is no end point {pattern!r}; "
                                  f"nearest: {', '.join(nearest_keys(pattern, known))}")
        chosen.update(fitting)
    return [key for key in known if key in chosen]


def check_end_points(keys: Iterable[str], known: Collection[str]) -> None:
    """Raises `SlimResnetError`, naming the nearest keys, for a key that is not known.

    Args:
      keys: End points that are asked for.
      known: End points that there are.
    """
    for key in keys:
        if key not in known:
            raise SlimResnetError(f"there is no end point {key!r}; "
                                  f"nearest: {', '.join(nearest_keys(key, known))}")


def nearest_keys(key: str, known: Iterable[str]) -> list[str]:
    """Returns the three ``known`` keys, or all, whose ends are most like a key or pattern."""
    def unlike(name):
        end = "/".join(name.split("/")[-key.count("/") - 1:])
        return -difflib.SequenceMatcher(None, key, end).ratio()

    return sorted(known, key=unlike)[:3]
