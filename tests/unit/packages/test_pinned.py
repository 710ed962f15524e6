"""Which packages are used under a lock: locked, from a snapshot, newer, or none."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest
from test_archive import FakeArchive

from lab.errors import ImageError, LockError, ToolchainError
from lab.model import Command, Completed, Toolchain
from lab.packages import pinned
from lab.packages.answers import Resolution
from lab.packages.archive import Question
from lab.packages.lock import Drift, Pin
from lab.packages.pinned import Rules, Settled
from lab.util import debian

QUESTION = Question("bookworm", "armhf", ("xen-utils",), keep=("xen*", "b*"))


class Archive(FakeArchive):
    """An archive with versions, and perhaps a snapshot of older ones."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshot: dict[str, bytes] = {}

    def run(self, command: Command) -> Completed:
        if not any(word.startswith("--snapshot") for word in command.argv):
            return super().run(command)
        if not self.snapshot:
            raise ToolchainError("apt-get failed", tail="Could not resolve")
        newest, self.files = self.files, self.snapshot
        try:
            plain = [word for word in command.argv if not word.startswith(("-o", "Acquire"))]
            return super().run(dataclasses.replace(command, argv=plain))
        finally:
            self.files = newest


def deb(name: str, version: str) -> tuple[str, bytes]:
    return f"{name}_{version}_armhf.deb", f"{name} {version}".encode()


def pin(name: str, version: str, data: bytes | None = None) -> Pin:
    file, content = deb(name, version)
    data = content if data is None else data
    return Pin(name, version, "armhf", hashlib.sha256(data).hexdigest(), len(data), file)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setattr(debian, "archive_of_this_machine", lambda: "http://a.test/debian")
    monkeypatch.setattr(debian, "proxies_of_this_machine", lambda: ())
    made = Archive()
    for name, version in (("xen-utils", "2"), ("busybox", "1"), ("dpkg", "1")):
        made.add(*deb(name, version))
    return made


LOCKED = (pin("busybox", "1"), pin("xen-utils", "2"))
OLDER = (pin("busybox", "1"), pin("xen-utils", "1"))
DRIFT = Drift("xen-utils", "armhf", "1", "2")


def settle(served: Archive, cache: Path, pins: tuple[Pin, ...], **rules: Any) -> Settled:
    toolchain: Toolchain = served  # type: ignore[assignment]
    return pinned.settle(toolchain, cache, QUESTION, pins, Rules(**rules))


def test_the_locked_ones_are_had_and_then_nobody_is_asked(served: Archive, tmp_path: Path) -> None:
    """A lab starts without network."""
    found = settle(served, tmp_path, LOCKED, strict=True)
    assert found == Settled(Resolution("bookworm", "armhf", LOCKED))
    served.calls.clear()
    assert settle(served, tmp_path, LOCKED) == found
    assert served.calls == []


def test_files_that_are_there_need_no_archive(served: Archive, tmp_path: Path) -> None:
    """This holds for a lock that is new to the cache, too."""
    settle(served, tmp_path, LOCKED)
    served.broken = "Could not connect"
    assert settle(served, tmp_path, LOCKED[:1][::-1] + LOCKED[1:]).drift == ()
    only = dataclasses.replace(QUESTION, wanted=("xen-utils", "busybox"))
    toolchain: Toolchain = served  # type: ignore[assignment]
    assert pinned.settle(toolchain, tmp_path, only, LOCKED, Rules()).drift == ()


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("at", [0, 1])
def test_one_wrong_hash_names_the_package(
    served: Archive, tmp_path: Path, at: int, cached: bool
) -> None:
    """With everything cached, and with nothing."""
    if cached:
        settle(served, tmp_path, LOCKED)
        served.broken = "Could not connect"
    wrong = dataclasses.replace(LOCKED[at], sha256="0" * 64)
    pins = (*LOCKED[:at], wrong, *LOCKED[at + 1 :])
    with pytest.raises(LockError, match=f"{wrong.name} {wrong.version}.*{'0' * 64}") as caught:
        settle(served, tmp_path, pins)
    assert "restore" in caught.value.hint


