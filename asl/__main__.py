"""``python -m asl`` is ``asl``: the form in which torchrun starts it."""

import sys

from asl.cli import main

if __name__ == "__main__":
    sys.exit(main())
