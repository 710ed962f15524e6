"""Booted labs that are stored: restored, refused when damaged, many at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from system.world import World


@pytest.fixture
def own_cache(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache that shares everything with the real one but its templates."""
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
    """It says so; a damaged one is named and set aside, and the lab boots cold."""
    assert "machine" in world.run("lab.up", "hello").err
    world.run("lab.down", "hello")
    assert len(templates(world)) == 2, "dom0 ready; and with its guest"
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
    """What is restored is what labs.yaml says now."""
    world.run("lab.up", "hello")
    world.run("lab.down", "hello")
    world.run("lab.up", "two-guests")
    said = world.run("lab.exec", "two-guests", "xl list").out
    world.run("lab.down", "two-guests")
    assert "hello2" in said


def test_clones_differ(world: World) -> None:
    """Twenty labs out of one template: entropy, name, identity; each answers to its name."""
    count = 20
    try:
        found = json.loads(world.run("lab.up", "hello", "--count", str(count), "--json").out)
        assert [one["name"] for one in found] == [f"hello-{n}" for n in range(1, count + 1)]
        assert all("hello from FreeRTOS" in one["lines"]["hello"] for one in found)
        said = [
            world.run("lab.exec", f"hello-{n}", "sh -c 'od -An -tx1 -N32 /dev/urandom; "
                      "cat /etc/machine-id /proc/sys/kernel/hostname'").out
            for n in range(1, count + 1)
        ]  # fmt: skip
    finally:
        world.run("lab.down", "--all")
    for line in range(3):
        assert len({each.splitlines()[-1 - line] for each in said}) == count
