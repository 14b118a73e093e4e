"""Images found anywhere and cut into parts: the same images as read in one piece."""

import contextlib
import pickle
import re
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.errors import SlimResnetError
from slim_resnet.images import labelled_parts, reading, stores
from slim_resnet.images.labelled import find_data
from slim_resnet.images.settings import MAX_PIXELS
from slim_resnet.images.sources import ImageFiles, Records
from tests.helpers import pictures
from tests.helpers.ray_nodes import needs_pyarrow

NUM_IMAGES, PART, BATCH = 11, 4, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two class folders of images, one of which is broken."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(NUM_IMAGES):
        pictures.write_png(folder / f"class_{i % 2}" / f"{i:02}.png", i)
    (folder / "class_1" / "03.png").write_bytes(b"no image")
    (folder / "notes.txt").touch()
    (folder / ".hidden.png").touch()
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    """``(bytes, label)`` of the images, in order."""
    return [(path.read_bytes(), int(path.parent.name[-1])) for path in sorted(folder.glob("*/*"))]


@pytest.fixture(scope="module")
def records(rows, tmp_path_factory):
    root = tmp_path_factory.mktemp("records")
    encoded = [pictures.record(*row) for row in rows]
    encoded[6] = b"no example"
    return [pictures.write_records(root / f"validation-0000{i}-of-00003", part)
            for i, part in enumerate((encoded[:3], [], encoded[3:]))]


def whole(source):
    return list(reading.read_source(source, 8, batch_size=BATCH))


def in_parts(source):
    """Reads the parts, each sent to where it is read, in an order of their own."""
    counts = [source.count(file) for file in source.files] if source.is_counted else ()
    parts = [pickle.loads(pickle.dumps(part)) for part in source.parts(PART, counts)]
    assert [part.num_images for part in parts] == [4, 4, 3]
    found, reader = {}, reading.Reader(parts[0].source(), 8, batch_size=BATCH)
    with contextlib.closing(reader):
        for number in (1, 2, 0):
            found[number] = list(reader.batches(parts[number].source()))
    return [batch for number in range(3) for batch in found[number]]


def check_same(batches, expected, names=None):
    assert len(batches) == len(expected)
    for batch, one in zip(batches, expected):
        assert (batch.names if names is None else [names(name) for name in batch.names],
                batch.labels) == (one.names, one.labels)
        np.testing.assert_array_equal(batch.images, one.images)
        # Who read the file says otherwise why it is none.
        assert [cause is None for cause in batch.causes] == [cause is None for cause in one.causes]


@pytest.fixture(scope="module")
def read(folder):
    """The images, read in one piece."""
    return whole(ImageFiles([str(path) for path in sorted(folder.glob("*/*"))]))


@pytest.fixture(scope="module")
def read_labelled(folder):
    return whole(find_data([folder], 2))


@pytest.fixture(scope="module")
def read_records(records):
    return whole(Records(records))


def labelled(data):
    return labelled_parts.find_labelled(data, 2, None, None, None, MAX_PIXELS)


def test_files(folder, read, read_labelled):
    source = labelled_parts.find([folder], MAX_PIXELS)
    batches = in_parts(source)
    check_same(batches, read)
    assert [batch.causes for batch in batches] == [batch.causes for batch in read]
    by_pattern = labelled_parts.find([str(folder / "*" / "*.png")], MAX_PIXELS)
    assert [file.path for file in by_pattern.files] == [file.path for file in source.files]
    found = labelled([folder])
    check_same(in_parts(found.source), read_labelled)
    assert found.classes == ["class_0", "class_1"] and found.labels_offset == 0


@needs_pyarrow
def test_files_of_another_store(folder, read):
    """The store of an address is pyarrow's; this machine's files have one too."""
    source = labelled_parts.find([f"file://{folder}"], MAX_PIXELS)
    check_same(in_parts(source), read, lambda name: name.removeprefix("file://"))
    for pattern in ("/*/*.png", "/**/*.png", "/class_[01]/*"):
        by_pattern = labelled_parts.find([f"file://{folder}{pattern}"], MAX_PIXELS)
        assert [file[:3] for file in by_pattern.files] == [file[:3] for file in source.files]


