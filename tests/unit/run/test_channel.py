"""Both ways to talk to dom0 answer the same questions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lab.dom0 import domain_list
from lab.dom0.agent import ProgramResult
from lab.run.channel import AtStop, ByAgent, Channel

T = TypeVar("T")
TABLE = b"Name  ID  Mem VCPUs State Time(s)\nDomain-0  0  256  1  r-----  3.0\n"


class Dom0:
    """A dom0 that answers, at a stop or as an agent."""

    class box:
        frequency, counter = 0, 7

    async def run(self, argv: Any, *, within: float = 60.0) -> ProgramResult:
        return ProgramResult(tuple(argv), 0, TABLE, f"{within:g}".encode())

    async def begin(self, argv: Any) -> int:
        assert argv[:2] == ["busybox", "setsid"]
        return 1

    async def result(self, pid: int, argv: Any, within: float) -> ProgramResult:
        assert (pid, within) == (1, 1.0)
        return ProgramResult(tuple(argv), 0, TABLE, b"")


def by_agent(dom0: Dom0) -> ByAgent:
    @contextlib.asynccontextmanager
    async def connect(_: float) -> AsyncIterator[Any]:
        yield dom0

    async def guarded(step: Awaitable[T]) -> T:
        return await step

    return ByAgent(connect, Path("/nowhere"), guarded)


@pytest.mark.parametrize("still", [True, False])
def test_a_program_in_dom0(still: bool) -> None:
    dom0: Any = Dom0()
    either: Channel = AtStop(dom0) if still else by_agent(dom0)

    async def go() -> tuple[ProgramResult, ProgramResult]:
        async with either.opened() as opened:
            again = await opened.run(["xl", "list"], within=5.0)
        return await either.execute(["xl", "list"], 5.0), again

    for result in asyncio.run(go()):
        assert (result.argv, result.stdout) == (("xl", "list"), TABLE)


def test_a_stop_has_a_moment() -> None:
    """It is read from dom0's counter, once its frequency is known. A running machine has none."""
    dom0: Any = Dom0()
    assert AtStop(dom0).counter is None
    dom0.box.frequency = 62_500_000
    assert AtStop(dom0).counter == 7
    assert by_agent(dom0).counter is None


def test_domains_come_from_xl_or_from_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a stop `xl list` is run. Otherwise the agent is left alone: another port has the list."""

    async def listed(live: Path) -> list[str]:
        return [str(live)]

    monkeypatch.setattr(domain_list, "domains", listed)
    dom0: Any = Dom0()
    (domain,) = asyncio.run(AtStop(dom0).domains())
    assert domain.name == "Domain-0"
    found: list[Any] = asyncio.run(by_agent(dom0).domains())
    assert found == ["/nowhere"]
