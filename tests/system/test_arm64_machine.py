"""Labs of arm64: their machines, commands, templates, faults, and what their QEMU may do."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.model import ARM64
from system import engine as engines
from system.test_security import (  # noqa: F401  (the same promises, of this module's lab)
    test_it_has_no_rights,
    test_it_inherits_one_descriptor,
    test_it_writes_nowhere_else,
    test_nothing_listens_on_a_network,
)
from system.world import ROOT, World, processes, until

pytestmark = pytest.mark.xdist_group("arm64 machine")

LABS = "wide.yaml"
HELLO = {"on": "hello", "line": "hello from FreeRTOS", "within": "20s"}
EARLY = HELLO | {"on": "early"}
#: Every processor and every interrupt controller.
BOARDS = [(cpu, 2) for cpu in ARM64.cpus] + [(cpu, 3) for cpu in ARM64.cpus[1:]]


@pytest.fixture(scope="module")
def wide(world: World) -> World:
    """The world with a second labs file: a lab with dom0 and GICv3, and one for each board."""
    app = str(ROOT / "images/freertos/apps/hello")
    labs: dict[str, Any] = {
        "wide": {"arch": "arm64", "guests": ["hello"], "expect": [HELLO]},
        "third": {"arch": "arm64", "cpu": "cortex-a72", "gic": 3, "cpus": 2,
                  "guests": ["hello"], "expect": [HELLO]},
    }  # fmt: skip
    for cpu, gic in BOARDS:
        labs[f"{cpu}-{gic}"] = {"arch": "arm64", "cpu": cpu, "gic": gic, "dom0": False,
                                "guests": ["early"], "expect": [EARLY]}  # fmt: skip
    guests = {
        "hello": {"freertos": app},
        "other": {"freertos": app},
        "early": {"freertos": app, "start": "device-tree"},
    }
    (world.folder / LABS).write_text(yaml.safe_dump({"guests": guests, "labs": labs}))
    return world


@pytest.fixture(scope="module")
def up(wide: World) -> Iterator[World]:
    """The world with the lab ``wide`` running, on the host's clock."""
    wide.run("lab.up", "wide", "--labs", LABS)
    wide.kept.add(wide.id_of("wide"))
    try:
        yield wide
    finally:
        wide.kept.clear()
        wide.run("lab.down", "wide", "--labs", LABS)


@pytest.fixture(scope="module")
def qemu(up: World) -> Path:
    """The folder in /proc of the lab's QEMU."""
    return Path("/proc", str(machine(up.id_of("wide"))))


def machine(lab: str) -> int:
    """The process of QEMU of the lab with this id."""
    tag = f"xenlab-{lab}"
    (found,) = [
        pid
        for pid, words in processes()
        if words[0].endswith(ARM64.qemu) and any(tag in word for word in words)
    ]
    return found


def test_commands_reach_it(up: World) -> None:
    """dom0, guests that are injected, consoles, and what commands say of the architecture."""
    assert up.run("lab.exec", "wide", "uname -m", "--labs", LABS).out == "aarch64\n"
    assert "FreeRTOS V" in up.run("lab.inject", "wide", "other", "--labs", LABS).out
    up.says("wide", "other", "hello from FreeRTOS")
    (status,) = (json.loads(up.run("lab.status", "wide", "--labs", LABS, "--json").out),)
    assert status["arch"] == "arm64"
    assert [one["name"] for one in status["domains"]] == ["Domain-0", "hello", "other"]
    assert "wide (arm64)" in up.run("lab.list", "--labs", LABS).out
    assert "hello from FreeRTOS" in up.run("lab.logs", "wide", "--on", "other", "--labs", LABS).out


@pytest.mark.parametrize(("cpu", "gic"), BOARDS)
def test_a_guest_runs_on_every_board(wide: World, cpu: str, gic: int) -> None:
    """Xen knows the processor, the guest its interrupt controller; the manifest names both."""
    said = json.loads(wide.run("lab.run", f"{cpu}-{gic}", "--labs", LABS, "--json").out)
    manifest = json.loads(Path(said["run"], "manifest.json").read_text())
    assert (manifest["arch"], manifest["cpu"], manifest["gic"]) == ("arm64", cpu, gic)
    log = Path(said["run"], "console", "xen.log").read_text(errors="replace")
    assert f"GICv{gic} initialization" in log


def test_a_machine_with_gicv3_is_stored_and_restored(wide: World) -> None:
    """Two processors, dom0, and a guest that dom0 creates: the digest is the same again."""
    first = json.loads(wide.run("lab.run", "third", "--labs", LABS, "--json").out)
    again = wide.run("lab.run", "third", "--labs", LABS, "--json")
    assert "from template" in again.err
    assert json.loads(again.out)["digest"] == first["digest"] != ""
    wide.run("lab.run", "third", "--labs", LABS, "--verify", first["run"])


def test_a_machine_that_ends_is_told(wide: World) -> None:
    """QEMU is killed: the command that waits ends at once, with its layer, and leaves nothing."""
    running = wide.start("lab.run", "third", "--labs", LABS, "--cold").when("Xen")
    os.kill(machine(wide.id_of_run("third")), signal.SIGKILL)
    said = running.end().expect(3)
    assert "[qemu]" in said.out
    until("nothing is left", lambda: not wide.strays())


def test_the_docker_door_runs_it(wide: World) -> None:
    """Its toolchain and the digest of its run are those of the rootfs door."""
    rootfs = wide.run("lab.run", "wide-1", "--labs", LABS, "--door", "rootfs", "--json").out
    with engines.engine():
        docker = wide.run("lab.run", "wide-1", "--labs", LABS, "--door", "docker", "--json").out
        assert engines.containers() == []
    assert json.loads(docker)["digest"] == json.loads(rootfs)["digest"] != ""
