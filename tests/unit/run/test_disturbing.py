"""What dom0 is told so that a run is disturbed, when, and what happens if it cannot do it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab import plan as planning
from lab.dom0.agent import ProgramResult
from lab.errors import Dom0Error
from lab.model import (
    Act,
    Bounds,
    Clock,
    Disturbance,
    FreeRtosApp,
    GuestSpec,
    HypervisorSpec,
    Lab,
    Plan,
    Scheduling,
    Step,
    Variable,
)
from lab.run.disturbing import Disturber, let_guests_run, orders

APP = FreeRtosApp(Path("/src/app"))
RTDS = Scheduling("rtds", period=0.01, budget=0.004)
LAB = Lab(
    "lab", HypervisorSpec("stock"), later=(GuestSpec("noisy", APP),),
    guests=(GuestSpec("one", APP, scheduler=RTDS), GuestSpec("two", APP)),
    explore=Bounds(neighbour="noisy"),
)  # fmt: skip


def plan_of(*disturbances: Disturbance) -> Plan:
    found = planning.plan(LAB, clock=Clock.VIRTUAL)
    numbered = tuple(replace(one, number=n) for n, one in enumerate(disturbances, 1))
    return replace(found, seed=7, disturbances=numbered)


class Steps:
    """dom0 at a stop; each command takes it 10 ms. ``told`` has what it was told, and when."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[tuple[float, object]] = []

    async def sleep_until(self, now: float, within: float) -> None:
        assert within
        self.now = max(self.now, now)

    async def unpause(self, domains: list[int]) -> None:
        self.tell([*domains])
        if domains == [9]:
            raise Dom0Error("no such domain")

    async def differ(self, entropy: bytes, name: str, ident: str) -> None:
        self.tell((len(entropy), name, ident))

    def tell(self, what: object) -> None:
        self.told.append((round(self.now - 100.0, 6), what))
        self.now += 0.01


class FakeSession:
    """A session whose guests are the domains 1 (one), 2 (two) and 3 (noisy)."""

    def __init__(self) -> None:
        self.at_stop = Steps()
        self.began: float | None = None
        self.paused = [1, 2, 3]
        self.record: Any = self
        self.moments: list[tuple[int, float, int]] = []

    async def execute(self, argv: tuple[str, ...], within: float) -> ProgramResult:
        assert within
        self.at_stop.tell(argv)
        return ProgramResult(argv, 1 if argv[-1] == "two" else 0, b"", b"")

    async def unpause(self, *some: int) -> None:
        self.began = self.at_stop.now
        await self.at_stop.unpause([*(some or self.paused)])

    def add_moment(self, what: str, number: int, after: float, status: int) -> None:
        assert what == "disturbed"
        self.moments.append((number, after, status))


def disturbed(plan: Plan, until: float) -> FakeSession:
    fake = FakeSession()
    session: Any = fake
    asyncio.run(Disturber(session, plan).until(100.0 + until))
    return fake


def test_a_pause_and_a_load() -> None:
    plan = plan_of(
        Disturbance(0, Variable.PAUSE, 0.2, 0.05, "one"),
        Disturbance(0, Variable.NEIGHBOUR_LOAD, 0.3, 0.001, "noisy"),
        Disturbance(0, Variable.DOM0_LOAD, 0.1, 0.0042),
    )
    load, *rest = disturbed(plan, 1.0).at_stop.told
    assert load[0] == 0.1
    assert load[1][-1] == "4200"  # type: ignore[index]
    assert rest == [
        (0.2, ("xl", "pause", "one")), (0.25, [1]), (0.3, [3]), (0.31, ("xl", "pause", "noisy")),
    ]  # fmt: skip


def test_only_what_is_due_by_then() -> None:
    plan = plan_of(Disturbance(0, Variable.PAUSE, 0.2, 0.05, "one"))
    fake = disturbed(plan, 0.2)
    assert (fake.at_stop.now, fake.at_stop.told) == (100.0, [])
    fake = disturbed(plan, 0.25)
    assert fake.moments == [(1, 0.21, 0)]


def test_a_guest_that_is_gone_does_not_end_the_run() -> None:
    """The scenario may have destroyed or replaced it; the record says that nothing happened."""
    plan = plan_of(
        Disturbance(0, Variable.PAUSE, 0.2, 0.05, "two"),
        Disturbance(0, Variable.PAUSE, 0.3, 0.05, "one"),
    )
    fake = FakeSession()
    fake.paused = [9, 2, 3]
    session: Any = fake
    asyncio.run(Disturber(session, plan).until(101.0))
    assert [(number, status) for number, _, status in fake.moments] == [
        (1, 1), (1, 0), (2, 0), (2, 1),
    ]  # fmt: skip


def test_a_budget_begins_later_from_then_on() -> None:
    """One period is longer; the next is as long as before."""
    first, second = orders(plan_of(Disturbance(0, Variable.BUDGET, 0.5, 0.003, "one")))
    words = "xl sched-rtds -v all -p {} -b 4000 -e 1 -d one"
    assert " ".join(first.argv) == words.format(13000)
    assert " ".join(second.argv) == words.format(10000)
    assert round(second.at - first.at, 6) == 0.013


def test_guests_start_one_after_the_other_and_the_neighbour_does_not() -> None:
    fake = FakeSession()
    session: Any = fake
    asyncio.run(let_guests_run(session, plan_of(Disturbance(0, Variable.TICKS, 0, 0.05, "one"))))
    assert fake.at_stop.told == [(0.0, [2]), (0.05, [1])]
    assert fake.began == 100.0


def test_without_a_seed_all_start_at_once() -> None:
    fake = FakeSession()
    session: Any = fake
    asyncio.run(let_guests_run(session, planning.plan(LAB, clock=Clock.VIRTUAL)))
    assert fake.at_stop.told == [(0.0, [1, 2, 3])]


def test_dom0_gets_the_entropy_before_guests_run() -> None:
    fake = FakeSession()
    session: Any = fake
    data = bytes(range(64)).hex()
    asyncio.run(let_guests_run(session, plan_of(Disturbance(0, Variable.ENTROPY, data=data))))
    assert [what for _, what in fake.at_stop.told] == [(64, "lab", data[:32]), [1], [2]]


def test_an_action_of_the_scenario_comes_later() -> None:
    fake = FakeSession()
    session: Any = fake
    plan = plan_of(
        Disturbance(0, Variable.INPUT, on="2", lasts=0.03),
        Disturbance(0, Variable.INPUT, on="consoles", lasts=0.02),
    )

    async def hands(step: Step) -> str:
        fake.at_stop.tell(step.text)
        return step.text

    async def act() -> None:
        disturber = Disturber(session, plan)
        assert disturber.first == 0.02
        later = disturber.delayed(hands)
        for text in ("a", "b", "c"):
            assert await later(Step(Act.TYPE, "one", text)) == text

    asyncio.run(act())
    assert fake.at_stop.told == [(0.0, "a"), (0.04, "b"), (0.05, "c")]
