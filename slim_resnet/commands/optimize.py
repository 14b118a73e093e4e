"""``--optimize``, ``--engine`` and ``--precision`` of the commands that run a network.

Nothing here imports TensorFlow, unless a network is not in the cache yet.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from slim_resnet.commands.progress import say
from slim_resnet.common.environment import FASTEST, PRECISIONS
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import finding
from slim_resnet.inference.engines import cache, judged, table
from slim_resnet.inference.engines.table import INT8
from slim_resnet.inference.identity import data_identity


def resolve(arguments: argparse.Namespace) -> table.Engine | None:
    """Returns the engine that `options.add_engine` asks for, None for the network as it is.

    Another engine than TensorFlow, and ``auto``, stand for ``--optimize`` too.

    Raises:
      SlimResnetError: It is not to be had here, or options do not go together.
    """
    asked = getattr(arguments, "engine", None)
    precision = arguments.precision or PRECISIONS[0]
    if asked not in (None, table.TENSORFLOW):
        arguments.optimize = True
    row = None
    if arguments.optimize or getattr(arguments, "compare", False):
        row = table.choose(asked or table.TENSORFLOW, precision)
    elif arguments.precision is not None:
        other = " or another engine" if hasattr(arguments, "engine") else ""
        raise SlimResnetError(f"--precision goes with --optimize{other}; give both or neither")
    check_int8(arguments)
    return row


def check_int8(arguments: argparse.Namespace, is_needed: bool = True) -> None:
    """Checks ``--calibrate`` and ``--accept``.

    Args:
      arguments: The command line.
      is_needed: Whether int8 cannot do without ``--calibrate``.

    Raises:
      SlimResnetError: They are not of int8, or int8 lacks images.
    """
    if arguments.precision != INT8:
        for name in ("calibrate", "accept"):
            if getattr(arguments, name, None):
                raise SlimResnetError(f"--{name} goes with --precision int8")
    elif is_needed and not arguments.calibrate:
        raise SlimResnetError("--precision int8 needs --calibrate FOLDER, images to find the "
                              "ranges of values with and to judge it by")


def prepare(arguments: argparse.Namespace, command: str) -> dict:
    """Checks the options of `options.add_optimize`; call it before TensorFlow is imported.

    Returns:
      What to pass on to ``network.open_network`` and to the exports.
    """
    row = resolve(arguments)
    if row is None:
        return {}
    if arguments.precision == INT8 and getattr(arguments, "ray", None) is not None:
        raise SlimResnetError("--precision int8: each process of --ray would calibrate by itself; "
                              "leave one out")
    if row.name == table.TENSORFLOW:
        turn_onednn_on(arguments.verbose, command)
    options = {"optimize": True, "precision": arguments.precision or PRECISIONS[0]}
    return {**options, "engine": row.name} if hasattr(arguments, "engine") else options


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


def calibration_of(arguments: argparse.Namespace) -> dict[str, str] | None:
    """Returns what tells the images of ``--calibrate`` from others, or None."""
    if not getattr(arguments, "calibrate", None):
        return None
    return data_identity(calibration_files(arguments))


def calibration_files(arguments: argparse.Namespace) -> list[str]:
    """Returns the images of ``--calibrate`` that are used.

    Raises:
      SlimResnetError: There are too few.
    """
    return judged.chosen(finding.find_images(arguments.calibrate), arguments.calibrate)


def is_cached(arguments: argparse.Namespace) -> bool:
    """Whether networks are to be looked for in the cache and kept there."""
    row = resolve(arguments)
    return arguments.cache and row is not None and row.name != table.TENSORFLOW


def identity(arguments: argparse.Namespace, files: Iterable[str]) -> dict[str, Any]:
    """Returns the `cache.identity` of the checkpoint, whose files are read once."""
    if not hasattr(arguments, "identity"):
        arguments.identity = cache.identity(arguments.checkpoint, files,
                                            arguments.use_moving_averages)
    return arguments.identity


def cached_network(arguments: argparse.Namespace, files: Iterable[str], command: str,
                   end_points: Iterable[str] = ()) -> tuple[Any, dict[str, Any]]:
    """Returns the network of a checkpoint from the cache, or None, and what it is kept under.

    Args:
      arguments: The command line, image size and all.
      files: The checkpoint's.
      command: Name of the subcommand.
      end_points: Keys that features are wanted of.
    """
    from slim_resnet.inference.folded.model import InferenceModel
    row = resolve(arguments)
    precision = arguments.precision or PRECISIONS[0]
    # Files of float32, from which bfloat16 is computed too, are the same for every engine.
    made_from = {**identity(arguments, files), "image_size": arguments.image_size,
                 "end_points": list(end_points),
                 INT8: {"engine": row.described, "calibration": calibration_of(arguments)}
                 if precision == INT8 else None}
    try:
        model = InferenceModel.from_cache(os.fsdecode(arguments.checkpoint), made_from, precision,
                                          row)
    except cache.Refused as error:
        say(command, f"warning: {error}")
        return None, None
    # A network that was accepted is accepted by who says so again.
    if model and model.quantised and not arguments.accept and judged.is_refused(model.quantised):
        model.close()
        raise judged.refusal(model.path, model.quantised)
    return model, made_from


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
    from slim_resnet.inference.network import open_network
    network, more = None, {}
    if is_cached(arguments):
        network, more["made_from"] = cached_network(arguments, opened.files, command, end_points)
    if network is None:
        if getattr(arguments, "calibrate", None):
            more.update(calibration=calibration_images(arguments, opened, command),
                        accept=arguments.accept)
        network = open_network(opened, image_size, end_points=end_points, **options, **more)
        if more.get("made_from") and network.kept_in:
            say(command, f"kept in {cache.cache_folder()}; --no-cache keeps nothing")
    with network:
        if options:
            say_engine(network, command)
        yield network
        if options and arguments.verbose:
            say_parts(network)


def say_engine(network: Any, command: str) -> None:
    """Says what an optimised network computes in, and what of int8 was found."""
    kernels = network.engine
    if network.engine.startswith("TensorFlow "):
        from slim_resnet import compat
        kernels = f"oneDNN {'on' if compat.onednn_enabled() else 'off'}"
    say(command, f"optimised, {network.precision}, {kernels}")
    if network.quantised:
        say(command, judged.described(network.quantised))


def say_parts(network: Any) -> None:
    """Says how long the parts of loading a network took."""
    for part, seconds in network.parts_s.items():
        print(f"  {seconds:7.3f} s  {part.replace('_', ' ')}", file=sys.stderr)


def calibration_images(arguments: argparse.Namespace, opened: Any, command: str) -> Any:
    """Returns the images of ``--calibrate``, prepared, and says how many they are.

    Args:
      arguments: The command line, image size and preparation filled in.
      opened: An open `checkpoint.Checkpoint`.
      command: Name of the subcommand.
    """
    from slim_resnet.checkpoint.recognition import recognise
    from slim_resnet.images.reading import load_images
    images = load_images(calibration_files(arguments), arguments.image_size,
                         arguments.preprocessing, recognise(opened).input_channels)
    say(command, f"calibrating int8 with {len(images)} images, which may take minutes")
    return images
