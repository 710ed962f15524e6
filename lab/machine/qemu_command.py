"""Turns a plan into QEMU's command line, without touching a file.

All paths are those inside the toolchain, so the command line is the same on every machine.
The arguments are a list. An argument with a value that may hold a comma is written as JSON.
"""

from __future__ import annotations

import json
from enum import Enum, auto
from typing import Any

from lab.machine import rtc
from lab.machine.recording import Recording
from lab.machine.shared_console import RAW
from lab.model import (
    AGENT_PORT,
    BOOTED_ADDRESS,
    CONSOLE_PORT,
    DOMAINS_PORT,
    INITRAMFS_ADDRESS,
    KERNEL_ADDRESS,
    TIMES_PORT,
    TRACE_LOG_PORT,
    TRACE_PORT,
    WINDOW_SIZE,
    XEN_TRACE_PORT,
    Clock,
    Lab,
    MachinePlan,
    Plan,
    board_arguments,
)

#: Folders and files inside the toolchain.
IMAGES, LIVE, CONSOLES, RAM = "/lab/images", "/lab/live", "/lab/console", "/lab/ram"
#: The device state of the template from which a machine is restored.
STATE = "/lab/state"
TRACES = "/lab/trace"
#: The library that QEMU loads under the virtual clock (images/qemu/turns.c).
TURNS = "/lab/turns.so"

#: The file in LIVE that is the memory which the host and dom0 share.
WINDOW_FILE = "window"

#: Denies everything that QEMU's ``-sandbox`` can deny (qemu(1)).
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


class Memory(Enum):
    """Where a machine's memory lies.

    Attributes:
        OWN: in a file of its own, from which a template can be made.
        TEMPLATE: in a template's file, which is only read. What the machine writes stays in
            QEMU's process.
        ANONYMOUS: in no file. The host's kernel uses large pages and writes nothing to a disk,
            so a machine boots in four fifths of the time.
    """

    OWN = auto()
    TEMPLATE = auto()
    ANONYMOUS = auto()


#: The backend for each, and its options besides the size (qemu(1), -object memory-backend-…).
_BACKENDS: dict[Memory, tuple[str, dict[str, Any]]] = {
    Memory.OWN: ("file", {"mem-path": RAM, "share": True}),
    Memory.TEMPLATE: (
        "file", {"mem-path": RAM, "share": False, "readonly": True, "rom": "off"},
    ),
    Memory.ANONYMOUS: ("ram", {}),
}  # fmt: skip


def board(machine: MachinePlan, memory: Memory = Memory.OWN) -> list[str]:
    """The board. The device tree follows from these arguments alone."""
    kind, how = _BACKENDS[memory]
    return [
        *board_arguments(machine),
        "-object", _json(qom_type=f"memory-backend-{kind}", id="ram", size=machine.memory, **how),
        "-object", _json(qom_type="memory-backend-file", id="window", size=WINDOW_SIZE,
                         **{"mem-path": f"{LIVE}/{WINDOW_FILE}", "share": True}),
        "-numa", "node,memdev=ram",
        "-numa", "node,memdev=window",
        "-nodefaults", "-no-user-config",
    ]  # fmt: skip


def clock(machine: MachinePlan, recording: Recording | None = None) -> list[str]:
    """The machine's clock. Virtual time counts instructions (qemu(1), -icount)."""
    if machine.clock is Clock.HOST:
        return []
    return [
        "-icount", "shift=1,sleep=off" + (recording.clock() if recording else ""),
        "-rtc", f"clock=vm,base={rtc.BASE}",
        "-seed", "1",
    ]  # fmt: skip


def loaded(plan: Plan, *, restored: bool = False) -> list[str]:
    """Puts the images into memory when the machine starts.

    Without dom0 also an alarm: else the virtual clock would stand still if every CPU waited.

    The memory of a restored machine already has the files; QEMU would only hold another copy of
    them.
    """
    found = {} if plan.lab.without_dom0 else {"kernel": KERNEL_ADDRESS,
                                              "initramfs": INITRAMFS_ADDRESS}  # fmt: skip
    if plan.booted:
        found["booted"] = BOOTED_ADDRESS
    loaders = [] if restored else [
        word for name, address in found.items() for word in ("-device", _loader(name, address))
    ]  # fmt: skip
    if plan.lab.without_dom0 and plan.machine.clock is Clock.VIRTUAL:
        loaders += ["-device", _json(driver="loader", **rtc.alarm())]
    return ["-kernel", f"{IMAGES}/xen", "-dtb", f"{IMAGES}/devicetree", *loaders]


