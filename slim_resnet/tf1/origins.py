"""Where a name of TensorFlow 1 is today, by the table of names: for the check and for porting."""

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import types
import warnings

from slim_resnet.errors import SlimResnetError
from slim_resnet.tf1 import facade, names, neighbours, sources
from slim_resnet.tf1.absent import Absent
from slim_resnet.tf1.sources import MISSING

V1 = "tensorflow.compat.v1"
RESEARCH = ("nets", "preprocessing", "datasets", "deployment")

# What the table's shorthands are in a file that is ported. TensorFlow 1's Keras is what
# compat.v1 has under TF_USE_LEGACY_KERAS=1.
_SHORTHANDS = (
    ("tf1", V1), ("own", "slim_resnet.tf1.stand_ins"),
    ("keras1.layers1", f"{V1}.layers"), ("keras1.cells", f"{V1}.nn.rnn_cell"),
    ("keras1.estimator", f"{V1}.estimator"), ("keras1.src", "tf_keras.src"),
    ("keras1", f"{V1}.keras"))

# Modules whose sources are several, or of which there is a better one.
_MODULES = {
    "": V1, "compat.v1": V1,
    "contrib.slim.nets.resnet_v2": "slim_resnet.resnet_v2",
    "contrib.slim.python.slim.nets.resnet_v2": "slim_resnet.resnet_v2",
    "contrib.layers": "tf_slim.layers", "contrib.layers.python.layers": "tf_slim.layers",
    "contrib.framework": "tf_slim", "contrib.framework.python.ops": "tf_slim",
    "contrib.metrics": "tf_slim.metrics", "contrib.losses": "tf_slim.losses",
    "contrib.training": "tf_slim.training",
}

# Shorter public places of what tf_slim's modules hold.
_SHORTER = ("tf_slim", "tf_slim.layers", "tf_slim.losses", "tf_slim.metrics",
            "tf_slim.training", "tf_slim.data", V1)


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a name is today.

    Attributes:
      depth: How many parts of the full name lead to it; what follows are its attributes.
      place: Dotted path of it in today's packages; empty if it is gone.
      is_module: Whether it is a module.
      status: ``there``, ``stand-in`` or ``missing``.
      instead: What stands in for it or does its work, if anything.
      known: Whether TensorFlow 1.15 had it.
    """

    depth: int
    place: str
    is_module: bool
    status: str
    instead: str = ""
    known: bool = True


def is_old(name: str) -> bool:
    """Whether a full name is one that `origin` knows of."""
    first = name.partition(".")[0]
    if first == "builtins":
        return name.rpartition(".")[2] in neighbours.BUILTINS
    return first in ("tensorflow", *RESEARCH) or _neighbour(name.split(".")) is not None


def is_research_module(name: str) -> bool:
    """Whether a dotted name is that of a module of research/slim that we have."""
    try:
        return importlib.util.find_spec(f"slim_resnet.tf1.research.{name}") is not None
    except ModuleNotFoundError:
        return False


def origin(name: str, module: str = "") -> Origin | None:
    """Returns where a full name of old code is today, or None if that has not changed.

    Args:
      name: As ``tensorflow.contrib.slim.conv2d``, ``numpy.float`` or ``builtins.xrange``.
      module: The beginning of it that an import statement names as a module.
    """
    parts = name.split(".")
    if parts[0] == "tensorflow":
        return _of_tensorflow(parts, module.count(".") + 1)
    if parts[0] in RESEARCH:
        return _of_research(parts)
    return _neighbour(parts)


def _neighbour(parts):
    if parts[0] == "builtins":
        place = neighbours.BUILTINS.get(parts[-1])
        return place and Origin(2, _spelled(place), False, "stand-in", _spelled(place))
    for depth in range(len(parts) - 1, 0, -1):
        module, last = ".".join(parts[:depth]), parts[depth]
        place = neighbours.NAMES.get(module, {}).get(last)
        # What belongs to running a script, and not to the script.
        if place is None or place.startswith("slim_resnet.tf1.imports"):
            continue
        if last not in neighbours.REPLACED.get(module, ()) and _has(sources.load(module), last):
            continue
        is_module = isinstance(sources.load(place), types.ModuleType)
        return Origin(depth + 1, _spelled(place), is_module, "stand-in", _spelled(place))
    for depth in range(len(parts), 0, -1):
        module = ".".join(parts[:depth])
        if module in neighbours.MODULES and (
                module in ("imp", "scipy.misc") or sources.load(parts[0]) is MISSING):
            place = _spelled(neighbours.MODULES[module])
            return Origin(depth, place, True, "stand-in", place)
    return None


def _has(module, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hasattr(module, name)


def _of_research(parts):
    depth = len(parts)
    while depth:
        place = f"slim_resnet.tf1.research.{'.'.join(parts[:depth])}"
        try:
            value = importlib.import_module(place)
        except ModuleNotFoundError:
            depth -= 1
            continue
        if depth < len(parts):
            name = parts[depth]
            if not hasattr(value, name):
                return Origin(depth + 1, "", False, "missing")
            return Origin(depth + 1, f"{place}.{name}", False, "stand-in", f"{place}.{name}")
        return Origin(depth, place, True, "stand-in", place)
    return None


def _of_tensorflow(parts, module_depth):
    """Follows a name through modules to the first thing that is none."""
    value, place = facade.find(""), V1
    found = Origin(1, place, True, "there")
    for depth in range(2, len(parts) + 1):
        path, last = ".".join(parts[1:depth]), parts[depth - 1]
        try:
            value = _below(value, path, last, depth <= module_depth)
        except SlimResnetError as error:  # what an extra has and is not installed
            return Origin(depth, "", False, "missing", str(error))
        if value is MISSING or isinstance(value, Absent):
            instead = names.BEFORE_1_15.get(path) or getattr(value, "_instead", "")
            return Origin(depth, "", False, "missing", instead, value is not MISSING)
        if not found.is_module:  # an attribute of a class: there, and a matter of the class
            break
        place = _place(path, place, value)
        status = "stand-in" if place.startswith("slim_resnet.tf1.") else "there"
        found = Origin(depth, place, isinstance(value, types.ModuleType), status,
                       place if status == "stand-in" else "")
        if not isinstance(value, (types.ModuleType, type)):
            break
    return found


def _below(value, path, name, is_module):
    """Returns what has a name in a module or class of TensorFlow 1, or `MISSING`."""
    if not is_module or not isinstance(value, facade.Facade):
        try:
            return getattr(value, name)
        except AttributeError:
            pass
    if not isinstance(value, facade.Facade):
        return MISSING
    module = facade.find(path)
    return MISSING if module is None else module


def _place(path, above, value):
    """Returns where in today's packages the value at a path is, given where its parent is."""
    is_module = isinstance(value, types.ModuleType)
    if is_module and path in _MODULES:
        return _MODULES[path]
    parent, _, name = path.rpartition(".")
    if not isinstance(facade.find(parent), facade.Facade):
        return f"{above}.{name}"
    source = _source(path, is_module)
    better = f"{_MODULES.get(parent, '')}.{name}"
    if better.startswith("slim_resnet.") and value_of(better) is not MISSING:
        return better
    return _shorter(_spelled(source)) if source else ""


