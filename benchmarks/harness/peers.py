"""What there is to be measured: the files of `benchmarks/peers`, read without being imported.

A peer's module needs its own packages, which the harness does not have; its constants are literals.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[1] / "peers"
DEFAULT_SLOTS: Final = 100


@dataclass(frozen=True, slots=True)
class Peer:
    """One system on one store, as its file describes it."""

    file: Path
    title: str
    packages: tuple[str, ...]
    python: tuple[int, int]
    """The oldest Python that it installs on."""
    store: str
    keeps_result: bool
    settings: str
    variants: tuple[str, ...]
    slots: dict[str, int]
    has_bulk: bool

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.file.stem.removeprefix("peer_").replace("_", "-")

    @property
    def is_ours(self) -> bool:
        """Whether it is Lineshaft, which the repository's own environment has."""
        return not self.packages


@dataclass(frozen=True, slots=True)
class Subject:
    """A peer in one of its variants."""

    peer: Peer
    variant: str

    @property
    def name(self) -> str:
        """Its name in results, such as `celery-threads`."""
        return f"{self.peer.name}-{self.variant}" if self.variant else self.peer.name

    @property
    def label(self) -> str:
        """Its name in tables, such as `Celery threads (Redis)`."""
        title = self.peer.title.removesuffix(f"({self.peer.store})").strip()
        return f"{title} {self.variant}".strip() + f" ({self.peer.store})"

    @property
    def slots(self) -> int:
        """How many jobs at once serve it best."""
        return self.peer.slots.get(self.variant, DEFAULT_SLOTS)

    @property
    def is_first(self) -> bool:
        """Whether it stands for its peer where the variant makes no difference: the client's side."""
        return self.variant == self.peer.variants[0]


class UnknownPeerError(Exception):
    """A name was asked for that no file has."""


def find_peers(folder: Path = FOLDER) -> list[Peer]:
    """Return the peers of a folder, by name."""
    return [read_peer(file) for file in sorted(folder.glob("peer_*.py"))]


def read_peer(file: Path) -> Peer:
    """Read a peer's description; raises `ValueError` when it is incomplete."""
    tree = ast.parse(file.read_text("utf-8"), str(file))
    constants = dict(_constants(tree))
    try:
        return Peer(
            file=file,
            title=constants["TITLE"],
            packages=constants["PACKAGES"],
            python=constants.get("REQUIRES_PYTHON", (3, 11)),
            store=constants["STORE"],
            keeps_result=constants["KEEPS_RESULT"],
            settings=constants["SETTINGS"],
            variants=constants.get("VARIANTS", ("",)),
            slots=constants.get("DRAIN_SLOTS", {}),
            has_bulk="enqueue_many" in set(_names(tree)),
        )
    except KeyError as missing:
        msg = f"{file.name} has no {missing.args[0]}, or it is not a literal"
        raise ValueError(msg) from missing


def subjects(peers: Iterable[Peer], only: Iterable[str] = ()) -> list[Subject]:
    """Return the peers' variants, only those of the given names (a peer's or a variant's) if there are any.

    Raises `UnknownPeerError`, naming those that exist.
    """
    every = [Subject(peer, variant) for peer in peers for variant in peer.variants]
    wanted = set(only)
    known = {one.name for one in every} | {one.peer.name for one in every}
    if wanted - known:
        msg = f"no peer is called {', '.join(sorted(wanted - known))}; there are {', '.join(sorted(known))}"
        raise UnknownPeerError(msg)
    return [one for one in every if not wanted or {one.name, one.peer.name} & wanted]


def _constants(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                yield node.targets[0].id, ast.literal_eval(node.value)
            except ValueError:
                continue  # not a description but a part of the program


def _names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
