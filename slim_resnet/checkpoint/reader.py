"""Opening a checkpoint, whatever name people have for it."""

import contextlib
import copy
import functools
import os
import re
import weakref
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from slim_resnet.checkpoint import frozen, index, location, runs, table
from slim_resnet.checkpoint.foreign import reading
from slim_resnet.checkpoint.selection import Selection
from slim_resnet.common import archives
from slim_resnet.common.counts import is_moving_statistic
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.common.text import printable
from slim_resnet.errors import SlimResnetError

if TYPE_CHECKING:
    import pandas

# Ends the name of a weight's average.
AVERAGE = "/ExponentialMovingAverage"

# TensorFlow takes these for patterns in the name of a checkpoint.
_PATTERN_CHARACTERS = frozenset("*?[]\\")


class Checkpoint:
    """An open checkpoint: what it holds, and its values one at a time.

    It stays open until its ``with`` block ends, `close` is called or nobody has it any more.

    Attributes:
      path: As the user gave it; for messages.
      prefix: What TensorFlow's restore ops call it, valid while it is open.
      format: ``V1`` (one table file), ``V2`` (an index and its data files), ``GraphDef`` (a
        frozen graph), ``npz``, ``safetensors`` or ``Keras``.
      shapes: Maps each variable's name to its shape, a tuple, in the order of names.
      dtypes: Maps each variable's name to its dtype's name, such as ``float32``.
      files: Its files; of an archive, that file.
      file_bytes: Size of the unpacked files together.
      selection: Which of its networks is meant, a `Selection`.
      notes: What differs in it from what slim wrote, in words, for `Recognised.assumed`.
    """

    _asked_averages = None

    def __init__(self, path: str, prefix: str, format: str, reader: Any, files: list[str],
                 file_bytes: int, in_parts: Collection[str] = ()) -> None:
        self.path, self.prefix, self.format, self._reader = path, prefix, format, reader
        self.selection, self.notes = Selection(path), {}
        self.files, self._in_parts = files, in_parts
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        self.shapes = {name: tuple(shapes[name]) for name in sorted(shapes)}
        self.dtypes = {name: dtypes[name].base_dtype.name for name in self.shapes}
        self.file_bytes = file_bytes
        self._owner = self._closing = None

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return printable(f"<Checkpoint {self.path}: {self.format}, {len(self.shapes)} variables, "
                         f"{self.file_bytes:,} bytes>")

    def _repr_html_(self) -> str:
        from slim_resnet.checkpoint.describing import describe_names
        return describe_names(self)._repr_html_()

    def to_pandas(self) -> "pandas.DataFrame":
        """Returns names, shapes and kinds of the variables, see `describing.describe`."""
        from slim_resnet.checkpoint.describing import describe_names
        return describe_names(self).to_pandas()

    def close(self) -> None:
        """Removes what is temporary; values can no longer be read."""
        if self._owner is None:
            self._closing()

    def _closed_by(self, closing):
        """Has a function called once: at the end of ``with``, of itself or of the process."""
        self._closing = weakref.finalize(self, closing)
        return self

    def _shared(self):
        """Returns the same for another ``with`` block, whose end does not close it."""
        shared = copy.copy(self)
        shared._owner = self
        return shared

    def tensor(self, name: str) -> np.ndarray:
        """Reads a variable's value, verifying its checksum.

        Returns:
          A numpy array.

        Raises:
          SlimResnetError: There is no such variable, or its bytes are damaged.
        """
        if name not in self.shapes:
            raise SlimResnetError(f"{self.path}: holds no variable {name}")
        if not self._closing.alive:
            raise SlimResnetError(f"{self.path}: is closed; read values before close() and within "
                                  "the 'with' block")
        try:
            if name in self._in_parts:
                return self._joined(name)
            return np.asarray(self._reader.get_tensor(name))
        except Exception as error:
            raise SlimResnetError(
                f"{self.path}: {name} cannot be read: {_cause(error)}") from error

    def _joined(self, name):
        """Reads what V1's reader does not: a variable in parts, which the op joins."""
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            return session.run(tf.raw_ops.RestoreV2(
                prefix=self.prefix, tensor_names=[name], shape_and_slices=[""],
                dtypes=[tf.as_dtype(self.dtypes[name])]))[0]

    @functools.cached_property
    def use_moving_averages(self) -> bool:
        """Whether the network takes the averages of its weights, see `open_checkpoint`.

        Raises:
          SlimResnetError: They were asked for, and there are none.
        """
        if not runs.takes_averages(self.path, self._asked_averages):
            return False
        there = any(name.endswith(AVERAGE) for name in self.shapes)
        if self._asked_averages and not there:
            raise SlimResnetError(f"{self.path}: holds no moving averages of weights; leave "
                                  "--moving-averages out")
        return there

    def network_tensor(self, name: str) -> np.ndarray:
        """Reads the value that the network takes for a variable: its own, or its average."""
        if self.use_moving_averages:
            if name + AVERAGE in self.shapes:
                return self.tensor(name + AVERAGE)
            if not is_moving_statistic(name):
                raise SlimResnetError(f"{self.path}: holds no moving average of {name}")
        return self.tensor(name)