def test_a_replaced_version_drifts(served: Archive, tmp_path: Path) -> None:
    """The drift is reported again when the answer comes from the cache."""
    assert settle(served, tmp_path, OLDER).drift == (DRIFT,)
    served.calls.clear()
    assert settle(served, tmp_path, OLDER).drift == (DRIFT,)
    assert served.calls == []


def test_a_replaced_version_is_an_error_where_drift_is_forbidden(
    served: Archive, tmp_path: Path
) -> None:
    """It names the package, also without network, and also if a drifted one is cached."""
    with pytest.raises(LockError, match=r"xen-utils \(armhf\): 1 → 2"):
        settle(served, tmp_path, OLDER, strict=True)
    settle(served, tmp_path, OLDER)
    served.broken = "Could not connect"
    with pytest.raises(LockError, match=r"xen-utils \(armhf\): 1 → 2"):
        settle(served, tmp_path, OLDER, strict=True)


def test_a_snapshot_comes_before_drift(served: Archive, tmp_path: Path) -> None:
    """It is asked only if the archive has other versions."""
    served.snapshot = dict([deb("busybox", "1"), deb("xen-utils", "1")])
    assert settle(served, tmp_path, OLDER, snapshot="20250101T000000Z").drift == ()


def test_a_drifted_lab_comes_back(served: Archive, tmp_path: Path) -> None:
    """If the archive or its snapshots have the locked ones again, strict rules take them."""
    settle(served, tmp_path, OLDER, snapshot="20250101T000000Z")
    served.snapshot = dict([deb("busybox", "1"), deb("xen-utils", "1")])
    assert settle(served, tmp_path, OLDER, snapshot="20250101T000000Z", strict=True).drift == ()
    served.broken = "Could not connect"
    assert settle(served, tmp_path, OLDER).drift == ()


def test_an_archive_out_of_reach_is_no_drift(served: Archive, tmp_path: Path) -> None:
    """Then nothing is decided."""
    served.broken = "Could not connect"
    with pytest.raises(ImageError, match="could not get"):
        settle(served, tmp_path, OLDER)
    served.broken = ""
    assert settle(served, tmp_path, LOCKED).drift == ()


def test_a_lock_that_lacks_what_is_wanted_drifts(served: Archive, tmp_path: Path) -> None:
    """It is older than the recipe: the added packages are named."""
    settle(served, tmp_path, LOCKED)
    drift = settle(served, tmp_path, LOCKED[:1]).drift
    assert drift == (Drift("xen-utils", "armhf", "", "2"),)


def test_without_pins_the_newest_are_taken(served: Archive, tmp_path: Path) -> None:
    """That is no drift."""
    found = settle(served, tmp_path, (), strict=True)
    assert found.drift == ()
    assert [one.version for one in found.resolution.pins] == ["1", "2"]


def ahead(served: Archive, cache: Path, pins: tuple[Pin, ...]) -> bool:
    toolchain: Toolchain = served  # type: ignore[assignment]
    return pinned.fetch_ahead(toolchain, cache, QUESTION, pins)


def test_what_was_fetched_ahead_is_not_asked_for_again(served: Archive, tmp_path: Path) -> None:
    """The command after a first start finds the question settled, and its files there."""
    assert ahead(served, tmp_path, LOCKED)
    served.calls.clear()
    assert settle(served, tmp_path, LOCKED, strict=True) == Settled(
        Resolution("bookworm", "armhf", LOCKED)
    )
    assert served.calls == []


def test_only_the_locked_ones_are_fetched_ahead(served: Archive, tmp_path: Path) -> None:
    """Whether a lab may drift is decided later."""
    assert not ahead(served, tmp_path, OLDER)
    assert not ahead(served, tmp_path, ())
    assert pinned.remembered(tmp_path, QUESTION, OLDER) is None
    other = (pin("busybox", "1", b"other"), *LOCKED[1:])
    assert not ahead(served, tmp_path, other)
    settle(served, tmp_path, LOCKED)
    with pytest.raises(LockError, match="busybox"):
        ahead(served, tmp_path, other)