def consoles(plan: Plan) -> list[str]:
    """Xen's and dom0's serial lines, then dom0's ports: agent, domains, times, guests' consoles.

    A console is a ``pipe`` chardev without a reader: it is always open and never blocks, and
    QEMU itself logs every byte. Under the virtual clock there is no port for the agent or for
    questions about domains, because these would come at moments of the host's clock. The host
    talks to dom0 at stops instead (:mod:`lab.dom0.steps`).
    """
    if plan.lab.without_dom0:
        return ["-chardev", pipe("xen", f"{CONSOLES}/{RAW}"), "-serial", "chardev:xen",
                "-serial", "null"]  # fmt: skip
    argv = []
    for name in ("xen", "dom0"):
        argv += ["-chardev", pipe(name, f"{CONSOLES}/{name}.log"), "-serial", f"chardev:{name}"]
    argv += ["-device", "virtio-serial-device,bus=virtio-mmio-bus.0,max_ports=31"]
    if plan.machine.clock is Clock.HOST:
        argv += [
            "-chardev", f"socket,id=agent,path={LIVE}/agent.sock,server=on,wait=off",
            "-device", _json(driver="virtserialport", chardev="agent", name=AGENT_PORT),
            "-chardev", f"pipe,id={DOMAINS_PORT},path={LIVE}/{DOMAINS_PORT}",
            "-device", _json(driver="virtserialport", chardev=DOMAINS_PORT, name=DOMAINS_PORT),
        ]  # fmt: skip
    argv += [
        "-chardev", pipe("times", f"{CONSOLES}/times"),
        "-device", _json(driver="virtserialport", chardev="times", name=TIMES_PORT),
    ]  # fmt: skip
    for name in plan.guest_consoles:
        log = f"{CONSOLES}/{name}.log"
        argv += ["-chardev", pipe(chardev(name), log), "-device", _json(**port(name))]
    return argv


def traces(plan: Plan) -> list[str]:
    """dom0's ports for traces, if the lab has any. QEMU logs every byte, as with consoles."""
    argv = []
    for device, (name, file) in trace_ports(plan.lab).items():
        argv += ["-chardev", pipe(device, f"{TRACES}/{file}")]
        argv += ["-device", _json(**port_of(device, name))]
    return argv


def trace_ports(lab: Lab) -> dict[str, tuple[str, str]]:
    """A lab's ports for traces, by chardev: the port's name, and the file that it fills."""
    found = {TRACE_LOG_PORT: (TRACE_LOG_PORT, "log")} if lab.trace or lab.traced else {}
    if lab.trace:
        found[XEN_TRACE_PORT] = XEN_TRACE_PORT, "xen.bin"
    for guest in lab.traced:
        found |= guest_trace_ports(guest)
    return found


def guest_trace_ports(guest: str) -> dict[str, tuple[str, str]]:
    """The ports for one guest's trace; see :func:`trace_ports`."""
    return {
        TRACE_LOG_PORT: (TRACE_LOG_PORT, "log"),
        f"trace-guest-{guest}": (TRACE_PORT.format(name=guest), f"{guest}.records"),
    }


def chardev(guest: str) -> str:
    """The id of the chardev of a guest's console."""
    return f"guest-{guest}"


def port(guest: str) -> dict[str, Any]:
    """The virtio-serial port of a guest's console, for ``-device`` or ``device_add``."""
    return port_of(chardev(guest), CONSOLE_PORT.format(name=guest))


def port_of(device: str, name: str) -> dict[str, Any]:
    """The port ``name`` of a chardev.

    It has no id. If a port has one, QEMU announces each time that dom0 opens it, and sets a
    timer of the host's clock for one second. Such timers limit how long a CPU's turn is
    (icount_get_limit in accel/tcg/icount-common.c), so with several CPUs a run would depend on
    chance.
    """
    return {"driver": "virtserialport", "chardev": device, "name": name}


def pipe(name: str, log: str) -> str:
    """A console's chardev: input comes from the FIFO ``name.in``, output is appended to ``log``."""
    return f"pipe,id={name},path={LIVE}/{name},logfile={log},logappend=on"


def backend(name: str, log: str) -> dict[str, Any]:
    """The same chardev as the argument ``backend`` of QMP's ``chardev-add``."""
    where = {"logfile": log, "logappend": True}
    return {"type": "pipe", "data": {"device": f"{LIVE}/{name}", **where}}


def qemu(
    plan: Plan, tag: str, *, restored: bool = False, memory: Memory = Memory.OWN,
    recording: Recording | None = None,
) -> list[str]:  # fmt: skip
    """The whole command line. The machine starts paused. ``tag`` identifies the lab.

    A machine that is ``restored`` waits for QMP's ``migrate-incoming``.
    """
    return [
        plan.machine.arch.qemu,
        "-name", f"guest={tag},debug-threads=on",
        *board(plan.machine, memory), *clock(plan.machine, recording),
        *loaded(plan, restored=restored), *consoles(plan), *traces(plan),
        "-chardev", f"socket,id=qmp,path={LIVE}/qmp.sock,server=on,wait=off",
        "-mon", "chardev=qmp,mode=control",
        "-gdb", f"unix:path={LIVE}/gdb.sock,server=on,wait=off",
        *(recording.arguments() if recording else []),
        "-sandbox", SANDBOX,
        "-S",
        *(["-incoming", "defer"] if restored else []),
    ]  # fmt: skip


def _loader(name: str, address: int) -> str:
    return _json(driver="loader", file=f"{IMAGES}/{name}", addr=address, **{"force-raw": True})


def _json(**values: Any) -> str:
    return json.dumps({key.replace("qom_type", "qom-type"): v for key, v in values.items()})
