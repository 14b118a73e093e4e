"""``--optimize`` and ``--precision`` of the commands that run a network; no command itself."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from slim_resnet.commands.progress import say
from slim_resnet.common.environment import FASTEST
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
    return {"optimize": True, "precision": arguments.precision or "auto"}


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
    """Yields the network of a checkpoint; with ``--verbose``, says how long it took.

    Args:
      opened: Anything that `checkpoint.open_checkpoint` opens.
      image_size: Height and width of images in pixels.
      options: What `prepare` returned.
      arguments: The command line.
      command: Name of the subcommand.
      end_points: Keys that features are wanted of.
    """
    from slim_resnet.checkpoint.reader import files_of
    from slim_resnet.inference.folded import cache
    from slim_resnet.inference.network import open_network
    if not options:
        with open_network(opened, image_size, end_points=end_points) as network:
            yield network
        return
    cache_dir = cache.folder_beside(files_of(opened))
    with open_network(opened, image_size, end_points=end_points, cache_dir=cache_dir,
                      **options) as model:
        if options["precision"] == "auto" and model.precision != "float32":
            say(command, f"precision {model.precision}")
        yield model
        if arguments.verbose:
            say(command, f"{model.precision}, {'from the cache' if model.cached else 'made anew'}")
            if model.cache_problem:
                say(command, f"nothing was cached: {model.cache_problem}")
            for part, seconds in model.parts_s.items():
                print(f"  {seconds:7.3f} s  {part.replace('_', ' ')}", file=sys.stderr)
