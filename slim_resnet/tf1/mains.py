"""The module ``__main__`` of a script, in its own process and in its children."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import types

from slim_resnet.errors import SlimResnetError
from slim_resnet.tf1 import imports


def main_module(name: str, path: str, spec: importlib.machinery.ModuleSpec | None = None
                ) -> types.ModuleType:
    """Returns the module that a script is run in, empty yet."""
    module = types.ModuleType(name)
    module.__dict__.update(
        __file__=path, __builtins__=imports.user_builtins(), __cached__=None, __spec__=spec,
        __loader__=imports.UserLoader(name, path),
        __package__=spec.parent if spec is not None else None)
    return module


def module_spec(name: str) -> importlib.machinery.ModuleSpec:
    """Returns what ``python -m NAME`` runs.

    Raises:
      SlimResnetError: There is no such module, or it has no source file.
    """
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] and not name.startswith(f"{error.name}."):
            raise
        spec = None
    if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
        raise SlimResnetError(f"no module {name} with a source file on sys.path")
    return spec


def import_main(path: str | None, name: str | None) -> None:
    """Imports the script as ``__mp_main__`` in a child of ``multiprocessing``."""
    spec = module_spec(name) if name else None
    path = spec.origin if spec else path
    module = main_module("__mp_main__", path, spec)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    exec(imports.compile_user(pathlib.Path(path).read_bytes(), path), module.__dict__)
