"""Saves the device state of a stopped machine to a file, and loads it into another QEMU.

This is QEMU's migration without the memory, which has its own file (``x-ignore-shared``). A
restored machine is not announced to a network. The announcement takes a second, and during it a
timer of the host's clock would decide how long a CPU's turn is (see
:func:`lab.machine.qemu_command.port_of`).
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import MachineError
from lab.machine.qemu_command import LIVE, STATE
from lab.util import reading
from lab.util.deadline import Deadline

if TYPE_CHECKING:
    from lab.machine.qmp import Qmp

#: Seconds that a busy machine may take to save or load some hundred kilobytes.
WITHIN = 30.0
PAUSE = 0.002
#: QEMU stores a machine that stands at a breakpoint in the state "debug", and then refuses to load
#: it (migration/global_state.c: a length, then the name, padded with zeros). The first is what
#: QEMU writes, the second what it loads.
STOPPED, LOADABLE = b"\0\0\0\x06debug\0\0", b"\0\0\0\x07paused\0"
#: The states of a machine that was loaded. The second one: it was stored before it ran at all.
STANDS = {"paused", "prelaunch"}


async def save(control: Qmp, live: Path) -> Path:
    """Store the state of a machine that stands still. Returns the file, which is in ``live``.

    The machine can continue afterwards. ``live`` is the lab's folder of sockets.

    Raises:
        MachineError: QEMU could not store it.
    """
    path = live / "state"
    before = await control.execute("query-status")
    await _ignore_memory(control)
    await control.execute("migrate", {"uri": f"file:{LIVE}/{path.name}"})
    await _until(control, "query-migrate", {"completed"}, {"failed", "cancelled"})
    if before.get("status") == "debug":
        _make_loadable(path)
    return path


async def save_devices(control: Qmp, live: Path) -> bytes:
    """Store the devices of a machine that replays, and stands still. Returns what QEMU writes:
    see :mod:`lab.machine.replayed_state`.

    Raises:
        MachineError: QEMU could not store them.
    """
    path = live / "devices"
    where = {"filename": f"{LIVE}/{path.name}", "live": False}
    await control.execute("xen-save-devices-state", where, WITHIN)
    data = reading.data(path)
    path.unlink()
    return data


async def load(control: Qmp) -> None:
    """Load the state that is mounted at :data:`STATE`. Afterwards the machine stands still.

    Raises:
        MachineError: QEMU refused it.
    """
    await _ignore_memory(control)
    await control.execute("migrate-set-parameters", {"announce-rounds": 0})
    await control.execute("migrate-incoming", {"uri": f"file:{STATE}"})
    await _until(control, "query-status", STANDS, {"internal-error", "shutdown"})


async def _ignore_memory(control: Qmp) -> None:
    wanted = [{"capability": "x-ignore-shared", "state": True}]
    await control.execute("migrate-set-capabilities", {"capabilities": wanted})


async def _until(control: Qmp, question: str, good: set[str], bad: set[str]) -> None:
    deadline = Deadline(WITHIN)
    answer: dict[str, Any] = {}
    while answer.get("status") not in good:
        if answer.get("status") in bad or deadline.passed():
            words = answer.get("error-desc") or answer.get("status") or "no answer"
            raise MachineError(f"QEMU could not store or load the machine's state: {words}")
        if answer:
            await asyncio.sleep(PAUSE)
        with contextlib.suppress(KeyError):
            answer = dict(await control.execute(question))


def _make_loadable(path: Path) -> None:
    data = path.read_bytes()
    if data.count(STOPPED) != 1:
        raise MachineError("the machine's stored state does not have the expected form")
    path.write_bytes(data.replace(STOPPED, LOADABLE))
