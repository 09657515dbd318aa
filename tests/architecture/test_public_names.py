"""What `from lineshaft import ...` offers."""

from __future__ import annotations

import lineshaft

# Names that users were promised: taking one away, or forgetting it, is a breaking change.
PROMISED = {
    "Cancelled",
    "Exponential",
    "Fixed",
    "GiveUp",
    "InvalidTransition",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobNotFound",
    "JobNotRun",
    "JobTimeout",
    "Linear",
    "Lineshaft",
    "LineshaftError",
    "NewJob",
    "NotInJob",
    "Page",
    "Progress",
    "QueueFull",
    "ResultGone",
    "ResultTimeout",
    "Retry",
    "RetryLater",
    "Snooze",
    "Tasks",
    "WouldDeadlock",
    "current_job",
}


def test_promised_names_are_public() -> None:
    """Every name of the public contract can be imported from the top of the package."""
    assert set(lineshaft.__all__) >= PROMISED


def test_public_names_exist() -> None:
    """Whatever `__all__` lists is there."""
    assert [name for name in lineshaft.__all__ if not hasattr(lineshaft, name)] == []


def test_public_names_are_sorted_and_unique() -> None:
    """`__all__` is sorted as ruff sorts it, constants, classes, functions, and lists nothing twice."""
    expected = sorted(set(lineshaft.__all__), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert list(lineshaft.__all__) == expected


def test_nothing_else_looks_public() -> None:
    """A class or function that the package's top shows without listing it is a leak."""
    modules = {name for name, value in vars(lineshaft).items() if type(value).__name__ == "module"}
    shown = {name for name in vars(lineshaft) if not name.startswith("_")} - modules - {"annotations", "TYPE_CHECKING"}
    assert shown - set(lineshaft.__all__) == set()
