"""Values of options that click does not know: durations, times, JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
import msgspec

from lineshaft.clock import to_instant, to_micros
from lineshaft.errors import ConfigError


def duration(value: str) -> str:
    """Return a duration's text, such as `90s` or `2h30m`; a bare number is seconds."""
    text = f"{value}s" if value.replace(".", "", 1).isdigit() else value
    try:
        to_micros(text)
    except ConfigError:
        raise click.BadParameter(f"{value!r} is not a duration such as 90s or 2h30m") from None
    return text


def moment(value: str) -> datetime:
    """Return an ISO 8601 time with its zone."""
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an ISO 8601 time such as 2026-11-22T08:00Z") from None
    try:
        to_instant(when)
    except ConfigError:
        raise click.BadParameter(f"{value!r} carries no time zone; add Z for UTC, or an offset like +01:00") from None
    return when


def duration_or_moment(value: str) -> str | datetime:
    """Return a duration's text or an ISO 8601 time with its zone."""
    try:
        return duration(value)
    except click.BadParameter:
        if value[:1].isdigit() and "-" in value:
            return moment(value)
    raise click.BadParameter(f"{value!r} is neither a duration such as 90m nor an ISO 8601 time")


def json_value(value: str) -> Any:
    """Return the value of a JSON text."""
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"{value!r} is not JSON ({error}); a text needs its quotes: '\"text\"'") from None


def json_object(value: str) -> dict[str, Any]:
    """Return the value of a JSON text that is an object."""
    found = json_value(value)
    if not isinstance(found, dict):
        raise click.BadParameter(f"{value!r} is not a JSON object")
    return found


def call_of(payload: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments that `--args` means."""
    match payload:
        case None:
            return [], {}
        case list():
            return payload, {}
        case dict():
            return [], payload
        case _:
            return [payload], {}
