"""Which tree is used for which lock: the locked one, one from elsewhere, or a newer one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lab.errors import LockError, ToolchainError
from lab.packages.lock import Pin
from lab.toolchain import tree, tree_cache
from lab.toolchain.tree_cache import CachedTree
from lab.util import debian, files
from toolchain.conftest import Fakes


@pytest.fixture(autouse=True)
def archive(monkeypatch: pytest.MonkeyPatch, fakes: Fakes) -> None:
    monkeypatch.setattr(debian, "archive_of_this_machine", lambda: None)
    monkeypatch.setattr(debian, "proxies_of_this_machine", lambda: ())
    fakes.archive("make_4.4_amd64.deb")


def make(cache: Path, *locked: Pin, strict: bool = False) -> CachedTree:
    return tree.make(cache, lambda _: None, locked, tree.Wanted(strict=strict))


@pytest.fixture
def now(tmp_path: Path) -> Pin:
    """The packages that the archive has."""
    (found,) = make(tmp_path / "other").pins
    return found


@pytest.fixture
def old(now: Pin) -> Pin:
    """The packages that it had."""
    return dataclasses.replace(now, version="4.3", sha256="0" * 64, file="make_4.3_amd64.deb")


def test_the_locked_versions_are_asked_for(tmp_path: Path, now: Pin, fakes: Fakes) -> None:
    """All of them by version, and nothing else. The tree is found again for the same lock, and
    made once."""
    before = len(fakes.made())
    made = make(tmp_path, now, strict=True)
    assert made.pins == (now,)
    assert tree_cache.find(tmp_path, [now], strict=True) == made
    assert make(tmp_path, now) == made
    asked = fakes.made()[before:]
    assert len(asked) == 1
    assert asked[0][asked[0].index("install") + 1 :] == ["make=4.4"]


@pytest.mark.parametrize("cached", [True, False])
def test_other_bytes_name_the_package(tmp_path: Path, now: Pin, cached: bool) -> None:
    """Whether the tree exists or is being made. Nothing of it is kept then."""
    if cached:
        make(tmp_path, now)
    with pytest.raises(LockError, match=r"package make 4\.4 .*labs\.lock"):
        make(tmp_path, dataclasses.replace(now, sha256="0" * 64))
    assert len([*(tmp_path / "toolchain").glob("*/tree")]) == cached


def test_a_replaced_version_drifts(tmp_path: Path, now: Pin, old: Pin, fakes: Fakes) -> None:
    """The newest is made for this lock, and is found again for it and for its own."""
    made = make(tmp_path, old)
    assert made.pins == (now,)
    calls = len(fakes.calls("mmdebstrap"))
    assert tree_cache.find(tmp_path, [old]) == make(tmp_path, old) == made
    assert tree_cache.find(tmp_path, [now], strict=True) == made
    assert tree_cache.find(tmp_path, [old], strict=True) is None
    assert len(fakes.calls("mmdebstrap")) == calls


def test_nothing_cached_is_used_under_another_lock(tmp_path: Path, now: Pin, old: Pin) -> None:
    """Only what was chosen for this lock is used."""
    make(tmp_path, old)
    assert tree_cache.find(tmp_path, [dataclasses.replace(old, version="4.2")]) is None
    assert tree_cache.find(tmp_path, [dataclasses.replace(now, version="4.2")]) is None


def test_strict_forbids_drift(tmp_path: Path, old: Pin, fakes: Fakes) -> None:
    """It names the package before anything is fetched, even if a drifted tree exists."""
    made = len(fakes.made())
    with pytest.raises(LockError, match=r"make \(amd64\): 4\.3 → 4\.4"):
        make(tmp_path, old, strict=True)
    assert not [*(tmp_path / "toolchain").glob("*/tree")]
    # What asks for a snapshot is all that was made, and it is gone.
    assert [call for call in fakes.made()[made:] if "make=4.4" in str(call)] == []
    make(tmp_path, old)
    calls = len(fakes.made())
    with pytest.raises(LockError, match=r"make \(amd64\): 4\.3 → 4\.4"):
        make(tmp_path, old, strict=True)
    assert len(fakes.made()) == calls


def test_what_the_archive_has_may_be_there_already(
    tmp_path: Path, now: Pin, old: Pin, fakes: Fakes
) -> None:
    """A tree of exactly these packages is used for another lock too; nothing is fetched."""
    made = make(tmp_path, now)
    calls = len(fakes.made())
    assert make(tmp_path, old) == made
    assert tree_cache.find(tmp_path, [old]) == made
    assert len(fakes.made()) == calls


@pytest.fixture
def older(tmp_path: Path, old: Pin, fakes: Fakes) -> tuple[Path, Pin]:
    """A file of the locked version from elsewhere, which can be unpacked, and its pin."""
    deb = tmp_path / "make_4.3_amd64.deb"
    deb.write_text("older")
    fakes.add("dpkg-deb", 'print("tar")')
    fakes.add("tar", UNPACK)
    return deb, dataclasses.replace(old, sha256=files.sha256_file(deb), size=5)


#: tar, which leaves what every tree needs.
UNPACK = """
import pathlib
sys.stdin.read()
top = pathlib.Path(next(a for a in sys.argv if '/tree' in a)[12:]) / "usr/share/base-passwd"
top.mkdir(parents=True, exist_ok=True)
for name in ("passwd", "group"):
    (top / (name + ".master")).write_text(name)
"""


def test_older_files_from_elsewhere_come_before_drift(
    tmp_path: Path, old: Pin, older: tuple[Path, Pin]
) -> None:
    """A small tree asks for them. They are unpacked and checked like any others."""
    deb, right = older
    asked: list[CachedTree] = []

    def files_of(asking: CachedTree) -> list[Path]:
        asked.append(asking)
        return [deb]

    with pytest.raises(LockError, match=r"package make 4\.3"):
        tree.make(tmp_path, lambda _: None, [old], tree.Wanted(older=files_of))
    made = tree.make(tmp_path, lambda _: None, [right], tree.Wanted(strict=True, older=files_of))
    assert made.pins == (right,)
    assert (made.path / "etc/apt/sources.list").is_file()
    assert not asked[-1].path.exists()  # it was for asking alone


def test_a_package_that_went_away_comes_from_elsewhere(
    tmp_path: Path, fakes: Fakes, older: tuple[Path, Pin]
) -> None:
    """The archive no longer has any version of it. If nobody has it, the error names it."""
    deb, right = older
    fakes.fail("--print-uris", 'sys.exit("E: Unable to locate package make")')
    made = tree.make(tmp_path, lambda _: None, [right], tree.Wanted(older=lambda _: [deb]))
    assert made.pins == (right,)
    with pytest.raises(ToolchainError, match="could not be made") as caught:
        tree.make(tmp_path / "other", lambda _: None, [right])
    assert "Unable to locate package make" in caught.value.tail
