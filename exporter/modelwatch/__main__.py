"""``python -m modelwatch`` is the ``modelwatch`` command."""

import sys

from modelwatch.cli import main

sys.exit(main())
