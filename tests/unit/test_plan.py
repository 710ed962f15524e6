"""A plan depends only on the lab. These tests compare plans with stored ones."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lab import plan as planning
from lab.model import (
    Clock,
    Dom0Spec,
    Expectation,
    FreeRtosApp,
    GuestSpec,
    HypervisorSpec,
    Lab,
    Prebuilt,
    Scheduling,
)

HELLO = GuestSpec("hello", FreeRtosApp(Path("/src/hello")))
LAB = Lab("one", HypervisorSpec("stock"), guests=(HELLO,))

GOLDEN_XL = """\
name = "hello"
kernel = "/lab/guests/hello.bin"
memory = 16
vcpus = 1
disk = []
on_poweroff = "preserve"
on_reboot = "preserve"
on_watchdog = "preserve"
on_crash = "preserve"
"""

GOLDEN_PLAN: dict[str, object] = {
    "consoles": ["xen", "dom0", "hello"],
    "dom0_args": f"console={planning.DOM0_CONSOLE} rdinit=/init panic=-1 {planning.LINUX_QUICK}",
    "dom0_scheduling": [],
    "disturbances": [],
    "seed": None,
    "guests": [
        {
            "config": GOLDEN_XL,
            "name": "hello",
            "cmdline": "",
            "scheduling": [],
            "spec": {
                "by_xen": False,
                "cmdline": "",
                "cpus": [],
                "direct_map": False,
                "disks": [],
                "ends": {
                    "crash": "preserve",
                    "poweroff": "preserve",
                    "reboot": "preserve",
                    "watchdog": "preserve",
                },
                "may_crash": False,
                "memory": 16777216,
                "name": "hello",
                "program": {
                    "app": "/src/hello",
                    "emergency_console": False,
                    "kernel_tree": None,
                },
                "scheduler": None,
                "static_memory": 0,
                "trace": 0,
                "vcpus": 1,
                "vifs": [],
                "vuart": False,
                "width": 32,
            },
        }
    ],
    "lab": {
        "arch": "arm32",
        "clock": None,
        "cpu": "",
        "cpus": 1,
        "description": "",
        "dom0": {
            "busy": False,
            "config": [],
            "cpus": [],
            "kernel": None,
            "memory": 268435456,
            "modules": None,
            "scheduler": None,
            "source": None,
            "vcpus": None,
        },
        "expect": [{"line": 0, "on": "hello", "regex": False, "text": "hi", "within": 10.0}],
        "explore": {
            "longest": 0.02,
            "most": 6,
            "neighbour": "",
            "vary": [
                "dom0-load",
                "neighbour-load",
                "pause",
                "input",
                "ticks",
                "order",
                "entropy",
                "budget",
            ],
            "within": 1.0,
        },
        "gic": 0,
        "guests": ["…"],
        "hypervisor": {
            "args": "",
            "kconfig": [],
            "name": "stock",
            "origin": "package",
            "source": None,
            "tools": "package",
            "release": "",
        },
        "later": [],
        "line": 0,
        "may_crash": False,
        "memory": 1073741824,
        "name": "one",
        "never": [],
        "schedule": None,
        "scheduler": "",
        "steps": [],
        "thresholds": [],
        "channels": [],
        "shared_memory": [],
        "trace": None,
        "without_dom0": False,
    },
    "later": [],
    "machine": {
        "arch": "arm32",
        "clock": "virtual",
        "cpu": "cortex-a15",
        "cpus": 1,
        "gic": 2,
        "memory": 1073741824,
    },
    "pool": [],
    "schedule": [],
    "xen_args": "console=dtuart dtuart=/pl011@9000000 dom0_mem=256M bootscrub=0 "
    "console_timestamps=boot dom0_max_vcpus=1",
}


def test_plan_as_json_is_golden() -> None:
    lab = Lab(
        "one",
        HypervisorSpec("stock"),
        guests=(HELLO,),
        expect=(Expectation("hello", "hi", within=10.0),),
    )
    found = json.loads(planning.to_json(planning.plan(lab, clock=Clock.VIRTUAL)))
    assert found["lab"]["guests"] == [found["guests"][0]["spec"]]
    found["lab"]["guests"] = ["…"]
    assert found == GOLDEN_PLAN


def test_same_lab_same_json() -> None:
    assert planning.to_json(planning.plan(LAB)) == planning.to_json(planning.plan(LAB))


def test_labs_yaml_has_the_last_word_on_the_clock() -> None:
    lab = Lab("one", HypervisorSpec("stock"), clock=Clock.VIRTUAL)
    assert planning.plan(lab, clock=Clock.HOST).machine.clock is Clock.VIRTUAL
    assert planning.plan(LAB).machine.clock is Clock.HOST


def test_pinning_dom0_and_hypervisor_arguments() -> None:
    lab = Lab("p", HypervisorSpec("d", args="sched=rtds"), cpus=2, dom0=Dom0Spec(cpus=(0,)))
    assert planning.xen_args(lab).endswith("dom0_max_vcpus=1 dom0_vcpus_pin sched=rtds")


def test_scheduler_is_an_argument_and_the_hypervisors_own_come_last() -> None:
    debug = HypervisorSpec("d", "source", args="sched_ratelimit_us=500")
    args = planning.xen_args(Lab("r", debug, scheduler="credit"))
    assert args.endswith(" sched=credit guest_loglvl=all conring_size=1M sched_ratelimit_us=500")
    assert "sched=" not in planning.xen_args(LAB)


def test_dom0_reads_xens_console_only_if_xen_may_show_guests_there() -> None:
    """A packaged Xen never shows guests there, so dom0 does not start the program that reads it."""
    assert "hypervisor_log" not in planning.dom0_args(LAB)
    assert "hypervisor_log=1" in planning.dom0_args(Lab("r", HypervisorSpec("d", "source"))).split()


def test_shares_are_words_for_xl() -> None:
    """RTDS needs all three, in microseconds, for all vCPUs (xl(1))."""
    share = Scheduling("rtds", period=0.0125, budget=0.0003)
    words = "sched-rtds -v all -p 12500 -b 300 -e 1 -d"
    assert planning.scheduling(share) == tuple(words.split())
    alone = Scheduling("rtds", period=1.0, budget=0.5, extratime=False)
    assert planning.scheduling(alone)[-3:] == ("-e", "0", "-d")
    credit = Scheduling("credit2", weight=512, cap=50)
    assert planning.scheduling(credit) == ("sched-credit2", "-w", "512", "-c", "50", "-d")
    for nothing in (None, Scheduling("rtds"), Scheduling("null"), Scheduling("credit")):
        assert planning.scheduling(nothing) == ()


def test_pinned_guest_with_ramdisk_and_arguments() -> None:
    guest = GuestSpec(
        "linux",
        Prebuilt(Path("/k"), Path("/r")),
        memory=64 << 20,
        vcpus=2,
        cpus=(1, 3),
        cmdline='a="b" c\\d',
    )
    lines = planning.xl_config(guest).splitlines()
    assert 'ramdisk = "/lab/guests/linux.ramdisk"' in lines
    assert 'cmdline = "a=\\"b\\" c\\\\d"' in lines
    assert 'cpus = "1,3"' in lines
    assert "memory = 64" in lines


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_arguments_cannot_leave_their_quotes(text: str) -> None:
    """However strange the arguments, they stay one line and one string."""
    plain = planning.xl_config(GuestSpec("x", Prebuilt(Path("/k")), cmdline="x")).splitlines()
    lines = planning.xl_config(GuestSpec("x", Prebuilt(Path("/k")), cmdline=text)).splitlines()
    if text:
        assert len(lines) == len(plain)
        (line,) = [line for line in lines if line.startswith("cmdline")]
        body = line.removeprefix('cmdline = "').removesuffix('"')
        assert body.replace("\\\\", "").replace('\\"', "").count('"') == 0
        assert body.replace("\\\\", "").replace('\\"', "").count("\\") == 0
