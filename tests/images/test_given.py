"""What a program gives for image files: one path, a folder, arrays, PIL images."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from slim_resnet.checkpoint.settings import settings_of
from slim_resnet.errors import SlimResnetError
from slim_resnet.images import find_images, load_images, read_images
from slim_resnet.images.display import read_displayed
from slim_resnet.images.given import sources_of
from slim_resnet.images.reading import read_source
from slim_resnet.images.settings import Preprocessing
from slim_resnet.inference import InferenceModel, Network, classify, evaluate, open_network
from slim_resnet.training import folder as run_folder
from tests.helpers import checkpoints, pictures

SCOPE = "resnet_v2_50"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        pictures.write_png(folder / name, seed)
    return folder


@pytest.fixture(scope="module")
def files(folder):
    return [str(folder / name) for name in ("a.png", "b.png", "c.png")]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return checkpoints.write(tmp_path_factory.mktemp("given") / "net.ckpt")


def probabilities(written, images, **options):
    """Returns ``(names, probabilities by class)``."""
    results = list(classify(written.path, images, top=10, image_size=32, **options))
    rows = [[p for _, p in sorted(zip(result.classes, result.probabilities))]
            for result in results]
    return [result.path for result in results], np.array(rows)


@pytest.fixture(scope="module")
def expected(written, files):
    """tf_slim's probabilities of the three files, restored by TensorFlow's own Saver."""
    return pictures.run_with_saver(
        written, checkpoints.slim_builder(), pictures.prepared(files),
        lambda net, end_points: end_points["predictions"])[:, 0, 0]


PIXELS = [pictures.picture(seed) for seed in range(3)]


@pytest.mark.parametrize("images, names", [
    ("{}", "abc"), (pathlib.Path("{}"), "abc"), ("{}/b.png", "b"), (["{}/b.png", "{}/c.png"], "bc"),
    (("{}/a.png",), "a"), (np.array(["{}/c.png", "{}/a.png"]), "ca")], ids=str)
def test_one_path_or_several(folder, images, names):
    def there(path):
        return type(path)(str(path).format(folder))

    given = there(images) if isinstance(images, str | pathlib.Path) else \
        np.array(list(map(there, images))) if isinstance(images, np.ndarray) else \
        list(map(there, images))
    assert [name for source in sources_of(given) for name in source.files] == [
        str(folder / f"{name}.png") for name in names]
    np.testing.assert_array_equal(load_images(given, 32), pictures.prepared(
        [str(folder / f"{name}.png") for name in names]))


def test_paths_are_classified_in_their_order(written, files, expected):
    called, values = probabilities(written, np.array([files[2], files[0]]))
    assert called == [files[2], files[0]]
    np.testing.assert_allclose(values, expected[[2, 0]], rtol=1e-4)


@pytest.mark.parametrize("images", [
    np.stack(PIXELS), PIXELS, [PIXELS[0], np.stack(PIXELS[1:])],
    tuple(map(Image.fromarray, PIXELS)), iter(PIXELS),
    [Image.fromarray(PIXELS[0]), PIXELS[1], Image.fromarray(PIXELS[2])]],
    ids=["array", "list", "both", "PIL", "iterator", "mixed"])
def test_pixels_give_what_their_files_give(files, images):
    sources = list(sources_of(images))
    assert [name for source in sources for name in source.files] == [
        "image 0", "image 1", "image 2"]
    np.testing.assert_array_equal(
        np.concatenate([batch.images for source in sources
                        for batch in read_source(source, 32, "inception", 2)]),
        pictures.prepared(files))


@pytest.mark.parametrize("images", [iter(PIXELS), [PIXELS[0], np.stack(PIXELS[1:])]],
                         ids=["iterator", "both"])
def test_pixels_are_classified(written, expected, images):
    names, values = probabilities(written, images, batch_size=2)
    assert names == ["image 0", "image 1", "image 2"]
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_one_image(written, files, expected):
    names, values = probabilities(written, Image.fromarray(PIXELS[1]))
    assert names == ["image 0"]
    np.testing.assert_allclose(values, expected[1:2], rtol=1e-4)
    np.testing.assert_array_equal(load_images(PIXELS[1], 32), pictures.prepared(files[1:2]))


@pytest.mark.slow
def test_files_and_pixels_of_all_sizes_in_one_list(written, files, expected):
    small = pictures.picture(9, 20, 24)
    names, values = probabilities(written, [files[0], PIXELS[1], small, files[2]])
    assert names == [files[0], "image 1", "image 2", files[2]]
    np.testing.assert_allclose(values[[0, 1, 3]], expected, rtol=1e-4)
    np.testing.assert_allclose(values[2:3], probabilities(written, small)[1], rtol=1e-5)


@pytest.mark.slow
def test_grey_and_alpha_are_what_files_of_them_are(tmp_path):
    grey = PIXELS[0][..., 0]
    alpha = np.dstack([PIXELS[0], np.arange(grey.size, dtype=np.uint8).reshape(grey.shape)])
    palette = Image.fromarray(PIXELS[0]).quantize(16)
    for name, image in {"grey": Image.fromarray(grey), "alpha": Image.fromarray(alpha),
                        "palette": palette, "bits": Image.fromarray(grey > 99)}.items():
        path = str(tmp_path / f"{name}.png")
        image.save(path)
        np.testing.assert_array_equal(load_images(image, 32), load_images(path, 32), name)
    for pixels in (grey, grey[..., np.newaxis], grey[np.newaxis, ..., np.newaxis]):
        np.testing.assert_array_equal(load_images(pixels, 32),
                                      load_images(str(tmp_path / "grey.png"), 32))


@pytest.mark.parametrize("images, said", [
    (PIXELS[0] / np.float32(255), "image 0: is an array of float32; give pixels from 0 to 255 as "
                                  "uint8, as another range cannot be told"),
    (PIXELS[0].astype(np.float64), "of float64"), ([PIXELS[0].astype(np.int64)], "of int64"),
    ([PIXELS[0], PIXELS[1] > 7], "image 1: is an array of bool"),
    (PIXELS[0].transpose(2, 0, 1), r"of the shape \[3, 40, 48\]; pixels are \[H, W\], "),
    (np.zeros([5, 28, 28], np.uint8), r"of the shape \[5, 28, 28\]"),
    (np.zeros([0, 8, 8, 3], np.uint8), r"of the shape \[0, 8, 8, 3\]"),
    (np.zeros([8, 8, 4], np.uint8), "image 0: images have 4 channels, and the network takes 3"),
    (Image.new("CMYK", (8, 8)), r"a PIL image of the mode CMYK; give image.convert\('RGB'\)"),
    (Image.new("F", (8, 8)), "of the mode F"), ([b"GIF89a"], "image 0: is bytes; give a path"),
    ([7], "image 0: is int; give a path, an array of uint8 or a PIL image"),
    ("nowhere", "nowhere: no such file or folder"), ([], "no image to load")],
    ids=lambda value: type(value).__name__)
def test_what_is_refused(images, said):
    with pytest.raises(SlimResnetError, match=said):
        load_images(images, 32)


def test_one_path_where_a_list_is_meant(folder, files, tmp_path):
    assert find_images(str(folder)) == find_images(folder) == files
    assert [batch.names for batch in read_images(files[1], 32)] == [[files[1]]]
    assert [image.path for image in read_displayed(pathlib.Path(files[1]), 32)] == [files[1]]
    with pytest.raises(SlimResnetError, match="named by strings or paths, not by ndarray"):
        find_images([PIXELS[0]])


@pytest.mark.slow
def test_evaluate_takes_one_path(written, tmp_path):
    for label in range(10):
        pictures.write_png(tmp_path / str(label) / "x.png", label)
    one, several = (evaluate(written.path, data, image_size=32)
                    for data in (tmp_path, [str(tmp_path)]))
    assert one.num_images == 10
    np.testing.assert_array_equal(one.confusion, several.confusion)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that wants images of 48 pixels, resized only."""
    folder = tmp_path_factory.mktemp("run")
    written = checkpoints.write(folder / "model.ckpt-7")
    run_folder.write_record(folder, {"image_size": 48, "preprocessing": "none"},
                            list("abcdefghij"), 100, {})
    return written


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_a_run_s_network_has_its_own_size(trained, whole):
    path = pathlib.Path(trained.path).parent if whole else trained.path
    assert settings_of(path)[:2] == (48, Preprocessing("none"))


