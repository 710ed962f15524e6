"""Labs for the debugger's tests: two guests of one program, on machines of both architectures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from system.world import ROOT, Said, World, until

#: The program. It prints how much of each stack was never used, by FreeRTOS's own count, and has
#: what the debugger lists: queues, a mutex, timers, tasks that wait for each of them.
PROGRAM = r"""
#include <FreeRTOS.h>
#include <task.h>
#include <queue.h>
#include <semphr.h>
#include <timers.h>

#include "guest.h"

static QueueHandle_t orders;
static SemaphoreHandle_t door;
static TaskHandle_t worker_task, guard_task;
volatile unsigned long counted;

__attribute__((noinline)) void count_up(unsigned long by)
{
    counted += by;
}

static void worker(void *unused)
{
    volatile unsigned char deep[256];
    unsigned long order = 0;

    (void)unused;
    for (unsigned int i = 0; i < sizeof deep; i++)
        deep[i] = 1;
    for (;;)
        if (xQueueReceive(orders, &order, portMAX_DELAY))
            count_up(deep[0]);
}

static void guard(void *unused)
{
    (void)unused;
    xSemaphoreTake(door, portMAX_DELAY);
    for (;;)
        vTaskDelay(portMAX_DELAY);
}

static void boss(void *unused)
{
    unsigned long order = 1;

    (void)unused;
    xSemaphoreTake(door, portMAX_DELAY);
    for (;;) {
        vTaskDelay(pdMS_TO_TICKS(200));
        printk("left worker %lu guard %lu\n",
               (unsigned long)(uxTaskGetStackHighWaterMark(worker_task) * sizeof(StackType_t)),
               (unsigned long)(uxTaskGetStackHighWaterMark(guard_task) * sizeof(StackType_t)));
        xQueueSend(orders, &order, 0); /* last: until the next delay the worker does not wait */
    }
}

static void rung(TimerHandle_t timer)
{
    (void)timer;
}

int main(void)
{
    orders = xQueueCreate(4, sizeof(unsigned long));
    door = xSemaphoreCreateMutex();
    vQueueAddToRegistry(orders, "orders");
    vQueueAddToRegistry(door, "door");
    xTaskCreate(boss, "boss", 1024, NULL, 5, NULL);
    xTaskCreate(worker, "worker", 768, NULL, 4, &worker_task);
    xTaskCreate(guard, "guard", 640, NULL, 3, &guard_task);
    xTimerStart(xTimerCreate("bell", pdMS_TO_TICKS(60000), pdTRUE, NULL, rung), 0);
    vTaskStartScheduler();
    return 0;
}
"""
#: The bytes of a word of a stack, by the architecture.
WIDTHS = {"arm32": 4, "arm64": 8}


@dataclass
class Twins:
    """A running lab with guests ``left`` and ``right`` of one program."""

    world: World
    arch: str
    file: Path
    scratch: Path

    @property
    def name(self) -> str:
        return f"twins-{self.arch}"

    def gdb(self, commands: str, *words: str, status: int = 0) -> Said:
        """Run GDB's commands in the lab."""
        script = self.scratch / "commands.gdb"
        script.write_text(commands)
        return self.world.run(*self.command("--batch", "--command", str(script), *words),
                              status=status)  # fmt: skip

    def command(self, *words: str) -> list[str]:
        """The command line of ``lab.debug`` on this lab."""
        return ["lab.debug", self.name, "--labs", str(self.file), *words]

    def log(self, guest: str) -> str:
        """What a guest has printed."""
        path = self.file.parent / "runs" / self.name / "latest" / "console" / f"{guest}.log"
        return path.read_text(errors="replace")

    def goes_on(self, guest: str) -> None:
        """Wait until a guest prints more."""
        before = self.log(guest).count("left worker")
        until(f"{guest} goes on", lambda: self.log(guest).count("left worker") > before, 60)

    def never_used(self, guest: str) -> dict[str, int]:
        """How many bytes of each stack a guest itself says were never used, in its last
        line that is complete."""
        last = re.findall(r"left (.*)\n", self.log(guest))[-1].split()
        return dict(zip(last[::2], map(int, last[1::2]), strict=True))


def hits(count: int) -> str:
    """GDB's commands that continue to so many hits, and say in which thread each one is."""
    return f"""\
python
for hit in range({count}):
    gdb.execute("continue", to_string=True)
    gdb.write("hit in %s\\n" % gdb.selected_thread().details)
end
"""


@contextmanager
def running(world: World, arch: str, scratch: Path) -> Iterator[Twins]:
    """Twins on a machine of this architecture, with two PCPUs."""
    app = scratch / "app"
    app.mkdir()
    (app / "main.c").write_text(PROGRAM)
    (scratch / "images").symlink_to(ROOT / "images")
    guests = {name: {"freertos": "app"} for name in ("left", "right")}
    twins = Twins(world, arch, scratch / "labs.yaml", scratch)
    labs = {
        "hypervisors": {"stock": {"from": "package"}},
        "guests": guests,
        "labs": {twins.name: {"arch": arch, "cpus": 2, "guests": [*guests]}},
    }
    twins.file.write_text(yaml.safe_dump(labs))
    world.run("lab.up", twins.name, "--labs", str(twins.file))
    found = world.labs() - world.kept
    world.kept |= found
    try:
        until("the guests print", lambda: all("left w" in twins.log(name) for name in guests), 90)
        yield twins
    finally:
        world.kept -= found
        world.run("lab.down", twins.name, "--labs", str(twins.file))
