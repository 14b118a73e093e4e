"""Images cut into parts that any machine can read by itself, each of whole batches.

A source knows its files and cuts them; a part goes to a worker, and is opened there. Parts are
plain data, and the same cut gives every image the same company wherever it is read.
"""

import concurrent.futures
import dataclasses
import itertools
import tempfile
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from slim_resnet.errors import SlimResnetError, cause_of
from slim_resnet.images.records import Fault, fault_of, starts_of
from slim_resnet.images.settings import most_bytes
from slim_resnet.images.stores import File

# Names of columns that hold an image's bytes, and its label, as data sets in Parquet have them.
_CONTENTS = ("image", "bytes", "image/encoded")
_LABELS = ("label", "image/class/label")
# Files of an object store that are read at once, as each keeps one waiting.
_READERS = 16
_ROWS_AT_ONCE = 64


@dataclasses.dataclass
class Files:
    """Image files.

    Attributes:
      files: The `stores.File`s.
      labels: Class number of each, or None.
      max_pixels: Images of more are refused.
    """

    files: Sequence[File]
    labels: Sequence[int] | None = None
    max_pixels: int = 0
    is_counted: typing.ClassVar[bool] = False

    @property
    def num_images(self) -> int:
        return len(self.files)

    def parts(self, size: int, counts: Sequence[Any] = ()) -> Iterator["Files"]:
        """Yields parts of ``size`` images each, the last one of the rest.

        Args:
          size: How many.
          counts: What `count` returned for every file, where the source ``is_counted``.
        """
        for start in range(0, len(self.files), size):
            rows = slice(start, start + size)
            yield dataclasses.replace(self, files=self.files[rows],
                                      labels=self.labels and self.labels[rows])

    def source(self) -> Any:
        """Opens a part for a `reading.Reader`."""
        if self.files[0].filesystem is None:
            from slim_resnet.images.sources import ImageFiles
            return ImageFiles([file.path for file in self.files], self.labels)
        from slim_resnet.images.contents import Contents
        return Contents(self._rows, self.labels is not None)

    def _rows(self):
        from slim_resnet.images.contents import Row
        with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
            contents = pool.map(self._read, self.files)
            for file, label, (read, fault) in zip(
                    self.files, self.labels or itertools.repeat(0), contents):
                yield Row(file.name, read, label, fault)

    def _read(self, file):
        largest = most_bytes(self.max_pixels)
        if file.size is not None and file.size > largest:
            return b"", f"has {file.size} bytes, and {largest} are the most"
        try:
            with file.open() as opened:
                return opened.read(), ""
        except OSError as error:
            return b"", str(error).splitlines()[0][:200]


@dataclasses.dataclass
class _Pieces:
    """Files that hold many images each, or parts of them.

    Attributes:
      files: The `stores.File`s, of a source.
      is_labelled: Whether the labels are wanted.
      labels_offset: The label of class 0.
      max_pixels: Images of more are refused.
      pieces: Of a part: ``(file, first, count, where)``, with what `count` says of where.
    """

    files: Sequence[File] = ()
    is_labelled: bool = False
    labels_offset: int = 0
    max_pixels: int = 0
    pieces: Sequence[tuple[File, int, int, Any]] = ()
    is_counted: typing.ClassVar[bool] = True

    @property
    def num_images(self) -> int:
        return sum(count for _, _, count, _ in self.pieces)

    def parts(self, size: int, counts: Sequence[Any]) -> Iterator["_Pieces"]:
        """As `Files.parts`."""
        pieces, wanted = [], size
        for file, counted in zip(self.files, counts):
            first, total = 0, self._total(counted)
            while first < total:
                count = min(wanted, total - first)
                pieces.append((file, first, count, self._where(counted, first, count)))
                first += count
                wanted -= count
                if not wanted:
                    yield dataclasses.replace(self, files=(), pieces=pieces)
                    pieces, wanted = [], size
        if pieces:
            yield dataclasses.replace(self, files=(), pieces=pieces)

    def source(self) -> Any:
        """As `Files.source`."""
        from slim_resnet.images.contents import Contents
        return Contents(self._rows, self.is_labelled, isinstance(self, Records),
                        self.labels_offset)

    def _rows(self):
        for piece in self.pieces:
            yield from self._rows_of(*piece)


