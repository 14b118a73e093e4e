"""Tables and statistics of a checkpoint's variables: pure functions over plain data."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from slim_resnet.common import counts
from slim_resnet.common.tables import Column, Table
from slim_resnet.common.text import wrapped
from slim_resnet.common.units import short_count
from slim_resnet.errors import SlimResnetError
from slim_resnet.models import MODELS, VARIANTS

if TYPE_CHECKING:
    from slim_resnet.checkpoint.reader import Checkpoint
    from slim_resnet.checkpoint.recognition import Recognised

# Kinds of dtype that TensorFlow's strings come in: object, and bytes for a scalar.
_TEXT = "OS"


def value_statistics(array: np.ndarray) -> dict[str, Any]:
    """Returns what the values of a variable are like.

    Args:
      array: A numpy array of any dtype.

    Returns:
      ``mean``, ``std`` (of the population), ``min`` and ``max`` of the finite
      values, None where there are none or they are no numbers, and the numbers of
      NaN and infinite values, ``nan`` and ``inf``.
    """
    if array.dtype.kind in _TEXT:
        return dict(mean=None, std=None, min=None, max=None, nan=0, inf=0)
    values = array.astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    record = dict.fromkeys(("mean", "std", "min", "max"))
    if finite.size:
        record = dict(mean=float(finite.mean()), std=float(finite.std()),
                      min=float(finite.min()), max=float(finite.max()))
    return dict(record, nan=int(np.isnan(values).sum()), inf=int(np.isinf(values).sum()))


def largest_difference(a: np.ndarray, b: np.ndarray) -> float | None:
    """Returns the largest absolute difference of two arrays of one shape.

    Returns:
      0.0 exactly when all values are equal, NaN counting as equal to NaN; infinity
      where NaN or infinity stands against something else; None for text that differs.
    """
    if a.dtype.kind in _TEXT or b.dtype.kind in _TEXT:
        return 0.0 if np.array_equal(a, b) else None
    differ = ~((a == b) | ((a != a) & (b != b)))
    if not differ.any():
        return 0.0
    # Python's integers: float64 cannot tell those beyond 2**53 apart.
    exact = object if a.dtype.kind + b.dtype.kind in ("ii", "uu") else np.float64
    with np.errstate(invalid="ignore"):
        largest = float(np.abs(a[differ].astype(exact) - b[differ].astype(exact)).max())
    return math.inf if math.isnan(largest) else largest


def variable_row(checkpoint: "Checkpoint", recognised: "Recognised", name: str) -> dict[str, Any]:
    """Returns what names and shapes say of one variable, a row of `description`."""
    shape = checkpoint.shapes[name]
    return dict(name=name, shape=list(shape), dtype=checkpoint.dtypes[name],
                values=math.prod(shape), kind=counts.kind_of(name, recognised.kinds.get(name)))


def description(checkpoint: "Checkpoint", recognised: "Recognised",
                rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns a checkpoint's description as a record fit for JSON.

    Args:
      checkpoint: A `Checkpoint`.
      recognised: Its `Recognised`, or the `UnbuildableNetwork` that it is.
      rows: A `variable_row` for each variable, or more.
    """
    unbuildable = isinstance(recognised, SlimResnetError)
    return {
        "path": checkpoint.path, "format": checkpoint.format, "file_bytes": checkpoint.file_bytes,
        "network": {"title": recognised.title, "buildable": False} if unbuildable else {
            "model": recognised.model, "variant": recognised.variant, "depth": recognised.depth,
            "scope": recognised.scope, "num_classes": recognised.num_classes,
            "input_channels": recognised.input_channels, "root_block": recognised.root_block,
            "batch_norm_scale": recognised.batch_norm_scale, "missing": recognised.missing,
            "assumed": recognised.assumed,
            "blocks": [{"scope": block.scope, "units": block.args}
                       for block in recognised.blocks]},
        "selection": checkpoint.selection.record(),
        "leftovers": recognised.leftovers,
        "moving_averages": checkpoint.use_moving_averages,
        "totals": {"variables": len(rows), **counts.count(
            (row["kind"], row["values"]) for row in rows).as_record()},
        "variables": rows,
    }


def description_lines(record: dict[str, Any], width: int | None = None) -> list[str]:
    """Returns the lines that show the whole of a `description` to a person.

    Args:
      record: The description.
      width: Columns that they may take; None for any number.
    """
    lines = [f"{record['path']}: {record['format']}, {record['file_bytes']:,} bytes"]
    for name, text in description_items(record).items():
        lines += wrapped(text, width, f"{name:<10} ")
    return [*lines, ""]


