"""``slim-resnet evaluate`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["evaluate", *sys.argv[1:]]))
