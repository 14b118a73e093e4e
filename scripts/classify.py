"""``slim-resnet classify`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["classify", *sys.argv[1:]]))
