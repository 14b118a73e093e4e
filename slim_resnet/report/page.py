"""The page of `slim_resnet.report` as text: a pure function of what it shows.

The page asks for nothing outside itself, and its Content-Security-Policy, which names
the hashes of its own script and styles, lets nothing else in.
"""

import base64
import dataclasses
import hashlib
import importlib.resources
import math
import os
import string
import typing

import slim_resnet
from slim_resnet.checkpoint.description import description_items
from slim_resnet.common.text import escaped
from slim_resnet.pictures import diagram
from slim_resnet.pictures.class_evidence import class_label
from slim_resnet.pictures.themes import THEMES


class Picture(typing.NamedTuple):
    """One picture for light and for dark surroundings.

    Attributes:
      webp: WebP file by theme.
      width: In pixels.
      height: In pixels.
      alt: What it shows, in words.
    """

    webp: dict
    width: int
    height: int
    alt: str


class Entry(typing.NamedTuple):
    """One image of the page.

    Attributes:
      path: Its file.
      cause: Why it is unreadable; then there is nothing else.
      result: Its `classification.Result`.
      evidence: A `Picture`.
      caption: What it shows, in numbers.
      maps: A list of ``(key, Picture)``.
    """

    path: str
    cause: str | None = None
    result: object = None
    evidence: Picture | None = None
    caption: str = ""
    maps: list = []


@dataclasses.dataclass(frozen=True)
class Contents:
    """All that the page shows.

    Attributes:
      description: Of the checkpoint, see `description.description`.
      recognised: Its `recognition.Recognised`.
      image_size: Height and width of the images in pixels.
      preprocessing: How they are prepared, in words.
      entries: A list of `Entry`.
      images_left_out: How many more images were given.
      keys_left_out: Of how many more end points the maps would have been shown.
      summary: The network's `end_points.EndPoint`.
      statistics: Their `activations.Statistics`; empty if no image was readable.
      doubts: Lines of `activations.doubts`.
      depth: `Picture` of the statistics, or None.
      timings: None, or ``(heading, (headers, rows))`` of a benchmark.
    """

    description: dict
    recognised: object
    image_size: int
    preprocessing: str
    entries: list
    images_left_out: int
    keys_left_out: int
    summary: list
    statistics: list
    doubts: list
    depth: Picture | None
    timings: tuple | None


def render(contents: Contents) -> str:
    """Returns the page's HTML for `Contents`."""
    sections = {"Recognised": _recognised(contents), "Diagram": _diagram(contents),
                "Images": _images(contents), "Statistics": _statistics(contents),
                "End points": _end_points(contents)}
    if contents.timings:
        sections["Timings"] = _timings(*contents.timings)
    anchors = {title: title.lower().replace(" ", "-") for title in sections}
    colours = {name: "".join(f"--{key}:{value};" for key, value in
                             dataclasses.asdict(theme).items()) for name, theme in THEMES.items()}
    css = string.Template(_resource("report.css")).substitute(colours)
    script = _resource("report.js")
    title = diagram.title_of(contents.recognised)
    return string.Template(_resource("report.html")).substitute(
        policy=f"default-src 'none'; img-src data:; style-src {_hash(css)} "
               f"{_hash(diagram.style())}; script-src {_hash(script)}; base-uri 'none'; "
               "form-action 'none'",
        title=escaped(title), css=css, script=script,
        subtitle=escaped(contents.description["path"]),
        navigation="".join(f'<li><a href="#{anchors[title]}">{title}</a></li>'
                           for title in sections),
        sections="".join(
            f'<section aria-labelledby="{anchors[title]}"><h2 id="{anchors[title]}">{title}</h2>'
            f'{body}</section>\n' for title, body in sections.items()),
        footer=f"Written by slim-resnet report {slim_resnet.__version__}.")


def _resource(name):
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8")


def _hash(text):
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _recognised(contents):
    record = contents.description
    items = {"checkpoint": f"{record['path']}: {record['format']}, "
                           f"{record['file_bytes']:,} bytes",
             **description_items(record),
             "images": f"{contents.image_size} × {contents.image_size} pixels, preprocessing "
                       f"{contents.preprocessing}"}
    return "<dl>" + "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>"
                            for name, text in items.items()) + "</dl>"


def _diagram(contents):
    if contents.recognised.variant is None:
        return (f"<p>{escaped(contents.recognised.title)} has no residual blocks to draw.</p>")
    options = dict(diagram.of_recognised(contents.recognised), image_size=contents.image_size)
    # One of three is shown, by the width of the window.
    drawings = "".join(
        f'<div class="{width}">{diagram.draw(**options, columns=columns)}</div>'
        for width, columns in (("narrow", 1), ("middle", 3), ("wide", 6)))
    return (f'<figure class="diagram">{drawings}<figcaption>Units that do the same are drawn once, '
            "with their number; each shows the shape of its output.</figcaption></figure>")


def _images(contents):
    left_out = contents.images_left_out
    notes = [f"{left_out} more image{'s were' if left_out > 1 else ' was'} left out."] * (
        left_out > 0)
    if contents.keys_left_out:
        notes.append(f"The maps of {contents.keys_left_out} more end points were left out.")
    return "".join(f'<p class="warning">{note}</p>' for note in notes) + "".join(
        map(_image, contents.entries))


