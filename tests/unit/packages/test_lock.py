"""What is written to a lock is read back, differences are named, and mistakes are errors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import ImageError
from lab.model import ARCHITECTURES
from lab.packages import lock
from lab.packages.lock import Drift, Lock, Pin
from lab.workshop import questions

NAMES = st.text("abz09+.-", min_size=1, max_size=6)
VERSIONS = st.text("019:.+~-a", min_size=1, max_size=5)
HASHES = st.integers(0, (1 << 256) - 1).map("{:064x}".format)
PINS = st.builds(
    Pin, NAMES, VERSIONS, st.sampled_from(["amd64", "all", "source"]), HASHES,
    st.integers(0, 1 << 32), NAMES,
)  # fmt: skip
SETS = st.lists(PINS, max_size=4, unique_by=lambda pin: (pin.name, pin.arch)).map(tuple)
LOCKS = st.builds(
    Lock, SETS, st.dictionaries(NAMES, SETS, max_size=2),
    st.dictionaries(NAMES, HASHES, max_size=4), st.just("20261122T120000Z"),
)  # fmt: skip

ONE = Pin("make", "4.4", "amd64", "a" * 64, 3, "make_4.4_amd64.deb")


@given(LOCKS)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, made: Lock) -> None:
    """Exactly, and with the same identity."""
    path = tmp_path_factory.mktemp("lock") / lock.NAME
    path.write_text(lock.dump(made))
    assert lock.load(path) == made
    assert lock.load(path).digest == made.digest
    assert list(lock.changes(made, lock.load(path))) == []


@given(LOCKS)
def test_a_package_is_a_line(made: Lock) -> None:
    """A change reads well in version control."""
    lines = [line.strip().rstrip(",") for line in lock.dump(made).splitlines()]
    pins = [json.loads(line) for line in lines if line.startswith('{"name"')]
    assert len(pins) == sum(map(len, (made.toolchain, *made.archives.values())))


@given(SETS, st.data())
def test_any_other_byte_is_another_lock(pins: tuple[Pin, ...], data: st.DataObject) -> None:
    """Its identity depends on every field. If only a hash differs, that is a contradiction."""
    if not pins:
        return
    at = data.draw(st.integers(0, len(pins) - 1))
    other = dataclasses.replace(pins[at], sha256=data.draw(HASHES))
    changed = (*pins[:at], other, *pins[at + 1 :])
    same = other == pins[at]
    assert (Lock(changed).digest == Lock(pins).digest) == same
    assert (lock.contradiction(pins, changed) is None) == same
    assert lock.drift(pins, changed) == []
    assert bool(list(lock.changes(Lock(pins), Lock(changed)))) != same


@given(SETS, SETS)
def test_drift_is_what_is_not_in_both(old: tuple[Pin, ...], new: tuple[Pin, ...]) -> None:
    """Nothing is forgotten and nothing is made up. The order does not matter."""
    found = lock.drift(old, new)
    assert sorted(found, key=str) == sorted(lock.drift(old[::-1], new[::-1]), key=str)
    back = [Drift(one.name, one.arch, one.found, one.locked) for one in found]
    assert back == lock.drift(new, old)
    versions = {(pin.name, pin.arch): pin.version for pin in old}
    for one in found:
        assert versions.pop((one.name, one.arch), "") == one.locked
        if one.found:
            versions[one.name, one.arch] = one.found
    assert versions == {(pin.name, pin.arch): pin.version for pin in new}


@given(SETS)
def test_the_order_of_pins_has_no_part_in_their_identity(pins: tuple[Pin, ...]) -> None:
    assert lock.digest_of(pins) == lock.digest_of(pins[::-1])
    assert lock.toolchain_key(pins) == lock.toolchain_key(pins[::-1])


def test_images_have_no_part_in_the_identity() -> None:
    """They follow from the packages and from our own recipes."""
    assert Lock((ONE,), images={"a": "b"}).digest == Lock((ONE,), snapshot="x").digest


def test_changes_are_a_line_each() -> None:
    """Versions, bytes, images."""
    newer = dataclasses.replace(ONE, version="4.5", file="make_4.5_amd64.deb")
    bytes_ = dataclasses.replace(ONE, sha256="b" * 64)
    before = Lock((ONE,), {"s/source": (ONE,)}, {"xen": "1" * 64, "old": "2" * 64})
    after = Lock((newer,), {"s/source": (bytes_,)}, {"xen": "3" * 64})
    assert list(lock.changes(before, after)) == [
        "toolchain: make (amd64): 4.4 → 4.5",
        f"s/source: make 4.4 (amd64), make_4.4_amd64.deb: sha256 {'a' * 16} → {'b' * 16}",
        f"image old: {'2' * 16} → none",
        f"image xen: {'1' * 16} → {'3' * 16}",
    ]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "toolchain": [{"name": "x"}]}',
     '{"format": 1, "snapshot": "", "toolchain": 3, "archives": {}, "images": {}}',
     '{"format": 1, "snapshot": "", "toolchain": [], "archives": [], "images": {}}'],
)  # fmt: skip
def test_what_is_no_lock_is_said(tmp_path: Path, text: str) -> None:
    """With its path and what to do."""
    path = tmp_path / lock.NAME
    path.write_text(text)
    with pytest.raises(ImageError, match=r"labs\.lock cannot be read") as caught:
        lock.load(path)
    assert "--update" in caught.value.hint


def test_the_one_beside_labs_yaml_wins(tmp_path: Path, root: Path) -> None:
    """Otherwise the one that ships is used."""
    assert lock.place(tmp_path / "labs.yaml") == root / lock.NAME
    (tmp_path / lock.NAME).write_text(lock.dump(Lock()))
    assert lock.place(tmp_path / "labs.yaml") == tmp_path / lock.NAME


def test_the_one_that_ships_is_whole(root: Path) -> None:
    """Everything that is asked for is pinned, and no archive is named."""
    pins = lock.load(root / lock.NAME)
    everything = (*pins.toolchain, *(pin for part in pins.archives.values() for pin in part))
    assert all(len(pin.sha256) == 64 and pin.version and pin.size for pin in everything)
    parts = {"bookworm/armhf", "bookworm/armhf/tools", "bookworm/source", "trixie/source"}
    more = {question.name for arch in ARCHITECTURES[1:] for question in questions.of(arch)}
    parts.add(questions.PAGE.name)
    assert parts <= set(pins.archives) <= parts | more
    text = (root / lock.NAME).read_text()
    assert "://" not in text
    assert "debian.org" not in text
    assert text == lock.dump(pins)
