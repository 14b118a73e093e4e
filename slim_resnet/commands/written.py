"""What is printed of a file that was written."""

import os
from typing import Any

from slim_resnet.common.text import printable


def print_written(output: str | os.PathLike, record: dict[str, Any]) -> None:
    """Prints what was written and how it was checked.

    Args:
      output: Where.
      record: What `export_checkpoint` returned.
    """
    classes = record["num_classes"]
    print(printable(os.fspath(output)) + f": {record['written_as']} of {record['title']}"
          f"{'' if record['depth'] is None else ' ' + str(record['depth'])}, "
          f"{'no logits' if classes is None else f'{classes} classes'}"
          f"{', optimised' if record.get('optimized') else ''}"
          f"{', ' + record['precision'] if 'precision' in record else ''}")
    print(_checked(record["check"]))


def _checked(check):
    """Returns the line that says how an export was checked."""
    if "unchecked" in check:
        return f"not checked: {check['unchecked']}"
    by = f"checked by {check['runtime']} {check['version']}: "
    if "variables" in check:
        return f"{by}{check['variables']} variables, the same bit for bit"
    errors, number = check["errors"], sum(shape[0] for shape in check["batches"])
    worst = max(errors, key=errors.get)
    return (f"{by}{number} images, largest error {check['largest_error']:.1e} "
            f"({printable(worst)}), {check['bound']:g} allowed")
