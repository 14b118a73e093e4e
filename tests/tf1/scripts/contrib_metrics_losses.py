import tensorflow as tf

accuracy, update = tf.contrib.metrics.streaming_accuracy(
    tf.constant([1, 2, 3, 4]), tf.constant([1, 2, 0, 0]))
matrix = tf.contrib.metrics.confusion_matrix(tf.constant([0, 1]), tf.constant([0, 0]))
loss = tf.contrib.losses.sigmoid_cross_entropy(tf.zeros([1, 1]), tf.ones([1, 1]))
total = tf.contrib.losses.get_total_loss()
with tf.Session() as sess:
    sess.run(tf.local_variables_initializer())
    sess.run(update)
    assert sess.run(accuracy) == 0.5
    assert sess.run(matrix).tolist() == [[1, 1], [0, 0]] or \
        sess.run(matrix).tolist() == [[1, 0], [1, 0]]
    assert abs(sess.run(total) - 0.6931472) < 1e-6
