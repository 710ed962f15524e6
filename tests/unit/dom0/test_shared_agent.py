"""Commands in dom0 that take long, are late, or do not exist."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from agents import Reply, but, good, line, talk

from lab.dom0 import agent as dom0
from lab.dom0 import connection, shared_agent
from lab.errors import UsageError


def test_a_long_program_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """While a program runs, its connection is given up again and again."""
    monkeypatch.setattr(shared_agent, "LONGEST_TURN", 0.01)
    asked: list[str] = []

    def reply(question: dict[str, Any]) -> bytes | None:
        asked.append(question["execute"])
        ends = asked.count("guest-exec-status") > 6
        return good(question) if ends else but("guest-exec-status", line({}))(question)

    async def use(first: dom0.Agent) -> dom0.ProgramResult:
        await first.close()  # there is one connection at a time
        path = tmp_path / "agent.sock"
        return await shared_agent.run_in_turns(lambda _: connection.connected(path), ["sleep"], 5.0)

    assert talk(tmp_path, reply, use).status == 3
    assert asked.count("guest-exec") == 1
    assert asked.count("guest-sync-delimited") > 3


@pytest.mark.parametrize("given_up", [False, True])
def test_what_is_late_is_killed_with_its_children(tmp_path: Path, given_up: bool) -> None:
    """dom0 kills the group, also if the caller gave up. The output so far is shown."""
    asked: list[Any] = []

    def reply(question: dict[str, Any]) -> bytes | None:
        asked.append(question.get("arguments", {}))
        killed = any("kill" in one.get("arg", []) for one in asked)
        over = killed or question["execute"] != "guest-exec-status"
        return good(question) if over else line({"exited": False})

    async def use(first: dom0.Agent) -> dom0.ProgramResult:
        await first.close()  # there is one connection at a time
        path = tmp_path / "agent.sock"
        task = asyncio.create_task(
            shared_agent.run_in_turns(lambda _: connection.connected(path), ["sleep", "9"], 0.2)
        )
        if given_up:
            await asyncio.sleep(0.1)
            task.cancel()
        return await task

    with pytest.raises(asyncio.CancelledError if given_up else dom0.Endless) as failed:
        talk(tmp_path, reply, use)
    ran = [[one["path"], *one["arg"]] for one in asked if "path" in one]
    assert ran == [["busybox", "setsid", "sleep", "9"], ["busybox", "kill", "-KILL", "-7"]]
    if isinstance(failed.value, dom0.Endless):
        assert failed.value.tail == "said"


def test_a_command_that_dom0_lacks(tmp_path: Path) -> None:
    """The program that makes the group reports it. A program that itself ends with 127 does not
    count."""

    def told(words: bytes) -> Reply:
        answer = {"exited": True, "exitcode": 127, "err-data": base64.b64encode(words).decode()}
        return but("guest-exec-status", line(answer))

    async def use(first: dom0.Agent) -> dom0.ProgramResult:
        await first.close()  # there is one connection at a time
        path = tmp_path / "agent.sock"
        return await shared_agent.run_in_turns(lambda _: connection.connected(path), ["frob"], 5.0)

    lacks = told(b"setsid: can't execute 'frob': No such file or directory\n")
    with pytest.raises(UsageError, match="dom0 has no program 'frob'"):
        talk(tmp_path, lacks, use)
    assert talk(tmp_path, told(b"frob: line 1: nosuch: not found\n"), use).status == 127


@pytest.mark.parametrize(("longest", "connections"), [(60.0, 1), (0.0, 3)])
def test_several_things_in_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: float, connections: int
) -> None:
    """One connection serves all, but it is given up when others have waited long enough."""
    monkeypatch.setattr(shared_agent, "LONGEST_TURN", longest)
    asked: list[str] = []

    def reply(question: dict[str, Any]) -> bytes | None:
        asked.append(question["execute"])
        return good(question)

    async def use(first: dom0.Agent) -> bytes:
        await first.close()
        asked.clear()
        shared = shared_agent.SharedAgent(lambda _: connection.connected(tmp_path / "agent.sock"))
        assert (await shared.run(["true"])).status == 3
        await shared.write_file("/x", b"data")
        data = await shared.read_file("/x")
        await shared.aclose()
        async with asyncio.timeout(5):  # nobody has the agent now
            await (await connection.reach(tmp_path / "agent.sock")).close()
        return data

    assert talk(tmp_path, reply, use) == b"data"
    assert asked.count("guest-sync-delimited") == connections
