"""Finding and opening a checkpoint, whatever name people have for it."""

import contextlib
import math
import os
import re
import stat
import tempfile
import typing
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from slim_resnet.common import archives
from slim_resnet.errors import SlimResnetError
from slim_resnet.released import advice

# The names of a checkpoint's files, behind its prefix.
_PART_OF_V2 = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_DATA = re.compile(r"\.data-\d{5}-of-(\d{5})$")
_SHARD_OF_V1 = re.compile(r"-(?:\d{5}|\?{5})-of-(\d{5})$")

# Ends every V1 file and every .index: the magic number of LevelDB's table format.
_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")

# What a file that is no checkpoint begins with.
_OTHER_FILES = (
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"\x89HDF", "an HDF5 file, as Keras writes them"),
    (b"PK\x03\x04", "a zip file (.npz, .keras)"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with 'git lfs pull'"),
    (b"<", "an HTML or XML text, perhaps a failed download"),
)

# TensorFlow takes these for patterns in the name of a checkpoint.
_PATTERN_CHARACTERS = frozenset("*?[]\\")


class Checkpoint:
    """An open checkpoint: what it holds, and its values one at a time.

    Attributes:
      path: As the user gave it; for messages.
      prefix: What TensorFlow's restore ops call it, valid while it is open.
      format: ``V1`` (one table file) or ``V2`` (an index and its data files).
      shapes: Maps each variable's name to its shape, a tuple, in the order of names.
      dtypes: Maps each variable's name to its dtype's name, such as ``float32``.
      files: Its files; of an archive, that file.
      file_bytes: Size of the unpacked files together.
    """

    def __init__(self, path: str, prefix: str, format: str, reader: Any, files: list[str],
                 file_bytes: int) -> None:
        self.path, self.prefix, self.format, self._reader = path, prefix, format, reader
        self.files = files
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        self.shapes = {name: tuple(shapes[name]) for name in sorted(shapes)}
        self.dtypes = {name: dtypes[name].base_dtype.name for name in self.shapes}
        self.file_bytes = file_bytes

    def tensor(self, name: str) -> np.ndarray:
        """Reads a variable's value, verifying its checksum.

        Returns:
          A numpy array.

        Raises:
          SlimResnetError: There is no such variable, or its bytes are damaged.
        """
        if name not in self.shapes:
            raise SlimResnetError(f"{self.path}: holds no variable {name}")
        try:
            return np.asarray(self._reader.get_tensor(name))
        except Exception as error:
            raise SlimResnetError(
                f"{self.path}: {name} cannot be read: {_cause(error)}") from error


# What `open_checkpoint` takes.
CheckpointLike = str | os.PathLike | Checkpoint


@contextlib.contextmanager
def open_checkpoint(path: CheckpointLike) -> Iterator[Checkpoint]:
    """Opens a checkpoint for as long as the ``with`` block lasts.

    Args:
      path: A V1 file; the prefix of a V2 checkpoint, or one of its ``.index``,
        ``.data-*`` and ``.meta`` files; a folder with a ``checkpoint`` state file
        or with a single checkpoint in it; a ``.tar.gz`` or ``.tar`` of one of
        these, unpacked into a temporary folder meanwhile. An open `Checkpoint`
        passes through.

    Yields:
      A `Checkpoint`.

    Raises:
      SlimResnetError: There is none, it is damaged, or it is something else.
    """
    if isinstance(path, Checkpoint):
        yield path
        return
    path = os.fsdecode(path)
    with contextlib.ExitStack() as stack:
        found = _locate(path, path)
        files = found.files
        for file in files:
            _check_readable(file)
        if found.files == [found.prefix] and archives.is_archive(found.prefix):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="slim_resnet-"))
            archives.extract(found.prefix, folder)
            found = _in_folder(folder, path)
        readable = found.prefix
        if _PATTERN_CHARACTERS.intersection(os.path.abspath(readable)):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="slim_resnet-"))
            readable = os.path.join(folder, "linked")
            for file in found.files:
                os.symlink(os.path.abspath(file), readable + file[len(found.prefix):])
        yield _open(path, found, readable, files)


