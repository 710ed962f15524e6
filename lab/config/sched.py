"""Schedulers: which ones a hypervisor has, which one a lab runs, and whether the shares are
valid."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import UsageError
from lab.model import FreeRtosApp, GuestSpec, HypervisorSpec, Lab, Scheduling
from lab.util import kconfig, reading
from lab.util.terminal import quote

if TYPE_CHECKING:
    from lab.config.yaml_source import Loc, Source

#: Xen's default scheduler (xen/common/sched/Kconfig).
DEFAULT = "credit2"
ALWAYS = ("credit", "credit2")
#: Xen's schedulers by the names of its option ``sched=`` (docs/misc/xen-command-line), and
#: which of the parameters each has.
PARAMETERS = {
    "credit": ("weight", "cap"),
    "credit2": ("weight", "cap"),
    "rtds": ("period", "budget", "extratime"),
    "null": (),
    "arinc653": (),
}
#: RTDS's default share of a vCPU, in seconds (xen/common/sched/rt.c).
RTDS_PERIOD, RTDS_BUDGET = 0.010, 0.004
#: The least period and budget of RTDS, in seconds (RTDS_MIN_PERIOD, RTDS_MIN_BUDGET there).
RTDS_LEAST = 10e-6


def settle(
    source: Source, at: Loc, lab: Lab, given: Scheduling | None, known: Iterable[HypervisorSpec]
) -> Lab:
    """The lab with its scheduler chosen and all shares complete. Everything is checked.

    ``given`` is the lab's own ``scheduler:``. Its parameters hold for every guest without
    parameters of its own.
    """
    name = (given.name if given else "") or scheduler_of(lab)
    if name not in PARAMETERS:
        return lab
    if _from_args(lab) not in ("", name):
        text = f"'args' of hypervisor '{lab.hypervisor.name}' choose {_from_args(lab)} and win"
        source.add((*at, "scheduler"), text)
    if given:
        _check_share(source, (*at, "scheduler"), given, name, lab)
    guests = tuple(_guest(source, guest, given, name, lab) for guest in lab.guests)
    dom0 = lab.dom0.scheduler
    if dom0:
        _check_share(source, (*at, "dom0", "scheduler"), dom0, name, lab)
        dom0 = dataclasses.replace(dom0, name=name)
    lab = dataclasses.replace(
        lab,
        scheduler=name if given or _from_guests(lab) else "",
        guests=guests,
        dom0=dataclasses.replace(lab.dom0, scheduler=dom0),
    )
    _check_has(source, _place_of_name(at, lab, given), lab, name, known)
    _check_fits(source, at, lab, name)
    _check_emergency(source, lab, known)
    return lab


def scheduler_of(lab: Lab) -> str:
    """The scheduler that the lab runs, even if labs.yaml leaves it to the hypervisor."""
    return lab.scheduler or _from_args(lab) or _from_guests(lab) or DEFAULT


def for_guest(lab: Lab, guest: GuestSpec) -> GuestSpec:
    """A guest to inject into the lab, with its share under the lab's scheduler.

    Raises:
        UsageError: its share is for another scheduler.
    """
    if listed := next((one for one in lab.guests if one.name == guest.name), None):
        return dataclasses.replace(guest, scheduler=listed.scheduler)
    name = scheduler_of(lab)
    if guest.scheduler is None:
        return guest
    given = [key for key, value in dataclasses.asdict(guest.scheduler).items()
             if key != "name" and value is not None]  # fmt: skip
    if guest.scheduler.name not in ("", name) or not set(given) <= set(PARAMETERS[name]):
        raise UsageError(
            f"guest {guest.name} has a share for another scheduler than {name}, "
            f"which lab {lab.name} runs",
            hint="change its scheduler: in labs.yaml, or inject it into another lab",
        )
    return dataclasses.replace(guest, scheduler=dataclasses.replace(guest.scheduler, name=name))


def _from_args(lab: Lab) -> str:
    """The scheduler that the hypervisor's own arguments choose. They come last, and the last one
    wins."""
    return "".join(re.findall(r"(?:^|\s)sched=(\w+)", lab.hypervisor.args)[-1:])


def _from_guests(lab: Lab) -> str:
    return next((g.scheduler.name for g in lab.guests if g.scheduler and g.scheduler.name), "")


def _guest(
    source: Source, guest: GuestSpec, given: Scheduling | None, name: str, lab: Lab
) -> GuestSpec:
    if guest.scheduler:
        _check_share(source, ("guests", guest.name, "scheduler"), guest.scheduler, name, lab)
    share = guest.scheduler or given
    return dataclasses.replace(
        guest, scheduler=dataclasses.replace(share, name=name) if share else None
    )


def _check_share(source: Source, at: Loc, share: Scheduling, name: str, lab: Lab) -> None:
    if share.name and share.name != name:
        source.add((*at, "name"), f"lab '{lab.name}' runs the scheduler {name}, not {share.name}")
        return
    for key, value in dataclasses.asdict(share).items():
        if key != "name" and value is not None and key not in PARAMETERS[name]:
            has = ", ".join(PARAMETERS[name]) or "none"
            text = f"'{key}' is no parameter of the scheduler {name} of lab '{lab.name}'"
            source.add((*at, key), f"{text}; it has: {has}", key=True)
    if name == "rtds" and (share.period, share.budget, share.extratime) != (None,) * 3:
        _check_rtds(source, at, share)


def _check_rtds(source: Source, at: Loc, share: Scheduling) -> None:
    if share.period is None or share.budget is None:
        missing = "budget" if share.period is not None else "period"
        source.add(
            at, f"'{missing}' is missing: rtds wants period and budget, such as 10ms and 4ms"
        )
    elif share.budget > share.period:
        source.add((*at, "budget"), "'budget': more than its period")
    elif share.budget < RTDS_LEAST:
        source.add((*at, "budget"), "'budget': rtds takes at least 0.01ms")


def _place_of_name(at: Loc, lab: Lab, given: Scheduling | None) -> Loc:
    """Where the scheduler's name stands: in the lab, in a guest, or in Xen's command line."""
    if given and given.name:
        return (*at, "scheduler")
    guest = next((guest.name for guest in lab.guests if guest.scheduler), None)
    return ("guests", guest, "scheduler") if guest else ("hypervisors", lab.hypervisor.name, "args")


def _check_has(
    source: Source, at: Loc, lab: Lab, name: str, known: Iterable[HypervisorSpec]
) -> None:
    """Does the lab's hypervisor have the scheduler whose name stands at ``at``?"""
    if name in schedulers(lab.hypervisor):
        return
    able = [quote(spec.name) for spec in known if name in schedulers(spec)]
    have = f"these hypervisors have it: {', '.join(able)}" if able else (
        f"no hypervisor here has it; one from source with CONFIG_SCHED_{name.upper()}=y would"
    )  # fmt: skip
    there = ", ".join(schedulers(lab.hypervisor))
    source.add(
        at,
        f"lab '{lab.name}': hypervisor '{lab.hypervisor.name}' has no scheduler {name}, "
        f"only {there}; {have}",
    )


