import gzip
import os
import struct
import tempfile

from tensorflow.examples.tutorials.mnist import input_data

with tempfile.TemporaryDirectory() as folder:
    for prefix, count in (("train", 6), ("t10k", 2)):
        with gzip.open(os.path.join(folder, prefix + "-images-idx3-ubyte.gz"), "wb") as file:
            file.write(struct.pack(">4i", 2051, count, 28, 28) + bytes(784 * count - 1) + b"\xff")
        with gzip.open(os.path.join(folder, prefix + "-labels-idx1-ubyte.gz"), "wb") as file:
            file.write(struct.pack(">2i", 2049, count) + bytes(range(count)))
    mnist = input_data.read_data_sets(folder, one_hot=True, validation_size=2)
    assert mnist.train.num_examples == 4 and mnist.validation.labels.tolist()[1][1] == 1
    assert mnist.test.images.shape == (2, 784) and mnist.test.images[1, 783] == 1.0
    images, labels = mnist.train.next_batch(4)
    assert sorted(labels.argmax(1)) == [2, 3, 4, 5] and mnist.train.epochs_completed == 0
    assert mnist.train.next_batch(2)[0].shape == (2, 784) and mnist.train.epochs_completed == 1
    os.remove(os.path.join(folder, "t10k-labels-idx1-ubyte.gz"))
    try:
        input_data.read_data_sets(folder)
    except Exception as error:
        assert "t10k-labels-idx1-ubyte.gz: no such file" in str(error)
    else:
        raise AssertionError
