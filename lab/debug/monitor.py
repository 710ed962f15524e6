"""What GDB's ``lab`` commands ask of the proxy, and ``monitor`` for whoever has only that.

A question of ours is ``qLab.<what>:<arguments in hexadecimal JSON>``, its answer hexadecimal JSON.
A refusal is an object with ``error``.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lab.debug import domains
from lab.debug.domains import DomainFound
from lab.debug.machine_view import MachineView, Task
from lab.debug.mapping import Dump
from lab.debug.proxy import Proxy
from lab.debug.scope import ALL, EVERYWHERE, IN_XEN, XEN, Scope
from lab.errors import LabError, UsageError
from lab.machine import rtc
from lab.util import reading

PREFIX = b"qLab."
HELP = (
    "monitor domains   the domains, and what runs on each PCPU\n"
    "monitor on NAME   let breakpoints count in a guest, in dom0, in xen, or everywhere\n"
    "monitor passed    how many stops did not count and were passed\n"
)


class LabMonitor:
    """Answers for one GDB. ``names``: the domains' names, as dom0 knew them when GDB came.

    Attributes:
        dump: reads physical memory.
        goto: goes to a time of a run; ``None`` if this is no run of the past.
        back: goes to where the machine stood before; ``None`` likewise.
        stood: hears that GDB's user sees where the machine stands; ``None`` likewise.
    """

    def __init__(self, view: MachineView, dump: Dump, names: Mapping[int, str]) -> None:
        self.view = view
        self.proxy = Proxy(view, self)
        self.goto: Callable[[str], Awaitable[None]] | None = None
        self.back: Callable[[], Awaitable[None]] | None = None
        self.stood: Callable[[], Awaitable[None]] | None = None
        self.dump = dump
        self._untouched = True
        self._names = names

    async def find(self) -> list[DomainFound]:
        """Search Xen's memory for the domains that exist now."""
        if not self.view.fresh:
            self.view.domains = await domains.find(self.view.stopped, self.dump, self._names)
            self.view.fresh = True
        return self.view.domains

    async def on(self, name: str) -> Scope:
        """From now on breakpoints count there, and threads and memory are those of ``name``.

        Raises:
            UsageError: there is no such domain.
        """
        scope = await self.scope(name)
        self.view.look_at(scope)
        self.view.selected = (await self.view.threads())[0]
        return scope

    async def scope(self, name: str) -> Scope:
        """What a name means: xen, everywhere, dom0, a guest, or a domain's number."""
        if name in (XEN, EVERYWHERE):
            return IN_XEN if name == XEN else ALL
        found = await self.find()
        for one in found:
            if name in (one.name, str(one.number)):
                return Scope(one.name, one)
        known = [XEN, *(one.name for one in found), EVERYWHERE]
        close = difflib.get_close_matches(name, known, 1)
        raise UsageError(
            f"there is no domain {name} now", hint=f"did you mean {close[0]}?" if close else
            f"one of: {', '.join(known)}",
        )  # fmt: skip

    # ------------------------------------------------------------ packets

    async def answer(self, packet: bytes) -> bytes | None:
        """The answer to a question of ours; ``None`` if the packet is none."""
        if not packet.startswith(PREFIX):
            return None
        what, _, words = packet[len(PREFIX) :].partition(b":")
        try:
            given = reading.parse_json(bytes.fromhex(words.decode())) if words else {}
            found = await self._questions()[what.decode()](given)
        except (LabError, KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
            found = {"error": _words(error)}
        return json.dumps(found).encode().hex().encode()

    def _questions(self) -> dict[str, Callable[[Any], Awaitable[Any]]]:
        return {
            "domains": self._domains, "on": self._on, "tasks": self._tasks,
            "scopes": self._scopes, "now": self._now, "goto": self._goto, "back": self._back,
            "changed": self._changed, "stood": self._stands,
        }  # fmt: skip

    async def _domains(self, _: Any) -> Any:
        found = await self.find()
        places = await self.view.places()
        listed = []
        for one in found:
            vcpus = [await self._vcpu(one, vcpu.number) for vcpu in one.vcpus]
            listed.append({"id": one.number, "name": one.name, "vmid": one.vmid, "vcpus": vcpus})
        pcpus = [{"number": place.thread - 1, "xen": place.hyp, "vmid": place.vmid, "pc": place.pc}
                 for place in places]  # fmt: skip
        return {"domains": listed, "pcpus": pcpus, "on": self.view.scope.name}

    async def _vcpu(self, domain: DomainFound, number: int) -> dict[str, Any]:
        vcpu = next(one for one in domain.vcpus if one.number == number)
        last = await vcpu.processor(self.view.stopped)
        scope = Scope(domain.name, domain)
        running = [one.thread - 1 for one in await self.view.places() if scope.has(one)]
        on = last if last in running else running[0] if len(domain.vcpus) == 1 and running else None
        pc = None if on is not None else (await vcpu.registers(self.view.stopped))["pc"]
        return {"number": number, "on": on, "last": last, "pc": pc}

    async def _on(self, given: Any) -> Any:
        scope = await self.on(str(given["name"]))
        narrow = bool(scope.domain and scope.domain.narrow)
        return {"on": scope.name, "threads": await self.view.threads(), "narrow": narrow}

    async def _tasks(self, given: Any) -> Any:
        told = [
            Task(int(one["key"]), str(one["name"]), str(one["state"]),
                 {str(name): int(value) for name, value in one["registers"].items()})
            for one in given["tasks"]
        ]  # fmt: skip
        return {"threads": self.view.set_tasks(told, str(given["running"]))}

    async def _scopes(self, given: Any) -> Any:
        """Where the breakpoints at each address count: the whole table."""
        known = {one.name: Scope(one.name, one) for one in self.view.domains}
        known |= {XEN: IN_XEN, EVERYWHERE: ALL}
        self.proxy.runner.scopes = {
            int(address): [known[name] for name in names if name in known]
            for address, names in given["table"].items()
        }
        return {}

    async def _goto(self, given: Any) -> Any:
        if self.goto is None:
            raise _only_a_run()
        await self.goto(str(given["at"]))
        self._untouched = True
        self.view.moved()
        return await self._on({"name": self.view.scope.name})

    async def _back(self, _: Any) -> Any:
        if self.back is None:
            raise _only_a_run()
        await self.back()
        return await self._on({"name": self.view.scope.name})

    async def _stands(self, _: Any) -> Any:
        if self.stood is not None:
            await self.stood()
        return {}

    async def _changed(self, _: Any) -> Any:
        """GDB's user has written into the machine. ``first``: it was the same as the run so far."""
        first, self._untouched = self.goto is not None and self._untouched, False
        return {"first": first}

    async def _now(self, _: Any) -> Any:
        clock = int.from_bytes(await self.view.stopped.physical(rtc.PL031, 4), "little")
        return {"clock": clock, "passed": self.proxy.runner.passed}

    # ------------------------------------------------------------ monitor

    async def command(self, words: str) -> str | None:
        """What ``monitor`` shows; ``None`` if it is no command of ours."""
        verb, _, rest = words.strip().partition(" ")
        try:
            if verb == "on" and rest:
                return f"breakpoints count in {(await self.on(rest.strip())).name} now\n"
            if verb == "domains":
                return await self._table()
            if verb == "passed":
                return f"{self.proxy.runner.passed} stops were passed\n"
        except LabError as error:
            return f"{_words(error)}\n"
        return HELP if verb == "help" else None

    async def _table(self) -> str:
        await self.find()
        rows = [f"{one.number:>5}  {one.name:<16} VMID {one.vmid}" for one in self.view.domains]
        rows += [await self.view.describe_pcpu(one) for one in self.view.stopped.threads]
        return "\n".join(rows) + "\n"


def _only_a_run() -> UsageError:
    return UsageError(
        "a lab that runs cannot go to another time",
        hint="a run can: ./inv lab.debug RUN --at TIME",
    )


def _words(error: Exception) -> str:
    if isinstance(error, LabError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return f"not understood: {error!r}"
