"""Tests of what all pages of a seat share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import create_autospec

import pytest

from lab.model import Domain
from lab.web import machines
from lab.web.classroom import Seat
from lab.web.commands import Commands, Done
from lab.web.growth import Growth
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
        self.is_asked, self.answers = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(machines, "seen", lambda _: self.now)
        monkeypatch.setattr(machines, "asked", self.asked)
        monkeypatch.setattr("lab.web.rest.asleep.is_asleep", lambda _: False)

    async def asked(self, _: Seat, known: Now) -> Now:
        self.is_asked.set()
        await self.answers.wait()
        return replace(known, domains=(GUEST,))

    async def run(self, words: Sequence[str], *_: Any) -> Done:
        """``lab.up`` and ``lab.down``."""
        up = words[0] == "lab.up"
        self.now = Now("running", self.folder / "fresh") if up else replace(self.now, state="off")
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
