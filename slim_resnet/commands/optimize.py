"""``--optimize`` and ``--precision`` of the commands that run a network; no command itself."""

import contextlib
import os
import sys

from slim_resnet.common.environment import FASTEST, PRECISIONS
from slim_resnet.errors import SlimResnetError


def add_arguments(parser):
    """Adds the options of commands that can run the folded network."""
    parser.add_argument("--optimize", action="store_true",
                        help="fold the batch norms and fuse the layers: the same results but for "
                        "rounding, faster; turns oneDNN on unless TF_ENABLE_ONEDNN_OPTS is "
                        "set, and keeps the folded network in a folder beside the checkpoint")
    parser.add_argument("--precision", choices=PRECISIONS,
                        help="with --optimize; auto takes bfloat16 on CPUs that are faster in it "
                        "(default: auto)")


def prepare(arguments, command):
    """Checks the options of `add_arguments`; call it before TensorFlow is imported.

    Returns:
      What to pass on to ``network.open_network`` and to the exports.
    """
    if not arguments.optimize:
        if arguments.precision is not None:
            raise SlimResnetError("--precision goes with --optimize; give both or neither")
        return {}
    turn_onednn_on(arguments.verbose, command)
    return {"optimize": True, "precision": arguments.precision or "auto"}


def turn_onednn_on(verbose, command):
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
                print(f"slim-resnet {command}: {name}={value} is set", file=sys.stderr)


@contextlib.contextmanager
def opened_network(opened, image_size, options, arguments, command, end_points=()):
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
            print(f"slim-resnet {command}: precision {model.precision}", file=sys.stderr)
        yield model
        if arguments.verbose:
            print("\n".join(_first_result(model, command)), file=sys.stderr)


def _first_result(model, command):
    """Returns lines: what the first result of an optimised network took."""
    yield (f"slim-resnet {command}: {model.precision}, "
           f"{'from the cache' if model.cached else 'made anew'}")
    if model.cache_problem:
        yield f"slim-resnet {command}: nothing was cached: {model.cache_problem}"
    for part, seconds in model.parts_s.items():
        yield f"  {seconds:7.3f} s  {part.replace('_', ' ')}"
