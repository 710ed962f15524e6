"""Keeps core files of guests and of Xen, out of a machine that stands still.

``xl`` keeps a domain that has crashed (``on_crash``), with its memory and with the registers of
its vCPUs, in Xen. So the core file can be made long after the crash, and nothing need wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.debug import core_file, mapping, xen_memory
from lab.debug.core_file import FAULTED, Thread
from lab.debug.domains import DomainFound
from lab.debug.machine_view import VCPU, MachineView
from lab.debug.mapping import Dump
from lab.debug.scope import IN_XEN, Scope
from lab.debug.stopped import Stopped
from lab.errors import MachineError
from lab.util.symbols import Symbols

#: The names of Xen's functions for division begin so (arch/arm/arm32/lib).
HELPERS = "__"
#: The most instructions to step.
MOST_STEPS = 2000


async def keep_guest(view: MachineView, domain: DomainFound, dump: Dump, path: Path) -> None:
    """Write the core file of a domain: its memory, and the registers of each vCPU.

    A vCPU has thread :data:`VCPU` and its own number.

    Raises:
        MachineError: its vCPUs were not found, or it has too much memory. OSError: no room.
    """
    if not domain.vcpus:
        raise MachineError(f"the vCPUs of {domain.name} were not found in Xen's memory")
    view.look_at(Scope(domain.name, domain))
    threads = [Thread(one, await _registers(view, one)) for one in await view.threads()]
    found = await mapping.of_domain(view.stopped, await view.stopped.of_domain(domain.vttbr))
    core_file.write(path, threads, await mapping.pieces(view.stopped, dump, found, domain.name))


async def keep_xen(
    view: MachineView, dump: Dump, path: Path, faulted: Mapping[str, int], first: int
) -> None:
    """Write the core file of Xen: its memory, and the registers of each PCPU.

    ``faulted``: the registers of the code that faulted, if Xen printed them; they are thread
    :data:`core_file.FAULTED`. A PCPU has thread :data:`VCPU` and its own number; ``first`` is the
    number of the one that GDB shows before the others.

    Raises:
        MachineError: Xen's memory was not found, or it has too much. OSError: no room.
    """
    view.look_at(IN_XEN)
    stopped = view.stopped
    order = sorted(stopped.threads, key=lambda one: one != first + 1)
    threads = [Thread(FAULTED, faulted)] if "pc" in faulted else []
    threads += [Thread(VCPU + one - 1, await stopped.registers(one)) for one in order]
    core_file.write(path, threads, await xen_memory.pieces(stopped, order[0], dump))


async def _registers(view: MachineView, thread: int) -> dict[str, int]:
    """The registers of a vCPU, whether a PCPU executes it or not."""
    assert thread >= VCPU
    saved = await view.saved(thread)
    return dict(saved) if saved else await view.stopped.registers(await view.pcpu(thread))


async def leave_helpers(stopped: Stopped, pcpu: int, known: Symbols) -> None:
    """Have a PCPU of a Xen that has panicked leave its helpers for division, step by step.

    It waits for five seconds there, and GDB cannot go back through functions in assembly.
    """
    thread = pcpu + 1
    for _ in range(MOST_STEPS):
        name = known.at(await stopped.register("pc", thread)).partition("+")[0]
        if not name.startswith(HELPERS):
            return
        await stopped.stub.step(thread)
        stopped.moved()
