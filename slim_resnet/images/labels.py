"""Names of classes: labels files, and the background that slim put before ImageNet's 1000."""

import os
import re

from slim_resnet.common.files import check_regular
from slim_resnet.errors import SlimResnetError

# ImageNet's 1000 classes behind a class 0 that is none of them.
CLASSES_WITH_BACKGROUND = 1001
BACKGROUND = "background"
_MOST_BYTES = 1 << 28
# More digits than any class number has; Python refuses thousands.
_DIGITS = 20
# A line of the labels files that slim's data set scripts write.
_NUMBERED = re.compile(r"(\d+):(.*)")


def read_labels(path: str | os.PathLike, num_classes: int | None = None,
                labels_offset: int | None = None) -> list[str]:
    """Reads the names of classes, one a line.

    Args:
      path: UTF-8 text file with ``num_classes`` lines, in order of class numbers, or
        each with its number before it as slim writes them, ``0:daisy``. For 1001
        classes, 1000 lines will do: background is put before them. For 1000, 1001 will do
        that begin with background, which ResNet V1 and VGG have not.
      num_classes: Classes of the checkpoint; None takes any number of lines.
      labels_offset: The number of class 0, where lines are numbered, as slim's flag of the
        same name; a file that counts from the number behind it leaves out the background.
        None takes 0, and 0 or 1 for 1000 lines of 1001 classes.

    Returns:
      A list of ``num_classes`` strings.

    Raises:
      SlimResnetError: The file cannot be read, has another number of lines, or is
        numbered otherwise.
    """
    check_regular(path, _MOST_BYTES)
    try:
        with open(path, encoding="utf-8-sig") as file:
            labels = [line.strip() for line in file.read().rstrip().split("\n")]
    except OSError as error:
        raise SlimResnetError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SlimResnetError(f"{path}: is not UTF-8 text; give one label a line") from error
    if labels == [""]:
        raise SlimResnetError(f"{path}: is empty; give one label a line")
    numbered = [_NUMBERED.fullmatch(label) for label in labels]
    with_background = num_classes == CLASSES_WITH_BACKGROUND
    missing_background = with_background and len(labels) == num_classes - 1
    first = int(numbered[0][1][:_DIGITS]) if numbered[0] else None
    if all(numbered) and first in (0, 1) and [match[1] for match in numbered] == [
            str(first + k) for k in range(len(labels))]:
        labels = [match[2] for match in numbered]
        before = first - (labels_offset or 0)
        if labels_offset is not None and before == 1:
            labels, missing_background = [BACKGROUND, *labels], False
        elif before and not (missing_background and labels_offset is None):
            raise SlimResnetError(
                f"{path}: counts its labels from {first}, and classes count from "
                f"{labels_offset or 0}; --labels-offset {first} makes {first} the first class")
    if missing_background:
        return [BACKGROUND, *labels]
    if (num_classes == CLASSES_WITH_BACKGROUND - 1 and len(labels) == CLASSES_WITH_BACKGROUND
            and labels[0].lower() == BACKGROUND):
        return labels[1:]
    if num_classes is not None and len(labels) != num_classes:
        raise SlimResnetError(
            f"{path}: has {len(labels)} labels, but the checkpoint has {num_classes} classes; "
            f"give {num_classes} lines{', or 1000 without background' * with_background}")
    return labels


def class_names(num_classes: int, labels: str | os.PathLike | None = None,
                labels_offset: int | None = None) -> list[str | None]:
    """Returns a name for every class; None where none is known.

    Args:
      num_classes: Classes of the checkpoint. Without labels, class 0 of 1001 is named
        "background".
      labels: Labels file, see `read_labels`, or None.
      labels_offset: See there.
    """
    if labels is not None:
        return read_labels(labels, num_classes, labels_offset)
    names = [None] * num_classes
    if num_classes == CLASSES_WITH_BACKGROUND:
        names[0] = BACKGROUND
    return names
