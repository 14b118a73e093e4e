"""``slim-resnet checkpoint`` as a script."""

import sys

from slim_resnet.cli import main

sys.exit(main(["checkpoint", *sys.argv[1:]]))
