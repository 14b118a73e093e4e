"""``slim-resnet pictures`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["pictures", *sys.argv[1:]]))
