"""Carries out the steps of a scenario: type, execute, inject, destroy, collect, …

Both clocks use the same commands in dom0. Under the virtual clock dom0 gets them at stops of the
machine, so they happen at the same instruction in every run.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence

from lab.dom0.agent import Endless, ProgramResult
from lab.dom0.shared_agent import is_absent, last_words
from lab.errors import BusyError, GuestError, MachineError, ToolstackError, UsageError
from lab.machine import console_files, conversation, shared_input
from lab.model import VUART, Act, Clock, GuestPlan, Plan, Step
from lab.run.session import Session
from lab.util import files
from lab.util.patterns import pattern
from lab.util.terminal import quote
from lab.workshop.prepare import Prepared

#: The largest file that can be collected, in bytes.
LARGEST = 16 << 20
#: Seconds that dom0 may take for commands that usually end at once.
SOON = 60.0
#: Seconds of the host for a command under the virtual clock; dom0 itself ends it earlier.
PATIENCE = 600.0

#: Virtual seconds in which Xen surely takes what its UART was given.
TAKEN = 0.005

#: Types on a domain's console by writing to its terminal, which xenconsoled made. Arguments: name,
#: text. The terminal appears some moments after the domain, hence the loop.
_TYPE = """\
id=$(xl domid "$1") || exit 3
for try in 1 2 3 4 5 6 7 8 9 10; do
	tty=$(xenstore-read "/local/domain/$id/console/tty" 2>/dev/null) && [ -c "$tty" ] && break
	sleep 0.2
