"""Reads a project without running it: a script and the user modules that it reaches."""

import dataclasses
import functools
import importlib.machinery
import importlib.util
import os
import sys
import typing

from slim_resnet.errors import SlimResnetError
from slim_resnet.tf1 import origins
from slim_resnet.tf1.scopes import Names
from slim_resnet.tf1.user_files import UserFile


@dataclasses.dataclass
class Project:
    """What `read_project` found.

    Attributes:
      files: `UserFile` of the script and of all that it reaches, the script first.
      not_found: ``(file, Import)`` of modules that are neither the user's nor installed.
    """

    files: list
    not_found: list

    def is_old(self, name: str) -> bool:
        """Whether a full name is one of old code's that is no module of the project itself."""
        if not origins.is_old(name):
            return False
        modules = {file.module for file in self.files}
        parts = name.split(".")
        if not any(module.partition(".")[0] == parts[0] for module in modules):
            return True
        # A package of research/slim of which the project has a part.
        return len(parts) > 1 and ".".join(parts[:2]) not in modules \
            and origins.is_research_module(".".join(parts[:2]))


def open_project(words: typing.Sequence[str], is_module: bool = False, python2: bool = False,
                 packages: typing.Sequence[str] = ()) -> Project:
    """Reads what a command line names, as Python would find it.

    Args:
      words: Path of the script, or name of the module, and what it would be given.
      is_module: Whether it is a module's name.
      python2: Whether files that are no Python 3 are converted from Python 2.
      packages: Names of installed packages that are user code too.

    Raises:
      SlimResnetError: There is no such script or module, or a file cannot be read.
    """
    name, folders = words[0], filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    convert = None
    if python2:
        from slim_resnet.tf1 import python2 as converter
        converter.enable()
        convert = converter.convert
    if not is_module:
        if os.path.isdir(name):
            raise SlimResnetError(f"{name}: is a folder; name a script")
        if not os.path.exists(name):
            raise SlimResnetError(f"{name}: no such script")
        folder = os.path.dirname(os.path.abspath(name))
        return read_project(os.path.abspath(name), "", [folder, *folders], convert,
                            packages)
    places = roots = [os.getcwd(), *folders]
    for part in (parts := name.split(".")):
        spec = importlib.machinery.PathFinder.find_spec(part, places)
        places = list(spec.submodule_search_locations or ()) if spec else []
    if spec and places:
        spec, parts = importlib.machinery.PathFinder.find_spec("__main__", places), [
            *parts, "__main__"]
    if not spec or not spec.origin:
        raise SlimResnetError(f"{name}: no such module")
    return read_project(spec.origin, ".".join(parts), roots, convert, packages)


def read_project(path: str, module: str = "", roots: typing.Sequence[str] = (),
                 convert: typing.Callable | None = None,
                 packages: typing.Sequence[str] = ()) -> Project:
    """Reads a script and all user modules that it reaches.

    Args:
      path: The script.
      module: Its dotted name, if it was named by that.
      roots: Folders of user modules; the script's own is the first.
      convert: ``convert(contents, path)`` makes Python 3 of a file that is not; None leaves
        it with its error.
      packages: Names of installed packages that are user code too.

    Raises:
      SlimResnetError: A file cannot be read.
    """
    importlib.machinery.PathFinder.invalidate_caches()
    files, not_found, seen = {}, [], set()

    def add(path, module, root):
        if os.path.realpath(path) in seen:
            return
        seen.add(os.path.realpath(path))
        file = UserFile(path, module, root)
        if file.error and convert:
            file = UserFile(path, module, root, convert(file.contents, path))
        files[module] = file
        for imported in file.imports:
            if not reach(imported.name) and not _installed(imported.name):
                not_found.append((file, imported))

    def reach(name):
        parts = name.split(".")
        found, places = False, [*roots, *(sys.path if parts[0] in packages else ())]
        for depth, part in enumerate(parts):
            spec = importlib.machinery.PathFinder.find_spec(part, places)
            if spec is None:
                break
            found = True
            dotted = ".".join(parts[:depth + 1])
            if spec.origin and spec.origin.endswith(".py"):
                levels = depth + 1 + spec.origin.endswith("__init__.py")
                root = functools.reduce(lambda path, _: os.path.dirname(path), range(levels),
                                        spec.origin)
                add(spec.origin, dotted, root)
            places = list(spec.submodule_search_locations or ())
            if not places:
                break
        return found

    for parent in range(module.count(".")):
        reach(".".join(module.split(".")[:parent + 1]))
    add(path, module, roots[0])
    script = files.pop(module)
    files = {module: script, **files}
    names = Names(files)
    for file in files.values():
        file.uses = names.uses(file)
    return Project(list(files.values()), not_found)


def _installed(name):
    first = name.partition(".")[0]
    if first in ("tensorflow", "keras", ""):
        return True
    try:
        return importlib.util.find_spec(first) is not None
    except (ImportError, ValueError):
        return False
