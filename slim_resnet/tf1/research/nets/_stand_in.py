"""Gives tf_slim's networks the arguments that research/slim's files have."""

import functools
import inspect
import typing

import tensorflow as tf

from slim_resnet.compat import slim as _mended  # noqa: F401

tf1 = tf.compat.v1


def stand_in(function: typing.Callable, **lacking) -> typing.Callable:
    """Returns one of tf_slim's networks with research/slim's arguments.

    Args:
      function: A network of ``tf_slim.nets``.
      **lacking: Arguments that research/slim's has and tf_slim's lacks, and their
        defaults. They are accepted at their defaults only.

    Returns:
      A function that takes ``reuse`` too, and raises ``ValueError`` where tf_slim would
      build another network than research/slim.
    """
    parameters = list(inspect.signature(function).parameters)
    reuses = "reuse" in parameters

    def refuse(what):
        raise ValueError(
            f"tf_slim's {function.__name__}, which stands in for research/slim's, has no {what}; "
            "put research/slim's folder nets beside the script")

    @functools.wraps(function)
    def build(*args, **kwargs):
        if not reuses and len(args) > parameters.index("scope"):
            # Versions of research/slim have reuse before scope, others do not.
            raise TypeError(f"{function.__name__}: give the arguments from number "
                            f"{parameters.index('scope') + 1} on by keyword")
        for name, default in lacking.items():
            if kwargs.get(name, default) != default:
                refuse(f"{name}={kwargs[name]!r}")
            kwargs.pop(name, None)
        num_classes = kwargs.get("num_classes", args[1] if len(args) > 1 else 1)
        if not num_classes:
            refuse(f"num_classes={num_classes!r}, which leaves out the logits")
        reuse = None if reuses else kwargs.pop("reuse", None)
        with tf1.variable_scope(tf1.get_variable_scope(), reuse=reuse, auxiliary_name_scope=False):
            return function(*args, **kwargs)

    return build
