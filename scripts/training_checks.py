"""What is claimed of training, measured: killing loses nothing, fine-tuning helps, speed.

    python scripts/training_checks.py kills        kill it at random moments, compare losses
    python scripts/training_checks.py fine-tuning  digits 7 to 9, from a checkpoint of 0 to 6
    python scripts/training_checks.py throughput   beside a bare loop of session.run(train_op)

Exit status 1 if a claim does not hold: a step lost or a loss that differs by more than a
thousandth; fine-tuning not ahead at equal steps; less than 0.95 of the bare loop.
"""

import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from slim_resnet import cli
from slim_resnet.checkpoint.runs import METRICS
from slim_resnet.commands.options import positive_int
from slim_resnet.common.environment import child_environment
from slim_resnet.common.tables import format_table
from slim_resnet.common.temporary import temporary_folder
from slim_resnet.errors import SlimResnetError

BLOCKS = ((16, 1), (32, 1), (64, 1))
# Losses of the same step that differ by less, relatively, are the same.
SAME_LOSS = 1e-3
# Of the runs that make the checkpoints of fine-tuning.
PRETRAINING_STEPS = 300


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="training_checks.py", description=__doc__)
    checks = parser.add_subparsers(dest="check", metavar="CHECK")
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
    for check, of_check in ((kills, _kills), (fine_tuning, _fine_tuning),
                            (throughput, _throughput)):
        check.set_defaults(run=of_check)
    return parser


def _kills(arguments):
    result = check_kills(arguments.kills, arguments.steps, arguments.seed, _say)
    print("\n".join(format_table(
        ["kill", "s after start", "checkpoint before", "after", "steps lost"],
        [[number, f"{row['seconds']:.2f}", row["kept_before"], row["kept"], row["lost"]]
         for number, row in enumerate(result["kills"], 1)])))
    worst = max(result["runs"])
    print(f"{len(result['runs'])} runs came to their end; losses of all {arguments.steps} steps "
          f"differ by at most {worst:.2g}, relatively, from those of the run left alone")
    return int(worst > SAME_LOSS or any(row["lost"] for row in result["kills"]))


def _fine_tuning(arguments):
    rows = check_fine_tuning(arguments.steps, range(arguments.seeds), on_row=_say)
    print("\n".join(format_table(
        ["steps", "seed", "from scratch, top-1 %", "fine-tuned, top-1 %"],
        [[row["steps"], row["seed"], f"{100 * row['from_scratch']:.1f}",
          f"{100 * row['fine_tuned']:.1f}"]
         for row in sorted(rows, key=lambda row: (row["steps"], row["seed"]))])))
    return int(any(median_of(own, "fine_tuned") <= median_of(own, "from_scratch")
                   for own in ([row for row in rows if row["steps"] == steps]
                               for steps in arguments.steps)))


def _throughput(arguments):
    rows = check_throughput(arguments.rounds, arguments.steps,
                                   augmentation=arguments.augmentation, on_row=_say)
    print("\n".join(format_table(
        ["round", "bare loop, images/s", "train, images/s", "ratio"],
        [[number, f"{row['bare']:.1f}", f"{row['train']:.1f}", f"{row['ratio']:.3f}"]
         for number, row in enumerate(rows, 1)])))
    ratio = median_of(rows, "ratio")
    print(f"median ratio {ratio:.3f}")
    return int(ratio < 0.95)


def _say(row):
    if sys.stderr.isatty():
        print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), file=sys.stderr)


def _random_arrays(path, num_images):
    """Writes images of noise, each of ten classes of its own brightness, as .npz."""
    import numpy as np
    rng = np.random.RandomState(0)
    labels = np.arange(num_images) % 10
    shades = labels[:, np.newaxis, np.newaxis, np.newaxis] * 20
    images = (rng.randint(0, 56, (num_images, 32, 32, 3)) + shades).astype(np.uint8)
    np.savez(path, images=images, labels=labels)
    return path


