"""``slim-resnet overhead`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["overhead", *sys.argv[1:]]))
