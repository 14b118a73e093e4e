"""``--ray`` of commands that go through many images; no command itself."""

import argparse
import dataclasses
import math
import os
import time
from collections.abc import Sequence
from typing import Any

from slim_resnet.commands import keeping, options
from slim_resnet.commands.progress import report_busy, say, saying, with_progress
from slim_resnet.inference import part_formats
from slim_resnet.inference.identity import identity_of
from slim_resnet.inference.part_files import PartFiles

# Images of a part, unless their values would be larger than this. Beginning a part takes some
# 0.3 s of CPU.
PART_IMAGES, PART_BYTES = 512, 64 << 20


def add_arguments(parser: options.Container) -> None:
    """Adds ``--ray`` and ``--ray-cpus``."""
    group = parser.add_argument_group("many machines (extra: cluster)")
    group.add_argument("--ray", nargs="?", const="", metavar="ADDRESS",
                       help="share the images by Ray Data: on the cluster of this HOST:PORT, on "
                       "the one that this machine is a node of (auto), or, without an address, on "
                       "this machine; give it last, or as --ray=ADDRESS. Images may be given by "
                       "patterns, s3:// and gs:// addresses, TFRecord and Parquet files too")
    group.add_argument("--ray-cpus", type=options.positive_int, metavar="N",
                       help="with --ray: CPUs a worker, each of which holds the network (default: "
                       "those of the smallest node, at most 4)")


def wanted(arguments: argparse.Namespace) -> bool:
    """Whether ``--ray`` is given; ``--ray-cpus`` without it is refused."""
    if arguments.ray is None:
        options.refuse(arguments, ("ray-cpus",), "goes with --ray")
    return arguments.ray is not None


def part_images(batch_size: int, bytes_an_image: int = 0) -> int:
    """Returns how many images a part has: whole batches."""
    images = min(PART_IMAGES, PART_BYTES // max(1, bytes_an_image))
    return batch_size * max(1, images // batch_size)


def job(arguments: argparse.Namespace, command: str, opened: Any, suffix: str,
        network_options: dict, **more: Any) -> Any:
    """Returns the `on_ray.worker.Job` of a command, with its checkpoint still to be sent.

    Args:
      arguments: As of `keeping.made_by`.
      command: Name of the subcommand.
      opened: The open `checkpoint.Checkpoint`.
      suffix: Format of the parts.
      network_options: What `optimize.prepare` returned.
      **more: Further fields.
    """
    from slim_resnet.inference.on_ray.worker import Job
    return Job(command, str(opened.path), _contents(opened.files), opened.selection.record(),
               opened.use_moving_averages, arguments.image_size, arguments.preprocessing,
               arguments.batch_size, suffix, network_options, **more)


def _contents(files):
    contents = {}
    for path in files:
        with open(path, "rb") as file:
            contents[os.path.basename(path)] = file.read()
    return contents


def parts_of(arguments: argparse.Namespace, command: str, opened: Any, source: Any, folder: str,
             suffix: str, size: int, **depends_on: Any) -> PartFiles:
    """Returns the parts that a folder holds of a command's results.

    Args:
      arguments: As of `keeping.made_by`.
      command: Name of the subcommand.
      opened: The open `checkpoint.Checkpoint`.
      source: The images, see `images.parts`.
      folder: Where the parts are.
      suffix: Their format.
      size: Images of a part.
      **depends_on: What else the results depend on, plain data by option.
    """
    identity = identity_of((file.name, file.size, file.time) for file in source.files)
    return PartFiles(folder, keeping.made_by(
        arguments, f"slim_resnet {command} parts 1", opened, identity, part_images=size,
        part_format=suffix, **depends_on), suffix, arguments.resume)


def run(arguments: argparse.Namespace, command: str, parts: PartFiles, job: Any, source: Any,
        size: int, lines: Sequence[str], kept: bool = True) -> int:
    """Has Ray do the parts that are not there yet.

    Args:
      arguments: With those of `add_arguments`.
      command: Name of the subcommand.
      parts: What `parts_of` returned, within its ``with`` statement.
      job: What `job` returned.
      source: The images, see `images.parts`.
      size: Images of a part.
      lines: What is said when there are results.
      kept: Whether the parts are still there when the command has ended.

    Returns:
      The exit status; ``parts.finished`` says whether all are done.
    """
    if not parts.finished:
        status = _run(arguments, command, parts, job, source, size, lines)
        if status:
            return status
    if parts.unreadable and kept:
        say(command, f"{parts.unreadable} of {parts.images} images could not be read; "
            f"{parts.folder} says why")
    return 2 if parts.unreadable else 0


def _run(arguments, command, parts, job, source, size, lines):
    from slim_resnet.inference.on_ray import engine
    with engine.started(arguments.ray, arguments.ray_cpus, arguments.verbose) as ray:
        counter = dataclasses.replace(source, files=())
        counts = ray.map(counter.count, source.files) if source.is_counted else ()
        cut = list(source.parts(size, counts))
        total = sum(part.num_images for part in cut)
        before = sum(part.num_images for number, part in enumerate(cut) if number in parts.done)
        unreadable = sum(part_formats.unreadable(parts.content(number), job.suffix)
                         for number in sorted(parts.done))
        job.files = ray.put(job.files)
        lines = [f"{ray.num_workers} workers of {ray.cpus} CPUs", *lines]
        done, busy_s, started = before, 0.0, time.perf_counter()
        results = with_progress(
            ray.run(job, ((number, part) for number, part in enumerate(cut)
                          if number not in parts.done)),
            total, done=before, size=lambda one: one.images)
        try:
            for one in saying(results, command, *lines,
                              when=lambda one: one.images > one.unreadable):
                parts.write(one.number, one.content)
                done, unreadable = done + one.images, unreadable + one.unreadable
                busy_s += one.busy_s
        except KeyboardInterrupt:
            say(command, f"interrupted after {done} of {total} images; the same command with "
                "--resume goes on")
            return 130
        seconds = time.perf_counter() - started
    report_busy(command, done - before, seconds, busy_s / ray.num_workers)
    parts.finish(done, unreadable)
    return 0


def bytes_of(shapes: Any) -> int:
    """Returns how many bytes float32 values of some shapes for one image take."""
    return sum(4 * math.prod(shape) for shape in shapes)
