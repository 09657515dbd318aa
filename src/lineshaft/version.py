"""The version of this package."""

from importlib import metadata
from typing import Final

VERSION: Final = metadata.version("lineshaft")
