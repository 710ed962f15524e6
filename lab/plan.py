"""Turns a Lab into a Plan: all settings that follow from the lab alone, without reading a file."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from pathlib import Path
from typing import Any

from lab.model import (
    Clock,
    GuestPlan,
    GuestSpec,
    Lab,
    LinuxGuest,
    MachinePlan,
    Plan,
    Prebuilt,
    Scheduling,
)

MIB = 1 << 20

#: The console of Xen: the board's first UART (hw/arm/virt.c).
XEN_CONSOLE = "console=dtuart dtuart=/pl011@9000000"
#: The console of dom0: the board's second UART, so that Xen's lines and Linux's never mix.
DOM0_CONSOLE = "ttyAMA1"
#: Switches off what slows Linux down, in dom0 and in guests, and is of no use here: self-tests of
#: crypto algorithms (most of the boot), zeroing memory that the emulator already hands out zeroed,
#: pressure statistics (psi), security modules without a policy, and mitigations for real
#: processors. Read-only kernel memory (rodata) is off too: with it, each inserted module flushes
#: some 50,000 translations one by one (do_free_init in kernel/module/main.c).
LINUX_QUICK = (
    "cryptomgr.notests initcall_blacklist=crypto_kdf108_init init_on_alloc=0 psi=0 lsm= "
    "mitigations=off rodata=off"
)
#: A Linux guest's console: the ring that ``xl`` sets up, or the PL011 of a guest that Xen boots.
RING_CONSOLE, PL011_CONSOLE = "hvc0", "ttyAMA0"
#: How many vCPUs dom0 has by default. A second vCPU doubles dom0's boot time, because the two wait
#: for each other through the emulator. It also leaves less of the machine to the guests.
DOM0_VCPUS = 1
#: Fields of a guest that describe its text in labs.yaml, not the guest. A plan leaves them out.
NOT_PLANNED = ("cpus_of_all", "refused", "places")
#: The folder in dom0 that holds the guests' files.
GUEST_FOLDER = "/lab/guests"


def plan(lab: Lab, *, clock: Clock | None = None) -> Plan:
    """The plan of a lab. ``clock`` is used only if labs.yaml does not set one."""
    return Plan(
        lab=lab,
        machine=MachinePlan(lab.cpus, lab.memory, lab.clock or clock or Clock.HOST),
        xen_args=xen_args(lab),
        dom0_args="" if lab.without_dom0 else dom0_args(lab),
        consoles=(
            "xen",
            *(() if lab.without_dom0 else ("dom0",)),
            *(guest.name for guest in (*lab.guests, *lab.later)),
        ),
        guests=tuple(guest_plan(guest) for guest in lab.guests),
        dom0_scheduling=scheduling(lab.dom0.scheduler),
        later=tuple(guest_plan(guest) for guest in lab.later),
    )


def guest_plan(guest: GuestSpec) -> GuestPlan:
    """The plan of one guest. It may be a guest that is injected into a running lab."""
    words = cmdline(guest)
    return GuestPlan(guest.name, guest, xl_config(guest), scheduling(guest.scheduler), words)


def cmdline(guest: GuestSpec) -> str:
    """The guest's command line: its own words come last, so they win."""
    if not isinstance(guest.program, LinuxGuest):
        return guest.cmdline.strip()
    console = PL011_CONSOLE if guest.by_xen else RING_CONSOLE
    return f"console={console} {LINUX_QUICK} {guest.cmdline}".strip()


def scheduling(wanted: Scheduling | None) -> tuple[str, ...]:
    """The words of the ``xl sched-…`` command for a domain, up to ``-d``; empty: nothing to set.

    The command is needed because xl.cfg(5) of Xen 4.17 cannot set everything: it has no ``budget``.
    """
    if wanted is None:
        return ()
    if wanted.name == "rtds" and wanted.period and wanted.budget:
        extra = "0" if wanted.extratime is False else "1"
        microseconds = [str(round(time * 1e6)) for time in (wanted.period, wanted.budget)]
        return ("sched-rtds", "-v", "all", "-p", microseconds[0], "-b", microseconds[1],
                "-e", extra, "-d")  # fmt: skip
    options = [("-w", wanted.weight), ("-c", wanted.cap)]
    words = [word for flag, value in options if value is not None for word in (flag, str(value))]
    return (f"sched-{wanted.name}", *words, "-d") if words else ()


def xen_args(lab: Lab) -> str:
    """Xen's command line. The hypervisor's own ``args`` come last, so they win."""
    dom0 = () if lab.without_dom0 else (f"dom0_mem={lab.dom0.memory // MIB}M",)
    words = [XEN_CONSOLE, *dom0, "bootscrub=0", "console_timestamps=boot"]
    if dom0:
        words.append(f"dom0_max_vcpus={lab.dom0.vcpus or len(lab.dom0.cpus) or DOM0_VCPUS}")
    if lab.booted:
        # What a guest says while the console's input is its own would come without its name.
        words.append("conswitch=ax")
    if lab.dom0.cpus:
        words.append("dom0_vcpus_pin")
    if lab.scheduler:
        words.append(f"sched={lab.scheduler}")
    if lab.hypervisor.origin == "source":
        # Show everything that guests print on Xen's console, even in a build without DEBUG, and
        # keep it until dom0 has read it.
        words += ["guest_loglvl=all", "conring_size=1M"]
    return " ".join([*words, lab.hypervisor.args]).strip()


def dom0_args(lab: Lab) -> str:
    """dom0's kernel command line. After a panic, the machine ends as soon as the last line is out.

    If Xen is built from source, dom0 is told to log Xen's console, because guests may print there.
    """
    words = ["hypervisor_log=1"] if lab.hypervisor.origin == "source" else []
    return " ".join([f"console={DOM0_CONSOLE}", "rdinit=/init panic=-1", LINUX_QUICK, *words])


def xl_config(guest: GuestSpec) -> str:
    """The guest's configuration as xl.cfg(5) reads it.

    Once a domain has ended, it stays until it is replaced or destroyed. Otherwise nothing would
    show how it ended.
    """
    base = f"{GUEST_FOLDER}/{guest.name}"
    lines = [
        f"name = {_quoted(guest.name)}",
        f"kernel = {_quoted(base + '.bin')}",
        f"memory = {guest.memory // MIB}",
        f"vcpus = {guest.vcpus}",
    ]
    linux = isinstance(guest.program, LinuxGuest)
    if linux or (isinstance(guest.program, Prebuilt) and guest.program.ramdisk):
        lines.append(f"ramdisk = {_quoted(base + '.ramdisk')}")
    if words := cmdline(guest):
        lines.append(f"cmdline = {_quoted(words)}")
    if guest.cpus:
        lines.append(f"cpus = {_quoted(','.join(map(str, guest.cpus)))}")
    lines.append("disk = []")
    lines += [f'on_{event} = "preserve"' for event in ("poweroff", "reboot", "watchdog", "crash")]
    return "\n".join(lines) + "\n"


def to_json(value: Plan) -> str:
    """The plan as ``--plan`` prints it: sorted keys, paths as text, sizes in bytes."""
    return json.dumps(_plain(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _quoted(text: str) -> str:
    """A string in xl's configuration language, with escapes as in C."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value):
        fields = [one for one in dataclasses.fields(value) if one.name not in NOT_PLANNED]
        return {field.name: _plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
