"""The machine that the lab runs on: no network, full disks, other people's folders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.rundir import runtime_root
from system.world import LONGEST, ROOT, World, processes, until


def cache_with(world: World, folder: Path, *names: str) -> dict[str, str]:
    """The environment with a cache that has only these folders of the real one. What is made in
    them stays there, also if the real one has nothing yet."""
    folder.mkdir()
    for name in names:
        (world.cache / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(world.cache / name)
    return {"LAB_CACHE": str(folder)}


@contextmanager
def disk(path: Path, size: str) -> Iterator[Path]:
    """A small disk, which only root can make."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode=0700"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], check=False)
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def fill(folder: Path) -> None:
    """Take all the room that there is."""
    with (folder / "filler").open("wb", buffering=0) as stream:
        try:
            while stream.write(b"x" * 4096):
                pass
        except OSError:
            pass


def test_no_network_with_everything_cached(world: World, alone: tuple[str, ...]) -> None:
    """With images stored a lab starts without any network."""
    world.run("lab.run")
    world.run("lab.run", before=alone)


def test_no_network_and_no_toolchain(
    world: World, alone: tuple[str, ...], tmp_path: Path
) -> None:  # fmt: skip
    """Without a toolchain: exit status 3, the archive is out of reach, and nothing is kept."""
    env = cache_with(world, tmp_path / "cache")
    said = world.run("lab.up", env=env, before=alone, status=3)
    assert "[toolchain]" in said.err
    assert "out of reach" in said.err
    assert {path.name for path in (tmp_path / "cache" / "toolchain").iterdir()} == {".lock"}


def test_no_network_and_no_packages(world: World, alone: tuple[str, ...], tmp_path: Path) -> None:
    """With a toolchain but without packages: exit status 3, layer image, out of reach."""
    world.run("toolchain.build")
    env = cache_with(world, tmp_path / "cache", "toolchain")
    said = world.run("lab.up", env=env, before=alone, status=3)
    assert "[image]" in said.err
    assert "out of reach" in said.err


def test_ctrl_c_while_the_toolchain_is_made(world: World, tmp_path: Path) -> None:
    """The half-made tree and all programs that made it are gone."""
    env = cache_with(world, tmp_path / "cache")
    made = tmp_path / "cache" / "toolchain"
    command = world.start("toolchain.build", env=env)
    until("it is being made", lambda: any(made.glob(".new-*/tree")), LONGEST)
    command.signal(signal.SIGINT).end().expect(130)
    assert {path.name for path in made.iterdir()} == {".lock"}
    until("its programs are gone", lambda: not [
        words for _, words in processes() if any(str(made) in word for word in words)
    ], 60)  # fmt: skip


def test_ctrl_c_while_images_are_built(world: World, tmp_path: Path) -> None:
    """No half-built entry stays in the store."""
    env = cache_with(world, tmp_path / "cache", "toolchain", "apt", "packages")
    store = tmp_path / "cache" / "store"
    command = world.start("image.build", env=env)
    until("something is being built", lambda: any(store.glob("*/.new-*")), LONGEST)
    command.signal(signal.SIGINT).end().expect(130)
    assert not list(store.glob("*/.new-*"))


@pytest.mark.xdist_group("docker")  # which has built it again
def test_images_are_the_same_bytes_when_built_again(world: World, built_again: Path) -> None:
    """Two caches, two builds, one result: images and a guest, byte for byte."""
    env = {"LAB_CACHE": str(built_again)}

    def built(env: dict[str, str]) -> dict[str, str]:
        images = json.loads(world.run("image.build", "--json", env=env).out)
        guest = json.loads(world.run("guest.build", "hello", "--json", env=env).out)
        found = [
            *images,
            *(one for one in guest.values() if isinstance(one, dict) and "path" in one),
        ]
        return {one["path"].partition("/store/")[2]: one["sha256"] for one in found}

    first, second = built({}), built(env)
    assert len(first) >= 6
    assert first == second


def test_a_full_cache(world: World, tmp_path: Path) -> None:
    """If there is too little room for the toolchain, the error comes before anything is fetched."""
    with disk(tmp_path / "cache", "64m") as cache:
        said = world.run("lab.up", env={"LAB_CACHE": str(cache)}, status=3)
    assert "too little disk" in said.err


def test_no_room_for_the_machines_memory(world: World, tmp_path: Path) -> None:
    """QEMU dies of it without a message: the error explains the cause."""
    env = cache_with(world, tmp_path / "cache", "toolchain", "apt", "packages", "store")
    with disk(tmp_path / "cache" / "ram", "40m"):
        said = world.run("lab.up", env=env, status=3)
    assert "make room" in said.err


def test_a_full_run_folder(world: World, tmp_path: Path) -> None:
    """Exit status 3, the error names the folder, and nothing is left."""
    with disk(tmp_path / "labs", "1m") as folder:
        (folder / "images").symlink_to(world.folder / "images")
        shutil.copy(ROOT / "labs.yaml", folder)
        fill(folder)
        said = world.run("lab.up", cwd=folder, status=3)
    assert "No space left on device" in said.err
    assert "runs" in said.err


def test_a_run_folder_that_may_not_be_written(world: World, tmp_path: Path) -> None:
    """Exit status 3 and what to do; no machine was started."""
    labs = tmp_path / "labs"
    labs.mkdir()
    (labs / "images").symlink_to(world.folder / "images")
    shutil.copy(ROOT / "labs.yaml", labs)
    (labs / "runs").write_text("in the way")
    said = world.run("lab.up", cwd=labs, status=3)
    assert "run folder" in said.err


def test_a_runtime_folder_that_others_can_enter(world: World) -> None:
    """Sockets are never put where somebody else could reach them."""
    base = Path("/tmp") / f"xl-{os.getpid()}"
    (base / "xenlab").mkdir(parents=True)
    (base / "xenlab").chmod(0o755)
    try:
        said = world.run("lab.up", env={"XDG_RUNTIME_DIR": str(base)}, status=3)
    finally:
        shutil.rmtree(base)
    assert "not a private folder" in said.err
    assert runtime_root().stat().st_mode & 0o077 == 0


def test_a_careful_umask_and_a_symlinked_folder(world: World, tmp_path: Path) -> None:
    """umask 077, and a checkout reached through a link: it is the same lab under both names."""
    link = tmp_path / "link"
    link.symlink_to(world.folder)
    careful = ("sh", "-c", 'umask 077; exec "$@"', "sh")
    world.run("lab.up", cwd=link, before=careful)
    try:
        said = json.loads(world.run("lab.status", "hello", "--json").out)
    finally:
        world.run("lab.down")
    assert said["state"] == "guests"
