"""tf_slim's loops and queues in a graph of one's own, and its arg scopes in threads.

Where eager mode is on, ``with tf.Graph().as_default():`` turns it off for one thread. The
threads that tf_slim has TensorFlow start know nothing of that, and fail where they write
summaries or checkpoints. So does a call that is made after the ``with``.
"""

import contextlib
import functools
import inspect
import threading

import tensorflow as tf
from tensorflow.python.training import supervisor

tf1 = tf.compat.v1


class _Coordinator(tf1.train.Coordinator):
    """A coordinator whose looping threads run in a graph."""

    def __init__(self, graph):
        super().__init__()
        self._graph = graph

    @contextlib.contextmanager
    def stop_on_exception(self):
        with super().stop_on_exception(), self._graph.as_default():
            yield


class Supervisor(supervisor.Supervisor):
    """A Supervisor whose threads write their summaries and checkpoints in its graph."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._coord = _Coordinator(self._graph)


def _graph_of(values):
    """Returns the graph of the first of some arguments that is in one, or None."""
    for value in tf.nest.flatten(values):
        graph = value if isinstance(value, tf.Graph) else (
            None if isinstance(value, tf.__internal__.EagerTensor)
            else getattr(value, "graph", None))
        if isinstance(graph, tf.Graph):
            return graph
    return None


def in_its_graph(function):
    """Has a function that is called in eager mode run in the graph of its arguments."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args, **kwargs):
        graph = None
        if tf.executing_eagerly():
            graph = _graph_of(list(signature.bind_partial(*args, **kwargs).arguments.values()))
        with graph.as_default() if graph else contextlib.nullcontext():
            return function(*args, **kwargs)

    return run


def queue_runners(manager):
    """Has ``slim.queues.QueueRunners`` start the queues of the session's own graph."""
    @functools.wraps(manager)
    @contextlib.contextmanager
    def run(session):
        with contextlib.ExitStack() as stack:
            with session.graph.as_default():
                stack.enter_context(manager(session))
            yield

    return run


def arg_stack_of_each_thread(stack):
    """Returns what to put in place of tf_slim's one stack of arg scopes.

    Args:
      stack: The stack so far, which stays the calling thread's. Other threads begin with
        an empty one.

    Returns:
      A function without arguments.
    """
    own = threading.local()
    own.stack = stack

    def get():
        if not getattr(own, "stack", None):
            own.stack = [{}]
        return own.stack

    return get
