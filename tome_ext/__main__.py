"""``python -m tome_ext``: the command line."""

import sys

from tome_ext.cli import main

if __name__ == "__main__":
    sys.exit(main())
