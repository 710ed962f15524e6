"""Goes on behind a breakpoint, in a run that must stay the same.

A single step of QEMU's stops timers under the virtual clock, and such a machine may then stand
still for ever, or its time jumps (seen with QEMU 10.0). So the breakpoint is removed, and the
machine runs to the instruction after it.
"""

from __future__ import annotations

from lab.debug import processor
from lab.debug.instructions import successors
from lab.debug.registers import THUMB
from lab.debug.stopped import Place, Stopped


async def pass_on(stopped: Stopped, thread: int, address: int) -> bool:
    """Have the instruction at a breakpoint executed by the PCPU that stands there.

    Returns whether the machine stands at another breakpoint now.
    """
    following = await after(stopped, thread)
    stub = await stopped.virtual()
    if not following:
        await stub.step(thread)
        return False
    await stub.clear_breakpoint(address)
    for one in following:
        await stub.set_breakpoint(one)
    await stub.go()
    for one in following:
        await stub.clear_breakpoint(one)
    await stub.set_breakpoint(address)
    stopped.moved()
    return all(one.pc not in following for one in await stopped.places())


async def after(stopped: Stopped, thread: int) -> list[int]:
    """Where a PCPU may go on when it has executed its next instruction.

    Empty: nobody knows. Instructions of T32 are not decoded.
    """
    await stopped.select(thread)
    stub = await stopped.virtual()
    place = await stopped.place(thread)
    word = int.from_bytes(await stub.read(place.pc, 4), "little")
    return _following(stopped, place, word)


def _following(stopped: Stopped, place: Place, instruction: int) -> list[int]:
    wide = stopped.arch is processor.ARM64 and not place.narrow
    if place.cpsr & THUMB and not wide:
        return []
    return successors(place.pc, instruction, wide)
