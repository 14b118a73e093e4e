"""Says, without running a script, which of its TensorFlow 1 names are there."""

import dataclasses
import json

from slim_resnet.common.tables import Column, Table
from slim_resnet.tf1 import origins, reading

STATUSES = ("missing", "stand-in", "there")


@dataclasses.dataclass
class Name:
    """A name of TensorFlow 1, research/slim or an old neighbour, and where it is used.

    Attributes:
      name: As ``tensorflow.contrib.slim.conv2d``.
      status: ``there``, ``stand-in`` (something else is given for it) or ``missing``.
      instead: What is given for it; of a missing one, what does its work today.
      places: ``file:line`` of each use.
    """

    name: str
    status: str
    instead: str
    places: list


@dataclasses.dataclass
class Report:
    """What `check` found.

    Attributes:
      files: Paths of the files that were read, the script's first.
      names: A list of `Name`, by status and name.
      not_installed: ``(package, file:line)`` of imports that find nothing and are in no try.
      unreadable: ``(file:line, message)`` of files that are no Python 3.
    """

    files: list
    names: list
    not_installed: list
    unreadable: list

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not (self.count("missing") or self.not_installed or self.unreadable)

    def count(self, status: str) -> int:
        """Returns how many names have a status."""
        return sum(name.status == status for name in self.names)

    def table(self) -> Table:
        """Returns the table of names."""
        return Table([
            Column("name", [_short(name.name) for name in self.names]),
            Column("status", [name.status for name in self.names]),
            Column("where", [name.places[0] + (f" and {len(name.places) - 1} more"
                                               if len(name.places) > 1 else "")
                             for name in self.names]),
            Column("instead", [name.instead for name in self.names])])

    def lines(self) -> list:
        """Returns what follows the table as lines of text; the last is the verdict."""
        return [*(f"{place}: {package} is not installed" for package, place in self.not_installed),
                *(f"{place}: {message}" for place, message in self.unreadable), self.verdict]

    @property
    def verdict(self) -> str:
        counted = ", ".join(
            f"{self.count(status)} {words}" for status, words in (
                ("there", "there"), ("stand-in", "stood in for"), ("missing", "missing")))
        files = f"{len(self.files)} file{'s' if len(self.files) > 1 else ''}"
        said = f"{len(self.names)} names in {files}: {counted}"
        if self.unreadable:
            return f"{said}; not all files could be read, so nothing is said of the rest"
        if self.not_installed:
            packages = sorted({package for package, _ in self.not_installed})
            said += f"; not installed: {', '.join(packages)}"
        if self.count("missing"):
            said += "; a missing name fails when it is used, not when it is imported"
        return said

    def as_json(self) -> str:
        """Returns the report as JSON text."""
        return json.dumps({
            "format": "slim_resnet tf1 check 1", "complete": self.complete, "files": self.files,
            "names": [dataclasses.asdict(name) for name in self.names],
            "not_installed": [{"package": package, "place": place}
                              for package, place in self.not_installed],
            "unreadable": [{"place": place, "message": message}
                           for place, message in self.unreadable]}, indent=2)


def check(project: reading.Project) -> Report:
    """Looks up every old name that a project uses.

    Args:
      project: What `reading.read_project` found.
    """
    found = {}

    def note(name, file, line):
        origin = origins.origin(name)
        if origin:
            known = ".".join(name.split(".")[:origin.depth])
            entry = found.setdefault(known, Name(known, origin.status, origin.instead, []))
            place = f"{file.display()}:{line}"
            if place not in entry.places:
                entry.places.append(place)

    not_installed, unreadable = [], []
    for file in project.files:
        if file.error:
            line = getattr(file.error, "lineno", None) or 1
            unreadable.append((f"{file.display()}:{line}", message_of(file.error)))
        for imported in file.imports:
            name = imported.name.removesuffix(".*")
            if project.is_old(name):
                note(name, file, imported.alias.lineno)
        for use in file.uses:
            if project.is_old(use.full_name):
                note(use.full_name, file, use.nodes[-1].end_lineno)
    for file, imported in project.not_found:
        if not imported.guarded and not project.is_old(imported.name):
            package = imported.name.partition(".")[0]
            not_installed.append((package, f"{file.display()}:{imported.statement.lineno}"))
    names = sorted(found.values(), key=lambda name: (STATUSES.index(name.status), name.name))
    return Report([file.display() for file in project.files], names, not_installed, unreadable)


def _short(name):
    first, dot, rest = name.partition(".")
    if first == "builtins":
        return rest
    return f"tf{dot}{rest}" if first == "tensorflow" else name


def message_of(error):
    from slim_resnet.tf1 import python2
    if isinstance(error, SyntaxError) and python2.is_python2(error):
        return "is Python 2; give --python2"
    return f"is no Python: {getattr(error, 'msg', error)}"
