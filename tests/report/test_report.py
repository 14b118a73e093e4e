"""slim-resnet report: what the page says, that it needs nothing else, and bad input."""

import html.parser
import inspect
import json
import platform
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

import slim_resnet
from slim_resnet.cli import build_parser, main
from slim_resnet.end_points import table as end_points
from slim_resnet.errors import SlimResnetError
from slim_resnet.inference import classification, network
from slim_resnet.pictures import feature_maps
from slim_resnet.report import making as report
from tests.helpers import checkpoints, command_line, pictures
from tests.helpers.reports import CLASS, record, write_report

SAID = [command_line.strides("report"), command_line.assumed_images("report")]

VOID = {"meta", "link", "img", "br", "hr", "input", "source", "wbr"}


class Parsed(html.parser.HTMLParser):
    """The elements of a page, as ``(tag, attributes, text)``; fails if they do not nest."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        element = [tag, dict(attrs), ""]
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for element in self._open:
            element[2] += data

    def all(self, *tags):
        return [element for element in self.elements if element[0] in tags]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_report(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def page(made):
    return Parsed(made.path.read_text("utf-8"))


def test_unreadable_images_are_on_the_page_and_in_the_status(made, page):
    assert made.status == 2 and made.out == ""
    *before, unreadable = made.err.splitlines()
    assert before == SAID and "broken.png: cannot be read: " in unreadable
    article = page.all("article")[2]
    assert "broken.png" in article[2] and "Cannot be read: " in article[2]


def test_page_asks_for_nothing(page):
    for tag, attributes, _ in page.elements:
        for name in ("src", "srcset", "href", "action", "data", "poster"):
            if name in attributes:
                assert attributes[name].startswith(("data:image/webp;base64,", "#")), (tag, name)
        assert not any(name.startswith("on") for name in attributes), tag
    style = "".join(text for _, _, text in page.all("style"))
    assert "url(" not in style and "@import" not in style


def test_names_are_words_and_not_markup(made, page):
    assert [tag for tag, attributes, _ in page.all("script")] == ["script"]
    cells = [text for tag, attributes, text in page.all("th") if attributes.get("scope") == "row"]
    assert len([cell for cell in cells if cell in {f"{CLASS} {k} ({k})" for k in range(10)}]) == 10
    assert page.all("h3")[0][2] == made.names[0] == '<img src=x onerror="alert(1)">&amp;.png'


def test_what_a_reader_needs(page):
    assert page.all("html")[0][1]["lang"] == "en"
    for landmark in ("header", "main", "nav", "footer", "h1"):
        assert len(page.all(landmark)) == 1, landmark
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes, _ in page.elements:
        for name in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
            assert set(attributes.get(name, "").split()) <= set(ids)
        assert attributes.get("href", "#")[1:] in [*ids, ""]
    images = page.all("img")
    assert len(images) == 2 * (1 + 3) + 1
    for _, attributes, _ in images:
        assert len(attributes["alt"]) > 20 and int(attributes["width"]) > 500
    labelled = {attributes["for"] for _, attributes, _ in page.all("label")}
    assert labelled == {attributes["id"] for _, attributes, _ in page.all("input", "select")}
    assert [text for tag, _, text in page.all("h1", "h2")][1:] == [
        "Recognised", "Diagram", "Images", "Statistics", "End points", "Timings"]


def test_classes_are_those_of_classify(made, page):
    results = list(classification.classify(made.checkpoint, made.images[:2], made.labels,
                                           image_size=32))
    articles = page.all("article")
    for result, article in zip(results, articles):
        for name, number, probability in zip(result.names, result.classes, result.probabilities):
            assert f"{name} ({number}){probability:.4f}" in article[2]
    assert len(articles) == 3


def test_table_holds_every_end_point(made, page):
    with network.Network(made.checkpoint, 32) as net:
        rows = end_points.summary(net.end_points)
    cells = [element for element in page.all("tr") if "data-level" in element[1]]
    assert [cell[1]["data-level"] for cell in cells] == [row.level for row in rows]
    found = cells_of_end_points(page)
    for number, row in enumerate(rows):
        values = [value for value, _ in found[17 * number:17 * number + 17]]
        assert values[:4] == [row.key.removeprefix("resnet_v2_50/"), str(number + 1),
                              str(int(np.prod(row.shape[1:]))), str(row.parameters)]
        assert values[6:8] == [None if value is None else str(value)
                               for value in (row.stride, row.receptive_field)]
        # What takes no time at all has no rate.
        assert float(values[8]) >= 0 and 0 <= float(values[9]) <= 100
        assert (values[10] is None) == (values[11] is None) == (float(values[8]) == 0)
        assert float(values[12]) == float(values[12])
    # The scope that all have stands above.
    assert (found[17 * 5][1], found[17 * 5 + 2][1]) == (
        rows[5].key.removeprefix("resnet_v2_50/"), "8×8×4")
    assert "Names are within resnet_v2_50/." in page.all("main")[0][2]


def cells_of_end_points(page):
    """Returns ``(data-value, text)`` of each cell of the table, the total's last."""
    table = page.elements[page.elements.index(page.all("table")[-2]):]
    return [(attributes.get("data-value"), text) for tag, attributes, text in table
            if tag in ("td", "th") and "aria-sort" not in attributes]