def check_kills(kills: int, steps: int = 600, seed: int = 0,
                on_kill: Callable[[dict], None] = lambda row: None) -> dict:
    """Kills ``slim-resnet train`` at random moments, starts it again, and compares.

    One run is left alone; the other is killed by SIGKILL after a time drawn anew each
    time, from none to what the whole run takes; where it came to its last step, another
    one begins.

    Args:
      kills: How often.
      steps: Steps of the run; every fifth is saved.
      seed: Of the moments.
      on_kill: Called with each row.

    Returns:
      A dict: ``kills``, rows of ``seconds`` after the start, ``kept_before`` and
      ``kept`` (steps of the last good checkpoint), and ``lost`` (steps that the log has up
      to that checkpoint, and should not, or the other way round); ``runs``, for each run
      that came to its end the largest relative difference of a loss from the run that was
      left alone, infinite if a step is there twice or missing.
    """
    moments = random.Random(seed)
    with temporary_folder() as folder:
        data = _random_arrays(os.path.join(folder, "data.npz"), 500)
        alone = os.path.join(folder, "alone")
        command = [sys.executable, "-m", "slim_resnet", "train", data, "--model", "resnet_v2",
                   "--blocks", "2x1,4x1", "--image-size", "32", "--augmentation", "inception",
                   "--steps", str(steps), "--save-steps", "5", "--log-steps", "1"]
        started = time.monotonic()
        _finish(_start(command, alone))
        whole_run_s = time.monotonic() - started
        rows, runs = [], []
        output = os.path.join(folder, "killed-0")
        while len(rows) < kills:
            before = _kept(output)
            seconds = moments.uniform(0, whole_run_s)
            process = _start(command, output)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kept = _kept(output)
                rows.append({"seconds": seconds, "kept_before": before, "kept": kept,
                             "lost": _lost(output, kept, before)})
                on_kill(rows[-1])
            else:
                _finish(process)
            if _kept(output) == steps:
                runs.append(_difference(output, alone, steps))
                output = os.path.join(folder, f"killed-{len(runs)}")
        _finish(_start(command, output))
        runs.append(_difference(output, alone, steps))
    return {"kills": rows, "runs": runs}


