"""TensorFlow 1 scripts of slim's days on today's TensorFlow, as they are.

``slim-resnet run SCRIPT.py`` runs a script. From Python, or in a notebook's first cell::

    import slim_resnet.tf1
    slim_resnet.tf1.install()

    import tensorflow as tf          # TensorFlow 1.15's names, tf.contrib.slim among them
    slim = tf.contrib.slim

Only user code sees TensorFlow 1: the script or notebook, the modules beside it and those on
PYTHONPATH. Every installed library goes on seeing the TensorFlow that is installed. Importing
this package changes nothing; `install` does.
"""

import builtins
import sys

__all__ = ["install"]


def install(packages: tuple = (), python2: bool = False) -> None:
    """Has the calling module, and user modules imported from now on, see TensorFlow 1.

    TensorFlow 1's behaviour is turned on when TensorFlow is first imported by user code:
    graphs, not eager execution.

    Args:
      packages: Names of installed packages that are user code too.
      python2: Converts user modules from Python 2 as they are imported.

    Raises:
      SlimResnetError: If ``python2`` needs a package that is not installed.
    """
    from slim_resnet.tf1 import children, imports
    from slim_resnet.tf1 import python2 as conversion
    caller = sys._getframe(1).f_globals
    if python2:
        conversion.enable()
    imports.install(sys.path[0] if sys.path else "", packages)
    children.install(packages, python2)
    caller["__builtins__"] = imports.user_builtins()
    # The code that is running now has its builtins already; what it defines and runs from
    # here on gets the new ones, but its own import statements need this.
    plain_import = builtins.__import__

    def import_for_caller(name, globals=None, locals=None, fromlist=(), level=0):
        chosen = imports.user_import if globals is caller else plain_import
        return chosen(name, globals, locals, fromlist, level)

    builtins.__import__ = import_for_caller
