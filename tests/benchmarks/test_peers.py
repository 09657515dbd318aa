from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.harness.peers import UnknownPeerError, find_peers, read_peer, subjects

DESCRIPTION = """
import nowhere_to_be_found

TITLE = "Some (Redis)"
PACKAGES = ("some", "redis")
STORE = "Redis"
KEEPS_RESULT = False
SETTINGS = "as " "documented"
VARIANTS = ("one", "two")
DRAIN_SLOTS = {"one": 3}

client = nowhere_to_be_found.Client()

def enqueue_many(task, numbers): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "peer_some.py").write_text(DESCRIPTION)
    (tmp_path / "peer_other_thing.py").write_text(re.sub("VARIANTS.*|DRAIN_SLOTS.*|def .*", "", DESCRIPTION))
    return tmp_path


def test_a_peer_is_read_without_its_packages(folder: Path) -> None:
    """A description is understood although nothing that the module imports is installed."""
    peer = read_peer(folder / "peer_some.py")
    assert (peer.name, peer.title, peer.packages) == ("some", "Some (Redis)", ("some", "redis"))
    assert (peer.store, peer.keeps_result, peer.settings) == ("Redis", False, "as documented")
    assert peer.has_bulk
    assert not peer.is_ours


def test_what_a_peer_leaves_out_has_its_default(folder: Path) -> None:
    """Without variants there is one of no name, with the default slots and no bulk call."""
    [subject] = subjects([read_peer(folder / "peer_other_thing.py")])
    assert (subject.name, subject.slots, subject.peer.has_bulk) == ("other-thing", 100, False)


def test_each_variant_is_a_subject(folder: Path) -> None:
    """A peer with two variants is measured twice; the first stands for the client's side."""
    found = subjects([read_peer(folder / "peer_some.py")])
    assert [one.label for one in found] == ["Some one (Redis)", "Some two (Redis)"]
    assert [(one.name, one.is_first, one.slots) for one in found] == [("some-one", True, 3), ("some-two", False, 100)]


@pytest.mark.parametrize(
    "only, names",
    [(["some"], ["some-one", "some-two"]), (["some-two", "other-thing"], ["other-thing", "some-two"])],
)
def test_peers_and_variants_can_be_chosen(folder: Path, only: list[str], names: list[str]) -> None:
    """A peer's name stands for all its variants, a variant's for itself."""
    assert [one.name for one in subjects(find_peers(folder), only)] == names


def test_an_unknown_name_is_refused_with_the_known_ones(folder: Path) -> None:
    """Who misspells a peer is told which there are."""
    with pytest.raises(UnknownPeerError, match="no peer is called sme; there are other-thing, some, some-one"):
        subjects(find_peers(folder), ["sme"])


def test_an_incomplete_description_is_refused(tmp_path: Path) -> None:
    """A peer's file without a constant that the tables need names the constant."""
    file = tmp_path / "peer_half.py"
    file.write_text('TITLE = "Half"\nPACKAGES = ()\n')
    with pytest.raises(ValueError, match=r"peer_half\.py has no STORE"):
        read_peer(file)


def test_the_committed_peers_are_complete() -> None:
    """Every file of benchmarks/peers describes itself, and Lineshaft stands among them on both stores."""
    ours = {peer.store for peer in find_peers() if peer.is_ours}
    assert ours == {"SQLite", "PostgreSQL"}
