"""Functions that Python, or Python 2, had."""

import collections
import inspect
import pathlib
import sys
import time

clock = time.process_time
STRING_TYPES = (str,)

ArgSpec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")


def getargspec(func):
    """Returns ``(args, varargs, keywords, defaults)``; ``ValueError`` where that is not all."""
    spec = inspect.getfullargspec(func)
    if spec.kwonlyargs or spec.annotations:
        raise ValueError("the function has keyword-only arguments or annotations; "
                         "inspect.signature shows them")
    return ArgSpec(*spec[:4])


def cmp(a, b):
    """Returns -1, 0 or 1 as ``a`` is less than, equal to or greater than ``b``."""
    return (a > b) - (a < b)


def maketrans(old, new):
    return str.maketrans(old, new)


def join(words, sep=" "):
    return sep.join(words)


def setdefaultencoding(name):
    """Does nothing: Python 3's strings have no such encoding."""


def execfile(filename, globals=None, locals=None):
    """Runs a file in the caller's names."""
    from slim_resnet.tf1 import imports
    caller = sys._getframe(1)
    globals = caller.f_globals if globals is None else globals
    globals.setdefault("__builtins__", imports.user_builtins())
    exec(imports.compile_user(pathlib.Path(filename).read_bytes(), filename), globals,
         globals if locals is None else locals)
