"""Runs each script that it is given, a graph each, and prints what became of them as JSON."""

import json
import os
import runpy
import sys
import traceback

import tensorflow as tf

outcomes = {}
for path in sys.argv[1:]:
    with tf.Graph().as_default():
        try:
            runpy.run_path(path)
        except Exception as error:
            traceback.print_exc()
            outcomes[os.path.basename(path)[:-3]] = f"{type(error).__name__}: {error}"
        else:
            outcomes[os.path.basename(path)[:-3]] = "ran"
print(json.dumps(outcomes))
