"""QEMU's gdbstub, against a stub that answers like it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from lab.errors import MachineError
from lab.machine.gdbstub import Stub


class Cpus:
    """A gdbstub of several CPUs, and both ends of the connection to it."""

    def __init__(self, counters: list[int], reader: asyncio.StreamReader) -> None:
        self.counters = counters
        self.chosen = 0
        self._reader = reader
        self._told = 0

    def write(self, packet: bytes) -> None:
        words = packet[1:-3]
        if words in (b"qfThreadInfo", b"qsThreadInfo"):
            self._told = 0 if words.startswith(b"qf") else self._told + 1
            more = self._told < len(self.counters)
            self._answer(b"m%02x" % (self._told + 1) if more else b"l")
        elif words.startswith(b"Hg"):
            self.chosen = int(words[2:], 16) - 1
            self._answer(b"OK")
        else:
            assert words == b"pf"
            self._answer(self.counters[self.chosen].to_bytes(4, "little").hex().encode())

    def _answer(self, words: bytes) -> None:
        self._reader.feed_data(b"$%s#00" % words)


async def unguarded(step: Awaitable[bytes]) -> bytes:
    return await step


def chosen(counters: list[int], wanted: int) -> int:
    """The number of the CPU that the stub is turned to."""

    async def go() -> int:
        reader = asyncio.StreamReader()
        cpus: Any = Cpus(counters, reader)
        control: Any = None
        await Stub(reader, cpus, unguarded, control).turn_to(15, wanted)
        found: int = cpus.chosen
        return found

    return asyncio.run(go())


def test_it_turns_to_the_cpu_that_stands_there() -> None:
    assert chosen([0x100, 0x6B00_0000, 0x100], 0x6B00_0000) == 1
    assert chosen([0x6B00_0010], 0x6B00_0010) == 0


def test_no_cpu_stands_there() -> None:
    with pytest.raises(MachineError, match="no CPU of the machine stands where it was stored"):
        chosen([0x100, 0x200], 0x6B00_0000)
