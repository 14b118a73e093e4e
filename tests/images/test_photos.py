import numpy as np
import pytest
import tensorflow as tf

from slim_resnet.images import reading
from slim_resnet.images.photos import read_photos
from tests.helpers import pictures


def write(path, array):
    path.write_bytes(tf.io.encode_png(array).numpy())
    return str(path)


@pytest.mark.parametrize("preprocessing", reading.PREPROCESSING)
def test_what_the_network_is_given_is_what_images_prepare(tmp_path, preprocessing):
    paths = [pictures.write_png(tmp_path / f"{i}.png", i) for i in range(3)]
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:90])
    photos = list(read_photos(paths, 32, preprocessing))
    assert [photo.path for photo in photos] == paths
    assert photos[1].prepared is photos[1].shown is None
    assert photos[1].cause.startswith("Invalid PNG data")
    for photo, i in ((photos[0], 0), (photos[2], 2)):
        np.testing.assert_array_equal(photo.prepared,
                                      reading.load_images([photo.path], 32, preprocessing)[0])
        np.testing.assert_array_equal(photo.shown, pictures.picture(i))
        assert photo.cause is None


@pytest.mark.parametrize("height, width, shown", [
    (40, 41, (40, 41)), (960, 480, (480, 240)), (300, 1000, (144, 480)), (1, 1000, (1, 480)),
    (5, 5, (5, 5))])
def test_what_is_shown_and_seen(tmp_path, height, width, shown):
    y, x = np.mgrid[:height, :width]
    path = write(tmp_path / "a.png", np.stack([y % 256, x % 256, 0 * x], -1).astype(np.uint8))
    photo, = read_photos([path], 32)
    assert photo.shown.shape == (*shown, 3)
    # The first pixel that TensorFlow's crop keeps, read off the pixels themselves.
    kept = tf.image.central_crop(tf.stack([y, x], -1), reading.CENTRAL_FRACTION).numpy()
    left, top, right, bottom = photo.cropped
    assert (top * height, left * width) == pytest.approx(tuple(kept[0, 0]))
    assert (bottom * height - 1, right * width - 1) == pytest.approx(tuple(kept[-1, -1]))
    assert next(read_photos([path], 32, "none")).cropped == (0, 0, 1, 1)
