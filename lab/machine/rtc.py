"""The machine's time in whole seconds, read from its clock while it runs.

QEMU's board has a PL031 (hw/rtc/pl031.c) that the lab's device tree does not name, so nobody in
the machine uses it. Its data register counts seconds since the epoch. Reading it does not disturb
the machine: QEMU's main loop does it, not a processor of the machine.
"""

from __future__ import annotations

import re
from datetime import datetime

from lab.errors import MachineError
from lab.machine.qmp import Qmp
from lab.util.terminal import quote

#: VIRT_RTC of hw/arm/virt.c; the register UARTDR of a PL031 comes first.
PL031 = 0x0901_0000
#: When the machine is switched on (``-rtc base=``).
BASE = "2024-01-01"
_WORD = re.compile(r":\s*0x([0-9a-f]{8})\s*$")


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
    start = datetime.fromisoformat(f"{BASE}T00:00:00+00:00").timestamp()
    return int(match[1], 16) - int(start)
