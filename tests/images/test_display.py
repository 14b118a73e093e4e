import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.images import preparation, reading, settings
from slim_resnet.images.display import read_displayed
from tests.helpers import pictures


def write(path, array):
    path.write_bytes(tf.io.encode_png(array).numpy())
    return str(path)


@pytest.mark.parametrize("preprocessing", settings.PREPROCESSING)
def test_what_the_network_is_given_is_what_images_prepare(tmp_path, preprocessing):
    paths = [pictures.write_png(tmp_path / f"{i}.png", i) for i in range(3)]
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:90])
    images = list(read_displayed(paths, 32, preprocessing))
    assert [image.path for image in images] == paths
    assert images[1].prepared is images[1].shown is None
    assert images[1].cause.startswith("Invalid PNG data")
    for image, i in ((images[0], 0), (images[2], 2)):
        np.testing.assert_array_equal(image.prepared,
                                      reading.load_images([image.path], 32, preprocessing)[0])
        np.testing.assert_array_equal(image.shown, pictures.picture(i))
        assert image.cause is None


@pytest.mark.parametrize("height, width, shown", [
    (40, 41, (40, 41)), (960, 480, (480, 240)), (300, 1000, (144, 480)), (1, 1000, (1, 480)),
    (5, 5, (5, 5))])
def test_what_is_shown_and_seen(tmp_path, height, width, shown):
    y, x = np.mgrid[:height, :width]
    path = write(tmp_path / "a.png", np.stack([y % 256, x % 256, 0 * x], -1).astype(np.uint8))
    image, = read_displayed([path], 32)
    assert image.shown.shape == (*shown, 3)
    # The first pixel that TensorFlow's crop keeps, read off the pixels themselves.
    kept = tf.image.central_crop(tf.stack([y, x], -1), preparation.CENTRAL_FRACTION).numpy()
    left, top, right, bottom = image.cropped
    assert (top * height, left * width) == pytest.approx(tuple(kept[0, 0]))
    assert (bottom * height - 1, right * width - 1) == pytest.approx(tuple(kept[-1, -1]))
    assert next(read_displayed([path], 32, "none")).cropped == (0, 0, 1, 1)
