"""The machine's time in whole seconds, read from its clock while it runs.

QEMU's board has a PL031 (hw/rtc/pl031.c) that the lab's device tree does not name, so nobody in
the machine uses it. Its data register counts seconds since the epoch. Reading it does not disturb
the machine: QEMU's main loop does it, not a processor of the machine.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from lab.errors import MachineError
from lab.util.terminal import quote

if TYPE_CHECKING:  # a command line is made without a client of QMP
    from lab.machine.qmp import Qmp

#: VIRT_RTC of hw/arm/virt.c. The register RTCDR, the time, comes first; then RTCMR, the alarm.
PL031, MATCH = 0x0901_0000, 4
#: When the machine is switched on (``-rtc base=``).
BASE = "2024-01-01"
#: Seconds after that when the alarm goes off: no scenario takes so long.
ALARM = 10 * 365 * 86400
_START = int(datetime.fromisoformat(f"{BASE}T00:00:00+00:00").timestamp())
_WORD = re.compile(r":\s*0x([0-9a-f]{8})\s*$")


def alarm() -> dict[str, int]:
    """What QEMU's ``loader`` writes into the clock at the start: an alarm that nobody hears.

    It keeps the virtual clock going if every processor waits and no other timer is set: time
    jumps to it then.
    """
    return {"addr": PL031 + MATCH, "data": _START + ALARM, "data-len": 4}


async def seconds(control: Qmp) -> int:
    """Virtual seconds since the machine was switched on, rounded down.

    Raises:
        MachineError: QEMU does not answer, or something else than a word of memory.
    """
    line = f"xp /1wx {PL031:#x}"
    said = str(await control.execute("human-monitor-command", {"command-line": line}))
    match = _WORD.search(said)
    if not match:
        raise MachineError(f"QEMU does not tell the machine's time: {quote(said.strip())}")
    return int(match[1], 16) - _START
