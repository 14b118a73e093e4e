"""``slim-resnet compare-peers`` as a script."""

import sys

from slim_resnet.cli import main

sys.exit(main(["compare-peers", *sys.argv[1:]]))
