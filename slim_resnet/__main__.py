"""``python -m slim_resnet`` is the ``slim-resnet`` command."""

import sys

from slim_resnet.cli import main

sys.exit(main())
