"""An archive that has moved on, in each way that archives do: what is printed, fetched and built.

Whatever Debian's own archive has today, these tests use one that is newer than the lock.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lab.api import Context
from lab.model import Package
from lab.packages import lock
from lab.packages.lock import Lock, Pin
from lab.toolchain import recipe, tree_cache
from lab.util import process
from lab.workshop.questions import PLATFORM
from system import locks, moved
from system.cache_copies import copy_finished
from system.moved import Archive, Listed, Machine, packed, pin_of
from system.world import LONGEST, ROOT, Said, World

#: What the lab asks a snapshot with. Here they are empty: nothing in them can be started.
ASKING = ("apt", "ca-certificates", "coreutils", "dash", "debian-archive-keyring")


@dataclass
class Small:
    """A checkout whose toolchain is one package, ``tool``, and the contents of an empty system."""

    checkout: Path
    archive: Archive
    others: tuple[Listed, ...]
    old: Listed
    new: Listed

    def lock(self, *listed: Listed) -> None:
        """Write a ``labs.lock`` that pins these."""
        pins = tuple(sorted((one.pin for one in listed), key=lambda pin: pin.name))
        (self.checkout / lock.NAME).write_text(lock.dump(Lock(toolchain=pins)))

    def make(self, cache: str, *words: str, status: int = 0) -> Said:
        """Run ``toolchain.build`` with its own cache."""
        line = [*self.archive.machine(), sys.executable, "-m", "lab", "toolchain.build", *words]
        env = self.archive.environment(self.cache(cache))
        done = process.run(line, cwd=self.checkout, env=env, timeout=LONGEST)
        said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
        return said.expect(status)

    def cache(self, name: str) -> Path:
        return self.checkout / "caches" / name

    def tool(self, cache: str) -> str:
        """The content of the tool in a cache's toolchain."""
        (found,) = self.cache(cache).glob("toolchain/*/tree/usr/bin/tool")
        return found.read_text()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Archive(tmp_path_factory.mktemp("archive")) as made:
        yield made


