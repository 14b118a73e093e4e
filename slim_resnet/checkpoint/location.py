"""Finding a checkpoint's files, whatever name people have for it."""

import functools
import logging
import os
import re
import stat
import typing

import tensorflow as tf

from slim_resnet.checkpoint import table
from slim_resnet.errors import SlimResnetError
from slim_resnet.released import advice

# The names of a checkpoint's files, behind its prefix.
_PART_OF_V2 = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_DATA = re.compile(r"\.data-\d{5}-of-(\d{5})$")
_SHARD_OF_V1 = re.compile(r"-(?:\d{5}|\?{5})-of-(\d{5})$")

# What a file that is no checkpoint begins with.
_OTHER_FILES = (
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"\x89HDF", "an HDF5 file, as Keras writes them"),
    (b"PK\x03\x04", "a zip file (.npz, .keras)"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with 'git lfs pull'"),
    (b"<", "an HTML or XML text, perhaps a failed download"),
)

_SAVED_MODELS = frozenset(["saved_model.pb", "saved_model.pbtxt"])

# Python's own handler of last resort shows warnings on stderr.
_LOGGER = logging.getLogger("slim_resnet")


class Location(typing.NamedTuple):
    """Where a checkpoint is: the prefix of its files' names, and all of them."""

    prefix: str
    files: list[str]

    @property
    def format(self) -> str:
        return "V2" if self.files[0] == self.prefix + ".index" else "V1"


def what_else(file: str) -> str | None:
    """Returns what a file in a table's place is, or None if it is a table."""
    if is_table(file):
        return None
    return other_kind(file) or (f"{os.path.basename(file)} is cut short, or no file of a "
                                "checkpoint")


def other_kind(file: str) -> str | None:
    """Returns what a file is that begins like none of a checkpoint's, or is empty, or None."""
    with open(file, "rb") as opened:
        start = opened.read(32)
    kind = "empty" if not start else next(
        (kind for magic, kind in _OTHER_FILES if start.startswith(magic)), None)
    return kind and f"{os.path.basename(file)} is {kind}"


def locate(path: str) -> Location:
    """Returns the `Location` of what the user's path stands for.

    Raises:
      SlimResnetError: There is no checkpoint, or it cannot be told which is meant.
    """
    shown = path
    if _is_folder(path, shown):
        return in_folder(path, shown)
    if os.path.basename(path) in {"checkpoint", *_SAVED_MODELS} and os.path.isfile(path) \
            and not is_table(path):
        return in_folder(os.path.dirname(path) or ".", shown)
    if not path:
        raise SlimResnetError("the path of the checkpoint is empty")
    stem = _PART_OF_V2.sub("", path)
    all_shards = _SHARD_OF_V1.sub("", path)
    if stem == path and all_shards != path:
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
    """Returns the `Location` of the checkpoint that is called ``prefix``, or None."""
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
        return Location(prefix, [prefix + tail for tail in [".index", *data]])
    if "" in tails and os.path.isfile(prefix):
        shards = [name + tail for tail in tails if _SHARD_OF_V1.fullmatch(tail)]
        if shards:
            raise SlimResnetError(f"{shown}: there are both a file {name} and {shards[0]}; move "
                                  "one of the two checkpoints away")
        return Location(prefix, [prefix])
    shards = _complete(_SHARD_OF_V1, tails, shown)
    if len(shards) > 1:
        _say_once(f"{shown}: taken to be of one network: its {len(shards)} shards, as nothing in "
                  "V1 files tells whether they belong together")
    return Location(prefix, [prefix + tail for tail in shards]) if shards else None


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


