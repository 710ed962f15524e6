"""Fake agents in dom0."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from lab.dom0 import agent as dom0
from lab.dom0 import connection
from lab.dom0.window import Window

T = TypeVar("T")
Reply = Callable[[dict[str, Any]], bytes | None]


def line(value: Any) -> bytes:
    return json.dumps({"return": value}).encode() + b"\n"


def good(question: dict[str, Any]) -> bytes | None:
    """The answers of an agent that works."""
    arguments = question.get("arguments", {})
    match question["execute"]:
        case "guest-sync-delimited":
            return b"\xff" + line(arguments["id"])
        case "guest-exec":
            return line({"pid": 7})
        case "guest-exec-status":
            out = base64.b64encode(b"said\n").decode()
            return line({"exited": True, "exitcode": 3, "out-data": out})
        case "guest-file-open":
            return line(1)
        case "guest-file-write":
            return line({"count": len(base64.b64decode(arguments["buf-b64"])), "eof": False})
        case "guest-file-read":
            return line({"count": 4, "eof": True, "buf-b64": base64.b64encode(b"data").decode()})
        case _:
            return line({})


def but(command: str, reply: bytes | None) -> Reply:
    """An agent that works except for one command, which it answers with this (``None``: not at
    all)."""
    return lambda question: reply if question["execute"] == command else good(question)


def talk(
    tmp_path: Path,
    reply: Reply,
    use: Callable[[dom0.Agent], Awaitable[T]],
    within: float = 5.0,
    window: Window | None = None,
) -> T:
    """Let ``use`` talk to an agent that answers with ``reply``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.readline():
            answer = reply(json.loads(data.lstrip(b"\xff")))
            if answer == b"hang up":
                break
            writer.write(answer or b"")
        writer.close()

    async def go() -> T:
        path = tmp_path / "agent.sock"
        server = await asyncio.start_unix_server(serve, path, limit=1 << 20)
        async with server, connection.connected(path, within, window) as agent:
            return await use(agent)

    return asyncio.run(go())
