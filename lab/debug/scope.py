"""Where breakpoints count: in Xen, in one domain, or everywhere.

All domains share virtual addresses. So a breakpoint of QEMU's stops a PCPU whatever runs on it. A
domain runs there if the PCPU is not in Xen's mode and VTTBR has the domain's VMID.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.debug.domains import DomainFound
from lab.debug.stopped import Place

XEN, EVERYWHERE = "xen", "everywhere"


@dataclass(frozen=True)
class Scope:
    """``domain``: the domain, if it is one; ``None`` for Xen and for everywhere."""

    name: str
    domain: DomainFound | None = None

    def has(self, place: Place) -> bool:
        """Whether what a PCPU executes there counts."""
        if self.domain:
            return not place.hyp and place.vmid == self.domain.vmid
        return place.hyp or self.name == EVERYWHERE


ALL = Scope(EVERYWHERE)
IN_XEN = Scope(XEN)