def test_total_is_that_of_the_network(made, page):
    with network.Network(made.checkpoint, 32) as net:
        rows = end_points.summary(net.end_points)
    whole = end_points.total(rows)
    found = cells_of_end_points(page)[17 * len(rows):][:17]
    assert [text for _, text in found][:2] == ["total", ""]
    values = [value for value, _ in found]
    assert values[3:6] == [str(whole.parameters), str(whole.multiply_adds),
                           str(whole.activation_bytes)]
    tops = [cells_of_end_points(page)[17 * number + 8][0] for number, row in enumerate(rows)
            if row.parent is None]
    # What no end point has, and when no op runs, is in the total too.
    assert 0.5 * float(values[8]) < sum(map(float, tops)) < float(values[8])
    assert found[9] == ("100.0", "100.0")


def test_page_says_when_and_with_what_it_was_written(page):
    footer, = page.all("footer")
    assert re.match(r"Written \d{4}-\d\d-\d\d \d\d:\d\d \S+ by slim-resnet report "
                    + re.escape(f"{slim_resnet.__version__} with python {platform.python_version()}"
                                f", tensorflow {tf.__version__}, "), footer[2])
    assert "oneDNN off" in footer[2]


def test_diagram_is_coloured_by_three_things(page):
    choices = [attributes for tag, attributes, _ in page.all("input")
               if attributes.get("type") == "radio"]
    assert [choice["id"] for choice in choices] == ["by-time", "by-parameters", "by-multiply-adds"]
    assert ["checked" in choice for choice in choices] == [True, False, False]
    labels = [attributes["aria-label"] for tag, attributes, _ in page.all("svg")]
    assert [sum(f"Coloured by {kind}, " in label for label in labels)
            for kind in ("time", "parameters", "multiply-adds")] == [3, 3, 3]


def test_page_without_times_says_why(made, monkeypatch):
    def refused(*args, **options):
        raise SlimResnetError("ops ran on /device:GPU:0, and only a CPU's are timed")

    monkeypatch.setattr(report, "time", refused)
    page = Parsed(report.make(made.checkpoint, made.images[:1], image_size=32,
                              end_points="block2").html)
    assert "there are no times: ops ran on /device:GPU:0" in page.all("main")[0][2]
    assert "GMAC/s" not in page.all("main")[0][2]
    assert [attributes["id"] for _, attributes, _ in page.all("input")
            if attributes.get("type") == "radio"] == ["by-parameters", "by-multiply-adds"]


def test_interrupt_while_it_is_timed_keeps_the_rest(made, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "time", interrupted)
    page = report.make(made.checkpoint, made.images[:1], image_size=32, end_points="block2")
    assert page.interrupted and "GMAC/s" not in page.html and "zeros %" in page.html


def test_evidence_is_told_in_numbers(page):
    caption = next(text for tag, _, text in page.all("figcaption") if text.startswith("Evidence"))
    total, bias, logit = (float(part.split(";")[0].split(",")[0].rstrip(".")) for part in (
        caption.split("add up to ")[1], caption.split("the bias, ")[1],
        caption.split("the logit is ")[1]))
    assert total + bias == pytest.approx(logit, abs=2e-4)


def test_timings_are_those_of_the_record(page):
    table = page.all("table")[-1]
    # In float32, batches of 4 images of 224 pixels.
    assert "blog_resnet_v2_152float324224" in table[2] and "seconds a batch" in table[2]
    assert "Abacus, 2 cores" in page.all("section")[-1][2]