def in_folder(folder: str, shown: str, is_archive: bool = False) -> Location:
    """Returns the `Location` of the checkpoint that a folder stands for.

    Args:
      folder: Path.
      shown: What the user calls it.
      is_archive: Whether it is what an archive was unpacked to, all files side by side,
        and nothing outside of it is looked at.

    Raises:
      SlimResnetError: See `locate`.
    """
    names = _names_in(folder, shown)
    if _SAVED_MODELS.intersection(names):
        variables = "variables" if is_archive else os.path.join("variables", "variables")
        found = _at_prefix(os.path.join(folder, variables), shown)
        if found:
            return found
        raise SlimResnetError(
            f"{shown}: {'the archive of ' * is_archive}a SavedModel without variables, as "
            "slim-resnet export --optimize writes them: what was folded into its constants cannot "
            "be told any more; take the checkpoint that it was made of")
    state_file = os.path.join(folder, "checkpoint")
    if os.path.isfile(state_file) and not is_table(state_file):
        return _of_state_file(folder, shown, is_archive)
    prefixes = {_SHARD_OF_V1.sub("", name.removesuffix(".index")) for name in names
                if name.endswith(".index") or is_table(os.path.join(folder, name))}
    if not prefixes:
        graphs = [name for name in names if name.endswith(".pb")]
        if len(graphs) == 1:
            return _at_prefix(os.path.join(folder, graphs[0]), shown)
        for name in names:
            if os.path.isfile(os.path.join(folder, name)):
                check_readable(os.path.join(folder, name))
        raise SlimResnetError(f"{shown}: holds no checkpoint")
    if len(prefixes) > 1:
        raise SlimResnetError(f"{shown}: holds {len(prefixes)} checkpoints and no 'checkpoint' "
                              "file that says which one; name one: "
                              + ", ".join(sorted(prefixes)[:5]))
    return _at_prefix(os.path.join(folder, prefixes.pop()), shown)


def _of_state_file(folder, shown, is_archive):
    try:
        state = tf.train.get_checkpoint_state(folder)
    except Exception:
        state = None
    if state is None or not state.model_checkpoint_path:
        raise SlimResnetError(f"{shown}: its file 'checkpoint' cannot be read; name the "
                              "checkpoint itself")
    # TensorFlow puts the folder in front of what is not absolute.
    latest = _SHARD_OF_V1.sub("", state.model_checkpoint_path)
    relative = os.path.relpath(latest, folder)
    leads_out = relative.split(os.sep)[0] == os.pardir
    # The folder may have moved since, and have been another system's.
    beside = [os.path.join(folder, name) for name in
              (os.path.basename(latest), latest.replace("\\", "/").rpartition("/")[2])]
    if is_archive:
        prefixes = beside
    else:
        prefixes = [*beside, latest] if leads_out else [latest, *beside]
    for prefix in prefixes:
        found = os.path.isdir(os.path.dirname(prefix)) and _at_prefix(prefix, shown)
        if found:
            if leads_out and not is_archive:
                _say_of_state_file(shown, prefix, latest)
            return found
    named = os.path.basename(latest) if is_archive else latest
    raise SlimResnetError(f"{shown}: its file 'checkpoint' names {named}, which does not exist")


def _say_of_state_file(shown, prefix, latest):
    """Says which checkpoint was taken, where two could be meant or it lies elsewhere."""
    if prefix == latest:
        _say_once(f"{shown}: its file 'checkpoint' leads out of the folder, to {latest}")
    elif any(os.path.isfile(latest + end) for end in ("", ".index")):
        _say_once(f"{shown}: its file 'checkpoint' names {latest}; taken was "
                  f"{os.path.basename(prefix)} beside it")


@functools.cache
def _say_once(text):
    _LOGGER.warning("%s", text)


def _is_folder(path, shown):
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:  # no permission, a name too long, a NUL in it
        raise SlimResnetError(f"{shown!r}: cannot be read: {error}") from error


def check_readable(file: str) -> None:
    """Raises `SlimResnetError` if a file cannot be opened or is no plain one, as a pipe."""
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            raise SlimResnetError(f"{file}: is no plain file")
        open(file, "rb").close()
    except OSError as error:
        raise SlimResnetError(f"{file}: cannot be read: {error.strerror}") from error


def _names_in(folder, shown):
    """Returns the names of files in a folder, without those that macOS puts beside them."""
    try:
        return [name for name in os.listdir(folder) if not name.startswith("._")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SlimResnetError(f"{shown}: cannot be read: {error.strerror}") from error


def is_table(path: str) -> bool:
    """Whether a file is a V1 checkpoint or an index; judged by its last bytes."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            file.seek(-len(table.MAGIC), os.SEEK_END)
            return file.read() == table.MAGIC
    except OSError:  # a folder, shorter than that, or not ours to read
        return False