done
[ -c "$tty" ] || exit 4
printf %s "$2" >"$tty"
"""
#: The same for its UART.
_TYPE_ON_UART = _TYPE.replace("console/tty", "vuart/0/tty")
_ENTER = "\r"


class Hands:
    """Carries out steps in one lab. A step that fails raises."""

    def __init__(self, session: Session, plan: Plan, prepared: Prepared) -> None:
        self._session = session
        self._plan = plan
        self._prepared = prepared
        self._still = plan.machine.clock is Clock.VIRTUAL
        self._soon = PATIENCE if self._still else SOON

    async def __call__(self, step: Step) -> str:
        """Carry out a step. Returns what its command said, escaped; empty for other steps.

        Raises:
            GuestError: the result is not what the step asks for.
            ToolstackError: ``xl`` refused. Other LabError: of the layer that failed.
        """
        if step.do is Act.EXEC:
            return await self._exec(step)
        if step.do is Act.TYPE:
            await self._type(step)
        elif step.do is Act.COLLECT:
            await self._collect(step)
        elif step.do in (Act.INJECT, Act.RESTART):
            await self._create(step)
        elif step.do is Act.DESTROY:
            await self._xl(["lab-guest", "destroy", step.on], step)
        else:
            await self._xl(["xl", str(step.do), step.on], step)
        return ""

    async def _exec(self, step: Step) -> str:
        result = await self._timed(shlex.split(step.text), step)
        words = last_words(result)
        if result.status != step.status:
            how = f"status {result.status}" if result.status >= 0 else f"signal {-result.status}"
            raise GuestError(f"it ended with {how}, not with status {step.status}", tail=words)
        if not step.output:
            return words
        wanted = pattern(step.output, regex=step.regex, line=step.line)
        text = result.stdout.decode("utf-8", "replace")
        if not any(wanted.search(line) for line in text.splitlines()):
            what = f"a match of {quote(step.output)}" if step.regex else quote(step.output)
            raise GuestError(f"{what} is not in its output", tail=words)
        return words

    async def _timed(self, argv: Sequence[str], step: Step) -> ProgramResult:
        """Run a command for at most the step's ``within``, in seconds of the lab's clock."""
        late = f"{quote(argv[0])} did not end within {step.within:g}s"
        try:
            if self._still:
                limit = ["busybox", "timeout", "-s", "KILL", str(math.ceil(step.within))]
                began = self._session.at_stop.now
                result = await self._session.execute([*limit, *argv], PATIENCE)
                took = self._session.at_stop.now - began
                if result.status == -9 and took >= step.within:
                    raise GuestError(late, tail=last_words(result))
                if is_absent(argv[0], result):
                    raise UsageError(argv[0])
                return result
            return await self._session.execute(list(argv), step.within)
        except BusyError:
            raise
        except UsageError as error:
            raise GuestError(f"dom0 has no program {quote(argv[0])}") from error
        except Endless as error:
            raise GuestError(late, tail=error.tail) from error

    async def _type(self, step: Step) -> None:
        text = step.text + (_ENTER if step.enter else "")
        if step.on in ("xen", "dom0"):
            await self._type_below(step.on, text)
            return
        if any(one.name == step.on for one in self._plan.booted):
            await self._type_through_xen(step.on, text.encode())
            return
        domain, script = step.on, _TYPE
        if domain.endswith(VUART):
            domain, script = domain.removesuffix(VUART), _TYPE_ON_UART
        result = await self._session.execute(["sh", "-c", script, "sh", domain, text], self._soon)
        if result.status == 3:
            raise GuestError(f"there is no domain {step.on}")
        if result.status:
            raise GuestError(f"cannot type on the console of {step.on}", tail=last_words(result))

    async def _type_below(self, console: str, text: str) -> None:
        """Type on a serial line of the machine."""
        try:
            await conversation.type_into(
                console_files.input_of(self._session.lab.path, console), text.encode()
            )
        except MachineError as error:
            raise GuestError(f"cannot type on the console of {console}: {error.message}") from error

    async def _type_through_xen(self, guest: str, data: bytes) -> None:
        """Type on the console of a guest that Xen boots; Xen passes it on."""
        session, consoles = self._session, self._session.run.console_dir
        try:
            if not self._still:
                await shared_input.type_into(session.lab, consoles, guest, data)
                return
            pieces = shared_input.pieces_of(consoles, guest, data)
            with shared_input.opened(session.lab, guest) as handle:
                for piece in pieces:
                    async with session.sockets.control() as control:
                        await session.guarded(shared_input.give(control, handle, piece))
                    steps = session.at_stop
                    await steps.sleep_until(steps.now + TAKEN, PATIENCE)
        except MachineError as error:
            raise GuestError(f"cannot type on the console of {guest}: {error.message}") from error

    async def _collect(self, step: Step) -> None:
        size = 'test -f "$1" && wc -c <"$1"'
        result = await self._session.execute(["sh", "-c", size, "sh", step.text], self._soon)
        found = re.fullmatch(rb"\s*(\d{1,18})\s*", result.stdout)
        if result.status or not found:
            raise GuestError(f"dom0 has no file {quote(step.text)}", tail=last_words(result))
        if int(found[1]) > LARGEST:
            raise GuestError(f"{quote(step.text)} has more than {LARGEST >> 20} MiB")
        async with self._session.dom0() as dom0:
            data = await self._session.guarded(dom0.read_file(step.text, LARGEST))
        folder = self._session.run.collected_dir
        folder.mkdir(exist_ok=True)
        files.write_atomic(folder / step.name, data)

    async def _create(self, step: Step) -> None:
        """Create a guest from its files; a domain of that name is replaced."""
        if step.do is Act.RESTART:
            domains = await self._session.domains()
            if not any(one.name == step.on for one in domains):
                raise ToolstackError(f"there is no domain {step.on} to restart")
        await self._session.inject(self._guest(step.on), self._prepared.guests[step.on])

    def _guest(self, name: str) -> GuestPlan:
        return next(one for one in self._plan.all_guests if one.name == name)

    async def _xl(self, argv: Sequence[str], step: Step) -> None:
        result = await self._session.execute(list(argv), self._soon)
        if result.status:
            what = f"xl could not {step.do} guest {step.on} (exit status {result.status})"
            raise ToolstackError(what, command=shlex.join(argv), tail=last_words(result))


def refuse(plan: Plan) -> None:
    """Refuse a scenario that its clock does not allow, before anything is started.

    Raises:
        UsageError: under the virtual clock it types on a serial line, or to a guest without a
            dom0; when the bytes arrive there depends on the host.
    """
    serial = {"xen", "dom0"}
    if plan.lab.without_dom0:
        serial |= {one.name for one in plan.booted}
    steps = [one for step in plan.lab.steps for one in (step, *step.members)]
    for step in steps if plan.machine.clock is Clock.VIRTUAL else ():
        if step.do is Act.TYPE and step.on in serial:
            raise UsageError(
                f"a step types on {step.on} (labs.yaml:{step.line}), which the virtual clock "
                "does not allow: when it arrives would depend on the host",
                hint="use --clock host" if plan.lab.without_dom0
                else "use 'exec' for a command in dom0, or --clock host",
            )  # fmt: skip
