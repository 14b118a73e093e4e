"""The SVG diagram: what it says of networks that are known, and where its words stand."""

import re
import sys
import types
import xml.etree.ElementTree as ElementTree

import pytest

from slim_resnet import resnet_v2
from slim_resnet.cli import main
from slim_resnet.errors import SlimResnetError
from slim_resnet.pictures import diagram, shading
from slim_resnet.pictures.themes import HEAT, THEMES
from slim_resnet.pictures.units import unit_groups
from slim_resnet.resnet_utils import Block
from tests.helpers import checkpoints, command_line, golden_tables

SVG = "{http://www.w3.org/2000/svg}"


def drawn(depth=50, **options):
    options = {"title": "net", "image_size": 224, "num_classes": 1001, **options}
    return ElementTree.fromstring(diagram.draw(resnet_v2.blocks_of_depth(depth), **options))


def words(root):
    return ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]


def test_units_that_do_the_same_are_one_group():
    blocks = resnet_v2.blocks_of_depth(200)
    assert [(g.first, g.count, g.shortcut) for g in unit_groups(blocks[2], 512)] == [
        (1, 1, "projection"), (2, 34, "identity"), (36, 1, "subsample")]
    # Two strided units halve twice, so they are two; the last has a projection.
    block = Block("b", None, [(4, 1, 2), (4, 1, 2), (4, 1, 1), (4, 1, 1), (8, 1, 1)])
    assert [(g.first, g.count, g.depth_in, g.depth, g.stride, g.shortcut)
            for g in unit_groups(block, 4)] == [
        (1, 1, 4, 4, 2, "subsample"), (2, 1, 4, 4, 2, "subsample"), (3, 2, 4, 4, 1, "identity"),
        (5, 1, 4, 8, 1, "projection")]


@pytest.mark.parametrize("depth, repeated", [
    (50, ["units 2–3 (×2)", "units 2–5 (×4)", "units 2–3 (×2)"]),
    (152, ["units 2–7 (×6)", "units 2–35 (×34)", "units 2–3 (×2)"]),
    (200, ["units 2–23 (×22)", "units 2–35 (×34)", "units 2–3 (×2)"])])
def test_every_unit_is_drawn_or_counted(depth, repeated):
    text = words(drawn(depth))
    assert [word for word in text if "(×" in word] == repeated
    units = sum(word.startswith("unit ") for word in text)
    counted = sum(int(word.split("×")[1][:-1]) for word in repeated)
    assert units + counted == sum(resnet_v2.DEPTHS[depth])


def test_shapes_are_those_of_the_graph():
    # 299 pixels: every stride rounds up.
    text = words(drawn(50, image_size=299))
    for shape in ("299×299×3", "150×150×64", "75×75×64", "75×75×256", "38×38×256", "38×38×512",
                  "19×19×512", "19×19×1024", "10×10×1024", "10×10×2048", "1×1×2048",
                  "1×1×1001"):
        assert shape in text, shape
    assert "?×?×2048" in words(drawn(50, image_size=None))


def test_shortcuts_are_of_their_kinds():
    text = words(drawn(50))
    assert (text.count("identity"), text.count("1×1 max, /2")) == (4, 3)
    root = drawn(50)
    assert len([n for n in root.iter(f"{SVG}path") if n.get("class") == "shortcut"]) == 11
    assert len([n for n in root.iter(f"{SVG}rect") if n.get("class") == "side"]) == 7


def test_variants_and_parts():
    assert "1×1, 2048, BN+ReLU" in words(drawn(variant="blog"))
    assert "1×1, 2048, BN+ReLU" not in words(drawn())
    text = words(drawn(num_classes=None, root_block=False, input_channels=64))
    assert not any(word.startswith(("conv1", "pool1", "logits", "predictions")) for word in text)
    assert "224×224×64" in text and "postnorm BN + ReLU" in text


def test_themes():
    auto, dark = (diagram.draw(resnet_v2.blocks_of_depth(50), title="x", theme=theme)
                  for theme in ("auto", "dark"))
    assert "prefers-color-scheme: dark" in auto and "#ffffff" in auto and "#14171a" in auto
    assert "prefers-color-scheme" not in dark and "#ffffff" not in dark
    with pytest.raises(SlimResnetError, match="no theme 'blue'; choose one of auto, light, dark"):
        diagram.draw(resnet_v2.blocks_of_depth(50), title="x", theme="blue")


def shaded(kind="multiply-adds"):
    rows = golden_tables.summary("resnet_v2_50")[0]
    return drawn(num_classes=1000, shade=shading.by(kind, rows, "resnet_v2_50"))


