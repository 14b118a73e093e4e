"""Runs command lines in one process, or scripts in forks of one, and prints what came of them.

    python static_driver.py commands JOBS.json
    python static_driver.py scripts SCRIPT.py...

A process of its own, as TensorFlow 1's behaviour cannot be turned off again.
"""

import contextlib
import io
import json
import os
import runpy
import sys
import traceback


def run_commands(path):
    from slim_resnet import cli
    results = []
    with open(path, encoding="utf-8") as file:
        jobs = json.load(file)
    for folder, argv in jobs:
        os.chdir(folder)
        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            status = cli.main(argv)
        results.append([status, stdout.getvalue(), stderr.getvalue()])
    return results


def run_scripts(paths):
    import tensorflow  # noqa: F401
    results = []
    for path in paths:
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(write, 1)
            os.dup2(write, 2)
            sys.argv, sys.path[0] = [path], os.path.dirname(path)
            try:
                runpy.run_path(path, run_name="__main__")
            except SystemExit:
                pass
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(0)
        os.close(write)
        with os.fdopen(read, errors="replace") as output:
            results.append(output.read())
        os.waitpid(child, 0)
    return results


if __name__ == "__main__":
    words = sys.argv[2:]
    print(json.dumps(run_commands(words[0]) if sys.argv[1] == "commands" else run_scripts(words)))
