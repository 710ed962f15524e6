"""Tests of what all pages of a seat share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import create_autospec

import pytest

from lab import rundir
from lab.model import Domain
from lab.web import checking, machines
from lab.web.classroom import Seat
from lab.web.commands import Commands, Done
from lab.web.growth import Growth
from lab.web.lesson import Step
from lab.web.machines import Now
from lab.web.seat_hub import SeatHub
from lab.web.turns import Turns
from web.seats import lay

GUEST = Domain("hello", 1, 16, 1, "-b----", 0.0)


class Lab:
    """A lab whose dom0 answers when it is told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.now = Now()
        self.checks_in = folder
        self.is_asked, self.answers = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(machines, "seen", lambda _: self.now)
        monkeypatch.setattr(machines, "asked", self.asked)
        monkeypatch.setattr("lab.web.rest.asleep.is_asleep", lambda _: False)

    async def asked(self, _: Seat, known: Now) -> Now:
        self.is_asked.set()
        await self.answers.wait()
        return replace(known, domains=(GUEST,))

    async def run(self, words: Sequence[str], *_: Any) -> Done:
        """``lab.up``, ``lab.down``, and ``lab.run``, which is a check; others change nothing."""
        if words[0] == "lab.up":
            self.now = Now("running", self.folder / "fresh")
        elif words[0] == "lab.down":
            self.now = replace(self.now, state="off")
        elif words[0] == "lab.run":
            rundir.new_run(self.checks_in, checking.LAB)
        return Done(0, "")


def test_pages_do_not_hear_of_a_lab_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a reset is over, the page shows the fresh lab, although dom0 of the old one was asked
    and answers late."""

    async def go() -> None:
        lab = Lab(tmp_path, monkeypatch)
        lab.now = Now("running", tmp_path / "old")
        hub = SeatHub(lay(tmp_path), create_autospec(Growth), Turns(1), cast("Commands", lab))
        told: list[tuple[str, str, str]] = []

        def tell() -> None:
            told.append((hub.busy, hub.now.state, hub.now.run.name if hub.now.run else ""))

        with hub.looked_at(tell, tell):
            looking = asyncio.ensure_future(hub.keep_looking())
            await lab.is_asked.wait()
            hub.reset()
            await hub.idle()
            lab.answers.set()
            while not hub.now.domains:
                await asyncio.sleep(0)
            looking.cancel()
        begun = next(place for place, one in enumerate(told) if one[0])
        over = [one[1:] for one in told[begun:] if not one[0]]
        assert set(over) == {("running", "fresh")}

    asyncio.run(go())


def test_a_look_that_fails_is_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files may go while they are looked at, and there may be too many open ones. The next look
    shows the lab, and pages hear of the end of a command in any case."""

    async def go() -> None:
        lab = Lab(tmp_path, monkeypatch)
        lab.answers.set()
        hub = SeatHub(lay(tmp_path), create_autospec(Growth), Turns(1), cast("Commands", lab))
        told: list[str] = []

        def fails(_: Seat) -> Now:
            raise FileNotFoundError

        with hub.looked_at(lambda: told.append(hub.busy), lambda: None):
            looking = asyncio.ensure_future(hub.keep_looking())
            monkeypatch.setattr(machines, "seen", fails)
            hub.reset()
            await hub.idle()
            assert (told[0], told[-1]) == ("resetting", "")
            monkeypatch.setattr(machines, "seen", lambda _: lab.now)
            with hub.looked_at(lambda: None, lambda: None):
                while not hub.now.domains:
                    await asyncio.sleep(0)
            looking.cancel()
        assert hub.now.state == "running"

    asyncio.run(go())


def test_an_answer_of_dom0_takes_back_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guest is started while dom0 is asked: its console stays when dom0 answers."""

    async def go() -> None:
        lab = Lab(tmp_path, monkeypatch)
        lab.now = Now("running", tmp_path / "run", ("xen", "dom0"))
        hub = SeatHub(lay(tmp_path), create_autospec(Growth), Turns(1), cast("Commands", lab))
        told: list[tuple[str, ...]] = []
        with hub.looked_at(lambda: told.append(hub.now.consoles), lambda: None):
            looking = asyncio.ensure_future(hub.keep_looking())
            await lab.is_asked.wait()
            lab.now = replace(lab.now, consoles=("xen", "dom0", "hello"))
            hub.build("hello")
            await hub.idle()
            lab.answers.set()
            while not hub.now.domains:
                await asyncio.sleep(0)
            looking.cancel()
        assert told[-1] == ("xen", "dom0", "hello")
        assert told == sorted(told, key=len)

    asyncio.run(go())


def test_a_check_without_a_run_has_not_the_run_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        lab, seat = Lab(tmp_path, monkeypatch), lay(tmp_path)
        hub = SeatHub(seat, create_autospec(Growth), Turns(1), cast("Commands", lab))
        found = []
        for runs in (seat.folder / "runs", tmp_path / "elsewhere"):
            lab.checks_in = runs
            hub.check(Step("one", "One", "", "steps: []"))
            await hub.idle()
            found.append((hub.checked["run"] != "", hub.checked_run() is not None))
        assert found == [(True, True), (False, False)]

    asyncio.run(go())


def test_a_lab_that_sleeps_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher starts all labs. One of them sleeps: it is up."""

    async def go() -> None:
        lab = Lab(tmp_path, monkeypatch)
        lab.now = Now("asleep", tmp_path / "old")
        hub = SeatHub(lay(tmp_path), create_autospec(Growth), Turns(1), cast("Commands", lab))
        hub.start()
        await hub.idle()
        assert lab.now.state == "asleep"

    asyncio.run(go())
