"""Records of `experiments.degradation`: what was trained, tables of it, and what it shows.

Plain data and pure functions of it; needs no TensorFlow.

A record's runs are dicts: ``kind`` (``plain`` or ``residual``), ``layers``, ``seed``,
``training_error_percent``, ``test_error_percent``, ``training_loss``.
"""

import dataclasses
import datetime
import os
import statistics

from slim_resnet.common.environment import environment
from slim_resnet.common.files import read_json
from slim_resnet.common.spread import spread_text
from slim_resnet.common.tables import Column, Table
from slim_resnet.errors import SlimResnetError

FORMAT = "slim_resnet degradation 2"
KINDS = ("plain", "residual")
ERRORS = ("training_error_percent", "test_error_percent")

def _kind(value):
    """plain or residual"""
    return value in KINDS


_SHAPE = {"data_set": {"name": str}, "options": dict, "environment": {
    "versions": {"tensorflow": str, "slim_resnet": str}, "tf_environment": dict}, "runs": [
    {"kind": _kind, "layers": int, "seed": int,
     **dict.fromkeys(ERRORS, float)}]}

# A network whose error is this share of what naming one class for everything costs has
# learned nothing.
_NOTHING_LEARNED = 0.95
# Differences of up to so many percent of the images count for nothing: where a training
# error is near 0, a few images are all that it can differ by.
_POINTS = 0.5


@dataclasses.dataclass(frozen=True)
class DegradationOptions:
    """What is trained, and how; all networks alike.

    Attributes:
      layers: Depths: convolutions in a row, the logits' counted and projections not; three
        times the units and one.
      width: Channels of the first block's bottlenecks; its units put out four times as
        many, and each further block has twice as many.
      seeds: Number of runs of each network, with seeds 0, 1, ...: of the weights and of
        the order of the images.
      steps: Steps of a run.
      batch_size: Images a step.
      learning_rate: Of momentum 0.9; falls to 0 along half a cosine.
      warmup_steps: Steps in which it grows to that first. Without them single deep
        networks of either kind never leave chance.
    """

    layers: tuple = (7, 13, 19, 25, 37, 55)
    width: int = 2
    seeds: int = 5
    steps: int = 600
    batch_size: int = 64
    learning_rate: float = 0.05
    warmup_steps: int = 60


def planned(options: DegradationOptions) -> list[tuple[str, int, int]]:
    """Returns ``(kind, layers, seed)`` of all runs, one seed after another."""
    return [(kind, layers, seed) for seed in range(options.seeds) for layers in options.layers
            for kind in KINDS]


def key_of(run: dict) -> tuple[str, int, int]:
    """Returns ``(kind, layers, seed)`` of a run, as `planned` gives them."""
    return run["kind"], run["layers"], run["seed"]


def new_record(data_set: dict, options: DegradationOptions, earlier: dict | None = None) -> dict:
    """Returns the record of an experiment that begins or goes on.

    Args:
      data_set: Dict: ``name``, ``training_images``, ``test_images`` (numbers) and
        ``chance_error_percent``, the training error of naming one class always.
      options: `DegradationOptions`.
      earlier: A record whose runs are kept; None for none.
    """
    return {
        "format": FORMAT,
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "data_set": data_set,
        "options": dataclasses.asdict(options),
        "environment": environment(),
        "runs": list(earlier["runs"]) if earlier else [],
    }


def read_record(path: str | os.PathLike, data_set: str, options: DegradationOptions) -> dict | None:
    """Returns the record to go on with, None if there is none yet.

    Args:
      path: A file that `slim_resnet.experiments.degradation` wrote, or that is not there.
      data_set: Name of the data set.
      options: `DegradationOptions`; more layers or seeds than the file's may be asked for.

    Raises:
      SlimResnetError: The file is no such record, or one of other options or versions.
    """
    if not os.path.exists(path):
        return None
    record = read_json(path, FORMAT, "a record of slim-resnet degradation --json", _SHAPE)
    asked = {"data_set": data_set, **dataclasses.asdict(options), **_made_with(environment())}
    there = {"data_set": record["data_set"]["name"], **record["options"],
             **_made_with(record["environment"])}
    for name, value in asked.items():
        if name not in ("layers", "seeds") and there.get(name) != value:
            raise SlimResnetError(f"{path}: its runs have {name} {there.get(name)}, not {value}; "
                                  "name another file, or give the same options to go on with it")
    return record


