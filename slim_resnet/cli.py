"""The ``slim-resnet`` command: one parser, a subcommand a module of `slim_resnet.commands`.

Results go to stdout, progress and warnings to stderr. Exit status: 0, 2 for bad input
(one line on stderr), 130 after Ctrl-C.
"""

import argparse
import contextlib
import importlib
import logging
import os
import sys
import tempfile
import warnings

import slim_resnet
from slim_resnet.compat.import_hooks import around_import
from slim_resnet.errors import SlimResnetError

COMMANDS = ("run", "benchmark", "overhead", "checkpoint", "restore-cost", "classify", "evaluate",
            "export", "accuracy", "compare-peers", "end-points", "diagram", "pictures", "report",
            "train", "digits", "photographs", "training-checks", "cluster-throughput", "degradation")


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def build_parser():
    """Returns the parser; each subcommand's ``run`` is its default of the same name."""
    parser = _Parser(prog="slim-resnet", allow_abbrev=False,
                     description="slim ResNet V2 networks, checkpoints and timings.")
    parser.add_argument("--version", action="version",
                        version=f"slim-resnet {slim_resnet.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"slim_resnet.commands.{name.replace('-', '_')}")
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.__doc__,
                                          formatter_class=argparse.RawDescriptionHelpFormatter,
                                          allow_abbrev=False)
        module.add_arguments(subparser)
        subparser.add_argument("--verbose", action="store_true",
                               help="show TensorFlow's own messages, on stderr")
        subparser.set_defaults(run=module.run)
    return parser


def main(argv=None):
    """Runs one command line.

    Args:
      argv: Words after ``slim-resnet``; None takes the process's own.

    Returns:
      The exit status.
    """
    arguments = build_parser().parse_args(argv)
    if not arguments.verbose:
        _silence_tensorflow()
    try:
        if hasattr(arguments, "complete"):
            arguments.complete(arguments)
        return arguments.run(arguments) or 0
    except SlimResnetError as error:
        print(f"slim-resnet {arguments.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"slim-resnet {arguments.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read stdout has left; keep the interpreter from saying so at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _silence_tensorflow():
    # TensorFlow reads its level once, when it is first imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(tensorflow|keras|tf_slim)\b")
    if "tensorflow" not in sys.modules:
        around_import("tensorflow", _stderr_held)


@contextlib.contextmanager
def _stderr_held():
    """Keeps what is written to stderr, even by C++, and shows it only after an error.

    The first lines that TensorFlow's libraries log come before any log level holds.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
