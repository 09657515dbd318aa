"""`lineshaft schedules check`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from lineshaft.app.schedules.said import shown
from lineshaft.cli.output import print_json, print_text
from lineshaft.cli.schedules.ahead import number_option, print_times
from lineshaft.cli.schedules.options import is_rule, rule_of, rule_options
from lineshaft.cli.schemas import RuleForm
from lineshaft.cli.session import Session, pass_session, shared_options
from lineshaft.clock import to_datetime, wall_clock
from lineshaft.recurrence import Recurrence, recurrence_of


@click.command("check")
@click.argument("expression", metavar="[EXPRESSION]", required=False)
@rule_options
@number_option
@shared_options("json", "debug")
@pass_session
def check(session: Session, /, expression: str | None, number: int, **options: Any) -> None:
    """Say in words what a rule means, and when it ticks next; needs no store.

    EXPRESSION is a cron expression, as with --cron.

    Example: lineshaft schedules check '0 6 * * mon-fri' --timezone Europe/Berlin
    """
    context = click.get_current_context()
    if expression is not None and options["cron"]:
        raise click.UsageError("the expression stands twice; leave out --cron", context)
    options["cron"] = options["cron"] or expression
    if not is_rule(options):
        raise click.UsageError("say when: an expression such as '0 6 * * *', or --every, --at or --days", context)
    now = wall_clock()
    recurrence = recurrence_of(**rule_of(options), now=now)
    times = _times(recurrence, now, number)
    if session.is_json:
        print_json(_object(recurrence, times))
        return
    print_text(recurrence.in_words())
    print_times(times, recurrence.timezone)


def _times(recurrence: Recurrence, now: int, number: int) -> list[datetime]:
    """Return the next times; one that counts from the end of a job is told as if each job ended at once."""
    found: list[datetime] = []
    tick = recurrence.first(now)
    while tick is not None and len(found) < number:
        found.append(to_datetime(tick))
        tick = recurrence.after(tick)
    return found


def _object(recurrence: Recurrence, times: list[datetime]) -> RuleForm:
    return {
        "in_words": recurrence.in_words(),
        "timezone": recurrence.timezone,
        "rule": shown(recurrence),
        "next": times,
    }
