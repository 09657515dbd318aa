"""A task's signature: binds a call, stores its arguments and result, and rebuilds them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec

from lineshaft.errors import ArgumentsError, ConfigError
from lineshaft.payload.parameters import described, read_signature
from lineshaft.payload.picking import MISSING, Picker, check_path
from lineshaft.payload.plan import Fit, Plan
from lineshaft.payload.wire import DEFAULT_LIMIT, encode, load_plain, too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lineshaft.payload.codecs import Codecs


class Signature:
    """Knows how to store and rebuild the arguments and the result of one task.

    Annotations are resolved at first use, not at definition: by then every name exists that ever will, and every
    codec is added. Values are checked when they are stored, so that what `dump` takes, `load` gives back.

    Args:
        func: The task's function.
        codecs: The app's codecs; those added later count too.
        name: The task's name, for messages.
        injected: The names of parameters that the worker fills.
        limit: The largest stored text of a call or of a result, in bytes of UTF-8.

    Raises:
        TaskError: An injected parameter stands where it cannot be filled by name.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        codecs: Codecs,
        *,
        name: str,
        injected: frozenset[str] = frozenset(),
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        self.name = name
        self._func = func
        self._codecs = codecs
        self._injected = injected
        self._limit = limit
        self._signature = read_signature(func, injected)
        self._fit = Fit.of(self._signature)
        self._plan: Plan | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that a caller may give, in order, `*args` and `**kwargs` by their bare names."""
        return tuple(self._signature.parameters)

    def dump(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Bind a call and return its stored text, `[[positional…],{keyword…}]`.

        Args:
            args: The positional arguments.
            kwargs: The keyword arguments.

        Raises:
            ArgumentsError: An argument is missing, unexpected, or not of its annotation's type.
            PayloadError: An argument cannot be stored, or would come back as something else.
            PayloadTooLargeError: The text is larger than the limit.
        """
        plan = self._planned()
        self.check(args, kwargs)
        try:
            encoded = self._codecs.encoder.encode(plan.packed(args, kwargs))
        except (UnicodeEncodeError, ValueError):  # a lone surrogate, or an int of thousands of digits: say in which
            encoded = self._codecs.encoder.encode(plan.packed_with_care(args, kwargs))
        if len(encoded) > self._limit:
            raise too_large(
                f"the arguments of task {self.name!r}",
                len(encoded),
                self._limit,
                plan.parts(args, kwargs),
                self._codecs,
            )
        return encoded.decode()

    def load(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Rebuild the arguments of a stored call by the annotations of today.

        Args:
            text: What `dump` gave, maybe under an older signature.

        Raises:
            ArgumentsError: The call no longer fits the signature.
        """
        return self.rebuild(*load_plain(text))

    def rebuild(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Rebuild arguments that came as plain JSON values, from a store or from a client of the HTTP API.

        Args:
            args: The positional arguments, as JSON values.
            kwargs: The keyword arguments, as JSON values.

        Raises:
            ArgumentsError: The arguments do not fit the signature.
        """
        plan = self._planned()
        self.check(args, kwargs)
        return plan.rebuilt(args, kwargs)

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse a call that the function would not take.

        Raises:
            ArgumentsError: An argument is missing, unexpected or given twice, or is one that the worker fills.
        """
        if self._fit.takes(args, kwargs):
            return
        for name in self._injected & kwargs.keys():
            raise ArgumentsError(f"argument {name!r} of task {self.name!r} is filled by the worker; do not pass it")
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            form = described(self.name, self._signature)
            raise ArgumentsError(f"task {self.name!r}: {error}; call it as {form}") from None

    def dump_result(self, value: Any) -> str:
        """Return the stored text of what the function returned: its JSON form, whatever the annotation says.

        Raises:
            PayloadError: The value cannot be stored.
            PayloadTooLargeError: The text is larger than the limit.
        """
        if value is None:
            return "null"
        what = f"the return value of task {self.name!r}"
        encoded = encode(value, self._codecs, what, "result")
        if len(encoded) > self._limit:
            raise too_large(what, len(encoded), self._limit, (), self._codecs)
        return encoded.decode()

    def load_result(self, text: str) -> Any:
        """Rebuild a result by the return annotation; what does not fit it comes back as plain JSON values.

        Args:
            text: What `dump_result` gave.
        """
        raw = msgspec.json.decode(text)
        shape = self._planned().returns
        if type(raw) in shape.exact:
            return raw
        try:
            return shape.load(raw)
        except ArgumentsError:
            return raw

    def key(self, args: Sequence[Any], kwargs: Mapping[str, Any], by: Iterable[str] | None = None) -> str:
        """Return one canonical JSON text of chosen arguments: equal for calls that mean the same.

        Positional or by name, given or left to the default, makes no difference. A default that cannot be stored is
        left out.

        Args:
            args: The positional arguments.
            kwargs: The keyword arguments.
            by: The names of the parameters that count; None for all.

        Raises:
            ArgumentsError: The arguments do not fit the signature.
            ConfigError: `by` names what is no parameter.
            PayloadError: An argument cannot be stored.
        """
        plan = self._planned()
        self.check(args, kwargs)
        chosen = self._chosen(by)
        values = self._defaults(args, kwargs) | plan.canonical(args, kwargs)
        if chosen is not None:
            values = {name: value for name, value in values.items() if name in chosen}
        ordered = msgspec.to_builtins(values, enc_hook=self._codecs.dump_hook, str_keys=True, order="sorted")
        return msgspec.json.encode(ordered, order="sorted").decode()

    def check_path(self, path: str) -> None:
        """Refuse a path that leads to no single argument; annotations are not looked at.

        Args:
            path: A parameter's name, then names inside it, each behind a dot.

        Raises:
            ConfigError: No parameter has that name, or it collects several.
        """
        check_path(self.name, self._signature, path)

    def picker(self, path: str) -> Picker:
        """Return what takes one value out of stored arguments.

        Args:
            path: As for `check_path`.

        Raises:
            ConfigError: As by `check_path`.
        """
        self.check_path(path)
        return Picker(self.name, self._signature, path, self._stored_default(path.partition(".")[0]))

    def _stored_default(self, name: str) -> Any:
        parameter = self._signature.parameters.get(name)
        if (
            parameter is None
            or parameter.default is inspect.Parameter.empty
            or not self._is_storable(parameter.default)
        ):
            return MISSING
        return msgspec.json.decode(self._codecs.encoder.encode(parameter.default))

    def _chosen(self, by: Iterable[str] | None) -> frozenset[str] | None:
        if by is None:
            return None
        chosen = frozenset(by)
        unknown = sorted(chosen - self._signature.parameters.keys())
        if unknown and not self._fit.takes_any_name:
            names = ", ".join(map(repr, unknown))
            known = ", ".join(self.names) or "no parameters"
            raise ConfigError(f"{names} in by= is no parameter of task {self.name!r}; it has {known}")
        return chosen

    def _defaults(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        given = self._signature.bind(*args, **kwargs).arguments
        return {
            name: parameter.default
            for name, parameter in self._signature.parameters.items()
            if name not in given
            and parameter.default is not inspect.Parameter.empty
            and self._is_storable(parameter.default)
        }

    def _is_storable(self, default: Any) -> bool:
        try:
            self._codecs.encoder.encode(default)
        except Exception:  # noqa: BLE001 - a sentinel object, say; a codec may raise anything
            return False
        return True

    def _planned(self) -> Plan:
        plan = self._plan
        if plan is None:
            # Two threads may plan at once: their plans are equal, and either may stay.
            plan = self._plan = Plan(self._func, self._signature, self._codecs, self.name)
        return plan
