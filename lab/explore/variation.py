"""Draws the disturbances of a run from a seed.

The same seed gives the same disturbances, on every machine and with every Python: only
``random.random()`` is used, which the documentation of Python's ``random`` promises to repeat.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from lab.errors import UsageError
from lab.model import Act, Disturbance, FreeRtosApp, Plan, Project, Variable
from lab.model.disturbance import CONSOLES, SHORTEST, WAKE_UPS

#: How much later a guest may start, in seconds: ten ticks of most kernels.
LATEST_START = 0.01
#: When consoles are read first, in seconds.
CONSOLES_FIRST = (0.01, 0.1)
#: The most orders in which guests are created, besides that of labs.yaml. Each has a template.
ORDERS = 3
#: Bytes of entropy for dom0.
ENTROPY = 64


class Die:
    """Draws numbers from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, count: int) -> int:
        return int(self._random.random() * count)

    def coin(self) -> bool:
        return self._random.random() < 0.5

    def even(self, low: float, high: float) -> float:
        """A time between two, in whole microseconds; each is as likely as the others."""
        return round(low + self._random.random() * (high - low), 6)

    def scaled(self, low: float, high: float) -> float:
        """A time between two, in whole microseconds; each magnitude is as likely."""
        factor = max(high, low) / low
        return round(low * math.pow(factor, self._random.random()), 6)


#: Draws one disturbance, whose number is not known yet.
Maker = Callable[[Die], Disturbance]


def vary(plan: Plan, seed: int, keep: Sequence[int] | None = None) -> Plan:
    """The plan with the disturbances of a seed. ``keep``: only those with these numbers.

    Raises:
        UsageError: nothing in this lab can be different; or the seed has no such disturbance.
    """
    drawn = draw(plan, seed)
    known = {one.number for one in drawn}
    if strange := [str(one) for one in keep or () if one not in known]:
        raise UsageError(
            f"seed {seed} of lab {plan.lab.name} has no disturbance {', '.join(strange)}",
            hint=f"./inv lab.explore {plan.lab.name} --seeds {seed}-{seed} --plan prints all",
        )
    kept = tuple(one for one in drawn if keep is None or one.number in keep)
    return replace(plan, seed=seed, disturbances=kept)


def draw(plan: Plan, seed: int) -> tuple[Disturbance, ...]:
    """The disturbances of a seed, in the order in which they come.

    Raises:
        UsageError: nothing in this lab can be different.
    """
    if plan.lab.without_dom0:
        raise UsageError(f"lab {plan.lab.name} has no dom0, which would make the disturbances")
    plan = replace(plan, seed=seed, disturbances=())
    die, bounds = Die(seed), plan.lab.explore
    possible = _possible(plan)
    if not set(bounds.vary) & possible:
        could = ", ".join(one for one in Variable if one in possible)
        raise UsageError(
            f"lab {plan.lab.name}: labs.yaml lets only {', '.join(bounds.vary)} vary, "
            "and this lab has none of it",
            hint=f"in 'explore', add some of: {could}",
        )
    found = [one for one in _before(plan, die, seed) if one.what in bounds.vary]
    makers = [make for what, make in _makers(plan) if what in bounds.vary]
    if makers:
        found += [makers[die.below(len(makers))](die) for _ in range(1 + die.below(bounds.most))]
    found.sort(key=lambda one: one.at)
    return tuple(replace(one, number=number) for number, one in enumerate(found, 1))


def _possible(plan: Plan) -> set[Variable]:
    """What can be different in a lab at all."""
    found = {what for what, _ in _makers(plan)} | {Variable.ENTROPY}
    found |= {Variable.TICKS} if _paused(plan) else set()
    return found | ({Variable.ORDER} if len(_names(plan)) > 1 else set())


