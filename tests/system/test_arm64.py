"""Labs on the 64-bit machine: ``--arch arm64``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.rundir import RunDir
from system.world import ROOT, World

#: The published labs; those of arm32 are the same.
PUBLISHED = sorted(one.name.partition("@")[0] for one in (ROOT / "published").glob("*@arm64"))
pytestmark = pytest.mark.xdist_group("arm64")


def summary(world: World, name: str) -> dict[str, object]:
    """What ``lab.run --arch arm64 --json`` prints."""
    said = world.run("lab.run", name, "--arch", "arm64", "--json").out
    found: dict[str, object] = json.loads(said)
    return found


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_run_is_the_published_one(world: World, name: str) -> None:
    said = summary(world, name)
    assert said["verdict"] == "pass"
    manifest = RunDir(Path(str(said["run"]))).manifest()
    assert manifest["arch"] == "arm64"
    if manifest["lock"]["drift"] and said["published"] == "differs":
        pytest.skip("the archive has newer packages than the lock")
    assert said["published"] == "same"


def test_every_run_has_the_same_digest(world: World) -> None:
    """Also without a template, and never the digest of the 32-bit machine."""
    warm = summary(world, "hello")["digest"]
    cold = json.loads(world.run("lab.run", "hello", "--arch", "arm64", "--cold", "--json").out)
    assert cold["digest"] == warm
    assert json.loads(world.run("lab.run", "hello", "--json").out)["digest"] != warm


def test_up_and_down_again(world: World) -> None:
    """The running lab is a 64-bit machine with a 64-bit dom0."""
    said = world.run("lab.up", "hello", "--arch", "arm64")
    assert "FreeRTOS V" in said.out
    world.kept.add(world.id_of("hello"))
    try:
        world.says("hello", "hello", "hello from FreeRTOS")
        assert world.run("lab.exec", "hello", "uname -m").out.strip() == "aarch64"
    finally:
        world.kept.clear()
        world.run("lab.down")


def test_all_labs_are_published_on_both() -> None:
    of_arm32 = sorted(one.name for one in (ROOT / "published").iterdir() if "@" not in one.name)
    assert of_arm32 == PUBLISHED
