"""Begins, checks and locks the folder of a training run; `checkpoint.runs` reads it."""

import contextlib
import json
import os
from collections.abc import Iterator

from slim_resnet.checkpoint.runs import CHECKPOINT, FORMAT, LABELS, RECORD
from slim_resnet.common import locks
from slim_resnet.common.files import atomic_write, made_folder, misfit
from slim_resnet.errors import SlimResnetError


def write_record(folder: str | os.PathLike, options: dict, classes: list[str],
                 num_images: int, made_with: dict[str, str]) -> None:
    """Writes ``training.json`` and ``labels.txt`` of a run that begins.

    Args:
      folder: Folder of the run.
      options: Dict of its options, fit for JSON.
      classes: Names of its classes.
      num_images: Images of its training data.
      made_with: See `environment.made_with`.
    """
    with atomic_write(os.path.join(folder, LABELS)) as file:
        file.writelines(f"{number}:{name}\n" for number, name in enumerate(classes))
    # The record comes last: where it is, the rest is.
    with atomic_write(os.path.join(folder, RECORD)) as file:
        json.dump({"format": FORMAT, "options": options, "classes": list(classes),
                   "num_images": num_images, "made_with": [made_with]}, file, indent=1)
        file.write("\n")


def add_made_with(folder: str | os.PathLike, record: dict, made_with: dict[str, str]) -> str | None:
    """Adds to ``training.json`` what a run goes on with, where that is something else.

    Args:
      folder: Folder of the run.
      record: What `read_record` returned.
      made_with: See `environment.made_with`.

    Returns:
      What differs from before, for people; None where nothing does.
    """
    before = record.get("made_with") or [{}]
    changes = [f"{name.replace('_', ' ')} {before[-1].get(name, 'unknown')}, now {value}"
               for name, value in made_with.items() if before[-1].get(name) != value]
    if not changes:
        return None
    with atomic_write(os.path.join(folder, RECORD)) as file:
        json.dump({**record, "made_with": [*before, made_with]}, file, indent=1)
        file.write("\n")
    return "; ".join(changes)


def check_same(folder: str | os.PathLike, record: dict, options: dict, classes: list[str]) -> None:
    """Raises `SlimResnetError` that names what differs from the run in the folder.

    Args:
      folder: The folder.
      record: What `read_record` returned.
      options: Dict of options as for `write_record`.
      classes: Names of classes.
    """
    for name, value in options.items():
        before = record["options"].get(name)
        if before != value:
            raise SlimResnetError(f"{folder}: holds a run with {_difference(name, before, value)}; "
                                  "go on with the same options, or name another --output")
    if record["classes"] != list(classes):
        raise SlimResnetError(f"{folder}: holds a run on {len(record['classes'])} classes "
                              f"({', '.join(record['classes'][:3])}, ...), and the data has "
                              f"{len(classes)} ({', '.join(classes[:3])}, ...); go on with the "
                              "same data, or name another --output")


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Makes a folder, if need be, and keeps other processes from training in it meanwhile.

    Of a run that ends before its first checkpoint nothing stays.

    Raises:
      SlimResnetError: One does already, or the folder cannot be made or written.
    """
    with made_folder(folder), \
         locks.locked(os.path.join(folder, RECORD), "is training in it", folder):
        before = os.listdir(folder)
        try:
            yield
        finally:
            if not has_begun(folder):
                for name in {RECORD, LABELS}.difference(before):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(os.path.join(folder, name))


def has_begun(folder: str | os.PathLike) -> bool:
    """Returns whether a run's folder holds a checkpoint."""
    return any(name.startswith(CHECKPOINT) for name in os.listdir(folder))


def _difference(name, before, value):
    if name == "root_block":
        return "a root block, not without" if before else "--no-root-block, not with a root block"
    if name == "workers":
        return f"{before}, not {value}"
    if name == "blocks":
        before, value = (_blocks(blocks) for blocks in (before, value))
    return f"--{name.replace('_', '-')} {_shown(before)}, not {_shown(value)}"


def _blocks(blocks):
    """Returns a table as ``--blocks`` takes it; of a damaged record, what there is."""
    if misfit(blocks, [[int]]) is not None:
        return blocks
    return ",".join("x".join(map(str, block)) for block in blocks)


def _shown(value):
    if isinstance(value, list):
        value = " ".join(map(str, value)) or None
    return "(none)" if value is None else str(value)
