"""The same run every time."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import digest
from lab.rundir import RunDir
from system.world import World


def burn() -> None:
    """One core of the host, for ever."""
    while True:
        sum(range(100_000))


@pytest.fixture
def busy_host() -> Iterator[None]:
    """Every core of the host has something else to do."""
    burners = [
        multiprocessing.Process(target=burn, daemon=True) for _ in range(os.cpu_count() or 1)
    ]
    for burner in burners:
        burner.start()
    yield
    for burner in burners:
        burner.kill()
        burner.join()


def summary(world: World, *words: str, status: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.run("lab.run", *words, "--json", status=status).out)
    return found


@pytest.mark.parametrize("lab", ["selftest", "pinned"])
def test_runs_are_alike_to_the_last_byte(world: World, lab: str) -> None:
    """On one CPU and on two; the manifest says over what the digest is."""
    found = summary(world, lab, "--repeat", "3")
    assert found["same"]
    assert len(found["digests"]) == 3
    assert found["digests"][0]
    run = RunDir(Path(found["runs"][0]["run"]))
    over = run.manifest()["digest_over"]
    assert {"console/xen.log", "console/dom0.log", "console/times", digest.SCENARIO} <= set(over)
    assert run.manifest()["template"]


def test_alike_on_a_busy_host_and_four_at_once(world: World, busy_host: None) -> None:
    del busy_host
    idle = summary(world, "hello")["digest"]
    running = [world.start("lab.run", f"hello-{n}", "--json") for n in range(1, 5)]
    ended = [each.end().expect(0) for each in running]
    assert {json.loads(each.out)["digest"] for each in ended} == {idle}


def test_a_cold_run_is_the_same_as_one_out_of_a_template(world: World) -> None:
    assert summary(world, "hello", "--cold")["digest"] == summary(world, "hello")["digest"]


def test_verify_shows_the_first_line_that_differs(world: World) -> None:
    """One character of a guest's source is another run."""
    first = summary(world, "hello")["run"]
    assert "bit for bit" in world.run("lab.run", "--verify", first).err
    images = world.folder / "images"
    original = images.readlink()
    source = "freertos/apps/hello/main.c"
    try:
        images.unlink()
        shutil.copytree(original, images)
        file = images / source
        file.write_text(file.read_text().replace("hello from", "hallo from"))
        said = world.run("lab.run", "--verify", first, status=1)
    finally:
        shutil.rmtree(images)
        images.symlink_to(original)
    assert "not made of the same guest hello" in said.err
    assert "- task 1: hello from FreeRTOS" in said.err
    assert "+ task 1: hallo from FreeRTOS" in said.err
