"""The times that Xen prints before its lines, also where Xen computes them wrongly.

Since 4.20 Xen divides by 10^9 wrongly on ARM32. ``do_div`` (``xen/arch/arm/include/asm/div64.h``)
multiplies by an inverse that has one bit too many, so its highest bit is lost. Of ``T``
nanoseconds it makes ``q = T * (1 / 10**9 - 1 / 2**30)`` seconds and a rest of ``T - q * 10**9``,
of which 32 bits are kept; the line has the rest in microseconds. So 2.189619 s is printed as
``[0.2189619]``, and after 4.29 s the printed time begins again.

Until one second all is right, and afterwards most fractions have more than the six digits that
Xen prints (``%06``). So such a log is recognised, and the times can be computed back: each is the
first that fits its stamp and is not before the line above. Only where Xen says nothing for more
than 4.29 s they may be too early, by whole 4.29 s. The order of Xen's lines never depends on them.
"""

from __future__ import annotations

import re
from pathlib import Path

from lab.machine.log_lines import LogReader

STAMP = re.compile(rb"^\((?:XEN|d\d+)\) \[ *(\d{1,12})\.(\d{6,12})\] ?")
#: What to say once of a log with wrong times.
NOTICE = (
    "Xen prints times that cannot be (on ARM32 since 4.20: docs/hypervisors.md); the lab computes "
    "them back and leaves console/xen.log as it is"
)
_SECOND = 10**9
_KEPT = 1 << 32
#: ``T`` is at least this many nanoseconds for each second that is printed wrongly.
_STRIDE = 1 / (1 / _SECOND - 1 / (1 << 30))
#: Lines of a log that are looked at for a time that cannot be.
_LOOKED_AT = 20_000


class Stamps:
    """Reads the stamps of a log, line by line. ``wrong``: a time was seen that cannot be."""

    def __init__(self) -> None:
        self.wrong = False
        self._last = 0

    def read(self, line: bytes) -> float | None:
        """When Xen printed this line, in seconds; ``None``: it does not say."""
        match = STAMP.match(line)
        if not match:
            return None
        seconds, micros = int(match[1]), int(match[2])
        self.wrong = self.wrong or micros >= 1_000_000
        printed = seconds * _SECOND + micros * 1000
        if not self.wrong:
            self._last = max(self._last, printed)
            return printed / _SECOND
        least = max(self._last, int(seconds * _STRIDE))
        ahead = (printed - least) % _KEPT
        # Microseconds were cut off: a line of the same microsecond is not 4.29 s later.
        self._last = least + (ahead if _KEPT - ahead > 1000 else 0)
        return self._last / _SECOND


def are_wrong(log: Path) -> bool:
    """Whether Xen's times in this log cannot be."""
    reader, stamps, count = LogReader("xen", log), Stamps(), 0
    try:
        while count < _LOOKED_AT and not stamps.wrong and (lines := reader.read()):
            for line in lines:
                stamps.read(line.raw)
            count += len(lines)
    finally:
        reader.close()
    return stamps.wrong
