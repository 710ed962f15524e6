"""Finds the hits of watchpoints that QEMU does not report.

If two PCPUs are about to access watched words in the same moment, QEMU (seen with 10.0) stops both
and reports one. It keeps the other hit in mind (``watchpoint_hit`` of that CPU, system/watchpoint.c
of QEMU): the next watched access of that PCPU is executed, and is reported some instructions late.
If the watchpoint was removed meanwhile, the report has a senseless address. A single step makes
QEMU report what it has in mind. Then the step is undone, so that the PCPU meets the word again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from lab.debug import processor
from lab.debug.stopped import Place, Stopped
from lab.errors import MachineError

#: How ``wfi`` begins to wait: a PCPU behind it would not end its step.
_WFI = {False: (0xE320F003).to_bytes(4, "little"), True: (0xD503207F).to_bytes(4, "little")}
#: An instruction writes at most so many bytes before and behind a watched address.
_AROUND = 32


async def forget(stopped: Stopped, reported: int, watched: Iterable[int]) -> None:
    """Have QEMU forget the hits of all PCPUs but the ``reported`` one. Each meets its word again.

    A PCPU without such a hit executes one instruction. ``watched``: the watched addresses.
    """
    for place in [one for one in await stopped.places() if one.thread != reported]:
        if not await _waits(stopped, place):
            await _step(stopped, place, list(watched))


async def _waits(stopped: Stopped, place: Place) -> bool:
    """Whether a PCPU waits for an interrupt. Only Xen's do: Xen takes the ``wfi`` of guests."""
    if not place.hyp:
        return False
    await stopped.select(place.thread)
    wfi = _WFI[stopped.arch is processor.ARM64]
    with contextlib.suppress(MachineError):
        return await (await stopped.virtual()).read(place.pc - 4, 4) == wfi
    return True


async def _step(stopped: Stopped, place: Place, watched: list[int]) -> None:
    await stopped.select(place.thread)
    stub = await stopped.virtual()
    registers, memory = await stub.ask(b"g"), {}
    for address in watched:
        with contextlib.suppress(MachineError):  # this PCPU has no such memory
            memory[address] = await stub.read(address - _AROUND, 2 * _AROUND)
    report = await stub.resume(b"vCont;s:%x" % place.thread, asyncio.Event())
    stopped.moved()
    if b"watch:" not in report or place.narrow:  # QEMU does not change registers of A32
        return
    await stopped.select(place.thread)
    for address, before in memory.items():
        await stub.write(address - _AROUND, before)
    await stub.ask(b"G" + registers)
    stopped.moved()
