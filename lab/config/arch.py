"""What a lab may not have on its architecture."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model import ARCHITECTURES, Lab, LinuxGuest
from lab.model.architecture import no_release
from lab.util.terminal import quote


def refused(lab: Lab) -> str:
    """Why a lab cannot run on its architecture; empty: it can.

    The first architecture has everything but Debian's later releases of Xen.
    """
    if why := no_release(lab.arch, lab.hypervisor.release):
        return f"hypervisor {quote(lab.hypervisor.name)}: {why}"
    if lab.arch == ARCHITECTURES[0]:
        return ""
    words = ", ".join(_lacking(lab))
    return f"{lab.arch.xen} has no {words} yet" if words else ""


def _lacking(lab: Lab) -> Iterator[str]:
    if any(isinstance(guest.program, LinuxGuest) for guest in (*lab.guests, *lab.later)):
        yield "Linux guests"