def lacking(plan: Plan) -> dict[Variable, str]:
    """What may be different, but not in this lab, and why."""
    possible = _possible(plan)
    starts = "dom0 is busy" if plan.lab.dom0.busy else "the toolstack creates no guest"
    why = {
        Variable.NEIGHBOUR_LOAD: "'explore' names no neighbour",
        Variable.PAUSE: "there is no guest",
        Variable.INPUT: "the scenario has no action, and no guest is known to be woken by dom0",
        Variable.TICKS: starts,
        Variable.ORDER: "the toolstack creates fewer than two guests",
        Variable.BUDGET: "nothing has a budget or a schedule",
    }
    return {what: why[what] for what in plan.lab.explore.vary if what not in possible}


def _names(plan: Plan) -> list[str]:
    """The guests that the toolstack creates with the lab."""
    return [one.name for one in plan.guests if not one.spec.by_xen]


def _before(plan: Plan, die: Die, seed: int) -> Iterator[Disturbance]:
    """What is different before the guests run. The die is cast the same, whatever may vary."""
    if die.coin():
        data = hashlib.shake_256(f"xenlab {seed}".encode()).hexdigest(ENTROPY)
        yield Disturbance(0, Variable.ENTROPY, data=data)
    orders = _orders(_names(plan))
    if orders and die.coin():
        yield Disturbance(0, Variable.ORDER, on=",".join(orders[die.below(len(orders))]))
    for name in _paused(plan):
        if die.coin():
            yield Disturbance(0, Variable.TICKS, lasts=die.even(0.0, LATEST_START), on=name)


def _paused(plan: Plan) -> list[str]:
    """The guests that are created paused, and run when all are there."""
    return [] if plan.lab.dom0.busy else _names(plan)


def _orders(names: Sequence[str]) -> list[list[str]]:
    """Other orders of these names: backwards, and turned by some places."""
    turned = [[*names[by:], *names[:by]] for by in range(1, len(names))]
    found = [list(reversed(names)), *turned]
    different = [one for at, one in enumerate(found) if one not in (*found[:at], list(names))]
    return different[:ORDERS]


def _makers(plan: Plan) -> Iterator[tuple[Variable, Maker]]:
    """What can draw a disturbance at a moment of this lab's run."""
    bounds = plan.lab.explore

    def some_time(what: Variable, on: str = "") -> tuple[Variable, Maker]:
        return what, lambda die: Disturbance(
            0, what, die.even(0.0, bounds.within), die.scaled(SHORTEST, bounds.longest), on
        )

    yield some_time(Variable.DOM0_LOAD)
    if plan.neighbour:
        yield some_time(Variable.NEIGHBOUR_LOAD, plan.neighbour.name)
    for guest in plan.guests:
        yield some_time(Variable.PAUSE, guest.name)
    for name in budgets(plan):
        yield some_time(Variable.BUDGET, name)
    if any(isinstance(one.spec.program, FreeRtosApp | Project) for one in plan.guests):
        yield some_time(Variable.INPUT, WAKE_UPS)
    yield from _steps(plan)


def _steps(plan: Plan) -> Iterator[tuple[Variable, Maker]]:
    """The actions of the scenario, and the moments that decide when they come."""
    steps = [one for step in plan.lab.steps for one in (step.members or (step,))]
    actions = sum(one.do not in (Act.WAIT, Act.SILENT) for one in steps)
    if not actions:
        return
    longest = plan.lab.explore.longest
    yield (
        Variable.INPUT,
        lambda die: Disturbance(0, Variable.INPUT, lasts=die.scaled(*CONSOLES_FIRST), on=CONSOLES),
    )
    yield (
        Variable.INPUT,
        lambda die: Disturbance(
            0, Variable.INPUT, on=str(1 + die.below(actions)), lasts=die.scaled(SHORTEST, longest)
        ),
    )


def budgets(plan: Plan) -> Iterator[str]:
    """Whose budget is filled again and again: guests, ``dom0``; empty: all have a schedule."""
    shares = [("dom0", plan.lab.dom0.scheduler), *((one.name, one.spec.scheduler)
              for one in plan.guests)]  # fmt: skip
    yield from (name for name, one in shares if one and ((one.period and one.budget) or one.cap))
    if plan.schedule:
        yield ""
