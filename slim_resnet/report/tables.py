"""The tables of the report's page: end points, and a benchmark's timings."""

import math
import os
from collections.abc import Sequence
from typing import Any

from slim_resnet.common.text import escaped
from slim_resnet.end_points.table import total

_COUNTS = ("#", "shape", "parameters", "GMAC", "KiB an image", "stride", "field")
_TIMES = ("ms", "time %", "GMAC/s", "GB/s")
_VALUES = ("mean", "std", "zeros %", "dead", "NaN, inf")


def end_points(summary: Sequence[Any], statistics: Sequence[Any], times: Any | None) -> str:
    """Returns the table of end points, with what it says above and a row for all together.

    Args:
      summary: The network's `end_points.EndPoint`.
      statistics: Their `activations.Statistics`; may be empty.
      times: Their `end_points.Times`, or None.
    """
    columns = [*_COUNTS, *(_TIMES if times else ()), *(_VALUES if statistics else ())]
    head = '<th scope="col" aria-sort="none">end point</th>' + "".join(
        f'<th scope="col" class="number" aria-sort="{"none" if at else "ascending"}">{header}</th>'
        for at, header in enumerate(columns))
    values = {row.key: row for row in statistics}
    timed = {row.key: row for row in times.rows} if times else {}
    scope = _common_scope([row.key for row in summary])
    body = "".join(_row(number, row, scope, timed.get(row.key), values.get(row.key), times,
                        bool(statistics)) for number, row in enumerate(summary, 1))
    levels = "".join(f'<option value="{level}">{level}s</option>'
                     for level in ("layer", "unit", "block"))
    within = f" Names are within {escaped(scope)}." if scope else ""
    return (
        "<p>A row counts what lies between its end point and those before it; a unit's and a "
        "block's, all that is inside. The field is the side of the square of pixels that a "
        f"position sees.{within}</p>{_about(times)}"
        '<div id="controls" class="controls" hidden><label for="search">Search<input id="search" '
        'type="search" autocomplete="off" spellcheck="false" aria-describedby="count" '
        'aria-controls="end-points-table"></label><label for="level">Show<select id="level" '
        f'aria-controls="end-points-table"><option value="">all levels</option>{levels}</select>'
        '</label><output id="count" for="search level" aria-live="polite"></output></div>'
        '<div class="region" role="region" aria-labelledby="end-points" tabindex="0">'
        f'<table id="end-points-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        f"<tfoot>{_total(summary, times, len(columns))}</tfoot></table></div>")


def _common_scope(keys):
    """Returns the scope that most keys begin with, and a slash; may be empty."""
    scopes = [key.split("/")[0] for key in keys if "/" in key]
    common = os.path.commonprefix(scopes)
    return f"{common}/" if common in scopes else ""


def _about(times):
    if times is None:
        return ""
    step, images = times.step_s, times.batch_size
    return (f"<p>Time is that of a step of {images} image{'s' * (images != 1)}, traced: "
            f"{_ms(times.whole.time_s)} ms in all, of which {_ms(times.other_s)} ms are ops' that "
            f"belong to no end point and in {_ms(times.idle_s)} ms none runs. A step without "
            f"trace takes {_ms(step)} ms (medians of {len(times.spans_s)} steps). GB/s is what is "
            "read and written.</p>")


def _ms(seconds):
    return f"{1e3 * seconds:.2f}"


def _cell(value, text):
    known = "" if value is None else f' data-value="{escaped(value)}"'
    return f'<td class="number"{known}>{"–" if value is None else escaped(text(value))}</td>'


def _counts(row):
    return (_cell(row.parameters, "{:,}".format)
            + _cell(row.multiply_adds, lambda n: f"{n / 1e9:.4g}")
            + _cell(row.activation_bytes, lambda n: f"{n / 1024:,.1f}"))


def _time(seconds, total_s, multiply_adds_per_s, bytes_per_s):
    return (_cell(seconds, _ms) + _cell(seconds and 100 * (seconds / total_s), "{:.1f}".format)
            + _cell(multiply_adds_per_s, lambda n: f"{n / 1e9:,.1f}")
            + _cell(bytes_per_s, lambda n: f"{n / 1e9:,.1f}"))


def _row(number, row, scope, timed, values, times, has_values):
    size = None if row.shape is None or None in row.shape[1:] else math.prod(row.shape[1:])
    shape = "?" if row.shape is None else "×".join(
        "?" if length is None else str(length) for length in row.shape[1:])
    cells = _cell(number, str) + _cell(size, lambda _: shape) + _counts(row) + _cell(
        row.stride, str) + _cell(row.receptive_field, str)
    if times:
        cells += _time(timed.time_s, times.whole.time_s, timed.multiply_adds_per_s,
                       timed.bytes_per_s)
    if has_values:
        dead = None if values is None or values.dead is None else len(values.dead)
        cells += (
            _cell(values and values.mean, "{:.4g}".format)
            + _cell(values and values.std, "{:.4g}".format)
            + _cell(values and values.zeros, lambda share: f"{100 * share:.1f}")
            + _cell(dead, lambda n: f"{n} / {values.channels}")
            + _cell(values and values.nan + values.inf, "{:,}".format))
    name = escaped(row.key.removeprefix(scope))
    return (f'<tr data-level="{row.level}"><th scope="row" class="name" data-value="{name}">'
            f'{name.replace("/", "/<wbr>")}</th>{cells}</tr>')


def _total(summary, times, columns):
    whole = total(summary)
    cells = "<td></td><td></td>" + _counts(whole) + "<td></td><td></td>"
    if times:
        step = times.whole
        cells += _time(step.time_s, step.time_s, step.multiply_adds_per_s, step.bytes_per_s)
    cells += "<td></td>" * (columns - len(_COUNTS) - (len(_TIMES) if times else 0))
    return f'<tr><th scope="row" class="name">total</th>{cells}</tr>'


def timings(heading: str, table: tuple[Sequence[str], Sequence[Sequence]]) -> str:
    """Returns a benchmark's table and the line above it."""
    headers, rows = table
    head = "".join(f'<th scope="col"{" class=number" if at else ""}>{escaped(header)}</th>'
                   for at, header in enumerate(headers))
    body = "".join("<tr>" + "".join(
        f'<td class="number">{escaped(cell)}</td>' if at else
        f'<th scope="row">{escaped(cell)}</th>' for at, cell in enumerate(row)) + "</tr>"
        for row in rows)
    return (f"<p>{escaped(heading)}</p>"
            '<div class="region" role="region" aria-labelledby="timings" tabindex="0">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")
