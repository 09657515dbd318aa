"""Why a job is where it is: what holds it, in words for people and in codes for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast, overload

from lineshaft.transitions import State


@dataclass(frozen=True, slots=True)
class Hold:
    """One reason why a job does not go on; of a finished job, how it ended."""

    kind: str
    """A code that stays: `paused`, `no-worker`, … (docs/jobs.md, "Why a job does not run")."""
    text: str
    """One sentence."""
    until: datetime | None = None
    """When it ends by itself, at the latest (aware UTC); None: that is not known, or somebody has to act."""
    cure: str | None = None
    """What a person may do about it: a command, or a sentence."""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the sentence says, for programs: plain values and aware datetimes."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it: `kind`, `text`, `until`, `cure`, `facts`; times as ISO 8601 in UTC."""
        return {
            "kind": self.kind, "text": self.text, "until": _plain(self.until), "cure": self.cure,
            "facts": _plain(self.facts),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Explanation(Sequence[Hold]):
    """Every reason that holds a job, the most decisive first; as it was at one moment."""

    job_id: str
    state: State
    at: datetime
    """When that was (aware UTC)."""
    holds: tuple[Hold, ...]

    @overload
    def __getitem__(self, index: int) -> Hold: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hold]: ...
    def __getitem__(self, index: int | slice) -> Hold | Sequence[Hold]:
        """Return one of the reasons, or some."""
        return self.holds[index]

    def __len__(self) -> int:
        """Count the reasons; there is always one."""
        return len(self.holds)

    def __iter__(self) -> Iterator[Hold]:
        """Go through the reasons."""
        return iter(self.holds)

    def __str__(self) -> str:
        """Show each reason on a line."""
        return "\n".join(hold.text for hold in self.holds)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it: `id`, `state`, `at`, `holds`; times as ISO 8601 in UTC."""
        holds = [hold.to_dict() for hold in self.holds]
        return {"id": self.job_id, "state": self.state.value, "at": _plain(self.at), "holds": holds}


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Mapping():
            return {key: _plain(one) for key, one in cast(Mapping[str, Any], value).items()}
        case list() | tuple():
            return [_plain(one) for one in cast(Sequence[Any], value)]
        case _:
            return value
