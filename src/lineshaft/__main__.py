"""`python -m lineshaft` is `lineshaft`."""

import sys

from lineshaft.cli import main

if __name__ == "__main__":
    sys.exit(main())
