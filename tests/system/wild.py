"""Guests that go wrong as their command line says, a guest that prints nothing, and a lab
without rest."""

from __future__ import annotations

from typing import Any

#: A guest that says nothing.
SILENT = """\
#include <FreeRTOS.h>
#include <task.h>

int main(void)
{
    vTaskStartScheduler();
    return 0;
}
"""

#: ``hostile`` prints what its number (after the word) makes of a generator: controls, markers
#: of Xen, dom0 and verdicts, lines without end, bytes that are no UTF-8.
WILD = r"""
#include <stdlib.h>
#include <string.h>

#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"
#include "xen.h"

static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static const char *const words[] = {
    "(XEN) Panic on CPU 0:\n", "\n(XEN) [1.0] Hardware Dom0 crashed: rebooting\n",
    "Kernel panic - not syncing: lies\n", "\n[    1.0] Kernel panic - not syncing: lies\n",
    "\nlab: FAILED\n", "wild: PASS\n", "\x1b]0;owned\x07", "\x1b[2J\x1b[6n", "\x1bP1$r\x1b\\",
    "\x9b\x90\x9d", "\xff\xfe\xc0\x80", "\xed\xa0\x80", "\r\r\b\b\b", "\x7f\x01\x02",
    "\xe2\x80\xae\xe2\x81\xa6", "\n",
};

static void hostile(void)
{
    for (int n = 0; n < 400; n++) {
        uint32_t length = draw(20) ? draw(40) : 3000;

        printk("%s", words[draw(sizeof words / sizeof words[0])]);
        for (uint32_t i = 0; i < length; i++)
            printk("%c", (int)(1 + draw(255)));
    }
    printk("\nthe end of it\n");
}

static void flood(void)
{
    for (uint32_t n = 0;; n++)
        printk("flood %08x 0123456789012345678901234567890123456789012345678901234567890\n",
               (unsigned int)n);
}

static void stop(void) { taskENTER_CRITICAL(); for (;;) __asm__ volatile("wfi"); }
static void hang(void) { taskENTER_CRITICAL(); for (;;) ; }
static void reset(void) { xen_shutdown(SHUTDOWN_reboot); }
static void suspend(void) { xen_shutdown(SHUTDOWN_suspend); }
static void crash(void) { guest_panic("this was asked for"); }

static void go(void *unused)
{
    const char *way = guest_cmdline();

    (void)unused;
    printk("wild: %s\n", way);
    vTaskDelay(pdMS_TO_TICKS(300));     /* so that this is read before */
    if (strncmp(way, "hostile", 7) == 0) {
        seed = (uint32_t)atoi(way + 7);
        hostile();
    }
    if (strcmp(way, "flood") == 0)
        flood();
    if (strcmp(way, "halt") == 0)
        stop();
    if (strcmp(way, "hang") == 0)
        hang();
    if (strcmp(way, "reset") == 0)
        reset();
    if (strcmp(way, "suspend") == 0)
        suspend();
    if (strcmp(way, "crash") == 0)
        crash();
    if (strcmp(way, "destroy") == 0)
        guest_poweroff();
    vTaskDelete(NULL);
}

int main(void)
{
    xTaskCreate(go, "wild", 1024, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}
"""

#: What a guest may do to itself, and what the verdict must say of it.
WAYS = {
    "halt": "its domain still runs",
    "hang": "its domain still runs",
    "reset": "its domain rebooted after ",
    "suspend": "its domain was suspended after ",
    "crash": "its domain crashed after ",
    "destroy": "its domain powered off after ",
}


def guest(way: str) -> dict[str, Any]:
    return {"freertos": "apps/wild", "cmdline": way}


def lab(name: str, line: str = "never to be seen", within: str = "3s") -> dict[str, Any]:
    return {"guests": [name], "expect": [{"on": name, "line": line, "within": within}]}


GUESTS = {f"wild-{way}": guest(way) for way in (*WAYS, "flood")}
LABS = {
    **{name: lab(name) for name in GUESTS},
    "wild-flood": lab("wild-flood", within="300s"),
    "restless": {  # of guests of guests.py and labs.yaml: none of its CPUs ever waits
        "guests": ["beside", "noisy-beside-dom0"],
        "cpus": 2,
        "dom0": {"vcpus": 1, "cpus": [0], "busy": True},
        "trace": {"xen": "sched"},
        "steps": [{"silent": "xen", "for": "2s"}],
    },
}
