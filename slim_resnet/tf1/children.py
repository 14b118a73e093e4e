"""Has ``multiprocessing``'s spawned and forkserver's children see TensorFlow 1 too.

A child unpickles what its parent prepared for it before it imports the script. What is put into
that here installs `slim_resnet.tf1.imports` in the child, and has it run the script through it.
Left alone, the child would import the script under today's TensorFlow and die, and a ``Pool``
would start another one for ever.
"""

import multiprocessing.spawn
import os
import pathlib
import sys

_real_preparation = multiprocessing.spawn.get_preparation_data
_settings: dict = {}


class _InChild(str):
    """A process's name that, as it is unpickled, calls `_prepare_child`."""

    def __reduce__(self):
        return _prepare_child, (str(self), _settings)


def _prepare_child(name, settings):
    from slim_resnet.tf1 import imports, python2
    if settings["python2"]:
        python2.enable()
    imports.install(settings["script_folder"], settings["packages"])
    install(settings["packages"], settings["python2"], settings["script_folder"])
    real_prepare = multiprocessing.spawn.prepare

    def prepare(data):
        main = data.pop("slim_resnet_main", None)
        real_prepare(data)
        multiprocessing.spawn.prepare = real_prepare
        if main is not None:
            from slim_resnet.tf1 import mains
            mains.import_main(*main)

    multiprocessing.spawn.prepare = prepare
    return name


def _preparation(name):
    data = _real_preparation(name)
    path = data.pop("init_main_from_path", None)
    module = data.pop("init_main_from_name", None)
    if path or module and not f".{module}".endswith(".__main__"):
        data["slim_resnet_main"] = (path, module)
    data["name"] = _InChild(data["name"])
    # The child has to find slim_resnet, wherever the parent had it from.
    folder = str(pathlib.Path(__file__).parents[2])
    if "sys_path" in data and folder not in data["sys_path"]:
        data["sys_path"] = [*data["sys_path"], folder]
    return data


def install(packages, python2: bool, script_folder: str | None = None) -> None:
    """Has children that this process starts from now on see TensorFlow 1."""
    _settings.update(packages=tuple(packages), python2=python2,
                     script_folder=script_folder or (sys.path[0] if sys.path else os.getcwd()))
    multiprocessing.spawn.get_preparation_data = _preparation
