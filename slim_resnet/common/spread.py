"""What several measurements of the same things are together: their spread, and their ratio."""

import statistics
from collections.abc import Iterable, Sequence


def spread(values: Iterable[float]) -> tuple[float, float, float]:
    """Returns minimum, median and maximum."""
    values = list(values)
    return min(values), statistics.median(values), max(values)


def spread_text(values: Sequence[float], digits: int = 3) -> str:
    """Returns ``min / median / max``, or the value if there is but one."""
    shown = values if len(values) == 1 else spread(values)
    return " / ".join(f"{value:.{digits}f}" for value in shown)


def ratios(ours: Iterable[float], theirs: Iterable[float]) -> list[float]:
    """Returns ours / theirs, round by round."""
    return [a / b for a, b in zip(ours, theirs)]


def median_ratio(ours: Iterable[float], theirs: Iterable[float]) -> float:
    """Returns the median of ours / theirs, round by round."""
    return statistics.median(ratios(ours, theirs))
