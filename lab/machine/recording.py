"""Recordings of a machine under the virtual clock: QEMU's record and replay.

QEMU writes down what came to the machine, and at which instruction (docs/system/replay.rst). A
replay takes it from there. So it is the same to the last instruction, wherever it is stopped on the
way. What the lab or GDB writes into the machine while it stands is not in QEMU's recording:
:class:`Changes` has it, and whoever replays makes it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lab.model import Mount

if TYPE_CHECKING:
    from lab.machine.qmp import Qmp

#: The folder of a recording inside the toolchain, and QEMU's file in it.
INSIDE, EVENTS = "/lab/recording", "events"
#: The first bytes of packets that change the machine (gdb's documentation, "Packets").
_CHANGING = (b"M", b"X", b"P", b"G")


@dataclass(frozen=True)
class Change:
    """What was written into a machine that stood.

    Attributes:
        at: how many instructions it had executed.
        packets: those for QEMU's gdbstub, each with whether addresses are physical.
        window: what was written into the window: offset and bytes.
    """

    at: int
    packets: tuple[tuple[bool, bytes], ...]
    window: tuple[tuple[int, bytes], ...]


@dataclass
class Changes:
    """All changes of one machine, in order."""

    made: list[Change] = field(default_factory=list)
    _packets: list[tuple[bool, bytes]] = field(default_factory=list)
    _window: list[tuple[int, bytes]] = field(default_factory=list)

    def clear(self) -> None:
        """A new machine begins."""
        self.made.clear()
        self._packets.clear()
        self._window.clear()

    def packet(self, packet: bytes, *, physically: bool) -> None:
        """A packet goes to the gdbstub. ``physically``: how that takes addresses now."""
        if packet[:1] in _CHANGING:
            self._packets.append((physically, packet))

    def window(self, at: int, data: bytes) -> None:
        """Bytes go into the window."""
        self._window.append((at, data))

    async def settle(self, control: Qmp) -> None:
        """The machine is about to run: remember what was changed since it stopped."""
        if self._packets or self._window:
            change = Change(await executed(control), tuple(self._packets), tuple(self._window))
            self.made.append(change)
            self._packets.clear()
            self._window.clear()


@dataclass(frozen=True)
class Recording:
    """A recording that is made or replayed.

    Attributes:
        folder: QEMU's files.
        changes: what QEMU does not record.
    """

    folder: Path
    changes: Changes
    replays: bool = False

    def clock(self) -> str:
        """More for QEMU's ``-icount``."""
        return f",rr={'replay' if self.replays else 'record'},rrfile={INSIDE}/{EVENTS}"

    def arguments(self) -> list[str]:
        """More of QEMU's command line: at its end a replay stands."""
        return ["-action", "shutdown=pause"] if self.replays else []

    def lay(self) -> Mount:
        """Make the folder; returns it as QEMU sees it."""
        self.folder.mkdir(exist_ok=True)
        return Mount(self.folder, INSIDE, writable=True)


async def executed(control: Qmp) -> int:
    """How many instructions a recorded or replayed machine has executed."""
    return int(dict(await control.execute("query-replay"))["icount"])
