"""What figures must reach where that depends on the architecture."""

from __future__ import annotations

from dataclasses import dataclass

from lab.model import ARM32, ARM64, Architecture


@dataclass(frozen=True)
class Limits:
    """Attributes:
    boot: how many times sooner than dom0 of the naive boot our dom0 must answer.
    inject: how many times sooner than dom0 of the naive boot a guest must be injected.
    initramfs: the most that dom0's initramfs may have, in MB.
    idle: the most memory that an idle lab may have for itself, in MB.
    alone: how many times sooner than dom0 of the naive boot a guest without dom0 must print.
    passed: the most that a debugger may need to pass a breakpoint that does not count, in ms.
    """

    boot: float
    inject: float
    initramfs: float
    idle: float
    alone: float
    passed: float


#: ARM64 does not reach those for ``boot`` and ``inject`` yet: Debian's kernel for it is not packed,
#: so its naive boot takes little more than half of the time of ARM32's (docs/arm64.md).
_LIMITS = {
    ARM32.xen: Limits(boot=2.5, inject=5.0, initramfs=6.0, idle=40.0, alone=30.0, passed=20.0),
    ARM64.xen: Limits(boot=2.5, inject=5.0, initramfs=8.0, idle=45.0, alone=20.0, passed=20.0),
}


def of(arch: Architecture | None) -> Limits:
    """The limits of an architecture; ``None``: of the first one."""
    return _LIMITS[(arch or ARM32).xen]
