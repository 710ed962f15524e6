"""Scheduling events of Xen as columns, and what is known about their file."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

#: A larger counter is damage: even at 1 GHz it would stand for 146 years.
MAX_COUNTER = 1 << 62


class XenEventKind(IntEnum):
    """What happened to a vCPU."""

    RUNSTATE = 1
    CONTINUE = 2
    SWITCH = 3
    WAKE = 4
    BLOCK = 5
    YIELD = 6
    SLEEP = 7
    LOST = 8


class Runstate(IntEnum):
    """``RUNSTATE_*`` of Xen's ``xen/include/public/vcpu.h``. UNKNOWN: records were lost."""

    RUNNING = 0
    RUNNABLE = 1
    BLOCKED = 2
    OFFLINE = 3
    UNKNOWN = 4


@dataclass(frozen=True)
class XenEvents:
    """Scheduling events, as columns of one length.

    Attributes:
        counter: CNTPCT of the event, int64.
        kind: :class:`Kind` (LOST only inside of this module), uint8.
        pcpu: where it was recorded, uint16.
        vcpu: the vCPU concerned, domain << 16 | vCPU, uint32; at SWITCH, the one that comes.
        detail: uint32; RUNSTATE: old state << 4 | new state; SWITCH: the vCPU that goes; else 0.
    """

    counter: npt.NDArray[np.int64]
    kind: npt.NDArray[np.uint8]
    pcpu: npt.NDArray[np.uint16]
    vcpu: npt.NDArray[np.uint32]
    detail: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.counter)

    def take(self, index: npt.NDArray[Any] | slice) -> XenEvents:
        """The events at ``index``, in its order."""
        return XenEvents(*(getattr(self, each.name)[index] for each in fields(self)))

    @staticmethod
    def join(parts: list[XenEvents]) -> XenEvents:
        """Several pieces, one after the other."""
        if len(parts) == 1:
            return parts[0]
        parts = [EMPTY, *parts]
        names = [each.name for each in fields(XenEvents)]
        return XenEvents(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))


EMPTY = XenEvents(*(np.zeros(0, kind) for kind in ("i8", "u1", "u2", "u4", "u4")))


@dataclass
class Reading:
    """What is known about a file, as far as it has been read.

    Attributes:
        records: how many whole records of any kind it had.
        gaps: int64[n, 4] in pieces: PCPU, counter of the first record that Xen could not
            keep, counter at which it could again, how many it could not keep.
        end: up to which byte it was whole. damage: why reading ended there; empty if the file
            ended there.
        disordered: how many events came after later ones; they are kept.
    """

    records: int = 0
    gaps: list[npt.NDArray[np.int64]] = field(default_factory=list)
    end: int = 0
    damage: str = ""
    disordered: int = 0

    @property
    def lost(self) -> int:
        """Records that Xen could not keep."""
        return sum(int(piece[:, 3].sum()) for piece in self.gaps)
