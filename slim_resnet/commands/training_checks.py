"""Measure what is claimed of slim-resnet train.

    slim-resnet training-checks kills        kill it at random moments, and compare losses
    slim-resnet training-checks fine-tuning  digits 7 to 9, from a checkpoint of 0 to 6
    slim-resnet training-checks throughput   beside a bare loop of session.run(train_op)

Exit status 1 if a claim does not hold: a step lost or a loss that differs by more than a
thousandth; fine-tuning not ahead at equal steps; less than 0.95 of the bare loop.
"""

import sys

from slim_resnet.commands import positive_int
from slim_resnet.common.tables import format_table

HELP = "measure what is claimed of training"


def add_arguments(parser):
    checks = parser.add_subparsers(dest="check", metavar="CHECK", required=True)
    kills = checks.add_parser("kills", help="kill a run at random moments")
    kills.add_argument("--kills", type=positive_int, default=20, metavar="N",
                       help="(default: %(default)s)")
    kills.add_argument("--steps", type=positive_int, default=600, metavar="N",
                       help="of the run (default: %(default)s)")
    kills.add_argument("--seed", type=int, default=0, metavar="N",
                       help="of the moments (default: %(default)s)")
    fine_tuning = checks.add_parser("fine-tuning", help="from a checkpoint of other classes")
    fine_tuning.add_argument("--steps", type=positive_int, nargs="+", default=[5, 10, 20],
                             metavar="N", help="of the runs (default: 5 10 20)")
    fine_tuning.add_argument("--seeds", type=positive_int, default=3, metavar="N",
                             help="how many (default: %(default)s)")
    throughput = checks.add_parser("throughput", help="beside a bare loop")
    throughput.add_argument("--rounds", type=positive_int, default=5, metavar="N",
                            help="both in turn (default: %(default)s)")
    throughput.add_argument("--steps", type=positive_int, default=100, metavar="N",
                            help="timed, of each (default: %(default)s)")
    throughput.add_argument("--augmentation", choices=("inception", "flip", "none"),
                            default="none", help="(default: %(default)s)")


def run(arguments):
    from slim_resnet import training_checks
    return {"kills": _kills, "fine-tuning": _fine_tuning,
            "throughput": _throughput}[arguments.check](arguments, training_checks)


def _kills(arguments, checks):
    result = checks.check_kills(arguments.kills, arguments.steps, arguments.seed, _say)
    print("\n".join(format_table(
        ["kill", "s after start", "checkpoint before", "after", "steps lost"],
        [[number, f"{row['seconds']:.2f}", row["kept_before"], row["kept"], row["lost"]]
         for number, row in enumerate(result["kills"], 1)])))
    worst = max(result["runs"])
    print(f"{len(result['runs'])} runs came to their end; losses of all {arguments.steps} steps "
          f"differ by at most {worst:.2g}, relatively, from those of the run left alone")
    return int(worst > checks.SAME_LOSS or any(row["lost"] for row in result["kills"]))


def _fine_tuning(arguments, checks):
    rows = checks.check_fine_tuning(arguments.steps, range(arguments.seeds), on_row=_say)
    print("\n".join(format_table(
        ["steps", "seed", "from scratch, top-1 %", "fine-tuned, top-1 %"],
        [[row["steps"], row["seed"], f"{100 * row['from_scratch']:.1f}",
          f"{100 * row['fine_tuned']:.1f}"]
         for row in sorted(rows, key=lambda row: (row["steps"], row["seed"]))])))
    return int(any(checks.median_of(own, "fine_tuned") <= checks.median_of(own, "from_scratch")
                   for own in ([row for row in rows if row["steps"] == steps]
                               for steps in arguments.steps)))


def _throughput(arguments, checks):
    rows = checks.check_throughput(arguments.rounds, arguments.steps,
                                   augmentation=arguments.augmentation, on_row=_say)
    print("\n".join(format_table(
        ["round", "bare loop, images/s", "train, images/s", "ratio"],
        [[number, f"{row['bare']:.1f}", f"{row['train']:.1f}", f"{row['ratio']:.3f}"]
         for number, row in enumerate(rows, 1)])))
    ratio = checks.median_of(rows, "ratio")
    print(f"median ratio {ratio:.3f}")
    return int(ratio < 0.95)


def _say(row):
    if sys.stderr.isatty():
        print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), file=sys.stderr)
