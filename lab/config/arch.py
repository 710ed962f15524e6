"""What a lab may not have on its architecture.

Guests belong to no architecture in labs.yaml, and ``--arch`` may change a lab's. So a guest that is
too wide for a lab is an error when somebody starts it, not when labs.yaml is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lab.model import ARCHITECTURES, Architecture, GuestSpec, Lab, Prebuilt, Refusal
from lab.model.architecture import no_release
from lab.util.terminal import quote


def refused(lab: Lab) -> str:
    """Why a lab cannot run on its architecture; empty: it can."""
    release = no_release(lab.arch, lab.hypervisor.release)
    found = [f"hypervisor {quote(lab.hypervisor.name)}: {release}"] if release else []
    return "; ".join([*found, *(why for _, why in problems(lab))])


def problems(lab: Lab) -> Iterator[tuple[str, str]]:
    """What a lab's machine may not have on its architecture: the key in labs.yaml, and why."""
    arch = lab.arch
    if lab.cpu and lab.cpu not in arch.cpus:
        yield "cpu", f"{arch.xen} has no CPU {quote(lab.cpu)}; it has {', '.join(arch.cpus)}"
    if lab.gic and lab.gic not in arch.gics:
        versions = " and ".join(map(str, arch.gics))
        yield "gic", f"{arch.xen} has no interrupt controller of version {lab.gic}, only {versions}"


def too_wide(guests: Iterable[GuestSpec], arch: Architecture) -> list[Refusal]:
    """Why some guests do not run in a lab of this architecture, each at its place."""
    there = [one.bits for one in arch.guests]
    return [_refusal(one, arch) for one in guests if one.width and one.width not in there]


def _refusal(guest: GuestSpec, arch: Architecture) -> Refusal:
    if isinstance(guest.program, Prebuilt):
        from lab.images import kernel_file  # slow to load, and seldom needed

        key, path = "kernel", guest.program.kernel
        why = f"{quote(path.name)} {kernel_file.look(path, arch).wrong}"
    else:
        key = "width"
        why = f"a lab of {arch.xen} has no guests of {guest.width} bits"
    others = [one.xen for one in ARCHITECTURES if guest.width in {own.bits for own in one.guests}]
    hint = f" (or start the lab with --arch {others[0]})" if others else ""
    return Refusal(guest.places[key], f"{quote(key)}: {why}{hint}")
