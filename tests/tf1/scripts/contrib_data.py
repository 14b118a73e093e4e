import tensorflow as tf

data = tf.contrib.data
numbers = tf.data.Dataset.range(7)


def values(dataset):
    element = dataset.make_one_shot_iterator().get_next()
    results = []
    with tf.Session() as sess:
        while True:
            try:
                results.append(sess.run(element).tolist())
            except tf.errors.OutOfRangeError:
                return results


assert values(numbers.apply(data.batch_and_drop_remainder(3))) == [[0, 1, 2], [3, 4, 5]]
assert values(numbers.apply(data.sliding_window_batch(3, stride=2))) == [
    [0, 1, 2], [2, 3, 4], [4, 5, 6]]
assert values(numbers.apply(data.map_and_batch(lambda x: x * 2, 4))) == [
    [0, 2, 4, 6], [8, 10, 12]]
assert len(values(numbers.apply(data.shuffle_and_repeat(7, 2)))) == 14
assert values(tf.data.Dataset.range(3).map(lambda n: tf.ones([n + 1], tf.int64)).apply(
    data.padded_batch_and_drop_remainder(2, [None]))) == [[[1, 0], [1, 1]]]
