"""Public holidays, by the package `holidays`; a year of a country is worked out once a process."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import date
from functools import cache

from lineshaft.errors import ScheduleError


class Holidays:
    """The days off of one country, or of a part of it."""

    def __init__(self, country: str, subdivision: str | None) -> None:
        self._country = country
        self._subdivision = subdivision
        self._years: dict[int, frozenset[date]] = {}

    def __contains__(self, day: date) -> bool:
        days = self._years.get(day.year)
        return day in (self._read(day.year) if days is None else days)

    def _read(self, year: int) -> frozenset[date]:
        import holidays

        with warnings.catch_warnings():
            # Of some countries the package knows no more than a few years ahead; docs/schedule-rules.md says so.
            warnings.simplefilter("ignore")
            days = frozenset(
                holidays.country_holidays(self._country, subdiv=self._subdivision, years=year, expand=False)
            )
        self._years[year] = days
        return days


@cache
def holidays_of(country: str, subdivision: str | None) -> Holidays:
    """Return the holidays of a country, such as `"DE"` or `"DE-BY"`; raises `ScheduleError` for an unknown one."""
    code, _, part = str(country).strip().upper().partition("-")
    known = _supported()
    if code not in known:
        raise ScheduleError(f"calendar: country={country!r} is not known; {_hint(code, known)}")
    if subdivision is not None and part and part.casefold() != str(subdivision).strip().casefold():
        raise ScheduleError(f"calendar: country={country!r} and subdivision={subdivision!r} differ; give one of them")
    part = str(subdivision or part).strip()
    if not part:
        return Holidays(code, None)
    parts = {one.casefold(): one for one in known[code]}
    if part.casefold() not in parts:
        raise ScheduleError(f"calendar: subdivision={part!r} of {code} is not known; {_all(part, known[code])}")
    return Holidays(code, parts[part.casefold()])


@cache
def _supported() -> dict[str, list[str]]:
    import holidays

    return holidays.list_supported_countries(include_aliases=True)


def _hint(name: str, known: Mapping[str, object]) -> str:
    import holidays

    # Each country is a class with its name: "GERMANY" is known, though not as a code.
    classes = [getattr(holidays, code).__mro__[1] for code in known if hasattr(holidays, code)]
    code = {one.__name__.upper(): one.country for one in classes}.get(name.replace(" ", ""))
    return "give a code of ISO 3166 such as 'DE' or 'US'" if code is None else f"give its code {code!r}"


def _all(part: str, known: list[str]) -> str:
    return f"it takes {', '.join(known)}" if known else f"this country has no parts, leave {part!r} away"
