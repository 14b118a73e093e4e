"""Run a TensorFlow 1 script as it is, on today's TensorFlow.

    slim-resnet run blog.py
    slim-resnet run train.py --learning_rate=0.1
    slim-resnet run -m project.train --learning_rate=0.1

The script, the modules beside it and those on PYTHONPATH see TensorFlow 1.15's names,
tf.contrib.slim among them; every installed library sees the TensorFlow that is installed.
Options of this command stand before the script's name, the script's own behind it.
"""

import argparse
import sys

from slim_resnet.common import terminal
from slim_resnet.errors import SlimResnetError

HELP = "run a TensorFlow 1 script as it is"


def add_arguments(parser):
    parser.usage = "slim-resnet run [OPTIONS] SCRIPT.py [ARGS...]\n" \
                   "       slim-resnet run [OPTIONS] -m MODULE [ARGS...]"
    parser.add_argument("script", metavar="SCRIPT.py [ARGS...]", nargs=argparse.REMAINDER,
                        help="the script, and words that it is given")
    parser.add_argument("-m", dest="module", metavar="MODULE [ARGS...]", nargs=argparse.REMAINDER,
                        help="run a module instead, as python -m does")
    parser.add_argument("--python2", action="store_true",
                        help="convert the script and its modules from Python 2 as they are read; "
                        "the files stay as they are")
    parser.add_argument("--tf1-package", action="append", default=[], metavar="NAME",
                        help="an installed package that is to see TensorFlow 1 too; may be given "
                        "more than once")
    parser.add_argument("--explain", action="store_true",
                        help="list at the end, on stderr, what was given for something else")
    parser.add_argument("--check", action="store_true",
                        help="run nothing; list every TensorFlow 1 name that the script and its "
                        "modules use, and whether it is there; status 1 if any is missing")
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="with --check: print JSON")
    formats.add_argument("--wide", action="store_true",
                         help="with --check: a line a name, however wide (default: two where the "
                         "terminal has no room for one)")
    parser.add_argument("--port", metavar="DIR",
                        help="run nothing; write the script and its modules into a new folder, "
                        "with imports of what is there today; status 1 if a name is missing")


def run(arguments):
    refused = [option for option, given, needed in (
        ("--json", arguments.json, arguments.check),
        ("--wide", arguments.wide, arguments.check),
        ("--port", arguments.port, not arguments.check),
        ("--explain", arguments.explain, not (arguments.check or arguments.port)))
        if given and not needed]
    if refused:
        raise SlimResnetError(f"{refused[0]} does not go with what was asked for; see "
                              "slim-resnet run --help")
    if (arguments.check or arguments.port) and (arguments.module or arguments.script):
        return _read(arguments)
    from slim_resnet.tf1 import running
    options = {"packages": tuple(arguments.tf1_package), "python2": arguments.python2,
               "explain": arguments.explain}
    if arguments.module:
        running.run_module(arguments.module[0], arguments.module[1:], **options)
    elif arguments.script:
        running.run_script(arguments.script[0], arguments.script[1:], **options)
    else:
        raise SlimResnetError("name a script, or a module with -m")


def _read(arguments):
    """Checks or ports what is named, without running it."""
    from slim_resnet.tf1 import check, port, reading
    project = reading.open_project(
        arguments.module or arguments.script, bool(arguments.module), arguments.python2,
        arguments.tf1_package)
    if arguments.check:
        report = check.check(project)
        if arguments.json:
            print(report.as_json())
        else:
            terminal.show([*terminal.table_lines(report.table(), arguments.wide),
                           *(line for text in report.lines()
                             for line in terminal.prose(text, arguments.wide))])
        return 0 if report.complete else 1
    said = port.port(project, arguments.port)
    for line in said:
        print(line, file=sys.stderr)
    print(f"wrote {len(project.files)} files to {arguments.port}; data files are not copied")
    return 1 if said else 0
