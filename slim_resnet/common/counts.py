"""How many values a network has, and what of: one way of counting for all that says it.

A network's parameters are what inference reads: what is trained, and the moving statistics
of batch norms. What training keeps beside them is none of them.
"""

import re
import typing
from collections.abc import Iterable

_MOVING = re.compile(r"(^|/)moving_(mean|variance)$")
# Kinds of training leftovers that are not an optimizer's.
_NOT_OPTIMIZER = {"ExponentialMovingAverage": "averaged_weights", "global_step": "other",
                  "mean_rgb": "other", "zero_debias": "other", "other": "other"}


class Counts(typing.NamedTuple):
    """Numbers of values.

    Attributes:
      trainable: Of weights, biases, gamma and beta.
      moving_statistics: Of batch norms' moving means and variances.
      optimizer_state: Of an optimizer's own variables.
      averaged_weights: Of the ``ExponentialMovingAverage`` of weights.
      other: Of what else there is: the step, variables outside the network.
    """

    trainable: int
    moving_statistics: int
    optimizer_state: int = 0
    averaged_weights: int = 0
    other: int = 0

    @property
    def parameters(self) -> int:
        """Values of the network: trainable and moving statistics."""
        return self.trainable + self.moving_statistics

    def as_record(self) -> dict[str, int]:
        """Returns all of them as plain data."""
        return {"parameters": self.parameters, "trainable_parameters": self.trainable,
                **{name: value for name, value in self._asdict().items() if name != "trainable"}}


def is_moving_statistic(name: str) -> bool:
    """Whether a variable is a batch norm's moving mean or variance."""
    return _MOVING.search(name) is not None


def kind_of(name: str, leftover: str | None = None) -> str:
    """Returns what a variable is: a field of `Counts`.

    Args:
      name: Its name.
      leftover: What kind of leftover of training it is, see `recognition.Recognised`; None
        for a variable of the network.
    """
    if leftover is None:
        return "moving_statistics" if is_moving_statistic(name) else "trainable"
    return _NOT_OPTIMIZER.get(leftover, "optimizer_state")


def count(kinds_and_values: Iterable[tuple[str, int]]) -> Counts:
    """Returns the `Counts` of variables.

    Args:
      kinds_and_values: What each is, see `kind_of`, and how many values it has.
    """
    sums = dict.fromkeys(Counts._fields, 0)
    for kind, values in kinds_and_values:
        sums[kind] += values
    return Counts(**sums)


def text(record: dict[str, int]) -> str:
    """Returns `Counts.as_record`, or its first three numbers, in words."""
    return (f"{record['parameters']:,} parameters: {record['trainable_parameters']:,} trainable, "
            f"{record['moving_statistics']:,} moving statistics")


def text_beside(record: dict[str, int]) -> str:
    """Returns what a file holds beside the network's parameters in words, or ``nothing``."""
    return ", ".join(f"{record[key]:,} {key.replace('_', ' ')}" for key in (
        "optimizer_state", "averaged_weights", "other") if record[key]) or "nothing"
