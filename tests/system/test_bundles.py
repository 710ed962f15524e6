"""A bundle is all that a lab needs: on a machine without network, with an empty cache."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.packages import lock
from system import cutting, locks, registry
from system.world import LONGEST, ROOT, World


@dataclass(frozen=True)
class Saved:
    """The bundle of ``hello`` from the user's cache, and the labs that it was saved for."""

    file: Path
    folder: Path
    info: dict[str, Any]
    cache: Path

    @property
    def env(self) -> dict[str, str]:
        return {"LAB_CACHE": str(self.cache), "LAB_BUNDLE": str(self.file)}


@pytest.fixture(scope="module")
def saved(world: World, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder = locks.place(tmp_path_factory.mktemp("saved"))
    said = locks.save_bundle(world, folder, "..", "hello", "--page", "--json")
    info = json.loads(said.out)
    return Saved(Path(info["file"]), folder, info, folder.parent / "cache")


def test_a_cache_that_was_filled_from_it_gives_the_same_bytes(
    world: World, saved: Saved, alone: tuple[str, ...]
) -> None:
    """This cache never had packages or compilers."""
    env = {"LAB_CACHE": str(saved.cache)}
    world.run("bundle.load", str(saved.file), env=env)
    assert saved.file.stat().st_size < 100_000_000
    again = saved.folder / "again.bundle"
    said = world.run(
        "bundle.save", str(again), "--page", "--json", cwd=saved.folder, env=env, before=alone
    )
    assert json.loads(said.out)["sha256"] == saved.info["sha256"]
    assert json.loads(world.run("bundle.show", str(again), "--json").out)["labs"] == ["hello"]


def test_a_class_without_network(world: World, saved: Saved, alone: tuple[str, ...]) -> None:
    """The page with its terminal and editor, a seat, and a step that is checked."""
    line = [*alone, sys.executable, "-m", "system.class_without_network", "hello", "first-guest"]
    tests = {"PYTHONPATH": os.pathsep.join(str(path) for path in (ROOT / "tests", ROOT))}
    done = subprocess.run(
        line, cwd=saved.folder, env={**os.environ, **saved.env, **tests},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == "start-your-lab: passed"
    assert not list(saved.cache.glob("packages/*")), "no package was needed"
    del world


@pytest.mark.xdist_group("docker")  # where the other cache is built
def test_a_cache_that_was_built_again_gives_the_same_bytes(
    world: World, saved: Saved, built_again: Path
) -> None:
    env = {"LAB_CACHE": str(built_again), "LAB_DOOR": "rootfs"}
    again = saved.folder / "built.bundle"
    said = world.run("bundle.save", str(again), "--page", "--json", cwd=saved.folder, env=env)
    assert json.loads(said.out)["sha256"] == saved.info["sha256"]


def test_what_was_altered_comes_from_the_bundle(
    world: World, saved: Saved, alone: tuple[str, ...]
) -> None:
    """One byte of QEMU, and an image: both are mended, without network."""
    world.run("bundle.load", str(saved.file), env={"LAB_CACHE": str(saved.cache)})
    (qemu,) = saved.cache.glob("toolchain/*/tree/usr/bin/qemu-system-arm")
    good = qemu.read_bytes()
    qemu.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    (image,) = saved.cache.glob("store/dom0-initramfs/*/files/*")
    whole = image.read_bytes()
    image.write_bytes(whole[:1000])
    said = world.run("image.build", cwd=saved.folder, env=saved.env, before=alone)
    assert "usr/bin/qemu-system-arm has changed" in said.err
    assert qemu.read_bytes() == good
    assert image.read_bytes() == whole


def test_what_is_not_in_the_bundle(world: World, saved: Saved, alone: tuple[str, ...]) -> None:
    """There is no compiler: the error says which bundle has one."""
    said = world.run(
        "guest.build", "periodic", cwd=saved.folder, env=saved.env, before=alone, status=3
    )
    assert "--whole" in said.err


def test_a_bundle_of_another_lock(world: World, saved: Saved, tmp_path: Path) -> None:
    """It is refused, and the error says how to use its own lock."""
    folder = locks.place(tmp_path)
    locks.relock(folder, "make", locks.other_hash)
    said = world.run("image.build", cwd=folder, env=saved.env, status=3)
    assert "is for another labs.lock" in said.err
    (line,) = re.findall(r"tar --strip-components=1 -xf \S+ lab/labs.lock", said.err)
    subprocess.run(shlex.split(line), cwd=folder, check=True)
    assert (folder / lock.NAME).read_bytes() == (ROOT / lock.NAME).read_bytes()
    shutil.rmtree(folder)


def test_a_registry_gives_the_same_bytes(world: World, saved: Saved, tmp_path: Path) -> None:
    """By tag and by digest; after breaks nothing is fetched twice.

    What is no bundle, is not there, or was altered is told in words."""
    with registry.running(tmp_path) as address:
        place = f"{address}/labs/hello"
        stored = world.run("bundle.push", str(saved.file), f"{place}:one").out.strip()
        assert stored.startswith(f"{place}@sha256:")
        for reference in (f"{place}:one", stored):
            copy = tmp_path / "copy.bundle"
            world.run("bundle.pull", reference, str(copy))
            assert copy.read_bytes() == saved.file.read_bytes()
            copy.unlink()
        with cutting.between(address, [1 << 20, 8 << 20]) as cut:
            world.run("bundle.pull", stored.replace(address, cut.address), str(copy))
        assert copy.read_bytes() == saved.file.read_bytes()
        assert len(cut.ranges) == 3
        assert cut.sent < copy.stat().st_size + (1 << 20)
        copy.unlink()
        said = world.run("bundle.pull", f"{place}:two", str(copy), status=3)
        assert "refuses" in said.err
        said = world.run("bundle.pull", f"{place}@sha256:{'0' * 64}", str(copy), status=3)
        assert "refuses" in said.err
        (blob,) = (
            path for path in tmp_path.rglob("blobs/sha256/*/*/data")
            if path.stat().st_size == saved.file.stat().st_size
        )  # fmt: skip
        with blob.open("r+b") as stream:
            stream.seek(1000)
            stream.write(b"\xff\xff\xff\xff")
        said = world.run("bundle.pull", stored, str(copy), status=3)
        assert "but the registry sent" in said.err
        assert not copy.exists()
    said = world.run("bundle.pull", stored, str(copy), status=3)
    assert f"the registry {address} does not answer" in said.err
    assert "is no reference" in world.run("bundle.pull", "hello", str(copy), status=3).err
