"""Settings and store addresses."""

from __future__ import annotations

from dataclasses import fields

import pytest

from lineshaft.clock import DAY, HOUR, MINUTE, SECOND
from lineshaft.config import DEFAULT_STORE, Retention, Settings, StoreAddress, load_settings, parse_store, to_bytes
from lineshaft.errors import ConfigError


@pytest.mark.parametrize(
    "address, expected",
    [
        ("memory://", StoreAddress("memory")),
        ("sqlite:///jobs.db", StoreAddress("sqlite", "jobs.db")),
        ("sqlite:////var/lib/a%20b.db", StoreAddress("sqlite", "/var/lib/a b.db")),
        ("sqlite:///j.db?synchronous=full", StoreAddress("sqlite", "j.db", synchronous="FULL")),
        ("postgresql://ann@host/shop", StoreAddress("postgres", url="postgresql://ann@host/shop")),
        ("postgres://host/shop", StoreAddress("postgres", url="postgresql://host/shop")),
        (
            "postgresql://h/d?options=-c%20jit%3Doff",
            StoreAddress("postgres", url="postgresql://h/d?options=-c%20jit%3Doff"),
        ),
        (
            "postgresql:///shop?host=/socket/dir",
            StoreAddress("postgres", url="postgresql:///shop?host=%2Fsocket%2Fdir"),
        ),
        (
            "postgresql://h/d?schema=jobs&listen_url=postgresql://direct/d&sslmode=require",
            StoreAddress(
                "postgres", url="postgresql://h/d?sslmode=require", schema="jobs", listen_url="postgresql://direct/d"
            ),
        ),
    ],
)
def test_addresses(address: str, expected: StoreAddress) -> None:
    """Every form of address that the contract names is understood."""
    assert parse_store(address) == expected


@pytest.mark.parametrize(
    "address, advice",
    [
        ("jobs.db", "is not a store address; give sqlite:///file.db"),
        ("mysql://u:secret@h/d", "is not a store address"),
        ("sqlite://jobs.db", "names no file; write sqlite:///jobs.db"),
        ("sqlite:///", "names no file"),
        ("sqlite:///j.db?mode=ro", "the only parameter"),
        ("sqlite:///j.db?synchronous=off", "synchronous=NORMAL or synchronous=FULL"),
        ("postgresql:///d?schema=Jobs-1", "schema='Jobs-1' of the store must be"),
        ("postgresql:///d?schema=", "schema='' of the store must be"),
    ],
)
def test_wrong_addresses_are_refused(address: str, advice: str) -> None:
    """An address that is none is refused in a line that shows what to write, and no password."""
    with pytest.raises(ConfigError, match=advice) as caught:
        parse_store(address)
    assert "secret" not in str(caught.value)


def test_defaults() -> None:
    """With nothing set every setting has its default."""
    assert load_settings({}, {}) == Settings()
    assert Settings().store == DEFAULT_STORE


def test_given_beats_environment_beats_default() -> None:
    """What is given wins over the environment, and that over the default; None counts as not given."""
    environment = {"LINESHAFT_STORE": "memory://", "LINESHAFT_GRACE": "10s", "LINESHAFT_HEARTBEAT": "0.5"}
    found = load_settings({"grace": "2m", "store": None}, environment)
    assert (found.store, found.grace, found.heartbeat) == ("memory://", 2 * MINUTE, SECOND // 2)


@pytest.mark.parametrize("name", [one.name for one in fields(Settings)])
def test_every_setting_is_checked(name: str) -> None:
    """A wrong value is refused, naming the setting, or the variable that it came from."""
    with pytest.raises(ConfigError, match=f"{name}=|store address"):
        load_settings({name: "no such value"}, {})
    variable = f"LINESHAFT_{name.upper()}"
    with pytest.raises(ConfigError, match=f"{variable}=|store address"):
        load_settings({}, {variable: "no such value"})


@pytest.mark.parametrize("given", [{"heartbeat": 3}, {"silence": 1}, {"lease": 2}])
def test_heartbeat_silence_and_lease_fit_together(given: dict[str, int]) -> None:
    """A worker must be able to beat before it is a suspect, and be a suspect before its lease ends."""
    with pytest.raises(ConfigError, match="heartbeat < silence < lease"):
        load_settings(given, {})


def test_passwords_are_not_shown() -> None:
    """Neither settings nor addresses show a password where they are printed."""
    settings = load_settings({"store": "postgresql://ann:secret@h/d"}, {})
    assert "secret" not in repr(settings) + repr(parse_store(settings.store))
    assert "postgresql://ann:…@h/d" in repr(settings)


@pytest.mark.parametrize(
    "size, count", [(5, 5), ("6", 6), ("512MiB", 512 << 20), ("1.5 KB", 1_500), ("2GiB", 2 << 30), ("7B", 7)]
)
def test_sizes(size: int | str, count: int) -> None:
    """Sizes are whole bytes, or text with a unit."""
    assert to_bytes(size, "memory") == count


@pytest.mark.parametrize("wrong", ["", "5 cats", -1, 0, 1.5, True, "MiB"])
def test_wrong_sizes_are_refused(wrong: int | str) -> None:
    """What is no size is refused by name."""
    with pytest.raises(ConfigError, match=r"^memory="):
        to_bytes(wrong, "memory")


@pytest.mark.parametrize(
    "value, kept",
    [
        ({"dead": "90d"}, Retention(dead=90 * DAY)),
        ({"completed": 3600, "expired": "2h"}, Retention(completed=HOUR, expired=2 * HOUR)),
        ("completed=1h, cancelled=90m", Retention(completed=HOUR, cancelled=90 * MINUTE)),
        ("dead=3600", Retention(dead=HOUR)),
        (str(Retention(dead=DAY)), Retention(dead=DAY)),
    ],
)
def test_retention_is_given_by_outcome(value: object, kept: Retention) -> None:
    """Each outcome has its time, in a mapping or in text; those that are not named keep their default."""
    assert load_settings({"retention": value}, {}).retention == kept
    if isinstance(value, str):
        assert load_settings({}, {"LINESHAFT_RETENTION": value}).retention == kept


@pytest.mark.parametrize(
    "value, advice",
    [
        ({"completd": "1h"}, "names 'completd', which is no outcome; outcomes are completed, dead, cancelled, expired"),
        ("completed=soon", "completed='soon' is not a duration"),
        ({"dead": "30s"}, "dead jobs must be kept for a minute at least"),
        ({"dead": -1}, "out of range"),
        ("48h", "such as 'completed=48h,dead=30d'"),
        (48, "such as 'completed=48h,dead=30d'"),
        ("", "such as 'completed=48h,dead=30d'"),
    ],
)
def test_wrong_retentions_are_refused(value: object, advice: str) -> None:
    """A retention is checked whole, in one line that names the setting and the outcome."""
    with pytest.raises(ConfigError, match=r"^retention=") as caught:
        load_settings({"retention": value}, {})
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)