# What `open_checkpoint` takes.
CheckpointLike = str | os.PathLike | Checkpoint


def open_checkpoint(path: CheckpointLike, use_moving_averages: bool | None = None) -> Checkpoint:
    """Opens a checkpoint, for a ``with`` block or until it is closed.

    Args:
      path: A V1 file or a frozen graph (``.pb``) under slim's names; the prefix of a
        V2 checkpoint, or one of its ``.index``, ``.data-*`` and ``.meta`` files; a folder
        with a ``checkpoint`` state file or with a single checkpoint in it, or a TensorFlow 1
        SavedModel; a ``.tar.gz`` or ``.tar`` of one of these, unpacked into a temporary
        folder meanwhile. ``.npz`` and ``.safetensors`` of ``slim-resnet export``, and
        Keras' ``.keras`` and ``.h5``, whose variables get slim's names. Or a `Selection` of
        one. An open `Checkpoint` passes through, and whoever opened it closes it.
      use_moving_averages: Whether a network built from it takes the averages of its
        weights (``ExponentialMovingAverage``); None does as the run that wrote it was
        evaluated, or as ``path`` was opened.

    Returns:
      A `Checkpoint`.

    Raises:
      SlimResnetError: There is none, it is damaged, or it is something else.
    """
    if isinstance(path, Checkpoint):
        shared = path._shared()
        return shared if use_moving_averages is None else _asked(shared, use_moving_averages)
    selection = path if isinstance(path, Selection) else Selection(path)
    path = os.fsdecode(path)
    with contextlib.ExitStack() as stack:
        found = location.locate(path)
        files = found.files
        for file in files:
            location.check_readable(file)
        if found.files == [found.prefix] and archives.is_archive(found.prefix):
            folder = stack.enter_context(temporary_folder())
            archives.extract(found.prefix, folder)
            found = location.in_folder(folder, path, is_archive=True)
        format = found.format
        notes = {}
        if format == "V1" and not location.is_table(found.files[0]):
            prefix = os.path.join(stack.enter_context(temporary_folder()), "constants")
            if frozen.may_be_frozen(found.files[0]):
                if frozen.write_constants(found.files[0], path, prefix):
                    format, found = "GraphDef", location.locate(prefix)
            elif foreign := reading.read(found.files[0]):
                frozen.write_checkpoint(prefix, foreign.values)
                format, notes, found = foreign.format, foreign.notes, location.locate(prefix)
        readable = found.prefix
        if _PATTERN_CHARACTERS.intersection(os.path.abspath(readable)):
            folder = stack.enter_context(temporary_folder())
            readable = os.path.join(folder, "linked")
            for file in found.files:
                os.symlink(os.path.abspath(file), readable + file[len(found.prefix):])
        opened = _open(path, found, format, readable, files)
        opened.selection, opened.notes = selection, notes
        return _asked(opened, use_moving_averages)._closed_by(stack.pop_all().close)


def _asked(checkpoint, use_moving_averages):
    """Returns the same checkpoint with another choice of averages."""
    checkpoint = copy.copy(checkpoint)
    vars(checkpoint).pop("use_moving_averages", None)
    checkpoint._asked_averages = use_moving_averages
    return checkpoint


def _open(path, found, format, readable, files):
    try:
        in_parts = _checked(found)
        if found.format == "V1" and found.files != [found.prefix]:
            readable += f"-?????-of-{len(found.files):05}"
        checkpoint = Checkpoint(path, readable, format, tf.train.load_checkpoint(readable), files,
                                sum(map(os.path.getsize, found.files)), in_parts)
    except table.Damage as error:
        raise SlimResnetError(f"{path}: no readable checkpoint: {error}") from error
    # TensorFlow's reader raises OpError, IndexError, ValueError, MemoryError and more.
    except Exception as error:
        raise SlimResnetError(f"{path}: no readable checkpoint: {_cause(error)}") from error
    if "_CHECKPOINTABLE_OBJECT_GRAPH" in checkpoint.shapes:
        raise SlimResnetError(
            f"{path}: a TF2 object-based checkpoint, whose names are attributes of Python "
            "objects; restore it with tf.train.Checkpoint in the program that wrote it, and save "
            "from there with tf.compat.v1.train.Saver")
    return checkpoint


def _checked(found):
    """Raises `table.Damage` over damage that TensorFlow would not survive, and some more.

    Returns:
      The names of variables in parts that TensorFlow's reader does not join.
    """
    tables = found.files[:1] if found.format == "V2" else found.files
    for file in tables:
        why = location.what_else(file)
        if why:
            raise table.Damage(why)
    if found.format == "V1":
        return index.check_v1(found.files)
    try:
        index.check_v2(found.files[0], found.files[1:])
    except table.Damage:
        # Values may begin with any bytes, but not if they do not fit the index.
        for file in found.files[1:]:
            why = location.other_kind(file)
            if why:
                raise table.Damage(why) from None
        raise
    return ()


def _cause(error):
    """Returns the first line of TensorFlow's message, without its advice."""
    text = (str(error) or type(error).__name__).splitlines()[0]
    text = text.split(": perhaps your file is")[0]
    return re.sub(r"^Unable to open table file .*?: [A-Z_]+: ", "", text)[:200]
