"""``tf.contrib.rnn``: what is not in ``tf.nn.rnn_cell``."""

import tensorflow as tf

tf1 = tf.compat.v1
static_rnn = tf1.nn.static_rnn
static_bidirectional_rnn = tf1.nn.static_bidirectional_rnn
static_state_saving_rnn = tf1.nn.static_state_saving_rnn


def stack_bidirectional_dynamic_rnn(cells_fw, cells_bw, inputs, initial_states_fw=None,
                                    initial_states_bw=None, dtype=None, sequence_length=None,
                                    parallel_iterations=None, time_major=False, scope=None,
                                    swap_memory=False):
    """Stacks bidirectional layers: each sees the outputs of both directions of the one below.

    Returns:
      The last layer's outputs, concatenated, and the states of both directions, a layer each.
    """
    if not cells_fw or len(cells_fw) != len(cells_bw):
        raise ValueError("stack_bidirectional_dynamic_rnn: as many cells forward as backward, "
                         "at least one")
    forward, backward, outputs = [], [], inputs
    with tf1.variable_scope(scope or "stack_bidirectional_rnn"):
        for i, (cell_fw, cell_bw) in enumerate(zip(cells_fw, cells_bw, strict=True)):
            with tf1.variable_scope(f"cell_{i}"):
                outputs, (state_fw, state_bw) = tf1.nn.bidirectional_dynamic_rnn(
                    cell_fw, cell_bw, outputs,
                    initial_state_fw=initial_states_fw[i] if initial_states_fw else None,
                    initial_state_bw=initial_states_bw[i] if initial_states_bw else None,
                    sequence_length=sequence_length, parallel_iterations=parallel_iterations,
                    dtype=dtype, swap_memory=swap_memory, time_major=time_major)
                outputs = tf.concat(outputs, 2)
            forward.append(state_fw)
            backward.append(state_bw)
    return outputs, tuple(forward), tuple(backward)


def transpose_batch_time(x):
    """Swaps the first two dimensions."""
    x = tf.convert_to_tensor(x)
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])


def _linear(args, output_size, bias, bias_initializer=None, kernel_initializer=None):
    """Returns ``concat(args, 1) @ kernel + bias``, both variables of the current scope."""
    args = args if isinstance(args, (list, tuple)) else [args]
    inputs = args[0] if len(args) == 1 else tf.concat(args, 1)
    kernel = tf1.get_variable("kernel", [inputs.shape.as_list()[1], output_size], inputs.dtype,
                              initializer=kernel_initializer)
    outputs = tf.matmul(inputs, kernel)
    if not bias:
        return outputs
    return tf.nn.bias_add(outputs, tf1.get_variable(
        "bias", [output_size], inputs.dtype,
        initializer=bias_initializer or tf1.zeros_initializer()))