class _Location(typing.NamedTuple):
    """Where a checkpoint is: the prefix of its files' names, and all of them."""

    prefix: str
    files: list[str]

    @property
    def format(self) -> str:
        return "V2" if self.files[0] == self.prefix + ".index" else "V1"


def _open(path, found, readable, files):
    if found.format == "V1" and found.files != [found.prefix]:
        readable += f"-?????-of-{len(found.files):05}"
    try:
        checkpoint = Checkpoint(path, readable, found.format,
                                tf.train.load_checkpoint(readable), files,
                                sum(map(os.path.getsize, found.files)))
    # TensorFlow's reader raises OpError, IndexError, ValueError, MemoryError and more.
    except Exception as error:
        why = _what_else(found.files[0]) or _cause(error)
        raise SlimResnetError(f"{path}: no readable checkpoint: {why}") from error
    if "_CHECKPOINTABLE_OBJECT_GRAPH" in checkpoint.shapes:
        raise SlimResnetError(
            f"{path}: a TF2 object-based checkpoint, whose names are attributes of Python "
            "objects; restore it with tf.train.Checkpoint in the program that wrote it, and save "
            "from there with tf.compat.v1.train.Saver")
    least = sum(4 * math.prod(shape) for name, shape in checkpoint.shapes.items()
                if checkpoint.dtypes[name] == "float32")
    if least > checkpoint.file_bytes:
        raise SlimResnetError(f"{path}: cut short: it has {checkpoint.file_bytes:,} bytes, and "
                              f"its variables take {least:,}")
    return checkpoint


def files_of(checkpoint: CheckpointLike) -> list[str]:
    """Returns the files that `open_checkpoint` would read, without reading them."""
    if isinstance(checkpoint, Checkpoint):
        return checkpoint.files
    path = os.fsdecode(checkpoint)
    return _locate(path, path).files


def _cause(error):
    """Returns the first line of TensorFlow's message, without its advice."""
    text = (str(error) or type(error).__name__).splitlines()[0]
    text = text.split(": perhaps your file is")[0]
    return re.sub(r"^Unable to open table file .*?: [A-Z_]+: ", "", text)[:200]


def _what_else(file):
    """Returns what a file in a table's place is, or None if it is a table."""
    name = os.path.basename(file)
    if _is_table(file):
        return None
    with open(file, "rb") as opened:
        start = opened.read(32)
    if not start:
        return f"{name} is empty"
    kind = next((kind for magic, kind in _OTHER_FILES if start.startswith(magic)), None)
    return f"{name} is {kind or 'cut short, or no file of a checkpoint'}"


def _locate(path, shown):
    """Returns the `_Location` of what the user's path, or a state file's, stands for."""
    if _is_folder(path, shown):
        return _in_folder(path, shown)
    if os.path.basename(path) == "checkpoint" and os.path.isfile(path) and not _is_table(path):
        return _in_folder(os.path.dirname(path) or ".", shown)
    if not path:
        raise SlimResnetError("the path of the checkpoint is empty")
    stem = _PART_OF_V2.sub("", path)
    all_shards = _SHARD_OF_V1.sub("", path)
    if stem == path and all_shards != path and not os.path.isfile(all_shards):
        stem = all_shards
    found = _at_prefix(stem, shown)
    if found:
        return found
    folder, name = os.path.split(stem)
    if any(n.startswith(name + ".data-") or n == name + ".meta"
           for n in _names_in(folder or ".", shown)):
        raise SlimResnetError(f"{shown}: half a checkpoint: there is no {name}.index")
    raise SlimResnetError(f"{shown}: no such checkpoint{advice(shown)}")


def _at_prefix(prefix, shown):
    """Returns the `_Location` of the checkpoint that is called ``prefix``, or None."""
    folder, name = os.path.split(prefix)
    names = [n for n in _names_in(folder or ".", shown) if n.startswith(name)]
    tails = sorted(n[len(name):] for n in names)
    if ".index" in tails:
        if "" in tails and os.path.isfile(prefix):
            raise SlimResnetError(f"{shown}: there are both a file {name} and {name}.index; move "
                                  "one of the two checkpoints away")
        data = _complete(_DATA, tails, shown)
        if not data:
            raise SlimResnetError(f"{shown}: half a checkpoint: {name}.index is there, and no "
                                  f"{name}.data-00000-of-00001")
        return _Location(prefix, [prefix + tail for tail in [".index", *data]])
    if "" in tails:
        return _Location(prefix, [prefix]) if os.path.isfile(prefix) else None
    shards = _complete(_SHARD_OF_V1, tails, shown)
    return _Location(prefix, [prefix + tail for tail in shards]) if shards else None


