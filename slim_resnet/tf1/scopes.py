"""What the names in a file stand for, worked out without running it.

By ``import`` statements, by assignments of one dotted name (``slim = tf.contrib.slim``) and by
imports between the project's own files. A name that an argument or another assignment hides is
left alone.
"""

import ast

from slim_resnet.tf1.user_files import Use


class Names:
    """What the names of a project's files stand for.

    Args:
      files: ``{module: UserFile}``.
    """

    def __init__(self, files):
        self._files, self._known, self._open = files, {}, set()

    def of(self, file):
        """Returns ``{name: full name}`` of a file's module scope."""
        if file.module not in self._known:
            if file.module in self._open:
                return {}
            self._open.add(file.module)
            scope = self._imported(file, [i for i in file.imports if i.in_module])
            self._known[file.module] = scope
            self._assigned(file.tree.body, [scope])
        return self._known[file.module]

    def _imported(self, file, imports):
        scope = {}
        for imported in imports:
            alias, name = imported.alias, imported.name
            if isinstance(imported.statement, ast.Import):
                scope[alias.asname or name.partition(".")[0]] = \
                    name if alias.asname else name.partition(".")[0]
                continue
            module, _, last = name.rpartition(".")
            other = self._files.get(module)
            if last == "*":
                scope.update(self.of(other) if other else {})
            else:
                scope[alias.asname or last] = self.of(other).get(last, name) if other else name
        return scope

    def _assigned(self, statements, scopes):
        """Adds ``name = dotted.name`` to the innermost scope; hides names assigned otherwise."""
        scope, hidden = scopes[-1], set()
        for node in _walk_scope(statements):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(
                    node.targets[0], ast.Name):
                name = node.targets[0].id
                found = _resolve(node.value, scopes)
                if found:
                    scope.setdefault(name, found[1][-1])
                    continue
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                hidden.add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                hidden.add(node.name)
        for name in hidden - set(scope):
            scope[name] = None

    def uses(self, file):
        """Returns the `Use` of a file, in the order of its lines."""
        found = []
        imports = {id(i.statement): [] for i in file.imports}
        for imported in file.imports:
            imports[id(imported.statement)].append(imported)

        def visit(node, scopes, statement=None, call=None):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                arguments = node.args
                for outer in (*arguments.defaults, *filter(None, arguments.kw_defaults),
                              *getattr(node, "decorator_list", ())):
                    visit(outer, scopes)
                body = node.body if isinstance(node.body, list) else [node.body]
                given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs,
                         *filter(None, [arguments.vararg, arguments.kwarg])]
                inner = {argument.arg: None for argument in given}
                inner.update(self._imported(file, [
                    imported for child in _walk_scope(body)
                    for imported in imports.get(id(child), ())]))
                scopes = [*scopes, inner]
                self._assigned(body, scopes)
                for child in body:
                    visit(child, scopes)
                return
            if isinstance(node, (ast.Attribute, ast.Name)):
                resolved = _resolve(node, scopes)
                if resolved:
                    found.append(Use(*resolved, statement=statement, call=call))
                    return
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) \
                    and node.func.id in ("getattr", "hasattr") and len(node.args) >= 2 \
                    and isinstance(node.args[1], ast.Constant):
                resolved = _resolve(node.args[0], scopes)
                if resolved and node.func.id == "getattr" and len(node.args) == 2:
                    found.append(Use(*resolved, string=str(node.args[1].value)))
            if isinstance(node, ast.Call) and node.args and isinstance(
                    node.args[0], ast.Constant) and isinstance(node.args[0].value, str) and \
                    getattr(node.func, "attr", getattr(node.func, "id", "")) in (
                        "import_module", "__import__"):
                found.append(Use([node.func], [node.args[0].value], by_name=True))
            whole = isinstance(node, ast.Assign) and len(node.targets) == 1 and \
                isinstance(node.targets[0], ast.Name)
            for child in ast.iter_child_nodes(node):
                if whole and child is node.value:
                    visit(child, scopes, statement=node)
                else:
                    called = isinstance(node, ast.Call) and child is node.func
                    visit(child, scopes, call=node if called else None)

        visit(file.tree, [self.of(file)])
        return found


def _walk_scope(statements):
    """Yields the nodes of statements that are no part of an inner function or class."""
    waiting = list(statements)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting += list(ast.iter_child_nodes(node))[::-1]


def _resolve(node, scopes):
    """Returns ``(nodes, names)`` of a dotted name whose root stands for something, else None."""
    nodes = [node]
    while isinstance(nodes[0], ast.Attribute):
        nodes.insert(0, nodes[0].value)
    root = nodes[0]
    if not isinstance(root, ast.Name) or not isinstance(getattr(node, "ctx", None), ast.Load):
        return None
    for scope in reversed(scopes):
        if root.id in scope:
            if scope[root.id] is None:
                return None
            names = [scope[root.id]]
            for attribute in nodes[1:]:
                names.append(f"{names[-1]}.{attribute.attr}")
            return nodes, names
    return ([node], [f"builtins.{root.id}"]) if len(nodes) == 1 else None
