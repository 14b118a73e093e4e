"""Run a TensorFlow 1 script as it is, on today's TensorFlow.

    slim-resnet run blog.py
    slim-resnet run train.py --learning_rate=0.1
    slim-resnet run -m project.train --learning_rate=0.1

The script, the modules beside it and those on PYTHONPATH see TensorFlow 1.15's names,
tf.contrib.slim among them; every installed library sees the TensorFlow that is installed.
Options of this command stand before the script's name, the script's own behind it.
"""

import argparse

from slim_resnet.errors import SlimResnetError

HELP = "run a TensorFlow 1 script as it is"


def add_arguments(parser):
    parser.ends_at_first_word = True
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


def run(arguments):
    from slim_resnet.tf1 import running
    options = {"packages": tuple(arguments.tf1_package), "python2": arguments.python2,
               "explain": arguments.explain}
    if arguments.module:
        running.run_module(arguments.module[0], arguments.module[1:], **options)
    elif arguments.script:
        running.run_script(arguments.script[0], arguments.script[1:], **options)
    else:
        raise SlimResnetError("name a script, or a module with -m")
