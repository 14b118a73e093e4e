"""``slim-resnet report`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["report", *sys.argv[1:]]))
