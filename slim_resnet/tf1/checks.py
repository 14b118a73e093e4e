"""Guards around functions where an old script would silently get wrong numbers."""

import functools
import inspect
import numbers

from slim_resnet.tf1 import names, repairs


def _fraction(value):
    """Returns a number in ``value``, or in a list of it, that is not whole; else None."""
    if isinstance(value, (list, tuple)):
        return next((f for f in map(_fraction, value) if f is not None), None)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral) \
            and value != int(value):
        return value
    return None


def _whole(path, function, parameters):
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        try:
            given = signature.bind_partial(*args, **kwargs).arguments
        except TypeError:  # the function says it better
            given = {}
        for parameter in parameters:
            fraction = _fraction(given.get(parameter))
            if fraction is not None:
                raise TypeError(
                    f"tf.{path}: {parameter} has {fraction!r}, which is not a whole number; "
                    "where Python 2 divided with /, write // (or run with --python2)")
        return function(*args, **kwargs)

    checked.autograph_info__ = {}  # AutoGraph leaves what has this as it is
    return checked


@functools.cache
def _whole_class(path, cls, parameters):
    """Returns a class of the same name that looks at what it is made with."""
    return type(cls)(cls.__name__, (cls,), {
        "__init__": _whole(path, cls.__init__, parameters),
        "__module__": cls.__module__, "__doc__": cls.__doc__})


def _reordered(path, function):
    name = path.rpartition(".")[2]

    @functools.wraps(function)
    def said(*args, **kwargs):
        if len(args) > 2:
            repairs.say(f"{name}: its third argument by position is taken as is_training, as "
                        "since TensorFlow 1.1; TensorFlow 1.0 had global_pool there")
        return function(*args, **kwargs)

    return said


def guard(path: str, value):
    """Returns what user code is given for the value at a path: itself, or a guarded function."""
    if path in names.WHOLE and inspect.isclass(value):
        # One class, whatever module it is taken from.
        return _whole_class(f"nn.rnn_cell.{value.__name__}", value, names.WHOLE[path])
    if path in names.WHOLE:
        return _whole(path, value, names.WHOLE[path])
    if path in names.REORDERED:
        return _reordered(path, value)
    return value
