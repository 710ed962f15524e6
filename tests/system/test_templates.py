"""Booted labs that are stored: restored, refused when damaged, started in numbers."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab import rundir
from lab.machine import console_files
from system.world import World, until


@pytest.fixture
def own_cache(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache that shares everything with the real one except the templates."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for path in world.cache.iterdir():
        if path.name not in ("templates", "ram"):
            (cache / path.name).symlink_to(path)
    monkeypatch.setenv("LAB_CACHE", str(cache))
    return cache


def templates(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(world.run("template.list", "--json").out)
    return found


def test_the_second_start_comes_out_of_a_template(world: World, own_cache: Path) -> None:
    """The output says so. A damaged template is named and set aside, and the lab boots cold."""
    assert "machine" in world.run("lab.up", "hello").err
    world.run("lab.down", "hello")
    assert sorted(one["guests"] for one in templates(world)) == [False, True]
    said = world.run("lab.up", "hello").err
    world.run("lab.down", "hello")
    assert "from template" in said
    assert "machine …" not in said
    for part in ("ram", "state", "manifest.json", "console/xen.log"):
        for one in templates(world):
            damage(Path(one["path"]) / part)
        said = world.run("lab.up", "hello").err
        world.run("lab.down", "hello")
        assert f"{part} of the template" in said
        assert "boots cold" in said
        assert "machine …" in said
    world.run("template.clean")
    assert not (own_cache / "templates").exists()


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 4]))


def test_a_changed_guest_is_another_template(world: World) -> None:
    """The restored lab is the one that labs.yaml describes now."""
    world.run("lab.up", "hello")
    world.run("lab.down", "hello")
    world.run("lab.up", "two-guests")
    said = world.run("lab.exec", "two-guests", "xl list").out
    world.run("lab.down", "two-guests")
    assert "hello2" in said


def _says(log: Path) -> bool:
    return b"hello from FreeRTOS" in log.read_bytes()


@pytest.mark.alone
def test_clones_differ(world: World) -> None:
    """Twenty labs from one template differ in entropy, name and identity, and each answers to
    its name."""
    count = 20
    try:
        found = json.loads(world.run("lab.up", "hello", "--count", str(count), "--json").out)
        assert [one["name"] for one in found] == [f"hello-{n}" for n in range(1, count + 1)]
        for one in found:  # on a busy machine "lines" may end before this line
            log = rundir.RunDir(Path(one["run"])).console("hello")
            until("the guest runs", partial(_says, log))
        said = [
            world.run("lab.exec", f"hello-{n}", "sh -c 'od -An -tx1 -N32 /dev/urandom; "
                      "cat /etc/machine-id /proc/sys/kernel/hostname'").out
            for n in range(1, count + 1)
        ]  # fmt: skip
    finally:
        world.run("lab.down", "--all")
    for line in range(3):
        assert len({each.splitlines()[-1 - line] for each in said}) == count


@pytest.fixture
def stored(world: World) -> None:
    """Make sure that there is a template of the lab."""
    world.run("lab.up", "hello")
    world.run("lab.down", "hello")


@pytest.mark.parametrize(
    ("task", "stage", "number"),
    [
        ("lab.up", "guests", signal.SIGINT),
        ("lab.up", "restore", signal.SIGTERM),
        ("lab.up", "guests run", signal.SIGINT),
        ("lab.run", "restore", signal.SIGINT),
        ("lab.run", "guests run", signal.SIGTERM),
    ],
)
def test_interrupted_while_it_is_restored(
    world: World, stored: None, task: str, stage: str, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM: exit status 130, and nothing that was started stays. If the lab was up
    already, the message says so; the signal may also come when only Python had to end."""
    del stored
    said = world.start(task, "hello").when(stage).signal(number).end()
    assert said.status in (130, 0, -number), said.err
    if said.status != 130 or "lab hello is up" in said.err:
        world.run("lab.down", "hello")


@pytest.mark.parametrize("stage", ["restore", "guests run"])
def test_qemu_is_killed_under_the_virtual_clock(world: World, stage: str) -> None:
    """QEMU dies while the run stops and continues: exit status 3, layer qemu."""
    world.run("lab.run", "selftest")
    command = world.start("lab.run", "selftest").when(stage)
    world.kill_strays()
    assert "[qemu]" in command.end().expect(3).out


@pytest.mark.quick
def test_a_restored_guest_hears(world: World, stored: None) -> None:
    """What is typed reaches a guest that was created before its machine was stored."""
    del stored
    assert "from template" in world.run("lab.up", "hello").err
    try:
        folder = rundir.lab_dir(world.folder / "runs", "hello").path
        with console_files.input_of(folder, "hello").open("wb", 0) as typed:
            typed.write(b"how are you\r")
        log = world.folder / "runs/hello/latest/console/hello.log"
        until("the guest answers", lambda: b"you typed: how are you" in log.read_bytes())
    finally:
        world.run("lab.down", "hello")
