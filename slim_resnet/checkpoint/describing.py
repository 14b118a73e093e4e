"""A checkpoint's description as an object: a line in a terminal, a page in a notebook.

::

    from slim_resnet.checkpoint import describe

    described = describe("resnet_v2_50_2017_04_14.tar.gz", statistics=True)
    described.variables.to_pandas().sort_values("std")
"""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from slim_resnet.checkpoint.description import (
    description,
    description_items,
    value_statistics,
    variable_row,
)
from slim_resnet.checkpoint.reader import Checkpoint, CheckpointLike, open_checkpoint
from slim_resnet.checkpoint.recognition import UnbuildableNetwork, recognise
from slim_resnet.common import html_tables
from slim_resnet.common.rows import Column, Rows
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError

if TYPE_CHECKING:
    import pandas


class Variables(Rows):
    """A checkpoint's variables, dicts: ``name``, ``shape`` (a list), ``dtype``, ``values`` (how
    many) and ``kind`` (a field of `counts.Counts`, None where no network is known), and what
    `description.value_statistics` returns if it was asked for.
    """

    noun = "variables"

    @property
    def columns(self) -> list[Column]:
        def column(name, text=str):
            return Column(name, lambda row: row[name], text)

        shown = [column("name"), Column("shape", lambda row: "x".join(map(str, row["shape"]))
                                        or "scalar"),
                 column("dtype"), column("values", "{:,}".format), column("kind")]
        if self and "std" in self[0]:
            shown += [column(name, "{:.5g}".format) for name in ("mean", "std", "min", "max")]
            shown += [column(name, "{:,}".format) for name in ("nan", "inf")]
        return shown

    def about(self) -> str:
        return f"{sum(row['values'] for row in self):,} values"


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Description:
    """What a checkpoint holds, as ``slim-resnet checkpoint describe`` says it.

    Attributes:
      record: Plain data, see `description.description`; of a network that is not known, the
        file's ``path``, ``format`` and ``file_bytes``.
      variables: All variables, a list of dicts, see `Variables`.
      items: What is said of the whole, by name.
    """

    record: dict[str, Any]
    variables: Variables
    items: dict[str, str]

    def __repr__(self) -> str:
        return printable(f"<{self.record['path']}: {self.items['network']}; "
                         f"{len(self.variables)} variables>")

    def to_pandas(self) -> "pandas.DataFrame":
        """Returns the variables as a pandas ``DataFrame``, see `rows.Rows.to_pandas`."""
        return self.variables.to_pandas()

    def _repr_html_(self) -> str:
        file = (f"{self.record['path']}: {self.record['format']}, "
                f"{self.record['file_bytes']:,} bytes")
        return html_tables.items({"checkpoint": file, **self.items}) + self.variables._repr_html_()


def describe(checkpoint: CheckpointLike, statistics: bool = False) -> Description:
    """Says what a checkpoint holds.

    Args:
      checkpoint: What `open_checkpoint` takes.
      statistics: Whether all values are read, and their statistics are said too.

    Raises:
      SlimResnetError: It cannot be read, or holds no network that is known.
    """
    with open_checkpoint(checkpoint) as opened:
        try:
            recognised = recognise(opened)
        except UnbuildableNetwork as network:
            recognised = network
        rows = [{**variable_row(opened, recognised, name),
                 **(value_statistics(opened.tensor(name)) if statistics else {})}
                for name in opened.shapes]
        record = description(opened, recognised, rows)
    return Description(record, Variables(rows), description_items(record))


def describe_names(opened: Checkpoint) -> Description:
    """Returns the same from names and shapes alone, of a checkpoint of any variables."""
    try:
        return describe(opened)
    except SlimResnetError as error:
        return Description(
            {"path": opened.path, "format": opened.format, "file_bytes": opened.file_bytes},
            Variables({"name": name, "shape": list(shape), "dtype": opened.dtypes[name],
                       "values": math.prod(shape), "kind": None}
                      for name, shape in opened.shapes.items()),
            {"network": f"not known: {error}"})
