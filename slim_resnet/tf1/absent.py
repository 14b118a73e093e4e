"""Names that nobody ships any more: they can be imported, and fail when they are used."""


class AbsentError(AttributeError, NotImplementedError):
    """A TensorFlow 1 name was used that has gone; its text is one line."""


class Absent:
    """Stands where a name has gone; its attributes are such objects too.

    Args:
      name: Its full name, as ``tensorflow.contrib.crf``.
      instead: What does its work today, if anything.
    """

    def __init__(self, name: str, instead: str = ""):
        self.__dict__.update(__name__=name, _instead=instead)

    def _fail(self, *_, **__):
        instead = f"; {self._instead} stands in for it" if self._instead else \
            "; nothing stands in for it"
        raise AbsentError(f"{self.__name__}: TensorFlow 1 alone had it{instead}")

    __call__ = __mro_entries__ = __instancecheck__ = __subclasscheck__ = _fail
    __iter__ = __len__ = __getitem__ = __enter__ = __exit__ = __bool__ = _fail

    def __getattr__(self, name):
        # Dunder names are asked for by Python itself, as by copy and inspect.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"{self.__name__} has no attribute {name!r}")
        return Absent(f"{self.__name__}.{name}", self._instead)

    def __setattr__(self, name, value):
        self._fail()

    def __repr__(self):
        return f"<{self.__name__}, which TensorFlow 1 alone had>"
