"""Doing something when a module that is not imported yet is imported for the first time."""

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager


# By hand, as stderr is held around an import; wrapt's hooks are called after it only.
class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name, context):
        self._name, self._context = name, context

    def find_spec(self, name, path=None, target=None):
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            # Whoever asks whether there is such a module does not import it yet.
            sys.meta_path.insert(0, self)
        if spec is not None:
            load = spec.loader.exec_module

            def load_in_context(module):
                sys.meta_path.remove(self)
                with self._context():
                    load(module)

            spec.loader.exec_module = load_in_context
        return spec


def around_import(name: str, context: Callable[[], AbstractContextManager]) -> None:
    """Has the first import of a top-level module happen within ``context()``.

    Args:
      name: A module that is not imported yet.
      context: Returns a context manager.
    """
    sys.meta_path.insert(0, _Finder(name, context))
