"""Goes on behind a breakpoint, in a run that must stay the same.

A single step of QEMU's stops timers under the virtual clock, and such a machine may then stand
still for ever, or its time jumps (seen with QEMU 10.0). So the breakpoint is removed, and the
machine runs to the instruction after it.
"""

from __future__ import annotations

from lab.debug import processor
from lab.debug.stopped import Stopped

#: The bit of cpsr for the instruction set T32, whose instructions are not decoded here.
THUMB = 0x20


async def pass_on(stopped: Stopped, thread: int, address: int) -> bool:
    """Have the instruction at a breakpoint executed by the PCPU that stands there.

    Returns whether the machine stands at another breakpoint now.
    """
    await stopped.select(thread)
    stub = await stopped.virtual()
    word = int.from_bytes(await stub.read(address, 4), "little")
    thumb = await stopped.register("cpsr", thread) & THUMB
    following = [] if thumb else processor.successors(address, word)
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
    return await stub.register(processor.DEBUGGED.program_counter) not in following
