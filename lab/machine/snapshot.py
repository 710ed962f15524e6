"""A stopped machine's device state into a file, and out of it into another QEMU.

It is QEMU's migration without the memory, which is a file of its own (``x-ignore-shared``).
A machine that has arrived is not announced to a network: that takes a second, and for as long
a timer of the host's clock would decide how long a CPU's turn is (:func:`command.port_of`).
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import MachineError
from lab.machine.command import LIVE, STATE
from lab.util.deadline import Deadline

if TYPE_CHECKING:
    from lab.machine.qmp import Qmp

#: Seconds that saving or loading some hundred kilobytes may take on a busy machine.
WITHIN = 30.0
PAUSE = 0.002
#: A machine that stands at a breakpoint is stored in QEMU's state "debug", which it refuses to
#: load (migration/global_state.c: a length, then the name, padded with zeros).
STOPPED, LOADABLE = b"\0\0\0\x06debug\0\0", b"\0\0\0\x07paused\0"


async def save(control: Qmp, live: Path) -> Path:
    """Store the state of a machine that stands still; the file, in the lab's folder ``live``.

    The machine can go on afterwards.

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


async def load(control: Qmp) -> None:
    """Load the state that is mounted at STATE; the machine stands still then.

    Raises:
        MachineError: QEMU refused it.
    """
    await _ignore_memory(control)
    await control.execute("migrate-set-parameters", {"announce-rounds": 0})
    await control.execute("migrate-incoming", {"uri": f"file:{STATE}"})
    await _until(control, "query-status", {"paused"}, {"internal-error", "shutdown"})


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
        raise MachineError("the machine's stored state is not of the expected form")
    path.write_bytes(data.replace(STOPPED, LOADABLE))