def _made_with(made_in):
    """Returns what else the errors depend on, of an `environment`."""
    versions, kernels = made_in["versions"], made_in["tf_environment"]
    return {"TensorFlow": versions["tensorflow"], "slim_resnet": versions["slim_resnet"],
            "TF_ENABLE_ONEDNN_OPTS": kernels.get("TF_ENABLE_ONEDNN_OPTS")}


def errors_by_depth(runs: list[dict], kind: str, error: str) -> dict[int, list[float]]:
    """Returns ``{layers: [percent of each seed]}`` in order of depth."""
    depths = sorted({run["layers"] for run in runs if run["kind"] == kind})
    return {depth: [run[error] for run in runs if (run["kind"], run["layers"]) == (kind, depth)]
            for depth in depths}


def error_table(runs: list[dict]) -> Table:
    """Returns a table: a row a network, errors as min / median / max over seeds."""
    rows = []
    for kind in KINDS:
        training, test = (errors_by_depth(runs, kind, error) for error in ERRORS)
        rows += [[kind, layers, len(errors), spread_text(errors, 2), spread_text(test[layers], 2)]
                 for layers, errors in training.items()]
    return Table([Column(*both) for both in zip(
        ["network", "layers", "seeds", "training error, %", "test error, %"], zip(*rows))])


def degrades(by_depth: dict[int, list[float]]) -> bool:
    """Whether an error rises with depth: at the deepest it is worse than at the best depth.

    Worse means that the best seed there is worse, by more than half a point, than the worst
    seed at the depth with the lowest median: the spread over seeds cannot account for it.

    Args:
      by_depth: ``{layers: [percent of each seed]}``.
    """
    best = min(by_depth.values(), key=statistics.median)
    return min(by_depth[max(by_depth)]) > max(best) + _POINTS


def falls(by_depth: dict[int, list[float]]) -> bool:
    """Whether an error goes on falling with depth, by the same measure.

    The deepest network's worst seed is better, by more than half a point, than the
    shallowest's best; and no median exceeds all seeds of a shallower depth by as much.
    """
    if not max(by_depth[max(by_depth)]) + _POINTS < min(by_depth[min(by_depth)]):
        return False
    depths = sorted(by_depth)
    return all(statistics.median(by_depth[deeper]) <= max(by_depth[depth]) + _POINTS
               for i, depth in enumerate(depths) for deeper in depths[i + 1:])


def verdict(runs: list[dict], chance_error_percent: float) -> tuple[bool | None, list[str]]:
    """Says what a set of runs shows of the post's first point.

    The post: with more layers accuracy saturates and then falls, on the training set as
    on the test set, so it is not overfitting; residual networks cure it.

    Args:
      runs: Runs of a record.
      chance_error_percent: Training error of naming the most frequent class always.

    Returns:
      ``(shown, lines)``: True or False, or None where the runs do not suffice to tell;
      and why.
    """
    tables = {(kind, error): errors_by_depth(runs, kind, error)
              for kind in KINDS for error in ERRORS}
    plain, residual = (tables[kind, ERRORS[0]] for kind in KINDS)
    counts = {len(seeds) for table in (plain, residual) for seeds in table.values()}
    if plain.keys() != residual.keys() or len(plain) < 3 or len(counts) != 1 or counts == {1}:
        return None, ["Too few runs to tell: it takes both networks at three depths or more, each "
                      "with the same two seeds or more."]
    deepest = max(plain)
    findings = {
        "plain networks' training error rises again with depth": degrades(plain),
        "their test error does too": degrades(tables["plain", ERRORS[1]]),
        "residual networks' training error goes on falling": falls(residual),
        f"at {deepest} layers every residual network trains better than every plain one":
            max(residual[deepest]) < min(plain[deepest]),
    }
    shown = all(findings.values())
    lines = ["The post: plain networks get worse with depth, in training too, so it is not "
             "overfitting;", "residual ones do not. These runs "
             f"{'show it' if shown else 'do NOT show it'}:"]
    lines += [f"  {'yes' if found else 'NO '}  {text}" for text, found in findings.items()]
    stuck = [depth for depth, errors in plain.items()
             if statistics.median(errors) >= _NOTHING_LEARNED * chance_error_percent]
    if stuck:
        learning = {depth: errors for depth, errors in plain.items() if depth not in stuck}
        rises = "rises too" if len(learning) > 1 and degrades(learning) else "does not rise"
        lines += [f"At {', '.join(map(str, stuck))} layers most plain networks learn nothing: they "
                  f"stay at chance, {chance_error_percent:.1f} %.",
                  f"Without these depths their training error {rises}."]
    return shown, lines
