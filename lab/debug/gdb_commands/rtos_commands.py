"""``lab tasks``, ``lab queues``, ``lab timers``: what FreeRTOS in the guest has."""

from __future__ import annotations

import contextlib
from typing import Any

import gdb

from lab.debug.gdb_commands import frames, freertos, link, refresh

#: How many frames of each task ``lab tasks`` shows.
FRAMES = 8
#: tmrSTATUS_IS_AUTORELOAD (timers.c, since V10.2).
AUTORELOAD = 4
#: The thread number of the first task (lab/debug/machine_view.py).
FIRST = 0x1000


class Tasks(gdb.Command):
    """Show FreeRTOS's tasks: state, priority, stack, what each waits for, where each is.

    Each task is a thread: 'thread NUMBER' goes to one. 'lab tasks brief' leaves out the frames."""

    def __init__(self) -> None:
        super().__init__("lab tasks", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        found = freertos.tasks()
        refresh.refresh()
        numbers = _numbers()
        rows = [("thread", "task", "state", "prio", "stack used", "left", "waits for")]
        for one in found:
            used = "?" if one.used is None else str(one.used)
            thread = numbers.get(one.address)
            rows.append((str(thread or "-"), one.name, one.state, str(one.priority), used,
                         str(one.left), one.waits))  # fmt: skip
        link.table(rows)
        if argument.strip() != "brief":
            _frames(found, numbers)


def _numbers() -> dict[int, int]:
    """GDB's number of the thread of each task, by the address of its TCB."""
    tasks = {thread: address for address, thread in refresh.THREADS.items()}
    found = {}
    for thread in gdb.selected_inferior().threads():
        ident = next((one for one in thread.ptid[1:] if one), 0)
        if ident in tasks or not link.connected():
            found[tasks.get(ident, ident)] = thread.num
        if ident < FIRST:
            now = freertos.current()
            found[now] = min(thread.num, found.get(now, thread.num))
    return found


def _frames(found: list[freertos.TaskSeen], numbers: dict[int, int]) -> None:
    """Show where each task is."""
    chosen, newest = gdb.selected_thread(), gdb.selected_frame()
    threads = {one.num: one for one in gdb.selected_inferior().threads()}
    for one in found:
        thread = threads.get(numbers.get(one.address, 0))
        if thread is None:
            continue
        thread.switch()
        gdb.write(f"\n{one.name}:\n")
        with contextlib.suppress(gdb.error):
            text = gdb.execute(f"backtrace {_depth()}", to_string=True) or ""
            for line in text.splitlines():
                if not line.startswith(("(More stack", "Backtrace stopped")):
                    gdb.write(f"  {line}\n")
    if chosen is not None and chosen.is_valid():
        chosen.switch()
        with contextlib.suppress(gdb.error):
            newest.select()


def _depth() -> int:
    """How many frames of the selected task to show: not those below its first function."""
    end = gdb.lookup_global_symbol(frames.OURS)
    last = int(end.value().address) if end is not None else -1
    frame, depth = gdb.newest_frame(), 0
    while frame is not None and depth < FRAMES and frame.pc() != last:
        frame, depth = frame.older(), depth + 1
    return max(depth, 1)


class Queues(gdb.Command):
    """Show the queues, semaphores and mutexes that have a name or that a task waits for."""

    def __init__(self) -> None:
        super().__init__("lab queues", gdb.COMMAND_STATUS)

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        if not freertos.present():
            raise gdb.GdbError("no FreeRTOS here: choose a guest, as in: lab on NAME")
        names, rows = freertos.registry(), [("what", "messages", "item size", "waiting tasks")]
        for address, queue in freertos.queues().items():
            waiting = [*_waiting(queue["xTasksWaitingToReceive"], "receive"),
                       *_waiting(queue["xTasksWaitingToSend"], "send")]  # fmt: skip
            level = f"{int(queue['uxMessagesWaiting'])} of {int(queue['uxLength'])}"
            what = freertos.describe(queue, address, names)
            rows.append((what, level, str(int(queue["uxItemSize"])), ", ".join(waiting)))
        link.table(rows) if len(rows) > 1 else gdb.write("no queue has a name or a waiting task\n")


def _waiting(waiting: Any, what: str) -> list[str]:
    kind = gdb.lookup_type("TCB_t").pointer()
    names = [item["pvOwner"].cast(kind)["pcTaskName"].string("latin-1", "replace")
             for item in freertos.owners(waiting)]  # fmt: skip
    return [f"{name} ({what})" for name in names]


class Timers(gdb.Command):
    """Show the software timers that run, and when each goes off."""

    def __init__(self) -> None:
        super().__init__("lab timers", gdb.COMMAND_STATUS)

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        if not freertos.present():
            raise gdb.GdbError("no FreeRTOS here: choose a guest, as in: lab on NAME")
        now = freertos.ticks() or 0
        rows = [("timer", "goes off at tick", "in", "period", "repeats", "calls")]
        for timer, at in freertos.timers():
            name = timer["pcTimerName"].string("latin-1", "replace")
            period = str(int(timer["xTimerPeriodInTicks"]))
            calls = str(timer["pxCallbackFunction"]).partition("<")[2].rstrip(">")
            rows.append((name, str(at), str(at - now), period, _repeats(timer), calls))
        link.table(rows) if len(rows) > 1 else gdb.write("no software timer runs\n")


def _repeats(timer: Any) -> str:
    names = [one.name for one in timer.type.strip_typedefs().fields()]
    if "ucStatus" in names:
        return "yes" if int(timer["ucStatus"]) & AUTORELOAD else "no"
    return "yes" if int(timer["uxAutoReload"]) else "no"


def define() -> None:
    for command in (Tasks, Queues, Timers):
        command()
