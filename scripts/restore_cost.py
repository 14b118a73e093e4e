"""``slim-resnet restore-cost`` as a script."""

import sys

from slim_resnet.cli import main

sys.exit(main(["restore-cost", *sys.argv[1:]]))
