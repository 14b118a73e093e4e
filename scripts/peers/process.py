"""One engine of `engines` in this process; started by `comparison`.

It is told what to do by a JSON object a line on standard input, and answers each with
one on what was its standard output; whatever else is printed goes to standard error.
"""

import json
import os
import sys
import time

import numpy as np

from scripts.peers import engines, makers
from scripts.peers.counters import Counters
from slim_resnet.common.environment import memory_bytes
from slim_resnet.errors import SlimResnetError


def serve(engine, arguments, commands, answer):
    """Loads an engine and does what it is told until ``commands`` end.

    Args:
      engine: A key of `engines.LOADERS`, or of `makers.MAKERS`.
      arguments: For its function, by name; for a loader also ``batch_sizes``.
      commands: Yields ``{"batch_size": N, "steps": M}``, or with ``"save"`` the file that
        the outputs go to.
      answer: Called with plain data once the engine has given its first outputs, and
        after every command, with the seconds of each step but a first, untimed one, and
        with what the threads did in these, see `counters.Counters`.
    """
    if engine in makers.MAKERS:
        try:
            answer({"made": makers.MAKERS[engine](**arguments),
                    "peak_bytes": memory_bytes("VmHWM")})
        except ImportError as error:
            answer({"unavailable": engines.missing(error)})
        except SlimResnetError as error:
            answer({"unavailable": str(error)})
        return
    try:
        batch_sizes = arguments.pop("batch_sizes")
        run = engines.LOADERS[engine](**arguments)
        images = engines.images_for(max(batch_sizes), arguments["files"]["image_size"])
        run(images[:batch_sizes[0]])
    except ImportError as error:
        answer({"unavailable": engines.missing(error)})
        return
    # Whatever a package raises over a model that it cannot take is a result, too.
    except Exception as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        answer({"unavailable": first_line[:300]})
        return
    answer({"peak_bytes": memory_bytes("VmHWM")})
    for command in commands:
        batch, durations = images[:command["batch_size"]], []
        outputs = run(batch)
        counters = Counters()
        for _ in range(command["steps"]):
            started = time.perf_counter()
            outputs = run(batch)
            durations.append(time.perf_counter() - started)
        done = counters.per_step(command["steps"])
        if "save" in command:
            np.save(command["save"], np.asarray(outputs, np.float32))
        answer({"peak_bytes": memory_bytes("VmHWM"), "durations_s": durations, **done})


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(values):
        print(json.dumps(values), file=answers, flush=True)

    engine, arguments = json.loads(sys.argv[1])
    threads = arguments.get("threads")
    if threads and hasattr(os, "sched_setaffinity"):
        # Whatever an engine takes for its number of threads.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    serve(engine, arguments, map(json.loads, sys.stdin), answer)


if __name__ == "__main__":
    main()
