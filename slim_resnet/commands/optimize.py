"""``--optimize`` and ``--precision`` of the commands that run a network; no command itself."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from slim_resnet.commands.progress import say
from slim_resnet.common.environment import FASTEST, PRECISIONS
from slim_resnet.errors import SlimResnetError


def prepare(arguments: argparse.Namespace, command: str) -> dict:
    """Checks the options of `options.add_optimize`; call it before TensorFlow is imported.

    Returns:
      What to pass on to ``network.open_network`` and to the exports.
    """
    if not arguments.optimize:
        if arguments.precision is not None:
            raise SlimResnetError("--precision goes with --optimize; give both or neither")
        return {}
    turn_onednn_on(arguments.verbose, command)
    return {"optimize": True, "precision": arguments.precision or PRECISIONS[0]}


def turn_onednn_on(verbose: bool, command: str) -> None:
    """Sets the variables of `environment.FASTEST`, except those that the user has set.

    Args:
      verbose: Whether to say so.
      command: Name of the subcommand.
    """
    if "tensorflow" in sys.modules:
        return
    for name, value in FASTEST.items():
        if name not in os.environ:
            os.environ[name] = value
            if verbose:
                say(command, f"{name}={value} is set")


@contextlib.contextmanager
def opened_network(opened: Any, image_size: int, options: dict, arguments: argparse.Namespace,
                   command: str, end_points: Iterable[str] = ()) -> Iterator[Any]:
    """Yields the network of a checkpoint and says what an optimised one computes in.

    With ``--verbose`` it says how long its parts took, too.

    Args:
      opened: Anything that `checkpoint.open_checkpoint` opens.
      image_size: Height and width of images in pixels.
      options: What `prepare` returned.
      arguments: The command line.
      command: Name of the subcommand.
      end_points: Keys that features are wanted of.
    """
    from slim_resnet import compat
    from slim_resnet.inference.network import open_network
    with open_network(opened, image_size, end_points=end_points, **options) as network:
        if options:
            say(command, f"optimised, {network.precision}, oneDNN "
                f"{'on' if compat.onednn_enabled() else 'off'}")
        yield network
        if options and arguments.verbose:
            for part, seconds in network.parts_s.items():
                print(f"  {seconds:7.3f} s  {part.replace('_', ' ')}", file=sys.stderr)