def test_a_run_s_network_has_its_own_size_and_preparation(trained, files):
    path = pathlib.Path(trained.path).parent
    with Network(path) as network:
        assert network.image_size == 48
        prepared = network.prepare(files[0])
        np.testing.assert_array_equal(prepared, load_images(files[0], 48, "none"))
        features = network.features("block2", prepared)
    reference = pictures.run_with_saver(
        trained, checkpoints.slim_builder(), prepared,
        lambda net, end_points: end_points[f"{SCOPE}/block2"])
    np.testing.assert_allclose(features, reference, rtol=1e-4, atol=1e-4)
    with open_network(path, end_points="block2", optimize=True, precision="float32") as model:
        np.testing.assert_allclose(model.features("block2", prepared), reference, rtol=1e-4,
                                   atol=1e-4 * np.abs(reference).max())
        assert model.end_points[f"{SCOPE}/block2"].shape.as_list() == [
            None, *reference.shape[1:]]


def test_others_have_slim_s(written):
    with Network(written.path) as network:
        assert network.image_size == 299 and network.images.shape.as_list() == [None, 299, 299, 3]


@pytest.mark.parametrize("images, given", [
    (np.zeros([1, 32, 32, 3], np.uint8), r"uint8 \[1, 32, 32, 3\]"),
    (np.zeros([32, 32, 3], np.float32), r"float32 \[32, 32, 3\]"),
    (np.zeros([1, 16, 16, 3], np.float32), r"float32 \[1, 16, 16, 3\]"),
    ("a.png", "str"), ([PIXELS[0]], "list"), (Image.new("RGB", (32, 32)), r"Image|uint8")],
    ids=lambda value: type(value).__name__)
