"""Tables for notebooks: plain HTML, which a small script lets people sort by a column.

All text is escaped here. Where scripts or styles are taken out, as GitHub does, a plain
table is left.
"""

import base64
import numbers
import typing
from collections.abc import Mapping, Sequence

from slim_resnet.common.text import escaped

UNKNOWN = "–"
# Characters of a text, names apart, that is shown in one line.
_ONE_LINE = 70

# Colours are those around it, in light and dark notebooks alike.
_STYLE = """
.slim-resnet-box{max-height:32em;max-width:100%;width:fit-content;overflow:auto;margin:.5em 0}
table.slim-resnet{border-collapse:collapse;font-size:.92em;font-variant-numeric:tabular-nums}
table.slim-resnet td,table.slim-resnet th{text-align:left!important;vertical-align:middle;
padding:.15em .6em;border-bottom:1px solid rgba(127,127,127,.3);font-weight:normal;
white-space:nowrap}
table.slim-resnet .n{text-align:right!important}
table.slim-resnet .w{white-space:normal;min-width:18em}
table.slim-resnet thead th{position:sticky;top:0;font-weight:bold;
background:var(--jp-layout-color0,var(--vscode-editor-background,Canvas))}
table.slim-resnet button{all:unset;cursor:pointer}
table.slim-resnet button:focus-visible{outline:2px solid}
table.slim-resnet th[aria-sort=ascending] button::after{content:" \\2191"}
table.slim-resnet th[aria-sort=descending] button::after{content:" \\2193"}
table.slim-resnet img{display:block;max-width:none}
table.slim-resnet-items td,table.slim-resnet-items th{text-align:left!important;
vertical-align:top;padding:.1em .6em}
table.slim-resnet-items th{white-space:nowrap}
"""

# Every table is made sortable once, whichever output's script comes first. What is not known
# has an empty data-value and stays last, both ways.
_SCRIPT = """
document.querySelectorAll("table.slim-resnet:not([data-sorts])").forEach(function (table) {
  table.dataset.sorts = "";
  const headers = Array.from(table.tHead.rows[0].cells);
  function value(row, column) {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent : cell.dataset.value;
  }
  headers.forEach(function (header, column) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", function () {
      const down = header.getAttribute("aria-sort") === "ascending";
      headers.forEach(function (other) { other.removeAttribute("aria-sort"); });
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = Array.from(table.tBodies[0].rows);
      rows.sort(function (one, other) {
        const a = value(one, column), b = value(other, column);
        if (a === "" || b === "") { return (a === "") - (b === ""); }
        const order = header.classList.contains("n") ? a - b
          : a.localeCompare(b, "en", { numeric: true });
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
});
"""


class Cell(typing.NamedTuple):
    """What stands in a place of a table.

    Attributes:
      text: What is shown, any text.
      value: What rows are sorted by: a number, or the text for None.
      is_known: Whether there is a value at all; others come last.
      picture: A PNG file that is shown in place of the text, which describes it.
    """

    text: str
    value: float | None = None
    is_known: bool = True
    picture: bytes | None = None


def table(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Returns the HTML of a table; columns of numbers go to the right."""
    numeric = [all(cell.value is not None or not cell.is_known for cell in column)
               and any(cell.is_known for cell in column) for column in zip(*rows)]
    numeric = numeric or [False] * len(headers)
    head = "".join(f'<th scope="col"{_class(is_number)}>{escaped(header)}</th>'
                   for header, is_number in zip(headers, numeric))
    body = "".join("<tr>" + "".join(map(_cell, row, numeric)) + "</tr>\n" for row in rows)
    return (f'<style>{_STYLE}</style><div class="slim-resnet-box" tabindex="0">'
            f'<table class="slim-resnet"><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody>'
            f"</table></div><script>{_SCRIPT}</script>")


def items(named: Mapping[str, str]) -> str:
    """Returns the HTML of names and what they stand for, a line each; a `table` is to follow."""
    lines = "".join(f'<tr><th scope="row">{escaped(name)}</th><td>{escaped(text)}</td></tr>\n'
                    for name, text in named.items())
    return f'<table class="slim-resnet-items"><tbody>\n{lines}</tbody></table>'


def paragraph(text: str) -> str:
    """Returns the HTML of a line of text."""
    return f"<p>{escaped(text)}</p>"


def folded(title: str, markup: str) -> str:
    """Returns markup that is shown when its title is clicked."""
    return f"<details><summary>{escaped(title)}</summary>{markup}</details>"


def picture(png: bytes, alt: str) -> str:
    """Returns the markup of a PNG file, which it holds."""
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{escaped(alt)}">'


def _class(is_number, text=""):
    name = "n" if is_number else "w" if len(text) > _ONE_LINE and " " in text else ""
    return f' class="{name}"' if name else ""


def _cell(cell, is_number):
    shown = picture(cell.picture, cell.text) if cell.picture else escaped(cell.text)
    value = None
    if not cell.is_known:
        value = ""
    elif is_number and isinstance(cell.value, numbers.Real) and str(cell.value) != cell.text:
        value = cell.value
    elif cell.picture:
        value = cell.text
    known = "" if value is None else f' data-value="{escaped(value)}"'
    return f"<td{_class(is_number, cell.text)}{known}>{shown}</td>"
