"""Guests that Xen boots from its device tree, beside dom0 and without one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from system.world import ROOT, Said, World

APPS = ROOT / "images/freertos/apps"
EARLY = {"freertos": str(APPS / "hello"), "start": "device-tree"}
GUESTS = {
    "early": EARLY,
    "early2": EARLY,
    "pinned-early": EARLY | {"cpus": [1]},
    "early-selftest": {"freertos": str(APPS / "selftest"), "start": "device-tree"},
    "early-periodic": {"freertos": str(APPS / "periodic"), "start": "device-tree", "trace": True},
    "early-crash": {
        "freertos": str(APPS / "crash"), "start": "device-tree", "cmdline": "poweroff",
    },
    "early-small": EARLY | {"memory": "4M"},
    "fixed": EARLY | {"static_memory": "0x60100000"},
    "mapped": {
        "freertos": str(APPS / "selftest"), "start": "device-tree",
        "static_memory": "0x70100000", "direct_map": True,
    },
}  # fmt: skip
HYPERVISORS = {
    "static": {
        "from": "source",
        "kconfig": [str(ROOT / "images/hypervisor/debug.config"), "static.config"],
    },
}
LABS = {
    "alone-static": {
        "hypervisor": "static",
        "dom0": False,
        "guests": ["fixed", "mapped"],
        "expect": [
            {"on": "fixed", "line": "alive at tick", "within": "5s"},
            {"on": "mapped", "regex": "selftest: PASS", "within": "60s"},
        ],
    },
    "beside": {
        "guests": ["early"],
        "steps": [
            {"wait": "task 2", "on": "early"},
            {"exec": "xl list", "regex": "^early +1 +16 "},
            {"pause": "early"},
            {"silent": "early", "for": "3s"},
            {"unpause": "early"},
            {"regex": r"alive at tick \d+", "on": "early", "within": "3s"},
            {"destroy": "early"},
            {"exec": "xl domid early", "status": 1},
        ],
    },
    "beside-pinned": {
        "cpus": 2,
        "dom0": {"vcpus": 1, "cpus": [0]},
        "guests": ["pinned-early"],
        "steps": [
            {"exec": "xl vcpu-list pinned-early", "regex": r" 1 +\S+ +\S+ +1 "},
            {"wait": "alive at tick", "on": "pinned-early"},
        ],
    },
    "beside-traced": {
        "guests": ["early-periodic"],
        "trace": {"xen": ["sched"]},
        "expect": [{"on": "early-periodic", "line": "periodic: PASS", "within": "60s"}],
    },
    "beside-ended": {
        "guests": ["early-crash"],
        "expect": [{"on": "early-crash", "line": "never said", "within": "2s"}],
    },
    "alone": {
        "dom0": False,
        "guests": ["early", "early2"],
        "steps": [
            {"wait": "task 1", "on": "early", "within": "1s"},
            {"silent": "early", "for": "500ms"},
            {"wait": "alive at tick 2", "on": "early2", "within": "3s"},
        ],
    },
    "alone-selftest": {
        "dom0": False,
        "guests": ["early-selftest"],
        "expect": [{"on": "early-selftest", "regex": "selftest: PASS", "within": "60s"}],
    },
    "alone-ended": {
        "dom0": False,
        "guests": ["early-crash"],
        "expect": [{"on": "early-crash", "line": "never said", "within": "5s"}],
    },
    "alone-small": {"dom0": False, "guests": ["early-small"]},
}


class Labs:
    """The labs above, in a folder of their own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.folder = world.folder / "dom0less"
        self.folder.mkdir(exist_ok=True)
        data = {"hypervisors": HYPERVISORS, "guests": GUESTS, "labs": LABS}
        (self.folder / "labs.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        (self.folder / "static.config").write_text("CONFIG_STATIC_MEMORY=y\n")

    def run(self, *words: str, status: int = 0) -> Said:
        return self._world.run(*words, status=status, cwd=self.folder)


@pytest.fixture
def labs(world: World) -> Labs:
    return Labs(world)


@pytest.mark.parametrize("name", ["beside", "beside-pinned", "alone", "alone-selftest"])
def test_its_scenario_passes_with_a_digest_that_repeats(labs: Labs, name: str) -> None:
    """Steps in dom0 know the guest as any other; without dom0 the consoles suffice."""
    assert len({_digest(labs.run("lab.run", name).out) for _ in range(2)}) == 1


@pytest.mark.parametrize("name", ["beside", "alone-selftest"])
def test_its_scenario_passes_on_the_hosts_clock(labs: Labs, name: str) -> None:
    """Booted, and out of a template where there is one."""
    for _ in range(2):
        labs.run("lab.run", name, "--clock", "host")


def test_memory_of_its_own_choice(labs: Labs) -> None:
    """At an odd MiB, and where guest and machine have the same addresses (also GIC and UART)."""
    labs.run("lab.run", "alone-static")


def test_its_trace_is_complete(labs: Labs) -> None:
    labs.run("lab.run", "beside-traced")
    trace = labs.folder / "runs/beside-traced/latest/trace/early-periodic.json"
    assert json.loads(Path(trace).read_text())["complete"]


def test_its_end_is_told_by_its_name(labs: Labs) -> None:
    """It ended before dom0 was there."""
    assert "guest early-crash powered off" in labs.run("lab.run", "beside-ended", status=1).out


def test_time_goes_on_when_all_guests_have_ended(labs: Labs) -> None:
    """No timer is set in the machine then, and its clock would stand still."""
    out = labs.run("lab.run", "alone-ended", status=1).out
    assert "was not seen on the console of early-crash within 5s" in out


def test_a_bank_that_is_too_small(labs: Labs) -> None:
    err = labs.run("lab.run", "alone-small", status=2).err
    assert re.search(r"labs\.yaml:\d+:\d+: 'memory': 4M is too little", err)


def test_without_dom0_what_needs_it_says_so(labs: Labs) -> None:
    labs.run("lab.up", "alone")
    try:
        assert re.search(r"early +1 +16 ", labs.run("lab.status", "alone").out)
        for words in (("lab.exec", "alone", "xl list"), ("lab.inject", "alone", "early2")):
            assert "this needs dom0" in labs.run(*words, status=2).err
        assert "hello from FreeRTOS" in labs.run("lab.logs", "alone", "--on", "early").out
    finally:
        labs.run("lab.down", "alone")


def _digest(said: str) -> str:
    found = re.search(r"^digest: (\w+)", said, re.MULTILINE)
    assert found, said
    return found[1]