def _image(entry):
    name = escaped(os.path.basename(entry.path))
    if entry.cause:
        return (f'<article><h3>{name}</h3><p class="warning">Cannot be read: '
                f"{escaped(entry.cause)}</p></article>")
    rows = "".join(
        f'<tr><th scope="row" class="name">{escaped(class_label(class_name, number))}</th>'
        f'<td class="number">{probability:.4f}</td></tr>' for class_name, number, probability in
        zip(entry.result.names, entry.result.classes, entry.result.probabilities))
    maps = "".join(_figure(picture, key) for key, picture in entry.maps)
    seen = _figure(entry.evidence, entry.caption) if entry.evidence else f"<p>{entry.caption}</p>"
    return (f'<article><h3>{name}</h3><div class="seen">{seen}'
            "<table><caption>Most probable classes</caption><thead><tr>"
            '<th scope="col">class</th><th scope="col" class="number">probability</th></tr>'
            f"</thead><tbody>{rows}</tbody></table></div><details><summary>Feature maps of "
            f'{len(entry.maps)} end points</summary><div class="maps">{maps}</div></details>'
            "</article>")


def _figure(picture, caption):
    # Where the window is too narrow for its letters, a picture is scrolled.
    light, dark = (f"data:image/webp;base64,{base64.b64encode(picture.webp[theme]).decode()}"
                   for theme in ("light", "dark"))
    return (f'<figure><div class="picture" role="group" aria-label="{escaped(caption)}" '
            f'tabindex="0"><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
            f'<img src="{light}" width="{picture.width}" height="{picture.height}" '
            f'loading="lazy" alt="{escaped(picture.alt)}"></picture></div>'
            f"<figcaption>{escaped(caption)}</figcaption></figure>")


def _statistics(contents):
    if contents.depth is None:
        return '<p class="warning">No image could be read.</p>'
    return "".join(f'<p class="warning">{escaped(doubt)}.</p>' for doubt in contents.doubts) + (
        _figure(contents.depth, "Statistics of the end points over the images above."))


def _end_points(contents):
    statistics = {row.key: row for row in contents.statistics}
    headers = ["#", "end point", "shape", "parameters", "GMAC", "KiB an image", "stride", "field",
               "mean", "std", "zeros %", "dead", "NaN, inf"]
    head = "".join(
        f'<th scope="col" aria-sort="{"none" if at else "ascending"}"'
        f'{"" if header == "end point" else " class=number"}><button type="button">{header}'
        "</button></th>" for at, header in enumerate(headers))
    body = "".join(_end_point(number, row, statistics.get(row.key))
                   for number, row in enumerate(contents.summary, 1))
    levels = "".join(f'<option value="{level}">{level}s</option>'
                     for level in ("layer", "unit", "block"))
    return (
        "<p>A row counts what lies between its end point and those before it; a unit's and a "
        "block's, all that is inside. The field is the side of the square of pixels that a "
        "position sees.</p>"
        '<div id="controls" class="controls" hidden><label for="search">Search<input id="search" '
        'type="search" autocomplete="off" spellcheck="false" aria-describedby="count" '
        'aria-controls="end-points-table"></label><label for="level">Show<select id="level" '
        f'aria-controls="end-points-table"><option value="">all levels</option>{levels}</select>'
        '</label><output id="count" for="search level" aria-live="polite"></output></div>'
        '<div class="region" role="region" aria-labelledby="end-points" tabindex="0">'
        f'<table id="end-points-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div>")


def _end_point(number, row, values):
    def cell(value, text):
        known = "" if value is None else f' data-value="{escaped(value)}"'
        return f'<td class="number"{known}>{"–" if value is None else escaped(text(value))}</td>'

    size = None if row.shape is None or None in row.shape[1:] else math.prod(row.shape[1:])
    shape = "?" if row.shape is None else "×".join(
        "?" if length is None else str(length) for length in row.shape[1:])
    dead = None if values is None or values.dead is None else len(values.dead)
    return (
        f'<tr data-level="{row.level}">{cell(number, str)}'
        f'<th scope="row" class="name" data-value="{escaped(row.key)}">'
        f'{escaped(row.key).replace("/", "/<wbr>")}</th>'
        + cell(size, lambda _: shape) + cell(row.parameters, "{:,}".format)
        + cell(row.multiply_adds, lambda n: f"{n / 1e9:.4g}")
        + cell(row.activation_bytes, lambda n: f"{n / 1024:,.1f}")
        + cell(row.stride, str) + cell(row.receptive_field, str)
        + cell(values and values.mean, "{:.4g}".format) + cell(values and values.std,
                                                               "{:.4g}".format)
        + cell(values and values.zeros, lambda share: f"{100 * share:.1f}")
        + cell(dead, lambda n: f"{n} / {values.channels}")
        + cell(values and values.nan + values.inf, "{:,}".format) + "</tr>")


def _timings(heading, table):
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