def _complete(pattern, tails, shown):
    """Returns the tails that number one full set of shards, or [] if there are none."""
    tails = [tail for tail in tails if pattern.match(tail)]
    totals = sorted({int(pattern.match(tail)[1]) for tail in tails})
    if not totals:
        return []
    if len(totals) > 1:
        raise SlimResnetError(f"{shown}: there are files '-of-{totals[0]:05}' and "
                              f"'-of-{totals[1]:05}' beside each other; move those of the other "
                              "checkpoint away")
    if len(tails) != totals[0]:
        raise SlimResnetError(f"{shown}: half a checkpoint: {len(tails)} of {totals[0]} shards "
                              f"are there ({', '.join(t.lstrip('.-') for t in tails[:3])})")
    return tails


def _in_folder(folder, shown):
    """Returns the `_Location` of the checkpoint that a folder stands for."""
    names = _names_in(folder, shown)
    if {"saved_model.pb", "saved_model.pbtxt"}.intersection(names):
        raise SlimResnetError(
            f"{shown}: a SavedModel folder; load it with tf.saved_model.load, or, if TensorFlow 1 "
            f"wrote it, name the checkpoint in it: {os.path.join(shown, 'variables/variables')}")
    state_file = os.path.join(folder, "checkpoint")
    if os.path.isfile(state_file) and not _is_table(state_file):
        return _of_state_file(folder, shown)
    prefixes = {_SHARD_OF_V1.sub("", name.removesuffix(".index")) for name in names
                if name.endswith(".index") or _is_table(os.path.join(folder, name))}
    if not prefixes:
        for name in names:
            if os.path.isfile(os.path.join(folder, name)):
                _check_readable(os.path.join(folder, name))
        raise SlimResnetError(f"{shown}: holds no checkpoint")
    if len(prefixes) > 1:
        raise SlimResnetError(f"{shown}: holds {len(prefixes)} checkpoints and no 'checkpoint' "
                              "file that says which one; name one: "
                              + ", ".join(sorted(prefixes)[:5]))
    return _at_prefix(os.path.join(folder, prefixes.pop()), shown)


def _of_state_file(folder, shown):
    try:
        state = tf.train.get_checkpoint_state(folder)
    except Exception:
        state = None
    if state is None or not state.model_checkpoint_path:
        raise SlimResnetError(f"{shown}: its file 'checkpoint' cannot be read; name the "
                              "checkpoint itself")
    latest = _SHARD_OF_V1.sub("", state.model_checkpoint_path)
    # The path may be absolute, and the folder have moved since.
    for prefix in (latest, os.path.join(folder, os.path.basename(latest))):
        found = os.path.isdir(os.path.dirname(prefix)) and _at_prefix(prefix, shown)
        if found:
            return found
    raise SlimResnetError(f"{shown}: its file 'checkpoint' names {latest}, which does not exist")


def _is_folder(path, shown):
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:  # no permission, a name too long, a NUL in it
        raise SlimResnetError(f"{shown!r}: cannot be read: {error}") from error


def _check_readable(file):
    try:
        open(file, "rb").close()
    except OSError as error:
        raise SlimResnetError(f"{file}: cannot be read: {error.strerror}") from error


def _names_in(folder, shown):
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SlimResnetError(f"{shown}: cannot be read: {error.strerror}") from error


def _is_table(path):
    """Whether a file is a V1 checkpoint or an index; judged by its last bytes."""
    try:
        with open(path, "rb") as file:
            file.seek(-len(_TABLE_MAGIC), os.SEEK_END)
            return file.read() == _TABLE_MAGIC
    except OSError:  # a folder, shorter than that, or not ours to read
        return False
