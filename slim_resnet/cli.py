"""The ``slim-resnet`` command: one parser, a subcommand a module of `slim_resnet.commands`.

Results go to stdout, progress and warnings to stderr. Exit status: 0, 2 for bad input
(one line on stderr), 130 after Ctrl-C. `run` does the same for any other program.
"""

import argparse
import contextlib
import difflib
import importlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import slim_resnet
from slim_resnet.commands import COMMANDS, progress_line
from slim_resnet.common.text import printable
from slim_resnet.compat.import_hooks import around_import
from slim_resnet.errors import SlimResnetError


class Parser(argparse.ArgumentParser):
    """A parser with ``--verbose`` that takes underscores for dashes and suggests options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False,
                         formatter_class=argparse.RawDescriptionHelpFormatter, **options)
        self._commands = None
        # Without a default, which a subparser's would put over its parser's value.
        self.add_argument("--verbose", action="store_true", default=argparse.SUPPRESS,
                          help="show TensorFlow's own messages, on stderr")

    def add_subparsers(self, **options: Any) -> Any:
        self._commands = super().add_subparsers(required=True, **options)
        return self._commands

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        # A subparser is called here too: it answers for its own words.
        words = list(sys.argv[1:] if args is None else args)
        # Where a parameter takes the rest, as a script its own words, none is ours from it on.
        takes_the_rest = any(action.nargs == argparse.REMAINDER for action in self._actions)
        value_of = rest_of = None
        for number, word in enumerate(words):
            if word == "--":
                break
            if value_of is not None:
                value_of = None
            elif self._commands and not word.startswith("-"):
                if word not in self._commands.choices:
                    self.error(f"there is no {self._commands.metavar} {word!r}"
                               + (_nearest(word, self._commands.choices)
                                  or f"; there are {', '.join(self._commands.choices)}"))
                break
            elif word.startswith("--"):
                name, *value = word.split("=", 1)
                name = name.replace("_", "-")
                if name not in self._option_string_actions:
                    self.error(f"there is no option {name}"
                               + _nearest(name, self._option_string_actions))
                words[number] = "=".join([name, *value])
                if takes_the_rest and not value and self._option_string_actions[name].nargs is None:
                    value_of = name
            elif takes_the_rest:
                action = self._option_string_actions.get(word)
                if action and action.nargs == argparse.REMAINDER:
                    # argparse would end an option's words at "--".
                    rest_of, words, rest = action.dest, words[:number], words[number + 1:]
                break
        namespace, extra = super().parse_known_args(words, namespace)
        if rest_of:
            setattr(namespace, rest_of, rest)
        if extra:
            self.error(f"unrecognized arguments: {' '.join(extra)}")
        return namespace, extra

    def error(self, message: str) -> NoReturn:
        self.exit(2, printable(f"{self.prog}: error: {message} (see {self.prog} --help)") + "\n")


def _nearest(word, known):
    found = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {found[0]}?" if found else ""


def build_parser() -> Parser:
    """Returns the parser; each subcommand's ``run`` is its default of the same name."""
    parser = Parser(prog="slim-resnet",
                    description="slim ResNet V2 networks, checkpoints and timings.")
    parser.add_argument("--version", action="version",
                        version=f"slim-resnet {slim_resnet.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"slim_resnet.commands.{name.replace('-', '_')}")
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run, prog=subparser.prog)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; without a word it prints what commands there are.

    Args:
      argv: Words after ``slim-resnet``; None takes the process's own.

    Returns:
      The exit status.
    """
    parser = build_parser()
    words = sys.argv[1:] if argv is None else argv
    if not words:
        parser.print_help()
        return 0
    return run(parser, words)


def run(parser: Parser, argv: Sequence[str] | None = None) -> int:
    """Parses a command line and runs the program that it is for.

    Args:
      parser: With the default ``run``, a function of the parsed arguments that returns
        the exit status or None for 0; with ``complete``, this is called before.
      argv: The words of the command line; None takes the process's own.

    Returns:
      The exit status.
    """
    parser.set_defaults(verbose=False, prog=parser.prog)
    arguments = parser.parse_args(argv)
    if not arguments.verbose:
        _silence_tensorflow()
    try:
        if hasattr(arguments, "complete"):
            arguments.complete(arguments)
        try:
            return arguments.run(arguments) or 0
        finally:
            # What is raised keeps the generators alive that would have erased it.
            progress_line.end()
    except SlimResnetError as error:
        print(printable(f"{arguments.prog}: error: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{arguments.prog}: interrupted", file=sys.stderr)
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
def _stderr_held() -> Iterator[None]:
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