@pytest.fixture
def small(tmp_path: Path, archive: Archive) -> Small:
    checkout = tmp_path / "checkout"
    for name in ("lab", "labs.yaml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        checkout.mkdir(exist_ok=True)
        copy(ROOT / name, checkout / name)
    (checkout / "images").symlink_to(ROOT / "images")
    (checkout / "dockerfiles").mkdir()
    (checkout / "dockerfiles/packages").write_text("tool\n")
    masters = {f"usr/share/base-passwd/{name}.master": "" for name in ("passwd", "group")}
    base = listed(tmp_path, "base-passwd", "1", masters)
    others = (replace(base, essential=True), *(listed(tmp_path, name, "1") for name in ASKING))
    old, new = (listed(tmp_path, "tool", v, {"usr/bin/tool": v}) for v in ("1:4.3-1", "1:4.4-1"))
    return Small(checkout, archive, others, old, new)


def listed(folder: Path, name: str, version: str, contents: dict[str, str] | None = None) -> Listed:
    deb = packed(folder, name, version, recipe.ARCHITECTURE, contents or {"usr/share/x": name})
    return Listed(recipe.SUITE, pin_of(deb, name, version, recipe.ARCHITECTURE), deb)


def test_what_is_locked_is_fetched_once(small: Small) -> None:
    """Each file and the index are fetched once. After that no archive is asked, and nothing is
    printed."""
    small.archive.has(*small.others, small.old)
    small.lock(small.others[0], small.old)
    said = small.make("a", "--locked")
    assert small.tool("a") == "1:4.3-1"
    assert sorted(small.archive.fetched()) == ["base-passwd_1_amd64.deb", "tool_4.3-1_amd64.deb"]
    assert len([path for path in small.archive.asked if path.endswith("InRelease")]) == 1
    assert "other versions" not in said.err
    small.archive.asked.clear()
    small.make("a", "--locked")
    assert small.archive.asked == []


def test_a_version_that_was_replaced(small: Small) -> None:
    """The newest is fetched, once, and nothing else. One line says so."""
    small.archive.has(*small.others, small.new)
    small.lock(small.others[0], small.old)
    said = small.make("a")
    assert small.tool("a") == "1:4.4-1"
    assert small.archive.fetched().count("tool_4.4-1_amd64.deb") == 1
    assert not [name for name in small.archive.fetched() if "4.3" in name]
    told = [line for line in said.err.splitlines() if "image.lock" in line]
    assert told == [
        "1 of 2 packages have other versions than the lock (./inv image.lock names them)"
    ]
    info = json.loads(small.make("a", "--json").out)
    assert info["drift"] == ["tool (amd64): 1:4.3-1 → 1:4.4-1"]


def test_no_other_versions_are_allowed(small: Small) -> None:
    """Exit status 2, which no job retries. The tool was not even fetched."""
    small.archive.has(*small.others, small.new)
    small.lock(small.others[0], small.old)
    said = small.make("a", "--locked", status=2)
    assert "other versions than the lock: tool (amd64): 1:4.3-1 → 1:4.4-1" in said.err
    assert "./inv image.lock --update" in said.err
    assert not [name for name in small.archive.fetched() if name.startswith("tool")]
    assert {path.name for path in small.cache("a").glob("toolchain/*")} == {".lock"}


def test_an_archive_that_has_both(small: Small) -> None:
    """The locked version is taken although there is a newer one."""
    small.archive.has(*small.others, small.new, small.old)
    small.lock(small.others[0], small.old)
    said = small.make("a", "--locked")
    assert small.tool("a") == "1:4.3-1"
    assert "other versions" not in said.err


def test_what_moved_is_made_once_for_all_locks(small: Small) -> None:
    """Another outdated lock uses the same tree; no package is fetched."""
    small.archive.has(*small.others, small.new)
    small.lock(small.others[0], small.old)
    small.make("a")
    small.archive.asked.clear()
    small.lock(small.others[0], replace(small.old, pin=replace(small.old.pin, version="1:4.2-1")))
    small.make("a")
    assert small.archive.fetched() == []


def test_a_file_that_is_gone(small: Small) -> None:
    """The index still lists it: exit status 3, because a retry may help. The error names the
    file."""
    small.archive.has(*small.others, replace(small.old, deb=None))
    small.lock(small.others[0], small.old)
    said = small.make("a", status=3)
    assert "cannot download tool_4.3-1_amd64.deb: 404" in said.err
    assert "try again" in said.err


def test_a_download_that_breaks_off(small: Small) -> None:
    """It is tried again, and named if that does not help."""
    small.archive.has(*small.others, small.old)
    small.lock(small.others[0], small.old)
    small.archive.broken["tool_4.3-1_amd64.deb"] = 1
    small.make("a", "--locked")
    assert small.archive.fetched().count("tool_4.3-1_amd64.deb") == 2
    small.archive.broken["tool_4.3-1_amd64.deb"] = 99
    said = small.make("b", status=3)
    assert "cannot download tool_4.3-1_amd64.deb: " in said.err


def test_a_tool_that_was_changed(small: Small) -> None:
    """One byte, in a toolchain that is made: it is named, not used, and made again."""
    small.archive.has(*small.others, small.old)
    small.lock(small.others[0], small.old)
    small.make("a", "--locked")
    (tool,) = small.cache("a").glob("toolchain/*/tree/usr/bin/tool")
    tool.write_text("1:4.3-2")
    said = small.make("a", "--locked")
    assert "toolchain: usr/bin/tool has changed since it was made" in said.err
    assert small.tool("a") == "1:4.3-1"
    assert small.archive.fetched().count("tool_4.3-1_amd64.deb") == 2


def test_other_bytes_under_a_locked_version(small: Small) -> None:
    """This is known from the index: exit status 2, the package is named, nothing was fetched."""
    small.archive.has(*small.others, small.old)
    small.lock(small.others[0], replace(small.old, pin=replace(small.old.pin, sha256="0" * 64)))
    said = small.make("a", status=2)
    assert "package tool 1:4.3-1 (amd64) is not the one in labs.lock" in said.err
    assert small.archive.fetched() == []


def test_an_archive_that_nobody_signed_for(small: Small, tmp_path: Path) -> None:
    """Its key is not Debian's: exit status 3, and nothing from it is used."""
    small.lock(small.others[0], small.old)
    with Archive(tmp_path / "forged") as forged:
        forged.has(*small.others, small.old)
        shutil.copy(small.archive.folder / "keys/keyring.gpg", forged.folder / "keys")
        said = replace(small, archive=forged).make("a", status=3)
        assert forged.fetched() == []
    assert "debian-archive-keyring" in said.err


# ---------------------------------------------------------------- images


@pytest.fixture(scope="module")
def machine(world: World, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A lock of exactly what this cache has, and of the images that it makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_DOOR", "rootfs")
        workshop = Context(ROOT / "labs.yaml").workshop()
        _ = workshop.toolchain
        made = tree_cache.find(world.cache, workshop.supplies.lock.toolchain)
        assert made
        workshop.supplies.fetch(PLATFORM)
        packages = workshop.packages()
    folder = locks.place(tmp_path_factory.mktemp("machine"))
    moved.toolchain(made.path, folder / "cache/toolchain" / made.path.parent.name, archive.keyring)
    for kind in ("dom0-kernel", "dom0-initramfs"):  # of the locked packages, if they are made
        copy_finished(world.cache, folder / "cache", f"store/{kind}/[!.]*")
    old = [of_cache(one) for one in packages]
    names = {one.pin.name for one in old}
    old += [empty(name) for name in PLATFORM.wanted if name not in names]
    # Only what is asked for by name needs the others.
    first = next(one for one in old if one.pin.name in PLATFORM.wanted)
    rest = tuple(one.pin.name for one in old if one is not first)
    old[old.index(first)] = replace(first, needs=rest)
    found = Machine(world, folder, archive, old)
    pins = {f"{PLATFORM.suite}/{PLATFORM.arch}": tuple(of_cache(one).pin for one in packages)}
    lab = Lock(made.pins, pins)
    (folder / lock.NAME).write_text(lock.dump(lab))
    archive.has(*old)
    said = found.build("--locked", "--json")
    kinds = {one["kind"]: one["sha256"] for one in json.loads(said.out)}
    images = {name: kinds[name.replace("/", "-")] for name in ("dom0/kernel", "dom0/initramfs")}
    (folder / lock.NAME).write_text(lock.dump(replace(lab, images=images)))
    return found


def of_cache(one: Package) -> Listed:
    """A package that is here already."""
    pin = Pin(one.name, one.version, one.arch, one.sha256, one.size, one.path.name)
    return Listed(PLATFORM.suite, pin, one.path)


def empty(name: str) -> Listed:
    """A package that only needs others; its file is not used."""
    return Listed(PLATFORM.suite, Pin(name, "1", PLATFORM.arch, "0" * 64, 1, f"{name}.deb"), None)


def told(said: Said) -> str:
    (line,) = [line for line in said.err.splitlines() if "other versions than the lock" in line]
    return line


def test_newer_packages_that_change_no_image(machine: Machine) -> None:
    """One of them is in the initramfs, which is built again: one line, and the same bytes."""
    machine.move("xenstore-utils")
    line = told(machine.build())
    assert line.startswith("1 of ")
    assert "; images are compared: all 2 are the same (" in line


def test_a_newer_package_that_changes_an_image(machine: Machine) -> None:
    """The error names the image."""
    machine.move("busybox-static", changed=("bin/busybox", b"BusyBox v1", b"BusyBox v9"))
    assert "; images are compared: these differ: dom0/initramfs (" in told(machine.build())


def test_images_of_the_locked_packages_alone(machine: Machine) -> None:
    """Exit status 2, the package and what to do; nothing was built."""
    machine.move("busybox-static")
    said = machine.build("--locked", status=2)
    assert "other versions than the lock: busybox-static (armhf): " in said.err
    assert "./inv image.lock --update" in said.err
    assert not [name for name in machine.archive.fetched() if name.startswith("busybox")]


def test_a_package_of_an_image_that_is_gone(machine: Machine) -> None:
    """The index lists it, but the archive does not have it: exit status 3, and its name."""
    machine.archive.has(
        *(replace(one, deb=None) if one.pin.name == "busybox-static" else one
          for one in machine.old)
    )  # fmt: skip
    said = machine.build(status=3)
    assert "cannot download busybox-static_" in said.err
    assert "try again" in said.err