def _start(command, output):
    return subprocess.Popen([*command, "--output", output], env=child_environment(), text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _finish(process):
    _, said = process.communicate()
    if process.returncode:
        raise SlimResnetError(f"the run ended with status {process.returncode}: "
                              f"{said.strip().splitlines()[-1:]}")


def _kept(output):
    """Returns the step of the last good checkpoint; 0 before there is one."""
    if not os.path.isdir(output):
        return 0
    from slim_resnet.training import hooks
    return hooks.last_good_step(output, lambda line: None) or 0


def _logged_steps(output):
    path = os.path.join(output, METRICS)
    if not os.path.exists(path):
        return {}
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("}\n"):
                row = json.loads(line)
                rows.append((row["step"], row["loss"]))
    return dict(rows) if len(dict(rows)) == len(rows) else None


def _lost(output, kept, before):
    """Returns how many steps are lost: of an older checkpoint, and of the log up to this one."""
    logged = _logged_steps(output)
    if logged is None:
        return math.inf
    missing = set(range(1, kept + 1)) - logged.keys()
    return max(0, before - kept) + len(missing)


def _difference(output, alone, steps):
    ours, theirs = _logged_steps(output), _logged_steps(alone)
    if ours is None or list(ours) != list(range(1, steps + 1)):
        return math.inf
    return max(abs(ours[step] - theirs[step]) / abs(theirs[step]) for step in ours)


def check_fine_tuning(lengths: Sequence[int] = (5, 10, 20), seeds: Sequence[int] = (0, 1, 2),
                      on_row: Callable[[dict], None] = lambda row: None) -> list[dict]:
    """Learns the digits 7 to 9 from nothing, and from a checkpoint of the digits 0 to 6.

    Args:
      lengths: Steps of the runs that are compared.
      seeds: Of the runs; each has a checkpoint of its own.
      on_row: Called with each row.

    Returns:
      Rows of ``seed``, ``steps``, ``from_scratch`` and ``fine_tuned``, the last two
      fractions of test images that are classified right, by moving statistics.
    """
    from slim_resnet.training import run as training
    from slim_resnet.training.options import TrainingOptions
    rows = []
    with temporary_folder() as folder:
        files = _parts_of_digits(folder)
        for seed in seeds:
            common = dict(image_size=32, augmentation="none", seed=seed)
            network = dict(model="resnet_v2", blocks=BLOCKS)
            before = os.path.join(folder, f"before-{seed}")
            training.train(TrainingOptions(steps=PRETRAINING_STEPS, **network, **common),
                           [files["old"]["train"]], before, evaluate=False)
            for steps in lengths:
                row = {"seed": seed, "steps": steps}
                for name, start in (("from_scratch", network),
                                    ("fine_tuned", dict(checkpoint=before, exclude=("logits",)))):
                    outcome = training.train(
                        TrainingOptions(steps=steps, **start, **common), [files["new"]["train"]],
                        os.path.join(folder, f"{name}-{seed}-{steps}"),
                        validation=[files["new"]["test"]])
                    row[name] = outcome.evaluations[0].top_1
                rows.append(row)
                on_row(row)
    return rows


def _parts_of_digits(folder):
    """Writes the digits below 7 (``old``) and the others (``new``), as .npz."""
    import numpy as np

    from slim_resnet.experiments import digits
    images, labels = digits.load_digits()
    files = {"old": {}, "new": {}}
    for part, chosen in zip(("train", "test"), digits.split(len(images))):
        for name, first, end in (("old", 0, 7), ("new", 7, 10)):
            own = chosen[(labels[chosen] >= first) & (labels[chosen] < end)]
            path = os.path.join(folder, f"{name}-{part}.npz")
            np.savez(path, images=images[own], labels=labels[own] - first,
                     classes=list(map(str, range(first, end))))
            files[name][part] = path
    return files


def check_throughput(rounds: int = 5, steps: int = 100, augmentation: str = "none",
                     on_row: Callable[[dict], None] = lambda row: None) -> list[dict]:
    """Times `training.train` and a bare loop of ``session.run(train_op)`` in turn.

    Both train the same network at 32 pixels. The bare loop has its only batch in a
    variable; ``train`` reads images from an .npz file in memory, prepares them anew for
    each step, logs every tenth step, and hands its progress on.

    Args:
      rounds: How often both.
      steps: Timed steps of each, after ten that are not.
      augmentation: See `TrainingOptions`.
      on_row: Called with each row.

    Returns:
      Rows of ``bare`` and ``train``, images a second, and ``ratio``.
    """
    from slim_resnet.training.options import TrainingOptions
    burn_in, rows = 10, []
    options = TrainingOptions(steps=steps + burn_in, model="resnet_v2",
                              blocks=((16, 3), (32, 3), (64, 3)), image_size=32,
                              augmentation=augmentation, batch_size=32)
    with temporary_folder() as folder:
        data = _random_arrays(os.path.join(folder, "data.npz"), 1000)
        for number in range(rounds):
            row = {"bare": _bare_rate(options, burn_in),
                   "train": _train_rate(options, data, os.path.join(folder, f"run-{number}"),
                                        burn_in)}
            rows.append(dict(row, ratio=row["train"] / row["bare"]))
            on_row(rows[-1])
    return rows


def _bare_rate(options, burn_in):
    import numpy as np
    import tensorflow as tf

    from slim_resnet.training.graph import architecture_of, build_logits, build_training_graph
    tf1 = tf.compat.v1
    with tf.Graph().as_default(), tf1.Session() as session:
        shape = [options.batch_size, options.image_size, options.image_size, 3]
        images = tf1.Variable(
            np.random.RandomState(0).uniform(-1, 1, shape).astype(np.float32), trainable=False)
        architecture = architecture_of(options.model, options.blocks)
        graph = build_training_graph(
            images.read_value(), tf.range(options.batch_size) % 10, 10,
            lambda images: build_logits(images, 10, architecture, options), options)
        session.run(tf1.global_variables_initializer())
        for step in range(options.steps):
            if step == burn_in:
                started = time.perf_counter()
            session.run(graph.train_op)
        return ((options.steps - burn_in) * options.batch_size
                / (time.perf_counter() - started))


def _train_rate(options, data, output, burn_in):
    from slim_resnet.training import run as training
    times = []
    training.train(options, [data], output, evaluate=False,
                   on_progress=lambda progress: times.append(time.perf_counter()))
    return (options.steps - burn_in) * options.batch_size / (times[-1] - times[burn_in - 1])


def median_of(rows: Iterable[dict], name: str) -> float:
    """Returns the median over rows of one of their values."""
    return statistics.median(row[name] for row in rows)


if __name__ == "__main__":
    sys.exit(cli.run(build_parser()))
