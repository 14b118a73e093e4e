"""``slim-resnet diagram`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["diagram", *sys.argv[1:]]))
