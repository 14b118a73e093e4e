"""A file of a project as it stands: its text, its syntax tree and its imports."""

import ast
import dataclasses
import os
import tokenize

from slim_resnet.errors import SlimResnetError


@dataclasses.dataclass
class Import:
    """One name of an import statement.

    Attributes:
      statement: The ``ast.Import`` or ``ast.ImportFrom``.
      alias: The ``ast.alias`` in it.
      name: Full dotted name of what is imported.
      guarded: Whether it stands in a ``try``.
      in_module: Whether it stands outside of functions and classes.
    """

    statement: ast.stmt
    alias: ast.alias
    name: str
    guarded: bool
    in_module: bool


@dataclasses.dataclass
class Use:
    """A dotted name, as ``tf.contrib.slim.conv2d``, or a name alone.

    Attributes:
      nodes: The root and each attribute, from the inside to the outside.
      names: Full name of each of the nodes.
      statement: The assignment of which it is the whole value, to one name; else None.
      string: The last part, where it was asked for by ``getattr(module, "name")``.
      call: The call of it, else None.
      by_name: Whether it is a module that ``importlib`` or ``__import__`` is to import.
    """

    nodes: list
    names: list
    statement: ast.Assign | None = None
    string: str = ""
    call: ast.Call | None = None
    by_name: bool = False

    @property
    def full_name(self) -> str:
        return self.names[-1] + (f".{self.string}" if self.string else "")


class UserFile:
    """A file of the project.

    Args:
      path: Where it is.
      module: Its dotted name; empty for the script.
      root: The folder that its name counts from.
      text: Its text, instead of that in the file.

    Attributes:
      error: The ``SyntaxError`` that it has, else None; it has no imports then.
      imports: A list of `Import`.
      uses: A list of `Use`; filled by `read_project`.
    """

    def __init__(self, path: str, module: str, root: str, text: str | None = None):
        self.path, self.module, self.root = path, module, root
        self.is_package = os.path.basename(path) == "__init__.py"
        self.error, self.tree, self.imports, self.uses = None, ast.Module([], []), [], []
        try:
            with open(path, "rb") as file:
                self.contents = file.read()
                file.seek(0)
                self.encoding, _ = tokenize.detect_encoding(file.readline)
            self.text = self.contents.decode(self.encoding) if text is None else text
            self.tree = ast.parse(self.text.encode(), path) if text is None else ast.parse(text)
        except OSError as error:
            raise SlimResnetError(f"{path}: cannot be read: {error.strerror}") from error
        except (SyntaxError, ValueError) as error:
            self.error = error
        self._collect(self.tree.body, guarded=False, in_module=True)

    def _collect(self, statements, guarded, in_module):
        for statement in statements:
            for alias in getattr(statement, "names", ()):
                if isinstance(statement, ast.Import):
                    self.imports.append(Import(statement, alias, alias.name, guarded, in_module))
                elif isinstance(statement, ast.ImportFrom):
                    name = f"{self._absolute(statement)}.{alias.name}"
                    self.imports.append(Import(statement, alias, name, guarded, in_module))
            inner = in_module and not isinstance(
                statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                for child in getattr(statement, field, ()):
                    nested = child.body if hasattr(child, "body") and not isinstance(
                        child, ast.stmt) else [child]
                    self._collect(nested, guarded or isinstance(statement, ast.Try), inner)

    def _absolute(self, statement):
        """Returns the full name of the module that a ``from`` imports from."""
        if not statement.level:
            return statement.module
        package = self.module.split(".") if self.module else []
        up = statement.level - (1 if self.is_package else 0)
        package = package[:len(package) - up] if up else package
        return ".".join([*package, *filter(None, [statement.module])])

    def display(self, folder: str | None = None) -> str:
        """Returns its path, from the current folder where it is below that."""
        relative = os.path.relpath(self.path, folder or os.getcwd())
        return self.path if relative.startswith(os.pardir) else relative
