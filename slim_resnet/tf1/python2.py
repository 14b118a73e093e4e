"""Python 2 files: telling them from broken ones and, where asked for, running them."""

import ast
import importlib.util
import re
import types

from slim_resnet.errors import SlimResnetError

_enabled = False

# What Python 3 says of Python 2's syntax, and lines that are Python 2's alone.
_MESSAGES = ("Missing parentheses in call to", "multiple exception types must be parenthesized",
             "leading zeros in decimal integer literals", "inconsistent use of tabs and spaces")
_LINES = re.compile(r"""^\s*print\s+[\w"'%(]|^\s*print\s*>>|^\s*exec\s+["'\w]
                    |^\s*raise\s+[\w.]+\s*,|^\s*except\s+[\w.()\s,]+,\s*\w+\s*:
                    |<>|`[^`]+`|\b\d+[lL]\b|\b0[0-7]+\b|\b[uU][rR]["']
                    |^\s*def\s+\w+\s*\([^)]*\([^)]*\)|\blambda\s*\(""", re.VERBOSE)

# Fixers that add or take away lines are left out; the builtins of user code do their work.
_FIXERS = tuple(f"fissix.fixes.fix_{name}" for name in (
    "apply", "dict", "except", "exec", "filter", "funcattrs", "has_key", "imports", "input",
    "isinstance", "long", "map", "metaclass", "methodattrs", "ne", "next", "nonzero",
    "numliterals", "paren", "print", "raise", "raw_input", "repr", "standarderror", "sys_exc",
    "throw", "tuple_params", "unicode", "urllib", "xrange", "zip"))


def enable() -> None:
    """Has user files converted from Python 2 from now on.

    Raises:
      SlimResnetError: If the converter is not installed.
    """
    global _enabled
    if importlib.util.find_spec("fissix") is None:
        raise SlimResnetError("--python2 needs fissix: pip install 'slim-resnet[run]'")
    _enabled = True


def enabled() -> bool:
    return _enabled


def is_python2(error: SyntaxError) -> bool:
    """Whether a syntax error is one because the file is Python 2's."""
    return any(message in str(error.msg) for message in _MESSAGES) \
        or bool(_LINES.search(error.text or ""))


def divide(a, b):
    """Python 2's ``/``: whole numbers are divided as ``//`` does."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if type(a).__name__ == "Dimension" or type(b).__name__ == "Dimension":
        return a // b
    return a / b


BUILTINS = {"__python2_divide__": divide}


class _Division(ast.NodeTransformer):
    def visit_BinOp(self, node):
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        return self._call(node, node.left, node.right)

    def visit_AugAssign(self, node):
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div) or not isinstance(node.target, ast.Name):
            return node
        load = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        return ast.copy_location(
            ast.Assign([node.target], self._call(node, load, node.value)), node)

    @staticmethod
    def _call(node, *operands):
        function = ast.copy_location(ast.Name("__python2_divide__", ast.Load()), node)
        return ast.copy_location(ast.Call(function, list(operands), []), node)


def convert(source: bytes, path: str) -> str:
    """Returns a Python 2 file's text as Python 3, line for line.

    A file that is no Python 2, with or without its ``print`` statement, is returned as it is.
    """
    from fissix import refactor
    from fissix.pgen2.parse import ParseError
    text = importlib.util.decode_source(source)
    for options in ({}, {"print_function": True}):
        try:
            return str(refactor.RefactoringTool(_FIXERS, options).refactor_string(
                text if text.endswith("\n") else text + "\n", path))
        except ParseError:
            pass
    return text


def compile_source(source: bytes, path: str) -> types.CodeType:
    """Compiles a user file.

    Raises:
      SyntaxError: As Python raises it for the file as it stands.
    """
    if not _enabled:
        return compile(source, path, "exec", dont_inherit=True)
    text = convert(source, path)
    try:
        tree = ast.parse(text, path)
    except TabError:  # Python 2 took a tab for as many blanks as lead to the next eighth column
        tree = ast.parse(re.sub(r"^[ \t]+", lambda match: match[0].expandtabs(), text,
                                flags=re.MULTILINE), path)
    true_division = any(isinstance(node, ast.ImportFrom) and node.module == "__future__"
                        and any(name.name == "division" for name in node.names)
                        for node in tree.body)
    if not true_division:
        tree = ast.fix_missing_locations(_Division().visit(tree))
    return compile(tree, path, "exec", dont_inherit=True)
