"""``lab domains``, ``lab on``, ``lab console``, ``lab now``."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gdb

from lab.debug.gdb_commands import freertos, link, refresh
from lab.util import reading

#: How many lines ``lab console`` shows, and the most bytes of a log that it reads.
LINES, LARGEST = 20, 1 << 20


class Lab(gdb.Command):
    """The lab behind this debugger.

    lab domains: which domains there are, and what runs on each PCPU.
    lab on NAME: breakpoints that you set from now on count in this guest, in dom0, in xen, or
    everywhere. Threads, memory and symbols are of that place too.
    lab goto TIME: in a run of the past, another moment of it. lab back: where it stood before.
    lab tasks, lab queues, lab timers: what FreeRTOS in the guest has.
    lab console [NAME] [LINES]: the end of a console. lab now: what time it is in the lab."""

    def __init__(self) -> None:
        super().__init__("lab", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, True)


class Domains(gdb.Command):
    """Show the domains, their vCPUs, and what runs on each PCPU."""

    def __init__(self) -> None:
        super().__init__("lab domains", gdb.COMMAND_STATUS)

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        found = link.ask("domains")
        rows = [("domain", "id", "vCPU", "PCPU", "pc")]
        for one in found["domains"]:
            for vcpu in one["vcpus"]:
                where = f"runs on {vcpu['on']}" if vcpu["on"] is not None else "does not run"
                known = vcpu["pc"] is not None and one["name"] == found["on"]
                pc = _named(vcpu["pc"], known) if vcpu["pc"] is not None else ""
                rows.append((one["name"], str(one["id"]), str(vcpu["number"]), where, pc))
        link.table(rows)
        idle = [str(one["number"]) for one in found["pcpus"] if one["xen"]]
        if idle:
            gdb.write(f"in Xen now: PCPU {', '.join(idle)}\n")
        gdb.write(f"breakpoints count in: {found['on']}\n")


def _named(address: int, known: bool) -> str:
    if known:
        with contextlib.suppress(gdb.error):
            said = gdb.execute(f"info symbol {address:#x}", to_string=True)
            if said and not said.startswith("No symbol"):
                return f"{address:#010x} {said.split(' in section')[0]}"
    return f"{address:#0{10 if address >> 32 == 0 else 18}x}"


class On(gdb.Command):
    """Choose where breakpoints count: lab on GUEST, lab on dom0, lab on xen, lab on everywhere.

    It holds for breakpoints that are set from now on. Those that exist stay where they are."""

    def __init__(self) -> None:
        super().__init__("lab on", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        name = argument.strip()
        if not name:
            raise gdb.GdbError("lab on needs a name, such as: lab on xen")
        look(name)
        gdb.write(f"breakpoints count in {link.SESSION['now_on']} from now on\n")

    def complete(self, _text: str, word: str) -> list[str]:
        names = [*link.SESSION["symbols"], "everywhere", "xen", "dom0"]
        return sorted({name for name in names if name.startswith(word)})


def look(name: str) -> None:
    """Let breakpoints count in ``name``, and show its threads, memory and symbols."""
    _unload()
    try:
        found = link.ask("on", name=name)
    except gdb.GdbError:
        _load(link.SESSION["now_on"])
        raise
    link.SESSION["now_on"] = found["on"]
    if found["narrow"] != link.SESSION.get("narrow", False):
        link.SESSION["narrow"] = found["narrow"]
        gdb.execute("unset tdesc filename", to_string=True)  # asks for the description again
    _load(found["on"])
    gdb.execute("maintenance flush register-cache", to_string=True)
    gdb.execute("maintenance flush dcache", to_string=True)
    refresh.refresh()
    _choose(found["threads"][0])


def _unload() -> None:
    """Forget the symbols of the place so far."""
    gdb.execute("symbol-file", to_string=True)
    gdb.execute("exec-file", to_string=True)


def _load(name: str) -> None:
    """Load the symbols of a place, and Xen's, whose addresses no guest has."""
    symbols = link.SESSION["symbols"]
    own = symbols.get(name)
    if own:
        gdb.execute(f"file {link.quoted(own)}", to_string=True)
    elif link.SESSION["why_none"].get(name):
        gdb.write(f"{link.SESSION['why_none'][name]}\n")
    if name != "xen" and symbols.get("xen"):
        gdb.execute(f"add-symbol-file {link.quoted(symbols['xen'])}", to_string=True)


def _choose(number: int) -> None:
    """Make the thread with this number of the proxy's the selected one."""
    gdb.execute("info threads", to_string=True)
    for thread in gdb.selected_inferior().threads():
        if number in thread.ptid[1:]:
            thread.switch()
            return


class Goto(gdb.Command):
    """Go to a time of the run, forwards or backwards: lab goto 2.49s.

    Times count from the moment at which the guests began, as in the verdict."""

    def __init__(self) -> None:
        super().__init__("lab goto", gdb.COMMAND_RUNNING)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        if not argument.strip():
            raise gdb.GdbError("lab goto needs a time, such as: lab goto 2.49s")
        _stand("goto", at=argument.strip())


class Back(gdb.Command):
    """Go to where the machine stood before it moved last: lab back."""

    def __init__(self) -> None:
        super().__init__("lab back", gdb.COMMAND_RUNNING)

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        _stand("back")


def _stand(what: str, **given: str) -> None:
    """Move the machine, which GDB does not notice, and show where it stands."""
    with link.without_ctrl_c():
        found = link.ask(what, **given)
        gdb.execute("maintenance flush register-cache", to_string=True)
        gdb.execute("maintenance flush dcache", to_string=True)
        refresh.refresh()
        _choose(found["threads"][0])
        gdb.execute("frame")


class Console(gdb.Command):
    """Show the end of a console: lab console [NAME] [LINES]."""

    def __init__(self) -> None:
        super().__init__("lab console", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        words = argument.split()
        count = int(words.pop()) if words and words[-1].isdigit() else LINES
        on = link.SESSION.get("now_on", "")
        name = words[0] if words else on if on in link.SESSION["consoles"] else "xen"
        if name not in link.SESSION["consoles"]:
            known = ", ".join(link.SESSION["consoles"])
            raise gdb.GdbError(f"there is no console {name}; one of: {known}")
        for line in _end_of(link.SESSION["consoles"][name]).splitlines()[-count:]:
            gdb.write(f"{_plain(line)}\n")


def _end_of(path: str) -> str:
    try:
        with reading.binary(Path(path)) as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - LARGEST))
            return log.read().decode("utf-8", "replace")
    except OSError as error:
        raise gdb.GdbError(f"{path}: {error.strerror}") from None


def _plain(line: str) -> str:
    """A line without anything that a terminal would obey."""
    return "".join(one if one.isprintable() or one == "\t" else "?" for one in line.rstrip("\r"))


class Now(gdb.Command):
    """Show what time it is in the lab, and how many stops did not count and were passed."""

    def __init__(self) -> None:
        super().__init__("lab now", gdb.COMMAND_STATUS)

    def invoke(self, _argument: str, _from_tty: bool) -> None:
        found: Any = link.ask("now")
        date = datetime.fromtimestamp(found["clock"], UTC).isoformat(" ")
        gdb.write(f"the machine's clock: {date}\n")
        if found.get("run") is not None:
            gdb.write(f"run: {found['run']:.6f} s since its guests began\n")
        ticks = freertos.ticks()
        if ticks is not None:
            gdb.write(f"{link.SESSION['now_on']}: tick {ticks}\n")
        gdb.write(f"stops that did not count: {found['passed']}\n")


def define() -> None:
    for command in (Lab, Domains, On, Goto, Back, Console, Now):
        command()
