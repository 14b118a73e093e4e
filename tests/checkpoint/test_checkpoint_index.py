"""What is checked of an index before TensorFlow reads it, and variables in parts."""

import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.checkpoint import index, open_checkpoint, restore, table
from slim_resnet.errors import SlimResnetError
from tests.helpers import checkpoints, mended

tf1 = tf.compat.v1
NAME = "scope/layer_2/weights"


@pytest.fixture
def v2(tmp_path):
    return mended.write(tmp_path, "V2")


@pytest.fixture
def v1(tmp_path):
    return mended.write(tmp_path, "V1")


def refusal(path, name=NAME):
    """Returns what a damaged file is refused with, behind its name and the variable's."""
    with pytest.raises(SlimResnetError) as caught, open_checkpoint(path):
        pass
    start = f"{path}: no readable checkpoint: {path.name}: {name}: "
    assert str(caught.value).startswith(start)
    return str(caught.value)[len(start):]


def with_fields(**fields):
    """Returns a change of a bundle entry that sets fields by name; None removes them."""
    numbers = {"dtype": 1, "shape": 2, "shard_id": 3, "offset": 4, "size": 5, "crc": 6}

    def change(value):
        message = [field for field in mended.fields(value)
                   if field[0] not in [numbers[name] for name in fields]]
        for name, new in fields.items():
            wire = 2 if isinstance(new, bytes) else 0
            message += [(numbers[name], wire, new)] if new is not None else []
        return mended.encoded(message)

    return change


def shape(*sizes):
    return mended.encoded([(2, 2, mended.encoded([(1, 0, size)])) for size in sizes])


@pytest.mark.parametrize("fields,said", [
    (dict(shape=shape((1 << 64) - 3, 8)), "its shape is [-3, 8]"),
    (dict(shape=shape(1 << 40, 1 << 40)), "beyond all memory"),
    (dict(shape=shape(0, 1 << 40, 1 << 40)), "beyond all memory"),
    (dict(shape=shape(*[1] * 255)), "has 255 dimensions"),
    (dict(shape=shape(3, 3)), "takes 864 bytes, and [3, 3] of its dtype 36"),
    (dict(shape=shape(3, 3) + b"\x18\x01"), "a field that is unknown"),
    (dict(dtype=77), "its dtype has the number 77"),
    (dict(dtype=20), "its dtype has the number 20"),
    (dict(dtype=None), "its dtype has the number 0"),
    (dict(shard_id=1), "is in data file 1, and there are 1"),
    (dict(shard_id=(1 << 64) - 1), "is in data file -1, and there are 1"),
    (dict(offset=(1 << 64) - 8), "begin or end before the file"),
    (dict(offset=1 << 62), "of net.ckpt.data-00000-of-00001, which has"),
    (dict(size=865), "takes 865 bytes"),
    (dict(size=(1 << 64) - 1), "takes -1 bytes"),
    (dict(size=b"a"), "a field that is unknown or of another type"),
])
def test_entries_of_v2(v2, fields, said):
    v2.write_bytes(mended.changed(v2.read_bytes(), NAME.encode(), with_fields(**fields)))
    path = v2.with_suffix("")
    with pytest.raises(SlimResnetError) as caught, open_checkpoint(path):
        pass
    assert str(caught.value).startswith(f"{path}: no readable checkpoint: {v2.name}: {NAME}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("change,said", [
    (lambda value: value + value, "a field that is there twice"),
    (lambda value: value[:-2], "longer than what it is in"),
    (lambda value: b"\x08\x02", "belongs to 2 data files, not 1"),
    (lambda value: b"\x08\x01\x10\x01", "big-endian"),
])
def test_header_of_v2(v2, change, said):
    v2.write_bytes(mended.changed(v2.read_bytes(), b"", change))
    with pytest.raises(SlimResnetError, match=said), open_checkpoint(v2.with_suffix("")):
        pass


def test_two_variables_at_one_place(v2):
    v2.write_bytes(mended.changed(v2.read_bytes(), NAME.encode(), with_fields(offset=0)))
    with pytest.raises(SlimResnetError, match="share bytes of net.ckpt.data-00000-of-00001"), \
         open_checkpoint(v2.with_suffix("")):
        pass


def without(tensor):
    """Returns a change of a V1 record that puts other bytes in the place of its values."""
    def change(value):
        (number, wire, record), = mended.fields(value)
        *head, (last, _, _) = mended.fields(record)
        return mended.encoded([(number, wire, mended.encoded([*head, (last, 2, tensor)]))])
    return change


@pytest.mark.parametrize("tensor,said", [
    (b"", "0 values for 216 elements"),
    (mended.encoded([(5, 2, bytes(8))]), "2 values for 216 elements"),
    (mended.encoded([(5, 2, bytes(862))]), "215.5 values for 216 elements"),
    (mended.encoded([(6, 2, bytes(864))]), "a field that is unknown"),
])
def test_values_of_v1(v1, tensor, said):
    key = table.slice_key(NAME.encode(), [(0, -1)] * 4)
    v1.write_bytes(mended.changed(v1.read_bytes(), key, without(tensor)))
    assert said in refusal(v1)


