"""Tells the programs on dom0's console how large the terminal is that shows it."""

from __future__ import annotations

from lab.run.live import Live
from lab.run.session import Session

#: Sets the size of dom0's console: the last console that Linux lists (see lab-init.c). Its driver
#: cannot learn the size from a terminal, so stty sets it.
_FIT = 'exec stty -F "/dev/$(sed "s/.* //" /sys/class/tty/console/active)" rows "$1" cols "$2"'
#: Seconds that dom0 may take for that.
_FITS = 10.0


async def tell(found: Live, rows: int, columns: int) -> None:
    """Tell dom0 the rows and columns.

    Raises:
        LabError: dom0 does not answer.
    """
    async with Session(found.lab, found.run, found.state) as session:
        await session.execute(["sh", "-c", _FIT, "sh", str(rows), str(columns)], _FITS)
