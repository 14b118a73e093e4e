"""Modules under TensorFlow 1.15's names, made of what `slim_resnet.tf1.names` says.

They are no part of ``sys.modules``: user code alone is given them, by the ``__import__`` of
`slim_resnet.tf1.imports`, and every library goes on seeing the TensorFlow that is installed.
"""

import importlib
import importlib.resources
import types

from slim_resnet.errors import SlimResnetError
from slim_resnet.tf1 import checks, names, repairs, sources
from slim_resnet.tf1.absent import Absent
from slim_resnet.tf1.sources import MISSING

_facades = {}


def _table(file):
    """Reads ``PATH: NAME NAME=MODULE ...`` with its continued lines as ``{path: {name: to}}``."""
    table, path = {}, None
    for line in importlib.resources.files("slim_resnet.tf1").joinpath(file).read_text(
            encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if not line.startswith(" "):
            path, _, line = line.partition(":")
        for item in line.split():
            name, _, to = item.partition("=")
            table.setdefault(path, {})[name] = to
    return table


PYTHON_NAMES = {f"python.{path}": moved
                for path, moved in _table("names_python.txt").items()}
CONTRIB_NAMES = {f"contrib.{path}": lost
                 for path, lost in _table("names_contrib.txt").items()}


def _gone(path):
    """Returns an `Absent` where TensorFlow 1.15 had the path and nothing has it now."""
    parent, _, name = path.rpartition(".")
    first, _, rest = path.partition(".")
    if first == "contrib" and rest:
        package = rest.partition(".")[0]
        if package in names.LOST_CONTRIB:
            return Absent(f"tensorflow.{path}", names.LOST_CONTRIB[package])
        if f"{rest}.".startswith(f"{package}.python.") or name in CONTRIB_NAMES.get(parent, {}):
            return Absent(f"tensorflow.{path}")
    if name in PYTHON_NAMES.get(parent, {}) or "*" in PYTHON_NAMES.get(parent, {}) \
            or "*" in PYTHON_NAMES.get(path, {}):
        return Absent(f"tensorflow.{path}")
    return MISSING


def _moved(path):
    parent, _, name = path.rpartition(".")
    to = PYTHON_NAMES.get(parent, {}).get(name)
    if not to:
        return MISSING
    module, _, other = to.partition("#")
    return sources.load(f"tensorflow.python.{module}.{other or name}")


class Facade(types.ModuleType):
    """A module of TensorFlow 1.

    Args:
      path: Its name without ``tensorflow.``.
      module_sources: Dotted paths of the objects whose names it shows.
    """

    def __init__(self, path, module_sources):
        super().__init__(f"tensorflow.{path}".rstrip("."))
        self.__dict__.update(_path=path, _sources=module_sources, __path__=[])

    def _look(self, name):
        for source in self._sources:
            origin = sources.load(source)
            if origin is MISSING:
                continue
            value = MISSING
            if self._path.startswith("python."):  # where TensorFlow 2 keeps TensorFlow 1's
                value = getattr(origin, f"{name}{'V1' if name[0].isupper() else '_v1'}", MISSING)
            if value is MISSING:
                value = getattr(origin, name, MISSING)
            if value is not MISSING:
                if source.startswith("own."):
                    repairs.use(f"{self.__name__}.{name}", "a stand-in of slim_resnet")
                return value
        return MISSING

    def __getattr__(self, name):
        if name == "__all__":
            return [public for public in dir(self) if not public.startswith("_")]
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        path = f"{self._path}.{name}".lstrip(".")
        value = sources.load(names.NAMES[path]) if path in names.NAMES else self._look(name)
        if value is MISSING:
            value = _moved(path)
        if value is MISSING or isinstance(value, types.ModuleType):
            module = find(path)
            value = value if module is None else module
        if value is MISSING:
            instead = names.BEFORE_1_15.get(path)
            raise AttributeError(
                f"module {self.__name__!r} has no attribute {name!r}"
                + (f": it went before TensorFlow 1.15, {instead} took its place"
                   if instead else ""))
        value = checks.guard(path, value)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name, value):
        self.__dict__[name] = value
        # What a script sets in a module of TensorFlow, TensorFlow is to find there.
        if self._path.startswith("python.") and len(self._sources) == 1:
            setattr(sources.load(self._sources[0]), name, value)

    def __dir__(self):
        shown = {*self.__dict__}
        for source in self._sources:
            origin = sources.load(source)
            if origin is not MISSING:
                shown.update(dir(origin))
        prefix = f"{self._path}.".lstrip(".")
        for path in (*names.MODULES, *names.NAMES):
            if path.startswith(prefix) and "." not in path[len(prefix):]:
                shown.add(path[len(prefix):])
        return sorted(shown - {"", "_path", "_sources"})


def find(path: str):
    """Returns the module of TensorFlow 1 at a path, an `Absent`, or None if it had none.

    Args:
      path: Its name without ``tensorflow.``; empty for TensorFlow itself.
    """
    if f"{path}.".startswith("compat.v1."):  # TensorFlow 1 had itself there
        path = path[len("compat.v1."):]
    if path not in _facades:
        _facades[path] = _make(path)
    return _facades[path]


def _make(path):
    if path in names.MODULES:
        module = Facade(path, names.MODULES[path])
        if path == "":
            module.__dict__.update(__version__=names.VERSION, VERSION=names.VERSION,
                                   __file__=sources.load("tensorflow").__file__)
        return module
    parent, _, name = path.rpartition(".")
    above = find(parent)
    if above is None:
        return None
    if isinstance(above, Absent):
        return getattr(above, name)
    if f"{path}.".startswith(tuple(f"{prefix}." for prefix in names.OPEN)):
        found = [f"{source}.{name}" for source in above._sources
                 if isinstance(sources.load(f"{source}.{name}"), types.ModuleType)]
        if found:
            return Facade(path, tuple(found))
    else:
        value = above._look(name)
        if isinstance(value, types.ModuleType):
            return value
    gone = _gone(path)
    return None if gone is MISSING else gone


def import_module(name: str):
    """Returns what ``import NAME`` of a dotted TensorFlow 1 name leads to.

    Raises:
      ModuleNotFoundError: If TensorFlow 1.15 had no such module.
    """
    path = name.partition(".")[2]
    module = find(path)
    if module is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return module


def status(name: str) -> tuple:
    """Says what user code gets for a full TensorFlow 1 name.

    Returns:
      A pair: ``"there"``, ``"stand-in"`` or ``"missing"``, and what stands in for it, if any.
    """
    value, reached = find(""), "tensorflow"
    for part in name.split(".")[1:]:
        try:
            value = getattr(value, part)
        except AttributeError:
            module = find(f"{reached}.{part}".partition(".")[2])
            if module is None:
                return "missing", ""
            value = module
        except SlimResnetError as error:
            return "missing", str(error)
        reached = f"{reached}.{part}"
        if isinstance(value, Absent):
            return "missing", value._instead
    if getattr(value, "__module__", "").startswith("slim_resnet.tf1."):
        return "stand-in", "slim_resnet"
    return "there", ""
