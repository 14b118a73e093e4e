"""``slim-resnet train`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
