"""Porting one file: which of its names become what."""

import ast
import importlib.util
import re

from absl import flags as absl_flags
from absl import logging as _absl_logging  # noqa: F401 (defines absl's own flags)

from slim_resnet.errors import SlimResnetError
from slim_resnet.tf1 import origins, reading, sources
from slim_resnet.tf1.edits import Edits
from slim_resnet.tf1.origins import V1
from slim_resnet.tf1.user_files import UserFile

_GONE = "TensorFlow 1 alone had it"
_STAND_INS = "slim_resnet.tf1.stand_ins"
# What of compat.v1 needs TensorFlow 1's Keras.
_KERAS = tuple(f"{V1}.{name}" for name in ("keras", "layers", "nn.rnn_cell"))
_LEGACY_KERAS = 'os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")'


class PortedFile:
    """A file of a project and its ported text.

    Args:
      file: The file.
      project: The `reading.Project` that it belongs to.

    Attributes:
      said: ``(line, message)`` of what fails when it is used.

    Raises:
      SlimResnetError: Something in it cannot be ported.
    """

    def __init__(self, file: UserFile, project: reading.Project):
        self.file, self.said = file, []
        self._project, self._edits = project, Edits(file.text)
        self._modules, self._places, self._disabled = {}, set(), False
        self._bound = {node.id for node in ast.walk(file.tree) if isinstance(node, ast.Name)} | {
            alias.asname or alias.name.partition(".")[0] for alias in (
                imported.alias for imported in file.imports)}
        self._v1 = next((imported.alias.asname or "tensorflow" for imported in file.imports
                         if imported.name == "tensorflow" and imported.in_module), "")
        for imported in file.imports:
            if imported.name.partition(".")[0] == "keras":
                self._say(imported.statement, f"{imported.name}: is the Keras that is installed; "
                          "TensorFlow 1's is tf_keras; left as it is")
        for use in file.uses:
            if project.is_old(use.full_name):
                self._port_use(use)
        statements = self._port_imports()
        self._finish(statements)

    # ------------------------------------------------------------ dotted names

    def _say(self, node, message):
        self.said.append((node.lineno, message))

    def _port_use(self, use):
        name = use.full_name
        origin = self._special(use) or origins.origin(name)
        if origin is None:
            return
        known = ".".join(name.split(".")[:origin.depth])
        if not origin.place and not origin.is_module:
            instead = f"; {origin.instead} does its work" if origin.instead else ""
            gone = _GONE if origin.known else "TensorFlow 1.15 has no such name"
            self._say(use.nodes[-1], f"{known}: {gone}{instead}; left as it is")
            return
        if origin.place in (f"{V1}.__version__", f"{V1}.VERSION"):
            self._say(use.nodes[-1], f"{known}: is TensorFlow 2's in a port; left as it is")
            return
        if origin.place.startswith(f"{V1}.estimator"):
            self._say(use.nodes[-1], f"{known}: TensorFlow has it up to 2.15; left as it is")
            return
        depths = [part.count(".") + 1 for part in use.names]
        if use.string:
            if origin.place != name.replace("tensorflow", V1, 1):
                self._say(use.nodes[-1], f"{known}: is asked for by getattr; left as it is")
            return
        if use.by_name:
            self._say(use.nodes[-1], f"{name}: is imported by its name; left as it is")
            return
        if origin.depth not in depths or not origin.place:
            return
        index = depths.index(origin.depth)
        if use.names[0].startswith("builtins."):
            self._edits.replace(use.nodes[0], self._expression(origin.place))
            return
        if index == 0:  # the statement that binds the name is ported itself
            return
        self._places.add(origin.place)
        whole = use.statement is not None and index == len(use.nodes) - 1
        if whole and origin.is_module and not origin.place.startswith(V1):
            self._edits.replace_statement(
                use.statement, [self._import(origin.place, use.statement.targets[0].id)])
            self._note_module(origin.place)
            return
        root = origins.origin(use.names[0]) if self._project.is_old(use.names[0]) else None
        root_place = root.place if root else use.names[0]
        attributes = "".join(f".{node.attr}" for node in use.nodes[1:index + 1])
        if _same(root_place + attributes, origin.place):
            return
        if origin.place.startswith(f"{root_place}."):
            text = use.nodes[0].id + origin.place[len(root_place):]
        else:
            text = self._expression(origin.place)
        self._edits.replace(use.nodes[index], text)

    def _special(self, use):
        """Returns our stand-in for a call of a form that TensorFlow takes no more, else None."""
        path, call = use.full_name.removeprefix("tensorflow."), use.call
        depth = use.full_name.count(".") + 1
        first = call.args[0] if call and call.args else None
        if path == "name_scope" and call and len(call.args) == 2 \
                and isinstance(call.args[1], (ast.List, ast.Tuple)):
            place = f"{_STAND_INS}.tensorflow.name_scope"
        elif re.fullmatch(r"(app\.|python\.platform\.)?flags\.DEFINE_\w+", path) and isinstance(
                first, ast.Constant) and _is_absls(first.value):
            place = f"{_STAND_INS}.flags.{path.rpartition('.')[2]}"
        elif path.endswith("flags.FLAGS._parse_flags"):
            place = f"{_STAND_INS}.flags.FLAGS._parse_flags"
        else:
            return None
        return origins.Origin(depth, place, False, "stand-in", place)

    def _expression(self, place):
        """Returns how a place is written in the file, and notes the import that it needs."""
        if place.startswith("builtins."):
            return place.partition(".")[2]
        module, attributes = _split(place)
        if module == V1 and self._v1:
            return f"{self._v1}{attributes}"
        self._note_module(module)
        name = self._modules.setdefault(module, self._free_name(module))
        return f"{name or module}{attributes}"

    def _free_name(self, module):
        """Returns the name that a module is imported as; empty for its own."""
        # tf_slim.training and tensorflow.python are not what these attributes give.
        if "." not in module and module not in self._bound:
            return ""
        short = "_" + module.rpartition(".")[2]
        taken = self._bound | set(self._modules.values())
        return short if short not in taken else "_" + module.replace(".", "_")

    def _note_module(self, module):
        self._places.add(module)

    # ------------------------------------------------------------ import statements

    def _port_imports(self):
        """Ports import statements; returns ``(statement, lines, in_module)`` of the changed."""
        grouped = {}
        for imported in self.file.imports:
            grouped.setdefault(id(imported.statement), []).append(imported)
        changed = []
        for group in grouped.values():
            if any(self._project.is_old(imported.name.removesuffix(".*")) for imported in group):
                statement = group[0].statement
                port = self._port_import if isinstance(statement, ast.Import) else \
                    self._port_from
                lines = port(statement, group)
                if lines is not None:
                    changed.append((statement, lines, group[0].in_module))
        return changed

    def _import(self, place, name):
        """Returns the statement that binds a name to a place."""
        self._places.add(place)
        if place == V1 or "." not in place:
            return f"import {place}" + (f" as {name}" if name != place else "")
        parent, _, last = place.rpartition(".")
        return f"from {parent} import {last}" + (f" as {name}" if name != last else "")

    def _port_import(self, statement, group):
        lines = []
        for imported in group:
            alias, name = imported.alias, imported.name
            first, own = name.partition(".")[0], alias.asname
            origin = origins.origin(name) if self._project.is_old(name) else None
            if origin is None:
                lines.append(f"import {self._edits.source(alias)}")
            elif first == "tensorflow" and not own:
                lines.append(self._import(V1, "tensorflow"))
            elif not origin.place or origin.depth < name.count(".") + 1:
                lines += self._absent(statement, name, own or first)
            elif own or "." not in name:
                lines.append(self._import(origin.place, own or name))
            elif first in origins.RESEARCH:
                lines += [f"import {origin.place}", self._import(
                    f"slim_resnet.tf1.research.{first}", first)]
            else:  # its uses are ported; scipy.misc is one
                lines.append(f"import {first}")
        return list(dict.fromkeys(lines))

    def _port_from(self, statement, group):
        found = []
        for imported in group:
            name = imported.name.removesuffix(".*")
            if imported.alias.name == "*":
                return self._port_star(statement, name)
            origin = origins.origin(name, name.rpartition(".")[0]) \
                if self._project.is_old(name) else None
            place = origin.place if origin else name
            if origin and place and origin.depth < name.count(".") + 1:
                place = f"{place}.{name.rpartition('.')[2]}" if origin.is_module else ""
            found.append((imported, origin, place))
        if all(place for _, _, place in found):
            parents = {place.rpartition(".")[0] for _, _, place in found}
            kept = all(place.rpartition(".")[2] == imported.alias.name
                       for imported, _, place in found)
            if len(parents) == 1 and kept:  # only the module's name changes
                self._places.update(place for _, _, place in found)
                text = self._edits.source(statement)
                return [re.sub(r"^from(\s+)[\w.]+", rf"from\g<1>{parents.pop()}", text, count=1)]
        lines = []
        for imported, _, place in found:
            bound = imported.alias.asname or imported.alias.name
            lines += [self._import(place, bound)] if place else \
                self._absent(statement, imported.name, bound)
        return list(dict.fromkeys(lines))

    def _port_star(self, statement, name):
        origin = origins.origin(name)
        if not origin.place or origin.depth < name.count(".") + 1:
            raise SlimResnetError(
                f"{self.file.display()}:{statement.lineno}: from {name} import * cannot be "
                "ported: nobody has that module any more; nothing was written")
        self._places.add(origin.place)
        return [f"from {origin.place} import *"]

    def _absent(self, statement, name, bound):
        self._say(statement, f"{name}: {_GONE}; it can be imported and fails when it is used")
        self._places.add("slim_resnet.tf1.absent")
        return [f'{bound} = Absent("{name}")']

    # ------------------------------------------------------------ the whole

    def _finish(self, statements):
        slim = any(place.split(".")[0] == "tf_slim" for place in self._places)
        keras = any(place.startswith(_KERAS) for place in self._places)
        extras = []
        if keras:
            extras += ["import os", _LEGACY_KERAS]
        if slim:
            extras.append("import slim_resnet")
        if "slim_resnet.tf1.absent" in self._places:
            extras.append("from slim_resnet.tf1.absent import Absent")
        extras += [self._import(module, name or module)
                   for module, name in sorted(self._modules.items())]
        old = any(place.split(".")[0] in ("tensorflow", "tf_slim", "slim_resnet")
                  for place in self._places)
        # At the module's top before any function, as that is what runs first.
        for statement, lines, _ in sorted(statements, key=lambda entry: not entry[2]):
            first = next((line for line in lines if line.startswith(f"import {V1}")), None)
            if first:
                name = first.partition(" as ")[2]
                self._edits.add_behind(statement, lines, f"{name}.disable_v2_behavior()")
                self._disabled = True
                break
        if old and not self._disabled:
            disable = [f"from {V1} import disable_v2_behavior", "disable_v2_behavior()"]
            extras = extras[:2 if keras else 0] + disable + extras[2 if keras else 0:]
        first = min(statements, key=lambda entry: entry[0].lineno, default=None)
        if first and any(first[0] is statement for statement in self.file.tree.body):
            first[1][:0] = extras
        elif extras:
            self._insert(extras)
        for statement, lines, _ in statements:
            self._edits.replace_statement(statement, lines)
        self._slim, self._keras, self._ours = slim, keras, any(
            place.startswith("slim_resnet") for place in (*self._places, *self._modules))

    def _insert(self, lines):
        """Puts lines before the first statement that is no docstring and no __future__."""
        for statement in self.file.tree.body:
            docstring = isinstance(statement, ast.Expr) and isinstance(
                statement.value, ast.Constant)
            future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
            if not docstring and not future:
                line = min([statement.lineno, *(
                    decorator.lineno for decorator in getattr(statement, "decorator_list", ()))])
                newline = self._edits.newline
                self._edits.insert(line, "".join(line + newline for line in lines))
                return

    def contents(self, version: str) -> bytes:
        """Returns the bytes of the ported file, the file's own where nothing changed."""
        text = self._edits.result()
        if text == self.file.text:
            return self.file.contents
        needs = ["tensorflow 2.12 or later", *["tf-slim"] * self._slim,
                 *["slim-resnet, which mends it"] * self._slim,
                 *["slim-resnet"] * (self._ours and not self._slim),
                 *["tf_keras from TensorFlow 2.16 on"] * self._keras]
        header = [
            f"# Ported from TensorFlow 1 by slim-resnet {version}: imports, and names that moved.",
            f"# Needs {', '.join(needs)}."]
        lines = text.splitlines(keepends=True)
        at = 0
        while at < min(2, len(lines)) and (
                lines[at].startswith("#!") or re.match(r"#.*?coding[:=]", lines[at])):
            at += 1
        lines[at:at] = [line + self._edits.newline for line in header]
        text = "".join(lines)
        compile(text, self.file.path, "exec", dont_inherit=True, flags=ast.PyCF_ONLY_AST)
        return text.encode(self.file.encoding)


def _same(place, other):
    """Whether two places are the same thing."""
    if place == other:
        return True
    value = origins.value_of(place)
    return value is not sources.MISSING and value is origins.value_of(other)


def _split(place):
    """Returns ``(module, attributes)`` of a place, the module as long as can be imported."""
    parts = place.split(".")
    if place == V1 or place.startswith(f"{V1}."):
        return V1, place[len(V1):]
    for depth in range(len(parts), 1, -1):
        try:
            if importlib.util.find_spec(".".join(parts[:depth])):
                return ".".join(parts[:depth]), "".join(f".{part}" for part in parts[depth:])
        except (ImportError, AttributeError):
            continue
    return parts[0], "".join(f".{part}" for part in parts[1:])


def _is_absls(name):
    values = absl_flags.FLAGS
    return name in values and (values.find_module_defining_flag(name) or "").startswith("absl.")