def _source(path, is_module):
    """Returns the dotted path, in the table's terms, of what stands at a path; None if nothing."""
    if path in names.NAMES:
        return names.NAMES[path]
    # contrib.framework.python.ops.arg_scope is a module and, as an attribute, its function.
    if is_module and path in names.MODULES:
        candidates = sorted(names.MODULES[path], key=_is_own)
        return candidates[0] if candidates else None
    parent, _, name = path.rpartition(".")
    above = facade.find(parent)
    # compat.v1 has it in most cases; a stand-in of ours is only taken where it has not.
    candidates = sorted(getattr(above, "_sources", ()), key=_is_own)
    for source in candidates:
        # Where TensorFlow 2 keeps TensorFlow 1's; see `facade.Facade`.
        old = f"{name}{'V1' if name[0].isupper() else '_v1'}"
        for spelled in (old, name) if path.startswith("python.") else (name,):
            if sources.load(f"{source}.{spelled}") is not MISSING:
                return f"{source}.{spelled}"
    moved = facade.PYTHON_NAMES.get(parent, {}).get(name)
    if moved:
        module, _, other = moved.partition("#")
        return f"tensorflow.python.{module}.{other or name}"
    return None


@functools.cache
def value_of(place: str):
    """Returns what a place holds as an expression, or `MISSING`."""
    if place == V1 or place.startswith(f"{V1}."):
        value, parts = sources.tensorflow(), place[len(V1) + 1:].split(".") if place != V1 else ()
    else:
        first, *parts = place.split(".")
        value = sources.load(first)
    for part in parts:
        # An attribute before a module: tf_slim.layers is tf_slim.layers.layers.
        if isinstance(value, types.ModuleType) and not _has(value, part):
            with contextlib.suppress(ImportError):
                importlib.import_module(f"{value.__name__}.{part}")
        with warnings.catch_warnings():  # numpy's, of what it is going to change
            warnings.simplefilter("ignore")
            value = getattr(value, part, MISSING)
    return value


def _is_own(source):
    return source.startswith("own.")


def _spelled(source):
    """Writes a path of the table as Python has it."""
    for short, long in _SHORTHANDS:
        if source == short or source.startswith(f"{short}."):
            return long + source[len(short):]
    return source


def _shorter(place):
    if not place.startswith("tf_slim."):
        return place
    value, last = sources.load(place), place.rpartition(".")[2]
    for module in _SHORTER:
        if value is not MISSING and value_of(f"{module}.{last}") is value:
            return f"{module}.{last}"
    return place