def tips(root):
    """Returns ``(class, tip)`` of each box that has one."""
    return [(rect.get("class"), "".join(rect.itertext())) for rect in root.iter(f"{SVG}rect")
            if len(rect)]


def test_layers_are_coloured_by_what_they_have():
    found = tips(shaded())
    # Of 224 x 224 pixels: the root; a conv2 of block1, and the same once more in block2.
    assert found[0] == ("box heat5", "conv1 7×7, 64, /2: 118 M, 3.4 %")
    assert ("box heat5", "3×3, 64, BN+ReLU: 116 M, 3.3 %") in found
    assert ("box heat5", "3×3, 128, BN+ReLU: 116 M each, 3.3 %") in found
    assert ("side heat5", "1×1, 512: 103 M, 3.0 %") in found
    assert ("box heat0", "1×1, 64, BN+ReLU: 12.8 M, 0.4 %") in found
    assert found[-2:] == [("box heat0", "logits 1×1, 1000: 2.05 M, 0.1 %"),
                          ("box heat0", "predictions softmax: 0, 0.0 %")]
    # conv1, three a unit of eleven that are drawn, four projections, logits and predictions.
    assert len(found) == 1 + 3 * 11 + 4 + 2
    text = words(shaded())
    assert "3 units, 15.6 %" in text and "6 units, 36.2 %" in text
    # Four units of 218,365,952: 25.1 % of 3,482,304,512.
    assert "25.1 %" in text
    assert text[1:4] == ["Colour: multiply-adds of one layer; %: of the network", "0", "118 M"]


def test_colours_are_told_in_words():
    label = shaded("parameters").get("aria-label")
    assert label.endswith(" Coloured by parameters, 25.6 M in all: block1 0.9 %, block2 4.8 %, "
                          "block3 27.8 %, block4 58.5 %.")
    rows = [types.SimpleNamespace(key="net/conv1", time_s=0.0123, parent=None)]
    shade = shading.by("time", rows, "net", 0.1)
    assert (shade.text(0.0123), shade.share(0.0123)) == ("12.3 ms", "12.3 %")
    root = drawn(shade=shade)
    assert "Colour: time of one layer; %: of the step" in words(root)
    assert tips(root) == [("box heat5", "conv1 7×7, 64, /2: 12.3 ms, 12.3 %")]


def test_what_is_not_known_is_not_drawn_as_nothing():
    rows = [types.SimpleNamespace(key="net/conv1", multiply_adds=None, parent=None)]
    with pytest.raises(SlimResnetError, match="the multiply-adds of conv1 are not known"):
        shading.by("multiply-adds", rows, "net")


@pytest.mark.parametrize("theme", THEMES)
def test_colours_are_told_apart_by_lightness_and_words_are_read_on_them(theme):
    from tests.helpers.drawn import contrast
    on_black = [contrast(colour, "#000000") for colour in HEAT[theme]]
    assert on_black == sorted(on_black, reverse=theme == "light")
    steps = [max(a, b) / min(a, b) for a, b in zip(on_black, on_black[1:])]
    assert min(steps) > 1.12
    assert min(contrast(colour, THEMES[theme].text) for colour in HEAT[theme]) >= 4.5


def test_a_drawing_without_heading_says_its_title_once():
    root = drawn(heading=False)
    assert "net" not in words(root) and root.find(f"{SVG}title").text == "net"


def test_command_colours_by_what_it_is_told(tmp_path):
    written = checkpoints.write(tmp_path / "net.ckpt")
    for kind in shading.KINDS:
        assert main(["pictures", written.path, "--kinds", "diagram", "--image-size", "32",
                     "--output", str(tmp_path), "--colour-by", kind, "--batch-size", "2"]) == 0
        root = ElementTree.parse(tmp_path / "diagram.svg").getroot()
        assert f" Coloured by {kind}, " in root.get("aria-label")
        assert len(tips(root)) == 1 + 3 * 3 + 2 + 3
        shares = [float(word[:-2]) for word in words(root) if re.fullmatch(r"[\d.]+ %", word)]
        assert len(shares) == 3 and 0 < sum(shares) < 100


@pytest.mark.slow
def test_command_colours_a_model(tmp_path):
    assert main(["pictures", "resnet_v2_50", "--output", str(tmp_path), "--colour-by",
                 "parameters"]) == 0
    assert "block4 58.5 %" in (tmp_path / "diagram.svg").read_text("utf-8")


