"""A lab that sleeps: its machine stands still because nobody looks at it, and takes no processor.

Its record says so, so whoever finds it knows why dom0 does not answer, and can wake it.
"""

from __future__ import annotations

from lab.machine import qmp
from lab.rundir import LabDir


def is_asleep(lab: LabDir) -> bool:
    """Whether a lab sleeps, as its record says."""
    return bool((lab.state() or {}).get("asleep"))


async def put_to_sleep(lab: LabDir) -> None:
    """Let a lab's machine stand still.

    Raises:
        LabError: the machine does not answer, or others use its control socket.
    """
    async with qmp.connected(lab.qmp_socket) as control:
        lab.record(asleep=True)
        await control.execute("stop")


async def wake(lab: LabDir) -> None:
    """Let it go on.

    Raises:
        LabError: as :func:`put_to_sleep`.
    """
    async with qmp.connected(lab.qmp_socket) as control:
        await control.execute("cont")
        lab.record(asleep=False)
