"""Every picture in both themes: what it shows, what it says, and that it can be read."""

import re
import sys
import types

import numpy as np
import pytest

from slim_resnet.errors import SlimResnetError
from slim_resnet.images.display import DisplayedImage
from slim_resnet.inference.classification import Result
from slim_resnet.pictures import (
    class_activation,
    class_evidence,
    depth_profile,
    drawing,
    feature_maps,
)
from slim_resnet.pictures.inspection import Inspection
from slim_resnet.pictures.markup import shortened, text_width
from slim_resnet.pictures.themes import THEMES
from tests.helpers import drawn

themes = pytest.mark.parametrize("theme", THEMES)
RNG = np.random.RandomState(0)


def background(theme):
    colour = THEMES[theme].background
    return tuple(int(colour[at:at + 2], 16) for at in (1, 3, 5))


@themes
def test_words_stand_out(theme):
    # 4.5 is WCAG's AA for text, 3 for what is drawn.
    colours = THEMES[theme]
    for behind in (colours.background, colours.panel):
        for name, least in (("text", 4.5), ("muted", 4.5), ("link", 4.5), ("main", 3),
                            ("second", 3), ("third", 3)):
            assert drawn.contrast(getattr(colours, name), behind) >= least, (name, behind)


@themes
@pytest.mark.parametrize("shape, columns", [((14, 14, 64), 8), ((7, 7, 2048), 8), ((28, 28, 1), 1),
                                            ((1, 1, 1001), 8), ((4, 60, 40), 2),
                                            ((60, 4, 40), None), ((5, 5, 3), None)])
def test_feature_maps_of_any_shape_can_be_read(shape, columns, theme):
    figure = feature_maps.draw(RNG.normal(size=shape), "net/block1", theme=theme)
    seen = drawn.readable(figure)
    image, words = seen.image, seen.words
    assert tuple(image[0, 0]) == background(theme)
    assert words[:1] == ["net/block1"] or "net/block1" in words
    size = " × ".join(map(str, shape))
    left_out = shape[-1] - 64
    what = (f"channels 0 to 63; {left_out} more left out" if left_out > 0
            else f"{shape[-1]} channel" + "s" * (shape[-1] > 1))
    assert any(word.startswith(f"{size}, {what}") for word in words), words
    if columns:
        assert f"+{columns - 1}" in words and f"+{columns}" not in words
    # A screen has some 1000 rows of pixels.
    assert 150 <= len(image) <= 1000 and image.shape[1] == 900


def test_thousands_of_channels_are_bounded():
    figure = feature_maps.draw(RNG.normal(size=(3, 3, 5000)), "k", max_channels=4000)
    assert any("channels 0 to 1023; 3976 more left out" in word
               for word in drawn.readable(figure).words)
    assert len(figure.axes[0].images[0].get_array()) < 1000


def test_large_maps_are_thinned():
    values = np.zeros([1000, 1500, 12], np.float32)
    values[::3, ::3] = 1
    figure = feature_maps.draw(values, "k")
    assert ("1000 × 1500 × 12, 12 channels; rows and columns in steps of 3; 12 flat"
            in drawn.Drawn(figure).words)
    assert figure.axes[0].images[0].get_array().nbytes < 100e6


def tile(figure, row, column, side):
    array = figure.axes[0].images[0].get_array()
    y, x = row * (side + 1), column * (side + 1)
    return np.asarray(array[y:y + side, x:x + side])