def test_a_network_takes_prepared_images_only(written, images, given):
    """Pixels of uint8 would be cast and fed, from 0 to 255: numbers of another image."""
    with Network(written.path, 32) as network:
        for call in (network.logits, network.probabilities,
                     lambda images: network.features("block1", images)):
            with pytest.raises(SlimResnetError, match=rf"takes prepared images, float32 \[N, 32, "
                               rf"32, 3\], not ({given}); .* network.prepare\(images\)"):
                call(images)
        bad = np.full([1, 32, 32, 3], np.nan, np.float32)
        with pytest.raises(SlimResnetError, match="the images hold NaN"):
            network.logits(bad)


def test_prepared_is_what_both_forms_take(written, expected):
    with Network(written.path, 32) as network, \
            InferenceModel.from_checkpoint(written.path, "float32") as model:
        prepared = network.prepare(PIXELS)
        for one in (network, model):
            np.testing.assert_allclose(one.probabilities(prepared), expected, rtol=1e-4)


def test_sources_keep_the_order():
    kinds = [(type(source).__name__, source.files) for source in sources_of(
        [PIXELS[0], PIXELS[1], np.zeros([4, 4, 3], np.uint8), PIXELS[2]])]
    assert kinds == [("Pixels", ["image 0", "image 1"]), ("Pixels", ["image 2"]),
                     ("Pixels", ["image 3"])]


def test_a_folded_run_takes_no_pixels_that_it_would_scale_in_another_way(trained, written, files):
    pixels = np.zeros([1, 48, 48, 3], np.uint8)
    with InferenceModel.from_checkpoint(trained.path, "float32") as model:
        with pytest.raises(SlimResnetError, match="trained on images prepared as none, and pixels"):
            model(pixels)
    with InferenceModel.from_checkpoint(written.path, "float32") as model:
        np.testing.assert_allclose(model.logits(pixels), model.logits(pixels * 0.0 - 1), rtol=1e-5)
