"""Running a script or a module as ``python`` does, with TensorFlow 1 for its TensorFlow."""

import atexit
import os
import pathlib
import signal
import sys
import traceback
import types

from slim_resnet.errors import SlimResnetError
from slim_resnet.tf1 import children, imports, mains, python2, repairs

_OURS = str(pathlib.Path(__file__).parent)
_interrupted = False


def _is_machinery(filename):
    if filename.startswith("<frozen "):
        return True
    return filename.startswith(_OURS + os.sep) and "research" not in filename[len(_OURS):]


def _without_machinery(trace):
    """Returns a traceback without the frames of Python's importing and of this package."""
    kept = []
    while trace is not None:
        if not _is_machinery(trace.tb_frame.f_code.co_filename):
            kept.append(trace)
        trace = trace.tb_next
    cleaned = None
    for entry in reversed(kept):
        cleaned = types.TracebackType(cleaned, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return cleaned


def _clean(error, seen):
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    error.__traceback__ = _without_machinery(error.__traceback__)
    _clean(error.__cause__, seen)
    _clean(error.__context__, seen)


def _as_one_line(error):
    """Returns the one line that says all about an error, where one does; else None."""
    if isinstance(error, SyntaxError) and not python2.enabled() and python2.is_python2(error):
        return f"{error.filename}, line {error.lineno}: this is Python 2; add --python2"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if isinstance(error, SlimResnetError) and trace is not None \
            and _is_machinery(trace.tb_frame.f_code.co_filename):
        return str(error)
    return None


def _die_of_sigint():
    if _interrupted:
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def _fail(error):
    """Shows a user's uncaught error as Python shows it, and leaves with Python's status."""
    global _interrupted
    line = _as_one_line(error)
    if line is not None:
        raise SlimResnetError(line) from None
    _clean(error, set())
    trace = error.__traceback__
    # Above the user's first frame stands what called us.
    while trace is not None and getattr(trace.tb_frame, "f_builtins", {}).get(
            "__import__") is not imports.user_import:
        trace = trace.tb_next
    error.__traceback__ = trace
    if sys.excepthook is sys.__excepthook__:
        traceback.print_exception(type(error), error, trace)
    else:
        sys.excepthook(type(error), error, trace)
    _interrupted = isinstance(error, KeyboardInterrupt)
    raise SystemExit(1) from None


def _set_first_folder(folder):
    # What stands there now is this program's folder, or nothing.
    if getattr(sys.flags, "safe_path", False):
        return
    if sys.path:
        sys.path[0] = folder
    else:
        sys.path.append(folder)


def _prepare(folder, packages, with_python2, explain):
    if with_python2:
        python2.enable()
    imports.install(folder, packages)
    children.install(packages, with_python2, folder)
    atexit.register(_die_of_sigint)
    if explain:
        atexit.register(repairs.explain)


def _execute(module, path, argv):
    sys.argv[:] = [argv[0], *argv[1:]]
    sys.modules["__main__"] = module
    try:
        code = imports.compile_user(pathlib.Path(path).read_bytes(), path)
        exec(code, module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        _fail(error)


def run_script(path: str, argv: list, packages: tuple = (), python2: bool = False,
               explain: bool = False) -> None:
    """Runs a file as ``python PATH ARGV...`` does.

    Args:
      path: The script.
      argv: Words after it.
      packages: Names of installed packages that are user code too.
      python2: Whether user code is to be converted from Python 2.
      explain: Whether to list on stderr, at the end, what had to be repaired.

    Raises:
      SlimResnetError: If there is no such file, or it is Python 2 and ``python2`` is not set.
      SystemExit: As the script says; with status 1 after an error that it did not catch.
    """
    if os.path.isdir(path):
        raise SlimResnetError(f"{path} is a folder; name a script, or a module with -m")
    if not os.path.exists(path):
        raise SlimResnetError(f"{path}: no such file")
    if not os.access(path, os.R_OK):
        raise SlimResnetError(f"{path}: not readable")
    folder = os.path.dirname(os.path.realpath(path))
    _set_first_folder(folder)
    _prepare(folder, packages, python2, explain)
    _execute(mains.main_module("__main__", os.path.abspath(path)), os.path.abspath(path),
             [path, *argv])


def run_module(name: str, argv: list, packages: tuple = (), python2: bool = False,
               explain: bool = False) -> None:
    """Runs a module as ``python -m NAME ARGV...`` does; see `run_script`."""
    folder = os.getcwd()
    _set_first_folder(folder)
    _prepare(folder, packages, python2, explain)
    try:
        spec = mains.module_spec(name)
    except SlimResnetError:
        raise
    except BaseException as error:  # of a package above the module
        _fail(error)
    _execute(mains.main_module("__main__", spec.origin, spec), spec.origin, [spec.origin, *argv])
