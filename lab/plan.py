"""Lab → Plan: everything that follows from what was asked, without looking at the world."""

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
#: The console of dom0: a UART of its own, so that Xen's lines and Linux's never mix.
DOM0_CONSOLE = "ttyAMA1"
#: What costs Linux, as dom0 and as a guest, time and gives it nothing here: the self-tests of its
#: crypto algorithms (most of its boot), zeroing memory that the emulator hands out zeroed,
#: statistics of who waits for what (psi), security modules without a policy, detours around what
#: real processors betray; and memory of the kernel that cannot be written, because each module
#: that is inserted then flushes some 50,000 translations one by one (do_free_init in
#: kernel/module/main.c).
LINUX_QUICK = (
    "cryptomgr.notests initcall_blacklist=crypto_kdf108_init init_on_alloc=0 psi=0 lsm= "
    "mitigations=off rodata=off"
)
#: A Linux guest's command line, before its own words.
LINUX_ARGS = f"console=hvc0 {LINUX_QUICK}"
#: dom0's CPUs unless told otherwise. A second one doubles its boot (the two wait for each other
#: through the emulator) and leaves the guests less of the machine.
DOM0_VCPUS = 1
#: What a guest's description says of labs.yaml, not of the guest.
NOT_PLANNED = ("cpus_of_all", "refused", "places")
#: Where the session puts a guest's files in dom0.
GUEST_FOLDER = "/lab/guests"


def plan(lab: Lab, *, clock: Clock | None = None) -> Plan:
    """The plan of a lab. ``clock`` is what the command prefers; labs.yaml has the last word."""
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
    """A guest alone, for injection into a lab that runs already."""
    return GuestPlan(guest.name, guest, xl_config(guest), scheduling(guest.scheduler))


def scheduling(wanted: Scheduling | None) -> tuple[str, ...]:
    """``xl sched-…`` for a domain, up to ``-d``; empty if there is nothing to say.

    A guest's configuration file cannot say it all: xl.cfg(5) of Xen 4.17 has no ``budget``.
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
    """Xen's command line. What the hypervisor's ``args`` say comes last and wins."""
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
        # What guests print on Xen's console: all of it, also in a build without DEBUG, and
        # kept until dom0 has read it.
        words += ["guest_loglvl=all", "conring_size=1M"]
    return " ".join([*words, lab.hypervisor.args]).strip()


def dom0_args(lab: Lab) -> str:
    """dom0's kernel command line. A panic ends the machine once its last line is written.

    A Xen from source may show what guests print on its console.
    """
    words = ["hypervisor_log=1"] if lab.hypervisor.origin == "source" else []
    return " ".join([f"console={DOM0_CONSOLE}", "rdinit=/init panic=-1", LINUX_QUICK, *words])


def xl_config(guest: GuestSpec) -> str:
    """The guest's configuration as xl.cfg(5) reads it.

    A domain that ended, however it did, stays until it is replaced or destroyed: only so
    can its end be named.
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
    if cmdline := f"{LINUX_ARGS if linux else ''} {guest.cmdline}".strip():
        lines.append(f"cmdline = {_quoted(cmdline)}")
    if guest.cpus:
        lines.append(f"cpus = {_quoted(','.join(map(str, guest.cpus)))}")
    lines.append("disk = []")
    lines += [f'on_{event} = "preserve"' for event in ("poweroff", "reboot", "watchdog", "crash")]
    return "\n".join(lines) + "\n"


def to_json(value: Plan) -> str:
    """The plan as ``--plan`` prints it: sorted keys, paths as text, sizes in bytes."""
    return json.dumps(_plain(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _quoted(text: str) -> str:
    """A string of xl's configuration language; its escapes are those of C."""
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