@needs_pyarrow
def test_class_folders_of_another_store(folder, read_labelled):
    found = labelled([f"file://{folder}"])
    check_same(in_parts(found.source), read_labelled,
               lambda name: name.removeprefix("file://"))
    assert found.classes == ["class_0", "class_1"]
    with pytest.raises(SlimResnetError, match="has 2 class folders, but the checkpoint has 3"):
        labelled_parts.find_labelled([f"file://{folder}"], 3, None, None, None, MAX_PIXELS)


@pytest.mark.parametrize("scheme", ["", pytest.param("file://", marks=needs_pyarrow)])
def test_records(records, read_records, scheme):
    assert [cause is None for batch in read_records for cause in batch.causes].count(False) == 2
    found = labelled([scheme + path for path in records])
    batches = in_parts(found.source)
    check_same(batches, read_records, lambda name: name.removeprefix("file://"))
    assert [batch.causes for batch in batches] == [batch.causes for batch in read_records]
    # The sample that other preparations are tried on.
    assert next(reading.read_source(found.sample(), 8, batch_size=32)).labels[0] == 0


@pytest.mark.parametrize("scheme", ["", pytest.param("file://", marks=needs_pyarrow)])
@pytest.mark.parametrize("at, message", [
    (40, "is damaged or no TFRecord file, at record 0: corrupted record at "),
    (-3, "is damaged or no TFRecord file, at record 7: "),
    (0, "is damaged or no TFRecord file, at record ")])
def test_damaged_records_end_it(records, tmp_path, scheme, at, message):
    path = shutil.copy(records[2], tmp_path / "damaged.tfrecord")
    content = bytearray((tmp_path / "damaged.tfrecord").read_bytes())
    content[at] ^= 255
    (tmp_path / "damaged.tfrecord").write_bytes(content)
    with pytest.raises(SlimResnetError, match=re.escape(f"{scheme}{path}: {message}")):
        source = labelled([f"{scheme}{path}"]).source
        in_parts_of_any_size(source)


def in_parts_of_any_size(source):
    parts = list(source.parts(PART, [source.count(file) for file in source.files]))
    reader = reading.Reader(parts[0].source(), 8, batch_size=BATCH)
    with contextlib.closing(reader):
        for part in parts:
            list(reader.batches(part.source()))


def test_a_cut_file_is_told(records, tmp_path):
    path = tmp_path / "cut.tfrecord"
    content = open(records[2], "rb").read()
    for size in (len(content) - 5, len(content) - 3000, 5):
        path.write_bytes(content[:size])
        with pytest.raises(SlimResnetError, match="is damaged or no TFRecord file, at record "):
            in_parts_of_any_size(labelled([path]).source)


@needs_pyarrow
@pytest.mark.parametrize("nested, scheme", [(False, ""), (True, "file://")])
def test_parquet(rows, tmp_path, nested, scheme):
    import pyarrow
    import pyarrow.parquet
    path = tmp_path / "train.parquet"
    contents = [{"bytes": one, "path": None} if nested else one for one, _ in rows]
    contents[5] = None
    pyarrow.parquet.write_table(pyarrow.table(
        {"label": [label + 1 for _, label in rows], "image": contents,
         "note": ["x"] * len(rows)}), path, row_group_size=3)
    found = labelled_parts.find_labelled([f"{scheme}{path}"], 2, None, 1, None, MAX_PIXELS)
    batches = in_parts(found.source)
    assert [label for batch in batches for label in batch.labels] == [
        None if k in (5, 7) else label for k, (_, label) in enumerate(rows)]
    assert batches[2].names == [f"{scheme}{path}, row 4", f"{scheme}{path}, row 5"]
    assert batches[2].causes == [None, "the row holds no bytes"]
    expected = tf.io.decode_png(rows[0][0]).numpy().shape
    assert expected == (40, 48, 3)
    first = whole(labelled_parts.find([f"{scheme}{path}"], MAX_PIXELS).parts(
        PART, [len(rows)]).__next__().source())
    np.testing.assert_array_equal(first[0].images, batches[0].images)
    assert first[0].labels == [None, None]


