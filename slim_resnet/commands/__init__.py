"""One module a subcommand of ``slim-resnet``.

Each has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(arguments)``, which
returns the exit status or None for 0. They import TensorFlow within ``run``, so that
help and bad options are answered at once.
"""

import argparse


def positive_int(text):
    """An argparse type: a whole number from 1."""
    return _int_from(1, text)


def non_negative_int(text):
    """An argparse type: a whole number from 0."""
    return _int_from(0, text)


def _int_from(least, text):
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or value < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return value
