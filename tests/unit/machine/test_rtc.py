"""The machine's time, as QEMU's monitor shows a word of its clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from lab.errors import MachineError
from lab.machine import rtc
from lab.machine.qmp import Qmp


class Monitor:
    """Answers one question of the monitor."""

    def __init__(self, said: str) -> None:
        self._said = said

    async def execute(self, command: str, arguments: dict[str, Any]) -> str:
        assert command == "human-monitor-command"
        assert arguments == {"command-line": "xp /1wx 0x9010000"}
        return self._said


def asked(said: str) -> int:
    return asyncio.run(rtc.seconds(cast(Qmp, Monitor(said))))


def test_seconds_since_the_machine_was_switched_on() -> None:
    start = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
    assert asked(f"0000000009010000: {start + 12:#010x}\r\n") == 12


@pytest.mark.parametrize("said", ["", "Cannot access memory", "0000000009010000: 0x12\r\n"])
def test_anything_else_is_an_error(said: str) -> None:
    with pytest.raises(MachineError, match="does not tell the machine's time"):
        asked(said)


def test_the_alarm_is_years_away_and_fits_its_register() -> None:
    found = rtc.alarm()
    assert found["addr"] == rtc.PL031 + 4
    assert found["data"] < 1 << 32
