"""End points as people think of a network: blocks, units in them, equal units in one line.

    block3
    ├─ unit_1
    ├─ unit_2 … unit_35 ×34
    └─ unit_36
"""

import itertools
import re
import typing
from collections.abc import Iterator, Sequence

from slim_resnet.end_points.table import EndPoint, total

# What may differ in the names of equal end points: unit_2 and unit_3, Mixed_5c and Mixed_5d.
_NUMBER = re.compile(r"\d+[a-z]?")


class Line(typing.NamedTuple):
    """One line of a `tree`.

    Attributes:
      label: What stands in it: branches, and names as far as those above do not say them.
      rows: The `EndPoint` that it is of, or several that are equal.
    """

    label: str
    rows: tuple


class _Node(typing.NamedTuple):
    label: str
    rows: tuple
    nodes: list


def tree(rows: Sequence[EndPoint], names: Sequence[str]) -> list[Line]:
    """Returns rows of `table.summary` as the lines of a tree, holders before what they hold.

    Neighbours whose names differ in numbers only are one line if shape, parameters,
    multiply-adds, bytes and stride are equal. Several in a scope that is no end point, as
    VGG's ``conv3``, are held by a line for it, ``conv3/``, which counts what they do and has
    the last one's shape.

    Args:
      rows: Some of them, in graph order.
      names: What each is called at the root of the tree.
    """
    known, held = {row.key for row in rows}, {}
    tops = []
    for row, name in zip(rows, names):
        if row.parent in known:
            held.setdefault(row.parent, []).append(row)
        else:
            tops.append((name, row))
    lines = []
    for node in _nodes(tops, held):
        lines += [Line(node.label, node.rows), *_branches(node.nodes, "")]
    return lines


def _branches(nodes, before) -> Iterator[Line]:
    for node in nodes:
        branch, below = ("└─ ", "   ") if node is nodes[-1] else ("├─ ", "│  ")
        yield Line(before + branch + node.label, node.rows)
        yield from _branches(node.nodes, before + below)


def _nodes(named, held):
    """Returns the nodes of ``(name, row)`` pairs that one node holds."""
    nodes = []
    for scope, group in itertools.groupby(named, lambda pair: pair[0].partition("/")[0]):
        group = list(group)
        if len(group) > 1 and all("/" in name for name, _ in group):
            rows = [row for _, row in group]
            nodes.append(_Node(f"{scope}/", (_sum(rows),), _nodes(
                [(name.partition("/")[2], row) for name, row in group], held)))
        else:
            nodes += [_Node(name, (row,), _nodes(_below(row, held), held)) for name, row in group]
    return [_folded(list(group)) for _, group in itertools.groupby(nodes, _same)]


def _below(row, held):
    """Returns the ``(name, row)`` of what a row holds; an end that all names have is left out."""
    rows = held.get(row.key, [])
    names = [one.key.removeprefix(f"{row.key}/") for one in rows]
    ends = {name.rpartition("/")[1:] for name in names}
    if len(ends) == 1 and "/" in names[0]:
        names = [name.rpartition("/")[0] for name in names]
    return list(zip(names, rows))


def _sum(rows):
    return total(rows)._replace(key="", op_name="", activation_bytes=rows[-1].activation_bytes)


def _same(node):
    """Returns what nodes have in common that are one line."""
    if node.nodes:
        return id(node)
    row, = node.rows
    return _NUMBER.sub("#", node.label), row._replace(
        key="", op_name="", receptive_field=None, parent=None)


def _folded(nodes):
    first, last = nodes[0], nodes[-1]
    if first is last:
        return first
    between = " … " if len(nodes) > 2 else ", "
    return _Node(f"{first.label}{between}{last.label} ×{len(nodes)}",
                 tuple(node.rows[0] for node in nodes), [])
