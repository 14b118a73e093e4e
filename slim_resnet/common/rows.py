"""Lists of results that are short in a terminal, tables in a notebook, and pandas' if wanted."""

import dataclasses
import typing
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from slim_resnet.common import html_tables
from slim_resnet.common.html_tables import UNKNOWN, Cell
from slim_resnet.errors import SlimResnetError

if TYPE_CHECKING:
    import pandas

# A notebook keeps what it shows.
MOST_SHOWN = 1000


class Column(typing.NamedTuple):
    """A column of a table of results.

    Attributes:
      header: What is above it, with its unit.
      value: From a row to its number or text there; None for what is not known.
      text: From that to what is shown.
    """

    header: str
    value: Callable[[Any], Any]
    text: Callable[[Any], str] = str

    def cell(self, row: Any) -> Cell:
        """Returns a row's `html_tables.Cell`."""
        value = self.value(row)
        if value is None:
            return Cell(UNKNOWN, is_known=False)
        return Cell(self.text(value), None if isinstance(value, str) else value)


class Rows(list):
    """A list of results of one kind: named tuples, dataclasses or dicts.

    It is a list in all else. `print` and a terminal say in one line what it holds; a notebook
    shows a table that can be sorted.
    """

    noun: typing.ClassVar[str] = "rows"
    columns: Sequence[Column] = ()

    def about(self) -> str:
        """Returns what is said of the whole behind the number of rows; may be empty."""
        return ""

    def __repr__(self) -> str:
        noun = self.noun.removesuffix("s") if len(self) == 1 else self.noun
        return f"<{len(self):,} {noun}{': ' if self.about() else ''}{self.about()}>"

    def __getitem__(self, index):
        found = super().__getitem__(index)
        return self.like(found) if isinstance(index, slice) else found

    def like(self, rows: list) -> "Rows":
        """Returns some of its rows as a list of its own kind."""
        return type(self)(rows)

    def records(self) -> list[dict[str, Any]]:
        """Returns a dict for each row, for pandas."""
        return [dict(row) if isinstance(row, dict) else
                row._asdict() if hasattr(row, "_asdict") else
                {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
                for row in self]

    def to_pandas(self) -> "pandas.DataFrame":
        """Returns a pandas ``DataFrame``, a row for each; its columns are the fields' names.

        Whole numbers of which some are not known are pandas' ``Int64``.

        Raises:
          SlimResnetError: pandas is not installed.
        """
        return data_frame(self.records())

    def _repr_html_(self) -> str:
        shown = self[:MOST_SHOWN]
        text = repr(self).strip("<>")
        if len(shown) < len(self):
            text += f"; the first {MOST_SHOWN:,} are shown"
        return html_tables.paragraph(text) + self.table(shown)

    def table(self, rows: Sequence[Any]) -> str:
        """Returns the HTML of some rows' table."""
        return html_tables.table([column.header for column in self.columns],
                                 [[column.cell(row) for column in self.columns] for row in rows])


def data_frame(records: list[dict[str, Any]]) -> "pandas.DataFrame":
    """Returns records with the same keys as a pandas ``DataFrame``, see `Rows.to_pandas`."""
    try:
        import pandas
    except ImportError as error:
        raise SlimResnetError("to_pandas needs pandas: pip install 'slim-resnet[notebook]'"
                              ) from error
    names = dict.fromkeys(name for record in records for name in record)
    columns = {}
    for name in names:
        values = [record.get(name) for record in records]
        kinds = {type(value) for value in values}
        # Without a dtype, None among whole numbers would make floats of them.
        columns[name] = pandas.Series(
            values, dtype="Int64" if kinds == {int, type(None)} else None)
    return pandas.DataFrame(columns)
