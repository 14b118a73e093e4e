"""Keys of end points, as people type them: one reading of them, for every function and command."""

import difflib
import fnmatch
from collections.abc import Collection, Iterable

from slim_resnet.common.listing import listed
from slim_resnet.common.text import shared_scope
from slim_resnet.errors import SlimResnetError

# The pooled features: what newer slims have among the end points, and the op that makes them.
_GLOBAL_POOL, _POOL5 = "global_pool", "pool5"
# Candidates that a message names.
_SHOWN = 6


def choose(patterns: str | Iterable[str], known: Collection[str]) -> list[str]:
    """Returns the keys of end points that people ask for, in the order of ``known``.

    A pattern is, the first that fits counts:

    * a key;
    * with the shell's ``* ? [...]``, all keys that it fits as a whole, or else by their ends:
      ``*/conv2``, ``block3/unit_*/bottleneck_v2``;
    * the end of one key, from a slash on: ``block4``;
    * the middle of one key, or of one and of those that it holds: ``block3/unit_12`` is
      ``<scope>/block3/unit_12/bottleneck_v2``;
    * ``<scope>/pool5`` for ``global_pool``, and the other way round.

    Args:
      patterns: One or several.
      known: End points that there are.

    Raises:
      SlimResnetError: A pattern fits no key; names the nearest ones. Or one without
        wildcards fits several; names them.
    """
    chosen = set()
    for pattern in listed(patterns):
        chosen.update(_fitting(pattern, known))
    return [key for key in known if key in chosen]


def choose_one(key: str, known: Collection[str]) -> str:
    """Returns the one key that people ask for, see `choose`.

    Raises:
      SlimResnetError: It is none, or several.
    """
    chosen = choose([key], known)
    if len(chosen) > 1:
        raise SlimResnetError(f"{key!r} names {len(chosen)} end points where one is meant: "
                              f"{_some(chosen)}")
    return chosen[0]


def nearest_keys(key: str, known: Iterable[str]) -> list[str]:
    """Returns the three ``known`` keys, or all, whose ends are most like a key or pattern."""
    def unlike(name):
        end = "/".join(name.split("/")[-key.count("/") - 1:])
        return -difflib.SequenceMatcher(None, key, end).ratio()

    return sorted(known, key=unlike)[:3]


def _fitting(pattern, known):
    if not isinstance(pattern, str):
        raise SlimResnetError(f"an end point is named by a string, not by {pattern!r}")
    pools = _other_names_of_pool(known)
    names = {**{key: key for key in known}, **pools}
    # The pool's other name is tried after the keys, so that "*" fits what is there, once.
    for among in (known, pools):
        fitting = _named(pattern, among)
        if fitting:
            break
    else:
        raise SlimResnetError(f"there is no end point {pattern!r}; "
                              f"nearest: {', '.join(nearest_keys(pattern, names)) or 'none'}")
    if len(fitting) > 1 and not _has_wildcards(pattern):
        are_ends = all(key.endswith(f"/{pattern}") for key in fitting)
        raise SlimResnetError(f"{pattern!r} is the name of {len(fitting)} end points: "
                              f"{_some(fitting)}; give more of the one that is meant"
                              + (f", or '*/{pattern}' for all" if are_ends else ""))
    return {names[name] for name in fitting}


def _named(pattern, keys):
    """Returns the keys that a pattern names, in their order."""
    if pattern in keys:
        return [pattern]
    if _has_wildcards(pattern):
        return _matching(pattern, keys) or _matching(f"*/{pattern}", keys)
    ends = [key for key in keys if key.endswith(f"/{pattern}")]
    if ends:
        return ends
    held = [key for key in keys if f"/{pattern}/" in f"/{key}"]
    return [key for key in held if not any(key.startswith(f"{other}/") for other in held)]


def _matching(pattern, keys):
    return [key for key in keys if fnmatch.fnmatchcase(key, pattern)]


def _has_wildcards(pattern):
    return any(character in pattern for character in "*?[")


def _other_names_of_pool(known):
    """Maps the name of the pooled features that is no key to the one that is."""
    if _GLOBAL_POOL in known:
        scope = shared_scope(known)
        other = f"{scope}/{_POOL5}" if scope else _POOL5
        return {} if other in known else {other: _GLOBAL_POOL}
    pools = _named(_POOL5, known)
    return {_GLOBAL_POOL: pools[0]} if len(pools) == 1 else {}


def _some(keys):
    shown = ", ".join(keys[:_SHOWN])
    return shown + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
