"""Settings: read once, checked whole, frozen. What is not set is asked of the environment, then has its default."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from lineshaft.clock import DAY, HOUR, MINUTE, SECOND, Duration, to_micros
from lineshaft.errors import ConfigError
from lineshaft.transitions import Close, Stage, Transition

Migrate = Literal["auto", "never"]
Synchronous = Literal["NORMAL", "FULL"]

DEFAULT_STORE: Final = "sqlite:///lineshaft.db"
AUTO: Final = "auto"
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,50}")


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A parsed store address."""

    kind: Literal["sqlite", "memory", "postgres"]
    path: str | None = None
    """The file of a SQLite store."""
    url: str | None = None
    """The libpq address of a PostgreSQL store, without our own parameters."""
    schema: str = "lineshaft"
    listen_url: str | None = None
    synchronous: Synchronous = "NORMAL"

    def __repr__(self) -> str:
        """Show no address: it may hold a password."""
        return f"StoreAddress({self.kind}, schema={self.schema})"


def parse_store(address: str) -> StoreAddress:
    """Return a store address in its parts; raises `ConfigError` when it is none."""
    scheme = address.partition(":")[0]
    match scheme:
        case "memory":
            return StoreAddress("memory")
        case "sqlite":
            return _parse_sqlite(address)
        case "postgresql" | "postgres":
            return _parse_postgres(address)
        case _:
            msg = (
                f"{_masked(address)!r} is not a store address; "
                "give sqlite:///file.db, postgresql://user@host/database or memory://"
            )
            raise ConfigError(msg)


def _parse_sqlite(address: str) -> StoreAddress:
    parts = urlsplit(address)
    path = unquote(parts.path).removeprefix("/")
    if parts.netloc or not path:
        msg = f"{address!r} names no file; write sqlite:///jobs.db (relative) or sqlite:////var/lib/jobs.db (absolute)"
        raise ConfigError(msg)
    given = dict(parse_qsl(parts.query))
    synchronous = given.pop("synchronous", "NORMAL").upper()
    if given or synchronous not in ("NORMAL", "FULL"):
        msg = f"{address!r}: the only parameter of a SQLite store is synchronous=NORMAL or synchronous=FULL"
        raise ConfigError(msg)
    return StoreAddress("sqlite", path=path, synchronous="FULL" if synchronous == "FULL" else "NORMAL")


def _parse_postgres(address: str) -> StoreAddress:
    parts = urlsplit(address)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    schema = given.pop("schema", "lineshaft")
    if not _SCHEMA.fullmatch(schema):
        msg = f"schema={schema!r} of the store must be up to 50 small letters, digits and underscores"
        raise ConfigError(msg)
    listen_url = given.pop("listen_url", None)
    url = urlunsplit(parts._replace(scheme="postgresql", query=urlencode(given, quote_via=quote)))  # libpq reads no '+'
    # urlunsplit drops the empty host of postgresql:///database, which libpq needs.
    url = url if "://" in url else url.replace("postgresql:", "postgresql://", 1)
    return StoreAddress("postgres", url=url, schema=schema, listen_url=listen_url)


def _masked(address: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:…@", address)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long finished jobs are kept, in microseconds, by their outcome."""

    completed: int = 48 * HOUR
    dead: int = 30 * DAY
    cancelled: int = 48 * HOUR
    expired: int = 48 * HOUR
    """Jobs that did not start in time, or were skipped."""

    def __str__(self) -> str:
        """Show it as it may be given."""
        return ",".join(f"{outcome}={micros / SECOND:g}s" for outcome, micros in asdict(self).items())

    def of(self, transition: Transition) -> int:
        """Return how long a job is kept that finishes by this transition."""
        match transition:
            case Close(stage=Stage.DEAD):
                return self.dead
            case Close(stage=Stage.CANCELLED):
                return self.cancelled
            case Close():
                return self.expired
            case _:
                return self.completed

    def until(self, now: int) -> Callable[[Transition], int]:
        """Return what tells when a job expires that finishes now."""
        return lambda transition: now + self.of(transition)

    @property
    def shortest(self) -> int:
        """The time that every finished job is kept."""
        return min(self.completed, self.dead, self.cancelled, self.expired)

    @property
    def longest(self) -> int:
        """The time that the longest kept outcome is kept."""
        return max(self.completed, self.dead, self.cancelled, self.expired)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set on an app; durations in microseconds, sizes in bytes."""

    store: str = DEFAULT_STORE
    migrate: Migrate = "auto"
    payload_limit: int = 1_048_576
    """The largest stored text of a job's arguments or result."""
    heartbeat: int = SECOND
    """How often a worker says that it lives."""
    silence: int = 3 * SECOND
    """The heartbeat's age from which a worker whose lock is free counts as dead."""
    lease: int = 60 * SECOND
    """The heartbeat's age from which a worker counts as dead whatever its lock says."""
    patience: int = 15 * SECOND
    """How long a call waits for a store that was reached before and does not answer."""
    grace: int = 25 * SECOND
    """How long a stopping worker lets running jobs finish."""
    stop_patience: int = 5 * SECOND
    """How long a job that was told to stop may take before it is reported and its slot replaced."""
    max_hung: int = 4
    """How many jobs that ignore being stopped a worker carries before it ends to be started anew."""
    child_max_jobs: int = 1_000
    """Jobs after which a child process of the process lane is replaced."""
    child_max_memory: int = 1 << 30
    """Resident bytes from which a child process is replaced after its job."""
    retention: Retention = Retention()
    """How long finished jobs are kept."""
    blobs: str = AUTO
    """Where large values are kept: a folder's path or an address that fsspec knows; `auto`: beside a SQLite file."""

    def __repr__(self) -> str:
        """Show every setting, the store without its password."""
        shown = ", ".join(f"{one.name}={_masked(str(getattr(self, one.name)))}" for one in fields(self))
        return f"Settings({shown})"


_READ: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "store": lambda value, name: _checked_text(value, name),
    "migrate": lambda value, name: _one_of(value, name, ("auto", "never")),
    "payload_limit": lambda value, name: _count(value, name),
    "max_hung": lambda value, name: _count(value, name),
    "child_max_jobs": lambda value, name: _count(value, name),
    "child_max_memory": lambda value, name: to_bytes(value, name),
    "retention": lambda value, name: to_retention(value, name),
    "blobs": lambda value, name: _blobs(value, name),
}


