"""The command line: `lineshaft`, or `python -m lineshaft`."""

from lineshaft.cli.main import main

__all__ = ["main"]
