"""research/slim's preparations against numpy."""

import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.images import reading
from slim_resnet.tf1.research.preprocessing import (
    cifarnet_preprocessing,
    inception_preprocessing,
    lenet_preprocessing,
    preprocessing_factory,
    vgg_preprocessing,
)

tf1 = tf.compat.v1
MEANS = np.array([123.68, 116.78, 103.94], np.float32)


def image_of(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def run(prepare, image, times=1, summaries=None):
    """Builds ``prepare(image)`` in a graph and runs it a few times."""
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(1)
        placeholder = tf1.placeholder(image.dtype, [None, None, 3])
        prepared = prepare(placeholder)
        if summaries is not None:
            summaries += [tensor.op.name for tensor in
                          tf1.get_collection(tf1.GraphKeys.SUMMARIES)]
        return [session.run(prepared, {placeholder: image}) for _ in range(times)]


def test_vgg_for_evaluation_is_the_centre_less_the_mean():
    image = image_of(300, 256)
    (actual,) = run(lambda image: vgg_preprocessing.preprocess_image(image, 224, 224), image)
    np.testing.assert_allclose(actual, image[38:262, 16:240] - MEANS, atol=1e-4)


def test_vgg_for_training_is_a_window_of_the_image_or_its_mirror():
    image = image_of(12, 10)
    results = run(lambda image: vgg_preprocessing.preprocess_image(
        image, 8, 8, is_training=True, resize_side_min=10, resize_side_max=10), image, times=40)
    windows = {(top, left, step): image[top:top + 8, left:left + 8][:, ::step] - MEANS
               for top in range(5) for left in range(3) for step in (1, -1)}
    found = set()
    for result in results:
        fitting = [key for key, window in windows.items()
                   if np.allclose(result, window, atol=1e-4)]
        assert len(fitting) == 1
        found.update(fitting)
    assert {key[2] for key in found} == {1, -1}
    assert {key[0] for key in found} == set(range(5))
    assert {key[1] for key in found} == set(range(3))


def test_vgg_for_training_draws_the_side():
    image = np.full((20, 20, 3), 7, np.uint8)
    image[:, 10:] = 100
    results = run(lambda image: vgg_preprocessing.preprocess_for_train(
        image, 16, 16, resize_side_min=20, resize_side_max=60), image, times=10)
    # The wider the edge between the halves, the larger the side was.
    edges = [int(np.sum((result[0, :, 0] > 7.5 - MEANS[0]) & (result[0, :, 0] < 99 - MEANS[0])))
             for result in results]
    assert len(set(edges)) > 1


def test_vgg_in_grey_is_refused_as_in_research_slim():
    with pytest.raises(ValueError, match="means.*use_grayscale"):
        vgg_preprocessing.preprocess_image(tf.zeros([300, 300, 3]), 224, 224, use_grayscale=True)


@pytest.mark.parametrize("seed, size", [(0, (40, 56)), (1, (200, 160))])
def test_inception_for_evaluation_is_the_main_packages(seed, size):
    image = image_of(*size, seed)
    (actual,) = run(lambda image: inception_preprocessing.preprocess_image(image, 29, 29), image)
    np.testing.assert_array_equal(actual, reading.preprocess(image, 29))


def test_inception_for_evaluation_without_crop_or_resizing():
    image = image_of(6, 5)
    (actual,) = run(lambda image: inception_preprocessing.preprocess_for_eval(
        image, None, None, central_crop=False), image)
    np.testing.assert_allclose(actual, image / 127.5 - 1, atol=1e-6)
    floats = (image / 255).astype(np.float32)
    (actual,) = run(lambda image: inception_preprocessing.preprocess_for_eval(
        image, 0, 0, central_fraction=None), floats)
    np.testing.assert_allclose(actual, floats * 2 - 1, atol=1e-6)


def test_inception_for_training_scales_brightness_and_saturation_only():
    # On a grey image saturation does nothing: what is left is a brightness of up to 32 / 255.
    image = np.full((30, 40, 3), 128, np.uint8)
    results = run(lambda image: inception_preprocessing.preprocess_image(
        image, 8, 9, is_training=True), image, times=30)
    shifts = [np.unique((result / 2 + 0.5).round(5)) for result in results]
    assert all(result.shape == (8, 9, 3) and shift.size == 1
               for result, shift in zip(results, shifts))
    shifts = np.concatenate(shifts) - 128 / 255
    assert np.abs(shifts).max() <= 32 / 255 + 1e-5
    assert shifts.min() < -0.03 and shifts.max() > 0.03


def test_inception_for_training_without_crop_is_the_whole_image_or_its_mirror():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, :4] = 100
    results = run(lambda image: inception_preprocessing.preprocess_for_train(
        image, 8, 8, None, random_crop=False), image, times=30)
    sides = [result[0, 0, 0] > result[0, -1, 0] for result in results]
    assert 0 < sum(sides) < len(sides)
    assert all(len(np.unique(result[:, :4].round(5))) == 1 for result in results)


def test_inception_crops_are_within_the_published_bounds():
    rows, columns = np.mgrid[0:60, 0:80]
    image = np.stack([rows, columns, rows], axis=-1).astype(np.uint8)
    crops = run(lambda image: inception_preprocessing.distorted_bounding_box_crop(
        image, tf.constant([[[0.0, 0.0, 1.0, 1.0]]]))[0], image, times=60)
    heights, widths = np.array([crop.shape[:2] for crop in crops], float).T
    assert np.all((widths / heights > 0.75 - 0.1) & (widths / heights < 1.33 + 0.1))
    # min_object_covered of 0.1 is the stricter bound where the object is the image.
    assert np.all(heights * widths >= 0.09 * 4800)
    assert len(set(heights)) > 5
    for crop in crops:
        assert np.all(np.diff(crop[:, 0, 0].astype(int)) == 1)