def load_settings(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings: those given, else those of `LINESHAFT_<NAME>`, else the defaults.

    Raises `ConfigError`, one line naming the setting, when one is out of its range.
    """
    found: dict[str, Any] = {}
    for one in fields(Settings):
        variable = f"LINESHAFT_{one.name.upper()}"
        value = given.get(one.name)
        if value is None:
            value, name = environment.get(variable), variable
        else:
            name = one.name
        if value is not None:
            found[one.name] = _READ.get(one.name, _duration)(value, name)
    settings = Settings(**found)
    parse_store(settings.store)
    if not settings.heartbeat < settings.silence < settings.lease:
        msg = "the settings must satisfy heartbeat < silence < lease"
        raise ConfigError(msg)
    return settings


_SHORTEST_RETENTION: Final = MINUTE
_OUTCOMES: Final = tuple(one.name for one in fields(Retention))


def to_retention(value: Mapping[str, Duration] | str, name: str) -> Retention:
    """Return how long finished jobs are kept, from `{"dead": "30d"}` or `"completed=48h,dead=30d"`.

    Outcomes that are not named keep their default. Raises `ConfigError`, naming `name`.
    """
    given = dict(value) if isinstance(value, Mapping) else _outcomes_in(value, name)
    unknown = [one for one in given if one not in _OUTCOMES]
    if unknown:
        msg = f"{name}={value!r} names {unknown[0]!r}, which is no outcome; outcomes are {', '.join(_OUTCOMES)}"
        raise ConfigError(msg)
    kept = {outcome: _duration(one, f"{name}={value!r}: {outcome}") for outcome, one in given.items()}
    for outcome, micros in kept.items():
        if micros < _SHORTEST_RETENTION:
            msg = f"{name}={value!r}: {outcome} jobs must be kept for a minute at least, so that a waiter can read them"
            raise ConfigError(msg)
    return Retention(**kept)


def _outcomes_in(value: str, name: str) -> dict[str, Duration]:
    pairs = [part.strip().partition("=") for part in value.split(",")] if isinstance(value, str) else []
    if not pairs or not all(sign for _, sign, _ in pairs):
        msg = f"{name}={value!r} must say how long each outcome is kept, such as 'completed=48h,dead=30d'"
        raise ConfigError(msg)
    return {outcome.strip(): duration.strip() for outcome, _, duration in pairs}


_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB)")
_SIZES: Final = {"B": 1, "KB": 10**3, "KiB": 1 << 10, "MB": 10**6, "MiB": 1 << 20, "GB": 10**9, "GiB": 1 << 30}


def to_bytes(value: int | str, name: str) -> int:
    """Return a size in bytes from a number or text such as `"512MiB"`; raises `ConfigError`, naming `name`."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return round(float(match[1]) * _SIZES[match[2]])
    return _count(value, name)


def _count(value: int | str, name: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1 or isinstance(value, bool | float):
        msg = f"{name}={value!r} must be a whole number from 1"
        raise ConfigError(msg)
    return number


def _duration(value: Duration, name: str) -> int:
    number = float(value) if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value) else value
    return to_micros(number, name)


def _one_of(value: str, name: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        msg = f"{name}={value!r} must be one of {', '.join(map(repr, allowed))}"
        raise ConfigError(msg)
    return value


def _blobs(value: str, name: str) -> str:
    if value == AUTO or "/" in _checked_text(value, name):
        return value
    msg = f"{name}={value!r} must be a folder such as /srv/blobs or ./blobs, or an address such as s3://bucket/prefix"
    raise ConfigError(msg)


def _checked_text(value: str, name: str) -> str:
    if not isinstance(value, str):
        msg = f"{name}={value!r} must be a text such as {DEFAULT_STORE!r}"
        raise ConfigError(msg)
    return value
