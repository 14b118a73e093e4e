"""Whether two benchmark records differ by more than their steps do: pure functions of records.

The ratio of two runs is that of their median steps. Its interval comes from resampling each
run's steps with replacement (the percentile bootstrap). It covers how steps scatter within
these two runs, and not how one run differs from the next on the same machine.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from slim_resnet.benchmark.records import engine_of, precision_of
from slim_resnet.common.tables import Column, Table
from slim_resnet.errors import SlimResnetError

FORMAT = "slim_resnet benchmark comparison 1"
RESAMPLES = 10_000
SEED = 0
CONFIDENCE_PERCENT = 95
# Of fewer steps even the widest interval that resampling gives is no sign of anything.
LEAST_STEPS = 5
# Values that are resampled at a time, which bounds the memory.
_AT_ONCE = 1 << 20

# What must be alike in both runs of a network, or their times are of different work.
_SAME_WORK = {"batch_size": "batch size", "image_size_px": "image size",
              "parameters": "parameters", "multiply_adds_per_image": "multiply-adds"}


class Ratio(NamedTuple):
    """The median step of one run over another's.

    Attributes:
      ratio: B's over A's, below 1 where B is faster.
      low, high: Ends of the interval of `CONFIDENCE_PERCENT`; None for too few steps.
    """

    ratio: float
    low: float | None
    high: float | None

    @property
    def differs(self) -> bool | None:
        """Whether the interval leaves out 1; None for too few steps to tell."""
        return None if self.low is None else not self.low <= 1 <= self.high


def ratio_of(a_s: Sequence[float], b_s: Sequence[float]) -> Ratio:
    """Returns the `Ratio` of B's steps to A's, each a list of seconds."""
    ratio = float(np.median(b_s) / np.median(a_s))
    if min(len(a_s), len(b_s)) < LEAST_STEPS:
        return Ratio(ratio, None, None)
    # Each draws its own: B's do not depend on how many steps A has.
    medians = [_medians(np.asarray(steps, np.float64), np.random.default_rng([SEED, which]))
               for which, steps in enumerate((a_s, b_s))]
    outside = (100 - CONFIDENCE_PERCENT) / 2
    low, high = np.percentile(medians[1] / medians[0], [outside, 100 - outside])
    return Ratio(ratio, float(low), float(high))


def _medians(steps, random):
    """Returns the medians of `RESAMPLES` samples of the steps, each as long as they are."""
    rows = max(1, _AT_ONCE // steps.size)
    return np.concatenate([
        np.median(steps[random.integers(steps.size, size=(min(rows, RESAMPLES - done),
                                                          steps.size))], axis=1)
        for done in range(0, RESAMPLES, rows)])


def compare(a: dict, b: dict) -> dict[str, Any]:
    """Compares two records, network by network.

    Args:
      a: A record, see `records.read_record`.
      b: Another.

    Returns:
      A record fit for JSON: ``networks``, a dict for each network of both; ``only_in_a`` and
      ``only_in_b``, names of the others; and ``differences``, how else the two were timed,
      ``{what: [A's, B's]}``.

    Raises:
      SlimResnetError: They have no network in common, or timed different work.
    """
    of_a, of_b = ({run["model"]: run for run in record["runs"]} for record in (a, b))
    shared = [name for name in of_a if name in of_b]
    if not shared:
        raise SlimResnetError(f"the records have no network in common: {', '.join(of_a)} in A, "
                              f"{', '.join(of_b)} in B")
    if a["options"]["mode"] != b["options"]["mode"]:
        raise SlimResnetError(f"the records cannot be compared: mode {a['options']['mode']} in "
                              f"A, {b['options']['mode']} in B")
    for name in shared:
        for key, text in _SAME_WORK.items():
            if of_a[name][key] != of_b[name][key]:
                raise SlimResnetError(f"the records cannot be compared: {name} has {text} "
                                      f"{of_a[name][key]} in A, {of_b[name][key]} in B")
    networks = []
    for name in shared:
        runs = of_a[name], of_b[name]
        ratio = ratio_of(*(run["durations_s"] for run in runs))
        networks.append({
            "network": name, "batch_size": runs[0]["batch_size"],
            "image_size_px": runs[0]["image_size_px"],
            "steps": [len(run["durations_s"]) for run in runs],
            "median_s": [float(np.median(run["durations_s"])) for run in runs],
            "partial": [run["partial"] for run in runs],
            "ratio": ratio.ratio, "interval": None if ratio.low is None else [ratio.low,
                                                                              ratio.high],
            "differs": ratio.differs})
    return {"format": FORMAT, "confidence_percent": CONFIDENCE_PERCENT, "resamples": RESAMPLES,
            "seed": SEED, "networks": networks,
            "only_in_a": [name for name in of_a if name not in of_b],
            "only_in_b": [name for name in of_b if name not in of_a],
            "differences": _differences((a, b), (of_a, of_b), shared)}


def _differences(both, runs, names):
    """Returns what was timed otherwise, ``{what: [A's, B's]}``; of one network if not of all."""
    made = [_made_with(record) for record in both]
    pairs = {what: [value, made[1][what]] for what, value in made[0].items()}
    for what, of in (("precision", precision_of), ("engine", lambda _, run: engine_of(run))):
        of_each = {f"{what} of {name}": [of(record, by_name[name])
                                         for record, by_name in zip(both, runs)] for name in names}
        first, *others = of_each.values()
        pairs.update({what: first} if all(one == first for one in others) else of_each)
    return {what: pair for what, pair in pairs.items() if pair[0] != pair[1]}


def _made_with(record):
    options, environment = record["options"], record["environment"]
    return {**{name.replace("_", " "): options[name] for name in (
                "input", "fetch", "intra_op_threads", "inter_op_threads")},
            "networks in turn": options["compare"],
            "TensorFlow": environment["versions"]["tensorflow"],
            "oneDNN": "on" if environment["onednn"] else "off",
            "CPU": environment["cpu"]["model"], "cores": environment["cpu"]["cores"]}


def sentences(comparison: dict[str, Any]) -> list[str]:
    """Returns what is to be said of a `compare` beside its table, a line each."""
    lines = [f"Only in {side.upper()}: {', '.join(comparison[f'only_in_{side}'])}."
             for side in "ab" if comparison[f"only_in_{side}"]]
    lines += [f"Timed otherwise: {what} {a} in A, {b} in B."
              for what, (a, b) in comparison["differences"].items()]
    lines += [f"{one['network']} is partial in {side}." for one in comparison["networks"]
              for side, partial in zip("AB", one["partial"]) if partial]
    return [*lines, f"Medians of the steps, B's over A's; intervals of "
            f"{comparison['confidence_percent']} % by bootstrap over steps "
            f"({comparison['resamples']:,} resamples, seed {comparison['seed']}). They cover how "
            "steps scatter within these runs, not how runs differ from each other."]


def comparison_table(comparison: dict[str, Any]) -> Table:
    """Returns the table of a `compare`."""
    networks = comparison["networks"]
    return Table([
        Column("network", [one["network"] for one in networks]),
        Column("batch", [one["batch_size"] for one in networks]),
        Column("px", [one["image_size_px"] for one in networks]),
        Column("steps A, B", [" / ".join(map(str, one["steps"])) for one in networks]),
        *(Column(f"{side} s", [f"{one['median_s'][number]:.3f}" for one in networks])
          for number, side in enumerate("AB")),
        Column("B / A", [f"{one['ratio']:.4f}" for one in networks]),
        Column("interval", ["-" if one["interval"] is None else
                            "{:.4f} to {:.4f}".format(*one["interval"])
                            for one in networks]),
        Column("verdict", [_verdict(one) for one in networks]),
    ], give_up=("steps A, B", "px", "batch"))


def _verdict(one):
    if one["differs"] is None:
        return f"under {LEAST_STEPS} steps: cannot tell"
    if not one["differs"]:
        return "no difference shown"
    return f"B {'slower' if one['ratio'] > 1 else 'faster'}"
