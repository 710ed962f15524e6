"""What is typed to a guest whose console Xen's own carries.

Xen has one input, for itself and for the guests that it boots. Ctrl-A, typed three times, passes it
on to the next of them (switch_serial_input in xen/drivers/char/console.c). What the guest that has
the input prints comes without its name. So Xen keeps the input, and passes it to the guest only
for the typed bytes: while the machine stands still, the UART's FIFO is given all of it at once. Xen
takes that in one interrupt, and no guest runs in between on this CPU.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

from lab.errors import MachineError, UsageError
from lab.machine import qmp, shared_console
from lab.machine.console import Follower
from lab.machine.console_files import input_of
from lab.machine.qmp import Qmp
from lab.rundir import LabDir
from lab.util.deadline import Deadline

#: Bytes that QEMU's PL011 keeps until Xen takes them (hw/char/pl011.c).
FIFO = 16
KEY = b"\x01"
SWITCH = 3 * KEY
#: What Xen prints when it has the input again.
BACK = b"*** Serial input to Xen"
#: Seconds within which Xen must take typed input.
TYPED = 10.0
#: How often QEMU is asked something, until it has read what was written to it.
ASKED = 100


async def type_into(lab: LabDir, consoles: Path, guest: str, data: bytes) -> None:
    """Type into the console of a guest that Xen boots. ``consoles``: the folder of the logs.

    Raises:
        UsageError: ``data`` has Xen's own key, or Xen boots too many guests.
        MachineError: the machine is gone, or Xen does not take the input in time.
    """
    pieces = pieces_of(consoles, guest, data)
    with opened(lab, guest) as handle:
        async with qmp.connected(lab.qmp_socket) as control:
            for piece in pieces:
                await _pass(control, handle, consoles, piece)


def pieces_of(consoles: Path, guest: str, data: bytes) -> list[bytes]:
    """What Xen must get, a piece at a time, to pass ``data`` on to a guest.

    Raises:
        UsageError: ``data`` has Xen's own key, or Xen boots too many guests.
    """
    before, after, room = _way(consoles, guest)
    if KEY in data:
        raise UsageError("Ctrl-A cannot be typed to a guest that Xen boots: it is Xen's own key")
    return [before + data[at : at + room] + after for at in range(0, len(data), room)]


@contextlib.contextmanager
def opened(lab: LabDir, guest: str) -> Iterator[int]:
    """The FIFO of Xen's input, open for writing.

    Raises:
        MachineError: the machine is gone.
    """
    try:
        handle = os.open(input_of(lab.path, "xen"), os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise MachineError(f"{guest} cannot be typed into: {error.strerror}") from error
    try:
        yield handle
    finally:
        os.close(handle)


async def give(control: Qmp, handle: int, piece: bytes) -> None:
    """Put a piece into the UART of a machine that stands still."""
    os.write(handle, piece)
    for _ in range(ASKED):
        if not _unread(handle):
            break
        await control.execute("query-status")


def _way(consoles: Path, guest: str) -> tuple[bytes, bytes, int]:
    """The keys that give a guest the input and take it away, and the bytes that fit between."""
    number, count = shared_console.place_of(consoles, guest)
    if not number:
        raise MachineError(f"{guest} cannot be typed into: it is not known which domain it is")
    everybody = count + 2  # Xen, dom0 (even where there is none) and the guests
    room = FIFO - len(SWITCH) * everybody
    if room < 1:
        raise UsageError(
            f"nothing can be typed to {guest}: the lab has {count} guests that Xen boots",
            hint="with more than three the way to one of them is too long for the UART",
        )
    return SWITCH * (number + 1), SWITCH * (everybody - number - 1), room


async def _pass(control: Qmp, handle: int, consoles: Path, data: bytes) -> None:
    source = shared_console.source_of(consoles)
    deadline = Deadline(TYPED)
    with Follower({"xen": source}, {"xen": source.stat().st_size}) as follower:
        await control.execute("stop")
        try:
            await give(control, handle, data)
        finally:
            await control.execute("cont")
        while not deadline.passed():
            if any(BACK in line.raw for line in await follower.lines(deadline)):
                return
    raise MachineError(f"Xen did not take what was typed within {TYPED:g} s")


def _unread(handle: int) -> int:
    """Bytes in a FIFO that QEMU has not read yet (pipe(7), FIONREAD)."""
    (count,) = struct.unpack("i", fcntl.ioctl(handle, termios.FIONREAD, bytes(4)))
    return int(count)
