"""After each stop: tells the proxy the tasks, which are threads then, and where to stop."""

from __future__ import annotations

import contextlib
from typing import Any

import gdb

from lab.debug.gdb_commands import freertos, link

#: Where each breakpoint counts, by its number.
_COUNTS: dict[int, str] = {}
#: The proxy's number of the thread of each task that does not run, by the address of its TCB.
THREADS: dict[int, int] = {}
#: The commands that let the machine run. Meanwhile GDB may ask questions (``confirm``): a second
#: Ctrl-C that comes before the machine has stopped would disconnect GDB without asking.
RUNNING = (
    "continue", "step", "next", "stepi", "nexti", "finish", "until", "advance", "reverse-continue",
    "reverse-step", "reverse-next", "reverse-stepi", "reverse-nexti", "reverse-finish",
)  # fmt: skip
#: The user's own ``confirm`` while such a command goes on.
_USERS: list[str] = []


def refresh() -> None:
    """Tell the proxy the tasks of the guest, so that each is a thread."""
    THREADS.clear()
    if not link.connected() or not freertos.present():
        return
    with contextlib.suppress(gdb.error):
        found = freertos.tasks()
        saved = [one for one in found if one.registers]
        running = next((one.name for one in found if one.runs), "")
        told = [{"key": one.address, "name": one.name, "state": f"{one.state} {one.waits}".strip(),
                 "registers": one.registers} for one in saved]  # fmt: skip
        numbers = link.ask("tasks", tasks=told, running=running)["threads"]
        THREADS.update(zip((one.address for one in saved), numbers, strict=True))
        gdb.execute("info threads", to_string=True)


def _stopped(_event: Any) -> None:
    if _USERS:
        gdb.execute(f"set confirm {_USERS.pop()}", to_string=True)
    with contextlib.suppress(gdb.GdbError):
        if link.connected():
            link.ask("stood")
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


def _written(_event: Any) -> None:
    """Somebody wrote into memory or a register."""
    with contextlib.suppress(gdb.GdbError):
        if link.connected() and link.ask("changed")["first"]:
            gdb.write("from here on this is a branch: it is not what the run did\n")


class _Ask(gdb.Command):
    """lab-ask: have GDB ask questions until the machine stops."""

    def __init__(self) -> None:
        super().__init__("lab-ask", gdb.COMMAND_SUPPORT)

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        if not _USERS:
            _USERS.append("on" if gdb.parameter("confirm") else "off")
        gdb.execute("set confirm on", to_string=True)


def define() -> None:
    _Ask()
    for command in RUNNING:  # hooks: in an event, GDB's Python would keep the Ctrl-C
        gdb.execute(f"define hook-{command}\nlab-ask\nend", to_string=True)
    gdb.events.memory_changed.connect(_written)
    gdb.events.register_changed.connect(_written)
    gdb.events.stop.connect(_stopped)
    gdb.events.breakpoint_created.connect(_changed)
    gdb.events.breakpoint_modified.connect(_changed)
    gdb.events.breakpoint_deleted.connect(_removed)
