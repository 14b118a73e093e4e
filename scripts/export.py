"""``slim-resnet export`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["export", *sys.argv[1:]]))
