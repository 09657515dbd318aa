"""The four kinds of rules, each its own JSON form."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Since = Literal["clock", "finish"]
OnClosed = Literal["run", "skip", "next", "previous"]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Cron(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="cron"):
    """Five fields, as crontab(5) has them."""

    expression: str


class Every(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="every"):
    """Again after a time (microseconds), by the clock or since the end of the last job."""

    interval: Annotated[int, Meta(ge=1)]
    since: Since = "clock"


class Once(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="once"):
    """At these instants (microseconds since the epoch, in order)."""

    times: tuple[int, ...]


class Days(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="days"):
    """On days described in words, at these times of day (`"HH:MM"`, in order)."""

    days: str
    times: tuple[TimeOfDay, ...]


Rule = Cron | Every | Once | Days
