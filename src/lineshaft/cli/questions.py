"""Asking before something is done that cannot be undone."""

from __future__ import annotations

import sys

import click

from lineshaft.errors import LineshaftError


def confirm(question: str, *, is_sure: bool) -> None:
    """Ask on the terminal unless `--yes` was given.

    Raises `LineshaftError` when the answer is no, `click.UsageError` when there is no terminal to ask on.
    """
    if is_sure:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        msg = f"there is no terminal to ask on: {question} Add --yes to do it"
        raise click.UsageError(msg)
    if not click.confirm(question, err=True):
        raise LineshaftError("nothing was done")
