"""``slim-resnet photographs`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["photographs", *sys.argv[1:]]))
