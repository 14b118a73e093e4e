"""The tree of end points: who holds whom, which lines are folded, and which must not be."""

import pytest

from slim_resnet.end_points import table
from slim_resnet.end_points.tree import tree


def row(key, parent=None, level="layer", **fields):
    return table.EndPoint(**{**dict(
        key=key, op_name=f"{key}/Relu", shape=(None, 8, 8, 4), parameters=10,
        trainable_parameters=8, moving_statistics=2, multiply_adds=640, activation_bytes=1024,
        stride=2, receptive_field=len(key), level=level, parent=parent), **fields})


def units(count, **of):
    """Returns rows of a block of so many units; ``of`` has other fields of unit_N."""
    rows = [row(f"net/block1/unit_{n}/bottleneck_v2", "net/block1", "unit",
                **of.get(f"unit_{n}", {})) for n in range(1, count + 1)]
    return [*rows, row("net/block1", level="block")]


def labels(rows, scope="net/"):
    return [line.label for line in tree(rows, [one.key.removeprefix(scope) for one in rows])]


def test_equal_units_are_one_line():
    rows = [row("net/conv1"), *units(8, unit_1={"parameters": 20}, unit_8={"stride": 4}),
            row("predictions")]
    lines = tree(rows, [one.key.removeprefix("net/") for one in rows])
    assert [line.label for line in lines] == [
        "conv1", "block1", "├─ unit_1", "├─ unit_2 … unit_7 ×6", "└─ unit_8", "predictions"]
    assert [len(line.rows) for line in lines] == [1, 1, 1, 6, 1, 1]
    assert [one.key for one in lines[3].rows] == [
        f"net/block1/unit_{n}/bottleneck_v2" for n in range(2, 8)]


@pytest.mark.parametrize("field, value", [
    ("shape", (None, 8, 8, 5)), ("parameters", 11), ("trainable_parameters", 9),
    ("multiply_adds", 641), ("activation_bytes", 2048), ("stride", 4), ("multiply_adds", None)])
def test_what_differs_in_anything_is_a_line_of_its_own(field, value):
    assert labels(units(4, unit_3={field: value})) == [
        "block1", "├─ unit_1, unit_2 ×2", "├─ unit_3", "└─ unit_4"]


def test_equal_ones_that_are_no_neighbours_or_bear_other_names_are_not_folded():
    assert labels([row("net/conv1"), row("net/pool1"), row("net/conv2")]) == [
        "conv1", "pool1", "conv2"]
    assert labels([row("net/Mixed_5b", parameters=1), row("net/Mixed_5c"), row("net/Mixed_5d")]) \
        == ["Mixed_5b", "Mixed_5c, Mixed_5d ×2"]


def test_an_end_that_all_names_have_is_left_out_and_no_other():
    mixed = [row("net/block1/unit_1/bottleneck_v2", "net/block1", "unit"),
             row("net/block1/unit_2/other", "net/block1", "unit", parameters=3),
             row("net/block1", level="block")]
    assert labels(mixed) == ["block1", "├─ unit_1/bottleneck_v2", "└─ unit_2/other"]


def test_scopes_that_are_no_end_points_hold_what_is_in_them():
    rows = [row("net/conv1/conv1_1", parameters=5, trainable_parameters=4, moving_statistics=1),
            row("net/conv1/conv1_2", shape=(None, 4, 4, 4), activation_bytes=256),
            row("net/pool1")]
    lines = tree(rows, [one.key.removeprefix("net/") for one in rows])
    assert [line.label for line in lines] == ["conv1/", "├─ conv1_1", "└─ conv1_2", "pool1"]
    held, = lines[0].rows
    assert (held.parameters, held.multiply_adds, held.shape, held.activation_bytes) == (
        15, 1280, (None, 4, 4, 4), 256)


def test_deeper_trees_and_rows_whose_holder_is_left_out():
    inner = [row("net/a/b/c", "net/a/b"), row("net/a/b/d", "net/a/b", parameters=1),
             row("net/a/b", "net/a", "unit"), row("net/a/e", "net/a"), row("net/a", level="block")]
    assert labels(inner) == ["a", "├─ b", "│  ├─ c", "│  └─ d", "└─ e"]
    assert labels(inner[:2]) == ["a/", "└─ b/", "   ├─ c", "   └─ d"]
    # Units that are folded hold nothing that is shown.
    shown = [row("net/a/unit_1/c", "net/a/unit_1"), row("net/a/unit_1", "net/a", "unit"),
             row("net/a/unit_2/c", "net/a/unit_2"), row("net/a/unit_2", "net/a", "unit"),
             row("net/a", level="block")]
    assert labels(shown) == ["a", "├─ unit_1", "│  └─ c", "└─ unit_2", "   └─ c"]
