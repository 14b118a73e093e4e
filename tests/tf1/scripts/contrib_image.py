import numpy as np
import tensorflow as tf

image = tf.contrib.image
picture = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
right = image.translate(picture, [1, 0])
turned = image.rotate(tf.constant(picture), np.pi / 2)  # counterclockwise
both = image.transform(picture, image.compose_transforms(
    image.translations_to_projective_transforms([1., 0.]),
    image.angles_to_projective_transforms(np.pi / 2, 3, 3)))
half = image.translate(picture[None, :, :, None], [[0.5, 0.]], interpolation="BILINEAR")
matrix = image.flat_transforms_to_matrices([1., 2, 3, 4, 5, 6, 7, 8])
with tf.Session() as sess:
    assert sess.run(right).tolist() == [[0, 1, 2], [0, 4, 5], [0, 7, 8]]
    assert sess.run(turned).tolist() == [[3, 6, 9], [2, 5, 8], [1, 4, 7]]
    assert sess.run(both).tolist() == [[2, 5, 8], [1, 4, 7], [0, 0, 0]]
    assert sess.run(half)[0, 0, :, 0].tolist() == [0.5, 1.5, 2.5]
    assert sess.run(matrix).tolist() == [[[1, 2, 3], [4, 5, 6], [7, 8, 1]]]
    assert sess.run(image.matrices_to_flat_transforms(matrix)).tolist() == [
        [1, 2, 3, 4, 5, 6, 7, 8]]
