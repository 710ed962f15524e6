"""The threads and the memory that GDB sees, which depend on where breakpoints count.

In Xen and everywhere a thread is a PCPU, as QEMU has it. In a domain the threads are its vCPUs,
whether they run or not, and the tasks of FreeRTOS that do not run: GDB's commands tell us those
(:meth:`MachineView.tasks`). Memory is the domain's own, whatever runs on the PCPU now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lab.debug import processor, registers
from lab.debug.domains import DomainFound, Vcpu
from lab.debug.processor import Tables
from lab.debug.registers import A32, RegisterSet
from lab.debug.scope import ALL, Scope
from lab.debug.stopped import Place, Stopped
from lab.errors import MachineError

#: The numbers of the threads that are no PCPUs: vCPUs and tasks.
VCPU, TASK = 0x100, 0x1000


@dataclass(frozen=True)
class Task:
    """A task that does not run.

    Attributes:
        key: the address of its TCB.
        state: its state in words.
        registers: those that it saved.
    """

    key: int
    name: str
    state: str
    registers: Mapping[str, int]


class MachineView:
    """What GDB sees of a machine that stands still.

    Attributes:
        scope: whose threads and memory these are.
        domains: the domains that exist, as far as they are known.
        fresh: the machine has not run since they were looked for.
        running_task: the name of the task that the domain's vCPU runs, if it is known.
        selected: the thread whose registers and memory GDB asks for.
    """

    def __init__(self, stopped: Stopped) -> None:
        self.stopped = stopped
        self.scope = ALL
        self.domains: list[DomainFound] = []
        self.running_task = ""
        self.selected = stopped.threads[0]
        self.tasks: dict[int, Task] = {}
        self._numbers: dict[int, int] = {}
        self.fresh = False
        self._places: dict[int, Place] | None = None

    def moved(self) -> None:
        """The machine ran: forget what was read."""
        self.stopped.moved()
        self.fresh = False
        self._places = None

    def look_at(self, scope: Scope) -> None:
        self.scope = scope
        self._numbers.clear()
        self.set_tasks([], "")

    def set_tasks(self, tasks: Iterable[Task], running: str) -> list[int]:
        """From now on these tasks are threads. Returns their numbers, which stay the same.

        ``running``: the name of the task that the vCPU runs.
        """
        self.running_task = running
        self.tasks = {TASK + self._numbers.setdefault(one.key, len(self._numbers)): one
                      for one in tasks}  # fmt: skip
        return list(self.tasks)

    async def places(self) -> list[Place]:
        """Where each PCPU stands."""
        if self._places is None:
            self._places = {one.thread: one for one in await self.stopped.places()}
        return list(self._places.values())

    # ------------------------------------------------------------ threads

    async def threads(self) -> list[int]:
        """All threads, the most interesting one first."""
        if not self.scope.domain:
            return list(self.stopped.threads)
        vcpus = [VCPU + one.number for one in self.scope.domain.vcpus]
        if not vcpus:
            return list(self.stopped.threads)
        running = [one for one in vcpus if await self.pcpu(one)]
        waiting = [one for one in vcpus if one not in running]
        return [*running, *waiting, *self.tasks]

    async def pcpu(self, thread: int) -> int:
        """The PCPU that executes a thread; 0 if none does."""
        if thread < VCPU:
            return thread
        vcpu = self._vcpu(thread)
        if vcpu is None:
            return 0
        for place in await self.places():
            if self.scope.has(place) and await self._is_on(vcpu, place.thread):
                return place.thread
        return 0

    async def thread_on(self, pcpu: int) -> int:
        """The thread that GDB knows for a PCPU; if the domain does not run there, its first."""
        if not self.scope.domain:
            return pcpu
        there = await self.threads()
        for thread in there:
            if thread < TASK and await self.pcpu(thread) == pcpu:
                return thread
        return there[0]

    async def describe(self, thread: int) -> str:
        """What ``info threads`` says of a thread."""
        if thread >= TASK:
            task = self.tasks.get(thread)
            return f"task {task.name}: {task.state}" if task else "gone"
        if thread < VCPU:
            return await self.describe_pcpu(thread)
        on = await self.pcpu(thread)
        where = f"on PCPU {on - 1}" if on else "does not run now"
        task_name = f", task {self.running_task}" if self.running_task else ""
        return f"{self.scope.name} vCPU {thread - VCPU}: {where}{task_name}"

    async def describe_pcpu(self, thread: int) -> str:
        place = next(one for one in await self.places() if one.thread == thread)
        found = [one.name for one in self.domains if one.vmid == place.vmid]
        what = "in Xen" if place.hyp else f"runs {found[0] if found else 'an unknown domain'}"
        return f"PCPU {thread - 1}: {what}"

    def _vcpu(self, thread: int) -> Vcpu | None:
        vcpus = self.scope.domain.vcpus if self.scope.domain else ()
        return next((one for one in vcpus if one.number == thread - VCPU), None)

    async def _is_on(self, vcpu: Vcpu, thread: int) -> bool:
        assert self.scope.domain
        if len(self.scope.domain.vcpus) == 1:
            return True
        return await vcpu.processor(self.stopped) == thread - 1

    @property
    def registers(self) -> RegisterSet:
        """The registers that GDB knows: those of the domain that it looks at."""
        domain = self.scope.domain
        return A32 if domain and domain.narrow else self.stopped.arch.own

    async def saved(self, thread: int) -> Mapping[str, int] | None:
        """The registers of a thread that no PCPU executes; ``None`` if one does."""
        if task := self.tasks.get(thread):
            return task.registers
        if on := await self.pcpu(thread):
            return await self._hidden(on)
        vcpu = self._vcpu(thread)
        return await vcpu.registers(self.stopped) if vcpu else None

    async def _hidden(self, pcpu: int) -> Mapping[str, int] | None:
        """The registers of a PCPU that QEMU's gdbstub does not show, as those that GDB knows."""
        place = next(one for one in await self.places() if one.thread == pcpu)
        if not place.narrow:
            return None
        found = await self.stopped.registers(pcpu)
        return found if self.registers is A32 else registers.as_wide(found)

    async def saved_packet(self, thread: int) -> bytes | None:
        """The ``g`` packet of such a thread."""
        found = await self.saved(thread)
        return None if found is None else self.registers.packet(found)

    def no_registers(self) -> bytes:
        """The ``g`` packet of a thread of which nothing is known."""
        return self.registers.packet({})

    def description(self, name: str) -> bytes | None:
        """A part of the target description: of the registers that GDB knows."""
        own = self.registers.description
        if own and self.registers is not self.stopped.arch.own:
            return own if name == "target.xml" else None
        return self.stopped.description.get(name)

    # ------------------------------------------------------------ memory

    async def tables(self) -> Tables | None:
        """The tables through which memory is read; ``None``: as the selected PCPU sees it."""
        domain = self.scope.domain
        if domain is None or not domain.number:  # dom0's own tables are not known
            return None
        if on := await self.pcpu(self.selected):
            place = next(one for one in await self.places() if one.thread == on)
            if self.scope.has(place):
                return None
        return await self.stopped.of_domain(domain.vttbr)

    async def read(self, address: int, size: int) -> bytes:
        """Memory as GDB sees it; shorter if some is not mapped.

        Raises:
            MachineError: none is.
        """
        if tables := await self.tables():
            found = await self.stopped.read_through(tables, address, size)
            if not found:
                raise MachineError(f"{self.scope.name} has no memory at {address:#x}")
            return found
        await self._select()
        return await (await self.stopped.virtual()).read(address, size)

    async def write(self, address: int, data: bytes) -> None:
        """Write memory as GDB sees it."""
        tables = await self.tables()
        if tables is None:
            await self._select()
            await (await self.stopped.virtual()).write(address, data)
            return
        place = await self.stopped.translate(tables, address)
        if place is None or (address % processor.PAGE) + len(data) > processor.PAGE:
            raise MachineError(f"{self.scope.name} has no memory at {address:#x}")
        await self.stopped.write_physical(place, data)

    async def _select(self) -> None:
        on = await self.pcpu(self.selected)
        await self.stopped.select(on or self.stopped.threads[0])
