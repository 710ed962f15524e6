"""Guests that belong to the tests. They lie outside the project, as a user's guests do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.api import Context
from lab.images import dom0, newc
from lab.packages import deb
from system import wild
from system.odd_traces import BURST, LIAR

#: What a guest may try on the terminal of who watches it: title, clipboard, a report that
#: types into the shell, 8-bit controls.
HOSTILE = r"\033]0;owned\007\033]52;c;ZWNobw==\007\033[6n\033P\233\x90"

#: An application of a user's own.
MINE = f"""\
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"

static void speak(void *unused)
{{
    (void)unused;
    for (;;) {{
        printk("mine: {HOSTILE} after\\n");
        vTaskDelay(pdMS_TO_TICKS(200));
    }}
}}

int main(void)
{{
    xTaskCreate(speak, "speak", configMINIMAL_STACK_SIZE, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}}
"""

#: A guest that would like to decide its own verdict, and to give commands to a CI system.
FORGER = """\
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"

static void forge(void *unused)
{
    (void)unused;
    for (;;) {
        printk("::error file=labs.yaml,line=1::forged\\n  ::set-output name=a::forged\\n");
        printk("##[error]forged\\nPASS forger\\n```\\n</testcase>]]>\\n");
        printk("[    9.000000] lab: domain forger crashed\\n(XEN) [    9.0] Panic on CPU 0:\\n");
        vTaskDelay(pdMS_TO_TICKS(200));
    }
}

int main(void)
{
    xTaskCreate(forge, "forge", configMINIMAL_STACK_SIZE, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}
"""

#: A project with a build of its own: a kernel of a few instructions that powers off. Its
#: Makefile's own assignments suit another machine: the lab's compiler and headers win over them.
PROJECT = {
    "Makefile": """\
CROSS_COMPILE = no-such-compiler-
XEN_PREFIX = /usr
out/off.bin: out/off.elf
	$(CROSS_COMPILE)objcopy -O binary $< $@
out/off.elf: start.S
	mkdir -p out
	$(CROSS_COMPILE)gcc -mcpu=cortex-a15 -I$(XEN_PREFIX)/include -nostdlib -Wl,-Ttext=0 -o $@ $<
""",
    "start.S": """\
#define __ASSEMBLY__
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/xen.h>
    .arch_extension virt
    .global _start
_start:
    .rept   8
    mov     r0, r0
    .endr
    b       go
    .word   0x016f2818, 0, end - _start
go: mov     r0, #2                      @ SCHEDOP_shutdown
    adr     r1, reason
    mov     r12, #__HYPERVISOR_sched_op
    hvc     #0xea1
1:  b       1b
reason:
    .word   0                           @ SHUTDOWN_poweroff
end:
""",
}

GUESTS: dict[str, dict[str, Any]] = {
    "mine": {"freertos": "apps/mine"},
    "silent": {"freertos": "apps/silent"},
    "crash": {"freertos": "images/freertos/apps/crash", "cmdline": "data"},
    "brave": {"freertos": "images/freertos/apps/crash", "cmdline": "data", "may_crash": "true"},
    "forger": {"freertos": "apps/forger"},
    "junk": {"kernel": "junk.bin"},
    "capped": {"freertos": "images/freertos/apps/hello", "scheduler": {"cap": 800}},
    "off": {"project": "project", "build": "make", "kernel": "out/off.bin", "elf": "out/off.elf"},
    "broken": {"freertos": "apps/broken"},
    "liar": {"freertos": "apps/liar", "trace": "64K"},
    "burst": {"freertos": "apps/burst", "trace": "4K"},
    "flood": {"freertos": "images/freertos/apps/periodic", "trace": "4K", "cmdline": "seconds=2"},
    "scheduled": {
        "freertos": "images/freertos/apps/periodic", "trace": "true", "cmdline": "seconds=2",
    },
    "beside": {
        "freertos": "images/freertos/apps/periodic", "trace": "true", "cpus": [1],
        "cmdline": "seconds=4",
    },
    "crash-traced": {
        "freertos": "images/freertos/apps/crash", "cmdline": "data", "trace": "true",
    },
}  # fmt: skip

LABS: dict[str, dict[str, Any]] = {
    "shared": {"guests": ["hello", "hello2"]},
    "silent": {
        "guests": ["silent"],
        "expect": [{"on": "silent", "line": "never to be seen", "within": "2s"}],
    },
    "patient": {  # under the virtual clock "silent" takes no tenth of a second
        "guests": ["silent"],
        "expect": [{"on": "silent", "line": "never to be seen", "within": "600m"}],
    },
    "crash": {
        "guests": ["crash"],
        "expect": [{"on": "crash", "line": "never to be seen", "within": "60s"}],
    },
    "unwatched": {  # who tells of crashes is killed
        "guests": ["silent"],
        "steps": [{"exec": "busybox killall lab-fate"}, {"inject": "crash"}, {"exec": "sleep 60"}],
    },
    "unstored": {
        "guests": ["silent"],
        "steps": [{"exec": "busybox killall -9 xenstored"}, {"exec": "sleep 60"}],
    },
    "brave": {
        "guests": ["brave"],
        "expect": [{"on": "brave", "line": "not permitted", "within": "20s"}],
        "steps": [{"exec": "sleep 2"}, {"exec": "xl list brave", "regex": " ---s?-?c- "}],
    },
    "forged": {
        "guests": ["forger"],
        "steps": [
            {"wait": "PASS forger", "on": "forger"},
            {"wait": "never to be seen", "on": "forger", "within": "2s"},
            {"exec": "xl list"},
        ],
    },
    "endless": {
        "guests": ["hello"],
        "steps": [
            {"wait": "hello from FreeRTOS", "on": "hello"},
            {"exec": "sh -c 'while :; do :; done'", "within": "600m"},
        ],
    },
    "strict": {
        "guests": ["flood"],
        "clock": "virtual",
        "trace": {"xen": "sched"},
        "expect": [{"on": "flood", "line": "periodic: PASS", "within": "60s"}],
        "thresholds": [
            "max release jitter of fast < 1us",
            "p99 response time of flood/slow < 1s",
        ],
    },
    **{name: {"guests": [name]} for name in ("junk", "capped")},
    "broken": {"guests": ["broken"]},
    "liar": {
        "guests": ["liar", "burst"],
        "clock": "virtual",
        "expect": [
            {"on": "liar", "line": "lied", "within": "60s"},
            {"on": "burst", "line": "burst done", "within": "60s"},
        ],
    },
    "windows": {  # on a CPU of the guests' own
        "hypervisor": "debug",
        "cpus": 2,
        "trace": {"xen": "sched-states"},
        "scheduler": {
            "name": "arinc653",
            "frame": "10ms",
            "windows": [
                {"domain": "noisy", "runtime": "5ms"},
                {"domain": "scheduled", "runtime": "3ms"},
            ],
        },
        "guests": ["scheduled", "noisy"],
        "steps": [
            {"exec": "lab-arinc653 1", "output": " 0 5000000"},
            {"exec": "lab-arinc653 0", "status": "1"},  # dom0's pool has another scheduler
            {"exec": "xl cpupool-list", "regex": r"^arinc653 +1 +arinc653 +y +2"},
            {"wait": "periodic: PASS", "on": "scheduled", "within": "60s"},
        ],
    },
    "beside": {
        "guests": ["beside"],
        "cpus": 2,
        "dom0": {"vcpus": 1, "cpus": [0]},
        "trace": {"xen": "sched"},
        "expect": [{"on": "beside", "line": "periodic: PASS", "within": "60s"}],
    },
    "crash-traced": {
        "guests": ["crash-traced"],
        "trace": {"xen": "sched-states"},
        "expect": [{"on": "crash-traced", "line": "never to be seen", "within": "3s"}],
    },
}


MATRICES = {"tiny": {"columns": ["good", "bad"], "rows": {"one": ["beside", "crash-traced"]}}}

TEXTS = {
    "mine": MINE,
    "silent": wild.SILENT,
    "forger": FORGER,
    "liar": LIAR,
    "burst": BURST,
    "wild": wild.WILD,
    "broken": "int main(void) { oops }",
}


def write(folder: Path) -> None:
    """Write their sources below ``folder``."""
    for name, text in TEXTS.items():
        (folder / "apps" / name).mkdir(parents=True)
        (folder / "apps" / name / "main.c").write_text(text)
    (folder / "project").mkdir()
    for name, text in PROJECT.items():
        (folder / "project" / name).write_text(text)
    (folder / "junk.bin").write_bytes(b"this is not a kernel\n" * 500)


def write_linux(folder: Path) -> dict[str, Any]:
    """Write a Linux guest: Debian's kernel unchanged, and an initramfs that prints one line."""
    workshop = Context().workshop()
    packages = workshop.packages()
    kernel = dom0.packaged_kernel(workshop.store, packages)
    busybox = deb.tree([deb.named(packages, "busybox-static")], lambda path: "busybox" in path)
    init = b"#!/bin/busybox sh\necho hello from Linux\nexec /bin/busybox sleep 1000\n"
    files = [
        newc.file("bin/busybox", busybox.data("/bin/busybox"), 0o755),
        newc.file("init", init, 0o755),
        newc.character_device("dev/console", 5, 1),
    ]
    (folder / "linux.cpio").write_bytes(newc.archive(files))
    return {
        "kernel": str(kernel.path), "ramdisk": "linux.cpio", "cmdline": "console=hvc0",
        "memory": "96M",
    }  # fmt: skip