def test_scaling_is_robust_and_channel_by_channel():
    values = np.zeros([10, 10, 4])
    values[:, :, 0] = np.arange(100).reshape(10, 10)
    values[0, 0, 0], values[9, 9, 0] = -1e9, 1e9
    values[:, :, 1] = 1e-3 * np.arange(100).reshape(10, 10)
    values[:, :, 2] = 7
    values[3, 4, 3] = 1
    figure = feature_maps.draw(values, "k")
    from matplotlib import colormaps
    viridis = colormaps["viridis"]
    columns = round((figure.axes[0].images[0].get_array().shape[1] + 1) / 11)
    maps = [tile(figure, i // columns, i % columns, 10) for i in range(4)]
    # One outlier at each end does not darken the rest: 1 to 98 stay apart.
    np.testing.assert_allclose(maps[0][5, 5], viridis((55 - 1) / (98 - 1)), atol=0.02)
    np.testing.assert_allclose(maps[1][5, 5], viridis((55 - 1) / (98 - 1)), atol=0.02)
    assert (maps[2] == maps[2][0, 0]).all()
    np.testing.assert_allclose(maps[3][3, 4], viridis(1.0))
    np.testing.assert_allclose(maps[3][3, 5], viridis(0.0))
    assert any(word.endswith("; 1 flat") for word in drawn.Drawn(figure).words)


def test_values_that_are_not_finite_stand_out():
    values = RNG.normal(size=(8, 8, 4))
    values[:, :, 1] = np.nan
    values[2, 3, 2], values[4, 4, 2] = np.inf, -3e38
    figure = feature_maps.draw(values.astype(np.float32), "k")
    assert any("2 with NaN or infinity (vermilion)" in word
               for word in drawn.readable(figure).words)
    vermilion = np.array([0xD5, 0x5E, 0]) / 255
    array = np.asarray(figure.axes[0].images[0].get_array())[..., :3]
    assert np.isclose(array, vermilion, atol=1e-6).all(-1).sum() == 64 + 1


def test_single_positions_share_one_scale():
    values = np.arange(64.).reshape(1, 1, 64)
    figure = feature_maps.draw(values, "k")
    first, last = tile(figure, 0, 0, 8), tile(figure, 7, 7, 8)
    assert (first == first[0, 0]).all() and not np.allclose(first[0, 0], last[0, 0])
    assert any("one scale for all" in word for word in drawn.Drawn(figure).words)


@pytest.mark.parametrize("shape", [(10,), (1, 10), (2, 2, 0)])
def test_what_is_no_map_is_refused(shape):
    with pytest.raises(SlimResnetError, match=r"net/x: its shape \[.*cannot be drawn as maps"):
        feature_maps.draw(np.zeros(shape), "net/x")


@themes
def test_maps_name_their_image(theme):
    figure = feature_maps.draw(RNG.normal(size=(8, 8, 4)), "net/block1", "folder/photo.jpg",
                               theme=theme)
    assert {"net/block1", "photo.jpg", "8 × 8 × 4, 4 channels"} <= set(drawn.readable(figure).words)
    long = feature_maps.draw(np.full([1, 1, 2000], np.nan), "W" * 300, "W" * 300, theme=theme)
    drawn.readable(long)
    # On a page the words are beside it.
    words = drawn.readable(feature_maps.draw(RNG.normal(size=(8, 8, 4)), "net/block1",
                                             theme=theme, alone=False)).words
    assert "8 × 8 × 4, 4 channels" in words and "net/block1" not in words


@themes
def test_filters_are_drawn_in_their_colours(theme):
    weights = np.zeros([7, 7, 3, 64])
    weights[..., 0, 0] = 2                      # all red
    weights[0, 0, 1, 1], weights[1, 0, 1, 1] = 0.1, -0.1
    figure = feature_maps.draw_filters(weights, theme=theme)
    assert "7 × 7 × 3, 64 filters; grey: 0" in drawn.readable(figure).words
    filters = [tile(figure, 0, i, 14)[..., :3] for i in range(3)]
    np.testing.assert_allclose(filters[0], np.broadcast_to([1, 0.5, 0.5], [14, 14, 3]))
    np.testing.assert_allclose(filters[1][[0, 2, 4], 0], [[.5, 1, .5], [.5, 0, .5], [.5] * 3])
    np.testing.assert_allclose(filters[2], 0.5)
    grey = feature_maps.draw_filters(weights[:, :, :1], theme=theme)
    assert any("mean over the input channels" in word for word in drawn.Drawn(grey).words)


NAMES = {"long": "a very long name of a class, with $dollars$ and {braces}_" * 3,
         "wide": "类别" * 30, "short": "cat", "none": None}


def inspected(height, width, names=("cat", "dog", None), contributions=None):
    contributions = (np.linspace(-1, 3, 100).reshape(10, 10) if contributions is None
                     else contributions)
    shown = np.full([height, width, 3], 128, np.uint8)
    result = Result("folder/photo.jpg", tuple(range(7, 7 + len(names))), tuple(names),
                    tuple(np.linspace(0.6, 0.1, len(names))))
    image = DisplayedImage("folder/photo.jpg", np.zeros([299, 299, 3], np.float32), shown,
                           (0.0625, 0.0625, 0.9375, 0.9375))
    return Inspection(image, result, contributions, float(contributions.sum()) + 0.25, 0.25)


PLACE = class_activation.Placement(32, 2)


@themes
@pytest.mark.parametrize("height, width", [(320, 480), (480, 320), (12, 480), (480, 12), (1, 480),
                                           (1, 1), (480, 480)])
def test_evidence_of_images_of_any_shape_can_be_read(height, width, theme):
    alone = theme == "light"
    figure = class_evidence.draw(inspected(height, width), PLACE, theme=theme, alone=alone)
    seen = drawn.readable(figure)
    assert "photo" in seen.words and "evidence, 10 × 10" in seen.words
    for word in ("photo.jpg", "dog (8)", "class 9", "0.3500",
                 "Evidence for cat (7): sum +100.0000, bias +0.2500, logit +100.2500"):
        assert (word in seen.words) == alone
    assert tuple(seen.image[0, 0]) == background(theme)
    image, evidence = (axes.images[0].get_array() for axes in figure.axes[:2])
    assert image.shape == evidence.shape == (height, width, 3)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_any_length_can_be_read(name):
    drawn.readable(class_evidence.draw(inspected(300, 400, [name] * 5), PLACE))


def test_evidence_is_coloured_by_sign_and_strength_where_it_is():
    contributions = np.zeros([10, 10])
    contributions[2, 7], contributions[8, 1] = 2, -1
    found = inspected(400, 800, contributions=contributions)
    evidence = np.asarray(class_evidence.draw(found, PLACE).axes[1].images[0].get_array())
    grey = 128 / 255

    def at(row, column):
        # Centres are 2 + 32 * position, in pixels of the 299 that the network sees.
        y, x = ((0.0625 + 0.875 * (2.5 + 32 * n) / 299) * side
                for n, side in ((row, 400), (column, 800)))
        return evidence[int(y), int(x)]

    vermilion, blue = (np.array(rgb) / 255 for rgb in ((0xD5, 0x5E, 0), (0, 0x72, 0xB2)))
    np.testing.assert_allclose(at(2, 7), 0.85 * vermilion + 0.15 * grey, atol=0.03)
    np.testing.assert_allclose(at(8, 1), 0.425 * blue + 0.575 * grey, atol=0.03)
    np.testing.assert_allclose(at(5, 4), grey, atol=0.01)
    # Outside of what the network sees the image fades.
    np.testing.assert_allclose(evidence[5, 5], 0.35 * grey + 0.65, atol=0.01)


def statistics(numbers, units=2):
    """Rows and summary of a network of two blocks whose statistics are ``numbers``."""
    rows, summary = [], []

    def add(key, level, parent):
        number = next(numbers)
        relu = key.endswith("conv1")
        rows.append(types.SimpleNamespace(
            key=key, images=3, mean=number, std=None if number is None else abs(number) + 1,
            zeros=0.5 if relu else None, dead=(1,) if relu else None, channels=4,
            nan=int(number is None), inf=0))
        summary.append(types.SimpleNamespace(key=key, level=level, parent=parent))

    add("net/conv1", "layer", None)
    for block in ("net/block1", "net/block2"):
        for unit in range(1, units + 1):
            key = f"{block}/unit_{unit}"
            add(f"{key}/conv1", "layer", key)
            add(f"{key}/conv3", "layer", key)
            add(key, "unit", block)
        add(block, "block", None)
    add("net/logits", "layer", None)
    return rows, summary


@themes
@pytest.mark.parametrize("units", [1, 2, 60])
def test_depth_can_be_read(units, theme):
    rows, summary = statistics(iter(RNG.normal(size=1000)), units)
    figure = depth_profile.draw(rows, summary, theme=theme)
    words = drawn.readable(figure).words
    assert "End points of 3 images along the depth" in words
    assert {"block1", "block2", "units", "layers with ReLU", "layers without ReLU",
            "zeros"} <= set(words)
    assert "in graph order; outside the blocks: conv1, logits" in words
    assert not any("mathdefault" in word for word in words)
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    # A block is its last unit and is not drawn again.
    assert len(lines["units"]) == 2 * units
    assert len(lines["layers without ReLU"]) == 2 * units + 1
    assert lines["units"][0][1] == next(row.mean for row in rows if row.key.endswith("unit_1"))
    zeros = {line.get_label(): line.get_ydata() for line in figure.axes[2].lines}
    assert set(zeros["zeros"]) == {50} and set(zeros["channels zero for all images"]) == {25}


def test_depth_marks_what_is_not_finite():
    rows, summary = statistics(iter([None, 1, None] + [0.5] * 40))
    figure = depth_profile.draw(rows, summary)
    assert any("× marks 2 with NaN or infinite" in word for word in drawn.Drawn(figure).words)
    assert [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "x"] == [
        [0], [2]]
    depth_profile.draw(*statistics(iter([None] * 50)))


def test_files_are_what_they_are_called(tmp_path):
    figure = feature_maps.draw(RNG.normal(size=(8, 8, 4)), "k")
    assert drawing.encoded(figure).startswith(b"\x89PNG")
    webp = drawing.encoded(figure, "webp")
    assert webp[:4] == b"RIFF" and webp[8:12] == b"WEBP"


def test_unknown_theme_and_absent_matplotlib_are_one_line(monkeypatch):
    with pytest.raises(SlimResnetError, match="no theme 'blue'; choose one of light, dark"):
        feature_maps.draw(np.zeros([2, 2, 2]), "k", theme="blue")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SlimResnetError, match=re.escape("pip install 'slim-resnet[plot]'")):
        feature_maps.draw(np.zeros([2, 2, 2]), "k")


def test_shortened_texts_fit():
    assert shortened("abc", 10) == "abc" and shortened("a\x00b", 10) == "a?b"
    for text in ("x" * 99, "W" * 99, "类" * 99):
        for keep_end in (False, True):
            short = shortened(text, 12, keep_end)
            assert 10.5 < text_width(short) <= 12
            assert short.startswith("…") == keep_end and short.endswith("…") != keep_end