def variable_table(record: dict[str, Any]) -> Table:
    """Returns the table of a `description`'s variables."""
    rows = record["variables"]
    columns = [Column(name, [_cell(row[name]) for row in rows],
                      [_short(row[name]) for row in rows]) for name in rows[0]]
    with_values = "mean" in rows[0]
    # What is not finite is what damaged values are found by.
    none = [name for name in ("inf", "nan") if with_values and not any(row[name] for row in rows)]
    return Table(columns, names="Names", give_up=(
        "dtype", "kind", *none, "values", *(("max", "min", "shape") if with_values else ())))


def description_items(record: dict[str, Any]) -> dict[str, str]:
    """Returns what a `description` says of the whole, by name: a dict of strings."""
    network, totals = record["network"], record["totals"]
    beside = {
        "leftovers": ", ".join(f"{count} {kind}" for kind, count
                               in record["leftovers"].items()) or "none",
        "parameters": counts.text(totals),
        "beside": f"{counts.text_beside(totals)}; {totals['variables']} variables in all",
        **({"averages": _averages_text(record)} if totals["averaged_weights"] else {}),
    }
    if network.get("buildable") is False:
        return {"network": f"{network['title']}, which tf_slim does not ship: it cannot be built "
                           "here", **beside}
    classes = network["num_classes"]
    return {
        "network": _network_text(network),
        "scope": network["scope"] or "(none)",
        "classes": {None: "none, no logits: features only",
                    1001: "1001, class 0 is background"}.get(classes, str(classes)),
        **network["assumed"],
        **beside,
    }


def _network_text(network):
    if network["variant"] is None:
        return MODELS[network["model"]].network.title
    blocks = network["blocks"]
    return (
        VARIANTS[network["variant"]].title
        + (f" {network['depth']}" if network["depth"] else "")
        + f", blocks of {', '.join(str(len(block['units'])) for block in blocks)} units and "
        + f"{', '.join(str(block['units'][-1]['depth']) for block in blocks)} channels"
        + ("" if network["root_block"] else ", no root block")
        + ("" if network["batch_norm_scale"] else ", no gamma"))


def _averages_text(record):
    return ("averaged weights are taken; --no-moving-averages takes the others"
            if record["moving_averages"] else
            "averaged weights are there and not taken; --moving-averages takes them")


def difference_table(record: dict[str, Any]) -> Table:
    """Returns the table of a `difference`; "A" and "B" are its checkpoints."""
    rows = [(name, f"only in {side.upper()}")
            for side, key in (("a", "only_in_a"), ("b", "only_in_b")) for name in record[key]]
    for key in ("shapes", "dtypes"):
        rows += [(row["name"], f"{key[:-1]} {_cell(row['a'])} against {_cell(row['b'])}")
                 for row in record[key]]
    rows += [(row["name"], "values differ" if row["largest"] is None else
              f"values differ by up to {row['largest']:.6g}") for row in record["values"]]
    return Table([Column("name", [name for name, _ in rows]),
                  Column("difference", [text for _, text in rows])], names="Names")


def difference(a: "Checkpoint", b: "Checkpoint", names: Iterable[str]) -> dict[str, Any]:
    """Compares two checkpoints, one variable at a time.

    Args:
      a: A `Checkpoint`.
      b: Another.
      names: The names of both, each once; an iterable, so that it can show progress.

    Returns:
      A record fit for JSON but for infinite differences: ``only_in_a``,
      ``only_in_b`` (names), ``shapes``, ``dtypes`` (``name``, ``a``, ``b``),
      ``values`` (``name``, ``largest`` as from `largest_difference`) and ``equal``,
      the number of variables that are in none of these.
    """
    record = {"a": a.path, "b": b.path, "only_in_a": [], "only_in_b": [], "shapes": [],
              "dtypes": [], "values": [], "equal": 0}
    for name in names:
        if name not in b.shapes:
            record["only_in_a"].append(name)
        elif name not in a.shapes:
            record["only_in_b"].append(name)
        elif a.shapes[name] != b.shapes[name]:
            record["shapes"].append(dict(name=name, a=list(a.shapes[name]),
                                         b=list(b.shapes[name])))
        else:
            largest = largest_difference(a.tensor(name), b.tensor(name))
            if a.dtypes[name] != b.dtypes[name]:
                record["dtypes"].append(dict(name=name, a=a.dtypes[name], b=b.dtypes[name]))
            if largest != 0:
                record["values"].append(dict(name=name, largest=largest))
            elif a.dtypes[name] == b.dtypes[name]:
                record["equal"] += 1
    return record


def _cell(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "x".join(map(str, value)) or "scalar" if isinstance(value, list) else value


def _short(value):
    if isinstance(value, float):
        return f"{value:.3g}"
    return short_count(value) if isinstance(value, int) else _cell(value)
