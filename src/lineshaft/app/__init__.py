"""The app: the only package that wires the parts together."""

from lineshaft.app.core import Lineshaft

__all__ = ["Lineshaft"]
