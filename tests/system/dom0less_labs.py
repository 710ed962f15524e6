"""Labs with guests that Xen boots, for the system tests."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from system.world import ROOT, Said, World

APPS = ROOT / "images/freertos/apps"
EARLY = {"freertos": str(APPS / "hello"), "start": "device-tree"}
MESSAGES = {"freertos": str(APPS / "messages"), "start": "device-tree"}
GUESTS = {
    "early": EARLY,
    "early2": EARLY,
    "flood": {"freertos": "flood", "start": "device-tree"},
    "hello": {"freertos": str(APPS / "hello")},
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
    "early-linux": {"linux": str(ROOT / "images/linux/hello"), "start": "device-tree"},
    "ping": MESSAGES | {"cmdline": "role=ping port=10 count=30"},
    "pong": MESSAGES | {"cmdline": "role=pong port=10 count=30"},
    "box-ping": MESSAGES | {
        "cmdline": "role=ping port=31 memory=box count=30",
        "static_memory": "0x60000000", "direct_map": True,
    },
    "box-pong": MESSAGES | {"cmdline": "role=pong port=31 memory=box count=30"},
}  # fmt: skip
#: A guest that prints as fast as it can.
FLOOD = """\
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"

static void speak(void *unused)
{
    (void)unused;
    for (unsigned int i = 0;; i++)
        printk("flood %08x 0123456789\\n", i);
}

int main(void)
{
    xTaskCreate(speak, "speak", configMINIMAL_STACK_SIZE, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}
"""
HYPERVISORS = {
    "static": {
        "from": "source",
        "kconfig": [str(ROOT / "images/hypervisor/debug.config"), "static.config"],
    },
}
LABS = {
    "beside-wide": {
        "cpus": 3,
        "guests": ["early", "early-selftest", "hello"],
        "expect": [
            {"on": "early", "line": "alive at tick 3", "within": "10s"},
            {"on": "hello", "line": "alive at tick 2", "within": "10s"},
        ],
    },
    "alone-wide": {
        "cpus": 2,
        "dom0": False,
        "guests": ["early", "early2"],
        "expect": [
            {"on": on, "line": "alive at tick 3", "within": "10s"} for on in ("early", "early2")
        ],
    },
    "alone-static": {
        "hypervisor": "static",
        "dom0": False,
        "guests": ["fixed", "mapped"],
        "expect": [
            {"on": "fixed", "line": "alive at tick", "within": "5s"},
            {"on": "mapped", "regex": "selftest: PASS", "within": "60s"},
        ],
    },
    "alone-linux": {
        "dom0": False,
        "guests": ["early-linux"],
        "expect": [{"on": "early-linux", "line": "hello from Linux", "within": "20s"}],
    },
    "alone-channel": {
        "dom0": False,
        "guests": ["ping", "pong"],
        "channels": [{"port": 10, "guests": ["ping", "pong"]}],
        "expect": [{"on": "ping", "line": "messages: PASS", "within": "20s"}],
    },
    "alone-messages": {
        "hypervisor": "static",
        "cpus": 2,
        "dom0": False,
        "guests": ["box-ping", "box-pong"],
        "channels": [{"port": 31, "guests": ["box-pong", "box-ping"]}],
        "shared_memory": [
            {
                "name": "box",
                "address": "0x70000000",
                "size": "2M",
                "guests": ["box-ping", "box-pong"],
            },
        ],
        "expect": [
            {"on": "box-ping", "regex": "30 round trips of 80 bytes", "within": "20s"},
            {"on": "box-ping", "line": "messages: PASS", "within": "20s"},
        ],
    },
    "beside": {
        "guests": ["early"],
        "steps": [
            {"wait": "task 2", "on": "early"},
            {"type": "a line that is longer than sixteen bytes", "on": "early"},
            {"wait": "you typed: a line that is longer than sixteen bytes", "on": "early"},
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
    "alone-flood": {
        "dom0": False,
        "guests": ["flood"],
        "expect": [{"on": "flood", "line": "never said", "within": "60s"}],
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
        options = "CONFIG_STATIC_MEMORY=y\nCONFIG_STATIC_SHM=y\n"
        (self.folder / "static.config").write_text(options)
        (self.folder / "flood").mkdir(exist_ok=True)
        (self.folder / "flood/main.c").write_text(FLOOD)

    def run(self, *words: str, status: int = 0, env: Mapping[str, str] | None = None) -> Said:
        return self._world.run(*words, status=status, cwd=self.folder, env=env)
