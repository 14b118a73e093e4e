"""What a part of many images' results is as bytes: JSON lines, Parquet or .npz."""

import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

ROWS, ARRAYS = (".jsonl", ".parquet"), (".npz", ".parquet")


def suffix_of(folder: str, suffixes: Sequence[str]) -> str:
    """Returns in which of some formats a folder's parts are: that in its name, or the first."""
    return next((suffix for suffix in suffixes if folder.rstrip("/").endswith(suffix)),
                suffixes[0])


def encode_rows(rows: Sequence[dict[str, Any]], suffix: str) -> bytes:
    """Returns rows of plain data, of which there is one at least, as one of `ROWS`."""
    if suffix == ".jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    import pyarrow
    columns = {name: [_arrow(row[name]) for row in rows] for name in rows[0]}
    return _parquet(pyarrow.table(columns, pyarrow.schema([
        (name, _kind(_KINDS[name])) for name in columns])))


# Of a column without any value the kind is still the same in all parts.
_KINDS = {"path": "string", "classes": ["int64"], "names": ["string"],
          "probabilities": ["float64"], "cause": "string", "label": "int64",
          "predicted": "int64", "rank": "int64"}


def _kind(kind):
    import pyarrow
    if isinstance(kind, list):
        return pyarrow.list_(_kind(kind[0]))
    return pyarrow.type_for_alias(kind)


def _arrow(value):
    if isinstance(value, str):
        # Names that are not UTF-8 have their bytes escaped.
        return value.encode("utf-8", "backslashreplace").decode()
    return list(map(_arrow, value)) if isinstance(value, tuple | list) else value


def decode_rows(content: bytes, suffix: str) -> Iterator[dict[str, Any]]:
    """Yields the rows that `encode_rows` was given."""
    if suffix == ".jsonl":
        yield from map(json.loads, content.splitlines())
        return
    import pyarrow.parquet
    yield from pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()


def unreadable(content: bytes, suffix: str) -> int:
    """Returns how many images of a part could not be read."""
    if suffix == ".npz":
        import numpy as np
        return int(np.count_nonzero(np.load(io.BytesIO(content))["errors"] != ""))
    if suffix == ".jsonl":
        return sum(row["cause"] is not None for row in decode_rows(content, suffix))
    import pyarrow.parquet
    names = pyarrow.parquet.read_schema(io.BytesIO(content)).names
    column, = {"cause", "error"}.intersection(names)
    values = pyarrow.parquet.read_table(io.BytesIO(content), columns=[column])[column].to_pylist()
    return sum(bool(value) for value in values)


def encode_arrays(arrays: "dict[str, np.ndarray]", files: Sequence[str], errors: Sequence[str],
                  made_with: dict[str, str], suffix: str) -> bytes:
    """Returns arrays with a row for every file as one of `ARRAYS`.

    Args:
      arrays: float32 ``[N, ...]`` by name, NaN where there is an error.
      files: Names of the N images.
      errors: For each, why there is no row, or "".
      made_with: Their ``precision`` and ``engine``.
      suffix: ``.npz``, which has the arrays of `features.write_features`; or ``.parquet``,
        with the columns ``file`` and ``error`` and for every array a list of its values,
        whose shape is in the field's metadata.
    """
    import numpy as np
    if suffix == ".npz":
        file = io.BytesIO()
        np.savez(file, **arrays, files=np.asarray(files, np.str_),
                 errors=np.asarray(errors, np.str_),
                 **{name: np.asarray(text) for name, text in made_with.items()})
        return file.getvalue()
    import pyarrow
    unread = np.array([bool(error) for error in errors])
    columns = [pyarrow.array(list(map(_arrow, files))), pyarrow.array(list(errors))]
    fields = [pyarrow.field("file", pyarrow.string()), pyarrow.field("error", pyarrow.string())]
    for name, array in arrays.items():
        shape = array.shape[1:]
        columns.append(pyarrow.FixedSizeListArray.from_arrays(
            pyarrow.array(array.reshape(-1)), int(np.prod(shape)), mask=pyarrow.array(unread)))
        fields.append(pyarrow.field(name, columns[-1].type,
                                    metadata={"shape": json.dumps(shape)}))
    return _parquet(pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(
        fields, metadata=made_with)))


def _parquet(table):
    import pyarrow.parquet
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()
