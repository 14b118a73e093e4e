"""``slim-resnet cluster-throughput`` as a file to run."""

import sys

from slim_resnet.cli import main

sys.exit(main(["cluster-throughput", *sys.argv[1:]]))
