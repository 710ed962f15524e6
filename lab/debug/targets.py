"""Moments of a run at which it is to stand: a time, or where a guest begins to crash.

A breakpoint that stops QEMU under the virtual clock moves its time to the next timer, because QEMU
then takes its CPUs for idle (icount_start_warp_timer, accel/tcg/icount-common.c, QEMU 10.0). So no
breakpoint may be met on the way to a moment. A time is reached by a stop of dom0's program, which
sleeps until then instead of longer. Up to that moment the run is the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.debug.stopped import Place, Stopped
from lab.errors import UsageError
from lab.util import symbols

#: The function of our port that ends the domain after a fault (images/freertos/port/stop.c).
END = "guest_crash"
#: Seconds by which the machine is to stand before a moment, at first.
MARGIN = 0.001
#: Whether a PCPU executes the guest that is meant.
IsGuest = Callable[[Stopped, Place], Awaitable[bool]]


@dataclass
class Target:
    """A moment. This one never comes.

    Attributes:
        addresses: the instructions at which it may be reached.
    """

    addresses: list[int] = field(default_factory=list)

    def latest(self) -> float | None:
        """When the moment comes, in seconds of dom0's counter; ``None`` if nobody knows."""
        return None

    async def reached(self, stopped: Stopped, thread: int) -> bool:
        """Whether this is the moment. The PCPU ``thread`` stands at one of the addresses."""
        del stopped, thread
        return False

    def earlier(self, now: float) -> Target | None:
        """A target that comes earlier, if the machine stands too late for this one.

        ``now``: the time at which it stands, in seconds of dom0's counter.
        """
        del now
        return None


@dataclass
class AtTime(Target):
    """``after``: seconds since the guests began. ``began``: when that was, in seconds of dom0's
    counter; ``None`` before that.
    """

    after: float = 0.0
    began: Callable[[], float | None] = lambda: None

    def latest(self) -> float | None:
        """See :class:`Target`."""
        began = self.began()
        return None if began is None else began + self.after


class BeforeTime(AtTime):
    """Before ``by``, in seconds since the guests began.

    The machine stops as soon as dom0 gets a CPU. So if it stands too late, the next try stops it
    eight times as long before.
    """

    def __init__(
        self, by: float, began: Callable[[], float | None], margin: float = MARGIN
    ) -> None:
        super().__init__(after=max(0.0, by - margin), began=began)
        self.by, self.margin = by, margin

    def earlier(self, now: float) -> Target | None:
        """See :class:`Target`. ``None`` also if the guests had just begun."""
        began = self.began()
        if began is None or not self.after or now - began < self.by:
            return None
        return BeforeTime(self.by, self.began, 8 * self.margin)


@dataclass
class BeforeCrash(Target):
    """Where a guest of our port ends itself. No other run of that instruction comes before."""

    guest: IsGuest | None = None

    async def reached(self, stopped: Stopped, thread: int) -> bool:
        """See :class:`Target`."""
        assert self.guest
        return await self.guest(stopped, await stopped.place(thread))


def before_crash(elf: Path, guest: IsGuest) -> BeforeCrash:
    """The target for a guest with this ELF file.

    Raises:
        UsageError: it is no guest of our port.
    """
    end = symbols.read(elf).address(END)
    if end is None:
        raise UsageError(f"{elf.name} has no function {END}, so it is no guest of the lab's port")
    return BeforeCrash([end], guest)
