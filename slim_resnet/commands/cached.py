"""A checkpoint's network from the cache, and what there is to know of it, without TensorFlow."""

import argparse
import os
from typing import Any

from slim_resnet.checkpoint.location import check_readable, locate
from slim_resnet.checkpoint.settings import assumed_of
from slim_resnet.commands import optimize, options
from slim_resnet.commands.progress import say
from slim_resnet.inference.engines import cache


def known(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Returns what `remember` kept of the checkpoint, or None."""
    if not hasattr(arguments, "known_facts"):
        arguments.known_facts = None
        if optimize.is_cached(arguments):
            try:
                entry = cache.find(_key(arguments, _files(arguments)))
            except cache.Refused as error:
                say(arguments.command, f"warning: {error}")
            else:
                arguments.known_facts = entry and entry.record
    return arguments.known_facts


def remember(arguments: argparse.Namespace, opened: Any) -> None:
    """Keeps what is to be known of a checkpoint that is open.

    ``num_classes``, size and preparation of its released one, whether it has averages of
    weights and takes them, and what is assumed of it.
    """
    from slim_resnet.checkpoint.recognition import recognise
    if known(arguments):
        return
    found = recognise(opened)
    facts = {"num_classes": found.num_classes, "image_size": found.row.evaluated_image_size,
             "preprocessing": found.row.preprocessing,
             "averages": [opened.use_moving_averages, options.has_averages(opened)],
             "assumed": assumed_of(opened)}
    try:
        cache.keep(_key(arguments, opened.files), lambda folder: facts)
    except cache.Refused as error:
        say(arguments.command, f"warning: {error}")


def network(arguments: argparse.Namespace) -> Any:
    """Returns the checkpoint's network, or None if it or what is known of it was not kept."""
    if not known(arguments):
        return None
    return optimize.cached_network(arguments, _files(arguments), arguments.command)[0]


def _files(arguments):
    files = locate(os.fsdecode(arguments.checkpoint)).files
    for file in files:
        check_readable(file)
    return files


def _key(arguments, files):
    return {**optimize.identity(arguments, files), "holds": "facts"}