@pytest.mark.parametrize("change,said", [
    ([(2, 2, shape((1 << 64) - 3, 8))], "its shape is [-3, 8]"),
    ([(2, 2, shape(*[1] * 255))], "has 255 dimensions"),
    ([(2, 2, shape(3, 3, 3, 8)), (3, 0, 77)], "its dtype has the number 77"),
])
def test_list_of_v1(v1, change, said):
    def changed(value):
        (number, wire, listed), = mended.fields(value)
        variables = []
        for field in mended.fields(listed):
            if field[0] == 1 and NAME.encode() in field[2]:
                numbers = [new[0] for new in change]
                kept = [old for old in mended.fields(field[2]) if old[0] not in numbers]
                field = 1, 2, mended.encoded(kept + change)
            variables.append(field)
        return mended.encoded([(number, wire, mended.encoded(variables))])

    v1.write_bytes(mended.changed(v1.read_bytes(), b"", changed))
    assert said in refusal(v1)


@pytest.mark.parametrize("start,length", [
    (0, 63), (64, 64), (8191, 8192), (8192, 1), (1 << 20, 3), (10 ** 8, 5)])
def test_keys_of_parts_are_tensorflows(tmp_path, start, length):
    path = str(tmp_path / "net.ckpt")
    with tf.Graph().as_default(), tf1.Session() as session:
        session.run(tf.raw_ops.SaveSlices(
            filename=path, tensor_names=["x"], data=[tf.zeros([length], tf.uint8)],
            shapes_and_slices=[f"{start + length} {start},{length}"]))
    blocks, _ = mended.read_table(pathlib.Path(path).read_bytes())
    assert table.slice_key(b"x", [(start, length)]) in [key for key, _ in sum(blocks, [])]


@pytest.mark.parametrize("format", ["V1", "V2"])
@pytest.mark.parametrize("axis", [0, 1])
def test_variables_in_parts(tmp_path, format, axis):
    def build(images):
        with tf1.variable_scope("p", partitioner=tf1.fixed_size_partitioner(3, axis)):
            tf1.get_variable("w", [7, 5])
        tf1.get_variable("b", [2])
        return tf.zeros([]), {}

    written = checkpoints.write(tmp_path / "net.ckpt", build, checkpoints.FORMATS[format])
    expected = np.concatenate([written.values[f"p/w/part_{i}"] for i in range(3)], axis)
    with open_checkpoint(written.path) as checkpoint:
        assert checkpoint.shapes == {"b": (2,), "p/w": (7, 5)}
        np.testing.assert_array_equal(checkpoint.tensor("p/w"), expected)
    with tf.Graph().as_default(), tf1.Session() as session:
        variable = tf1.get_variable("p/w", [7, 5])
        tf1.get_variable("b", [2])
        assert restore(session, written.path) == ["b", "p/w"]
        np.testing.assert_array_equal(session.run(variable), expected)


def test_missing_and_overlapping_parts():
    def check(*parts):
        index._check_tiling(index._Part(1, (6, 4), [list(part) for part in parts]))

    whole = (0, -1)
    check(((0, 2), whole), ((4, 2), whole), ((2, 2), whole))
    check(((0, 2), (0, 4)), ((2, 4), whole))
    check((whole, whole))
    for parts in ([((0, 2), whole), ((4, 2), whole)], [((0, 3), whole), ((2, 4), whole)],
                  [((0, 2), whole), ((2, 2), whole)], [(whole, whole), (whole, whole)], [],
                  [((0, 3), whole), ((3, 3), (0, 2)), ((3, 3), (2, 2))]):
        with pytest.raises(table.Damage):
            check(*parts)


def test_restarts_within_an_entry_are_refused():
    entries = [(b"a", b"1" * 20), (b"b", b"2" * 20)]
    good = mended.table([mended.block(entries)], [b"b"])
    assert [entry.key for entry in table.entries(good, check_crc=True)] == [b"a", b"b"]
    body = bytearray(mended.block(entries))
    body[-4:] = bytes([5, 0, 0, 0]) + bytes([2, 0, 0, 0])
    with pytest.raises(table.Damage, match="restarts do not fit"):
        list(table.entries(mended.table([bytes(body)], [b"b"])))


def test_one_page_or_many(v1, monkeypatch):
    monkeypatch.setattr(table.FilePages, "_PAGE", 300)
    with open(v1, "rb") as file:
        pages = table.FilePages(file)
        content = v1.read_bytes()
        assert len(pages) == os.path.getsize(v1)
        assert list(table.entries(pages)) == list(table.entries(content))
    assert index.check_v1([str(v1)]) == {"parts": 3}
