"""After each stop: tells the proxy the tasks, which are threads then, and where breakpoints count.
"""

from __future__ import annotations

import contextlib
from typing import Any

import gdb

from . import freertos, link

#: Where each breakpoint counts, by its number.
_COUNTS: dict[int, str] = {}
#: The tasks that the proxy was told, in its order.
TOLD: list[freertos.TaskSeen] = []


def refresh() -> None:
    """Tell the proxy the tasks of the guest, so that each is a thread."""
    TOLD.clear()
    if not link.connected() or not freertos.present():
        return
    with contextlib.suppress(gdb.error):
        found = freertos.tasks()
        TOLD.extend(one for one in found if one.registers)
        running = next((one.name for one in found if one.runs), "")
        told = [{"name": one.name, "state": f"{one.state} {one.waits}".strip(),
                 "registers": one.registers} for one in TOLD]  # fmt: skip
        link.ask("tasks", tasks=told, running=running)
        gdb.execute("info threads", to_string=True)


def _stopped(_event: Any) -> None:
    with contextlib.suppress(gdb.GdbError):
        refresh()


def _changed(point: Any) -> None:
    """A breakpoint was set or changed: it counts where it was set."""
    if point.number > 0:
        _COUNTS.setdefault(point.number, link.SESSION.get("now_on", "everywhere"))
        _tell()


def _removed(point: Any) -> None:
    _COUNTS.pop(point.number, None)
    _tell()


def _tell() -> None:
    table: dict[str, list[str]] = {}
    for point in gdb.breakpoints():
        for address in _addresses(point):
            names = table.setdefault(str(address), [])
            names.append(_COUNTS.get(point.number, link.SESSION.get("now_on", "everywhere")))
    with contextlib.suppress(gdb.GdbError):
        link.ask("scopes", table=table)


def _addresses(point: Any) -> list[int]:
    if point.location:
        return [one.address for one in point.locations]
    with contextlib.suppress(gdb.error, TypeError):
        return [int(gdb.parse_and_eval(point.expression).address)]
    return []


def define() -> None:
    gdb.events.stop.connect(_stopped)
    gdb.events.breakpoint_created.connect(_changed)
    gdb.events.breakpoint_modified.connect(_changed)
    gdb.events.breakpoint_deleted.connect(_removed)
