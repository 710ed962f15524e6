"""What an exploration changes in a run, and within which bounds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Variable(StrEnum):
    """What can be different in a run; docs/exploration.md explains each."""

    DOM0_LOAD = "dom0-load"
    NEIGHBOUR_LOAD = "neighbour-load"
    PAUSE = "pause"
    INPUT = "input"
    TICKS = "ticks"
    ORDER = "order"
    ENTROPY = "entropy"
    BUDGET = "budget"


#: What ``INPUT`` is about, besides an action of the scenario.
WAKE_UPS, CONSOLES = "wake-ups", "consoles"
#: The shortest pause or load, in seconds.
SHORTEST = 0.0001


@dataclass(frozen=True)
class Disturbance:
    """One change to a run, which a real machine could have had.

    Attributes:
        number: its place among those of its seed, from 1. It stays if others are left out.
        at: when it begins, in seconds since the guests run; 0 if it comes before that.
        lasts: how long it lasts, or how much later something comes, in seconds.
        on: the guest (or ``dom0``) that it is about; with ``BUDGET`` empty for the schedule of
            all; with ``ORDER`` the names of all, with commas; with ``INPUT`` the number of an
            action of the scenario (from 1), ``wake-ups`` for those of guests by dom0, or
            ``consoles`` for when these are read.
        data: bytes in hexadecimal: the entropy.
    """

    number: int
    what: Variable
    at: float = 0.0
    lasts: float = 0.0
    on: str = ""
    data: str = ""

    def __str__(self) -> str:
        return f"{self.number}: {self.words}"

    @property
    def words(self) -> str:
        """``at 0.312 s guest hello is paused for 4.1 ms``."""
        late = f"{self.lasts * 1e3:g} ms"
        begin = f"at {self.at:g} s "
        match self.what:
            case Variable.DOM0_LOAD:
                return f"{begin}dom0 computes for {late}"
            case Variable.NEIGHBOUR_LOAD:
                return f"{begin}guest {self.on} computes for {late}"
            case Variable.PAUSE:
                return f"{begin}guest {self.on} is paused for {late}"
            case Variable.TICKS:
                return f"guest {self.on} starts {late} later"
            case Variable.ORDER:
                return f"guests are created in the order {self.on.replace(',', ', ')}"
            case Variable.ENTROPY:
                return f"dom0 has other random numbers ({self.data[:8]}…)"
            case Variable.BUDGET if not self.on:
                return f"{begin}the schedule begins anew"
            case Variable.BUDGET:
                return f"{begin}the budget of {self.on} begins {late} later"
            case Variable.INPUT:
                return self._input(begin, late)

    def _input(self, begin: str, late: str) -> str:
        if self.on == WAKE_UPS:
            return f"{begin}dom0 wakes no guest for {late}"
        if self.on == CONSOLES:
            return f"consoles are read {late} after the start of each step"
        return f"action {self.on} of the scenario comes {late} later"


@dataclass(frozen=True)
class Bounds:
    """What ``explore`` of a lab in labs.yaml allows to be different.

    Attributes:
        vary: what may be different.
        within: disturbances begin in this time, in seconds since the guests run.
        most: how many disturbances with a moment of their own a seed has at most.
        longest: how long a pause or a load lasts at most, in seconds.
        neighbour: a guest that is there only to be a load; empty: there is none.
    """

    vary: tuple[Variable, ...] = tuple(Variable)
    within: float = 1.0
    most: int = 6
    longest: float = 0.02
    neighbour: str = ""
