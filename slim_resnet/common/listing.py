"""One thing where a list of them is meant."""

import os
from collections.abc import Iterable
from typing import Any

# One path or several.
Paths = str | os.PathLike | Iterable[str | os.PathLike]


def listed(things: Any | Iterable[Any]) -> list[Any]:
    """Returns a list: of what is iterated over, or of one string or path by itself.

    Without it a string would be taken for its letters.
    """
    return [things] if isinstance(things, str | bytes | os.PathLike) else list(things)