def test_images_beyond_the_most_are_counted(made, tmp_path, capsys):
    output = tmp_path / "r.html"
    assert main(["report", made.checkpoint, *made.images[:2], made.images[0], "--output",
                 str(output), "--image-size", "32", "--max-images", "1", "--end-points",
                 "*/unit_1/bottleneck_v2"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        *SAID, "slim-resnet report: 2 of 3 images were left out; --max-images takes more"]
    page = Parsed(output.read_text("utf-8"))
    assert len(page.all("article")) == 1
    assert "2 more images were left out." in page.all("main")[0][2]
    assert "Feature maps of 2 end points" in page.all("article")[0][2]


def test_maps_beyond_the_most_are_counted(made, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MOST_KEYS", 1)
    page = report.make(made.checkpoint, made.images[:1], image_size=32)
    assert "The maps of 2 more end points were left out." in page.html
    assert (page.shown, page.total, page.interrupted, page.unreadable) == (1, 1, False, [])


@pytest.mark.slow
def test_interrupt_keeps_what_there_is(made, tmp_path, capsys, monkeypatch):
    original, calls = network.Network.evidence_inputs, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(network.Network, "evidence_inputs", interrupted)
    output = tmp_path / "r.html"
    assert main(["report", made.checkpoint, *made.images[:2], "--output", str(output),
                 "--image-size", "32"]) == 130
    assert capsys.readouterr().err.splitlines() == [
        *SAID, "slim-resnet report: interrupted after 1 of 2 images"]
    page = Parsed(output.read_text("utf-8"))
    assert len(page.all("article")) == 1 and "1 more image was left out." in page.all("main")[0][2]


@pytest.mark.parametrize("options, message", [
    (["--benchmark", "{}/none.json"], "none.json: cannot be read"),
    (["--benchmark", "{}/half.json"], "half.json: is damaged, or not a record of slim-resnet"),
    (["--end-points", "nothing"], "no end point 'nothing'; nearest"),
    (["--labels", "{}/none.txt"], "none.txt: cannot be read"),
    (["--output", "{}/none/r.html"], "none does not exist"),
    (["{}/none.png"], "none.png: no such file"),
])
def test_bad_input_is_one_line(made, tmp_path, capsys, options, message):
    half = record()
    del half["runs"][0]["statistics"]["p50_s"]
    (tmp_path / "half.json").write_text(json.dumps(half))
    words = [word.format(tmp_path) for word in options]
    assert main(["report", "--output", str(tmp_path / "r.html"), "--image-size", "32",
                 made.checkpoint, made.images[0], *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert [path.name for path in tmp_path.iterdir()] == ["half.json"]


def test_only_unreadable_images_make_a_page_too(made, tmp_path, capsys):
    output = tmp_path / "r.html"
    assert main(["report", made.checkpoint, made.images[2], "--output", str(output),
                 "--image-size", "32"]) == 2
    assert "No image could be read." in Parsed(output.read_text("utf-8")).all("main")[0][2]


def test_checkpoint_without_logits_is_one_line(tmp_path, capsys):
    written = checkpoints.write(tmp_path / "net.ckpt", checkpoints.slim_builder(num_classes=None))
    photo = pictures.write_png(tmp_path / "photo.png", 0)
    assert main(["report", written.path, photo, "--output", str(tmp_path / "r.html")]) == 2
    assert "has no logits" in capsys.readouterr().err


def test_missing_matplotlib_is_one_line(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["report", made.checkpoint, made.images[0], "--output",
                 str(tmp_path / "r.html")]) == 2
    assert capsys.readouterr().err == ("slim-resnet report: error: plots need matplotlib: "
                                       "pip install 'slim-resnet[plot]'\n")


def test_defaults_of_commands_and_library_agree():
    parser = build_parser()
    arguments = parser.parse_args(["report", "x", "y", "--output", "z"])
    defaults = {name: parameter.default for name, parameter in
                inspect.signature(report.make).parameters.items()}
    for name in ("max_images", "image_size", "batch_size", "preprocessing", "end_points",
                 "benchmark"):
        assert getattr(arguments, name) == defaults[name], name
    arguments = parser.parse_args(["pictures", "x", "y", "--output", "z"])
    assert arguments.max_channels == feature_maps.MAX_CHANNELS
