import os
import tempfile

import numpy as np
from scipy.misc import imread, imresize, imsave

picture = np.zeros([4, 6, 3], np.uint8)
picture[:2] = 200
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "a.png")
    imsave(path, picture)
    assert (imread(path) == picture).all()
    assert imread(path, mode="L").shape == (4, 6)
small = imresize(picture, (2, 3), interp="nearest")
assert small.shape == (2, 3, 3) and small[0, 0, 0] == 200 and small[1, 0, 0] == 0
assert imresize(picture, 0.5).shape == imresize(picture, 50).shape == (2, 3, 3)
# Numbers that are no bytes are spread from their least to 0 and their greatest to 255.
assert imresize(np.array([[0.0, 1.0]]), (1, 2), "nearest").tolist() == [[0, 255]]
