"""``slim-resnet degradation`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["degradation", *sys.argv[1:]]))
