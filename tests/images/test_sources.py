"""Which names the images of a source may have, in their order."""

import numpy as np
import pytest

from slim_resnet.images.sources import Arrays, ImageFiles, Records


def fits(source, names, first=0):
    """Whether names are those of images from number ``first`` on, one behind the other."""
    before = [None, *names]
    return all(source.is_called(first + k, name, before[k]) for k, name in enumerate(names))


@pytest.mark.parametrize("source", [
    ImageFiles(["a", "b", "a"]), Arrays(["f.npz"], np.zeros([3, 2, 2, 3], np.uint8), [0, 1, 0])])
def test_names_by_number(source):
    names = [source.name(k) for k in range(3)]
    assert fits(source, names) and fits(source, names[1:], 1)
    for wrong in (names[1:], [names[0], names[2]], [*names, names[0]], [names[0], None], [7]):
        assert not fits(source, wrong), wrong


def test_names_of_records_follow_each_other():
    source = Records(["a-0", "b, record 1", "c"])
    names = [source.name((0, 0)), source.name((0, 1)), source.name((1, 0)), source.name((2, 0)),
             source.name((2, 1))]
    assert fits(source, names) and fits(source, names[1:], 1)
    for wrong in (names[1:], [names[0], names[0]], [names[0], names[1], names[1]],
                  names[:3] + [names[4]], ["x, record 0"], ["a-0"], ["a-0, record -1"], [None],
                  [7], ["a-0, record \u00b2"]):
        assert not fits(source, wrong), wrong


def test_a_record_file_that_is_given_twice():
    source = Records(["a", "a"])
    assert fits(source, ["a, record 0", "a, record 0"])
