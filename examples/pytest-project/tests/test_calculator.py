"""The calculator on one lab, which all tests of this file share."""

from __future__ import annotations

import pytest

from lab.api import RunningLab

pytestmark = pytest.mark.lab("calculator", scope="module")


def test_says_that_it_is_ready(lab: RunningLab) -> None:
    lab.guest("calculator").expect("calculator: ready", within=10)


@pytest.mark.parametrize(("asked", "answer"), [("add 2 3", "= 5"), ("add 40 2", "= 42")])
def test_adds(lab: RunningLab, asked: str, answer: str) -> None:
    calculator = lab.guest("calculator")
    calculator.send(f"{asked}\r")
    calculator.expect(answer, within=5)


def test_refuses_what_it_does_not_know(lab: RunningLab) -> None:
    calculator = lab.guest("calculator")
    calculator.send("divide 1 0\r")
    assert calculator.expect(r"error: (.*)", within=5, regex=True).match[1].startswith("only add")


def test_is_a_domain_of_16_megabytes(lab: RunningLab) -> None:
    listing = lab.dom0.run("xl list calculator")
    assert listing.status == 0
    assert listing.output.splitlines()[1].split()[2] == "16"


def test_the_heartbeat_is_short(lab: RunningLab) -> None:
    """What its tasks did was traced; half of all beats take less than a millisecond."""
    tasks = {one["task"]: one for one in lab.trace.stats()["tasks"]}
    assert tasks["heartbeat"]["period"] == pytest.approx(0.01)
    assert tasks["heartbeat"]["jobs"] > 5
    assert tasks["heartbeat"]["execution"]["p50"] < 1e-3