def _check_fits(source: Source, at: Loc, lab: Lab, name: str) -> None:
    """Check what a scheduler needs. null needs one CPU for each vCPU. rtds cannot reserve more CPU
    time than the machine has. Under arinc653 a guest runs only in a schedule that a program in dom0
    sets.
    """
    if name == "arinc653" and lab.guests:
        text = (
            f"lab '{lab.name}': under arinc653 guests do not run until a schedule is set, which xl "
            "cannot do; leave 'guests' out, and inject them when it is set"
        )
        source.add((*at, "scheduler"), text)
    dom0_vcpus = lab.dom0.vcpus or len(lab.dom0.cpus) or lab.cpus
    if lab.without_dom0:
        dom0_vcpus = 0
    vcpus = dom0_vcpus + sum(guest.vcpus for guest in lab.guests)
    if name == "null" and vcpus > lab.cpus:
        text = (
            f"lab '{lab.name}' has {lab.cpus} CPUs and, with {dom0_vcpus} of dom0, {vcpus} vCPUs: "
            "under null each needs a CPU of its own (cpus:, or dom0: {vcpus: 1})"
        )
        source.add((*at, "scheduler"), text)
    if name == "rtds":
        shares = [(dom0_vcpus, lab.dom0.scheduler), *((g.vcpus, g.scheduler) for g in lab.guests)]
        promised = sum(count * _utilisation(share) for count, share in shares)
        if promised > lab.cpus + 1e-9:
            text = (
                f"lab '{lab.name}': rtds would promise {promised:.2f} CPUs, and there are "
                f"{lab.cpus} (budget / period of each vCPU, {RTDS_BUDGET / RTDS_PERIOD:g} if not "
                f"given; dom0 has {dom0_vcpus})"
            )
            source.add((*at, "scheduler"), text)


def _utilisation(share: Scheduling | None) -> float:
    if share is None or not share.period or not share.budget:
        return RTDS_BUDGET / RTDS_PERIOD
    return share.budget / share.period


def _check_emergency(source: Source, lab: Lab, known: Iterable[HypervisorSpec]) -> None:
    if shows_emergency_console(lab.hypervisor):
        return
    able = " or ".join(quote(spec.name) for spec in known if shows_emergency_console(spec))
    for guest in lab.guests:
        if isinstance(guest.program, FreeRtosApp) and guest.program.emergency_console:
            text = (
                f"lab '{lab.name}': hypervisor '{lab.hypervisor.name}' refuses its console to "
                f"guests; {able or 'one from source with CONFIG_VERBOSE_DEBUG=y'} takes it"
            )
            source.add(("guests", guest.name, "emergency_console"), text)


# ---------------------------------------------------------------- what a hypervisor has


def schedulers(spec: HypervisorSpec) -> list[str]:
    """The schedulers that this hypervisor has. If it is built from source, its kconfig fragments
    decide."""
    if spec.origin == "package":
        return list(ALWAYS)
    config = _config(spec.kconfig)
    debug = config.get("CONFIG_DEBUG", "n")
    default = {name: "y" if name in ALWAYS else debug for name in PARAMETERS}
    return [name for name in PARAMETERS
            if config.get(f"CONFIG_SCHED_{name.upper()}", default[name]) == "y"]  # fmt: skip


def has(spec: HypervisorSpec, option: str) -> bool:
    """Whether its fragments turn on an option that is off otherwise."""
    return spec.origin == "source" and _config(spec.kconfig).get(option) == "y"


def shows_emergency_console(spec: HypervisorSpec) -> bool:
    """Whether it accepts CONSOLEIO_write from a guest (xen/include/xsm/dummy.h, xsm_console_io)."""
    if spec.origin == "package":
        return False
    config = _config(spec.kconfig)
    return config.get("CONFIG_VERBOSE_DEBUG", config.get("CONFIG_DEBUG", "n")) == "y"


def _config(fragments: Iterable[Path]) -> dict[str, str]:
    """The settings of kconfig fragments. Unreadable ones have been reported already."""
    found: dict[str, str] = {}
    for path in fragments:
        with contextlib.suppress(OSError):
            found |= kconfig.parse(reading.text(path, errors="replace"))
    return found
