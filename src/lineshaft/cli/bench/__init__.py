"""`lineshaft bench`."""

from lineshaft.cli.bench.command import bench

__all__ = ["bench"]
