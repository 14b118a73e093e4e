"""Trains plain and residual networks of several depths alike and compares their errors.

    slim-resnet degradation --json errors.json --plot errors.png

The post's first point: with more layers accuracy saturates and then falls, on the
training set too, so it is not overfitting; residual networks do not suffer from it. By
default on the 1,797 handwritten digits that scikit-learn ships. Prints errors against
depth, with their spread over seeds, and whether these runs show what the post says.
"""

import argparse
import contextlib
import dataclasses
import os

from slim_resnet.commands import options as shared
from slim_resnet.commands.options import non_negative_int, positive_int
from slim_resnet.commands.progress import say, with_progress, write_record, written_alone
from slim_resnet.common import terminal
from slim_resnet.common.environment import cpu
from slim_resnet.errors import SlimResnetError
from slim_resnet.experiments import degradation_records as records

HELP = "show how plain networks degrade with depth, and residual ones do not"

_DEFAULTS = records.DegradationOptions()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what is trained")
    what.add_argument("--cifar10", metavar="FILE",
                      help="train on CIFAR-10: its binary archive (default: "
                      "scikit-learn's digits; extra: experiments)")
    what.add_argument("--layers", type=positive_int, nargs="+", default=_DEFAULTS.layers,
                      metavar="N", help="depths, each three times a number of units and one "
                      f"(default: {' '.join(map(str, _DEFAULTS.layers))})")
    what.add_argument("--width", type=positive_int, default=_DEFAULTS.width, metavar="CHANNELS",
                      help="of the first block's bottlenecks (default: %(default)s)")
    what.add_argument("--seeds", type=positive_int, default=_DEFAULTS.seeds, metavar="N",
                      help="runs of each network (default: %(default)s)")
    what.add_argument("--steps", type=positive_int, default=_DEFAULTS.steps, metavar="N",
                      help="of each run (default: %(default)s)")
    what.add_argument("--batch-size", type=positive_int, default=_DEFAULTS.batch_size, metavar="N")
    what.add_argument("--learning-rate", type=float, default=_DEFAULTS.learning_rate,
                      metavar="RATE", help="after warm-up; falls along half a cosine "
                      "(default: %(default)s)")
    what.add_argument("--warmup-steps", type=non_negative_int, metavar="N",
                      help="in which the rate grows in equal parts to its full size "
                      "(default: a tenth of --steps)")
    parser.add_argument("--jobs", type=positive_int, default=cpu()["cores"], metavar="N",
                        help="networks trained at a time, each on one thread; changes no result "
                        "(default: the number of cores)")
    out = parser.add_argument_group("what is written")
    shared.add_record(out, "the record, after every run; with the same options it goes on from it",
                      "errors against depth")


def run(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    shared.check_files(arguments, arguments.json)
    with written_alone(arguments.json):
        return _train(arguments, options)


def _train(arguments, options):
    # oneDNN's kernels cannot train the least of these networks, see `training_graph`.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    name = "CIFAR-10" if arguments.cifar10 else "digits"
    earlier = records.read_record(arguments.json, name, options) if arguments.json else None
    from slim_resnet.experiments import degradation
    data_set = (degradation.cifar10(arguments.cifar10) if arguments.cifar10
                else degradation.digits())
    degradation.check_depths(data_set, options.layers)
    planned = records.planned(options)
    record = records.new_record(data_set.description(), options, earlier)
    there = {records.key_of(one) for one in record["runs"]}
    wanted = [key for key in planned if key not in there]
    say("degradation", f"{len(wanted)} of {len(planned)} networks to train, {arguments.jobs} at a "
        f"time; {data_set.name}: {len(data_set.training_labels)} images to train on, "
        f"{len(data_set.test_labels)} to test")
    interrupted = False
    try:
        with contextlib.closing(degradation.train_all(wanted, data_set, options,
                                                      arguments.jobs)) as results:
            for result in with_progress(results, len(wanted), "networks"):
                record["runs"].append(result)
                write_record(record, arguments.json)
    except KeyboardInterrupt:
        interrupted = True
    runs = [one for one in record["runs"] if records.key_of(one) in planned]
    if not runs:
        raise KeyboardInterrupt
    # The interrupt may have come between a result and its writing.
    write_record(record, arguments.json)
    _, lines = records.verdict(runs, record["data_set"]["chance_error_percent"])
    terminal.show([*terminal.table_lines(records.error_table(runs)), "",
                   *(line for text in lines for line in terminal.prose(text))])
    if arguments.plot:
        from slim_resnet.experiments.degradation_plot import plot_degradation
        plot_degradation(runs, data_set.name, arguments.plot, arguments.theme)
    return 130 if interrupted else 0


def _options(arguments):
    for layers in arguments.layers:
        if layers % 3 != 1 or layers < 4:
            raise SlimResnetError(f"--layers {layers}: networks have 3 layers a unit and one, "
                                  "like 7, 19 or 55")
    if not 0 < arguments.learning_rate < float("inf"):
        raise SlimResnetError(f"--learning-rate {arguments.learning_rate}: must be above 0 and "
                              "finite")
    if arguments.warmup_steps is None:
        arguments.warmup_steps = arguments.steps // 10
    if arguments.warmup_steps >= arguments.steps:
        raise SlimResnetError(f"--warmup-steps {arguments.warmup_steps}: must be fewer than "
                              f"--steps {arguments.steps}")
    fields = {field.name: getattr(arguments, field.name)
              for field in dataclasses.fields(records.DegradationOptions)}
    return records.DegradationOptions(**{**fields, "layers": tuple(sorted(set(arguments.layers)))})
