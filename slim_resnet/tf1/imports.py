"""How user code, and nothing else, comes to see TensorFlow 1.

A user module runs with builtins of its own, a copy of Python's in which ``__import__`` leads to
`slim_resnet.tf1.facade` for ``tensorflow`` and to `slim_resnet.tf1.neighbours` for the rest of
the old world. Python looks ``__import__`` up there for every ``import`` statement of the module,
in its functions, in what it hands to ``exec`` and in the debugger. So the user's code is compiled
as it stands: no line, name or source of it changes.
"""

import builtins
import functools
import importlib
import importlib.machinery
import importlib.util
import os
import pathlib
import site
import sys
import sysconfig
import types

import slim_resnet
from slim_resnet.tf1 import facade, neighbours, python2, repairs, sources

RESEARCH = ("nets", "preprocessing", "datasets", "deployment")

_real_import = builtins.__import__
_packages: set = set()
_roots: dict = {}  # folder: whether it holds libraries
_overlays: dict = {}


# ---------------------------------------------------------------- which code is the user's

def _folder(path):
    return os.path.realpath(path or os.getcwd())


def _find_roots(script_folder):
    libraries = [*site.getsitepackages(), site.getusersitepackages(),
                 *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib",
                                                         "platlib")),
                 *sys.path, pathlib.Path(slim_resnet.__file__).parent]
    users = [script_folder, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    roots = {_folder(folder): True for folder in libraries}
    roots.update({_folder(folder): False for folder in users})
    return roots


def is_user_file(path: str) -> bool:
    """Whether a source file is user code: in no folder of libraries that is nearer to it."""
    for folder in pathlib.Path(_folder(path)).parents:
        if folder.name in ("site-packages", "dist-packages"):
            return False
        if str(folder) in _roots:
            return not _roots[str(folder)]
    return True


# ---------------------------------------------------------------- other libraries, as they were

class _Overlay(types.ModuleType):
    """A module seen with names that it has lost; what is set in it is set in the module."""

    def __init__(self, module, lost):
        super().__init__(module.__name__, module.__doc__)
        replaced = neighbours.REPLACED.get(module.__name__, ())
        if module.__name__ == "numpy":  # a copy, as scripts ask it for names in inner loops
            self.__dict__.update({name: value for name, value in vars(module).items()
                                  if name not in replaced})
        self.__dict__.update(_module=module, _lost=lost)

    def __getattr__(self, name):
        replaced = name in neighbours.REPLACED.get(self.__name__, ())
        if name in self._lost and (replaced or name not in vars(self._module)):
            value = sources.load(self._lost[name])
            if value is not sources.MISSING:
                if not self._lost[name].startswith("slim_resnet."):
                    repairs.give(f"{self.__name__}.{name}", self._lost[name])
                self.__dict__[name] = value
                return value
        return _seen(getattr(self._module, name))

    def __setattr__(self, name, value):
        self.__dict__[name] = value
        setattr(self._module, name, value)
        if self._module is builtins:
            user_builtins()[name] = value

    def __dir__(self):
        return sorted({*dir(self._module), *self._lost} - {"_module", "_lost"})


def _seen(module):
    """Returns a module as user code is to see it."""
    if not isinstance(module, types.ModuleType) or isinstance(module, _Overlay):
        return module
    name = module.__name__
    if name not in neighbours.NAMES:
        return module
    if name not in _overlays:
        _overlays[name] = _Overlay(module, neighbours.NAMES[name])
    return _overlays[name]


def _is_there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _substitute(name):
    """Returns the module that stands for a name which is not to be imported, or None."""
    first = name.partition(".")[0]
    if first == "tensorflow":
        return facade.import_module(name)
    if first == "keras":
        module = facade.find(name)
        if module is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return module
    if name in neighbours.MODULES and (name in ("imp", "scipy.misc") or not _is_there(name)):
        repairs.give(name, neighbours.MODULES[name])
        return _seen(sources.load(neighbours.MODULES[name]))
    return None


def _is_sibling(name, globals):
    """Whether Python 2 would import a module of the importing module's own package."""
    package = (globals or {}).get("__package__")
    return bool(package and python2.enabled() and "absolute_import" not in globals
                and _is_there(f"{package}.{name.partition('.')[0]}"))


def user_import(name, globals=None, locals=None, fromlist=(), level=0):
    """The ``__import__`` of user code."""
    if level == 0 and _is_sibling(name, globals):
        level = 1
    if level == 0:
        substitute = _substitute(name)
        if substitute is not None:
            return substitute if fromlist or "." not in name else \
                user_import(name.partition(".")[0])
    return _seen(_real_import(name, globals, locals, fromlist, level))


def import_module(name, package=None):
    """``importlib.import_module`` of user code."""
    if not name.startswith("."):
        substitute = _substitute(name)
        if substitute is not None:
            return substitute
    return _seen(importlib.import_module(name, package))


@functools.cache
def user_builtins() -> dict:
    """Returns the builtins of user code."""
    replaced = {name: sources.load(source) for name, source in neighbours.BUILTINS.items()}
    return {**replaced, **vars(builtins), "__import__": user_import,
            **python2.BUILTINS}


# ---------------------------------------------------------------- compiling and finding

def _note_builtins(code, path):
    for name in code.co_names:
        if name in neighbours.BUILTINS:
            repairs.give(f"{name} in {path}", neighbours.BUILTINS[name])
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _note_builtins(constant, path)


def compile_user(source: bytes, path: str) -> types.CodeType:
    """Compiles a user file as it stands, or from Python 2 where that was asked for."""
    code = python2.compile_source(source, path)
    _note_builtins(code, path)
    return code


class UserLoader(importlib.machinery.SourceFileLoader):
    """Loads a user module from its source; ``__pycache__`` is neither read nor written."""

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__builtins__ = user_builtins()
        return module

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return compile_user(self.get_data(path), path)


class _UserFinder:
    """Finds what Python's finder of files finds, with `UserLoader` for what is the user's."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            named = name.partition(".")[0] in _packages
            if named or is_user_file(spec.origin):
                spec.loader = UserLoader(name, spec.origin)
        return spec


class _ResearchFinder:
    """Comes last: where the user has no such file of research/slim, ours stands in."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] not in RESEARCH:
            return None
        try:
            ours = importlib.util.find_spec(f"slim_resnet.tf1.research.{name}")
        except ModuleNotFoundError:
            return None
        if ours is None:
            return None
        repairs.use(name, "is not there; slim_resnet's stands in for it")
        repairs.say(f"no {name} beside the script; slim_resnet's stands in for it")
        return importlib.util.spec_from_file_location(
            name, ours.origin, submodule_search_locations=ours.submodule_search_locations)


def spec_from_file_location(name, location=None, *, loader=None, **options):
    """``importlib.util.spec_from_file_location`` of user code."""
    if loader is None and str(location).endswith(".py") and is_user_file(location):
        loader = UserLoader(name, os.fspath(location))
    return importlib.util.spec_from_file_location(name, location, loader=loader, **options)


def run_path(path, init_globals=None, run_name="<run_path>"):
    """``runpy.run_path`` of user code, for a file."""
    module = types.ModuleType(run_name)
    module.__dict__.update(init_globals or {}, __file__=path, __builtins__=user_builtins())
    before = sys.modules.get(run_name)
    sys.modules[run_name] = module
    try:
        exec(compile_user(pathlib.Path(path).read_bytes(), path), module.__dict__)
    finally:
        if before is None:
            del sys.modules[run_name]
        else:
            sys.modules[run_name] = before
    return dict(module.__dict__)


def install(script_folder: str, packages=()) -> None:
    """Has user modules that are imported from now on see TensorFlow 1.

    Args:
      script_folder: Where the script is; modules beside it are user code.
      packages: Names of installed packages that are user code too.
    """
    _packages.update(packages)
    _roots.update(_find_roots(script_folder))
    if _UserFinder not in sys.meta_path:
        sys.meta_path.insert(sys.meta_path.index(importlib.machinery.PathFinder), _UserFinder)
        sys.meta_path.append(_ResearchFinder)
