"""Modules seen through names of our own, which is how tf_slim's imports are mended."""

import functools
import inspect
import types


class Overlay(types.ModuleType):
    """A module seen through a few names of our own.

    Args:
      module: The module whose attributes show through.
      wrap: Called as ``wrap(value)`` on every attribute that shows through.
      **names: Attributes that hide the module's.
    """

    def __init__(self, module, wrap=lambda value: value, **names):
        super().__init__(module.__name__, module.__doc__)
        self.__dict__.update(names, _module=module, _wrap=wrap)

    def __getattr__(self, name):
        return self._wrap(getattr(self._module, name))


def call_not_apply(value):
    """Wraps a Keras layer class so that ``apply`` calls the layer unwarned."""
    if not inspect.isclass(value):
        return value

    @functools.wraps(value, updated=())
    def make_layer(*args, **kwargs):
        layer = value(*args, **kwargs)
        layer.apply = layer.__call__
        return layer

    return make_layer
