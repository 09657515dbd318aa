"""The fixtures that every test may ask for, one plugin a concern."""

from __future__ import annotations

pytest_plugins = ["pytester", "tests.plugins.apps", "tests.plugins.engines", "tests.plugins.postgres"]
