"""One module a subcommand of ``slim-resnet``, and what several of them share.

A subcommand has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(arguments)``,
which returns the exit status or None for 0. It imports TensorFlow within ``run``, so that
help and bad options are answered at once. `options` declares what several of them take;
`progress`, `keeping` and `optimize` do what goes with it.
"""

# A new command is a name here and a module of that name.
COMMANDS = ("run", "benchmark", "checkpoint", "classify", "evaluate", "export", "end-points",
            "pictures", "report", "train", "degradation", "data")
