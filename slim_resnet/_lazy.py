"""Faces of packages: their names load when they are first asked for (PEP 562)."""

import importlib
from collections.abc import Callable
from typing import Any


def face(package: str, names: dict[str, str]) -> tuple[
        Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Returns a package's ``__getattr__``, ``__dir__`` and ``__all__``.

    Args:
      package: The package's ``__name__``.
      names: Maps each of its modules to the names, parted by blanks, that it gives.
    """
    homes = {name: module for module, offered in names.items() for name in offered.split()}

    def get(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, lambda: sorted(homes), list(homes)
