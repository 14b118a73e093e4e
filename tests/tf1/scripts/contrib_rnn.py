import tensorflow as tf
from tensorflow.contrib import rnn
from tensorflow.python.ops import rnn_cell

assert rnn.BasicLSTMCell is rnn_cell.BasicLSTMCell is tf.nn.rnn_cell.BasicLSTMCell
outputs, state = tf.nn.dynamic_rnn(rnn.MultiRNNCell([rnn.GRUCell(3), rnn.LSTMCell(2)]),
                                   tf.zeros([4, 5, 6]), dtype=tf.float32)
assert outputs.shape.as_list() == [4, 5, 2]
stacked, forward, backward = rnn.stack_bidirectional_dynamic_rnn(
    [rnn.GRUCell(2)], [rnn.GRUCell(3)], tf.zeros([4, 5, 6]), dtype=tf.float32)
assert stacked.shape.as_list() == [4, 5, 5] and len(forward) == len(backward) == 1
static, _ = rnn.static_rnn(rnn.BasicRNNCell(2), [tf.zeros([1, 2])] * 3, dtype=tf.float32)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    assert (sess.run(static[-1]) == 0).all() and (sess.run(outputs) == 0).all()
