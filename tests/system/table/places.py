"""The machine that the lab runs on: full disks, missing folders, odd places, a clock that jumps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from system import test_places
from system.test_places import cache_with, disk, fill
from system.world import ALONE, ROOT, World

WARM = {"LAB_COLD": "0"}


@contextmanager
def _place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="place-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def alone(test: Callable[..., None]) -> Callable[[World, int], None]:
    """A test of ``test_places`` as a row of the table. CI runs it there."""

    def inject(world: World, _: int) -> None:
        with _place() as place:
            more = {"alone": ALONE} if "alone" in test.__annotations__ else {}
            test(world, tmp_path=place, **more)

    return inject


full_store = alone(test_places.test_a_full_cache)
full_run_folder = alone(test_places.test_a_full_run_folder)
full_memory = alone(test_places.test_no_room_for_the_machines_memory)
unreachable = alone(test_places.test_no_network_and_no_packages)
careful_umask = alone(test_places.test_a_careful_umask_and_a_symlinked_folder)


def full_template(world: World, _: int) -> None:
    """Without room for a template the lab still comes up, another lab continues, and nothing
    half-made stays. A run that needs the template says so."""
    everything = ("toolchain", "apt", "packages", "store")
    assert "guest silent has printed nothing after " in world.run("lab.up", "silent").out
    try:
        with _place() as place:
            env = cache_with(world, place / "cache", *everything) | WARM
            with disk(place / "cache" / "templates", "20m") as templates:
                assert "no template is stored" in world.run("lab.up", "hello", env=env).err
                world.run("lab.down", "hello", env=env)
                said = world.run("lab.run", "hello", "--clock", "virtual", env=env, status=3)
                assert "No space left on device" in said.out + said.err
                assert not list(templates.iterdir()), "half a template"
        assert "silent" in world.run("lab.exec", "silent", "xl list").out
    finally:
        world.run("lab.down", "silent")


def filled_run(world: World, _: int) -> None:
    """If the disk of the run folder fills up while the lab runs, the lab can still be used and
    stopped."""
    with _place() as place, disk(place / "labs", "30m") as folder:
        (folder / "images").symlink_to(world.folder / "images")
        shutil.copy(ROOT / "labs.yaml", folder)
        world.run("lab.up", cwd=folder)
        fill(folder)
        assert "hello" in world.run("lab.exec", "hello", "xl list", cwd=folder).out
        world.run("lab.down", cwd=folder)


#: Longer than a unix socket's path may be, with what shells and JSON take for their own.
LONG = "a long, 'quoted' \"folder\" $HOME;&|<>`x` é \u4e2d " + "x" * 120


def odd_places(world: World, number: int) -> None:
    """No XDG_RUNTIME_DIR, or a long one; a read-only home; a long odd path."""
    (_no_runtime, _long_path, _no_home, _long_runtime, _clock_jumps)[number % 5](world)


def _used(world: World, env: dict[str, str], cwd: Path | None = None) -> None:
    """Start a lab, ask for its status, stop it."""
    try:
        world.run("lab.up", "hello", env=env, cwd=cwd)
        said = json.loads(world.run("lab.status", "hello", "--json", env=env, cwd=cwd).out)
        assert said["state"] == "guests"
        assert "hello" in world.run("lab.exec", "hello", "xl list", env=env, cwd=cwd).out
    finally:
        world.run("lab.down", "hello", env=env, cwd=cwd)


def _no_runtime(world: World) -> None:
    _used(world, {"XDG_RUNTIME_DIR": ""})


def _long_runtime(world: World) -> None:
    with _place() as place:
        long = place / ("y" * 100)
        long.mkdir(mode=0o700)
        _used(world, {"XDG_RUNTIME_DIR": str(long)})


def _no_home(world: World) -> None:
    """If the cache is elsewhere, the home is only read; otherwise the error says what to do."""
    with _place() as place, _read_only(place / "home") as home:
        _used(world, {"HOME": str(home), "LAB_CACHE": str(world.cache)})
        env = {"HOME": str(home), "LAB_CACHE": "", "XDG_CACHE_HOME": ""}
        said = world.run("lab.up", "hello", env=env, status=3)
        assert "what to do" in said.err
        assert str(home) in said.err


@contextmanager
def _read_only(folder: Path) -> Iterator[Path]:
    """A folder that cannot be written. Root can write anywhere except on a read-only disk."""
    folder.mkdir(mode=0o500)
    if os.geteuid() != 0:
        yield folder
        return
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "none", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _long_path(world: World) -> None:
    with _place() as place:
        folder = place / LONG
        folder.mkdir()
        (folder / "images").symlink_to(world.folder / "images")
        shutil.copy(ROOT / "labs.yaml", folder)
        _used(world, {}, folder)


#: Sets the clock of one process: time.time() goes a year back and an hour on, in turn.
JUMPS = """
import itertools, sys, time
from lab.cli.program import main
real, steps = time.time, itertools.cycle((-3e7, 3600.0, 0.0))
time.time = lambda: real() + next(steps)
main()
"""


def _clock_jumps(world: World) -> None:
    """No wait is measured with the clock that people set."""
    with _place() as place:
        (place / "jumps.py").write_text(JUMPS)
        inside = {"PYTHONPATH": os.pathsep.join([str(ROOT)])}
        world.run("lab.run", "hello", env=inside, before=_instead(place / "jumps.py"))


def _instead(script: Path) -> tuple[str, ...]:
    """A command that runs another program in place of ours: ``python -m lab WORD…``."""
    shell = 'script=$1; python=$2; shift 4; exec "$python" "$script" "$@"'
    return ("sh", "-c", shell, "sh", str(script))
