"""What a lab may not have on its architecture."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model import ARCHITECTURES, Lab, LinuxGuest
from lab.util.terminal import quote


def refused(lab: Lab) -> str:
    """Why a lab cannot run on its architecture; empty: it can."""
    return "; ".join(why for _, why in problems(lab))


def problems(lab: Lab) -> Iterator[tuple[str, str]]:
    """What a lab may not have on its architecture: the key in labs.yaml, and why.

    The first architecture has everything.
    """
    arch = lab.arch
    if lab.cpu and lab.cpu not in arch.cpus:
        yield "cpu", f"{arch.xen} has no CPU {quote(lab.cpu)}; it has {', '.join(arch.cpus)}"
    if lab.gic and lab.gic not in arch.gics:
        versions = " and ".join(map(str, arch.gics))
        yield "gic", f"{arch.xen} has no interrupt controller of version {lab.gic}, only {versions}"
    words = ", ".join(_lacking(lab)) if arch != ARCHITECTURES[0] else ""
    if words:
        yield "arch", f"{arch.xen} has no {words} yet"


def _lacking(lab: Lab) -> Iterator[str]:
    if any(isinstance(guest.program, LinuxGuest) for guest in (*lab.guests, *lab.later)):
        yield "Linux guests"
    if lab.without_dom0:
        return
    if lab.hypervisor.tools == "source":
        yield "tools from a tree"
    if lab.dom0.own_kernel:
        yield "kernels of your own for dom0"
