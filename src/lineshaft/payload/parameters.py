"""What a task's function takes: its parameters without the injected ones, and their annotations."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from lineshaft.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An annotation whose names do not exist at run time, as under `if TYPE_CHECKING:`."""

    text: str


def read_signature(func: Callable[..., Any], injected: frozenset[str]) -> inspect.Signature:
    """Return a function's signature as its callers see it: without the injected parameters.

    The worker passes injected values by name, so what stands behind one can be passed by name only.

    Raises:
        TaskError: An injected parameter is positional-only, or stands before one that is, or `*args`.
    """
    if sys.version_info >= (3, 14):
        import annotationlib

        full = inspect.signature(func, annotation_format=annotationlib.Format.FORWARDREF)
    else:
        full = inspect.signature(func)
    kept: list[inspect.Parameter] = []
    behind = False
    for parameter in full.parameters.values():
        if parameter.name in injected:
            behind = True
            _refuse_unnamed(parameter, parameter.name)
        elif behind and parameter.kind in {*_POSITIONAL, inspect.Parameter.VAR_POSITIONAL}:
            _refuse_unnamed(parameter, next(iter(injected & full.parameters.keys())))
            kept.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        else:
            kept.append(parameter)
    return full.replace(parameters=kept)


def read_annotations(func: Callable[..., Any], signature: inspect.Signature) -> dict[str, Any]:
    """Return the resolved annotations of a signature by parameter, the return type under "return".

    What has none is `inspect.Parameter.empty`; what cannot be resolved now is `Unresolved`.
    """
    given = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    given["return"] = signature.return_annotation
    target = _plain_function(func)
    try:
        resolved = get_type_hints(target, include_extras=True)
    except Exception:  # noqa: BLE001 - an annotation may be any expression, and raise anything
        return {name: _resolve(annotation, target) for name, annotation in given.items()}
    return {name: resolved.get(name, annotation) for name, annotation in given.items()}


def described(name: str, signature: inspect.Signature) -> str:
    """Return a call's form for messages: `shop.render(document_id, *, draft=…)`."""
    bare = [
        parameter.replace(
            annotation=inspect.Parameter.empty,
            default=inspect.Parameter.empty if parameter.default is inspect.Parameter.empty else _Ellipsis(),
        )
        for parameter in signature.parameters.values()
    ]
    return f"{name}{inspect.Signature(bare)}"


class _Ellipsis:
    def __repr__(self) -> str:
        return "…"


def _refuse_unnamed(parameter: inspect.Parameter, injected: str) -> None:
    if parameter.kind in {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}:
        raise TaskError(
            f"the injected parameter {injected!r} is filled by name, so {parameter.name!r} cannot be positional-only "
            "or *args there; make the injected parameter keyword-only"
        )


def _plain_function(func: Callable[..., Any]) -> Any:
    while isinstance(func, functools.partial):
        func = func.func
    func = inspect.unwrap(func)
    return func if isinstance(func, types.FunctionType | types.MethodType) else type(func).__call__


def _resolve(annotation: Any, target: Any) -> Any:
    """Resolve one annotation by itself, so that a name missing in one does not spoil the others."""
    if annotation is inspect.Parameter.empty:
        return annotation
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    namespace: Mapping[str, Any] = getattr(target, "__globals__", {})
    try:
        return get_type_hints(holder, dict(namespace), include_extras=True)["it"]
    except Exception:  # noqa: BLE001 - as above
        return Unresolved(annotation if isinstance(annotation, str) else inspect.formatannotation(annotation))
