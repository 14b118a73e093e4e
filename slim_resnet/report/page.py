"""The page of `slim_resnet.report` as text: a pure function of what it shows.

The page asks for nothing outside itself, and its Content-Security-Policy, which names
the hashes of its own script and styles, lets nothing else in.
"""

import base64
import dataclasses
import hashlib
import importlib.resources
import os
import string
import typing

from slim_resnet.checkpoint.description import description_items
from slim_resnet.common.text import escaped
from slim_resnet.pictures import diagram, shading
from slim_resnet.pictures.class_evidence import class_label
from slim_resnet.pictures.themes import THEMES
from slim_resnet.report import tables


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
      written: When it was written and with what, in words.
      summary: The network's `end_points.EndPoint`.
      statistics: Their `activations.Statistics`; empty if no image was readable.
      times: Their `end_points.Times`; None if they were not measured.
      doubts: Lines of `activations.doubts`, and why there are no times.
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
    written: str
    summary: list
    statistics: list
    times: object
    doubts: list
    depth: Picture | None
    timings: tuple | None


def render(contents: Contents) -> str:
    """Returns the page's HTML for `Contents`."""
    sections = {"Recognised": _recognised(contents), "Diagram": _diagram(contents),
                "Images": _images(contents), "Statistics": _statistics(contents),
                "End points": tables.end_points(contents.summary, contents.statistics,
                                                contents.times)}
    if contents.timings:
        sections["Timings"] = tables.timings(*contents.timings)
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
        footer=escaped(contents.written))


def _resource(name):
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8")


def _hash(text):
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _recognised(contents):
    record = contents.description
    items = {"format": f"{record['format']}, {record['file_bytes']:,} bytes",
             **description_items(record),
             "images": f"{contents.image_size} × {contents.image_size} pixels, preprocessing "
                       f"{contents.preprocessing}"}
    return "<dl>" + "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>"
                            for name, text in items.items()) + "</dl>"


def _diagram(contents):
    if contents.recognised.variant is None:
        return (f"<p>{escaped(contents.recognised.title)} has no residual blocks to draw.</p>")
    options = dict(diagram.of_recognised(contents.recognised), image_size=contents.image_size,
                   heading=False)
    shades = [shading.by(kind, contents.summary, contents.recognised.scope)
              for kind in ("parameters", "multiply-adds")]
    if contents.times:
        shades.insert(0, shading.by("time", contents.times.rows, contents.recognised.scope,
                                    contents.times.whole.time_s))
    choices = "".join(
        f'<input type="radio" name="shade" id="by-{shade.kind}"{"" if number else " checked"}>'
        f'<label for="by-{shade.kind}">{shade.kind}</label>' for number, shade in enumerate(shades))
    # One is shown: by the choice, and by the width of the window.
    drawings = "".join(
        f'<div class="by-{shade.kind} {width}">'
        f'{diagram.draw(**options, shade=shade, columns=columns)}</div>' for shade in shades
        for width, columns in (("narrow", 1), ("middle", 3), ("wide", 6)))
    return ('<figure class="diagram" role="group" aria-label="Diagram, coloured"><span>Colour by'
            f"</span>{choices}{drawings}<figcaption>Units that do the same are drawn once, with "
            "their number; each shows the shape of its output and its part of the whole, and its "
            "layers the mean of the units'. What has no colour is no end point, and counts for the "
            "next.</figcaption></figure>")


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
            'tabindex="0"><picture><source media="screen and (prefers-color-scheme: dark)" '
            f'srcset="{dark}">'
            f'<img src="{light}" width="{picture.width}" height="{picture.height}" '
            f'alt="{escaped(picture.alt)}"></picture></div>'
            f"<figcaption>{escaped(caption)}</figcaption></figure>")


def _statistics(contents):
    if contents.depth is None:
        return '<p class="warning">No image could be read.</p>'
    return "".join(f'<p class="warning">{escaped(doubt)}.</p>' for doubt in contents.doubts) + (
        _figure(contents.depth, "Statistics of the end points over the images above."))
