"""The app: the only package that wires the parts together."""

from lineshaft.app.core import Lineshaft
from lineshaft.app.jobs import Page

__all__ = ["Lineshaft", "Page"]