class Records(_Pieces):
    """TFRecord files in slim's format, see `sources.Records`."""

    def count(self, file: File) -> list[int]:
        """Returns where the records of a file begin, in bytes, and its size.

        Raises:
          SlimResnetError: It is damaged, or no TFRecord file.
        """
        largest = most_bytes(self.max_pixels)
        fault = fault_of(file.path, largest) if file.filesystem is None else None
        try:
            if fault:
                raise Fault(fault)
            with file.open() as opened:
                size = opened.seek(0, 2)
                opened.seek(0)
                return [*starts_of(opened, size, largest), size]
        except Fault as error:
            raise SlimResnetError(f"{file.name}: {error}") from error
        except OSError as error:
            raise SlimResnetError(f"{file.name}: cannot be read: {error}") from error

    @staticmethod
    def _total(counted):
        return len(counted) - 1

    @staticmethod
    def _where(counted, first, count):
        return counted[first], counted[first + count]

    @staticmethod
    def _rows_of(file, first, count, where):
        import tensorflow as tf

        from slim_resnet import compat
        from slim_resnet.images.contents import Row
        start, end = where
        with tempfile.NamedTemporaryFile() as copy:
            path = file.path
            if file.filesystem is not None:
                # TensorFlow reads files only, and checks what it reads.
                with file.open() as opened:
                    opened.seek(start)
                    copy.write(opened.read(end - start))
                copy.flush()
                path, start = copy.name, 0
            reader = compat.record_reader(path)
            for number in range(first, first + count):
                try:
                    record, start = reader.read(start)
                except (tf.errors.OpError, IndexError) as error:
                    cause = cause_of(getattr(error, "message", None) or "it ends too early")
                    raise SlimResnetError(f"{file.name}: is damaged or no TFRecord file, at record "
                                          f"{number}: {cause}") from error
                yield Row(f"{file.name}, record {number}", record)


class Parquet(_Pieces):
    """Parquet files with a column of images' bytes, and perhaps one of labels."""

    def count(self, file: File) -> int:
        """Returns how many rows a file has, and looks for the columns that are needed.

        Raises:
          SlimResnetError: It is damaged, or has no such columns.
        """
        with _opened_parquet(file) as opened:
            self._columns(file, opened)
            return opened.metadata.num_rows

    @staticmethod
    def _total(counted):
        return counted

    @staticmethod
    def _where(counted, first, count):
        return None

    def _columns(self, file, opened):
        """Returns the names of the columns of bytes and of labels, None where not needed."""
        import pyarrow.types as kinds
        schema = opened.schema_arrow
        types = dict(zip(schema.names, schema.types))

        def holds_bytes(type):
            if kinds.is_struct(type):
                return any(field.name == "bytes" and holds_bytes(field.type) for field in type)
            return kinds.is_binary(type) or kinds.is_large_binary(type)

        contents = [name for name in types if holds_bytes(types[name])]
        chosen = next((name for name in _CONTENTS if name in contents), None) or (
            contents[0] if len(contents) == 1 else None)
        if chosen is None:
            raise SlimResnetError(f"{file.name}: has no column image, bytes or image/encoded of "
                                  f"images' bytes; its columns are {', '.join(types)}")
        label = next((name for name in _LABELS if name in types), None)
        if self.is_labelled and not (label and kinds.is_integer(types[label])):
            raise SlimResnetError(f"{file.name}: has no column label of class numbers; its columns "
                                  f"are {', '.join(types)}")
        return chosen, label if self.is_labelled else None

    def _rows_of(self, file, first, count, where):
        from slim_resnet.images.contents import Row
        largest, last = most_bytes(self.max_pixels), first + count
        with _opened_parquet(file) as opened:
            contents, label = self._columns(file, opened)
            number, groups, skipped = 0, [], 0
            for group in range(opened.num_row_groups):
                rows = opened.metadata.row_group(group).num_rows
                if number + rows > first and number < last:
                    groups.append(group)
                    skipped = number if len(groups) == 1 else skipped
                number += rows
            number = skipped
            for batch in opened.iter_batches(_ROWS_AT_ONCE, groups,
                                             list(filter(None, (contents, label)))):
                for row in batch.to_pylist():
                    if first <= number < last:
                        yield self._row(Row, f"{file.name}, row {number}", row[contents],
                                        row[label] if label else self.labels_offset, largest)
                    number += 1
                if number >= last:
                    return

    def _row(self, kind, name, contents, label, largest):
        contents = contents.get("bytes") if isinstance(contents, dict) else contents
        if label is None:
            raise SlimResnetError(f"{name}: has no label")
        fault = "" if contents else "the row holds no bytes"
        if contents and len(contents) > largest:
            fault = f"has {len(contents)} bytes, and {largest} are the most"
        return kind(name, b"" if fault else contents, label - self.labels_offset, fault)


def _opened_parquet(file):
    import pyarrow
    import pyarrow.parquet
    try:
        return pyarrow.parquet.ParquetFile(file.path, filesystem=file.filesystem)
    except (pyarrow.ArrowException, OSError) as error:
        raise SlimResnetError(f"{file.name}: cannot be read as Parquet: "
                              f"{str(error).splitlines()[0][:200]}") from error
