"""All seats of a class, as the teacher's page shows them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.model import Lab
from lab.util import proc
from lab.web import checking, commands, excerpt, forked
from lab.web.classroom import Classroom, Seat
from lab.web.commands import Commands
from lab.web.growth import Growth
from lab.web.lesson import Lesson
from lab.web.seat_hub import SeatHub
from lab.web.turns import Turns

#: How many labs start, guests are built and checks run at a time. More would not end sooner.
AT_ONCE = 4


@dataclass(frozen=True)
class Taught:
    """What a class is about.

    Attributes:
        labs: the teacher's labs.yaml; ``lab``: the lab of which every seat has a copy.
        lesson: what participants read, and what checks their steps; ``None``: nothing.
        idle: seconds without a page after which a seat's lab sleeps; 0: it never does.
    """

    labs: Path
    lab: Lab
    lesson: Lesson | None = None
    idle: float = 0.0


class Room:
    """The seats of a class while a server has it."""

    def __init__(
        self, classroom: Classroom, hubs: Sequence[SeatHub], taught: Taught, runs: Commands
    ) -> None:
        """``runs``: what runs the commands of the seats, and of others."""
        self.classroom = classroom
        self.commands = runs
        self.lesson = taught.lesson
        self._labs, self._lab = taught.labs, taught.lab
        self.hubs = hubs
        self._by_secret = {hub.seat.secret: hub for hub in hubs}

    def seat(self, secret: str) -> SeatHub | None:
        """The seat behind a link; ``None`` if the secret is not one of a seat."""
        return self._by_secret.get(secret)

    def chosen(self, number: object) -> list[SeatHub]:
        """The seat of that number, or ``all``."""
        return [hub for hub in self.hubs if number in ("all", hub.seat.number)]

    @contextlib.contextmanager
    def looked_at(self, told: Callable[[], None]) -> Iterator[None]:
        """While the block runs, ``told`` is called after each change of a seat."""
        with contextlib.ExitStack() as stack:
            for hub in self.hubs:
                stack.enter_context(hub.overseen(told))
            yield

    def shown(self) -> dict[str, Any]:
        """All seats, and what the machine has left."""
        return {
            "type": "room",
            "name": self.classroom.name,
            "seats": [self._row(hub) for hub in self.hubs],
            "steps": len(self.lesson.steps) if self.lesson else 0,
            "machine": machine(),
        }

    def _row(self, hub: SeatHub) -> dict[str, Any]:
        passed = [step for step, how in hub.progress.items() if how == checking.PASSED]
        return hub.overview() | {"link": f"/s/{hub.seat.secret}", "passed": len(passed)}

    def renew(self, seat: Seat) -> None:
        """Give a seat the teacher's files again.

        Raises:
            LabError: its folder cannot be written.
        """
        excerpt.renew(self._labs, self._lab, seat.folder)


@contextlib.asynccontextmanager
async def opened(classroom: Classroom, taught: Taught) -> AsyncIterator[Room]:
    """The room of a class. Its labs are not started, and not stopped at the end.

    Raises:
        LabError: a seat's folder cannot be made; files cannot be watched.
        ConfigError: a check of the lesson does not fit the lab.
    """
    for seat in classroom.seats:
        excerpt.lay(taught.labs, taught.lab, seat.folder)
    if taught.lesson:
        checking.test(classroom.seats[0], taught.lesson)
    turns = Turns(AT_ONCE)
    with forked.forks(commands.environment()) as forks:
        async with Growth() as growth:
            runs = Commands(forks)
            hubs = [SeatHub(seat, growth, turns, runs, taught.idle) for seat in classroom.seats]
            room = Room(classroom, hubs, taught, runs)
            looking = [asyncio.ensure_future(hub.keep_looking()) for hub in room.hubs]
            try:
                yield room
            finally:
                for task in looking:
                    task.cancel()
                for hub in room.hubs:
                    await hub.leave()
                await asyncio.gather(*looking, return_exceptions=True)


def machine() -> dict[str, Any]:
    """What this machine has left: load per processor, and bytes of memory."""
    count = len(os.sched_getaffinity(0))
    free, total = proc.memory()
    return {"load": os.getloadavg()[0] / count, "cpus": count, "free": free, "memory": total}
