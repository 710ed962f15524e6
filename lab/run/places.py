"""Places of a replay that are stored, so that it can begin there instead of at the template.

Each is a folder with the form of a template's, besides the memory of the lab, and goes with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lab.machine import replayed_state, snapshot, sparse_files, template
from lab.machine.qemu_command import WINDOW_FILE
from lab.machine.template import Template
from lab.run import live
from lab.run.session import Session
from lab.run.start import Start
from lab.util import files, private, reading, waiting

#: The most places of one run, and how many instructions lie between two at least.
MOST, APART = 12, 80_000_000
#: How many instructions before the end the last one lies: most steps back begin there.
NEAR = 8_000_000
#: The disk must have room for that many times as many bytes as are stored.
SPARE = 2


@dataclass(frozen=True)
class Place:
    """A place at which a replay can begin.

    Attributes:
        at: how many instructions were executed by then.
        changes: how many changes were made by then.
    """

    at: int
    changes: int
    stored: Template


class Places:
    """The stored places of one recording, in order. ``origin``: the template it begins with."""

    def __init__(self, start: Start, origin: Template) -> None:
        ram = live.ram_file(start.lab)
        self._folder = ram.with_name(f"{ram.name}.places")
        self._origin = origin
        self._found: list[Place] = []

    def nearest(self, at: int) -> Place | None:
        """The last place up to there; ``None``: the template is nearest."""
        return next((one for one in reversed(self._found) if one.at <= at), None)

    def wanted(self, begin: int, end: int) -> list[int]:
        """Where places are to be, in order, as far as the disk has room for them."""
        apart = max(APART, -(-(end - begin) // MOST))
        found = [*range(end - NEAR, begin + APART // 2, -apart)]
        return found[: self._room()][::-1]

    def _room(self) -> int:
        """For how many places the disk has room, besides a memory of the machine's own."""
        private.folder(self._folder.parent)
        free = shutil.disk_usage(self._folder.parent).free
        return max(0, free // (SPARE * self._origin.ram.stat().st_blocks * 512) - 1)

    async def store(self, session: Session, at: int, changes: int) -> None:
        """Store the machine, which stands at a place.

        Raises:
            Unfit: it cannot be stored at this place.
            MachineError: QEMU failed.
            OSError: the disk has no room.
        """
        async with session.sockets.control() as control:
            devices = await session.guarded(snapshot.save_devices(control, session.lab.path))
        folder = self._folder / str(at)
        try:
            await waiting.in_thread(self._write, folder, session, devices)
        except BaseException:
            files.remove_tree(folder)
            raise
        stored = replace(self._origin, path=folder, stops=0, parts=dict.fromkeys(_said(folder), ""))
        self._found.append(Place(at, changes, stored))

    def _write(self, folder: Path, session: Session, devices: bytes) -> None:
        state = replayed_state.loadable(devices, reading.data(self._origin.state))
        folder.mkdir(parents=True)
        (folder / template.STATE).write_bytes(state)
        sparse_files.copy(live.ram_file(session.lab), folder / template.RAM)
        sparse_files.copy(session.lab.path / WINDOW_FILE, folder / WINDOW_FILE)
        for what, source in _outputs(session):
            (folder / what).mkdir(exist_ok=True)
            files.copy_file(source, folder / what / source.name)

    def clear(self) -> None:
        """Remove all places."""
        self._found.clear()
        files.remove_tree(self._folder)


def fill_window(session: Session, place: Place) -> None:
    """Give a machine that was restored at a place, and has not run yet, its window."""
    sparse_files.copy(place.stored.path / WINDOW_FILE, session.lab.path / WINDOW_FILE)


def _outputs(session: Session) -> Iterator[tuple[str, Path]]:
    folders = {"console": session.run.console_dir, "trace": session.run.trace_dir}
    for what, folder in folders.items():
        yield from ((what, one) for one in sorted(folder.glob("*")) if one.is_file())


def _said(folder: Path) -> list[str]:
    found = (one for what in ("console", "trace") for one in (folder / what).glob("*"))
    return sorted(str(one.relative_to(folder)) for one in found)
