"""``slim-resnet end-points`` as a script."""

import sys

from slim_resnet.cli import main

sys.exit(main(["end-points", *sys.argv[1:]]))