@pytest.mark.parametrize("fast, order, letters", [
    (True, 0, "bs"), (True, 1, "sb"), (True, 3, "sb"), (False, 0, "bshc"), (False, 1, "sbch"),
    (False, 2, "chbs"), (False, 3, "hscb"),
])
def test_inception_distorts_colours_in_the_published_orders(fast, order, letters, monkeypatch):
    called = []
    for letter, name, arguments in (
            ("b", "random_brightness", (32 / 255,)), ("s", "random_saturation", (0.5, 1.5)),
            ("h", "random_hue", (0.2,)), ("c", "random_contrast", (0.5, 1.5))):
        monkeypatch.setattr(
            tf.image, name, lambda image, *given, letter=letter, arguments=arguments:
            (called.append(letter), np.testing.assert_allclose(given, arguments), image)[2])
    image = tf.constant([[[-1.0, 0.5, 2.0]]])
    distorted = inception_preprocessing.distort_color(image, order, fast)
    assert "".join(called) == letters
    np.testing.assert_array_equal(distorted, [[[0.0, 0.5, 1.0]]])


def test_inception_has_four_orders():
    with pytest.raises(ValueError, match="color_ordering"):
        inception_preprocessing.distort_color(tf.zeros([1, 1, 3]), 4, fast_mode=False)


def test_inception_draws_one_of_the_cases():
    results = run(lambda image: inception_preprocessing.apply_with_random_selector(
        image, lambda x, case: tf.cast(x, tf.float32) * 0 + case, 4), image_of(1, 1), times=40)
    assert {float(result.max()) for result in results} == {0, 1, 2, 3}


def test_inception_without_fast_mode_keeps_size_and_range():
    for result in run(lambda image: inception_preprocessing.preprocess_image(
            image, 9, 7, is_training=True, fast_mode=False), image_of(30, 40), times=12):
        assert result.shape == (9, 7, 3)
        assert result.min() >= -1 and result.max() <= 1


def test_inception_adds_the_published_summaries():
    tags = ["image_with_bounding_boxes", "images_with_distorted_bounding_box",
            "cropped_resized_image", "final_distorted_image"]
    for wanted in (True, False):
        summaries = []
        run(lambda image, wanted=wanted: inception_preprocessing.preprocess_image(
            image, 9, 9, is_training=True, add_image_summaries=wanted), image_of(20, 20),
            summaries=summaries)
        assert [name.split("/")[-1] for name in summaries] == (tags if wanted else [])


def test_cifarnet_for_evaluation_is_standardised():
    image = image_of(32, 32)
    (actual,) = run(lambda image: cifarnet_preprocessing.preprocess_image(image, 24, 24), image)
    window = image[4:28, 4:28].astype(np.float64)
    np.testing.assert_allclose(actual, (window - window.mean()) / window.std(), atol=1e-4)


def test_cifarnet_for_training_varies_windows():
    results = run(lambda image: cifarnet_preprocessing.preprocess_image(
        image, 32, 32, is_training=True), image_of(32, 32), times=3)
    for result in results:
        assert result.shape == (32, 32, 3)
        np.testing.assert_allclose([result.mean(), result.std()], [0, 1], atol=1e-4)
    assert not np.allclose(results[0], results[1])


def test_lenet():
    image = image_of(28, 28)
    (actual,) = run(lambda image: lenet_preprocessing.preprocess_image(image, 28, 28, False),
                    image)
    np.testing.assert_array_equal(actual, (image.astype(np.float32) - 128) / 128)
    (grey,) = run(lambda image: lenet_preprocessing.preprocess_image(
        image, 30, 30, True, use_grayscale=True), image)
    assert grey.shape == (30, 30, 1)
    np.testing.assert_array_equal(grey[0], np.full((30, 1), -1))
    luma = image.astype(np.float64) @ [0.2989, 0.587, 0.114]
    np.testing.assert_allclose(grey[1:29, 1:29, 0], (luma - 128) / 128, atol=1e-5)


@pytest.mark.parametrize("name, module", [
    ("inception_v3", inception_preprocessing), ("inception", inception_preprocessing),
    ("resnet_v1_50", vgg_preprocessing), ("resnet_v2_152", vgg_preprocessing),
    ("vgg_16", vgg_preprocessing), ("vgg", vgg_preprocessing),
    ("mobilenet_v1", inception_preprocessing), ("cifarnet", cifarnet_preprocessing),
    ("lenet", lenet_preprocessing),
])
@pytest.mark.parametrize("is_training", [True, False])
def test_the_factory_chooses_by_name(name, module, is_training, monkeypatch):
    monkeypatch.setattr(module, "preprocess_image", lambda *args, **kwargs: (args, kwargs))
    prepare = preprocessing_factory.get_preprocessing(name, is_training)
    assert prepare("image", 3, 4, more=5) == (
        ("image", 3, 4), {"is_training": is_training, "more": 5})


def test_the_factory_says_an_unknown_name():
    with pytest.raises(ValueError, match=r"\[resnet_v3_50\]"):
        preprocessing_factory.get_preprocessing("resnet_v3_50")
