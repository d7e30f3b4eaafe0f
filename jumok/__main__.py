"""`python -m jumok` is the command `jumok`."""

import sys

from jumok.cli import main

sys.exit(main())
