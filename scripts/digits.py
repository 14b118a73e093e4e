"""``slim-resnet digits`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["digits", *sys.argv[1:]]))
