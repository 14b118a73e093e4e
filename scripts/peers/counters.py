"""What this process's threads do in the meantime: CPU time, and how often each goes to sleep."""

import contextlib
import os
import time

_TASKS = "/proc/self/task"


def _sleeps():
    """Maps threads to how often they gave their core up by themselves; None without Linux."""
    found = {}
    try:
        for task in os.listdir(_TASKS):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                 open(f"{_TASKS}/{task}/status", encoding="utf-8") as file:
                found.update((task, int(line.split()[1])) for line in file
                             if line.startswith("voluntary_ctxt_switches:"))
    except OSError:
        return None
    return found or None


class Counters:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._sleeps, self._cpu_s = _sleeps(), time.process_time()

    def per_step(self, steps: int) -> dict:
        """Returns what there was since then, divided by a number of steps.

        Returns:
          ``cpu_s``: CPU seconds of all threads; ``sleeps``: how often each thread that ever
          did went to sleep of itself, most first, None without Linux's ``/proc``.
        """
        cpu_s, after = time.process_time() - self._cpu_s, _sleeps()
        sleeps = None
        if after is not None and self._sleeps is not None:
            counts = (count - self._sleeps.get(task, 0) for task, count in after.items())
            sleeps = sorted((count / steps for count in counts if count), reverse=True)
        return {"cpu_s": cpu_s / steps, "sleeps": sleeps}
