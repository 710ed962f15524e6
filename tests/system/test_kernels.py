"""Kernels of the user's own: `kernel:` and `FREERTOS_KERNEL=`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from system.kernels import VERSION, as_later
from system.world import ROOT, World

LABS = f"""\
guests:
  check: {{freertos: {ROOT}/images/freertos/apps/selftest, kernel: my kernel, trace: true}}
labs:
  check:
    guests: [check]
    expect: [{{on: check, regex: 'selftest: PASS', within: 60s}}]
"""


@pytest.fixture
def later(world: World, tmp_path: Path) -> Path:
    """A kernel in the layout of FreeRTOS-Kernel; its folder's name has a space in it."""
    world.run("guest.build", "hello")
    entries = json.loads(world.run("image.list", "--json").out)
    packaged = next(one["path"] for one in entries if one["kind"] == "freertos-kernel")
    return as_later(next(Path(packaged).rglob("tasks.c")).parent, tmp_path / "my kernel")


def test_the_port_keeps_to_what_later_kernels_declare(world: World, later: Path) -> None:
    """`kernel:`: the self-test builds with it and passes, traced."""
    later.with_name("labs.yaml").write_text(LABS)
    said = json.loads(world.run("lab.run", "check", "--json", cwd=later.parent).out)
    assert said["verdict"] == "pass"
    assert b"xTaskDelayUntil" in Path(said["run"], "guest/check.elf").read_bytes()
    trace = json.loads(Path(said["run"], "trace/check.json").read_text())
    assert trace["complete"]
    assert {"selftest", "IDLE", "Tmr Svc"} <= {task["name"] for task in trace["tasks"].values()}


def test_a_kernel_in_the_environment(world: World, later: Path) -> None:
    """`FREERTOS_KERNEL=` builds a guest with it, or says at once that it is none."""
    env = {"FREERTOS_KERNEL": str(later)}
    guest = json.loads(world.run("guest.build", "hello", "--json", env=env).out)
    assert VERSION.encode() in Path(guest["kernel"]["path"]).read_bytes()
    (later / "tasks.c").unlink()
    said = world.run("guest.build", "hello", env=env, status=2).err
    assert "not a FreeRTOS kernel: no tasks.c in it" in said
