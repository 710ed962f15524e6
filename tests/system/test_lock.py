"""The lock as a user sees it: a changed hash, a replaced version, the same bytes elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from lab import rundir
from lab.api import Context, Locked, check_lock
from lab.packages import lock
from lab.packages.lock import Lock
from lab.util import process
from system import locks
from system.cache_copies import copy_finished
from system.locks import never_there, other_hash, relock
from system.world import LONGEST, ROOT, World


@pytest.fixture
def place(world: World) -> Path:
    return locks.place(world.folder)


@pytest.fixture(scope="module")
def compared() -> Locked:
    """The comparison of what is built here with the lock that ships."""
    return check_lock(Context(ROOT / "labs.yaml"))


def gone(compared: Locked) -> list[str]:
    """The names of the packages that the archive has only in other versions than the lock."""
    return [line.split()[1] for line in compared.changes if line.startswith("package ")]


# A .dsc of the Xen source is not used by this lab at all; the lock is checked all the same.
@pytest.mark.parametrize(
    "part", ["toolchain", "bookworm/armhf", "trixie/source", "bookworm/source"]
)
def test_one_changed_hash_names_its_package(
    world: World, place: Path, compared: Locked, part: str
) -> None:
    """With everything cached: exit status 2, at once, and nothing was started."""
    name = locks.steady(part, gone(compared))
    relock(place, name, other_hash)
    said = world.run("lab.up", cwd=place, status=2)
    assert f"package {name} " in said.err
    assert "is not the one in labs.lock" in said.err
    assert not (place / "runs").exists() or not list((place / "runs").rglob("manifest.json"))


def test_a_replaced_version_is_told_and_recorded(
    world: World, place: Path, compared: Locked
) -> None:
    """A lab comes up with what the archive has now. If drift is forbidden, it does not."""
    relock(place, "busybox-static", never_there)
    others = len({*gone(compared), "busybox-static"})
    said = world.run("lab.run", "hello", "--locked", cwd=place, status=2)
    assert "the archive has other versions than the lock: " in said.err
    assert not list((place / "runs").glob("*/*"))
    said = world.run("lab.run", "hello", cwd=place)
    (told,) = [one for one in said.err.splitlines() if "other versions than the lock" in one]
    assert told.startswith(f"{others} of ")
    assert "; images are compared: " in told
    run = rundir.latest_run(place / "runs", "hello")
    assert run
    manifest = run.manifest()
    drift = {one["name"]: one["locked"] for one in manifest["lock"]["drift"]}
    assert (len(drift), drift["busybox-static"]) == (others, "0.1-1")
    assert manifest["lock"]["digest"] == lock.load(place / lock.NAME).digest
    again = world.run("image.build", cwd=place, env={"LAB_LOCKED": "1"}, status=2)
    assert "./inv image.lock --update" in again.err
    assert "the cache has other versions than the lock" in world.run("doctor", cwd=place).out


def test_the_lock_is_of_this_checkout(compared: Locked) -> None:
    """Its digests are those of the images that are built here, also with newer packages that
    change nothing."""
    images = [line for line in compared.changes if line.startswith("image ")]
    if images and gone(compared):
        what = f"{', '.join(gone(compared)[:4])}, … are newer than the lock"
        names = ", ".join(line.split()[1].rstrip(":") for line in images[:4])
        pytest.skip(f"{what}, so {len(images)} images cannot be compared: {names}, …")
    assert images == [], "./inv image.lock --update moves the lock"


# ---------------------------------------------------------------- the same bytes

#: Builds everything and prints what it is.
BUILD = """
import json, os, sys
from pathlib import Path
import lab
from lab.api import Context
from lab.api.locks import built
assert lab.__file__.startswith(sys.argv[1]), lab.__file__
os.umask(int(sys.argv[2], 8))
context = Context(Path(sys.argv[1], "labs.yaml"), "rootfs")
workshop = context.workshop()
images = built(context, workshop)
print(json.dumps({"uid": os.getuid(), "key": workshop.toolchain.key, "images": images}))
"""


def test_two_builds_are_the_same_bytes(world: World, tmp_path: Path) -> None:
    """Another user, umask, locale, time zone, path and cache, and files with other times."""
    here = build(ROOT, "022", (), {"LAB_CACHE": str(world.cache)})
    there = tmp_path / "elsewhere, mit Umlaut ü"
    cache = there / "cache"
    checkout = copied(there / "checkout")
    filled(cache, world.cache)
    env = {"LAB_CACHE": str(cache), "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu",
           "USER": "somebody", "HOME": str(there), "SOURCE_DATE_EPOCH": "1"}  # fmt: skip
    other = ("unshare", "--user", "--map-user=4321", "--map-group=4321")
    again = build(checkout, "077", other, env)
    assert (here.pop("uid"), again.pop("uid")) == (os.getuid(), 4321)
    assert again == here


def build(checkout: Path, umask: str, before: tuple[str, ...], env: dict[str, str]) -> Any:
    """What a checkout builds, with its own code."""
    line = [*before, sys.executable, "-c", BUILD, str(checkout), umask]
    done = process.run(line, cwd=checkout, env=env, timeout=LONGEST)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def copied(to: Path) -> Path:
    """This checkout, with files of another day that only their owner may read."""
    for name in ("lab", "images", "dockerfiles", "labs.yaml", lock.NAME):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        to.mkdir(parents=True, exist_ok=True)
        copy(source, to / name)
    for path in to.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1e9, 1e9))
    return to


def filled(cache: Path, by: Path) -> None:
    """A cache with the toolchain and the packages of another, and nothing built."""
    cache.mkdir(parents=True)
    (cache / "toolchain").symlink_to(by / "toolchain")
    pins: Lock = lock.load(ROOT / lock.NAME)
    names = {pin.sha256 for part in pins.archives.values() for pin in part}
    packages = (f"packages/{name}" for name in sorted(names))
    copy_finished(by, cache, *packages, "apt/resolutions/[!.]*")
