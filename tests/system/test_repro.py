"""Runs are the same every time."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.machine import qemu_process
from lab.run import digest
from lab.rundir import RunDir
from system import waking
from system.world import World


def burn() -> None:
    """Keep one core of the host busy for ever."""
    while True:
        sum(range(100_000))


@pytest.fixture
def busy_host() -> Iterator[None]:
    """While the block runs, every core of the host is busy with something else."""
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


@pytest.mark.parametrize("lab", ["selftest", "pinned", "restless"])
def test_runs_are_alike_to_the_last_byte(world: World, lab: str) -> None:
    """On one CPU and on two, on an idle or a busy host. The manifest says what the digest
    covers."""
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


def test_it_does_not_matter_when_qemu_wakes(world: World) -> None:
    """Its main loop is woken thousands of times a second. No record of a trace comes late."""
    before = set(qemu_process.machines())
    running, woken = world.start("lab.run", "periodic", "--json"), 0
    while running.process.poll() is None:
        for tag, pid in qemu_process.machines().items():
            if tag not in before and tag.removeprefix("xenlab-") in world.machines().values():
                woken += waking.until_it_ends(pid)
        time.sleep(0.01)
    found = json.loads(running.end().out)
    if not woken:
        pytest.skip("this user may not wake a process of its own (pidfd_getfd)")
    assert woken > 1000
    if RunDir(Path(found["run"])).manifest()["lock"]["drift"] and found["published"] != "same":
        pytest.skip("the archive has newer packages than the lock")
    assert found["published"] == "same"


@pytest.mark.quick
def test_a_cold_run_is_the_same_as_one_out_of_a_template(world: World) -> None:
    assert summary(world, "hello", "--cold")["digest"] == summary(world, "hello")["digest"]


@pytest.fixture
def changed_hello(world: World) -> Iterator[None]:
    """A guest whose source differs in one character."""
    images = world.folder / "images"
    original = images.readlink()
    source = "freertos/apps/hello/main.c"
    images.unlink()
    try:
        shutil.copytree(original, images)
        file = images / source
        file.write_text(file.read_text().replace("hello from", "hallo from"))
        yield
    finally:
        shutil.rmtree(images)
        images.symlink_to(original)


def test_verify_shows_the_first_line_that_differs(
    world: World, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """One different character in a guest's source gives another run. Before a run starts, it is
    said whether it is the same; also of a folder that was copied from elsewhere."""
    first = summary(world, "hello")["run"]
    copy = shutil.copytree(first, tmp_path / "from elsewhere")
    same = world.run("lab.run", "--verify", str(copy))
    assert "bit for bit" in same.out
    assert re.search(r"this is the same run: its \d+ inputs are the same \(toolchain,", same.err)
    request.getfixturevalue("changed_hello")
    said = world.run("lab.run", "--verify", str(copy), status=1)
    assert "this is not the same run: different are guest hello. It runs all the same" in said.err
    assert "made from different inputs: guest hello" in said.out
    assert "- task 1: hello from FreeRTOS" in said.out
    assert "+ task 1: hallo from FreeRTOS" in said.out


def test_it_is_the_published_run(world: World) -> None:
    """This machine gives the runs in labs.lock, also with newer packages that do not change the
    run."""
    said = world.run("lab.run", "hello", "--json").out
    manifest = RunDir(Path(json.loads(said)["run"])).manifest()
    if manifest["lock"]["drift"] and json.loads(said)["published"] == "differs":
        words = world.run("lab.run", "hello", "--published", status=1).out.splitlines()
        (why,) = [line for line in words if "made from different inputs" in line]
        pytest.skip(f"the archive has newer packages than the lock; {why}")
    assert json.loads(said)["published"] == "same"
    again = world.run("lab.run", "hello", "--published")
    assert "the same as the published one, bit for bit" in again.out


def test_it_is_not_the_published_run(world: World, changed_hello: None) -> None:
    """The output says which part differs, and the first difference of the runs."""
    del changed_hello
    said = world.run("lab.run", "hello", "--published", status=1).out
    assert "made from different inputs: guest hello" in said
    assert "- task 1: hello from FreeRTOS" in said
