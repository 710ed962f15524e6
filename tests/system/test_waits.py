"""What takes too long is given up in time, even on a machine with four times too much to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import api
from lab.errors import Dom0Error, UsageError
from system.world import World

pytestmark = pytest.mark.alone

#: Busy processes for each processor.
LOAD = 4
#: Seconds that a wait may take longer than it should.
LATE = 5.0


@contextmanager
def busy() -> Iterator[None]:
    """A machine that has four times too much to do."""
    argv = [sys.executable, "-c", "while True: pass"]
    crowd = [subprocess.Popen(argv) for _ in range(LOAD * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for one in crowd:
            one.kill()
            one.wait()


def test_what_runs_in_dom0_is_given_up(up: World) -> None:
    """A program that does not end, and a program that dom0 does not have."""
    context = api.Context(up.folder / "labs.yaml")
    with busy():
        for within in (0.5, 2.0):
            began = time.monotonic()
            with pytest.raises(Dom0Error, match=f"within {within:g} s"):
                api.execute(context, "shared", "sleep 60", within)
            assert time.monotonic() - began - within < LATE
        began = time.monotonic()
        with pytest.raises(UsageError):
            api.execute(context, "shared", "nosuch", 2.0)
        assert time.monotonic() - began < LATE


def test_an_expectation_is_given_up(world: World) -> None:
    """`within: 2s` for a guest that is silent."""
    command = world.start("lab.run", "silent", "--clock", "host").when("guests run")
    with busy():
        said = command.end().expect(1)
    found = re.search(r"^scenario … (?:failed after )?([\d.]+)\s?s", said.err, re.MULTILINE)
    assert found, said.err
    assert float(found[1]) < 2 + LATE


def test_an_agent_that_is_silent_is_given_up(world: World) -> None:
    """dom0's agent is stopped: the question is given up after ten seconds."""
    world.run("lab.up", "hello")
    try:
        context = api.Context(world.folder / "labs.yaml")
        api.execute(context, "hello", "sh -c 'kill -STOP $(pidof qemu-ga); sleep 0'", 5.0)
    except Dom0Error:
        pass  # its own answer is the first that does not come
    try:
        with busy():
            began = time.monotonic()
            with pytest.raises(Dom0Error, match="within 10 s"):
                api.execute(context, "hello", "true", 2.0)
            assert time.monotonic() - began - 10 < LATE
            began = time.monotonic()
            api.down(context, "hello")
            assert time.monotonic() - began < LATE
    finally:
        world.run("lab.down", "hello")
