"""Python's ``imp``, which left with 3.12, for user code."""

import importlib
import importlib.machinery
import importlib.util
import sys
import types
from importlib import reload  # noqa: F401

from slim_resnet.tf1 import imports

PY_SOURCE, PKG_DIRECTORY = 1, 5


def new_module(name):
    """Returns an empty module."""
    return types.ModuleType(name)


def load_source(name, pathname, file=None):
    """Runs a file as module ``name`` and returns it."""
    spec = importlib.util.spec_from_file_location(
        name, pathname, loader=imports.UserLoader(name, pathname))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load_dynamic(name, path, file=None):
    """Loads a compiled module as ``name`` and returns it."""
    spec = importlib.util.spec_from_file_location(
        name, path, loader=importlib.machinery.ExtensionFileLoader(name, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_module(name, path=None):
    """Returns ``(None, file name, description)`` for `load_module`.

    Raises:
      ImportError: If there is no such file.
    """
    spec = importlib.machinery.PathFinder.find_spec(name, path)
    if spec is None or not spec.origin:
        raise ImportError(f"No module named {name!r}", name=name)
    return None, spec.origin, (".py", "r", PY_SOURCE)


def load_module(name, file, pathname, description):
    """Runs what `find_module` found."""
    return load_source(name, pathname)
