"""Serves the page of a workshop."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.api.context import Context, clean
from lab.api.labs import down_all
from lab.api.plans import make_plan, prepare
from lab.errors import UsageError
from lab.util import signals
from lab.workshop.page_parts import page_parts

if TYPE_CHECKING:
    from lab.web.classroom import Seat
    from lab.web.serving import Links


@dataclass(frozen=True)
class Serving:
    """How a class is served.

    Attributes:
        seats: how many seats it has; 0: as many as the last time, or one.
        address: the address to listen on; others than 127.0.0.1 let other machines in.
        port: 0: any free one.
        keep: the labs go on when the server ends.
        lesson: a file, or the name of a lesson that ships; empty: none.
        idle: seconds without a page after which a seat's lab sleeps; 0: it never does.
    """

    seats: int = 0
    address: str = "127.0.0.1"
    port: int = 0
    keep: bool = False
    lesson: str = ""
    idle: float = 600.0


def serve(context: Context, name: str, how: Serving, ready: Callable[[Links], None]) -> None:
    """Serve the page of a lab until Ctrl-C. ``ready`` gets the links as soon as they work.

    Every seat's lab has a folder of its own in ``runs/.classes/NAME``. Unless ``how.keep``, the
    labs are stopped at the end.

    Raises:
        UsageError: there is no such lab or lesson, the address cannot be used, or a package is
            missing. ConfigError: the lesson has a mistake; the message begins with its place.
        BusyError: another server has this class.
        LabError: what the labs need cannot be made.
        KeyboardInterrupt: it was told to stop.
    """
    check_packages()
    from lab.web import classroom, lesson, room, serving
    from lab.web.assets import Assets

    text = lesson.load(lesson.find(how.lesson)) if how.lesson else None
    clean(context)
    plan = make_plan(context, name, first=True)
    with classroom.opened(context.runs, name, how.seats) as found:
        prepare(context, plan)
        with context.progress.stage("page"):
            assets = Assets(page_parts(context.workshop(arch=plan.machine.arch).supplies))
        taught = room.Taught(context.file, plan.lab, text, how.idle)
        one = serving.Class(found, taught, assets)
        try:
            signals.run(serving.serve(one, how.address, how.port, ready))
        finally:
            if not how.keep:
                _stop(context, found.seats)


def _stop(context: Context, seats: Sequence[Seat]) -> None:
    """Stop all labs of a class, those of running checks too. Signals wait until that is done."""
    with signals.held_back(), context.progress.stage("stopping the labs"):
        for seat in seats:
            down_all(Context(seat.labs))


def check_packages() -> None:
    """Check that the Python packages of the page are there.

    Raises:
        UsageError: one is missing.
    """
    missing = [one for one in ("aiohttp", "markdown_it", "segno") if not _is_there(one)]
    if missing:
        words = f"the page needs Python packages that are not installed: {', '.join(missing)}"
        raise UsageError(words, hint="pip install 'xenlab[serve]'")


def _is_there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
