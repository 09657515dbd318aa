"""The options `concurrency`, `rate` and `breaker`: each is read into a tuple of limits, and stored with a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from lineshaft.errors import ConfigError, UnknownTaskError
from lineshaft.options.adaptive import Adaptive
from lineshaft.options.breaker import Breaker
from lineshaft.options.limits import Concurrency, Order, Rate, parsed_rate
from lineshaft.options.refusals import refused
from lineshaft.version import VERSION

if TYPE_CHECKING:
    from lineshaft.options.options import Options

Place = Concurrency | Order | Adaptive
"""What counts the places that jobs take while they run."""
Limit = Place | Rate | Breaker

ConcurrencyOption = int | Place | Sequence[int | Place] | None
RateOption = str | Rate | Sequence[str | Rate] | None
BreakerOption = str | Breaker | Sequence[str | Breaker] | None

FLOW: Final = ("concurrency", "rate", "breaker")
"""The options that name what a job has to pass."""
_KINDS: Final[Mapping[str, type[Any]]] = {"concurrency": Concurrency, "order": Order, "rate": Rate}


def check_concurrency(value: Any) -> dict[str, Any]:
    """Return the option as a tuple; raises `ConfigError` for what is no limit of places."""
    limits = tuple(_place(one) for one in _listed(value))
    if sum(isinstance(one, Order) for one in limits) > 1:
        raise refused("concurrency names more than one Order, and a job can stand in one only; join their keys in one")
    return {"concurrency": limits}


def check_rate(value: Any) -> dict[str, Any]:
    """Return the option as a tuple; raises `ConfigError` for what is no rate."""
    return {"rate": tuple(_rate(one) for one in _listed(value))}


def check_breaker(value: Any) -> dict[str, Any]:
    """Return the option as a tuple; raises `ConfigError` for what is no breaker."""
    return {"breaker": tuple(_breaker(one) for one in _listed(value))}


def dump_flow(option: str, limits: Sequence[Limit]) -> list[dict[str, Any]]:
    """Return an option's limits as JSON values; raises `ConfigError` when one cannot be stored with a job."""
    return [one.dump() if option != "concurrency" or not isinstance(one, Adaptive) else _tagged(one) for one in limits]


def load_flow(option: str, stored: Sequence[Mapping[str, Any]]) -> tuple[Limit, ...]:
    """Return what `dump_flow` gave.

    Raises `ConfigError` when something in it cannot be imported, `UnknownTaskError` for what newer code has said.
    """
    if option == "breaker":
        return tuple(Breaker.load(one) for one in stored)
    return tuple(_loaded(one) for one in stored)


def load_places(stored: Sequence[Mapping[str, Any]]) -> tuple[Place, ...]:
    """Return the limits of places that `dump_flow` gave; raises as `load_flow`."""
    return cast(tuple[Place, ...], tuple(map(_loaded, stored)))


def limits_of(options: Options) -> tuple[Limit, ...]:
    """Return all that the options say a job has to pass."""
    return *options.breaker, *options.rate, *options.concurrency


def orders_of(options: Options) -> tuple[Order, ...]:
    """Return the strict orders among them."""
    return tuple(one for one in options.concurrency if isinstance(one, Order))


def paths_of(limit: Limit) -> tuple[str, ...]:
    """Return the arguments that a limit asks for, by name."""
    if isinstance(limit, Breaker):
        return ()
    return (*limit.names, limit.cost) if isinstance(limit, Rate) and isinstance(limit.cost, str) else limit.names


def check_arguments(options: Options, check_path: Callable[[str], None], place: str) -> None:
    """Raise `ConfigError`, naming the limit and the place, when one asks for an argument that a task does not take."""
    for limit in limits_of(options):
        for path in paths_of(limit):
            try:
                check_path(path)
            except ConfigError as error:
                msg = f"{type(limit).__name__} at {place}: {error}"
                raise ConfigError(msg) from None


def _listed(value: Any) -> Sequence[Any]:
    return () if value is None else value if isinstance(value, list | tuple) else (value,)


def _place(value: Any) -> Place:
    if isinstance(value, Concurrency) and value.ordered:
        return Order(value.key, value.name, value.per_tenant)
    if isinstance(value, Concurrency | Order | Adaptive):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise refused(
            f"concurrency={value!r} must be a whole number, a Concurrency(...), an Order(...), an Adaptive(...), "
            "or a list of those"
        )
    return Concurrency(value)


def _rate(value: Any) -> Rate:
    if isinstance(value, str):
        return Rate(*parsed_rate(value))
    if not isinstance(value, Rate):
        raise refused(f"rate={value!r} must be a text such as '100/m', a Rate(...), or a list of those")
    return value


def _breaker(value: Any) -> Breaker:
    if isinstance(value, str):
        return Breaker(value)
    if not isinstance(value, Breaker):
        raise refused(f"breaker={value!r} must be the name of one, a Breaker(...), or a list of those")
    return value


def _tagged(limit: Adaptive) -> dict[str, Any]:
    return {"kind": "adaptive", **limit.dump()}


def _loaded(stored: Mapping[str, Any]) -> Limit:
    said = dict(stored)
    kind = said.pop("kind", None)
    if kind == "adaptive":
        return Adaptive.load(said)
    if kind not in _KINDS:
        msg = f"the job has a limit of the kind {kind!r}, which Lineshaft {VERSION} does not know; upgrade it here"
        raise UnknownTaskError(msg)
    return cast(Limit, _KINDS[kind](**said))
