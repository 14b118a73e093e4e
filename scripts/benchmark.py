"""``slim-resnet benchmark`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["benchmark", *sys.argv[1:]]))