@needs_pyarrow
def test_parquet_without_images_is_one_line(tmp_path):
    import pyarrow
    import pyarrow.parquet
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"x": [1], "y": [b"a"]}), path)
    source = labelled_parts.find([path], MAX_PIXELS)
    assert source.count(source.files[0]) == 1
    source = labelled([path]).source
    with pytest.raises(SlimResnetError, match="has no column label of class numbers; its columns "
                                              "are x, y"):
        source.count(source.files[0])
    pyarrow.parquet.write_table(pyarrow.table({"x": [1]}), path)
    source = labelled_parts.find([path], MAX_PIXELS)
    with pytest.raises(SlimResnetError, match="has no column image, bytes or image/encoded"):
        source.count(source.files[0])
    path.write_bytes(b"nothing")
    with pytest.raises(SlimResnetError, match="a.parquet: cannot be read as Parquet: "):
        source.count(source.files[0])


@needs_pyarrow
def test_a_file_that_is_gone_is_unreadable(folder, tmp_path):
    copy = tmp_path / "photos"
    shutil.copytree(folder, copy)
    source = labelled_parts.find([f"file://{copy}"], MAX_PIXELS)
    (copy / "class_0" / "00.png").unlink()
    batch = in_parts(source)[0]
    assert "No such file" in batch.causes[0] and batch.causes[1] is None
    small = labelled_parts.find([f"file://{copy}/class_1"], MAX_PIXELS)
    big = small.files[0]._replace(size=10 ** 12)
    assert "bytes are the most" in next(iter(type(small)(
        [big], None, MAX_PIXELS).source().rows())).fault.replace("and 401048576 are",
                                                                  "bytes are")


@needs_pyarrow
@pytest.mark.parametrize("address, asked", [
    ("s3://bucket/photos/*.jpg", "s3://bucket/photos"), ("gs://bucket/a/b", "gs://bucket/a/b")])
def test_object_stores_are_asked_for_what_is_named(address, asked, monkeypatch):
    """What is named reaches the store that pyarrow has for it; there is none to ask here."""
    import pyarrow.fs
    base, seen = asked.partition("://")[2], []

    class Store:
        def get_file_info(self, what):
            seen.append(what)
            if isinstance(what, list):
                return [types.SimpleNamespace(type=pyarrow.fs.FileType.Directory, path=base)]
            return [types.SimpleNamespace(type=pyarrow.fs.FileType.File, path=f"{base}/{name}",
                                          size=7, mtime_ns=9)
                    for name in ("y.jpg", "x.jpg", "_SUCCESS", ".z.jpg", "deep/w.png")]

    store = Store()
    monkeypatch.setattr(stores, "file_system",
                        lambda asked: (seen.append(asked), (store, base))[1])
    kind, files = stores.find_files([address])
    names = ["x.jpg", "y.jpg"] if "*" in address else ["deep/w.png", "x.jpg", "y.jpg"]
    assert kind == "images" and [file.name for file in files] == [
        f"{asked}/{name}" for name in names]
    assert files[0][2:] == (7, 9, store)
    assert seen[0] == asked and seen[1] == [base] and seen[2].recursive


@pytest.mark.parametrize("path, message", [
    ("{}/*.jpg", r"\*.jpg: fits no file"), ("{}/none.png", "no such file or folder"),
    pytest.param("file://{}/*.jpg", "fits no file of images", marks=needs_pyarrow),
    pytest.param("file://{}/none", "no such file or folder", marks=needs_pyarrow),
    pytest.param("file://{}/class_0/../empty", "empty: ", marks=needs_pyarrow),
    pytest.param("nothing://x/y", "nothing://x/y: cannot be opened", marks=needs_pyarrow)])
def test_nothing_to_read_is_one_line(folder, tmp_path, path, message):
    (folder / "empty").mkdir(exist_ok=True)
    with pytest.raises(SlimResnetError, match=message):
        labelled_parts.find([path.format(folder)], MAX_PIXELS)
    (folder / "empty").rmdir()


def test_kinds_are_not_mixed(folder, records):
    with pytest.raises(SlimResnetError, match="is of the kind images and .* of the kind records"):
        labelled_parts.find([folder, records[0]], MAX_PIXELS)


def test_an_npz_file_is_for_one_process(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros([3, 4, 4, 3], np.uint8), labels=[0, 1, 1])
    with pytest.raises(SlimResnetError, match="an .npz file is for one process"):
        labelled([tmp_path / "a.npz"])