@pytest.mark.parametrize("columns", [1, 3, 6])
def test_panels_stand_apart_and_within_the_picture(columns):
    root = drawn(200, columns=columns)
    width, height = float(root.get("width")), float(root.get("height"))
    panels = []
    for group in root.iter(f"{SVG}g"):
        x, y = map(float, group.get("transform")[10:-1].split())
        panel = group.find(f"{SVG}rect")
        panels.append((x, y, x + float(panel.get("width")), y + float(panel.get("height"))))
    assert len(panels) == 6
    assert all(x >= 0 and y >= 40 and right <= width and bottom <= height
               for x, y, right, bottom in panels)
    for i, a in enumerate(panels):
        for b in panels[:i]:
            assert a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3], (a, b)


def test_hostile_names_and_tables():
    name = '<script>alert("&")</script>' * 9
    blocks = [Block(name, None, [(4, 1, 1 + i % 2) for i in range(60)])]
    root = ElementTree.fromstring(diagram.draw(blocks, title=name + "\x00", num_classes=10 ** 7))
    assert not list(root.iter(f"{SVG}script"))
    assert "units 5–56 not drawn" in words(root)
    assert sum(word.startswith("unit ") for word in words(root)) == 8
    with pytest.raises(SlimResnetError, match="without blocks"):
        diagram.draw([], title="x")


def test_command_draws_models_and_checkpoints(tmp_path, capsys, monkeypatch):
    output = tmp_path / "diagram.svg"
    # Neither needs the extra that PNG files need.
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["pictures", "blog_resnet_v2_152", "--output", str(tmp_path)]) == 0
    text = words(ElementTree.parse(output))
    assert text[0] == "blog_resnet_v2_152" and "logits 1×1, 1000" in text
    assert "1×1, 256, BN+ReLU" in text and "224×224×3" in text
    written = checkpoints.write(tmp_path / "net.ckpt")
    assert main(["pictures", written.path, "--kinds", "diagram", "--output", str(tmp_path),
                 "--image-size", "32", "--theme", "dark"]) == 0
    text = words(ElementTree.parse(output))
    assert "logits 1×1, 10" in text and "32×32×3" in text and "4×4×8" in text
    assert capsys.readouterr() == (f"{output}\n" * 2, command_line.strides("pictures") + "\n")


def test_no_value_of_a_checkpoint_is_read(tmp_path, monkeypatch):
    written = checkpoints.write(tmp_path / "net.ckpt")
    monkeypatch.setattr("slim_resnet.checkpoint.reader.Checkpoint.tensor", None)
    assert main(["pictures", written.path, "--kinds", "diagram", "--output", str(tmp_path)]) == 0
    assert (tmp_path / "diagram.svg").exists()


def test_options_of_the_command(tmp_path):
    widths = []
    for columns in ("1", "6"):
        assert main(["pictures", "resnet_v2_50", "--num-classes", "7", "--columns", columns,
                     "--output", str(tmp_path)]) == 0
        root = ElementTree.parse(tmp_path / "diagram.svg").getroot()
        assert "logits 1×1, 7" in words(root)
        widths.append(float(root.get("width")))
    assert widths[0] < widths[1]


@pytest.mark.parametrize("options, message", [
    (["vgg_16"], "vgg_16: has no residual blocks to draw; there are blog_resnet_v2_152, resnet"),
    (["none.ckpt"], "none.ckpt: no such checkpoint"),
    (["none.ckpt", "--num-classes", "3"], "--num-classes is for a MODEL"),
    (["resnet_v2_50", "--output", "{}/file/deeper"], "file/deeper: cannot be written"),
    (["resnet_v2_50", "--image-size", "8"], "needs images of at least 32 x 32 pixels"),
    (["resnet_v2_50", "a.png"], "images need a checkpoint, and resnet_v2_50 has no values"),
    (["resnet_v2_50", "--labels", "l.txt"], "--labels needs a checkpoint"),
    (["resnet_v2_50", "--kinds", "filters"], "--kinds filters needs a checkpoint"),
    (["none.ckpt", "--kinds", "maps"], "--kinds maps needs images"),
    (["none.ckpt", "--kinds", "filters", "--colour-by", "time"], "--colour-by is of the diagram"),
    (["none.ckpt", "a.png", "--kinds", "diagram"], "--kinds diagram: of no images"),
])
def test_bad_options_are_one_line(tmp_path, capsys, options, message):
    (tmp_path / "file").touch()
    words_ = [word.format(tmp_path) for word in options]
    assert main(["pictures", "--output", str(tmp_path / "out"), *words_]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
