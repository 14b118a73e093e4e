"""End points and their statistics as tables for people."""

from collections.abc import Sequence
from typing import Any

from slim_resnet.common.tables import Column, Table, without_scope
from slim_resnet.common.units import short_bytes, short_count
from slim_resnet.end_points.table import shape_text
from slim_resnet.end_points.tree import tree

_KEYS = "Keys"


def end_point_table(rows: Sequence[Any], total: Any, as_tree: bool = False) -> Table:
    """Returns the table of end points, the total in its last row.

    Args:
      rows: `table.EndPoint`s in graph order.
      total: Their `table.total`.
      as_tree: Whether it is a `tree` where it has a width; else a row an end point.
    """
    keys, said = [row.key for row in rows], None
    lines = [(row,) for row in rows]
    labels = keys
    if as_tree:
        said, names = without_scope(keys, _KEYS)
        shown = tree(rows, names)
        labels, lines = [line.label for line in shown], [line.rows for line in shown]

    def column(name, exact, short, of_total=False, short_name=None):
        """Returns a column; ``exact`` is of a row, ``short`` of the rows of a line."""
        return Column(name, [*map(exact, rows), exact(total) if of_total else None],
                      [*map(short, lines), short((total,)) if of_total else None], short_name)

    return Table([
        Column("end point", [*keys, "total"], [*labels, "total"]),
        column("op", _op, lambda line: _op(line[0])),
        column("shape", lambda row: shape_text(row.shape),
               lambda line: _short_shape(line[0].shape)),
        column("parameters", lambda row: f"{row.parameters:,}",
               lambda line: short_count(line[0].parameters), True, "params"),
        column("GMACs", lambda row: _known(row.multiply_adds, lambda n: f"{n / 1e9:.4f}"),
               lambda line: _known(line[0].multiply_adds, short_count), True, "MACs"),
        column("bytes", lambda row: _known(row.activation_bytes, "{:,}".format),
               lambda line: _known(line[0].activation_bytes, short_bytes), True),
        column("stride", lambda row: _pixels(row.stride), lambda line: _pixels(line[0].stride)),
        column("field", lambda row: _pixels(row.receptive_field),
               lambda line: _range([row.receptive_field for row in line])),
    ], give_up=("op", "field", "stride", "bytes", "shape"), names=None if as_tree else _KEYS,
        sums=1, said=said)


def statistics_table(rows: Sequence[Any]) -> Table:
    """Returns the table of `activations.Statistics`."""
    def column(name, exact, short=None):
        return Column(name, list(map(exact, rows)), short and list(map(short, rows)))

    def number(field):
        return column(field, lambda row: _number(getattr(row, field), 4),
                      lambda row: _number(getattr(row, field), 3))

    # Columns of what is not there go first; what is there stays.
    none = [name for name in ("inf", "NaN") if not any(getattr(row, name.lower()) for row in rows)]
    return Table([
        column("end point", lambda row: row.key),
        *map(number, ("mean", "std", "min", "max")),
        column("zeros", lambda row: "-" if row.zeros is None else f"{row.zeros:.3f}"),
        column("dead", lambda row: "-" if row.dead is None else
               f"{len(row.dead)} / {row.channels}",
               lambda row: "-" if row.dead is None else f"{len(row.dead)}/{row.channels}"),
        column("NaN", lambda row: row.nan),
        column("inf", lambda row: row.inf),
        column("norm", lambda row: "-" if row.norm is None else f"{row.norm:.2f}"),
    ], give_up=(*none, "max", "min", "dead", "norm", "zeros"), names=_KEYS)


def time_table(rows: Sequence[Any], times: Any) -> Table:
    """Returns the table of time, the rest of the step and the whole of it in its last rows.

    Args:
      rows: `times.EndPointTime`s in graph order.
      times: The `times.Times` that they are of.
    """
    whole = times.whole
    seconds = [*(row.time_s for row in rows), times.other_s, times.idle_s, whole.time_s]

    def column(name, exact, short):
        return Column(name, [*map(exact, rows), None, None, exact(whole)],
                      [*map(short, rows), None, None, short(whole)])

    def rate(name, field, unit):
        cells = [None if row is None else _known(getattr(row, field), lambda n: f"{n / unit:,.1f}")
                 for row in (*rows, None, None, whole)]
        return Column(name, cells)

    return Table([
        Column("end point", [*(row.key for row in rows), "other ops", "no op running",
                             "whole step"]),
        column("GMACs", lambda row: _known(row.multiply_adds, lambda n: f"{n / 1e9:.4f}"),
               lambda row: _known(row.multiply_adds, lambda n: f"{n / 1e9:.3f}")),
        Column("ms", [f"{1e3 * second:,.2f}" for second in seconds]),
        Column("share %", [f"{100 * second / whole.time_s:.1f}" for second in seconds],
               short_name="%"),
        rate("GMAC/s", "multiply_adds_per_s", 1e9),
        column("bytes", lambda row: f"{row.bytes:,}", lambda row: short_bytes(row.bytes)),
        rate("GB/s", "bytes_per_s", 1e9),
    ], give_up=("bytes", "GMACs"), names=_KEYS, sums=3)


def _op(row):
    below_key = row.op_name.removeprefix(f"{row.key}/")
    return row.op_name if below_key == row.op_name else f".../{below_key}"


def _short_shape(shape):
    return shape_text(shape).replace(" ", "")


def _known(value, text):
    return "?" if value is None else text(value)


def _pixels(value):
    return "-" if value is None else value


def _range(values):
    first, last = _pixels(values[0]), _pixels(values[-1])
    return first if first == last else f"{first}…{last}"


def _number(value, digits):
    return "-" if value is None else f"{value:.{digits}g}"
