"""The program's frame: runs a command, turns errors into one line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import click

from lineshaft.cli.interrupts import lost_interrupts_raised_again
from lineshaft.cli.root import root
from lineshaft.cli.session import Session
from lineshaft.errors import ConfigError, LineshaftError

FAILED: Final = 1
WRONG_USE: Final = 2
INTERRUPTED: Final = 128 + signal.SIGINT
READER_GONE: Final = 128 + signal.SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0 done, 1 the operation failed, 2 wrong use, 130 interrupted.

    `arguments` are those after the program's name, by default of this process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name in a store need not fit the terminal's encoding
    given = list(sys.argv[1:] if arguments is None else arguments)
    session = Session()
    try:
        if asked := os.environ.get("_LINESHAFT_COMPLETE"):
            from lineshaft.cli.completion import answer

            return answer(asked)
        with lost_interrupts_raised_again():
            code = _run(given, session)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told in one line
        return _tell(error, is_debug=session.is_debug or "--debug" in given)
    return code


def _run(arguments: list[str], session: Session) -> int:
    try:
        with root.make_context("lineshaft", arguments, obj=session) as context:
            code = root.invoke(context)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:  # Ctrl-C or the end of input at a question
        return INTERRUPTED
    finally:
        session.close()


def _tell(error: Exception, *, is_debug: bool) -> int:
    if is_debug:
        traceback.print_exception(error)
    print(f"lineshaft: {_message(error)}", file=sys.stderr)  # noqa: T201 - this is a command line
    is_wrong_use = isinstance(error, click.UsageError | ConfigError)
    return WRONG_USE if is_wrong_use else FAILED


def _message(error: Exception) -> str:
    match error:
        case click.UsageError():
            text = _usage(error)
        case click.ClickException():
            text = error.format_message()
        case LineshaftError():
            text = str(error)
        case _:
            text = f"unexpected {type(error).__name__}: {error}; --debug shows where"
    return " ".join(text.split())


def _usage(error: click.UsageError) -> str:
    text = error.format_message().rstrip(".")
    return f"{text}; see '{error.ctx.command_path} --help'" if error.ctx else text


def _reader_gone() -> int:
    """End as a program that SIGPIPE ended: `lineshaft jobs list --all | head` is no mistake."""
    # What is still buffered has nowhere to go; without this, Python would complain about it at its exit.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return READER_GONE
