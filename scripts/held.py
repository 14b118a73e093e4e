"""Processes that are held to cores, for measurements of what more of them bring."""

import os

from slim_resnet.errors import SlimResnetError

# What a process runs first: it takes the cores off its arguments, and keeps to them.
HOLD = "import os, sys; os.sched_setaffinity(0, map(int, sys.argv.pop(1).split(','))); "


def cores() -> list[int]:
    """Returns this process's cores; raises `SlimResnetError` unless there are two or more."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        raise SlimResnetError("this measurement needs two cores and a system that holds processes "
                              "to cores, like Linux")
    return sorted(os.sched_getaffinity(0))


def check(name: str, status: int, stderr: str) -> None:
    """Raises `SlimResnetError` with the last line that a run said, unless its status is 0."""
    if status:
        raise SlimResnetError(f"{name}: a run failed: "
                              + (stderr.strip() or "silently").splitlines()[-1])
