"""Writes a project ported: its files with explicit imports of what is there today.

Of every file only import statements, the dotted names that have moved, and Python 2's names for
things are changed; all else, comments and formatting too, stays as it is. The result runs as
any Python does. It needs this package where tf_slim is used, which it mends, and where a
stand-in of ours is.
"""

import os
import shutil
import tempfile

from slim_resnet import __version__
from slim_resnet.common.files import writing_errors
from slim_resnet.errors import SlimResnetError
from slim_resnet.tf1 import check, porting, reading


def port(project: reading.Project, folder: str) -> list:
    """Writes a project into a folder that does not exist yet, whole or not at all.

    Args:
      project: What `reading.open_project` found.
      folder: Where to; files keep their places below the script's folder.

    Returns:
      ``file:line: what`` of all that could not be ported and fails when it is used.

    Raises:
      SlimResnetError: The folder exists or cannot be written, or a file is not Python 3 or
        cannot be ported.
    """
    _check(project, folder)
    ported = [porting.PortedFile(file, project) for file in project.files]
    said = [f"{file.file.display()}:{line}: {message}"
            for file in ported for line, message in sorted(set(file.said))]
    with writing_errors(folder):
        parent = os.path.dirname(os.path.abspath(folder))
        temporary = tempfile.mkdtemp(dir=parent, prefix=f".{os.path.basename(folder)}.")
        try:
            for file in ported:
                path = os.path.join(temporary, os.path.relpath(
                    os.path.realpath(file.file.path), os.path.realpath(file.file.root)))
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as output:
                    output.write(file.contents(__version__))
                shutil.copymode(file.file.path, path)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o777 & ~umask)
            os.rename(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return said


def _check(project, folder):
    if os.path.lexists(folder):
        raise SlimResnetError(f"{folder}: exists; --port writes a new folder only")
    parent = os.path.dirname(os.path.abspath(folder))
    if not os.path.isdir(parent):
        raise SlimResnetError(f"{folder}: the folder {parent} does not exist; make it first")
    for file in project.files:
        if file.error:
            line = getattr(file.error, "lineno", None) or 1
            raise SlimResnetError(
                f"{file.display()}:{line}: {check.message_of(file.error)}; nothing was written")
