"""Finding images: files in folders, class folders, TFRecord files; needs no TensorFlow."""

import os
import re
from collections.abc import Iterator

from slim_resnet.common.files import check_regular
from slim_resnet.common.listing import Paths, listed
from slim_resnet.errors import SlimResnetError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp")

# validation-00000-of-00128, flowers_train_00003-of-00005.tfrecord; validation.tfrecord
_SHARD = re.compile(r"(?P<set>.*?)[-_](?P<shard>\d{5})-of-(?P<shards>\d{5})(\.tfrecords?)?$")
_SINGLE = re.compile(r"(?P<set>.*)\.tfrecord")


def find_images(paths: Paths) -> list[str]:
    """Returns image files: files as given, folders searched through.

    Args:
      paths: One or several files and folders. A file is taken whatever its name is; in a folder
        and its subfolders, names that end in one of `EXTENSIONS` and do not begin
        with a dot are.

    Returns:
      A list of paths, each folder's in sorted order.

    Raises:
      SlimResnetError: A path does not exist, or a folder holds no image.
    """
    found = []
    for path in listed(paths):
        if not isinstance(path, str | bytes | os.PathLike):
            raise SlimResnetError("image files and folders are named by strings or paths, not by "
                                  f"{type(path).__name__}")
        path = os.fsdecode(path)
        if os.path.isdir(path):
            inside = sorted(_images_within(path))
            if not inside:
                raise SlimResnetError(
                    f"{path}: holds no image; looked for {', '.join(EXTENSIONS)}")
            found += inside
        elif os.path.exists(path):
            found.append(path)
        else:
            raise SlimResnetError(f"{path}: no such file or folder")
    return found


def _images_within(folder: str) -> Iterator[str]:
    def cannot_list(error):
        raise SlimResnetError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    for parent, folders, names in os.walk(folder, onerror=cannot_list):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                yield os.path.join(parent, name)


def class_folders(folder: str) -> list[str]:
    """Returns the names of a folder's folders, sorted; those that begin with a dot are not."""
    return sorted(entry.name for entry in os.scandir(folder)
                  if entry.is_dir() and not entry.name.startswith("."))


def images_of_classes(folder: str, names: list[str]) -> tuple[list[str], list[int]]:
    """Returns ``(paths, labels)`` of the images in class folders; the first is class 0.

    Raises:
      SlimResnetError: A class folder holds no image.
    """
    paths, labels = [], []
    for label, name in enumerate(names):
        found = find_images([os.path.join(folder, name)])
        paths += found
        labels += [label] * len(found)
    return paths, labels


def is_record_file(name: str) -> bool:
    """Whether a file is named as TFRecord files are."""
    return bool(_SHARD.match(name) or _SINGLE.match(name))


def find_records(folder: str) -> list[str]:
    """Returns a folder's TFRecord files, all shards of one data set; empty if it has none.

    Raises:
      SlimResnetError: Several data sets (train and validation, say) are in it, or
        shards are missing.
    """
    matches = {}
    for name in sorted(os.listdir(folder)):
        match = _SHARD.match(name) or _SINGLE.match(name)
        if match and os.path.isfile(os.path.join(folder, name)):
            matches.setdefault(match["set"], []).append(match)
    if len(matches) > 1:
        raise SlimResnetError(f"{folder}: holds {len(matches)} data sets "
                              f"({', '.join(list(matches)[:3])}); name the files of one")
    for name, shards in matches.items():
        wanted = int(shards[0].groupdict().get("shards") or len(shards))
        if len(shards) != wanted:
            raise SlimResnetError(f"{folder}: {len(shards)} of {wanted} shards of {name} are "
                                  "there; name files to evaluate on some")
    return [os.path.join(folder, match.string) for found in matches.values() for match in found]


def kind_of_data(data: Paths) -> tuple[str, str | list[str]]:
    """Tells the kinds of labelled images apart.

    Args:
      data: One folder, of class folders or of TFRecord files, or TFRecord files, or one
        .npz file.

    Returns:
      ``("folders", folder)``, ``("records", files)`` or ``("npz", path)``.

    Raises:
      SlimResnetError: A path does not exist, or they do not go together.
    """
    data = [os.fspath(path) for path in listed(data)]
    if not data:
        raise SlimResnetError("the list of data is empty; name a folder or files")
    for path in data:
        if not os.path.exists(path):
            raise SlimResnetError(f"{path}: no such file or folder")
        if os.path.isdir(path) and len(data) > 1:
            raise SlimResnetError(f"{path}: is a folder; give one folder, or TFRecord files only")
        if path.endswith(".npz") and len(data) > 1:
            raise SlimResnetError(f"{path}: is an .npz file; give it alone")
    if data[0].endswith(".npz"):
        return "npz", data[0]
    records = find_records(data[0]) if os.path.isdir(data[0]) else data
    if not records:
        return "folders", data[0]
    for file in records:
        check_regular(file)
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            raise SlimResnetError(f"{file}: cannot be read: {error.strerror}") from error
    return "records", records
