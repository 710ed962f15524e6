"""What figures must reach where that depends on the architecture."""

from __future__ import annotations

from dataclasses import dataclass

from lab.model import ARM32, ARM64, Architecture


@dataclass(frozen=True)
class Limits:
    """Attributes:
    initramfs: the most that dom0's initramfs may have, in MB.
    idle: the most memory that an idle lab may have for itself, in MB.
    alone: how many times sooner than dom0 of the naive boot a guest without dom0 must print.
    """

    initramfs: float
    idle: float
    alone: float


_LIMITS = {ARM32.xen: Limits(6.0, 40.0, 30.0), ARM64.xen: Limits(8.0, 45.0, 20.0)}


def of(arch: Architecture | None) -> Limits:
    """The limits of an architecture; ``None``: of the first one."""
    return _LIMITS[(arch or ARM32).xen]
