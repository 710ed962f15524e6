"""Turns a Lab into a Plan: all settings that follow from the lab alone, without reading a file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from lab.model import (
    DRIVERS,
    Architecture,
    Clock,
    Disk,
    GuestPlan,
    GuestSpec,
    Lab,
    LinuxGuest,
    MachinePlan,
    Plan,
    Prebuilt,
    Scheduling,
    Vif,
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
#: The scheduler of dom0's CPUs if the guests have a CPU pool of their own. It cannot be arinc653 as
#: well: in Xen 4.17 all pools share the variables that hold the place in the schedule.
DOM0_SCHEDULER = "credit2"
#: Fields of a guest that describe its text in labs.yaml, not the guest. A plan leaves them out.
NOT_PLANNED = ("cpus_of_all", "refused", "places", "work")
#: The folder in dom0 that holds the guests' files.
GUEST_FOLDER = "/lab/guests"


def plan(lab: Lab, *, clock: Clock | None = None) -> Plan:
    """The plan of a lab. ``clock`` is used only if labs.yaml does not set one."""
    lab = dataclasses.replace(
        lab, guests=_wide(lab.guests, lab.arch), later=_wide(lab.later, lab.arch)
    )
    return Plan(
        lab=lab,
        machine=machine(lab, lab.clock or clock or Clock.HOST),
        xen_args=xen_args(lab),
        dom0_args="" if lab.without_dom0 else dom0_args(lab),
        consoles=(
            "xen",
            *(() if lab.without_dom0 else ("dom0",)),
            *(name for guest in (*lab.guests, *lab.later) for name in guest.consoles),
        ),
        guests=tuple(guest_plan(guest) for guest in lab.guests),
        dom0_scheduling=scheduling(lab.dom0.scheduler),
        later=tuple(guest_plan(guest) for guest in lab.later),
        pool=pool(lab),
        schedule=schedule(lab),
    )


def _wide(guests: Iterable[GuestSpec], arch: Architecture) -> tuple[GuestSpec, ...]:
    """Guests whose width is that of the architecture, unless they have one of their own."""
    return tuple(dataclasses.replace(one, width=one.width or arch.bits) for one in guests)


def machine(lab: Lab, clock: Clock) -> MachinePlan:
    """The board of a lab; what labs.yaml leaves out is the architecture's default."""
    arch = lab.arch
    cpu, gic = lab.cpu or arch.cpus[0], lab.gic or arch.gics[0]
    return MachinePlan(lab.cpus, lab.memory, clock, arch, cpu, gic)


def guest_plan(guest: GuestSpec) -> GuestPlan:
    """The plan of one guest. It may be a guest that is injected into a running lab."""
    words = cmdline(guest)
    return GuestPlan(guest.name, guest, xl_config(guest), scheduling(guest.scheduler), words)


def cmdline(guest: GuestSpec) -> str:
    """The guest's command line: its own words come last, so they win."""
    if not isinstance(guest.program, LinuxGuest):
        return guest.cmdline.strip()
    console = PL011_CONSOLE if guest.by_xen else RING_CONSOLE
    drivers = f"rdinit=/{DRIVERS}" if guest.disks or guest.vifs else ""
    words = (f"console={console}", LINUX_QUICK, drivers, guest.cmdline)
    return " ".join(filter(None, words)).strip()


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


def pool(lab: Lab) -> tuple[tuple[str, ...], ...]:
    """The commands in dom0 that give the guests a CPU of their own, with the lab's scheduler."""
    if lab.pool_cpu is None:
        return ()
    settings = (f'name="{lab.scheduler}"', f'sched="{lab.scheduler}"', f'cpus=["{lab.pool_cpu}"]')
    return (
        ("xl", "cpupool-cpu-remove", "Pool-0", str(lab.pool_cpu)),
        ("xl", "cpupool-create", *settings),
    )


def schedule(lab: Lab) -> tuple[str, ...]:
    """The command in dom0 that sets the schedule of arinc653; empty if the lab has none.

    Xen numbers CPU pools from 0, dom0's. Times are in nanoseconds.
    """
    if lab.schedule is None:
        return ()
    words = ["lab-arinc653", "0" if lab.pool_cpu is None else "1", _nanoseconds(lab.schedule.frame)]
    for one in lab.schedule.windows:
        words += [uuid(one.domain), str(one.vcpu), _nanoseconds(one.runtime)]
    return tuple(words)


def uuid(domain: str) -> str:
    """The UUID of a domain of that name, by which a schedule names it. Xen gives dom0 zeros."""
    digits = "0" * 32 if domain == "dom0" else hashlib.sha256(domain.encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


def _nanoseconds(seconds: float) -> str:
    return str(round(seconds * 1e9))


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
        words.append(f"sched={lab.scheduler if lab.pool_cpu is None else DOM0_SCHEDULER}")
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
    if guest.scheduler and guest.scheduler.name == "arinc653":
        lines.append(f"uuid = {_quoted(uuid(guest.name))}")
    if guest.scheduler and guest.scheduler.pool:
        lines.append(f"pool = {_quoted(guest.scheduler.pool)}")
    if guest.vuart:
        lines.append('vuart = "sbsa_uart"')
    lines.append(f"disk = {_list(_disk(base, disk) for disk in guest.disks)}")
    if guest.vifs:
        lines.append(f"vif = {_list(map(_vif, guest.vifs))}")
    lines += [f'on_{event} = "{action}"' for event, action in vars(guest.ends).items()]
    return "\n".join(lines) + "\n"


def _disk(base: str, disk: Disk) -> str:
    """A disk in the words of xl-disk-configuration(5): dom0's script puts a loop device on it."""
    access = "rw" if disk.writable else "ro"
    words = f"format=raw,vdev={disk.vdev},access={access},backendtype=phy,script=block"
    return f"{words},target={base}.{disk.vdev}"


def _vif(vif: Vif) -> str:
    return f"mac={vif.mac},bridge={vif.bridge}" + (f",rate={vif.rate}" if vif.rate else "")


def to_json(value: Plan) -> str:
    """The plan as ``--plan`` prints it: sorted keys, paths as text, sizes in bytes."""
    return json.dumps(_plain(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _list(words: Iterable[str]) -> str:
    return "[" + ", ".join(map(_quoted, words)) + "]"


def _quoted(text: str) -> str:
    """A string in xl's configuration language, with escapes as in C."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(value: Any) -> Any:
    if isinstance(value, Architecture):
        return value.xen
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
