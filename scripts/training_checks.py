"""``slim-resnet training-checks`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["training-checks", *sys.argv[1:]]))
