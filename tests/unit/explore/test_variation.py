"""What a seed draws: always the same, within the bounds of labs.yaml, and nothing a lab lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import plan as planning
from lab.errors import UsageError
from lab.explore.variation import draw, vary
from lab.model import (
    Act,
    Bounds,
    Clock,
    Disturbance,
    Dom0Spec,
    FreeRtosApp,
    GuestSpec,
    HypervisorSpec,
    Lab,
    Plan,
    Prebuilt,
    Scheduling,
    Step,
    Variable,
)

APP = FreeRtosApp(Path("/src/app"))
ONE, TWO, NOISY = (GuestSpec(name, APP) for name in ("one", "two", "noisy"))
LAB = Lab("lab", HypervisorSpec("stock"), guests=(ONE, TWO))


def plan_of(lab: Lab = LAB, **bounds: object) -> Plan:
    return planning.plan(replace(lab, explore=Bounds(**bounds)), clock=Clock.VIRTUAL)  # type: ignore[arg-type]


def drawn(plan: Plan, seeds: int = 300) -> Iterator[Disturbance]:
    for seed in range(seeds):
        yield from draw(plan, seed)


def test_a_seed_draws_the_same_for_ever() -> None:
    """A change here changes what every seed means that somebody wrote down."""
    assert [str(one) for one in draw(plan_of(), 17)] == [
        "1: guest two starts 7.661 ms later",
        "2: at 0.110162 s guest two is paused for 0.115 ms",
        "3: at 0.317435 s guest two is paused for 8.86 ms",
        "4: at 0.401591 s dom0 wakes no guest for 19.836 ms",
        "5: at 0.746395 s guest one is paused for 0.381 ms",
        "6: at 0.812609 s dom0 computes for 10.331 ms",
    ]


def test_seeds_differ() -> None:
    assert len({draw(plan_of(), seed) for seed in range(200)}) > 190


def test_numbers_follow_the_moments() -> None:
    for seed in range(50):
        found = draw(plan_of(), seed)
        assert [one.number for one in found] == list(range(1, len(found) + 1))
        assert [one.at for one in found] == sorted(one.at for one in found)


def test_everything_that_a_lab_has_is_drawn() -> None:
    rtds = Scheduling("rtds", period=0.01, budget=0.004)
    lab = replace(
        LAB, guests=(replace(ONE, scheduler=rtds), TWO), later=(NOISY,),
        steps=(Step(Act.WAIT, "one", "x"), Step(Act.TYPE, "one", "y")),
    )  # fmt: skip
    found = {(one.what, one.on) for one in drawn(plan_of(lab, neighbour="noisy"))}
    assert {what for what, _ in found} == set(Variable)
    assert {on for what, on in found if what is Variable.BUDGET} == {"one"}
    assert {on for what, on in found if what is Variable.PAUSE} == {"one", "two"}
    assert {on for what, on in found if what is Variable.TICKS} == {"one", "two"}
    assert {on for what, on in found if what is Variable.INPUT} == {"1", "consoles", "wake-ups"}


def test_the_words_of_each() -> None:
    """They say when, what, and for how long, in seconds and milliseconds."""
    half, tenth = 0.5, 0.1
    words = {
        Disturbance(1, Variable.DOM0_LOAD, half, 0.0042): "at 0.5 s dom0 computes for 4.2 ms",
        Disturbance(1, Variable.NEIGHBOUR_LOAD, half, tenth, "n"): (
            "at 0.5 s guest n computes for 100 ms"
        ),
        Disturbance(1, Variable.PAUSE, half, tenth, "g"): "at 0.5 s guest g is paused for 100 ms",
        Disturbance(1, Variable.TICKS, 0, 0.0005, "g"): "guest g starts 0.5 ms later",
        Disturbance(1, Variable.ORDER, on="b,a"): "guests are created in the order b, a",
        Disturbance(1, Variable.BUDGET, half, tenth, "g"): (
            "at 0.5 s the budget of g begins 100 ms later"
        ),
        Disturbance(1, Variable.BUDGET, half, tenth): "at 0.5 s the schedule begins anew",
        Disturbance(1, Variable.INPUT, 0, tenth, "3"): (
            "action 3 of the scenario comes 100 ms later"
        ),
        Disturbance(1, Variable.INPUT, 0, tenth, "consoles"): (
            "consoles are read 100 ms after the start of each step"
        ),
        Disturbance(1, Variable.INPUT, half, tenth, "wake-ups"): (
            "at 0.5 s dom0 wakes no guest for 100 ms"
        ),
    }
    assert {one: one.words for one in words} == words


def test_nothing_is_drawn_that_a_lab_lacks() -> None:
    lab = Lab("lab", HypervisorSpec("stock"), guests=(GuestSpec("one", Prebuilt(Path("/k"))),))
    found = {one.what for one in drawn(plan_of(lab))}
    assert found == {Variable.DOM0_LOAD, Variable.PAUSE, Variable.TICKS, Variable.ENTROPY}
    busy = replace(lab, dom0=Dom0Spec(busy=True))
    assert Variable.TICKS not in {one.what for one in drawn(plan_of(busy))}


def test_bounds_are_kept() -> None:
    plan = plan_of(vary=(Variable.PAUSE,), within=0.25, most=3, longest=0.002)
    for seed in range(300):
        found = draw(plan, seed)
        assert 1 <= len(found) <= 3
        assert {one.what for one in found} == {Variable.PAUSE}
        assert all(0 <= one.at <= 0.25 and 0.0001 <= one.lasts <= 0.002 for one in found)


def test_some_disturbances_alone() -> None:
    seed = next(seed for seed in range(99) if len(draw(plan_of(), seed)) > 2)
    all_of, some = vary(plan_of(), seed), vary(plan_of(), seed, (2,))
    assert all_of.seed == some.seed == seed
    assert some.disturbances == all_of.disturbances[1:2]
    assert vary(plan_of(), seed, ()).disturbances == ()
    with pytest.raises(UsageError, match=f"seed {seed} of lab lab has no disturbance 98, 99"):
        vary(plan_of(), seed, (1, 98, 99))


def test_what_cannot_be_disturbed_is_refused() -> None:
    alone = replace(LAB, without_dom0=True)
    with pytest.raises(UsageError, match="no dom0"):
        draw(plan_of(alone), 1)
    one = replace(LAB, guests=(ONE,))
    with pytest.raises(UsageError, match="lets only order vary, and this lab has none of it"):
        draw(plan_of(one, vary=(Variable.ORDER,)), 1)


def test_the_order_of_creation() -> None:
    """The neighbour comes last, and only with a seed."""
    lab = replace(LAB, later=(NOISY,))
    plan = plan_of(lab, neighbour="noisy", vary=(Variable.ORDER,))
    assert [one.name for one in plan.in_order] == ["one", "two"]
    orders = {tuple(one.name for one in vary(plan, seed).in_order) for seed in range(20)}
    assert orders == {("one", "two", "noisy"), ("two", "one", "noisy")}
    assert plan.guest_consoles == vary(plan, 3).guest_consoles
