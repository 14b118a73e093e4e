"""``slim-resnet accuracy`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["accuracy", *sys.argv[1:]]))
