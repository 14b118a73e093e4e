"""``tf.contrib.training.HParams``: hyperparameters as attributes, each of a fixed type."""

import json
import re

_ASSIGNMENT = re.compile(r"""
    \s*(?P<name>\w[\w.]*)                 # a name
    (?:\[(?P<index>\d+)\])?\s*=\s*        # of an element, perhaps
    (?:\[(?P<list>[^\]]*)\]|(?P<value>[^,\[]*))  # a list or one value
    \s*(?:,|$)""", re.VERBOSE)


def _read(name, kind, text):
    """Returns the value of a type that a text stands for."""
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
        return kind(text.strip())
    except (KeyError, ValueError):
        raise ValueError(f"HParams: {name} is of type {kind.__name__}; {text!r} is none") from None


def _cast(name, kind, value):
    """Returns ``value`` as the type of the hyperparameter, where nothing is lost by it."""
    if value is None or kind is type(None):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise ValueError(f"HParams: {name} is of type {kind.__name__}, and {value!r} is not")
    return value


def parse_values(values: str, type_map: dict) -> dict:
    """Reads ``name=value,other=[1,2],other[0]=3`` as values of the given types.

    Args:
      values: The text.
      type_map: Type of each name, of an element for a list.

    Returns:
      A dict; a list's element under an index is a dict ``{index: value}``.

    Raises:
      ValueError: If the text is no such list, or a name unknown or given twice.
    """
    results, position = {}, 0
    while position < len(values):
        match = _ASSIGNMENT.match(values, position)
        if match is None:
            raise ValueError(f"HParams: cannot read {values[position:]!r}")
        position = match.end()
        name = match["name"]
        if name not in type_map:
            raise ValueError(f"HParams: unknown hyperparameter {name!r}")
        kind = type_map[name]
        if match["list"] is not None:
            if match["index"] is not None:
                raise ValueError(f"HParams: {name}[{match['index']}] takes one value, not a list")
            value = [_read(name, kind, item) for item in match["list"].split(",") if item.strip()]
        else:
            value = _read(name, kind, match["value"])
        if match["index"] is not None:
            elements = results.setdefault(name, {})
            if not isinstance(elements, dict) or int(match["index"]) in elements:
                raise ValueError(f"HParams: {name} is given twice")
            elements[int(match["index"])] = value
        elif name in results:
            raise ValueError(f"HParams: {name} is given twice")
        else:
            results[name] = value
    return results


class HParams:
    """A set of hyperparameters; the first value of each fixes its type.

    Args:
      hparam_def: Not supported: a protocol buffer that TensorFlow 1 alone had.
      **kwargs: Names and values.
    """

    def __init__(self, hparam_def=None, model_structure=None, **kwargs):
        if hparam_def is not None:
            raise NotImplementedError("HParams: hparam_def is a protocol buffer that TensorFlow 1 "
                                      "alone had; give names and values")
        self._hparam_types = {}
        self._model_structure = model_structure
        for name, value in kwargs.items():
            self.add_hparam(name, value)

    def add_hparam(self, name, value):
        """Adds one; a list's or tuple's elements share the type of the first."""
        if getattr(self, name, None) is not None:
            raise ValueError(f"HParams: {name} is there already")
        if isinstance(value, (list, tuple)):
            if not value:
                raise ValueError(f"HParams: {name} must not be an empty list")
            self._hparam_types[name] = (type(value[0]), True)
        else:
            self._hparam_types[name] = (type(value), False)
        setattr(self, name, value)

    def set_hparam(self, name, value):
        """Sets one that is there to a value of its type."""
        kind, is_list = self._hparam_types[name]
        if isinstance(value, (list, tuple)) != is_list:
            raise ValueError(f"HParams: {name} is {'a list' if is_list else 'one value'}")
        setattr(self, name, [_cast(name, kind, v) for v in value] if is_list
                else _cast(name, kind, value))

    def del_hparam(self, name):
        """Takes one out, if it is there."""
        if name in self._hparam_types:
            delattr(self, name)
            del self._hparam_types[name]

    def parse(self, values):
        """Sets from text, see `parse_values`; single elements of a list cannot be set."""
        kinds = {name: kind for name, (kind, _) in self._hparam_types.items()}
        return self.override_from_dict(parse_values(values, kinds))

    def override_from_dict(self, values_dict):
        """Sets several."""
        for name, value in values_dict.items():
            self.set_hparam(name, value)
        return self

    def set_from_map(self, values_map):
        """The older name of `override_from_dict`."""
        return self.override_from_dict(values_map)

    def parse_json(self, values_json):
        """Sets from a JSON object."""
        return self.override_from_dict(json.loads(values_json))

    def to_json(self, indent=None, separators=None, sort_keys=False):
        """Returns a JSON object's text; callables are left out."""
        return json.dumps({name: value for name, value in self.values().items()
                           if not callable(value)},
                          indent=indent, separators=separators, sort_keys=sort_keys)

    def values(self):
        """Returns a dict of all."""
        return {name: getattr(self, name) for name in self._hparam_types}

    def get(self, key, default=None):
        """Returns one, or ``default``, which must be of its type."""
        if key not in self._hparam_types:
            return default
        kind, is_list = self._hparam_types[key]
        if default is not None:
            _cast(key, kind, default if not is_list else default[0])
        return getattr(self, key)

    def get_model_structure(self):
        return self._model_structure

    def set_model_structure(self, model_structure):
        self._model_structure = model_structure

    def __contains__(self, key):
        return key in self._hparam_types

    def __str__(self):
        return str(sorted(self.values().items()))

    def __repr__(self):
        return f"HParams({self})"
