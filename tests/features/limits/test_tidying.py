"""Gates that nobody asks any more are forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineshaft.clock import HOUR
from lineshaft.features.limits import LimitsFeature
from lineshaft.store.gates import Move, lock_and_read, read_gates, write_step
from tests.conformance.gated import RULE, stored
from tests.plugins.engines import NOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lineshaft.engines.base import Engine


def test_idle_gates_are_forgotten_a_part_at_a_time(engine: Engine) -> None:
    """Gates that are empty for an hour go, however many they are; those with a line or tokens outstanding stay."""
    keys = [f"k={number:04}" for number in range(1_500)]
    engine.write(lambda tx: lock_and_read(tx, dict.fromkeys([*keys, "debt"], RULE)))
    engine.write(lambda tx: write_step(tx, moves=[Move("debt", NOW + HOUR, "[1,1,1]", None)]))
    stored(engine, gate="line")
    steps: list[int] = []

    def write(operation: Callable[[Any], Any]) -> Any:
        steps.append(1)
        return engine.write(operation)

    LimitsFeature({}).periodic(write, NOW + HOUR)
    assert engine.read(lambda tx: read_gates(tx, [*keys, "line", "debt"])).keys() == {"line", "debt"}
    assert len(steps) == 3
    LimitsFeature({}).periodic(write, NOW + 2 * HOUR)
    assert engine.read(lambda tx: read_gates(tx, ["line", "debt"])).keys() == {"line"}
