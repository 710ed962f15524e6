"""What a guest has beside its kernel: disks, network interfaces, and what follows its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: The first program of a Linux guest with a disk or a network interface, below /. It loads their
#: drivers, then starts ``init``.
DRIVERS = "lab/drivers"


@dataclass(frozen=True)
class Disk:
    """A disk: a file of the user's, which is only read.

    ``vdev``: its name in the guest, such as ``xvda``. ``writable``: whether the guest may write. It
    writes to a copy in dom0's memory, which ends with the lab.
    """

    file: Path
    vdev: str
    writable: bool = True


@dataclass(frozen=True)
class Vif:
    """A network interface on a bridge in dom0.

    ``rate``: how much the guest may send, as in ``10Mb/s`` (xl-network-configuration(5)); empty:
    no limit.
    """

    bridge: str
    mac: str
    rate: str = ""


@dataclass(frozen=True)
class Ends:
    """What ``xl`` does with a domain that has ended: ``preserve``, ``destroy`` or ``restart``."""

    poweroff: str = "preserve"
    reboot: str = "preserve"
    watchdog: str = "preserve"
    crash: str = "preserve"
