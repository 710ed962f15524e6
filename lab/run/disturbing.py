"""Carries out a plan's disturbances, at stops of a machine under the virtual clock.

Each is done by programs that dom0 has anyway, so a disturbed machine is made of the same images as
any other. A command in dom0 takes some milliseconds of its own, which disturb, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.dom0.steps import Steps
from lab.errors import Dom0Error
from lab.model import Disturbance, Plan, Step, Variable
from lab.model.disturbance import CONSOLES, WAKE_UPS
from lab.run.session import Session
from lab.scenario.player import Hands

#: Seconds of the host for one command in dom0.
PATIENCE = 600.0
#: dom0 computes for $1 microseconds; the command itself ends at once.
_LOAD = "{ while :; do :; done & busybox usleep $1; kill -9 $!; } &"
#: The programs that wake guests (lab-doorbell) stand for $1 microseconds.
_NO_WAKE_UPS = """\
for file in /run/lab-trace.*-doorbell; do
	read -r pid <"$file" && kill -STOP "$pid" && { busybox usleep $1; kill -CONT "$pid"; } &
done 2>/dev/null
"""


@dataclass(frozen=True)
class Order:
    """What dom0 is told at a moment (seconds since the guests run).

    A command, or to let a guest run that is paused.
    """

    at: float
    number: int
    argv: tuple[str, ...] = ()
    unpause: str = ""


def orders(plan: Plan) -> list[Order]:
    """What dom0 is told while the guests run, in the order of the moments."""
    return sorted((one for d in plan.disturbances for one in _orders(plan, d)),
                  key=lambda one: one.at)  # fmt: skip


def _orders(plan: Plan, one: Disturbance) -> Iterator[Order]:
    length = str(round(one.lasts * 1e6))
    pause = ("xl", "pause", one.on)
    match one.what:
        case Variable.DOM0_LOAD:
            yield Order(one.at, one.number, ("sh", "-c", _LOAD, "sh", length))
        case Variable.INPUT if one.on == WAKE_UPS:
            yield Order(one.at, one.number, ("sh", "-c", _NO_WAKE_UPS, "sh", length))
        case Variable.PAUSE:
            yield Order(one.at, one.number, pause)
            yield Order(one.at + one.lasts, one.number, unpause=one.on)
        case Variable.NEIGHBOUR_LOAD:
            yield Order(one.at, one.number, unpause=one.on)
            yield Order(one.at + one.lasts, one.number, pause)
        case Variable.BUDGET if not one.on:
            yield Order(one.at, one.number, plan.schedule)
        case Variable.BUDGET:
            yield from _budget(plan, one)


def _budget(plan: Plan, one: Disturbance) -> Iterator[Order]:
    """Another share for a while, so that the budget begins at another time from then on.

    rtds: one period is longer than the others. credit2: the limit is gone for that time.
    """
    words, domain = _share(plan, one.on)
    by, length = one.lasts, one.lasts
    changed = list(words)
    if "-p" in words:
        period = int(words[words.index("-p") + 1])
        changed[words.index("-p") + 1] = str(period + round(by * 1e6))
        length += period / 1e6
    else:
        changed[words.index("-c") + 1] = "0"
    yield Order(one.at, one.number, ("xl", *changed, domain))
    yield Order(one.at + length, one.number, ("xl", *words, domain))


def _share(plan: Plan, name: str) -> tuple[Sequence[str], str]:
    """The words of the ``xl`` command for a domain's share, and the domain as xl calls it."""
    if name == "dom0":
        return plan.dom0_scheduling, "Domain-0"
    return next(one.scheduling for one in plan.guests if one.name == name), name


class Disturber:
    """Disturbs one run.

    Attributes:
        first: when consoles are read first after the start of a step, in seconds; 0: as always.
    """

    def __init__(self, session: Session, plan: Plan) -> None:
        self._session = session
        self._zero = session.at_stop.now if session.began is None else session.began
        self._due = deque(orders(plan))
        self._ids = numbers(session, plan)
        self._delays = {one.on: one.lasts for one in _of(plan, Variable.INPUT)}
        self.first = self._delays.get(CONSOLES, 0.0)
        self._acted = 0

    async def until(self, at: float) -> None:
        """Disturb the machine up to this time, in seconds of dom0's counter.

        It may be later when this returns, as dom0 takes its time.
        """
        while self._due and self._zero + self._due[0].at < at:
            order = self._due.popleft()
            await self._steps.sleep_until(self._zero + order.at, PATIENCE)
            status = await self._do(order)
            now = round(self._steps.now - self._zero, 6)
            self._session.record.add_moment(
                "disturbed", number=order.number, after=now, status=status
            )

    async def _do(self, order: Order) -> int:
        """Carry out an order; returns 0, or another number if dom0 could not do it."""
        ident = self._ids.get(order.unpause)
        argv = order.argv or ("xl", "unpause", order.unpause)
        if ident is None:
            return (await self._session.execute(argv, PATIENCE)).status
        try:
            await self._steps.unpause([ident])
        except Dom0Error:  # the scenario has destroyed it, or lets it run itself
            return 1
        return 0

    def delayed(self, hands: Hands) -> Hands:
        """Hands that do some things later."""

        async def act(step: Step) -> str:
            self._acted += 1
            if by := self._delays.get(str(self._acted)):
                await self._steps.sleep_until(self._steps.now + by, PATIENCE)
            return await hands(step)

        return act

    @property
    def _steps(self) -> Steps:
        return self._session.at_stop


async def let_guests_run(session: Session, plan: Plan) -> None:
    """Let the guests run that were created paused, but not a neighbour; some later than others."""
    for one in _of(plan, Variable.ENTROPY):
        data = bytes.fromhex(one.data)
        await session.at_stop.differ(data, plan.lab.name, one.data[:32])
    if plan.seed is None:
        await session.unpause()
        return
    late = {one.on: one.lasts for one in _of(plan, Variable.TICKS)}
    ids = numbers(session, plan)
    names = sorted((one.name for one in plan.in_order if one is not plan.neighbour),
                   key=lambda name: late.get(name, 0.0))  # fmt: skip
    zero = session.at_stop.now
    for name in names:
        if by := late.get(name, 0.0):
            await session.at_stop.sleep_until(zero + by, PATIENCE)
        if session.began is None:
            await session.unpause(ids[name])
        else:
            await session.at_stop.unpause([ids[name]])


def numbers(session: Session, plan: Plan) -> dict[str, int]:
    """The domains' numbers of the guests that were created paused; Xen counts upwards."""
    return {one.name: ident for one, ident in zip(plan.in_order, session.paused, strict=False)}


def _of(plan: Plan, what: Variable) -> list[Disturbance]:
    return [one for one in plan.disturbances if one.what is what]
