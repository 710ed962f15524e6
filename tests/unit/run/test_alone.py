"""A machine without dom0 under the virtual clock, and the moments at which it is looked at."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import GuestError
from lab.machine import shared_console
from lab.machine.console import Follower
from lab.run.alone import BOOTED, AloneStage


def stage_of(consoles: Path) -> AloneStage:
    """A machine that has run on to 9 s, and one guest."""
    shared_console.lay(consoles, {1: "early"}, alone=True)
    said = "".join(f"(XEN) [    {n}.500000] DOM1: {'x' * 110}\n" for n in range(10))
    (consoles / shared_console.RAW).write_text(said)
    shared_console.limit(consoles, 0.0)
    session: Any = SimpleNamespace(
        run=SimpleNamespace(console_dir=consoles), ended=SimpleNamespace(is_set=lambda: False)
    )
    files = {"early": consoles / "early.log"}
    return AloneStage(session, Follower(files), files)


def test_what_it_says_is_shown_up_to_a_moment(tmp_path: Path) -> None:
    stage = stage_of(tmp_path)

    async def go() -> int:
        while stage.now() < 3.0:
            await stage.wait(3.0, None)
        return len(stage.read()[0])

    assert asyncio.run(go()) == 3
    stage.close()


def test_a_guest_that_says_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the run, and at the same moment in every run: what counts is what is shown."""
    monkeypatch.setenv("LAB_CONSOLE_LIMIT", "1K")
    ends = []
    for number in range(2):
        (tmp_path / f"{number}").mkdir()
        stage = stage_of(tmp_path / f"{number}")

        async def go(stage: AloneStage = stage) -> None:
            while stage.now() < 8.9:
                await stage.wait(8.9, None)
            await stage.wait(9.5, None)
            await stage.wait(9.9, None)

        monkeypatch.setattr("lab.run.alone._seconds", _late)
        with pytest.raises(GuestError, match="the console of early printed more than 1K"):
            asyncio.run(go())
        ends.append(stage.now())
        stage.close()
    assert ends == [9.5, 9.5]


async def _late(_: object) -> int:
    return 99


@pytest.mark.parametrize(
    ("line", "booted"),
    [
        ("(XEN) [    0.258933] Freed 324kB init memory.", True),
        ("(XEN) [    0.311000] DOM1: hello", True),
        ("(XEN) Freed 1024kB init memory.", True),
        ("(XEN) [    0.101000] *** LOADING DOMU cpus=1 memory=0x4000KB ***", False),
    ],
)
def test_when_xen_has_booted(line: str, booted: bool) -> None:
    assert bool(BOOTED.search(line)) is booted
