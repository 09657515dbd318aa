"""The demo's real input: the standard library's files, the ones that do not parse among them."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

KNOWN_DAMAGED: Final = frozenset({"bad_coding.py", "bad_coding2.py", "badsyntax_pep3120.py", "badsyntax_3131.py"})
"""Files of CPython's own test suite that do not parse on purpose."""

COPIES: Final = "damaged-copies"
"""The folder of the copies that the demo damages itself; its name is their label everywhere."""

_NOT_THE_LIBRARY: Final = frozenset({"site-packages", "dist-packages", "__pycache__"})
_DAMAGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "unknown_encoding": lambda source: b"# coding: no-such-encoding\n" + source,
    "not_utf8": lambda source: source + b"\n# caf\xe9\n",
    "open_bracket": lambda source: source + b"\nprint((\n",
}


def library_root() -> Path:
    """Return the folder of the running interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def python_files(root: Path) -> list[str]:
    """Return the path of every Python file below `root`, relative to it, with forward slashes, sorted.

    Installed packages (`site-packages`) are not part of the library and are left out.
    """
    return sorted(_walk(root))


def _walk(root: Path) -> Iterator[str]:
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _NOT_THE_LIBRARY]
        inside = Path(folder).relative_to(root)
        yield from ((inside / name).as_posix() for name in files if name.endswith(".py"))


def ships_damaged(names: Sequence[str]) -> bool:
    """Tell whether CPython's own damaged files are among the names; without its test suite they are not."""
    return any(_is_damaged(name) for name in names)


def choose(names: Sequence[str], limit: int | None) -> list[str]:
    """Return at most `limit` of the names (None: all): the damaged ones first, the rest spread over the tree."""
    damaged = [name for name in names if _is_damaged(name)]
    sound = [name for name in names if not _is_damaged(name)]
    if limit is None or limit >= len(names):
        return damaged + sound
    wanted = max(0, limit - len(damaged))
    return damaged[:limit] + [sound[index * len(sound) // wanted] for index in range(wanted)]


def _is_damaged(name: str) -> bool:
    return name.rpartition("/")[2] in KNOWN_DAMAGED


def damage_copies(root: Path, names: Sequence[str], directory: Path) -> list[str]:
    """Write damaged copies of the first files of the library and return their paths relative to `directory`.

    They stand in for the damaged files of a test suite that this interpreter ships without.
    """
    (directory / COPIES).mkdir(parents=True, exist_ok=True)
    return [
        _damage(root / name, directory, damage) for name, damage in zip(_sources(root, names), _DAMAGES, strict=False)
    ]


def _sources(root: Path, names: Sequence[str]) -> Iterator[str]:
    return (name for name in names if "/" not in name and name[0].isalpha() and (root / name).stat().st_size)


def _damage(source: Path, directory: Path, damage: str) -> str:
    name = f"{COPIES}/{source.stem}_{damage}.py"
    (directory / name).write_bytes(_DAMAGES[damage](source.read_bytes()))
    return name
